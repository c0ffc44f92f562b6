//! A mapping file, read: a typed mapping, or every fault with its line. Who
//! writes a mapping and who reads it back both come through here.

use std::fmt;

use toml::de::DeTable;

use super::file::File;
use super::keys::{self, Kind, ReadKey, WriteKey};
use super::{
    Column, ExternalRule, FigureNames, Mapping, ReadNames, StatusWords, Times, WriteNames,
    relationship,
};

/// Longest mapping file, in bytes.
const LONGEST: usize = 64 * 1_024;
/// The version of the file's own form.
const FORMAT: i64 = 1;

/// One thing wrong with a mapping file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingFault {
    /// Where, from 1; `None` for what is missing altogether.
    pub line: Option<usize>,
    /// What, as the file names it: `event.fields.name`.
    pub place: String,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for MappingFault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(out, "line {line}: ")?;
        }
        if !self.place.is_empty() {
            write!(out, "{} ", self.place)?;
        }
        out.write_str(&self.problem)
    }
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// Every fault that can be named at once, by line.
    pub fn parse(text: &str) -> Result<Self, Vec<MappingFault>> {
        if text.len() > LONGEST {
            let problem = format!("the file has {} bytes; at most {LONGEST} are read", text.len());
            return Err(vec![MappingFault { line: None, place: String::new(), problem }]);
        }
        let (root, errors) = DeTable::parse_recoverable(text);
        let mut file = File::new(text);
        for error in &errors {
            file.syntax(error);
        }
        if !errors.is_empty() {
            return Err(file.into_faults());
        }
        let mapping = mapping(&mut file, root.get_ref());
        let faults = file.into_faults();
        match mapping {
            Some(mapping) if faults.is_empty() => Ok(mapping),
            _ => Err(faults),
        }
    }
}

fn mapping(file: &mut File<'_>, root: &DeTable<'_>) -> Option<Mapping> {
    const KNOWN: [&str; 9] = [
        "format",
        "namespace",
        "unprefixed",
        "times",
        "event",
        "item",
        "session",
        "attendee",
        "session_attendee",
    ];
    file.known(root, "", &KNOWN);
    match file.integer(root, "", "format") {
        Some(FORMAT) => {}
        Some(other) => {
            let problem = format!("is {other}, but this Sloe reads format {FORMAT} only");
            file.fault(root, "", "format", problem);
        }
        None => file.missing("", "format", "is missing; it is 1 so far"),
    }
    let namespace = namespace(file, root);
    let except = file.names(root, "", "unprefixed").unwrap_or_default();
    let times = match file.text(root, "", "times").as_deref() {
        None | Some("utc") => Times::Utc,
        Some("wall") => Times::Wall,
        Some(other) => {
            file.fault(root, "", "times", format!("is {other:?}; it must be utc or wall"));
            Times::Utc
        }
    };
    let event = read_names(file, root, "event", keys::EVENT);
    let item = read_names(file, root, "item", keys::ITEM);
    let session = read_names(file, root, "session", keys::SESSION);
    let attendee = write_names(file, root, "attendee", keys::ATTENDEE, None);
    let words = attendee.as_ref().map(|names| &names.statuses);
    let session_attendee =
        write_names(file, root, "session_attendee", keys::SESSION_ATTENDEE, words);
    let mapping = Mapping {
        event: event?,
        item: item?,
        session: session?,
        attendee: attendee?,
        session_attendee: session_attendee?,
        times,
    };
    Some(match namespace {
        Some(namespace) => mapping.with_namespace_except(&namespace, &except),
        None => mapping,
    })
}

fn namespace(file: &mut File<'_>, root: &DeTable<'_>) -> Option<String> {
    let namespace = file.text(root, "", "namespace")?;
    let fits = namespace.len() <= 15
        && namespace.starts_with(|c: char| c.is_ascii_alphabetic())
        && namespace.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && !namespace.contains("__")
        && !namespace.ends_with('_');
    if fits {
        return Some(namespace);
    }
    let problem = "is no namespace: 1 to 15 letters, digits and single underscores, \
                   without the two underscores that follow it";
    file.fault(root, "", "namespace", problem);
    None
}

fn read_names(
    file: &mut File<'_>,
    root: &DeTable<'_>,
    place: &str,
    known: &[ReadKey],
) -> Option<ReadNames> {
    let child = place != "event";
    let table = file.table(root, "", place, true)?;
    let keys = ["object", "fields", "absent", "figures", "values", "fallback"];
    let more: &[&str] = if child { &["event", "children"] } else { &[] };
    file.known(table, place, &[&keys, more].concat());
    let object = file.needed_name(table, place, "object");
    let (event, children) = match child {
        true => (
            // One that is missing is a fault, and the others are named with it.
            Some(file.needed_name(table, place, "event").unwrap_or_default()),
            Some(file.needed_name(table, place, "children").unwrap_or_default()),
        ),
        false => (None, None),
    };
    let mut names = ReadNames {
        object: object.unwrap_or_default(),
        fields: file.read_fields(table, place, known),
        event,
        children,
        figures: FigureNames::default(),
        values: file.values(table, place, known),
        fallback: file.fallback(table, place, known),
    };
    file.absent(table, place, &known.iter().map(|k| (k.name, k.needed)).collect::<Vec<_>>());
    for key in known.iter().filter(|key| key.needed) {
        let there =
            names.fields.contains_key(&key.field) || names.fallback.contains_key(&key.field);
        if !there && !file.mentions(table, "fields", key.name) {
            let problem = match key.kind {
                Kind::Moment => "is missing: Sloe can't do without it. Name the org's field",
                _ => {
                    "is missing: Sloe can't do without it. Name the org's field, or give a value \
                     under fallback"
                }
            };
            file.missing(&format!("{place}.fields"), key.name, problem);
        }
    }
    names.figures = figures(file, table, place, &names);
    Some(names)
}

