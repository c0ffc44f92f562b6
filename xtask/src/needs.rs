//! What some tests need that cargo doesn't bring, and how CI sees to it that it is there.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::{Outcome, cargo, clients};

/// What the tests of one kind need.
pub(crate) struct Need {
    /// The test binaries that need it begin so.
    pub(crate) prefix: &'static str,
    programs: &'static [(Program, &'static str)],
    clients: bool,
}

/// Something that a Debian package brings.
enum Program {
    /// Any one of these will do.
    Any(&'static [&'static str]),
    /// A module of Python, which Debian splits off.
    Python(&'static str),
}

/// Every kind of test that needs something.
pub(crate) const NEEDS: [Need; 2] = [
    Need {
        prefix: "browser_",
        programs: &[
            (Program::Any(&["chromium", "chromium-browser", "google-chrome"]), "chromium"),
            (Program::Any(&["chromedriver"]), "chromium-driver"),
        ],
        clients: false,
    },
    Need {
        prefix: "client_",
        programs: &[
            (Program::Any(&["node"]), "nodejs"),
            (Program::Any(&["npm"]), "npm"),
            (Program::Any(&["python3"]), "python3"),
            (Program::Python("ensurepip"), "python3-venv"),
        ],
        clients: true,
    },
];

impl Need {
    /// The commands that bring what is still missing, if anything is; in CI it is installed here,
    /// so that nothing is.
    ///
    /// # Errors
    /// In CI: it could not be installed.
    pub(crate) fn advice(&self) -> Result<Option<String>, String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if in_ci(std::env::var("CI").ok().as_deref()) {
            self.install(&path)?;
            return Ok(None);
        }
        let clients = self.clients && !clients::installed()?;
        Ok(commands(&self.missing_in(&path), clients))
    }

    fn install(&self, path: &OsStr) -> Outcome {
        let missing = self.missing_in(path);
        if !missing.is_empty() {
            apt_install(&missing)?;
            let still = self.missing_in(path);
            if !still.is_empty() {
                let names = still.join(", ");
                return Err(format!("apt-get installed {names}, yet no program of it is there"));
            }
        }
        if self.clients { clients::install() } else { Ok(()) }
    }

    fn missing_in(&self, path: &OsStr) -> Vec<&'static str> {
        let missing = self.programs.iter().filter(|(program, _)| !program.is_there(path));
        missing.map(|(_, package)| *package).collect()
    }
}

impl Program {
    fn is_there(&self, path: &OsStr) -> bool {
        match self {
            Self::Any(names) => names.iter().any(|name| find(path, name).is_some()),
            Self::Python(module) => find(path, "python3").is_some_and(|python| {
                let mut command = Command::new(python);
                command.args(["-c", &format!("import {module}")]);
                command.stdin(Stdio::null()).stderr(Stdio::null());
                command.status().is_ok_and(|status| status.success())
            }),
        }
    }
}

fn find(path: &OsStr, name: &str) -> Option<PathBuf> {
    std::env::split_paths(path).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The commands that install these packages, and the clients if they are missing.
fn commands(packages: &[&str], clients: bool) -> Option<String> {
    let apt = (!packages.is_empty()).then(|| format!("apt-get install {}", packages.join(" ")));
    let clients = clients.then(|| "cargo xtask clients".to_owned());
    let commands: Vec<String> = apt.into_iter().chain(clients).collect();
    (!commands.is_empty()).then(|| commands.join(" && "))
}

fn in_ci(variable: Option<&str>) -> bool {
    matches!(variable, Some("true" | "1"))
}

fn apt_install(packages: &[&str]) -> Outcome {
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
    command.stdin(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_path_misses_every_package() {
        let missing = NEEDS.map(|need| need.missing_in(OsStr::new("")));
        assert_eq!(missing[0], ["chromium", "chromium-driver"]);
        assert_eq!(missing[1], ["nodejs", "npm", "python3", "python3-venv"]);
    }

    #[test]
    fn any_of_the_browsers_will_do() {
        let dir = std::env::temp_dir().join(format!("sloe-xtask-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("google-chrome"), "").unwrap();
        let missing = NEEDS[0].missing_in(dir.as_os_str());
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(missing, ["chromium-driver"]);
    }

    #[test]
    fn the_advice_names_the_packages_then_the_clients() {
        assert_eq!(commands(&[], false), None);
        let both = commands(&["nodejs", "npm"], true).unwrap();
        assert_eq!(both, "apt-get install nodejs npm && cargo xtask clients");
        assert_eq!(commands(&[], true).unwrap(), "cargo xtask clients");
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
