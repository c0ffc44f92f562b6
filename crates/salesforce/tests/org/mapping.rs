//! Mapping files: the presets are whole, and a bad file is refused with every fault.

use sloe_core::inbound::{Field, Value};
use sloe_salesforce::map::{PRESETS, Times, preset};
use sloe_salesforce::{Column, Mapping};

/// Sloe's preset with one text in the place of another, and the faults that come of it.
fn faults(changes: &[(&str, &str)]) -> Vec<String> {
    let mut text = preset("sloe").unwrap().to_owned();
    for (before, after) in changes {
        assert!(text.contains(before), "{before} is not in the preset");
        text = text.replacen(before, after, 1);
    }
    let faults = Mapping::parse(&text).expect_err("the file was taken");
    faults.iter().map(ToString::to_string).collect()
}

fn one_fault(before: &str, after: &str) -> String {
    let mut all = faults(&[(before, after)]);
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

#[test]
fn every_preset_is_a_mapping_and_sloe_s_is_the_one_in_force_without_a_file() {
    for name in PRESETS {
        let parsed = Mapping::parse(preset(name).unwrap());
        assert!(parsed.is_ok(), "{name}: {parsed:#?}");
    }
    assert_eq!(Mapping::parse(preset("sloe").unwrap()), Ok(Mapping::default()));
    assert_eq!(preset("other"), None);
}

#[test]
fn the_preset_of_sloe_mentions_every_field_there_is() {
    let text = preset("sloe").unwrap();
    let mapping = Mapping::default();
    for names in [&mapping.event, &mapping.item, &mapping.session] {
        assert!(names.fields.values().all(|name| text.contains(&format!("= \"{name}\""))));
    }
    for entry in ["unprefixed", "values", "fallback", "only", "constants", "defaults", "wall"] {
        assert!(text.contains(entry), "{entry}");
    }
}

#[test]
fn blackthorn_s_preset_says_what_the_package_s_words_mean() {
    let mapping = Mapping::parse(preset("blackthorn").unwrap()).unwrap();
    assert_eq!(mapping.event.object, "conference360__Event__c");
    assert_eq!(mapping.attendee.key, "Sloe_Id__c");
    assert_eq!(mapping.attendee.version, None);
    assert_eq!(mapping.event.figures.all().count(), 0);
    assert_eq!(mapping.event.values[&Field::Limit]["999999"], Value::Null);
    assert_eq!(mapping.item.values[&Field::Active]["Main event ticket"], Value::Bool(true));
    assert!(mapping.attendee.parent_locks() && !mapping.session_attendee.parent_locks());
}

#[test]
fn a_namespace_prefixes_sloe_s_names_but_not_the_org_s_own() {
    let text = preset("sloe").unwrap().replace(
        "# namespace = \"sloe\"",
        "namespace = \"sloe\"\nunprefixed = [\"My_Summary__c\"]",
    );
    let text = text.replace("\"Summary__c\"", "\"My_Summary__c\"");
    let text = text.replace("# Source__c", "Source__c");
    let mapping = Mapping::parse(&text).unwrap();
    assert_eq!(mapping.event.object, "sloe__Sloe_Event__c");
    assert_eq!(mapping.event.fields[&Field::Summary], "My_Summary__c");
    assert_eq!(mapping.event.fields[&Field::Name], "Name");
    assert_eq!(mapping.item.children.as_deref(), Some("sloe__Items__r"));
    assert_eq!(mapping.attendee.columns[&Column::Email], "sloe__Email__c");
    assert_eq!(mapping.attendee.constants["Source__c"], "Sloe");
    assert_eq!(mapping.session_attendee.parent.as_deref(), Some("sloe__Attendee__r"));
}

#[test]
fn every_fault_is_named_in_one_go_with_its_line_and_what_was_meant() {
    let all = faults(&[
        ("format = 1", "format = 2"),
        ("times = \"utc\"", "times = \"berlin\""),
        ("starts_at = \"Starts_At__c\"              # needed", "start_at = \"Starts_At__c\""),
        ("capacity = \"Capacity__c\"", "capacity = 12"),
        ("summary = \"Summary__c\"", "summary = \"Summary__c FROM X\""),
        ("absent = []", "absent = [\"sumary\"]"),
        ("children = \"Items__r\"", "# "),
        ("price = \"Price__c\"", "prize = \"Price__c\""),
        ("[session.figures]\nsold = \"Sold__c\"", "[session.figures]\nsold = \"Name\""),
        ("email = \"Email__c\"", "email = \"Last_Name__c\""),
        ("cancelled = \"Cancelled\"", "cancelled = \" \""),
        ("[attendee.external]\ncount = true", "[attendee.external]\ncount = \"yes\""),
        ("# Badge_Layout__c = \"single sided\"", "\"Badge Layout\" = 1979-05-27"),
        ("master_detail = [\"attendee\"]", "master_detail = [\"status\"]"),
    ]);
    let text = all.join("\n");
    for part in [
        "line 8: format is 2, but this Sloe reads format 1 only",
        "times is \"berlin\"; it must be utc or wall",
        "event.fields.start_at is not known; did you mean starts_at?",
        "event.fields.starts_at is missing",
        "event.fields.capacity must be a text, but is of type integer",
        "event.fields.summary is \"Summary__c FROM X\", which no Salesforce org can have",
        "event.absent holds \"sumary\"; did you mean summary?",
        "item.children is missing",
        "item.fields.prize is not known; did you mean price?",
        "session.figures.sold names Name, which is in use already",
        "attendee.fields.email writes Last_Name__c, which last_name writes already",
        "attendee.status.cancelled is empty",
        "attendee.external.count must be true or false, but is of type string",
        "attendee.defaults.Badge Layout is \"Badge Layout\", which no Salesforce org can have",
        "attendee.defaults.Badge Layout must be a text, a number, true or false",
        "session_attendee.master_detail holds \"status\", which is no lookup here",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    assert_eq!(all.len(), 16, "{text}");
}

#[test]
fn what_is_no_toml_or_names_a_key_twice_is_refused_with_its_line() {
    let fault = one_fault("format = 1", "format = 1\nformat = 1");
    assert!(fault.starts_with("line 9: this is not TOML: duplicate key"), "{fault}");
    let fault = one_fault("format = 1", "format 1");
    assert!(fault.starts_with("line 8: this is not TOML"), "{fault}");
    let long = format!("{}# {}", preset("sloe").unwrap(), "x".repeat(64 * 1_024));
    let faults = Mapping::parse(&long).unwrap_err();
    assert!(faults[0].problem.contains("at most 65536"), "{faults:?}");
    let nothing = Mapping::parse("").unwrap_err();
    let places: Vec<&str> = nothing.iter().map(|fault| fault.place.as_str()).collect();
    assert_eq!(places, ["format", "event", "item", "session", "attendee", "session_attendee"]);
}

#[test]
fn words_that_would_undo_what_sloe_writes_are_refused() {
    let fault = one_fault("freed = [\"Cancelled\"]", "freed = [\"Cancelled\", \"Registered\"]");
    assert!(fault.contains("Sloe would cancel all it writes"), "{fault}");
}

#[test]
fn meanings_must_be_of_the_kind_that_sloe_reads() {
    let values = "[event.values.published]\n\"Live\" = \"yes\"\n\"*\" = false\n\
                  [event.values.status]\n\"Open\" = \"open\"\n\
                  [event.values.starts_at]\n\"x\" = \"y\"\n\
                  [event.fallback]\ntime_zone = \"Mars/Base\"\ncapacity = nan\n\
                  [item.fallback]\ncurrency = \"coins\"\n\
                  [item]";
    let all = faults(&[("[item]", values)]);
    let text = all.join("\n");
    for part in [
        "event.values.published.Live must be true or false",
        "event.values.status.Open is \"open\"; to Sloe an event is Scheduled or Cancelled",
        "event.values.starts_at.x is a date or time",
        "event.fallback.time_zone is \"Mars/Base\", which is no IANA time zone",
        "event.fallback.capacity must be a number",
        "item.fallback.currency is \"coins\", which is no currency code",
    ] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    assert_eq!(all.len(), 6, "{text}");
}

#[test]
fn a_file_may_leave_out_what_it_does_not_need() {
    let text = "format = 1\ntimes = \"wall\"\n\
        [event]\nobject = \"E__c\"\nfallback.published = true\nabsent = [\"published\"]\n\
        fields = { name = \"Name\", starts_at = \"S__c\", ends_at = \"T__c\" }\n\
        [item]\nobject = \"I__c\"\nevent = \"E__c\"\nchildren = \"Is__r\"\nfields.name = \"Name\"\n\
        [session]\nobject = \"S__c\"\nevent = \"E__c\"\nchildren = \"Ss__r\"\nfields.name = \"Name\"\n\
        [attendee]\nobject = \"A__c\"\nexternal_id = \"X__c\"\n\
        status = { registered = \"In\", cancelled = \"Out\" }\n\
        fields = { event = \"E__c\", last_name = \"L__c\", email = \"M__c\", status = \"St__c\" }\n\
        [session_attendee]\nobject = \"SA__c\"\nexternal_id = \"X__c\"\n\
        fields = { attendee = \"A__c\", session = \"S__c\", status = \"St__c\" }\n";
    let mapping = Mapping::parse(text).unwrap();
    assert_eq!(mapping.times, Times::Wall);
    assert_eq!(mapping.event.fallback[&Field::Published], Value::Bool(true));
    assert_eq!(mapping.session_attendee.statuses, mapping.attendee.statuses);
    assert_eq!(mapping.attendee.statuses.seated, ["In"]);
    assert_eq!(mapping.session_attendee.parent.as_deref(), Some("A__r"));
}
