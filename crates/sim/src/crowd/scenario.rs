//! A storm written down: who comes, how they come and what they put up with,
//! in a file that people write and keep.

mod read;

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeTable;

use super::kind::{Kind, Mix};
use super::{Arrival, Mode, Options, Shape};
use read::Reader;

/// The file that `--print-scenario` shows: every entry with its default.
pub const DEFAULT: &str = include_str!("scenario/default.toml");

/// Visitors a second, at a steady rate: from one in a quarter of an hour to more than any machine
/// can send.
pub const RATES: RangeInclusive<f64> = 0.001..=1_000_000.0;
/// Connections of a storm.
pub const CONNECTIONS: RangeInclusive<u64> = 1..=20_000;
/// People who come together, at most: as many as an order may have.
pub const PARTY: RangeInclusive<u64> = 1..=16;
/// Sessions that everybody chooses, at most.
pub const SESSIONS: RangeInclusive<u64> = 0..=16;
/// Visitors of a storm.
pub const VISITORS: RangeInclusive<u64> = 1..=10_000_000;

/// Longest name and description, in characters.
const LONGEST: usize = 300;

/// A storm, as a file says it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// What it is called.
    pub name: String,
    /// What it is about.
    pub about: String,
    /// How many come.
    pub visitors: u64,
    /// How they come.
    pub arrival: Arrival,
    /// Nobody begins after this, with a burst or a rate.
    pub duration: Option<Duration>,
    /// Who they are.
    pub mix: Mix,
    /// Connections, and so visitors served at once.
    pub connections: usize,
    /// A visitor comes with one to so many people.
    pub party: u16,
    /// Everybody chooses up to so many sessions.
    pub sessions: u16,
    /// How long one answer may take.
    pub patience: Duration,
    /// How long a visitor keeps asking.
    pub persistence: Duration,
    /// How long the proof waits for abandoned seats.
    pub expiry: Duration,
    /// Orders that are read back.
    pub read_back: usize,
}

/// One thing that is wrong with a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioFault {
    /// The line, from 1; none for what is missing.
    pub line: Option<usize>,
    /// The entry: `mix.bots`.
    pub place: String,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for ScenarioFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if self.place.is_empty() {
            write!(f, "{}", self.problem)
        } else {
            write!(f, "`{}` {}", self.place, self.problem)
        }
    }
}

/// All that is wrong with a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError(pub Vec<ScenarioFault>);

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            let line = if at == 0 { "" } else { "\n" };
            write!(f, "{line}  {fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ScenarioError {}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let mut reader = Reader::new(text);
        let table = match DeTable::parse(text) {
            Ok(table) => table,
            Err(error) => return Err(reader.not_toml(&error)),
        };
        let scenario = reader.scenario(table.get_ref());
        reader.finish(scenario)
    }

    /// Makes it the storm that is held.
    pub fn apply(&self, options: &mut Options) {
        options.title = Some((self.name.clone(), self.about.clone()));
        options.visitors = self.visitors;
        options.arrival = self.arrival;
        options.duration = self.duration;
        options.mix = self.mix;
        options.connections = self.connections;
        options.party = self.party;
        options.sessions = self.sessions;
        options.patience = self.patience;
        options.persistence = self.persistence;
        options.expiry = self.expiry;
        options.read_back = self.read_back;
    }
}

const TOP: [&str; 9] =
    ["name", "about", "visitors", "connections", "arrival", "mix", "ways", "patience", "proof"];
const GROUP: [&str; 2] = ["party", "sessions"];
const DAY: u64 = 86_400;

