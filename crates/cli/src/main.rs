//! The one binary: reads what is asked, does it, says how it went.

mod at;
mod boot;
mod cmd;
mod peers;
mod platform;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;

/// A registration takes some hundred small allocations, many of them freed by
/// another thread than made them: docs/performance.md has the measurement.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long to wait at the end for what nobody needs any more.
const LEAVING: Duration = Duration::from_secs(1);

fn main() -> ExitCode {
    let cli = cmd::Cli::parse();
    platform::start_logging(cli.log.as_deref());
    platform::install_tls();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(cmd::run(cli.command));
            // Whoever ends while a store hangs does not wait for what asks it still.
            runtime.shutdown_timeout(LEAVING);
            outcome
        }
        Err(error) => Err(cmd::Failure::new(format!("the system gives no threads: {error}"))),
    };
    match outcome {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("sloe: {failure}");
            ExitCode::FAILURE
        }
    }
}
