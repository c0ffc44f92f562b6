//! What some tests need that cargo doesn't bring, and how CI sees to it that it is there.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::{Outcome, cargo, clients, mongo};

/// What the tests of one kind need.
pub(crate) struct Need {
    /// The test binaries that need it begin so.
    pub(crate) prefix: &'static str,
    programs: &'static [(Program, &'static str)],
    /// What a task of ours installs besides.
    task: Option<Task>,
}

/// A task of ours that installs something.
struct Task {
    command: &'static str,
    /// What it can't do without; nobody needs that once it is done.
    programs: &'static [(Program, &'static str)],
    installed: fn() -> Result<bool, String>,
    install: fn() -> Outcome,
}

/// Something that a Debian package brings.
enum Program {
    /// Any one of these will do.
    Any(&'static [&'static str]),
    /// A module of Python, which Debian splits off.
    Python(&'static str),
}

/// Every kind of test that needs something.
pub(crate) const NEEDS: [Need; 3] = [
    Need {
        prefix: "browser_",
        programs: &[
            (Program::Any(&["chromium", "chromium-browser", "google-chrome"]), "chromium"),
            (Program::Any(&["chromedriver"]), "chromium-driver"),
        ],
        task: None,
    },
    Need {
        prefix: "client_",
        programs: &[
            (Program::Any(&["node"]), "nodejs"),
            (Program::Any(&["npm"]), "npm"),
            (Program::Any(&["python3"]), "python3"),
            (Program::Python("ensurepip"), "python3-venv"),
        ],
        task: Some(Task {
            command: "cargo xtask clients",
            programs: &[],
            installed: clients::installed,
            install: clients::install,
        }),
    },
    Need {
        prefix: "mongo_",
        programs: &[],
        task: Some(Task {
            command: "cargo xtask mongo",
            programs: &[
                (Program::Any(&["cmake"]), "cmake"),
                (Program::Any(&["make", "ninja"]), "make"),
                (Program::Any(&["g++", "c++", "clang++"]), "g++"),
            ],
            installed: mongo::installed,
            install: mongo::install,
        }),
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
        let undone = self.undone()?;
        Ok(commands(&self.missing_in(&path, undone), undone.map(|task| task.command)))
    }

    /// The task, if it is still to be done.
    fn undone(&self) -> Result<Option<&Task>, String> {
        match &self.task {
            Some(task) if !(task.installed)()? => Ok(Some(task)),
            _ => Ok(None),
        }
    }

    fn install(&self, path: &OsStr) -> Outcome {
        let undone = self.undone()?;
        let missing = self.missing_in(path, undone);
        if !missing.is_empty() {
            apt_install(&missing)?;
            let still = self.missing_in(path, undone);
            if !still.is_empty() {
                let names = still.join(", ");
                return Err(format!("apt-get installed {names}, yet no program of it is there"));
            }
        }
        undone.map_or(Ok(()), |task| (task.install)())
    }

    fn missing_in(&self, path: &OsStr, undone: Option<&Task>) -> Vec<&'static str> {
        let all = self.programs.iter().chain(undone.map_or(&[][..], |task| task.programs));
        all.filter(|(program, _)| !program.is_there(path)).map(|(_, package)| *package).collect()
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

/// The commands that install these packages, and then do the task.
fn commands(packages: &[&str], task: Option<&str>) -> Option<String> {
    let apt = (!packages.is_empty()).then(|| format!("apt-get install {}", packages.join(" ")));
    let commands: Vec<String> = apt.into_iter().chain(task.map(str::to_owned)).collect();
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
        let missing = NEEDS.map(|need| need.missing_in(OsStr::new(""), None));
        assert_eq!(missing[0], ["chromium", "chromium-driver"]);
        assert_eq!(missing[1], ["nodejs", "npm", "python3", "python3-venv"]);
        assert_eq!(missing[2], [""; 0], "the server is there");
        let [.., mongo] = NEEDS;
        assert_eq!(mongo.missing_in(OsStr::new(""), mongo.task.as_ref()), ["cmake", "make", "g++"]);
    }

    #[test]
    fn any_of_the_browsers_will_do() {
        let dir = std::env::temp_dir().join(format!("sloe-xtask-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join("google-chrome"), "").unwrap();
        let missing = NEEDS[0].missing_in(dir.as_os_str(), None);
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(missing, ["chromium-driver"]);
    }

    #[test]
    fn the_advice_names_the_packages_then_the_task() {
        assert_eq!(commands(&[], None), None);
        let both = commands(&["nodejs", "npm"], Some("cargo xtask clients")).unwrap();
        assert_eq!(both, "apt-get install nodejs npm && cargo xtask clients");
        assert_eq!(commands(&[], Some("cargo xtask mongo")).unwrap(), "cargo xtask mongo");
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
