//! The Salesforce clients that others wrote and our tests run, and the tools that check Sloe's
//! Salesforce package: installed into a cache outside of the checkout, at the versions that are
//! pinned beside what they are for.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Outcome, cargo};

/// What is installed by one package manager.
struct Part {
    /// The name of its folder in the cache.
    name: &'static str,
    /// The program that will run the clients.
    runs: &'static str,
    /// The folder, from the root, with the files that pin the versions.
    place: &'static str,
    /// Those files.
    pins: &'static [&'static str],
    install: fn(pins: &Path, into: &Path) -> Outcome,
}

const PARTS: [Part; 3] = [
    Part { name: "npm", runs: "node", place: CLIENTS, pins: NPM_PINS, install: npm_install },
    Part {
        name: "package",
        runs: "node",
        place: "salesforce",
        pins: NPM_PINS,
        install: npm_install,
    },
    Part {
        name: "pip",
        runs: "python3",
        place: CLIENTS,
        pins: &["requirements.txt"],
        install: pip_install,
    },
];

const CLIENTS: &str = "crates/cli/tests/clients";
const NPM_PINS: &[&str] = &["package.json", "package-lock.json"];
/// The file that says what a folder of the cache holds; written last, so that it never lies.
const STAMP: &str = "installed";

/// Installs the clients, where they aren't at the pinned versions already.
///
/// # Errors
/// A package manager fails, or the cache can't be written.
pub(crate) fn install() -> Outcome {
    let (root, cache) = places()?;
    PARTS.iter().try_for_each(|part| part.see_to(&root.join(part.place), &cache))
}

/// Whether the clients are there, at the pinned versions.
///
/// # Errors
/// The pins can't be read, or there is no place for a cache.
pub(crate) fn installed() -> Result<bool, String> {
    let (root, cache) = places()?;
    for part in &PARTS {
        if !part.is_installed(&part.wanted(&root.join(part.place))?, &cache) {
            return Ok(false);
        }
    }
    Ok(true)
}

impl Part {
    fn see_to(&self, pins: &Path, cache: &Path) -> Outcome {
        let wanted = self.wanted(pins)?;
        if self.is_installed(&wanted, cache) {
            return Ok(());
        }
        let into = cache.join(self.name);
        let failed = |error| format!("{}: {error}", into.display());
        if into.exists() {
            fs::remove_dir_all(&into).map_err(failed)?;
        }
        fs::create_dir_all(&into).map_err(failed)?;
        println!("Installing Salesforce clients and tools into {}", into.display());
        (self.install)(pins, &into)?;
        fs::write(into.join(STAMP), wanted).map_err(failed)
    }

    fn is_installed(&self, wanted: &str, cache: &Path) -> bool {
        fs::read_to_string(cache.join(self.name).join(STAMP)).is_ok_and(|stamp| stamp == wanted)
    }

    /// What the stamp should say: what runs the clients (a virtual environment is good for one
    /// version of Python only), and the pins.
    fn wanted(&self, pins: &Path) -> Result<String, String> {
        let version = Command::new(self.runs).arg("--version").stdin(Stdio::null()).output();
        let version = version.map(|output| output.stdout).unwrap_or_default();
        let mut wanted = String::from_utf8_lossy(&version).into_owned();
        for name in self.pins {
            let path = pins.join(name);
            let text = fs::read_to_string(&path);
            wanted += &text.map_err(|error| format!("{}: {error}", path.display()))?;
        }
        Ok(wanted)
    }
}

fn npm_install(pins: &Path, into: &Path) -> Outcome {
    for name in NPM_PINS {
        fs::copy(pins.join(name), into.join(name)).map_err(|error| format!("{name}: {error}"))?;
    }
    let mut npm = Command::new("npm");
    // No package's own scripts: what the clients need is in the packages.
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
    cargo::run(npm.arg("--prefix").arg(into).stdin(Stdio::null()))
}

fn pip_install(pins: &Path, into: &Path) -> Outcome {
    let mut venv = Command::new("python3");
    cargo::run(venv.args(["-m", "venv"]).arg(into).stdin(Stdio::null()))?;
    let mut pip = Command::new(into.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"]);
    cargo::run(pip.arg(pins.join("requirements.txt")).stdin(Stdio::null()))
}

/// The root of the checkout, and where the clients go.
fn places() -> Result<(PathBuf, PathBuf), String> {
    Ok((cargo::root(), cache_of_sloe()?.join("clients")))
}

/// Where everything goes that is installed for tests.
///
/// # Errors
/// The environment names no place.
pub(crate) fn cache_of_sloe() -> Result<PathBuf, String> {
    let cache = cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
    cache.ok_or_else(|| "neither XDG_CACHE_HOME nor HOME says where the cache should be".to_owned())
}

fn cache(xdg: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let some = |value: Option<OsString>| value.filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = some(xdg).or_else(|| some(home).map(|home| home.join(".cache")))?;
    Some(cache.join("sloe"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_installed_goes_to_the_cache_of_whoever_runs_the_task() {
        let text = |text: &str| Some(OsString::from(text));
        let expected = Some(PathBuf::from("/c/sloe"));
        assert_eq!(cache(text("/c"), text("/h")), expected);
        let expected = Some(PathBuf::from("/h/.cache/sloe"));
        assert_eq!(cache(text(""), text("/h")), expected);
        assert_eq!(cache(None, text("/h")), expected);
        assert_eq!(cache(None, None), None);
    }

    #[test]
    fn a_part_is_installed_once_and_again_when_its_pins_change() {
        let dir = std::env::temp_dir().join(format!("sloe-clients-{}", std::process::id()));
        let (pins, cache) = (dir.join("pins"), dir.join("cache"));
        fs::create_dir_all(&pins).unwrap();
        let copy = |pins: &Path, into: &Path| {
            assert!(!into.join("copy").exists(), "what was there before is gone");
            fs::copy(pins.join("pin"), into.join("copy")).map(drop).map_err(|e| e.to_string())
        };
        let part = Part { name: "part", runs: "true", place: "", pins: &["pin"], install: copy };
        for pin in ["1", "2"] {
            fs::write(pins.join("pin"), pin).unwrap();
            let wanted = part.wanted(&pins).unwrap();
            assert!(!part.is_installed(&wanted, &cache));
            part.see_to(&pins, &cache).unwrap();
            assert!(part.is_installed(&wanted, &cache));
            assert_eq!(fs::read_to_string(cache.join("part/copy")).unwrap(), pin);
            fs::write(cache.join("part/kept"), "").unwrap();
            part.see_to(&pins, &cache).unwrap();
            assert!(cache.join("part/kept").exists());
        }
        let broken = Part { install: |_, _| Err("offline".to_owned()), ..part };
        fs::write(pins.join("pin"), "3").unwrap();
        assert_eq!(broken.see_to(&pins, &cache), Err("offline".to_owned()));
        assert!(!broken.is_installed(&broken.wanted(&pins).unwrap(), &cache));
        fs::remove_dir_all(&dir).unwrap();
    }
}
