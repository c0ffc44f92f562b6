//! What the demo prints once it is ready: where to look, and what to try.

use std::fmt::Write as _;

/// An org to look at.
pub(super) struct OrgFacts {
    pub(super) name: String,
    pub(super) slug: String,
    /// Its simulated Salesforce, without a slash at the end.
    pub(super) salesforce: String,
}

/// What a storm and its proof need.
pub(super) struct Storm {
    /// `org/event`.
    pub(super) event: String,
    pub(super) org_url: String,
    pub(super) client_id: String,
    pub(super) client_secret: String,
}

/// What an org needs to tell of its changes by itself.
pub(super) struct Changes {
    pub(super) slug: String,
    /// Its Pub/Sub API.
    pub(super) url: String,
    /// As `--store` takes it.
    pub(super) store: String,
}

/// Everything that is told.
pub(super) struct Greeting {
    /// How this program is started.
    pub(super) command: String,
    /// The site's address, without a slash at the end.
    pub(super) site: String,
    /// Signs in to the console once.
    pub(super) console: String,
    pub(super) orgs: Vec<OrgFacts>,
    /// None if no event is there to register for.
    pub(super) storm: Option<Storm>,
    /// None if this build has no Pub/Sub API.
    pub(super) changes: Option<Changes>,
    /// The org that says who may be live, without a slash at the end.
    pub(super) licenses: String,
    /// Where the data is kept, if it is.
    pub(super) data: Option<String>,
}

/// Styles of a terminal; all empty where there is none.
struct Paint {
    bold: &'static str,
    link: &'static str,
    dim: &'static str,
    plain: &'static str,
}

const COLORS: Paint = Paint { bold: "\x1b[1m", link: "\x1b[36m", dim: "\x1b[2m", plain: "\x1b[0m" };
const NO_COLORS: Paint = Paint { bold: "", link: "", dim: "", plain: "" };

impl Greeting {
    /// The text, in color or not.
    pub(super) fn text(&self, color: bool) -> String {
        let paint = if color { COLORS } else { NO_COLORS };
        let mut out = String::new();
        // Writing to memory does not fail.
        let _ = self.write(&mut out, &paint);
        out
    }

    fn write(&self, out: &mut String, paint: &Paint) -> std::fmt::Result {
        let Paint { bold, link, dim, plain } = paint;
        let site = &self.site;
        let longest = self.rows().iter().map(|(_, url, _)| url.len()).max().unwrap_or(0);
        let row = |out: &mut String, (what, url, note): &(&str, String, &str)| {
            let gap = " ".repeat(longest - url.len());
            let gap = if note.is_empty() { "" } else { &gap };
            let end =
                if note.is_empty() { String::new() } else { format!("   {dim}{note}{plain}") };
            writeln!(out, "  {what:<12}{link}{url}{plain}{gap}{end}")
        };
        writeln!(
            out,
            "\n  {bold}Sloe is up.{plain} Event registration that stays up when Salesforce can't.\n"
        )?;
        let rows = self.rows();
        let (general, by_org) = rows.split_at(4);
        general.iter().try_for_each(|one| row(out, one))?;
        for (org, rows) in self.orgs.iter().zip(by_org.chunks(2)) {
            writeln!(out, "\n  {bold}{}{plain}", org.name)?;
            rows.iter().try_for_each(|one| row(out, one))?;
        }
        writeln!(out, "\n  {bold}Staff console{plain}, signs in once within 12 hours")?;
        writeln!(out, "  {link}{}{plain}", self.console)?;
        if let Some(first) = self.orgs.first() {
            writeln!(
                out,
                "\n  {bold}Try first{plain}   Register two people at {link}{site}/{}{plain}.",
                first.slug
            )?;
            writeln!(
                out,
                "              They arrive in Salesforce by themselves; edit the event there, press"
            )?;
            writeln!(out, "              Update, and its page has changed.")?;
        }
        if let Some(storm) = &self.storm {
            writeln!(
                out,
                "\n  {bold}Then{plain}        A storm: 10,000 visitors at once, and the proof that each of them is"
            )?;
            writeln!(out, "              registered, here and in Salesforce, exactly once.\n")?;
            writeln!(out, "{}", self.storm_command(storm))?;
        }
        if let Some(changes) = &self.changes {
            writeln!(
                out,
                "\n  {bold}And{plain}         Nobody has to press Update: an org can tell of its changes by itself.\n"
            )?;
            writeln!(out, "{}", self.changes_command(changes))?;
        }
        let kept = match &self.data {
            Some(data) => format!("Data is kept in {data}."),
            None => "Nothing is kept.".to_owned(),
        };
        writeln!(out, "\n  {dim}{kept} Ctrl-C drains and stops.{plain}\n")
    }

    /// What, where, and a note.
    fn rows(&self) -> Vec<(&'static str, String, &'static str)> {
        let site = &self.site;
        let mut rows = vec![
            ("Site", format!("{site}/"), ""),
            ("Mailbox", format!("{site}/demo/mailbox"), "confirmations arrive here"),
            ("API", format!("{site}/openapi.json"), ""),
            ("Licenses", format!("{}/", self.licenses), "suspend one: registration pauses"),
        ];
        for org in &self.orgs {
            rows.push(("Events", format!("{site}/{}", org.slug), ""));
            rows.push(("Salesforce", format!("{}/", org.salesforce), "simulated"));
        }
        rows
    }

