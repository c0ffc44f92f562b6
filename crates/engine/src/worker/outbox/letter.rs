//! What a dead letter may say, and what it means in plain words.
//!
//! The org's own words may quote a person: its e-mail address in a duplicate
//! rule's message, its name in a validation rule's. So they are kept without
//! the values that Sloe sent and without anything that looks like an address,
//! sealed with the org's key, and forgotten when the person is erased or the
//! event's retention ends. Code and fields are kept in the clear.

use sloe_salesforce::error::codes;
use sloe_salesforce::{Column, Owner, Private, Rejection, RowOutcome};

use crate::tenant::Org;
use crate::view::Attendee;

/// The code of a record that was deleted in the org while Sloe had something
/// to tell it.
pub(crate) const DELETED: &str = "deleted-in-org";
/// The code of a record whose status or version the org changed.
pub(crate) const CHANGED: &str = "changed-in-org";
/// The code of a record that the org had, and that it does not show any more.
pub(crate) const MISSING: &str = "missing-in-org";
/// The code of a row that was not sent, because its parent was refused.
pub(crate) const PARENT: &str = "parent-refused";
/// The code of a row whose details Sloe itself can't open.
pub(crate) const UNREADABLE: &str = "details-unreadable";
/// What is left out of a message.
const LEFT_OUT: &str = "…";
/// A version that takes any other's place when a document is removed.
pub(crate) const ANY: u64 = i64::MAX.unsigned_abs();

/// Whether only a comparison with the org tells that a letter is settled.
pub(crate) fn is_compared(code: &str) -> bool {
    matches!(code, CHANGED | MISSING)
}

/// A refusal of which nothing is known but its code.
pub(super) fn refusal(code: &str) -> Rejection {
    Rejection { code: code.to_owned(), fields: Vec::new(), message: Private::new("") }
}

/// A refusal that Sloe itself makes, for a reason that this code names.
pub(super) fn own(code: &str) -> RowOutcome {
    RowOutcome::Rejected(refusal(code))
}

/// What a letter means to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Words {
    pub(crate) means: String,
    pub(crate) fix: String,
    pub(crate) owner: Owner,
}

/// What a letter is about, as far as its code tells too little.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum About {
    /// A confirmation mail.
    Mail,
    /// A row whose invited Contact or Lead is blamed.
    Invitee,
    /// Any other row.
    Row,
}

/// Whether one of these fields names the invited Contact or Lead.
pub(crate) fn blames_invitee(org: &Org, fields: &[String]) -> bool {
    let Some(mapping) = &org.mapping.mapping else { return false };
    let columns = &mapping.attendee.columns;
    let mut names = [Column::Contact, Column::Lead].iter().filter_map(|column| columns.get(column));
    names.any(|name| fields.iter().any(|field| field.eq_ignore_ascii_case(name)))
}

/// What a code means, what to do and who can do it.
pub(crate) fn words(code: &str, fields: &[String], about: About) -> Words {
    let (means, fix, owner) = match (about, codes::facts(code)) {
        (About::Mail, _) => (
            "The confirmation mail was refused; the order and its page stand all the same.",
            "If the address is right, send the mail again. If it is wrong, give the attendee the order's page some other way.",
            Owner::Operator,
        ),
        (About::Invitee, _)
            if matches!(code, "INVALID_CROSS_REFERENCE_KEY" | "ENTITY_IS_DELETED") =>
        {
            (
                "The invited Contact or Lead is gone from Salesforce.",
                "Send the row again: it goes without the Contact or Lead.",
                Owner::Organizer,
            )
        }
        (_, Some(facts)) if facts.row == sloe_salesforce::Advice::Retry => (
            facts.means,
            "Sloe tried again and again for over an hour. Once the reason is gone, send the row again.",
            Owner::Admin,
        ),
        (_, Some(facts)) => (facts.means, facts.fix, facts.owner),
        (_, None) => own_words(code),
    };
    let blamed = match fields {
        [] => String::new(),
        [field] => format!(" The field is {field}."),
        many => format!(" The fields are {}.", many.join(", ")),
    };
    Words { means: format!("{means}{blamed}"), fix: fix.to_owned(), owner }
}

