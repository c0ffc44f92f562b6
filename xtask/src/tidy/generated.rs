//! Generated code is what `cargo xtask gen` made of its source.

use super::Fault;
use super::tree::{self, File};
use crate::generate::{MADE, PROTO, is_current};

pub(super) fn check(files: &[File]) -> Vec<Fault> {
    let text = |path: &str| tree::find(files, path).map_or("", |file| file.text.as_str());
    let stale = |place: &&str| !is_current(text(PROTO), text(place));
    let places = MADE.iter().map(|(_, place, _)| *place);
    let fault = |place: &str| {
        let what = format!("this is not what {PROTO} gives");
        Fault::new(place, 1, what, "run `cargo xtask gen`, and change the source only")
    };
    places.filter(stale).map(fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_was_not_made_from_the_source_is_found() {
        let file = |path: &str, text: &str| File { path: path.to_owned(), text: text.to_owned() };
        let faults = check(&[file(PROTO, "message A {}"), file(MADE[0].1, "struct A;")]);
        assert_eq!(faults.len(), MADE.len());
        assert!(faults[0].to_string().contains("cargo xtask gen"), "{}", faults[0]);
    }
}