    /// The command as it can be pasted into a shell.
    fn storm_command(&self, storm: &Storm) -> String {
        format!(
            "    {} storm --visitors 10000 --burst \\\n      \
             --target {} --event {} \\\n      \
             --org-url {} --org-client-id {} \\\n      \
             --org-client-secret {}",
            self.command,
            self.site,
            storm.event,
            storm.org_url,
            storm.client_id,
            storm.client_secret,
        )
    }

    /// As well.
    fn changes_command(&self, changes: &Changes) -> String {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:".contains(c);
        let store = match &changes.store {
            store if store.chars().all(plain) => store.clone(),
            store => format!("'{}'", store.replace('\'', "'\\''")),
        };
        format!(
            "    {} org changes {} --on \\\n      --pubsub-url {} \\\n      --store {store}",
            self.command, changes.slug, changes.url
        )
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cmd::{Cli, Command};

    fn greeting() -> Greeting {
        let org = |name: &str, slug: &str, port: u16| OrgFacts {
            name: name.to_owned(),
            slug: slug.to_owned(),
            salesforce: format!("http://127.0.0.1:{port}"),
        };
        Greeting {
            command: "cargo run --release --".to_owned(),
            site: "http://127.0.0.1:8080".to_owned(),
            console: "http://127.0.0.1:8080/staff/sign-in/1".to_owned(),
            orgs: vec![org("Meridian", "meridian", 8081), org("Harbor", "harbor", 8082)],
            storm: Some(Storm {
                event: "meridian/keynote-live".to_owned(),
                org_url: "http://127.0.0.1:8081".to_owned(),
                client_id: "client".to_owned(),
                client_secret: "secret".to_owned(),
            }),
            changes: Some(Changes {
                slug: "meridian".to_owned(),
                url: "http://127.0.0.1:8084".to_owned(),
                store: "embedded:./sloe-data/platform".to_owned(),
            }),
            licenses: "http://127.0.0.1:8083".to_owned(),
            data: Some("./sloe-data".to_owned()),
        }
    }

    #[test]
    fn the_storm_it_shows_can_be_pasted_and_proves_the_org_too() {
        let text = greeting().text(false);
        let from = text.find("cargo run").unwrap();
        let pasted = text[from..].split("\n\n").next().unwrap().replace("\\\n", " ");
        let words = pasted.strip_prefix("cargo run --release --").unwrap().split_whitespace();
        let cli = Cli::try_parse_from(std::iter::once("sloe").chain(words)).unwrap();
        assert!(matches!(cli.command, Command::Storm(_)));
        assert!(pasted.contains("--event meridian/keynote-live"), "{pasted}");
        assert!(pasted.contains("--org-url http://127.0.0.1:8081"), "{pasted}");
    }

    #[test]
    fn so_can_the_command_that_lets_an_org_tell_of_its_changes_wherever_the_data_is() {
        let mut greeting = greeting();
        let text = greeting.text(false);
        let pasted = text.split("by itself.\n\n").nth(1).unwrap().split("\n\n").next().unwrap();
        let pasted = pasted.replace("\\\n", " ");
        let words = pasted.trim().strip_prefix("cargo run --release --").unwrap();
        let words = std::iter::once("sloe").chain(words.split_whitespace());
        assert!(matches!(Cli::try_parse_from(words).unwrap().command, Command::Org(_)));
        greeting.changes.as_mut().unwrap().store = "embedded:/it's my/platform".to_owned();
        let text = greeting.text(false);
        assert!(text.contains("--store 'embedded:/it'\\''s my/platform'\n"), "{text}");
    }

    #[test]
    fn it_names_every_address_and_fits_a_terminal() {
        let text = greeting().text(false);
        for part in [
            "http://127.0.0.1:8080/\n",
            "http://127.0.0.1:8080/demo/mailbox ",
            "http://127.0.0.1:8080/openapi.json\n",
            "http://127.0.0.1:8080/meridian\n",
            "http://127.0.0.1:8080/staff/sign-in/1\n",
            "http://127.0.0.1:8082/ ",
            "http://127.0.0.1:8083/ ",
            "Data is kept in ./sloe-data.",
        ] {
            assert!(text.contains(part), "{part:?} is not in\n{text}");
        }
        assert!(text.lines().all(|line| line.chars().count() <= 96), "{text}");
    }

    #[test]
    fn color_adds_nothing_but_color() {
        let (plain, colored) = (greeting().text(false), greeting().text(true));
        assert!(!plain.contains('\x1b') && colored.contains("\x1b[1mSloe is up.\x1b[0m"));
        let codes = ["\x1b[1m", "\x1b[36m", "\x1b[2m", "\x1b[0m"];
        let stripped = codes.iter().fold(colored, |text, code| text.replace(code, ""));
        assert_eq!(stripped, plain);
    }
}