fn own_words(code: &str) -> (&'static str, &'static str, Owner) {
    match code {
        DELETED => (
            "The record was deleted in Salesforce, and Sloe had something to tell it. It is never made anew.",
            "If it was meant, accept it. If not, restore the record from the recycle bin, then send the row again.",
            Owner::Organizer,
        ),
        CHANGED => (
            "Somebody changed in Salesforce what Sloe keeps there: the registration's status, its version or its Sloe id.",
            "If Sloe is right, send the row again; a version that somebody raised must be set back in Salesforce before, with its rule switched off meanwhile. If Salesforce is right, accept it: Sloe then leaves the record alone until the order changes.",
            Owner::Organizer,
        ),
        MISSING => (
            "Salesforce took the record, and shows it no more, not even in the recycle bin.",
            "Check that the integration user may see all attendees. If the record was deleted for good, accept it.",
            Owner::Admin,
        ),
        PARENT => (
            "The attendee's own row is not in Salesforce, so its sessions can't be either.",
            "See to the attendee's row: once it is sent again, its sessions go along.",
            Owner::Nobody,
        ),
        UNREADABLE => (
            "Sloe has details of this attendee and can't open them: they are damaged, or sealed with another key.",
            "Run sloe doctor, and see that SLOE_MASTER_KEY is the one of before, or restore the store from a backup; then send the row again.",
            Owner::Operator,
        ),
        "no-id-given" | "no-reason-given" | "not-reported" | "job-aborted" | "refused-alone" => (
            "Salesforce did not say what became of the row, again and again.",
            "Send the row again. If that does not help, tell Sloe's operator.",
            Owner::Operator,
        ),
        _ => (
            "Salesforce refused the row for a reason that Sloe does not know.",
            "Look the code up in Salesforce's documentation, put it right, then send the row again.",
            Owner::Admin,
        ),
    }
}

/// The org's words without what the row said of `person`, and without anything
/// that looks like an e-mail address.
pub(super) fn scrub(message: &str, person: Option<&Attendee>) -> String {
    let mut text: String = message
        .split_inclusive(char::is_whitespace)
        .map(|word| {
            let bare = word.trim_end();
            if bare.contains('@') { word.replace(bare, LEFT_OUT) } else { word.to_owned() }
        })
        .collect();
    let Some(person) = person else { return text };
    let names = [&person.first_name, &person.last_name];
    let parts = names
        .into_iter()
        .flat_map(|name| std::iter::once(name.trim()).chain(name.split_whitespace()));
    for value in parts.chain([person.email.trim()]) {
        text = without(&text, value);
    }
    text
}

/// The text without `value` wherever it stands as a word of its own, upper and
/// lower case alike.
fn without(text: &str, value: &str) -> String {
    let wanted: Vec<char> = value.chars().flat_map(char::to_lowercase).collect();
    if wanted.is_empty() {
        return text.to_owned();
    }
    let chars: Vec<char> = text.chars().collect();
    let is_word = |at: Option<&char>| at.is_some_and(|c| c.is_alphanumeric());
    let (mut out, mut at) = (String::with_capacity(text.len()), 0);
    while let Some(c) = chars.get(at) {
        let before = at.checked_sub(1).and_then(|before| chars.get(before));
        match ends_at(&chars, at, &wanted) {
            Some(end) if !is_word(before) && !is_word(chars.get(end)) => {
                out.push_str(LEFT_OUT);
                at = end;
            }
            _ => {
                out.push(*c);
                at += 1;
            }
        }
    }
    out
}

/// Where `wanted` (in lower case) ends if it begins at `from`.
fn ends_at(chars: &[char], from: usize, wanted: &[char]) -> Option<usize> {
    let (mut at, mut seen) = (from, 0);
    while seen < wanted.len() {
        for lower in chars.get(at)?.to_lowercase() {
            if wanted.get(seen) != Some(&lower) {
                return None;
            }
            seen += 1;
        }
        at += 1;
    }
    Some(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn person(first: &str, last: &str, email: &str) -> Attendee {
        Attendee {
            first_name: first.into(),
            last_name: last.into(),
            email: email.into(),
            invitee: None,
        }
    }

    #[test]
    fn a_message_keeps_its_sense_and_loses_the_person() {
        let ann = person("Ann", "van der Łuk", "ann@example.org");
        let said = "Nobody called ANN van der łuk <ann@example.org> may attend the annual Dinner.";
        assert_eq!(scrub(said, Some(&ann)), "Nobody called … … … may attend the annual Dinner.");
        assert_eq!(scrub("duplicate of x@y.example: stop", None), "duplicate of … stop");
        assert_eq!(scrub("", Some(&ann)), "");
    }

    #[test]
    fn every_code_comes_with_sentences_and_somebody_who_can_help() {
        for code in
            ["STRING_TOO_LONG", "NEVER_HEARD_OF", "not-reported", "UNABLE_TO_LOCK_ROW", DELETED]
        {
            let words = words(code, &["Last_Name__c".to_owned()], About::Row);
            assert!(words.means.ends_with("The field is Last_Name__c."), "{}", words.means);
            assert!(words.fix.ends_with('.') && words.owner != Owner::Nobody, "{code}");
        }
    }

    proptest! {
        #[test]
        fn no_name_or_address_is_left_whatever_stands_around_it(
            first in "\\PC{1,8}", last in "\\w{1,8}", before in "[ -~]{0,20}", after in "[ -~]{0,20}",
        ) {
            let person = person(&first, &last, "someone@example.org");
            let text = format!("{before} {last} {after} someone@example.org.");
            let scrubbed = scrub(&text, Some(&person));
            prop_assert!(!scrubbed.contains("someone@example.org"));
            let lower = last.to_lowercase();
            let left = scrubbed.split(|c: char| !c.is_alphanumeric()).any(|w| w.to_lowercase() == lower);
            prop_assert!(!left || last.contains('_'), "{scrubbed}");
        }
    }
}
