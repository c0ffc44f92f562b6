//! The dead letters of an org's page: counted by kind, and one by one.

use sloe_engine::engine::Engine;
use sloe_engine::sync::{Letter, LetterFilter, LetterKind, Pile};

use super::ago::Ago;
use super::answer::{self, Failure};
use super::draw::counted;
use super::facts::{Facts, Stored};
use super::overview::Asked;
use super::view::{LetterRow, Letters, PileRow};

/// Letters on one page.
const LISTED: usize = 25;

/// What an address or a form says of letters.
pub(super) const NAMES: [&str; 4] = ["code", "kind", "field", "conflict"];

/// Which letters `code`, `kind`, `field` and `conflict` mean; none of them is
/// all. With a `kind`, `field` has all the fields blamed, or none of them.
pub(super) fn filter<'a>(get: impl Fn(&str) -> Option<&'a str>) -> LetterFilter {
    let conflict = match get("conflict") {
        Some("yes") => Some(true),
        Some("no") => Some(false),
        _ => None,
    };
    let text = |name| get(name).map(str::to_owned);
    let kind = get("kind").and_then(LetterKind::parse);
    let all = || get("field").map_or_else(Vec::new, |f| f.split(',').map(str::to_owned).collect());
    let fields = kind.map(|_| all());
    let field = text("field").filter(|_| fields.is_none());
    LetterFilter { event: None, code: text("code"), field, fields, kind, conflict }
}

/// The letters that the address asks for.
pub(super) async fn page(
    engine: &Engine,
    facts: &Facts,
    stored: &Stored,
    asked: &Asked,
) -> Result<Letters, Failure> {
    let slug = &facts.org.profile.slug;
    let filter = filter(|name| asked.get(name));
    let after = asked.get("after").map(str::to_owned);
    let later = after.is_some();
    let found = engine.letters(facts.org.id(), &filter, after, LISTED).await;
    let found = found.map_err(|denied| answer::refused(&denied))?;
    let next = found.next.map(|next| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        for name in NAMES {
            if let Some(value) = asked.get(name) {
                query.append_pair(name, value);
            }
        }
        query.append_pair("after", &next);
        format!("/staff/orgs/{slug}?{}#letters", query.finish())
    });
    Ok(Letters {
        total: stored.piles.iter().map(|pile| pile.count).sum(),
        piles: stored.piles.iter().map(|pile| pile_row(facts, pile)).collect(),
        rows: found.letters.into_iter().map(|letter| row(facts, letter)).collect(),
        chosen: (filter != LetterFilter::default())
            .then(|| filter.code.unwrap_or_else(|| "one kind".to_owned())),
        next,
        later,
    })
}

/// Whoever can do something about it; empty if nobody has to.
pub(super) fn who(owner: &'static str) -> &'static str {
    if owner == "nobody" { "" } else { owner }
}

fn pile_row(facts: &Facts, pile: &Pile) -> PileRow {
    let path = format!("/staff/orgs/{}", facts.org.profile.slug);
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("code", &pile.code).append_pair("kind", pile.kind.word());
    if !pile.fields.is_empty() {
        query.append_pair("field", &pile.fields.join(","));
    }
    query.append_pair("conflict", if pile.conflict { "yes" } else { "no" });
    let query = query.finish();
    PileRow {
        count: pile.count,
        rows: match pile.kind {
            LetterKind::Attendee => counted(pile.count, "attendee", "attendees"),
            LetterKind::SessionAttendee => {
                counted(pile.count, "place in a session", "places in sessions")
            }
            LetterKind::Mail => counted(pile.count, "mail", "mails"),
        },
        is_mail: pile.kind == LetterKind::Mail,
        kind: pile.kind.word(),
        code: pile.code.clone(),
        blamed: pile.fields.join(", "),
        fields: pile.fields.join(","),
        conflict: pile.conflict,
        means: pile.means.clone(),
        fix: pile.fix.clone(),
        owner: who(pile.owner),
        since: Ago::new(pile.since, facts.at),
        href: format!("{path}?{query}#letters"),
        accept: format!("{path}/accept?{query}"),
    }
}

fn row(facts: &Facts, letter: Letter) -> LetterRow {
    LetterRow {
        box_id: format!("row-{}", letter.key.replace(|c: char| !c.is_ascii_alphanumeric(), "-")),
        kind: letter.kind.word(),
        is_mail: letter.kind == LetterKind::Mail,
        order: format!("{} no. {}", letter.reference, letter.place),
        event: facts.name_of(letter.event.event),
        code: letter.code,
        fields: letter.fields.join(", "),
        means: letter.means,
        message: letter.message,
        fix: letter.fix,
        owner: who(letter.owner),
        tries: letter.tries,
        since: Ago::new(letter.since, facts.at),
        replaying: letter.replaying,
        conflict: letter.conflict,
        key: letter.key,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pile_s_form_says_is_that_pile_and_no_other() {
        let asked = |pairs: &'static [(&str, &str)]| {
            filter(|name| {
                let found = pairs.iter().find(|(key, _)| *key == name)?;
                Some(found.1).filter(|value| !value.is_empty())
            })
        };
        let pile = |fields: &[&str]| LetterFilter {
            code: Some("STRING_TOO_LONG".to_owned()),
            fields: Some(fields.iter().map(|field| (*field).to_owned()).collect()),
            kind: Some(LetterKind::SessionAttendee),
            conflict: Some(false),
            ..LetterFilter::default()
        };
        let none = asked(&[
            ("code", "STRING_TOO_LONG"),
            ("kind", "session attendee"),
            ("field", ""),
            ("conflict", "no"),
        ]);
        assert_eq!(none, pile(&[]));
        let two = asked(&[
            ("code", "STRING_TOO_LONG"),
            ("kind", "session attendee"),
            ("field", "First__c,Last__c"),
            ("conflict", "no"),
        ]);
        assert_eq!(two, pile(&["First__c", "Last__c"]));
        assert_eq!(asked(&[]), LetterFilter::default());
        let field = Some("Last__c".to_owned());
        assert_eq!(asked(&[("field", "Last__c")]), LetterFilter { field, ..Default::default() });
    }
}
