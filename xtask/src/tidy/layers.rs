//! Who may depend on whom. The table is the one of ARCHITECTURE.md; a crate exists to make a
//! dependency impossible, so this is where the shape of the project is kept.
//!
//! Tests are free: `dev-dependencies` are not looked at.

use super::Fault;
use super::manifest::Manifest;

/// One crate's place.
struct Layer {
    folder: &'static str,
    /// The crates of this workspace that it may use.
    may_use: &'static [&'static str],
    /// What it must never see, from outside the workspace.
    never: &'static [&'static str],
}

const HTTP: &str = "axum";

const LAYERS: [Layer; 8] = [
    Layer {
        folder: "crates/core",
        may_use: &[],
        // Its whole tree is checked besides: see `IMPURE`. Domain types have no wire form.
        never: &["serde", "serde_json", "tracing", "uuid"],
    },
    Layer {
        folder: "crates/store",
        may_use: &["sloe-core"],
        never: &[HTTP, "hyper", "reqwest", "tower", "tower-http"],
    },
    Layer {
        folder: "crates/salesforce",
        may_use: &["sloe-core"],
        never: &[HTTP, "mongodb", "rusqlite", "tower-http"],
    },
    Layer {
        folder: "crates/engine",
        may_use: &["sloe-core", "sloe-store", "sloe-salesforce"],
        never: &[HTTP, "askama", "hyper", "mongodb", "reqwest", "rusqlite", "tower-http"],
    },
    Layer {
        folder: "crates/web",
        may_use: &["sloe-core", "sloe-engine"],
        never: &["lettre", "mongodb", "reqwest", "rusqlite"],
    },
    Layer {
        folder: "crates/sim",
        may_use: &["sloe-core", "sloe-store", "sloe-salesforce", "sloe-engine"],
        never: &[],
    },
    Layer {
        folder: "crates/cli",
        may_use: &[
            "sloe-core",
            "sloe-store",
            "sloe-salesforce",
            "sloe-engine",
            "sloe-web",
            "sloe-sim",
        ],
        never: &["mongodb", "rusqlite"],
    },
    Layer { folder: "xtask", may_use: &[], never: &[] },
];

/// What can't stand anywhere below `core`: whoever has it has a clock, a dice or a socket.
const IMPURE: [&str; 14] = [
    "async-io",
    "fastrand",
    "getrandom",
    "hyper",
    "mio",
    "mongodb",
    "native-tls",
    "rand",
    "rand_core",
    "reqwest",
    "ring",
    "rusqlite",
    "socket2",
    "tokio",
];

/// How cargo is asked for what `core` builds on, by itself: features that other crates of the
/// workspace turn on are no concern of it.
pub(super) fn core_tree_arguments() -> [&'static str; 9] {
    [
        "tree",
        "--package",
        "sloe-core",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
        "--locked",
        "--quiet",
    ]
}

pub(super) fn check_core_tree(tree: &str) -> Vec<Fault> {
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    let mut found: Vec<&str> = names.filter(|name| IMPURE.contains(name)).collect();
    found.sort_unstable();
    found.dedup();
    let fault = |name: &&str| {
        let what = format!("`{name}` has come in below sloe-core, which must stay pure");
        let instead = format!("see `cargo tree -p sloe-core -i {name}` and turn that feature off");
        Fault::new("crates/core/Cargo.toml", 1, what, instead)
    };
    found.iter().map(fault).collect()
}

/// How cargo is asked for all features that any shipped build can turn on.
pub(super) fn shipped_tree_arguments() -> [&'static str; 10] {
    [
        "tree",
        "--package",
        "sloe",
        "--all-features",
        "--edges",
        "normal,build,features",
        "--prefix",
        "none",
        "--locked",
        "--quiet",
    ]
}

/// Bugs that tests plant, and the worlds that find them, are in no shipped build.
pub(super) fn check_shipped_tree(tree: &str) -> Vec<Fault> {
    let fault = |line: &str| {
        let named = |package: &str, feature: &str| {
            line.starts_with(&format!("{package} feature \"{feature}\""))
        };
        let only_tests =
            [("sloe-core", "planted"), ("sloe-sim", "world"), ("sloe-store", "testing")];
        let (package, feature) = only_tests.into_iter().find(|(p, f)| named(p, f))?;
        let what = format!("a shipped build can turn on `{package}/{feature}`, which is for tests");
        let instead = "turn it on in dev-dependencies only";
        Some(Fault::new("crates/cli/Cargo.toml", 1, what, instead))
    };
    let mut faults: Vec<_> = tree.lines().filter_map(fault).collect();
    faults.dedup();
    faults
}

