//! The mapping files that come with Sloe: templates for an org's own.

/// Their names.
pub const PRESETS: [&str; 2] = ["sloe", "blackthorn"];

/// The text of the preset of this name, with its comments.
#[must_use]
pub fn preset(name: &str) -> Option<&'static str> {
    match name {
        "sloe" => Some(include_str!("../../presets/sloe.toml")),
        "blackthorn" => Some(include_str!("../../presets/blackthorn.toml")),
        _ => None,
    }
}
