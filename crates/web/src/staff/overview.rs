//! `/staff`: all orgs, those in trouble first.

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use sloe_core::time::Timestamp;

use super::ago::{self, Ago};
use super::answer;
use super::compare;
use super::draw::{count, counted};
use super::facts::{Facts, Stored};
use super::judge::{Level, Trouble, Verdict, judge};
use super::org::{calls, reads, way};
use super::view::{Cell, EVERY, Frame, Line, OrgCard, OverviewPage, Platform, Tile, Worker};
use crate::state::AppState;

/// Troubles of one org that the overview shows.
const SHOWN: usize = 3;

/// What the address asks for.
pub(super) struct Asked(Vec<(String, String)>);

impl Asked {
    pub(super) fn read(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        Self(pairs.into_owned().collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    /// The address that asks the same at `path`.
    pub(super) fn here(&self, path: &str) -> String {
        if self.0.is_empty() {
            return path.to_owned();
        }
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.0);
        format!("{path}?{}", query.finish())
    }

    /// After how many seconds the page is to load anew.
    pub(super) fn every(&self) -> Option<u32> {
        let asked: u32 = self.get("every")?.parse().ok()?;
        EVERY.into_iter().find(|every| *every == asked)
    }
}

/// `GET /staff`.
pub(super) async fn show(
    State(app): State<AppState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let asked = Asked::read(query.as_deref());
    let facts = app.staff.glance.all(&app.engine).await;
    let now = app.engine.now();
    let frame = Frame {
        title: "Console".to_owned(),
        as_of: ago::clock(now),
        said: answer::said(&headers),
        path: "/staff".to_owned(),
        here: asked.here("/staff"),
        every: asked.every(),
    };
    let judged: Vec<_> = facts.iter().map(|facts| (facts, judge(facts))).collect();
    let platform = platform(&app, now);
    let page = page(frame, &judged, &asked, platform);
    answer::watched(&headers, &page, &ago::clock(now))
}

type Judged<'a> = (&'a Facts, Verdict);

fn page(frame: Frame, judged: &[Judged<'_>], asked: &Asked, platform: Platform) -> OverviewPage {
    let query = asked.get("q").unwrap_or_default().to_owned();
    let only = asked.get("only").is_some();
    let wanted = |(facts, verdict): &&Judged<'_>| {
        let profile = &facts.org.profile;
        let found = [&profile.name, &profile.slug]
            .into_iter()
            .any(|text| text.to_lowercase().contains(&query.to_lowercase()));
        found && (!only || verdict.level >= Level::Warn)
    };
    let mut shown: Vec<_> = judged.iter().filter(wanted).collect();
    shown.sort_by_key(|(facts, verdict)| {
        (std::cmp::Reverse(verdict.level), facts.org.profile.name.to_lowercase())
    });
    let worst = judged.iter().map(|(_, verdict)| verdict.level).max().unwrap_or(Level::Busy);
    let level = worst.max(platform.level());
    let (who, heading) = heading(judged, level);
    let lead = lead(judged, level, platform.level() == level);
    OverviewPage {
        frame,
        level,
        who,
        heading,
        lead,
        tiles: tiles(judged),
        orgs: shown.into_iter().map(card).collect(),
        total: judged.len(),
        query,
        only,
        platform,
    }
}

