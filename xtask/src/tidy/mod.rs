//! `cargo xtask tidy`: the rules of ARCHITECTURE.md that neither the compiler nor clippy checks.
//!
//! One file per kind of rule. Each rule is a function from texts to faults, so that its tests can
//! feed it a few lines; [`check`] alone reads the checkout. A fault is one line that says where,
//! what, and what to do instead.

mod bans;
mod docs;
mod generated;
mod justified;
mod layers;
mod manifest;
mod size;
mod source;
mod spdx;
mod supply;
mod tree;
mod unused;

use std::fmt;

use crate::{Outcome, cargo};

/// One place where the project is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Fault {
    path: String,
    /// From 1.
    line: usize,
    what: String,
    instead: String,
}

impl Fault {
    fn new(path: &str, line: usize, what: impl Into<String>, instead: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, what: what.into(), instead: instead.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}; {}", self.path, self.line, self.what, self.instead)
    }
}

/// Checks the checkout.
///
/// # Errors
/// The faults, one a line.
pub(crate) fn run() -> Outcome {
    let faults = check()?;
    if faults.is_empty() {
        return Ok(());
    }
    let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
    Err(format!("{}\ntidy: {} to mend", lines.join("\n"), faults.len()))
}

fn check() -> Result<Vec<Fault>, String> {
    let files = tree::read(&cargo::root())?;
    let sources = source::all(&files);
    let manifests = manifest::read(&files)?;
    let metadata = cargo::metadata()?;
    let core = cargo::read(&layers::core_tree_arguments())?;
    let shipped = cargo::read(&layers::shipped_tree_arguments())?;
    let mut faults = Vec::new();
    faults.extend(docs::check(&sources));
    faults.extend(size::check(&sources, &size::Exceptions::read(&files)?));
    faults.extend(bans::check(&files, &sources));
    faults.extend(generated::check(&files));
    faults.extend(manifest::check(&manifests));
    faults.extend(layers::check(&manifests));
    faults.extend(layers::check_core_tree(&core));
    faults.extend(layers::check_shipped_tree(&shipped));
    faults.extend(justified::check(&manifests, &files));
    faults.extend(unused::check(&manifests, &sources));
    faults.extend(supply::check(&supply::Policy::read(&files)?, &metadata));
    faults.sort();
    faults.dedup();
    Ok(faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checkout_is_tidy() {
        if let Err(faults) = run() {
            panic!("{faults}");
        }
    }

    #[test]
    fn a_fault_is_one_line_with_place_and_remedy() {
        let fault = Fault::new("a/b.rs", 7, "this is wrong", "do that");
        assert_eq!(fault.to_string(), "a/b.rs:7: this is wrong; do that");
    }
}
