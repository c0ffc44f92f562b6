//! Every dependency is used: an entry of the workspace's table by some member, a member's by its
//! code. What only tests name is a dependency of the tests, so that it can't get into the binary.

use super::Fault;
use super::manifest::{Dependency, Manifest};
use super::source::{self, Source};

/// Where the code that may name a crate lies; what is under `src/` and no test is shipped.
const CODE: [&str; 5] = ["src/", "build.rs", "tests/", "examples/", "benches/"];

const TABLE: &str = "xtask/src/tidy/unused.rs";

/// A dependency that stays though no code names it.
struct Unnamed {
    package: &'static str,
    name: &'static str,
    /// Why it is there all the same.
    reason: &'static str,
}

const UNNAMED: [Unnamed; 2] = [
    Unnamed { package: "sloe-salesforce", name: "prost", reason: GENERATED },
    Unnamed { package: "sloe-sim", name: "prost", reason: GENERATED },
];

const GENERATED: &str = "generated code names it, as `::prost`";

pub(super) fn check(manifests: &[Manifest], sources: &[Source<'_>]) -> Vec<Fault> {
    let Some((workspace, members)) = manifests.split_first() else { return Vec::new() };
    let used: Vec<Dependency> = members.iter().flat_map(Manifest::dependencies).collect();
    let table = workspace.workspace_dependencies();
    let idle = table.iter().filter(|entry| !used.iter().any(|used| used.name == entry.name));
    let mut faults: Vec<Fault> = idle
        .map(|Dependency { name, .. }| {
            let what = format!("no member uses `{name}`");
            let instead = "strike it out, and its reason in docs/dependencies.md";
            Fault::new(&workspace.path, workspace.line_of(name), what, instead)
        })
        .collect();
    faults.extend(members.iter().flat_map(|member| check_member(member, sources, &UNNAMED)));
    faults
}

/// What names a dependency.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    Nothing,
    Tests,
    /// What is shipped.
    Source,
}

