//! Every dependency has its reason in docs/dependencies.md, and no reason has lost its dependency.

use super::Fault;
use super::manifest::Manifest;
use super::tree::{self, File};

const LIST: &str = "docs/dependencies.md";

pub(super) fn check(manifests: &[Manifest], files: &[File]) -> Vec<Fault> {
    let Some(workspace) = manifests.first() else { return Vec::new() };
    let text = tree::find(files, LIST).map(|file| file.text.as_str()).unwrap_or_default();
    compare(workspace, text)
}

fn compare(workspace: &Manifest, list: &str) -> Vec<Fault> {
    let reasons = reasons(list);
    let dependencies = workspace.workspace_dependencies();
    let foreign: Vec<&str> =
        dependencies.iter().filter(|d| !d.local).map(|d| d.name.as_str()).collect();
    let mut faults = Vec::new();
    for name in &foreign {
        if !reasons.iter().any(|(_, reason)| reason == name) {
            let what = format!("`{name}` has no reason");
            let instead = format!("give it a line \"- `{name}`: why\" in {LIST}, or do without");
            faults.push(Fault::new(&workspace.path, workspace.line_of(name), what, instead));
        }
    }
    for (at, (line, name)) in reasons.iter().enumerate() {
        if !foreign.contains(name) {
            let what = format!("`{name}` is no dependency of the workspace");
            faults.push(Fault::new(LIST, *line, what, "strike the line out"));
        }
        if reasons.iter().take(at).any(|(_, earlier)| earlier == name) {
            let what = format!("`{name}` has a second line");
            faults.push(Fault::new(LIST, *line, what, "keep one"));
        }
    }
    faults
}

/// The lines of the form "- `name`: why", with their numbers.
fn reasons(list: &str) -> Vec<(usize, &str)> {
    let rows = list.lines().enumerate();
    rows.filter_map(|(at, line)| reason(line).map(|name| (at + 1, name))).collect()
}

fn reason(line: &str) -> Option<&str> {
    let (name, why) = line.strip_prefix("- `")?.split_once("`:")?;
    (!why.trim().is_empty()).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKSPACE: &str =
        "[workspace.dependencies]\nsloe-core = { path = 'crates/core' }\ncsv = '1'\ntoml = '1'\n";

    fn faults(list: &str) -> Vec<String> {
        let workspace = Manifest::parse("Cargo.toml", WORKSPACE).unwrap();
        compare(&workspace, list).iter().map(Fault::to_string).collect()
    }

    #[test]
    fn one_line_each_is_fine_and_our_own_crates_need_none() {
        assert_eq!(faults("# Why\n\n- `csv`: rows.\n- `toml`: files.\n"), [""; 0]);
    }

    #[test]
    fn a_dependency_without_a_reason_is_found() {
        let found = faults("- `csv`: rows.\n- `toml`:\n");
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("Cargo.toml:4: `toml` has no reason"), "{found:?}");
    }

    #[test]
    fn a_reason_without_a_dependency_and_a_second_reason_are_found() {
        let found =
            faults("- `csv`: rows.\n- `toml`: files.\n- `gone`: was nice.\n- `csv`: again.\n");
        assert_eq!(found.len(), 2);
        assert!(found[0].starts_with("docs/dependencies.md:3: `gone` is no dependency"));
        assert!(found[1].starts_with("docs/dependencies.md:4: `csv` has a second line"));
    }
}
