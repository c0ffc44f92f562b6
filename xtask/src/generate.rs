//! `cargo xtask gen`: code from the `.proto` file, put where it is committed.
//!
//! What makes it is a workspace of its own (`xtask/gen`), so that nobody else compiles a protobuf
//! compiler. Each file it wrote begins with a stamp over the `.proto` file and its own content, by
//! which `cargo xtask tidy` sees whether it is still what was made.

use std::fs;
use std::process::Command;

use crate::{Outcome, cargo};

/// What everything is made from.
pub(crate) const PROTO: &str = "crates/salesforce/proto/eventbus.proto";
/// What is made: its name in the scratch directory, its place, what it is.
pub(crate) const MADE: [(&str, &str, &str); 2] = [
    ("client", "crates/salesforce/src/events/wire.rs", "The Pub/Sub API as its client speaks it"),
    ("server", "crates/sim/src/org/events/wire.rs", "The Pub/Sub API as its server speaks it"),
];

const STAMP: &str = "//! Stamp: ";

/// Makes the code anew.
///
/// # Errors
/// It can't be made, or not be written.
pub(crate) fn run() -> Outcome {
    let root = cargo::root();
    let scratch = root.join("target/gen");
    let proto = fs::read_to_string(root.join(PROTO)).map_err(|e| format!("{PROTO}: {e}"))?;
    let mut tool = cargo::command(&["run", "--quiet", "--locked"]);
    tool.args(["--manifest-path", "xtask/gen/Cargo.toml", "--", PROTO]).arg(&scratch);
    cargo::run(&mut tool)?;
    for (name, place, what) in MADE {
        let from = scratch.join(name).join("eventbus.v1.rs");
        let mut rustfmt = Command::new("rustfmt");
        rustfmt.args(["--edition", "2024", "--config-path"]).arg(root.join("rustfmt.toml"));
        cargo::run(rustfmt.arg(&from))?;
        let made = fs::read_to_string(&from).map_err(|e| format!("{}: {e}", from.display()))?;
        // Its own first line says the same in fewer words.
        let body = made.split_once('\n').map_or("", |(_, rest)| rest);
        fs::write(root.join(place), stamped(what, &proto, body))
            .map_err(|e| format!("{place}: {e}"))?;
    }
    Ok(())
}

fn stamped(what: &str, proto: &str, body: &str) -> String {
    let head = format!("//! {what}. Made by `cargo xtask gen` from `{PROTO}`: change that.\n");
    format!("{head}{STAMP}{:016x}\n{body}", hash(proto, body))
}

/// Whether `text` is what was made from `proto`, unchanged.
pub(crate) fn is_current(proto: &str, text: &str) -> bool {
    let mut lines = text.splitn(3, '\n').skip(1);
    let (stamp, body) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    stamp.strip_prefix(STAMP) == Some(format!("{:016x}", hash(proto, body)).as_str())
}

/// FNV-1a: it guards against forgetting, not against malice.
fn hash(proto: &str, body: &str) -> u64 {
    let bytes = proto.bytes().chain([0]).chain(body.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_known_until_it_or_its_source_changes() {
        let made = stamped("Something", "message A {}", "struct A;\n");
        assert!(is_current("message A {}", &made));
        assert!(!is_current("message A { int32 b = 1; }", &made));
        assert!(!is_current("message A {}", &made.replace("struct A", "struct B")));
        assert!(!is_current("message A {}", "struct A;\n"));
    }
}
