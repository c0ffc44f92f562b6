//! The server that the tests of the store on MongoDB talk to: a program that
//! speaks MongoDB's wire protocol, installed into a cache outside of the
//! checkout. It is only ever run, never linked or shipped: it is GPL.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use crate::{Outcome, cargo, clients};

/// The version that the store was measured with.
const VERSION: &str = "0.5.3-beta.196";
/// The file that says which version is there; written last, so that it never lies.
const STAMP: &str = "installed";
/// A MongoDB that is there already.
const GIVEN: &str = "SLOE_TEST_MONGODB";

/// Installs the server, where it isn't at its version already; takes some eight minutes.
///
/// # Errors
/// Cargo fails, or the cache can't be written.
pub(crate) fn install() -> Outcome {
    if installed()? {
        return Ok(());
    }
    let into = place()?;
    println!("Installing the MongoDB of the tests into {}", into.display());
    fs::create_dir_all(&into).map_err(|error| format!("{}: {error}", into.display()))?;
    let mut install = cargo::command(&["install", "secantus-mdb", "--version", VERSION]);
    install.args(["--ignore-rust-version", "--force", "--root"]).arg(&into);
    // Its build is none of the workspace's: cargo makes it in a directory that goes away.
    install.env_remove("CARGO_BUILD_BUILD_DIR").env_remove("CARGO_TARGET_DIR");
    cargo::run(&mut install)?;
    fs::write(into.join(STAMP), VERSION).map_err(|error| format!("{}: {error}", into.display()))
}

/// Whether a server is there, be it one that was given.
///
/// # Errors
/// There is no place for a cache.
pub(crate) fn installed() -> Result<bool, String> {
    if std::env::var_os(GIVEN).is_some_and(|given: OsString| !given.is_empty()) {
        return Ok(true);
    }
    Ok(fs::read_to_string(place()?.join(STAMP)).is_ok_and(|stamp| stamp == VERSION))
}

fn place() -> Result<PathBuf, String> {
    Ok(clients::cache_of_sloe()?.join("mongo"))
}

/// Whether the server itself is there, which can be started.
///
/// # Errors
/// There is no place for a cache.
pub(crate) fn is_there() -> Result<bool, String> {
    Ok(program()?.is_file())
}

/// The server's program.
///
/// # Errors
/// There is no place for a cache.
pub(crate) fn program() -> Result<PathBuf, String> {
    Ok(place()?.join("bin/secantusd-rs"))
}