fn check_member(member: &Manifest, sources: &[Source<'_>], unnamed: &[Unnamed]) -> Vec<Fault> {
    let code: Vec<(&str, &Source<'_>)> = sources
        .iter()
        .filter_map(|source| Some((within(source.path, member.folder())?, source)))
        .collect();
    let mut faults = Vec::new();
    for Dependency { name, kind, .. } in member.dependencies() {
        let excepted = |row: &&Unnamed| Some(row.package) == member.package() && row.name == name;
        let excepted = unnamed.iter().find(excepted);
        let mut fault = |what: &str, instead: &str| {
            let line = member.line_of(&name);
            faults.push(Fault::new(&member.path, line, format!("{what} `{name}`"), instead));
        };
        match (named(&code, &name), excepted) {
            (By::Nothing, Some(_)) => {}
            (By::Nothing, None) => fault("no code of the package names", "strike it out"),
            (_, Some(row)) => {
                let instead = format!("strike the exception out of {TABLE}: {}", row.reason);
                fault("code of the package names", &instead);
            }
            (By::Tests, None) if kind == "dependencies" => {
                fault("only tests name", "make it one of [dev-dependencies]");
            }
            (By::Tests | By::Source, None) => {}
        }
    }
    faults
}

fn named(code: &[(&str, &Source<'_>)], name: &str) -> By {
    let krate = name.replace('-', "_");
    let all = code.iter().flat_map(|(at, source)| {
        naming(&source.code, &krate).into_iter().map(|line| {
            if at.starts_with("src/") && !source.is_test(line) { By::Source } else { By::Tests }
        })
    });
    all.max().unwrap_or(By::Nothing)
}

/// The path from the package's folder, if it is code of that package.
fn within<'p>(path: &'p str, folder: &str) -> Option<&'p str> {
    let path = path.strip_prefix(folder)?.strip_prefix('/')?;
    CODE.iter().any(|code| path.starts_with(code)).then_some(path)
}

/// The lines (from 1) that name a crate: in a path that begins with it, or in a `use` of all of it.
/// A variable, a field or a module of the same name is none of these.
fn naming(code: &str, krate: &str) -> Vec<usize> {
    let names = |at: &usize| {
        let before = code[..*at].trim_end();
        let path = code[at + krate.len()..].trim_start().starts_with("::");
        let whole = ["use", "extern crate"].iter().any(|word| before.ends_with(word));
        (path || whole) && !before.ends_with("::")
    };
    source::words(code, krate).filter(names).map(|at| source::line_of(code, at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKSPACE: &str = "[workspace.dependencies]\nserde-json = '1'\ntower = '1'\n";

    /// The faults of a package `crates/a` with these lines in its manifest and these files.
    fn faults(manifest: &str, files: &[(&str, &str)]) -> Vec<String> {
        let manifests = [
            Manifest::parse("Cargo.toml", WORKSPACE).unwrap(),
            Manifest::parse("crates/a/Cargo.toml", manifest).unwrap(),
        ];
        let sources: Vec<_> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
        check(&manifests, &sources).iter().map(Fault::to_string).collect()
    }

    const BOTH: &str = "[dependencies]\nserde-json.workspace = true\n\
        [dev-dependencies]\ntower.workspace = true\n";
    const SRC: (&str, &str) = ("crates/a/src/lib.rs", "fn a() { serde_json::to_string(&1); }");
    const TEST: (&str, &str) = ("crates/a/tests/a.rs", "use tower as t;");

    #[test]
    fn what_code_names_is_fine() {
        assert_eq!(faults(BOTH, &[SRC, TEST]), [""; 0]);
    }

    #[test]
    fn an_entry_of_the_table_that_no_member_has_is_found() {
        let found = faults("[dependencies]\nserde-json.workspace = true\n", &[SRC]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("Cargo.toml:3: no member uses `tower`"), "{found:?}");
    }

    #[test]
    fn a_dependency_that_no_code_names_is_found() {
        let found = faults(BOTH, &[SRC]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(
            found[0].starts_with("crates/a/Cargo.toml:4: no code of the package names `tower`")
        );
        // Another package's code doesn't count, nor does what lies elsewhere in this one.
        for path in ["crates/ab/src/lib.rs", "crates/b/src/lib.rs", "crates/a/salesforce/x.rs"] {
            assert_eq!(faults(BOTH, &[(path, SRC.1), TEST]).len(), 1, "{path}");
        }
    }

    #[test]
    fn what_only_tests_name_is_a_dependency_of_tests() {
        let unit = "#[cfg(test)]\nmod tests {\n    use serde_json::json;\n}\n";
        for path in ["crates/a/tests/b.rs", "crates/a/examples/b.rs", "crates/a/src/tests.rs"] {
            let found = faults(BOTH, &[(path, SRC.1), TEST]);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(":2: only tests name `serde-json`; make it"), "{found:?}");
        }
        assert_eq!(faults(BOTH, &[("crates/a/src/lib.rs", unit), TEST]).len(), 1);
    }

    #[test]
    fn an_exception_holds_until_code_names_it() {
        let manifest = format!("[package]\nname = 'sloe-a'\n{BOTH}");
        let manifest = Manifest::parse("crates/a/Cargo.toml", &manifest).unwrap();
        let row = |package| Unnamed { package, name: "tower", reason: "for its features" };
        let found = |package, files: &[(&str, &str)]| {
            let sources: Vec<_> =
                files.iter().map(|(path, text)| Source::new(path, text)).collect();
            let faults = check_member(&manifest, &sources, &[row(package)]);
            faults.iter().map(Fault::to_string).collect::<Vec<_>>()
        };
        assert_eq!(found("sloe-a", &[SRC]), [""; 0]);
        assert_eq!(found("sloe-b", &[SRC]).len(), 1);
        let stale = found("sloe-a", &[SRC, TEST]);
        assert!(stale[0].contains("code of the package names `tower`; strike the exception"));
    }

    #[test]
    fn what_is_only_called_the_same_is_not_named() {
        for text in [
            "// serde_json::to_string",
            "fn a() { \"serde_json::to_string\"; }",
            "fn a(serde_json: u8) -> u8 { serde_json }",
            "use crate::serde_json::to_string;",
            "fn a() { my_serde_json::to_string(); }",
        ] {
            assert_eq!(faults(BOTH, &[("crates/a/src/lib.rs", text), TEST]).len(), 1, "{text}");
        }
        for text in ["use serde_json;", "extern crate serde_json;", "use {serde_json::json};"] {
            assert_eq!(faults(BOTH, &[("crates/a/src/lib.rs", text), TEST]), [""; 0], "{text}");
        }
    }
}
