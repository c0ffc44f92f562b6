//! What we build on: its licenses, where it comes from, and what may not come in at all.
//!
//! The policy is deny.toml, so that `cargo deny check bans licenses sources` judges by the same
//! list where that tool is installed; here the same is asked of cargo's own metadata.

use serde_json::Value;
use toml::Table;

use super::tree::{self, File};
use super::{Fault, spdx};

const POLICY: &str = "deny.toml";
const LOCK: &str = "Cargo.lock";

pub(super) struct Policy {
    licenses: Vec<String>,
    /// Package and what to use instead.
    banned: Vec<(String, String)>,
}

impl Policy {
    pub(super) fn read(files: &[File]) -> Result<Self, String> {
        let file = tree::find(files, POLICY).ok_or_else(|| format!("{POLICY} is missing"))?;
        Self::parse(&file.text).map_err(|error| format!("{POLICY}: {error}"))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let table: Table = text.parse().map_err(|error| format!("{error}"))?;
        let list = |section: &str, key: &str| {
            table.get(section).and_then(|section| section.get(key)?.as_array()).cloned()
        };
        let licenses = list("licenses", "allow").ok_or("[licenses] has no `allow`")?;
        let licenses = licenses.iter().filter_map(toml::Value::as_str).map(str::to_owned).collect();
        let rows = list("bans", "deny").ok_or("[bans] has no `deny`")?;
        let banned: Option<_> = rows
            .iter()
            .map(|row| {
                let text = |key| row.get(key).and_then(toml::Value::as_str).map(str::to_owned);
                Some((text("crate")?, text("reason")?))
            })
            .collect();
        let banned = banned.ok_or("every row of `deny` needs `crate` and `reason`")?;
        Ok(Self { licenses, banned })
    }
}

pub(super) fn check(policy: &Policy, metadata: &Value) -> Vec<Fault> {
    let packages = metadata["packages"].as_array().into_iter().flatten();
    packages.flat_map(|package| check_package(policy, package)).collect()
}

fn check_package(policy: &Policy, package: &Value) -> Vec<Fault> {
    let text = |key: &str| package[key].as_str().unwrap_or_default();
    let (name, license) = (text("name"), text("license"));
    let mut faults = Vec::new();
    let accepted = |license: &str| policy.licenses.iter().any(|allowed| allowed == license);
    match spdx::met(license, accepted) {
        Some(true) => {}
        Some(false) => faults.push(Fault::new(
            LOCK,
            1,
            format!("`{name}` asks for the license {license}, which {POLICY} does not accept"),
            "use another crate; accept a license only after reading what it demands of who ships Sloe",
        )),
        None => faults.push(Fault::new(
            LOCK,
            1,
            format!("`{name}` names no license that can be read: \"{license}\""),
            "use another crate",
        )),
    }
    // Our own crates have no source; the rest comes from a registry, which keeps what it published.
    if let Some(source) =
        package["source"].as_str().filter(|source| !source.starts_with("registry+"))
    {
        let what = format!("`{name}` comes from {source}");
        faults.push(Fault::new(LOCK, 1, what, "depend on a published version"));
    }
    if let Some((_, reason)) = policy.banned.iter().find(|(banned, _)| banned == name) {
        let instead = format!("{reason}; `cargo tree -i {name}` shows who brings it");
        faults.push(Fault::new(LOCK, 1, format!("`{name}` has come in"), instead));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const POLICY: &str = "[licenses]\nallow = ['MIT']\n\
        [bans]\ndeny = [{ crate = 'native-tls', reason = 'rustls does it' }]\n";

    fn faults(package: &Value) -> Vec<String> {
        let policy = Policy::parse(POLICY).unwrap();
        check(&policy, &json!({ "packages": [package] })).iter().map(Fault::to_string).collect()
    }

    #[test]
    fn a_published_package_with_an_accepted_license_is_fine() {
        let package = json!({ "name": "a", "license": "MIT OR GPL-3.0", "source": "registry+x" });
        assert_eq!(faults(&package), [""; 0]);
        assert_eq!(faults(&json!({ "name": "ours", "license": "MIT", "source": null })), [""; 0]);
    }

    #[test]
    fn a_license_that_is_not_accepted_or_not_there_is_found() {
        let found = faults(&json!({ "name": "a", "license": "AGPL-3.0", "source": "registry+x" }));
        assert!(found[0].contains("`a` asks for the license AGPL-3.0"), "{found:?}");
        let found = faults(&json!({ "name": "a", "license": null, "source": "registry+x" }));
        assert!(found[0].contains("names no license"), "{found:?}");
    }

    #[test]
    fn a_package_from_elsewhere_is_found() {
        let found = faults(&json!({ "name": "a", "license": "MIT", "source": "git+ssh://x" }));
        assert!(found[0].contains("`a` comes from git+ssh://x"), "{found:?}");
    }

    #[test]
    fn a_banned_package_is_found_with_what_to_use() {
        let found =
            faults(&json!({ "name": "native-tls", "license": "MIT", "source": "registry+x" }));
        assert!(found[0].contains("`native-tls` has come in; rustls does it"), "{found:?}");
    }

    #[test]
    fn a_policy_without_its_lists_is_refused() {
        assert!(Policy::parse("[licenses]\nallow = []\n").is_err());
        assert!(Policy::parse("[bans]\ndeny = []\n").is_err());
        assert!(Policy::parse("[licenses]\nallow = []\n[bans]\ndeny = ['a']\n").is_err());
    }
}
