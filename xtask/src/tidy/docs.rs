//! Every Rust file begins by saying what it owns.

use super::Fault;
use super::source::Source;

pub(super) fn check(sources: &[Source]) -> Vec<Fault> {
    sources
        .iter()
        .filter(|source| !says_something(source.text))
        .map(|source| {
            Fault::new(
                source.path,
                1,
                "the file doesn't say what it is",
                "begin it with `//!` and what it owns",
            )
        })
        .collect()
}

fn says_something(text: &str) -> bool {
    text.strip_prefix("//!")
        .is_some_and(|rest| rest.lines().next().is_some_and(|line| line.contains(' ')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> usize {
        check(&[Source::new("a.rs", text)]).len()
    }

    #[test]
    fn a_file_without_module_docs_is_found() {
        assert_eq!(faults("use std::fmt;\n"), 1);
        assert_eq!(faults("// Owns the seats.\n"), 1);
        assert_eq!(faults("//!\nfn a() {}\n"), 1);
        assert_eq!(faults(""), 1);
    }

    #[test]
    fn a_file_that_says_what_it_owns_is_fine() {
        assert_eq!(faults("//! Owns the seats.\n"), 0);
    }
}
