//! The dead letters of an org's page: counted by kind, and one by one.

use sloe_engine::engine::Engine;
use sloe_engine::sync::{Letter, LetterFilter, LetterKind, Pile};

use super::ago::Ago;
use super::answer::{self, Failure};
use super::draw::counted;
use super::facts::{Facts, Stored};
use super::judge::weight;
use super::overview::Asked;
use super::view::{LetterRow, Letters, PileRow};

/// Letters on one page.
const LISTED: usize = 25;
/// Letters of each kind where all kinds are shown.
const FIRST: usize = 3;

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

/// The letters that the address asks for: the first of every kind, or those of
/// one kind by pages.
pub(super) async fn page(
    engine: &Engine,
    facts: &Facts,
    stored: &Stored,
    asked: &Asked,
) -> Result<Letters, Failure> {
    let org = facts.org.id();
    let refused = |denied| answer::refused(&denied);
    let filter = filter(|name| asked.get(name));
    let total = stored.piles.iter().map(|pile| pile.count).sum();
    if filter == LetterFilter::default() {
        let found = engine.first_letters(org, FIRST).await.map_err(refused)?;
        let piles = stored.piles.iter().map(|pile| pile_row(facts, pile, &found)).collect();
        return Ok(Letters { total, piles, ..Letters::default() });
    }
    let piles = engine.piles(org, &filter).await.map_err(refused)?;
    let after = asked.get("after").map(str::to_owned);
    let slug = &facts.org.profile.slug;
    let first = after.as_ref().map(|_| address(slug, asked, None));
    let found = engine.letters(org, &filter, after, LISTED).await.map_err(refused)?;
    let next = found.next.map(|next| address(slug, asked, Some(&next)));
    Ok(Letters {
        total,
        piles: piles.iter().map(|pile| pile_row(facts, pile, &found.letters)).collect(),
        chosen: Some(filter.code.unwrap_or_else(|| "one kind".to_owned())),
        first,
        next,
    })
}

/// The page of the letters that were asked for, from the first or `after` one.
fn address(slug: &str, asked: &Asked, after: Option<&str>) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let named = NAMES.into_iter().filter_map(|name| Some((name, asked.get(name)?)));
    query.extend_pairs(named.chain(after.map(|after| ("after", after))));
    format!("/staff/orgs/{slug}?{}#letters", query.finish())
}

/// Whoever can do something about it; empty if nobody has to.
pub(super) fn who(owner: &'static str) -> &'static str {
    if owner == "nobody" { "" } else { owner }
}

/// A pile, with those of the letters `found` that are of it.
fn pile_row(facts: &Facts, pile: &Pile, found: &[Letter]) -> PileRow {
    let path = format!("/staff/orgs/{}", facts.org.profile.slug);
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("code", &pile.code).append_pair("kind", pile.kind.word());
    if !pile.fields.is_empty() {
        query.append_pair("field", &pile.fields.join(","));
    }
    query.append_pair("conflict", if pile.conflict { "yes" } else { "no" });
    let query = query.finish();
    let found: Vec<&Letter> = found.iter().filter(|letter| pile.holds(letter)).collect();
    let message = found.first().and_then(|letter| letter.message.clone());
    PileRow {
        count: pile.count,
        rows: match pile.kind {
            LetterKind::Attendee => counted(pile.count, "attendee", "attendees"),
            LetterKind::SessionAttendee => {
                counted(pile.count, "place in a session", "places in sessions")
            }
            LetterKind::Mail => counted(pile.count, "mail", "mails"),
        },
        id: plain(&format!("pile-{}-{}-{}", pile.code, pile.kind.word(), pile.fields.join("-"))),
        level: weight(pile),
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
        letters: found.into_iter().map(|letter| row(facts, letter, message.as_ref())).collect(),
        message,
        href: format!("{path}?{query}#letters"),
        accept: format!("{path}/accept?{query}"),
    }
}

/// As an element's name.
fn plain(text: &str) -> String {
    text.replace(|c: char| !c.is_ascii_alphanumeric(), "-")
}

fn row(facts: &Facts, letter: &Letter, told: Option<&String>) -> LetterRow {
    LetterRow {
        box_id: plain(&format!("row-{}", letter.key)),
        order: format!("{} no. {}", letter.reference, letter.place),
        event: facts.name_of(letter.event.event),
        message: letter.message.clone().filter(|message| Some(message) != told),
        tries: letter.tries,
        since: Ago::new(letter.since, facts.at),
        replaying: letter.replaying,
        key: letter.key.clone(),
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