fn figures(
    file: &mut File<'_>,
    table: &DeTable<'_>,
    place: &str,
    names: &ReadNames,
) -> FigureNames {
    let at = format!("{place}.figures");
    let Some(table) = file.table(table, place, "figures", false) else {
        return FigureNames::default();
    };
    const KNOWN: [&str; 3] = ["sold", "held", "remaining"];
    file.known(table, &at, &KNOWN);
    let [sold, held, remaining] = KNOWN.map(|key| file.name(table, &at, key));
    let found = FigureNames { sold, held, remaining };
    let mut taken: Vec<&str> = names.fields.values().map(String::as_str).collect();
    for (key, name) in KNOWN.iter().zip([&found.sold, &found.held, &found.remaining]) {
        let Some(name) = name else { continue };
        if taken.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            let problem =
                format!("names {name}, which is in use already: Sloe would write over it");
            file.fault(table, &at, key, problem);
        }
        taken.push(name);
    }
    found
}

fn write_names(
    file: &mut File<'_>,
    root: &DeTable<'_>,
    place: &str,
    known: &[WriteKey],
    words: Option<&StatusWords>,
) -> Option<WriteNames> {
    let child = place == "session_attendee";
    let table = file.table(root, "", place, true)?;
    let keys = [
        "object",
        "external_id",
        "version",
        "fields",
        "absent",
        "master_detail",
        "status",
        "external",
        "constants",
        "defaults",
    ];
    let more: &[&str] = if child { &["parent"] } else { &[] };
    file.known(table, place, &[&keys, more].concat());
    let object = file.needed_name(table, place, "object");
    let key = file.needed_name(table, place, "external_id");
    let version = file.name(table, place, "version");
    let columns = file.write_fields(table, place, known);
    file.absent(table, place, &known.iter().map(|k| (k.name, k.needed)).collect::<Vec<_>>());
    let parent = match columns.get(&Column::Attendee) {
        Some(lookup) => {
            let lookup = relationship(lookup);
            file.name(table, place, "parent").or(Some(lookup))
        }
        None => None,
    };
    let names = WriteNames {
        masters: masters(file, table, place, known),
        statuses: statuses(file, table, place, words),
        external: external(file, table, place),
        constants: file.own(table, place, "constants"),
        defaults: file.own(table, place, "defaults"),
        object: object.unwrap_or_default(),
        key: key.unwrap_or_default(),
        version,
        columns,
        parent,
    };
    file.written_twice(table, place, known, &names);
    Some(names)
}

fn masters(
    file: &mut File<'_>,
    table: &DeTable<'_>,
    place: &str,
    known: &[WriteKey],
) -> Vec<Column> {
    let lookups: Vec<&WriteKey> = known.iter().filter(|key| key.column.is_lookup()).collect();
    let mut masters = Vec::new();
    for word in file.texts(table, place, "master_detail").unwrap_or_default() {
        match lookups.iter().find(|key| key.name == word) {
            Some(key) => masters.push(key.column),
            None => {
                let names: Vec<&str> = lookups.iter().map(|key| key.name).collect();
                let problem =
                    format!("holds {word:?}, which is no lookup here: {}", names.join(", "));
                file.fault(table, place, "master_detail", problem);
            }
        }
    }
    masters
}

fn statuses(
    file: &mut File<'_>,
    table: &DeTable<'_>,
    place: &str,
    inherited: Option<&StatusWords>,
) -> StatusWords {
    let at = format!("{place}.status");
    let Some(table) = file.table(table, place, "status", inherited.is_none()) else {
        return inherited.cloned().unwrap_or_default();
    };
    file.known(table, &at, &["registered", "cancelled", "seated", "freed"]);
    let mut word = |key| {
        let word = file.word(table, &at, key);
        if word.is_none() && !table.contains_key(key) {
            file.missing(&at, key, "is missing: Sloe writes it");
        }
        word
    };
    let (registered, cancelled) = (word("registered"), word("cancelled"));
    let (Some(registered), Some(cancelled)) = (registered, cancelled) else {
        return StatusWords::default();
    };
    let mut words = StatusWords::of(&registered, &cancelled);
    words.seated = file.words(table, &at, "seated").unwrap_or(words.seated);
    words.freed = file.words(table, &at, "freed").unwrap_or(words.freed);
    if words.freed.contains(&words.registered) || words.registered == words.cancelled {
        let problem = format!("holds {registered:?}, with which Sloe would cancel all it writes");
        file.fault(table, &at, "freed", problem);
    }
    let both = |word: &&String| words.freed.contains(word) && **word != words.registered;
    for word in words.seated.iter().filter(both) {
        file.fault(table, &at, "seated", format!("holds {word:?}, which freed holds too"));
    }
    if words.seated.contains(&words.cancelled) {
        file.fault(table, &at, "seated", format!("holds {cancelled:?}, the word for cancelled"));
    }
    words
}

fn external(file: &mut File<'_>, table: &DeTable<'_>, place: &str) -> ExternalRule {
    let at = format!("{place}.external");
    let Some(table) = file.table(table, place, "external", false) else {
        return ExternalRule::default();
    };
    file.known(table, &at, &["count", "only"]);
    let count = file.flag(table, &at, "count").unwrap_or(true);
    ExternalRule { count, only: file.own(table, &at, "only") }
}
