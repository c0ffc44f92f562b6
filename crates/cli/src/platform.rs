//! The machine: the only folder that reads the environment, files and signals.

mod key;
mod running;

use std::net::SocketAddr;
use std::path::Path;

use tokio::net::{TcpListener, TcpSocket};
use tracing_subscriber::EnvFilter;

use crate::cmd::Failure;

pub(crate) use key::{MASTER_KEY, fresh_token, from_environment, keep_beside};
pub(crate) use running::{Announced, Running, announce};

/// Logs to standard error, warnings and up unless told otherwise.
pub(crate) fn start_logging(filter: Option<&str>) {
    let filter =
        EnvFilter::try_new(filter.unwrap_or("warn")).unwrap_or_else(|_| EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    log.with_ansi(may_color(&std::io::stderr())).init();
}

/// Chooses the one TLS implementation for everything that speaks TLS.
pub(crate) fn install_tls() {
    // Only the first call can succeed, and this is it.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// Connections that may wait to be taken. With the usual 128, a burst of visitors overflows the
/// system's queue, and each one turned away there tries again only after a whole second.
const BACKLOG: u32 = 4_096;

/// Binds `address`, or says what to do instead.
pub(crate) fn bind(address: SocketAddr, instead: &str) -> Result<TcpListener, Failure> {
    let listen = || -> std::io::Result<TcpListener> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A restart must not wait until the connections of the run before are forgotten.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)
    };
    listen().map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            Failure::new(format!("port {} is in use; run {instead} instead", address.port()))
        }
        _ => Failure::new(format!("can't listen on {address}: {error}")),
    })
}

/// Ends when somebody asks the process to: Ctrl-C or SIGTERM.
pub(crate) async fn asked_to_stop() {
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminate => {}
    }
}

/// Makes a directory that only its owner can read.
pub(crate) fn make_private(directory: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| {
        Failure::new(format!("the data directory {} can't be made: {error}", directory.display()))
    })
}

/// The address of a MongoDB under the name that hosters give it.
pub(crate) fn mongodb_uri() -> Option<String> {
    std::env::var("MONGODB_URI").ok().filter(|uri| !uri.is_empty())
}

/// How registrants reach the site, where a node on this machine would be told so.
pub(crate) fn public_url() -> Option<String> {
    std::env::var("SLOE_PUBLIC_URL").ok().filter(|url| !url.is_empty())
}

/// The secret of the app in the source org of licenses, where it is in no file.
pub(crate) fn license_secret() -> Option<String> {
    let secret = std::env::var("SLOE_LICENSE_CLIENT_SECRET").unwrap_or_default();
    Some(secret.trim().to_owned()).filter(|secret| !secret.is_empty())
}

/// The secret of the admin API: from a file, else from the environment, else none.
pub(crate) fn admin_token(file: Option<&Path>) -> Result<Option<String>, Failure> {
    const LEAST: usize = 16;
    let token = match file {
        Some(file) => read_secret(file)?,
        None => std::env::var("SLOE_ADMIN_TOKEN").unwrap_or_default().trim().to_owned(),
    };
    let plain = token.bytes().all(|b| b.is_ascii_graphic());
    if file.is_none() && token.is_empty() {
        return Ok(None);
    }
    if token.len() < LEAST || !plain {
        return Err(Failure::new(format!(
            "the admin token must have {LEAST} printable characters or more; make one with: openssl rand -hex 20"
        )));
    }
    Ok(Some(token))
}

/// Reads a secret from a file, or from standard input for `-`.
pub(crate) fn read_secret(path: &Path) -> Result<String, Failure> {
    let read = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())
    } else {
        std::fs::read_to_string(path)
    };
    let secret =
        read.map_err(|error| Failure::new(format!("{} can't be read: {error}", path.display())))?;
    Ok(secret.trim().to_owned())
}

/// How the one who started this process starts another: `cargo run --release --`, `target/debug/sloe`, `sloe`.
#[cfg(feature = "sim")]
pub(crate) fn own_command() -> String {
    if std::env::var_os("CARGO_MANIFEST_DIR").is_some() {
        let profile = if cfg!(debug_assertions) { "" } else { " --release" };
        return format!("cargo run{profile} --");
    }
    std::env::args().next().unwrap_or_else(|| "sloe".to_owned())
}

/// The command that started this process, with what follows these options left out: secrets.
#[cfg(feature = "sim")]
pub(crate) fn command_line(secrets: &[&str]) -> String {
    let arguments = std::env::args_os().skip(1).map(|one| one.to_string_lossy().into_owned());
    format!("sloe{}", quoted(arguments, secrets))
}

/// Arguments as a shell takes them, each after a space.
#[cfg(feature = "sim")]
fn quoted(arguments: impl Iterator<Item = String>, secrets: &[&str]) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./:,=@%+".contains(c);
    let mut line = String::new();
    let mut hidden = false;
    for argument in arguments {
        line.push(' ');
        let secret = secrets.iter().find(|secret| {
            argument.strip_prefix(**secret).is_some_and(|rest| rest.starts_with('='))
        });
        match secret {
            _ if hidden => line.push('…'),
            Some(secret) => line.push_str(&format!("{secret}=…")),
            None if !argument.is_empty() && argument.chars().all(plain) => line.push_str(&argument),
            None => line.push_str(&format!("'{}'", argument.replace('\'', "'\\''"))),
        }
        hidden = !hidden && secrets.contains(&argument.as_str());
    }
    line
}

/// Whether what is written there may be colored: it is a terminal, and nobody asked for it plain.
pub(crate) fn may_color(output: &impl std::io::IsTerminal) -> bool {
    let asked_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    output.is_terminal() && !asked_plain && !dumb
}

/// A directory of this process alone, for data that nobody keeps.
#[cfg(feature = "sim")]
pub(crate) fn temporary() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("sloe-{}", std::process::id()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::{Ipv4Addr, TcpStream};
    use std::time::Duration;

    use super::*;

    #[cfg(feature = "sim")]
    #[test]
    fn a_command_can_be_pasted_and_tells_no_secret() {
        let words =
            ["storm", "--event", "a/b", "--secret", "s3cret", "--secret=x", "it's", "", "--n", "1"];
        let line = quoted(words.map(str::to_owned).into_iter(), &["--secret"]);
        assert_eq!(line, " storm --event a/b --secret … --secret=… 'it'\\''s' '' --n 1");
    }

    #[tokio::test]
    async fn a_burst_of_connections_waits_until_somebody_takes_it() {
        let listener = bind((Ipv4Addr::LOCALHOST, 0).into(), "sloe").unwrap();
        let address = listener.local_addr().unwrap();
        // Nobody takes them. One that finds the queue full would wait for ever.
        let patience = Duration::from_secs(30);
        let connect = |_| TcpStream::connect_timeout(&address, patience).unwrap();
        let waiting: Vec<TcpStream> = (0..300).map(connect).collect();
        assert_eq!(waiting.len(), 300);
    }
}
