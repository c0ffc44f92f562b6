//! Calling cargo from within a task that cargo itself started.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::Outcome;

/// The root of the checkout that this task was built in.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Cargo in the root of the checkout, without the variables about this package that `cargo run`
/// sets: build scripts watch some of them, and would build their crates anew at each call.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        let about_us = name.to_str().is_some_and(|name| {
            ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"]
                .iter()
                .any(|prefix| name.starts_with(prefix))
        });
        if about_us {
            command.env_remove(name);
        }
    }
    command
}

/// Runs a command with its output on the terminal.
///
/// # Errors
/// The command can't be started, or fails.
pub(crate) fn run(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|error| cannot_start(command, &error))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` ended with {status}", shown(command))) }
}

/// Runs cargo and gives what it prints.
///
/// # Errors
/// Cargo fails; the text holds what it said.
pub(crate) fn read(arguments: &[&str]) -> Result<String, String> {
    let mut command = command(arguments);
    let output = command.output().map_err(|error| cannot_start(&command, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("`{}` ended with {}:\n{said}", shown(&command), output.status))
}

/// What cargo knows of the workspace and, on this platform, of all it depends on.
///
/// # Errors
/// Cargo fails, or answers something that is not JSON.
pub(crate) fn metadata() -> Result<Value, String> {
    let host = host()?;
    let text =
        read(&["metadata", "--format-version", "1", "--locked", "--filter-platform", &host])?;
    serde_json::from_str(&text).map_err(|error| format!("`cargo metadata` gave no JSON: {error}"))
}

/// The name of the platform we run on, as rustc says it.
fn host() -> Result<String, String> {
    let mut rustc = Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    let output = rustc.arg("-vV").output().map_err(|error| cannot_start(&rustc, &error))?;
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .find_map(|line| line.strip_prefix("host: ").map(str::to_owned))
        .ok_or_else(|| "`rustc -vV` names no host".to_owned())
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    let words = command.get_args().map(|word| {
        let word = word.to_string_lossy();
        if word.contains([' ', '(', '*']) { format!("'{word}'") } else { word.into_owned() }
    });
    std::iter::once(name).chain(words).collect::<Vec<_>>().join(" ")
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!("`{}` can't be started: {error}", shown(command))
}