impl Reader<'_> {
    fn scenario(&mut self, top: &DeTable<'_>) -> Scenario {
        let known: Vec<&str> = TOP.into_iter().chain(GROUP).collect();
        self.known(top, "", &known);
        let (arrival, duration) = self.arrival(top);
        let mix = self.mix(top);
        let patience = self.table(top, "patience", &["answer_seconds", "visit_seconds"]);
        let proof = self.table(top, "proof", &["expiry_seconds", "read_back"]);
        let whole =
            |reader: &mut Self, key, range, other| reader.whole(Some(top), "", key, range, other);
        let narrow = |number: u64| u16::try_from(number).unwrap_or(u16::MAX);
        let wide = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Scenario {
            name: self.text(top, "name", LONGEST).unwrap_or_else(|| "A storm".to_owned()),
            about: self.text(top, "about", LONGEST).unwrap_or_default(),
            visitors: whole(self, "visitors", VISITORS, 1_000),
            arrival,
            duration,
            mix,
            connections: wide(whole(self, "connections", CONNECTIONS, 256)),
            party: narrow(whole(self, "party", PARTY, 1)),
            sessions: narrow(whole(self, "sessions", SESSIONS, 2)),
            patience: self.seconds(patience, "patience", "answer_seconds", (1..=600, 10)),
            persistence: self.seconds(patience, "patience", "visit_seconds", (1..=3_600, 60)),
            expiry: self.seconds(proof, "proof", "expiry_seconds", (0..=8_000, 90)),
            read_back: wide(self.whole(proof, "proof", "read_back", 0..=10_000_000, 20_000)),
        }
    }

    fn arrival(&mut self, top: &DeTable<'_>) -> (Arrival, Option<Duration>) {
        let table = self.table(top, "arrival", &["curve", "seconds", "rate"]);
        let names = ["burst", "rate", "wave", "on-sale", "day"];
        let curve = table.and_then(|table| self.one_of(table, "arrival", "curve", &names));
        let has = |key| table.is_some_and(|table| table.contains_key(key));
        let seconds =
            has("seconds").then(|| self.seconds(table, "arrival", "seconds", (1..=DAY, 60)));
        let rate = table.and_then(|table| self.rate(table, "arrival", "rate"));
        if has("curve") && curve.is_none() {
            // What the other entries mean depends on it.
            return (Arrival::Burst, None);
        }
        let curve = curve.unwrap_or("burst");
        if curve == "rate" && !has("rate") {
            self.missing("arrival.rate", "is missing: how many visitors a second?");
        }
        if curve != "rate" && has("rate") {
            let problem = format!("has no meaning with curve = \"{curve}\"");
            self.fault(table, "arrival", "rate", problem);
        }
        let shape = Shape::ALL.into_iter().find(|shape| shape.name() == curve);
        match (shape, seconds) {
            (Some(shape), Some(over)) => (Arrival::Curve(shape, over), None),
            (Some(_), None) => {
                self.missing(
                    "arrival.seconds",
                    "is missing: within what time do all of them come?",
                );
                (Arrival::Burst, None)
            }
            (None, _) if curve == "rate" => (Arrival::Rate(rate.unwrap_or(1.0)), seconds),
            (None, _) => (Arrival::Burst, seconds),
        }
    }

    fn mix(&mut self, top: &DeTable<'_>) -> Mix {
        let kinds = Kind::ALL.map(Kind::name);
        let kinds = self.weights(top, "mix", &kinds);
        let ways = Mode::ALL.map(Mode::name);
        let ways = self.weights(top, "ways", &ways);
        Mix::new(kinds.unwrap_or([1, 0, 0, 0, 0, 0]), ways.unwrap_or([1, 0, 0]))
    }

    /// Weights by name: those that are not named are 0, and one must be more.
    fn weights<const N: usize>(
        &mut self,
        top: &DeTable<'_>,
        place: &str,
        names: &[&str; N],
    ) -> Option<[u32; N]> {
        let table = self.table(top, place, names)?;
        let good = self.count();
        let weights = names.map(|name| {
            let weight = self.whole(Some(table), place, name, 0..=1_000_000, 0);
            u32::try_from(weight).unwrap_or(u32::MAX)
        });
        if self.count() == good && weights.iter().all(|weight| *weight == 0) {
            self.missing(place, "has no weight above 0: nobody would come");
        }
        Some(weights)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        Scenario::parse(text).unwrap_err().0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_default_says_every_entry_and_an_empty_file_is_a_burst_of_registrants() {
        let default = Scenario::parse(DEFAULT).unwrap();
        for key in TOP.into_iter().chain(GROUP) {
            assert!(DEFAULT.contains(key), "{key}");
        }
        for name in Kind::ALL.map(Kind::name).into_iter().chain(Mode::ALL.map(Mode::name)) {
            assert!(DEFAULT.contains(&format!("\n{name} = ")), "{name}");
        }
        assert!(Kind::ALL.iter().all(|kind| default.mix.weight(*kind) > 0));
        assert!(matches!(default.arrival, Arrival::Curve(Shape::Wave, _)));
        let empty = Scenario::parse("").unwrap();
        assert_eq!((empty.arrival, empty.mix.only_way()), (Arrival::Burst, Some(Mode::Api)));
        assert_eq!((empty.visitors, empty.connections, empty.duration), (1_000, 256, None));
    }

    #[test]
    fn every_fault_is_named_with_its_line() {
        let text = "visitors = 0\nconections = 3\nname = 7\n[arrival]\ncurve = \"waves\"\n\
                    rate = -1\n[mix]\nbots = \"many\"\nlookers = -1\n[ways]\nhtml = 0\n\
                    [patience]\nanswer_seconds = 0.5\n[proof]\nread_back = 2000000000000\n";
        let found = faults(text);
        for wanted in [
            "line 1: `visitors` must be from 1 to 10,000,000, not 0",
            "line 2: `conections` is not known; did you mean `connections`?",
            "line 3: `name` must be a text, not a whole number",
            "line 5: `arrival.curve` is \"waves\"; did you mean \"wave\"?",
            "line 6: `arrival.rate` must be a number from 0.001 to 1000000, visitors a second",
            "line 8: `mix.bots` must be a whole number, not a text",
            "line 9: `mix.lookers` must be from 0 to 1,000,000, not -1",
            "line 13: `patience.answer_seconds` must be a whole number, not a number with a fraction",
            "line 15: `proof.read_back` must be from 0 to 10,000,000, not 2000000000000",
            "`ways` has no weight above 0: nobody would come",
        ] {
            assert!(found.contains(&wanted.to_owned()), "{wanted} is not in {found:#?}");
        }
        assert_eq!(found.len(), 10, "what follows from a fault is none: {found:#?}");
    }

    #[test]
    fn a_curve_needs_its_time_and_a_rate_its_rate() {
        assert_eq!(
            faults("[arrival]\ncurve = \"day\"\n"),
            ["`arrival.seconds` is missing: within what time do all of them come?"]
        );
        assert_eq!(
            faults("[arrival]\ncurve = \"rate\"\n"),
            ["`arrival.rate` is missing: how many visitors a second?"]
        );
        let misplaced = faults("[arrival]\ncurve = \"burst\"\nrate = 5\n");
        assert_eq!(misplaced, ["line 3: `arrival.rate` has no meaning with curve = \"burst\""]);
        let steady =
            Scenario::parse("[arrival]\ncurve = \"rate\"\nrate = 2.5\nseconds = 9\n").unwrap();
        assert_eq!(steady.arrival, Arrival::Rate(2.5));
        assert_eq!(steady.duration, Some(Duration::from_secs(9)));
        let rate =
            |rate: &str| Scenario::parse(&format!("arrival = {{curve = \"rate\", rate = {rate}}}"));
        for (text, read) in [("0x10", 16.0), ("1_000", 1_000.0), ("1e3", 1_000.0), ("0.001", 0.001)]
        {
            assert_eq!(rate(text).unwrap().arrival, Arrival::Rate(read), "{text}");
        }
        for bad in
            ["0", "-1", "1e-300", "1e7", "10_000_000", "inf", "nan", "true", "9223372036854775808"]
        {
            let found = rate(bad).unwrap_err().to_string();
            assert!(
                found.contains("line 1: `arrival.rate` must be a number from"),
                "{bad}: {found}"
            );
        }
    }

    #[test]
    fn what_is_not_toml_is_said_with_its_line() {
        let found = faults("visitors = 1\n[mix\n");
        assert!(found.len() == 1 && found[0].starts_with("line 2: this is not TOML"), "{found:?}");
        assert_eq!(faults("mix = 3\n"), ["line 1: `mix` must be a table, not a whole number"]);
        assert_eq!(faults("[[mix]]\nbots = 1\n"), ["line 1: `mix` must be a table, not a list"]);
    }

    #[test]
    fn odd_names_are_seen_and_empty_texts_are_refused() {
        let found = faults("\"\" = 1\n\"a\\u001b[2Jb\" = 2\nname = \" \"\n");
        assert!(found[0].starts_with("line 1: `\"\"` is not known; there are"), "{found:?}");
        assert!(found[1].starts_with("line 2: `a\\u{1b}[2Jb` is not known"), "{found:?}");
        assert_eq!(found[2], "line 3: `name` must not be empty; leave it out instead");
    }
}
