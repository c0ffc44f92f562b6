//! License expressions: whether what a package asks for is met by licenses that we accept.
//!
//! The grammar of SPDX 2.3, annex D, and the older form `A/B` for `A OR B`.

/// Whether the expression is met when exactly the licenses for which `accept` holds are accepted.
/// `A WITH B` is asked for as one license. None if it is no license expression.
pub(super) fn met(expression: &str, accept: impl Fn(&str) -> bool) -> Option<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, accept };
    let met = reader.any()?;
    reader.words.is_empty().then_some(met)
}

struct Reader<'a, F> {
    words: &'a [&'a str],
    accept: F,
}

impl<'a, F: Fn(&str) -> bool> Reader<'a, F> {
    fn any(&mut self) -> Option<bool> {
        let mut met = self.all()?;
        while self.take("OR") {
            met |= self.all()?;
        }
        Some(met)
    }

    fn all(&mut self) -> Option<bool> {
        let mut met = self.one()?;
        while self.take("AND") {
            met &= self.one()?;
        }
        Some(met)
    }

    fn one(&mut self) -> Option<bool> {
        if self.take("(") {
            let met = self.any()?;
            return self.take(")").then_some(met);
        }
        let license = self.name()?;
        if self.take("WITH") {
            let exception = self.name()?;
            return Some((self.accept)(&format!("{license} WITH {exception}")));
        }
        Some((self.accept)(license))
    }

    fn take(&mut self, word: &str) -> bool {
        let taken = self.words.first() == Some(&word);
        if taken {
            self.words = self.words.get(1..).unwrap_or_default();
        }
        taken
    }

    fn name(&mut self) -> Option<&'a str> {
        let (first, rest) = self.words.split_first()?;
        self.words = rest;
        (!matches!(*first, "(" | ")" | "AND" | "OR" | "WITH")).then_some(*first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_mit_and_zlib(expression: &str) -> Option<bool> {
        met(expression, |license| {
            matches!(license, "MIT" | "Zlib" | "Apache-2.0 WITH LLVM-exception")
        })
    }

    #[test]
    fn a_choice_is_met_by_one_and_a_sum_by_all() {
        for expression in [
            "MIT",
            "GPL-3.0 OR MIT",
            "GPL-3.0/MIT",
            "MIT AND Zlib",
            "(GPL-3.0 OR MIT) AND Zlib",
            "Apache-2.0 WITH LLVM-exception",
        ] {
            assert_eq!(with_mit_and_zlib(expression), Some(true), "{expression}");
        }
        for expression in
            ["GPL-3.0", "MIT AND GPL-3.0", "MIT AND (BSL-1.1 OR GPL-3.0)", "Apache-2.0"]
        {
            assert_eq!(with_mit_and_zlib(expression), Some(false), "{expression}");
        }
    }

    #[test]
    fn and_binds_closer_than_or() {
        assert_eq!(with_mit_and_zlib("MIT OR Zlib AND GPL-3.0"), Some(true));
        assert_eq!(with_mit_and_zlib("GPL-3.0 AND Zlib OR MIT"), Some(true));
        assert_eq!(with_mit_and_zlib("GPL-3.0 AND (Zlib OR MIT)"), Some(false));
    }

    #[test]
    fn what_is_no_expression_is_not_met() {
        for expression in ["", "MIT OR", "(MIT", "MIT Zlib", "AND", "MIT)", "MIT WITH"] {
            assert_eq!(with_mit_and_zlib(expression), None, "{expression}");
        }
    }
}
