//! Whether the browser tests can run here, and how CI sees to it that they can.

use std::ffi::OsStr;
use std::process::Command;

use crate::{Outcome, cargo};

/// What the tests drive, and the Debian package that has it. Any one of the programs will do.
const NEEDED: [(&[&str], &str); 2] = [
    (&["chromium", "chromium-browser", "google-chrome"], "chromium"),
    (&["chromedriver"], "chromium-driver"),
];

/// The packages that are still to be installed; in CI they are installed here, so that none is.
///
/// # Errors
/// In CI: the packages could not be installed.
pub(crate) fn missing() -> Result<Vec<&'static str>, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let missing = missing_in(&path);
    if missing.is_empty() || !in_ci(std::env::var("CI").ok().as_deref()) {
        return Ok(missing);
    }
    install(&missing)?;
    match missing_in(&path).as_slice() {
        [] => Ok(Vec::new()),
        still => {
            Err(format!("apt-get installed {}, yet no program of it is there", still.join(", ")))
        }
    }
}

/// The command that installs the packages.
pub(crate) fn advice(packages: &[&str]) -> String {
    format!("apt-get install {}", packages.join(" "))
}

fn in_ci(variable: Option<&str>) -> bool {
    matches!(variable, Some("true" | "1"))
}

fn missing_in(path: &OsStr) -> Vec<&'static str> {
    let there = |program: &&str| std::env::split_paths(path).any(|dir| dir.join(program).is_file());
    NEEDED
        .iter()
        .filter(|(programs, _)| !programs.iter().any(there))
        .map(|(_, package)| *package)
        .collect()
}

fn install(packages: &[&str]) -> Outcome {
    let user = Command::new("id").arg("-u").output().map_err(|error| format!("id -u: {error}"))?;
    let root = user.stdout.trim_ascii() == b"0";
    cargo::run(&mut apt(root, &["update", "-q"]))?;
    let mut install = vec!["install", "-q", "-y", "--no-install-recommends"];
    install.extend(packages);
    cargo::run(&mut apt(root, &install))
}

fn apt(root: bool, arguments: &[&str]) -> Command {
    let mut command = Command::new(if root { "apt-get" } else { "sudo" });
    if !root {
        // -n: CI has nobody who could type a password.
        command.args(["-n", "apt-get"]);
    }
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command.stdin(std::process::Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_path_misses_both_packages() {
        assert_eq!(missing_in(OsStr::new("")), ["chromium", "chromium-driver"]);
    }

    #[test]
    fn any_of_the_browsers_will_do() {
        let dir = std::env::temp_dir().join(format!("sloe-xtask-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("google-chrome"), "").unwrap();
        let missing = missing_in(dir.as_os_str());
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(missing, ["chromium-driver"]);
    }

    #[test]
    fn only_ci_installs() {
        assert!(in_ci(Some("true")));
        assert!(!in_ci(Some("false")));
        assert!(!in_ci(None));
    }

    #[test]
    fn without_root_sudo_never_asks() {
        assert_eq!(cargo::shown(&apt(false, &["update"])), "sudo -n apt-get update");
        assert_eq!(cargo::shown(&apt(true, &["update"])), "apt-get update");
    }
}
