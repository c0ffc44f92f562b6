//! Differences of long texts, which change events tell of instead of the texts where that is shorter.
//!
//! When and how: "Sending Data Differences for Fields of Updated Records" and "Data Differences in Event Fields" of
//! Salesforce's Change Data Capture guide. A unified diff by lines, no unchanged lines around, with the SHA-256 of the
//! whole new text.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// Shorter texts are told whole, in characters.
const SHORTEST: usize = 1_000;
/// More pairs of changed lines are not compared: then so much has changed that the whole text goes.
const MOST_PAIRS: usize = 1_000_000;

/// A stretch of lines that became another: from where, how many, in the old text and in the new one.
type Hunk = ((usize, usize), (usize, usize));

/// What became of a text; none where the whole new text is to be told.
pub(super) fn difference(old: &str, new: &str) -> Option<String> {
    let (old_length, length) = (old.chars().count(), new.chars().count());
    if length < SHORTEST || old_length.abs_diff(length) * 2 > old_length.max(length) {
        return None;
    }
    let (before, after): (Vec<&str>, Vec<&str>) =
        (old.split('\n').collect(), new.split('\n').collect());
    let hunks = hunks(&before, &after)?;
    let changed: usize = hunks.iter().map(|((_, gone), (_, come))| gone + come).sum();
    if changed * 4 > before.len() + after.len() {
        return None;
    }
    let hash = Sha256::digest(new.as_bytes());
    let hash: String = hash.iter().fold(String::new(), |mut hex, byte| {
        // Writing to memory does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    let mut out = format!("--- \n+++ {hash}\n");
    for ((from, gone), (to, come)) in hunks {
        // Of no lines, the one before is named.
        let place = |at: usize, count: usize| at + usize::from(count > 0);
        let _ = writeln!(out, "@@ -{},{gone} +{},{come} @@", place(from, gone), place(to, come));
        let lines = |all: &[&str], at: usize, count: usize, sign: char| {
            all.iter()
                .skip(at)
                .take(count)
                .fold(String::new(), |text, line| text + &format!("{sign}{line}\n"))
        };
        out.push_str(&lines(&before, from, gone, '-'));
        out.push_str(&lines(&after, to, come, '+'));
    }
    (out.chars().count() <= length).then_some(out)
}

/// The stretches that differ, fewest lines in all; none if there are too many to compare.
fn hunks(before: &[&str], after: &[&str]) -> Option<Vec<Hunk>> {
    let same =
        |pairs: &mut dyn Iterator<Item = (&&str, &&str)>| pairs.take_while(|(a, b)| a == b).count();
    let head = same(&mut before.iter().zip(after));
    let (old, new) = (before.get(head..)?, after.get(head..)?);
    let tail = same(&mut old.iter().rev().zip(new.iter().rev()));
    let (old, new) = (old.get(..old.len() - tail)?, new.get(..new.len() - tail)?);
    if old.len().checked_mul(new.len())? > MOST_PAIRS {
        return None;
    }
    let common = common(old, new);
    let kept = |i: usize, j: usize| common.get(i * (new.len() + 1) + j).copied().unwrap_or(0);
    let mut hunks: Vec<Hunk> = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && old.get(i) == new.get(j) {
            (i, j) = (i + 1, j + 1);
            continue;
        }
        let (from, to) = (i, j);
        while (i < old.len() || j < new.len()) && (i == old.len() || old.get(i) != new.get(j)) {
            if j == new.len() || (i < old.len() && kept(i + 1, j) >= kept(i, j + 1)) {
                i += 1;
            } else {
                j += 1;
            }
        }
        hunks.push(((head + from, i - from), (head + to, j - to)));
    }
    Some(hunks)
}

/// How many lines the rests have in common, for each place in the old and each in the new.
fn common(old: &[&str], new: &[&str]) -> Vec<u32> {
    let width = new.len() + 1;
    let mut table = vec![0_u32; (old.len() + 1) * width];
    for (i, line) in old.iter().enumerate().rev() {
        for (j, other) in new.iter().enumerate().rev() {
            let at = |i: usize, j: usize| table.get(i * width + j).copied().unwrap_or(0);
            let most =
                if line == other { at(i + 1, j + 1) + 1 } else { at(i + 1, j).max(at(i, j + 1)) };
            if let Some(cell) = table.get_mut(i * width + j) {
                *cell = most;
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text(lines: impl Iterator<Item = usize>) -> Vec<String> {
        lines
            .map(|line| format!("Line {line} of a text that is long enough to be told in parts."))
            .collect()
    }

    /// Makes the new text of the old one and what is told, as a subscriber does.
    fn apply(old: &str, told: &str) -> String {
        let old: Vec<&str> = old.split('\n').collect();
        let mut out: Vec<&str> = Vec::new();
        let mut at = 0;
        for line in told.lines().skip(2) {
            if let Some(head) = line.strip_prefix("@@ -") {
                let (from, rest) = head.split_once(',').unwrap();
                let (count, _) = rest.split_once(' ').unwrap();
                let (from, count): (usize, usize) = (from.parse().unwrap(), count.parse().unwrap());
                let from = if count > 0 { from - 1 } else { from };
                out.extend(&old[at..from]);
                at = from + count;
            } else if let Some(line) = line.strip_prefix('+') {
                out.push(line);
            }
        }
        out.extend(&old[at..]);
        out.join("\n")
    }

    #[test]
    fn a_long_text_s_changed_lines_are_told_with_the_hash_of_the_whole() {
        let old = text(0..40);
        let mut new = old.clone();
        new[3] = "Changed.".to_owned();
        new.remove(10);
        new.insert(20, "New.".to_owned());
        let (old, new) = (old.join("\n"), new.join("\n"));
        let told = difference(&old, &new).unwrap();
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines[0], "--- ");
        assert_eq!(lines[1].len(), "+++ ".len() + 64);
        assert_eq!(lines[2], "@@ -4,1 +4,1 @@");
        assert_eq!(lines[4..6], ["+Changed.", "@@ -11,1 +10,0 @@"]);
        assert_eq!(lines[7..], ["@@ -21,0 +21,1 @@", "+New."]);
        assert_eq!(apply(&old, &told), new);
    }

    #[test]
    fn a_text_is_told_whole_where_its_difference_says_little_less() {
        let old = text(0..40).join("\n");
        let half = text(0..15).join("\n");
        let others = text(100..140).join("\n");
        let quarter = [text(0..28), text(200..212)].concat().join("\n");
        for (before, after) in [
            ("short", "also short"),
            (old.as_str(), &half),
            (&old, &others),
            (&old, &quarter),
            (&"x".repeat(2_000), &"y".repeat(2_000)),
        ] {
            assert_eq!(difference(before, after), None, "{after}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whoever_applies_what_is_told_has_the_new_text(
            places in proptest::collection::vec((0_usize..60, 0_u8..3), 0..8),
        ) {
            let old = text(0..60);
            let mut new = old.clone();
            for (place, what) in places {
                let place = place.min(new.len() - 1);
                match what {
                    0 => drop(new.remove(place)),
                    1 => new.insert(place, "in between".to_owned()),
                    _ => new[place] = String::new(),
                }
            }
            let (old, new) = (old.join("\n"), new.join("\n"));
            if let Some(told) = difference(&old, &new) {
                proptest::prop_assert_eq!(apply(&old, &told), new);
            }
        }
    }
}