pub(super) fn check(manifests: &[Manifest]) -> Vec<Fault> {
    let members = manifests.get(1..).unwrap_or_default();
    let mut faults: Vec<Fault> = members.iter().flat_map(check_member).collect();
    for layer in &LAYERS {
        if !members.iter().any(|member| member.folder() == layer.folder) {
            let what = format!("the table has `{}`, the workspace has not", layer.folder);
            faults.push(Fault::new("xtask/src/tidy/layers.rs", 1, what, "strike the row out"));
        }
    }
    faults
}

fn check_member(member: &Manifest) -> Vec<Fault> {
    let Some(layer) = LAYERS.iter().find(|layer| layer.folder == member.folder()) else {
        let what = "the crate has no place in the table of layers".to_owned();
        let instead =
            "say in xtask/src/tidy/layers.rs and ARCHITECTURE.md what it may use and why it exists";
        return vec![Fault::new(&member.path, 1, what, instead)];
    };
    let product = member.dependencies().into_iter().filter(|d| d.kind != "dev-dependencies");
    product
        .filter_map(|d| {
            judge(layer, &d.name).map(|(what, instead)| {
                Fault::new(&member.path, member.line_of(&d.name), what, instead)
            })
        })
        .collect()
}

/// What is wrong with this dependency in this layer, and what to do instead.
fn judge(layer: &Layer, name: &str) -> Option<(String, String)> {
    let folder = layer.folder;
    if name.starts_with("sloe-") && !layer.may_use.contains(&name) {
        let may = match layer.may_use {
            [] => "no crate of this workspace".to_owned(),
            may => may.join(", "),
        };
        let what = format!("{folder} must not see `{name}`");
        return Some((what, format!("it may use {may}: move the code, or pass a value")));
    }
    layer.never.contains(&name).then(|| {
        let what = format!("{folder} must not see `{name}`");
        (
            what,
            "the crate whose business that is does it; see the table in ARCHITECTURE.md".to_owned(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> Vec<String> {
        let member = Manifest::parse(path, text).unwrap();
        check_member(&member).iter().map(Fault::to_string).collect()
    }

    #[test]
    fn a_crate_that_reaches_too_far_up_or_across_is_found() {
        let text = "[dependencies]\nsloe-engine.workspace = true\nsloe-core.workspace = true\n";
        let found = faults("crates/store/Cargo.toml", text);
        assert_eq!(found.len(), 1);
        let expected = "crates/store/Cargo.toml:2: crates/store must not see `sloe-engine`; it may use sloe-core";
        assert!(found[0].starts_with(expected), "{found:?}");
        let text = "[dependencies]\nsloe-store.workspace = true\n";
        assert_eq!(faults("crates/web/Cargo.toml", text).len(), 1);
        assert_eq!(faults("crates/cli/Cargo.toml", text).len(), 0);
    }

    #[test]
    fn a_foreign_crate_in_the_wrong_layer_is_found_on_any_platform() {
        let text = "[target.'cfg(unix)'.dependencies]\naxum.workspace = true\n";
        let found = faults("crates/engine/Cargo.toml", text);
        assert!(
            found[0].starts_with("crates/engine/Cargo.toml:2: crates/engine must not see `axum`")
        );
        let text = "[dependencies]\nserde = { workspace = true, optional = true }\n";
        assert_eq!(faults("crates/core/Cargo.toml", text).len(), 1);
    }

    #[test]
    fn tests_may_use_what_they_need() {
        let text = "[dev-dependencies]\naxum.workspace = true\nsloe-store.workspace = true\n";
        assert_eq!(faults("crates/salesforce/Cargo.toml", text), [""; 0]);
    }

    #[test]
    fn a_crate_without_a_row_and_a_row_without_a_crate_are_found() {
        assert!(faults("crates/new/Cargo.toml", "")[0].contains("has no place in the table"));
        let workspace = Manifest::parse("Cargo.toml", "").unwrap();
        assert_eq!(check(&[workspace]).len(), LAYERS.len());
    }

    #[test]
    fn a_shipped_build_that_could_contain_planted_bugs_is_found() {
        let tree =
            "sloe-core feature \"default\"\nsloe-core feature \"planted\"\nsloe-sim v0.1.0\n";
        let found = check_shipped_tree(tree);
        assert_eq!(found.len(), 1);
        assert!(found[0].what.contains("`sloe-core/planted`"), "{found:?}");
        assert_eq!(check_shipped_tree("sloe-core feature \"default\"\nserde v1.0.229\n"), []);
    }

    #[test]
    fn what_comes_in_below_core_by_a_feature_is_found() {
        let tree = "sloe-core v0.1.0 (/a)\nhmac v0.13.0\ngetrandom v0.4.3\ngetrandom v0.4.3 (*)\n";
        let found = check_core_tree(tree);
        assert_eq!(found.len(), 1);
        assert!(found[0].what.contains("`getrandom`") && found[0].instead.contains("-i getrandom"));
        assert_eq!(check_core_tree("sloe-core v0.1.0\njiff v0.2.46\n"), []);
    }
}
