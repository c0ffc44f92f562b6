//! The Cargo.toml files: what every package inherits, and how it is called.

use toml::{Table, Value};

use super::Fault;
use super::tree::File;

/// A Cargo.toml.
pub(super) struct Manifest {
    pub(super) path: String,
    text: String,
    table: Table,
}

/// One dependency as a manifest names it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Dependency {
    /// The key in the table.
    pub(super) name: String,
    /// `dependencies`, `build-dependencies` or `dev-dependencies`.
    pub(super) kind: String,
    inherited: bool,
    /// In this checkout.
    pub(super) local: bool,
}

/// The keys that every package takes from `[workspace.package]`.
const INHERITED: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];

const LICENSE: &str = "Apache-2.0";
const RUST: &str = "1.95";

/// The manifests among these files; the workspace's is the first.
///
/// # Errors
/// A manifest is not TOML, or the workspace has none.
pub(super) fn read(files: &[File]) -> Result<Vec<Manifest>, String> {
    let named = files.iter().filter(|f| f.path == "Cargo.toml" || f.path.ends_with("/Cargo.toml"));
    let manifests: Result<Vec<Manifest>, String> =
        named.map(|file| Manifest::parse(&file.path, &file.text)).collect();
    let mut manifests = manifests?;
    // A tool that is a workspace of its own shares nothing with this one.
    manifests.retain(|m| m.path == "Cargo.toml" || !m.table.contains_key("workspace"));
    manifests.sort_by_key(|manifest| manifest.path != "Cargo.toml");
    match manifests.first() {
        Some(first) if first.path == "Cargo.toml" => Ok(manifests),
        _ => Err("the workspace has no Cargo.toml".to_owned()),
    }
}

impl Manifest {
    pub(super) fn parse(path: &str, text: &str) -> Result<Self, String> {
        let table = text.parse().map_err(|error| format!("{path}: {error}"))?;
        Ok(Self { path: path.to_owned(), text: text.to_owned(), table })
    }

    /// The folder, such as `crates/core`; empty for the workspace's own.
    pub(super) fn folder(&self) -> &str {
        self.path.strip_suffix("Cargo.toml").unwrap_or_default().trim_end_matches('/')
    }

    pub(super) fn package(&self) -> Option<&str> {
        self.table.get("package")?.get("name")?.as_str()
    }

    /// All dependencies, those of single platforms too.
    pub(super) fn dependencies(&self) -> Vec<Dependency> {
        let platforms = self.table.get("target").and_then(Value::as_table);
        let platforms = platforms.into_iter().flat_map(Table::values).filter_map(Value::as_table);
        std::iter::once(&self.table).chain(platforms).flat_map(dependencies_of).collect()
    }

    /// What `[workspace.dependencies]` holds.
    pub(super) fn workspace_dependencies(&self) -> Vec<Dependency> {
        let workspace = self.table.get("workspace").and_then(Value::as_table);
        workspace.into_iter().flat_map(dependencies_of).collect()
    }

    /// The line (from 1) on which a key stands; 1 if it stands nowhere.
    pub(super) fn line_of(&self, key: &str) -> usize {
        let stands = |line: &str| {
            line.trim_start()
                .strip_prefix(key)
                .is_some_and(|rest| rest.starts_with([' ', '.', '=']))
        };
        self.text.lines().position(stands).map_or(1, |at| at + 1)
    }
}

fn dependencies_of(table: &Table) -> Vec<Dependency> {
    let kinds = ["dependencies", "build-dependencies", "dev-dependencies"];
    let rows = kinds.iter().flat_map(|kind| {
        let rows = table.get(*kind).and_then(Value::as_table).into_iter().flatten();
        rows.map(|(name, value)| Dependency {
            name: name.clone(),
            kind: (*kind).to_owned(),
            inherited: value.get("workspace").and_then(Value::as_bool) == Some(true),
            local: value.get("path").is_some(),
        })
    });
    rows.collect()
}

pub(super) fn check(manifests: &[Manifest]) -> Vec<Fault> {
    let Some((workspace, members)) = manifests.split_first() else { return Vec::new() };
    let mut faults = check_workspace(workspace);
    for member in members {
        faults.extend(check_member(member));
    }
    faults
}

