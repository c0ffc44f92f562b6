//! What `sloe sync` prints for people.

use std::fmt::Write;

use comfy_table::{ContentArrangement, Table};
use serde_json::Value;
use sloe_core::words::counted;

use super::super::org::{text, when};

fn table<const N: usize>(head: [&str; N]) -> Table {
    let mut table = Table::new();
    table.set_content_arrangement(ContentArrangement::Dynamic).set_header(head);
    table
}

fn list<'a>(answer: &'a Value, key: &str) -> &'a [Value] {
    answer.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn amount(value: &Value, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).unwrap_or(0)
}

fn number(value: &Value, key: &str) -> String {
    amount(value, key).to_string()
}

fn fields(value: &Value) -> String {
    list(value, "fields").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}

/// `sloe sync status`.
pub(super) fn status(answer: &Value) -> String {
    let orgs = list(answer, "orgs");
    if orgs.is_empty() {
        return "No org is connected yet; see sloe org add --help.".to_owned();
    }
    let mut shown =
        table(["org", "to send", "waiting since", "retrying", "refused", "conflicts", "compared"]);
    let mut notes = String::new();
    for org in orgs {
        let slug = text(org, "slug");
        shown.add_row([
            slug.clone(),
            match amount(org, "pending_batches") {
                0 => "nothing".to_owned(),
                1 => "1 batch".to_owned(),
                batches => {
                    let events = counted(amount(org, "pending_events"), "event");
                    format!("{batches} batches of {events}")
                }
            },
            when(org, "waiting_since"),
            number(org, "retrying"),
            number(org, "dead_letters"),
            number(org, "conflicts"),
            compared(org),
        ]);
        if let Some(fault) = org.get("fault").filter(|fault| !fault.is_null()) {
            let _ = write!(notes, "\n{slug}: {} {}", text(fault, "means"), text(fault, "remedy"));
        }
        if !text(org, "waits_until").is_empty() {
            let until = when(org, "waits_until");
            let _ = write!(
                notes,
                "\n{slug}: few API calls are left; Sloe looks again at {until} at the latest."
            );
        }
        if amount(org, "dead_letters") + amount(org, "conflicts") > 0 {
            let _ = write!(notes, "\n{slug}: see sloe sync letters {slug}.");
        }
    }
    format!("{shown}{notes}")
}

/// How the last comparison went, in a cell.
fn compared(org: &Value) -> String {
    let Some(last) = org.get("last_verify").filter(|last| !last.is_null()) else {
        return "not yet".to_owned();
    };
    let clean = last.get("clean").and_then(Value::as_bool).unwrap_or(false);
    let found: u64 = list(last, "differences").iter().map(|found| amount(found, "found")).sum();
    let at = when(last, "ended");
    match (clean, found) {
        (true, _) => format!("all well, {at}"),
        (false, 0) => format!("not to its end, {at}"),
        (false, 1) => format!("1 row differs, {at}"),
        (false, found) => format!("{found} rows differ, {at}"),
    }
}