/// Whom the heading speaks of, if of one org, and how all stand in a few words.
fn heading(judged: &[Judged<'_>], level: Level) -> (Option<String>, String) {
    let mut at = judged.iter().filter(|(_, verdict)| verdict.level == level);
    let (first, others) = (at.next(), at.count());
    let named = |one: &str, many: &str, platform: &str| match (first, others) {
        (None, _) => (None, format!("The platform {platform}")),
        (Some((only, _)), 0) => (Some(only.org.profile.name.clone()), one.to_owned()),
        (Some(_), others) => (None, format!("{} orgs {many}", count(others as u64 + 1))),
    };
    match level {
        _ if judged.is_empty() => (None, "No org is connected yet".to_owned()),
        Level::Bad => named("needs help", "need help", "needs help"),
        Level::Warn => named("needs a look", "need a look", "needs a look"),
        Level::Busy => (None, "Catching up".to_owned()),
        Level::Good => (None, "Everything is in order".to_owned()),
    }
}

/// Which orgs are meant, and how the others are.
fn lead(judged: &[Judged<'_>], level: Level, fails: bool) -> String {
    let meant = judged.iter().filter(|(_, verdict)| verdict.level == level);
    let worst = meant.clone().find_map(|(_, verdict)| verdict.troubles.first());
    let names: Vec<_> = meant.map(|(facts, _)| facts.org.profile.name.as_str()).collect();
    let good = judged.iter().filter(|(_, verdict)| verdict.level == Level::Good).count();
    let one = names.len() == 1;
    match level {
        _ if judged.is_empty() => {
            "Connect the first one with sloe org add, on the machine where Sloe runs; sloe org add --help shows how.".to_owned()
        }
        Level::Bad | Level::Warn if fails && names.is_empty() => {
            "The orgs are not the matter; see Platform below.".to_owned()
        }
        Level::Good => {
            "Sloe and Salesforce have the same, as far as Sloe has compared them.".to_owned()
        }
        Level::Busy => format!(
            "Nothing is wrong. {} still {} something on the way, or {} not compared with Salesforce yet.",
            counted(names.len(), "org", "orgs"),
            if one { "has" } else { "have" },
            if one { "was" } else { "were" },
        ),
        Level::Warn | Level::Bad => {
            let named = match names.as_slice() {
                [_] => worst.map(|worst| format!("{} ", worst.what)).unwrap_or_default(),
                [first, second] => format!("{first} and {second}. "),
                [first, second, third] => format!("{first}, {second} and {third}. "),
                _ => String::new(),
            };
            let platform = if fails { " The platform needs somebody too; see below." } else { "" };
            named + &others(judged.len() - names.len(), good) + platform
        }
    }
}

fn others(others: usize, good: usize) -> String {
    let (others, good) = (count(others as u64), count(good as u64));
    match others.as_str() {
        "0" => String::new(),
        "1" if good == "1" => "The other one is in order.".to_owned(),
        "1" => "The other one is not in order yet either.".to_owned(),
        _ if others == good => format!("All {others} others are in order."),
        _ => format!("Of the {others} others, {good} are in order."),
    }
}

fn tiles(judged: &[Judged<'_>]) -> Vec<Tile> {
    let stored = || judged.iter().filter_map(|(facts, _)| facts.stored.as_ref().ok());
    let live = judged.iter().filter(|(facts, _)| facts.license.live).count();
    let batches: u64 = stored().map(|stored| stored.sync.pending_batches).sum();
    let retrying: usize = stored().map(|stored| stored.sync.retrying).sum();
    let [refused, undecided, mails] = stored()
        .map(Stored::undelivered)
        .fold([0; 3], |all, of| [all[0] + of[0], all[1] + of[1], all[2] + of[2]]);
    let ours: u64 = stored().map(|stored| stored.calls.ours).sum();
    let published: usize = judged.iter().map(|(facts, _)| facts.published).sum();
    vec![
        Tile {
            label: "Orgs that take registrations",
            value: format!("{} of {}", count(live as u64), count(judged.len() as u64)),
            note: counted(published, "event is public", "events are public"),
            level: if live < judged.len() { Level::Warn } else { Level::Good },
        },
        Tile {
            label: "On the way to Salesforce",
            value: if batches == 0 {
                "Nothing".to_owned()
            } else {
                counted(usize::try_from(batches).unwrap_or(usize::MAX), "batch", "batches")
            },
            note: if retrying == 0 {
                "no row is sent again".to_owned()
            } else {
                format!("{} sent again", counted(retrying, "row is", "rows are"))
            },
            level: if batches > 0 || retrying > 0 { Level::Busy } else { Level::Good },
        },
        Tile {
            label: "Could not be delivered",
            value: match (refused + undecided, mails) {
                (0, 0) => "Nothing".to_owned(),
                (0, mails) => counted(mails, "mail", "mails"),
                (rows, _) => counted(rows, "row", "rows"),
            },
            note: match (refused + undecided, mails) {
                (0, 0) => "every row was taken".to_owned(),
                (0, _) | (_, 0) => "until somebody sees to it".to_owned(),
                (_, mails) => format!("and {}", counted(mails, "mail", "mails")),
            },
            level: match (refused, undecided + mails) {
                (0, 0) => Level::Good,
                (0, _) => Level::Warn,
                _ => Level::Bad,
            },
        },
        Tile {
            label: "API calls by Sloe",
            value: count(ours),
            note: "in 24 hours, all orgs".to_owned(),
            level: Level::Good,
        },
    ]
}

fn card((facts, verdict): &Judged<'_>) -> OrgCard {
    let profile = &facts.org.profile;
    let shown: Vec<_> = verdict.troubles.iter().take(SHOWN).cloned().collect();
    let cells = vec![
        Cell { label: "To Salesforce", lines: way(facts) },
        Cell { label: "From Salesforce", lines: reads(facts) },
        Cell { label: "Compared", lines: compare::lines(facts) },
    ];
    OrgCard {
        slug: profile.slug.clone(),
        name: profile.name.clone(),
        level: verdict.level,
        live: facts.license.live,
        more: verdict.troubles.len() - shown.len(),
        troubles: shown,
        calls: calls(facts),
        cells,
    }
}

/// What the platform's own workers do.
const DOES: [(&str, &str); 11] = [
    ("store", "asks whether the store answers"),
    ("mappings", "looks for changed mappings of orgs"),
    ("license-source", "reads who may be live from the source org"),
    ("licenses", "takes over what any node read there"),
    ("orgs", "keeps every org’s tasks running"),
    ("nodes", "shares the orgs’ work with other nodes"),
    ("follow", "takes over what other nodes changed"),
    ("mail", "sends confirmations"),
    ("orders", "keeps orders ready to be read"),
    ("removals", "deletes what is stored of orgs that were removed"),
    ("retention", "destroys personal data whose time is over"),
];

fn platform(app: &AppState, now: Timestamp) -> Platform {
    let mut facts = vec![("Version", env!("CARGO_PKG_VERSION").to_owned())];
    if !app.settings.store.is_empty() {
        facts.push(("Store", app.settings.store.clone()));
    }
    if let Some(url) = &app.settings.public_url {
        facts.push(("Public address", url.clone()));
    }
    let does = |name| DOES.iter().find(|(of, _)| *of == name).map_or("", |(_, does)| *does);
    let worker = |(name, run): (&'static str, sloe_engine::worker::Run)| Worker {
        name,
        does: does(name),
        at: Ago::new(run.at, now),
        fault: run.fault,
    };
    let workers: Vec<_> = app.engine.runs().into_iter().map(worker).collect();
    let source = app.engine.license_source();
    let licenses = match (&source.source, source.read_at) {
        (None, _) => Line::new("Recorded by hand: there is no source org"),
        (Some((url, _)), None) => Line::new(format!("{url} was not read yet")).level(Level::Busy),
        (Some((url, _)), Some(at)) => {
            let rows = counted(source.rows, "row", "rows");
            Line::new(format!("{rows} from {url}, read")).at(Some(Ago::new(at, now)))
        }
    };
    let mut troubles = Vec::new();
    for (org, why) in app.engine.registry().damaged() {
        let what = format!("The org {org} is not served: its document can’t be read ({why}).");
        let todo =
            "Put that document back from a backup, then start Sloe again; the other orgs go on.";
        troubles.push(trouble(Level::Bad, what, todo));
    }
    for worker in &workers {
        if let Some(fault) = &worker.fault {
            let what = format!("The worker “{}” fails: {fault}", worker.name);
            troubles.push(trouble(Level::Bad, what, "It tries again by itself; look at the log."));
        }
    }
    let level = if source.alarm() { Level::Bad } else { Level::Warn };
    for what in source.troubles() {
        let todo = "Who may be live is kept as it was. Mend the source org or Sloe’s access to it.";
        troubles.push(trouble(level, what, todo));
    }
    Platform { facts, licenses, troubles, workers }
}

fn trouble(level: Level, what: String, todo: &str) -> Trouble {
    Trouble { level, what, todo: todo.to_owned(), since: None, part: "platform" }
}