fn check_workspace(workspace: &Manifest) -> Vec<Fault> {
    let package = workspace.table.get("workspace").and_then(|table| table.get("package"));
    [("license", LICENSE), ("rust-version", RUST)]
        .into_iter()
        .filter(|(key, value)| {
            package.and_then(|package| package.get(*key)).and_then(Value::as_str) != Some(*value)
        })
        .map(|(key, value)| {
            let what = format!("the workspace's `{key}` is not \"{value}\"");
            Fault::new(
                &workspace.path,
                workspace.line_of(key),
                what,
                "set it, or change README and tidy with it",
            )
        })
        .collect()
}

fn check_member(member: &Manifest) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |key: &str, what: String, instead: &str| {
        faults.push(Fault::new(&member.path, member.line_of(key), what, instead));
    };
    let name = member.package().unwrap_or_default();
    let expected = expected_name(member.folder());
    if name != expected {
        let what = format!("the package is called `{name}`, its folder says `{expected}`");
        fault("name", what, "rename one of them");
    }
    let package = member.table.get("package");
    for key in INHERITED {
        let inherited = package.and_then(|package| package.get(key)?.get("workspace")?.as_bool());
        if inherited != Some(true) {
            let what = format!("`{key}` is not the workspace's");
            fault(key, what, &format!("write `{key}.workspace = true`"));
        }
    }
    let lints = member.table.get("lints").and_then(|lints| lints.get("workspace")?.as_bool());
    if lints != Some(true) {
        fault(
            "[lints]",
            "the package has lints of its own, or none".into(),
            "write `[lints]` and `workspace = true`",
        );
    }
    for dependency in member.dependencies().iter().filter(|dependency| !dependency.inherited) {
        let what = format!("`{}` is not the workspace's", dependency.name);
        fault(&dependency.name, what, "put the version into the workspace's table and inherit it");
    }
    faults
}

/// `crates/core` is `sloe-core`; the binary is what people type.
fn expected_name(folder: &str) -> String {
    match folder {
        "crates/cli" => "sloe".to_owned(),
        other => match other.strip_prefix("crates/") {
            Some(name) => format!("sloe-{name}"),
            None => other.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKSPACE: &str = "[workspace.package]\nlicense = 'Apache-2.0'\nrust-version = '1.95'\n";
    const MEMBER: &str = "[package]\nname = 'sloe-a'\nversion.workspace = true\n\
        edition.workspace = true\nrust-version.workspace = true\nlicense.workspace = true\n\
        publish.workspace = true\n\n[lints]\nworkspace = true\n\n[dependencies]\ntokio.workspace = true\n";

    fn faults(workspace: &str, member: &str) -> Vec<String> {
        let manifests = [
            Manifest::parse("Cargo.toml", workspace).unwrap(),
            Manifest::parse("crates/a/Cargo.toml", member).unwrap(),
        ];
        check(&manifests).iter().map(Fault::to_string).collect()
    }

    fn only(member: &str, expected: &str) {
        let found = faults(WORKSPACE, member);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(expected), "{found:?}");
    }

    #[test]
    fn a_member_that_inherits_everything_is_fine() {
        assert_eq!(faults(WORKSPACE, MEMBER), [""; 0]);
    }

    #[test]
    fn a_name_that_does_not_fit_its_folder_is_found() {
        only(&MEMBER.replace("sloe-a", "a"), "crates/a/Cargo.toml:2: the package is called `a`");
        assert_eq!(expected_name("crates/cli"), "sloe");
        assert_eq!(expected_name("xtask"), "xtask");
    }

    #[test]
    fn a_key_of_its_own_is_found() {
        let own = MEMBER.replace("license.workspace = true", "license = 'MIT'");
        only(&own, "crates/a/Cargo.toml:6: `license` is not the workspace's");
    }

    #[test]
    fn missing_lints_are_found() {
        let none = MEMBER.replace("[lints]\nworkspace = true\n", "");
        only(&none, "crates/a/Cargo.toml:1: the package has lints of its own, or none");
    }

    #[test]
    fn a_version_of_its_own_is_found_even_for_one_platform() {
        only(
            &MEMBER.replace("tokio.workspace = true", "tokio = '1'"),
            "crates/a/Cargo.toml:13: `tokio`",
        );
        let platform = format!("{MEMBER}\n[target.'cfg(unix)'.dependencies]\nlibc = '0.2'\n");
        only(&platform, "crates/a/Cargo.toml:16: `libc` is not the workspace's");
    }

    #[test]
    fn another_license_or_rust_version_of_the_workspace_is_found() {
        let found = faults(&WORKSPACE.replace("1.95", "1.80"), MEMBER);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with("Cargo.toml:3: the workspace's `rust-version` is not \"1.95\"")
        );
    }
}