/// `sloe sync verify`.
pub(super) fn verified(last: &Value) -> String {
    let rows = counted(amount(last, "rows"), "row");
    let mut out = format!("Compared {rows} of {}.", counted(amount(last, "events"), "event"));
    let differences = list(last, "differences");
    if !differences.is_empty() {
        let mut shown = table(["difference", "found", "put right", "what it is"]);
        for difference in differences {
            let kind = text(difference, "kind");
            let means = meaning(&kind);
            shown.add_row([
                kind,
                number(difference, "found"),
                number(difference, "mended"),
                means.to_owned(),
            ]);
        }
        let _ = write!(out, "\n{shown}");
    }
    for stranger in list(last, "surplus").iter().filter_map(Value::as_str) {
        let _ = write!(out, "\nNot Sloe's: {stranger}");
    }
    let unsure = amount(last, "unsure");
    if unsure > 0 {
        let rows = counted(unsure, "row");
        let _ = write!(out, "\nNot judged, as on the way or with a letter: {rows}.");
    }
    let left_out = amount(last, "left_out");
    if left_out > 0 {
        let _ = write!(out, "\nNot compared yet: {}.", counted(left_out, "event"));
    }
    let trouble = ["refusal", "fault"].map(|name| last.get(name).filter(|fault| !fault.is_null()));
    let [refusal, fault] = trouble;
    let open = |found: &Value| {
        let told = refusal.is_some() && text(found, "kind") == "figures";
        !told && amount(found, "found") > amount(found, "mended")
    };
    if differences.iter().any(open) {
        out.push_str("\nWhat was not put right needs somebody: sloe sync letters shows it.");
    }
    for fault in [refusal, fault].into_iter().flatten() {
        let _ = write!(out, "\n{} {}", text(fault, "means"), text(fault, "remedy"));
    }
    if last.get("clean").and_then(Value::as_bool).unwrap_or(false) {
        out.push_str(match unsure {
            0 => "\nThe org holds what it was sent.",
            _ => "\nWhat was compared is as it was sent.",
        });
    }
    out
}

fn meaning(kind: &str) -> &'static str {
    match kind {
        "missing" => "the org doesn't show the row",
        "deleted" => "the org deleted the row",
        "stale" => "the org holds an older state than it took",
        "cancelled" => "the org cancelled the registration",
        "changed" => "the org changed what Sloe wrote",
        "surplus" => "the row names itself Sloe's and is not",
        "figures" => "the figures are not those last told",
        _ => "",
    }
}

/// `sloe sync letters`.
pub(super) fn letters(answer: &Value, org: &str) -> String {
    let letters = list(answer, "letters");
    if letters.is_empty() {
        return "No letters.".to_owned();
    }
    let mut shown = table(["id", "what", "order", "code", "fields", "since", "tries", ""]);
    for letter in letters {
        let replaying = letter.get("replaying").and_then(Value::as_bool).unwrap_or(false);
        shown.add_row([
            text(letter, "id"),
            text(letter, "kind"),
            format!("{} no. {}", text(letter, "reference"), number(letter, "place")),
            text(letter, "code"),
            fields(letter),
            when(letter, "since"),
            number(letter, "tries"),
            if replaying { "goes again".to_owned() } else { String::new() },
        ]);
    }
    let mut out = shown.to_string();
    for pile in list(answer, "piles") {
        let (count, code) = (number(pile, "count"), text(pile, "code"));
        let (means, fix) = (text(pile, "means"), text(pile, "fix"));
        let _ = write!(out, "\n\n{count} × {code} ({})\n  {means}\n  {fix}", text(pile, "kind"));
        let owner = text(pile, "owner");
        if owner != "nobody" {
            let _ = write!(out, "\n  Who can: the {owner}.");
        }
        let same = |letter: &&Value| {
            ["code", "kind", "fields"].iter().all(|key| letter.get(key) == pile.get(key))
        };
        if let Some(said) = letters.iter().find(same).map(|letter| text(letter, "message"))
            && !said.is_empty()
        {
            let _ = write!(out, "\n  Salesforce's words, of the first: {said}");
        }
        let these = format!("{org} --code {code} --kind {}", text(pile, "kind").replace(' ', "-"));
        // What nobody has to do anything about goes by itself.
        if owner != "nobody" {
            let _ = write!(out, "\n  Once that is done: sloe sync replay {these}");
        }
        if pile.get("conflict").and_then(Value::as_bool).unwrap_or(false) {
            let _ = write!(out, "\n  To leave them: sloe sync accept {these}");
        }
    }
    more(&mut out, answer);
    out
}

/// `sloe sync letters --waiting`.
pub(super) fn waiting(answer: &Value) -> String {
    let rows = list(answer, "rows");
    if rows.is_empty() {
        return "No row waits to be sent again.".to_owned();
    }
    let mut shown = table(["id", "what", "order", "code", "tries", "next try"]);
    for row in rows {
        shown.add_row([
            text(row, "id"),
            text(row, "kind"),
            format!("{} no. {}", text(row, "reference"), number(row, "place")),
            text(row, "code"),
            number(row, "tries"),
            when(row, "next_try"),
        ]);
    }
    let mut out = shown.to_string();
    more(&mut out, answer);
    out
}

