//! Words that follow from a number.

use std::fmt::Display;

/// So many of `noun`, which takes an s for more than one: `1 row`, `0 rows`.
#[must_use]
pub fn counted<N: Display + PartialEq + From<u8> + Copy>(n: N, noun: &str) -> String {
    let s = if n == N::from(1) { "" } else { "s" };
    format!("{n} {noun}{s}")
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn only_one_is_told_without_an_s() {
        let told = [0_u64, 1, 2].map(|n| counted(n, "row"));
        assert_eq!(told, ["0 rows", "1 row", "2 rows"]);
    }
}