fn more(out: &mut String, answer: &Value) {
    if let Some(next) = answer.get("next").and_then(Value::as_str) {
        let _ = write!(out, "\n\nThere are more: add --after {next}");
    }
}

/// `sloe sync replay`.
pub(super) fn replayed(answer: &Value) -> String {
    let rows = match number(answer, "rows").as_str() {
        "0" => "Nothing is sent again.".to_owned(),
        "1" => "1 row is sent again; its letter goes away once it was taken.".to_owned(),
        rows => format!("{rows} rows are sent again; their letters go away once they were taken."),
    };
    format!("{rows}{}", unknown(answer, "letters"))
}

/// `sloe sync accept`.
pub(super) fn accepted(answer: &Value) -> String {
    let rows = match number(answer, "rows").as_str() {
        "0" => "Nothing is accepted.".to_owned(),
        "1" => "1 record stays as the org has it.".to_owned(),
        rows => format!("{rows} records stay as the org has them."),
    };
    format!("{rows}{}", unknown(answer, "conflicts"))
}

fn unknown(answer: &Value, what: &str) -> String {
    let unknown = list(answer, "unknown").iter().filter_map(Value::as_str);
    unknown.map(|id| format!("\n{id} is none of the org's {what}.")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_is_told_as_one_and_moments_in_words() {
        let last = |found: u64| {
            json!({ "clean": false, "ended": "2026-11-26T10:00:00.123Z", "rows": 1, "events": 1,
                "unsure": 1, "left_out": 2,
                "differences": [{ "kind": "changed", "found": found, "mended": 0 }] })
        };
        let org = json!({ "slug": "acme", "pending_batches": 1, "pending_events": 1,
            "last_verify": last(1), "waits_until": "2026-11-26T10:05:00.5Z" });
        let shown = status(&json!({ "orgs": [org] }));
        for part in [
            "1 batch ",
            "1 row differs, 2026-11-26 10:00:00 UTC",
            "looks again at 2026-11-26 10:05:00 UTC at the latest.",
        ] {
            assert!(shown.contains(part), "{part} is missing in\n{shown}");
        }
        assert!(compared(&json!({ "last_verify": last(2) })).starts_with("2 rows differ, "));
        let shown = verified(&last(1));
        for part in [
            "Compared 1 row of 1 event.",
            "with a letter: 1 row.",
            "Not compared yet: 2 events.",
            "sloe sync letters",
        ] {
            assert!(shown.contains(part), "{part} is missing in\n{shown}");
        }
    }

    #[test]
    fn a_letter_is_told_with_its_meaning_and_who_can_help() {
        let answer = json!({
            "letters": [{ "id": "k-2", "kind": "attendee", "reference": "7K3M-9QXZ", "place": 2,
                "code": "STRING_TOO_LONG", "fields": ["Last_Name__c"], "tries": 3,
                "since": "2026-11-26T10:00:00.123Z", "replaying": true,
                "message": "too long: …" }],
            "piles": [{ "count": 1, "code": "STRING_TOO_LONG", "kind": "attendee",
                "fields": ["Last_Name__c"],
                "means": "A text is too long.", "fix": "Shorten it.", "owner": "admin" }],
            "next": "k-2",
        });
        let shown = letters(&answer, "acme");
        for part in [
            "7K3M-9QXZ no. 2",
            "goes again",
            "A text is too long.",
            "the admin",
            "of the first: too long: …",
            "replay acme --code STRING_TOO_LONG --kind attendee",
            "--after k-2",
        ] {
            assert!(shown.contains(part), "{part} is missing in\n{shown}");
        }
        let told = accepted(&json!({ "rows": 1, "unknown": ["k-2"] }));
        assert_eq!(told, "1 record stays as the org has it.\nk-2 is none of the org's conflicts.");
    }
}
