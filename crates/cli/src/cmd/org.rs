//! `sloe org`: connects orgs, to a running platform or to a store at rest.

mod budget;
mod changes;
mod check;
mod hook;
mod mapping;
mod remove;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use comfy_table::Table;
use serde_json::{Value, json};
use sloe_core::time::Timestamp;
use sloe_engine::tenant::{Connect, Connected, HookSecrets, ProfileChange};
use sloe_salesforce::{Credentials, Flow};

use super::Failure;
use crate::at::At;
use crate::boot;
use crate::platform;

#[derive(Subcommand)]
pub(crate) enum Org {
    /// Connect an org, or change how; prints the hook's address and secret once.
    #[command(after_help = ADD_EXAMPLE)]
    Add(Box<Add>),
    /// List the connected orgs, how their API calls stand, and what is wrong with them.
    #[command(after_help = "Example:\n  sloe org list")]
    List {
        #[command(flatten)]
        at: At,
    },
    /// Show or choose how much of its API allowance an org lets Sloe have.
    #[command(after_help = BUDGET_EXAMPLE)]
    Budget(budget::Budget),
    /// Show or switch whether the org tells of changes by itself.
    #[command(after_help = CHANGES_EXAMPLE)]
    Changes(changes::Changes),
    /// Compare an org with its mapping, and say what it lacks.
    #[command(after_help = check::EXAMPLES)]
    Check(check::Check),
    /// Show or choose what an org calls its objects and fields.
    #[command(after_help = mapping::EXAMPLES)]
    Mapping(mapping::MappingArgs),
    /// Disconnect an org for good, and delete what is stored of it.
    #[command(after_help = remove::EXAMPLES)]
    Remove(remove::Remove),
    /// Make a new secret for the Update button; the one before stays good until it is ended.
    #[command(after_help = HOOK_EXAMPLE)]
    RotateHook(hook::RotateHook),
}

const ADD_EXAMPLE: &str = "\
Example:
  sloe org add --slug acme --name 'Acme Events' --url https://acme.my.salesforce.com \\
       --client-id 3MVG9… --client-secret-file secret.txt
  sloe org add … --preset blackthorn     an org with the Blackthorn Events package
  sloe org add … --mapping FILE          an org with objects of its own

For an org that is connected, what is not given stays as it is; a changed consumer secret
needs no more than --slug, --url, --client-id and --client-secret-file.";

const CHANGES_EXAMPLE: &str = "\
Examples:
  sloe org changes acme         how its change events stand
  sloe org changes acme --on    follow them: a change shows within a second, at no API call

In the org's Setup, Change Data Capture, select Sloe Event, Sloe Item and Sloe Session first.";

const BUDGET_EXAMPLE: &str = "\
Examples:
  sloe org budget acme                            how its API calls stand
  sloe org budget acme --share 30 --reserve 10    30 percent for Sloe, the last 10 for nobody";

const HOOK_EXAMPLE: &str = "\
Examples:
  sloe org rotate-hook acme             a new secret, beside the one in use
  sloe org rotate-hook acme --end-old   once Salesforce has the new one";

#[derive(Args)]
pub(crate) struct Add {
    #[command(flatten)]
    at: At,
    /// First part of the org's public addresses, `acme` for instance.
    #[arg(long)]
    slug: String,
    /// The organizer's name; needed at first.
    #[arg(long)]
    name: Option<String>,
    /// A sentence under the name [at first: none].
    #[arg(long)]
    tagline: Option<String>,
    /// The org's color [at first: #4338ca].
    #[arg(long)]
    accent: Option<String>,
    /// How its pages look: modern or classic [at first: modern].
    #[arg(long)]
    style: Option<String>,
    /// Time zone of events that name none [at first: UTC].
    #[arg(long)]
    time_zone: Option<String>,
    /// Privacy notice of events that link none; '' for none.
    #[arg(long)]
    privacy_url: Option<String>,
    /// Where registrants may write to; '' for nowhere.
    #[arg(long)]
    contact_email: Option<String>,
    /// Days that personal data is kept after an event's end [at first: 90].
    #[arg(long)]
    retention_days: Option<i64>,
    /// The org's My Domain address.
    #[arg(long)]
    url: String,
    /// Consumer key of the connected app.
    #[arg(long)]
    client_id: String,
    /// File with the consumer secret, - for standard input.
    #[arg(long, value_name = "FILE", required_unless_present = "jwt_key_file")]
    client_secret_file: Option<PathBuf>,
    /// File with the RS256 private key (PEM), - for standard input: JWT bearer flow.
    #[arg(long, value_name = "FILE", requires = "username", conflicts_with = "client_secret_file")]
    jwt_key_file: Option<PathBuf>,
    /// The integration user of the JWT bearer flow.
    #[arg(long)]
    username: Option<String>,
    /// Audience of the JWT bearer flow.
    #[arg(long, default_value = "https://login.salesforce.com")]
    audience: String,
    /// Follow the org's change events (Change Data Capture over the Pub/Sub API).
    #[arg(long)]
    change_events: bool,
    #[command(flatten)]
    events_from: changes::From,
    /// File with what the org calls its objects and fields; see sloe org mapping --help.
    #[arg(long, value_name = "FILE", conflicts_with = "preset")]
    mapping: Option<PathBuf>,
    /// A mapping that comes with Sloe: sloe or blackthorn.
    #[arg(long, value_name = "NAME", value_parser = sloe_salesforce::map::PRESETS)]
    preset: Option<String>,
}

pub(crate) async fn run(org: Org) -> Result<(), Failure> {
    match org {
        Org::Add(add) => connect(*add).await,
        Org::List { at } => list(at).await,
        Org::Budget(budget) => budget::run(budget).await,
        Org::Changes(changes) => changes::run(changes).await,
        Org::Check(check) => check::run(check).await,
        Org::Mapping(mapping) => mapping::run(mapping).await,
        Org::Remove(remove) => remove::run(remove).await,
        Org::RotateHook(rotate) => hook::run(rotate).await,
    }
}

async fn connect(add: Add) -> Result<(), Failure> {
    let (changes, from) = (add.change_events, add.events_from.clone());
    if from.pubsub_url.is_some() && !changes {
        return Err(Failure::new("--pubsub-url goes with --change-events"));
    }
    let (at, connect) = add.read()?;
    let (id, secrets) = match at.running().await? {
        Some(running) => {
            let answer = running.ask("orgs", &connect.to_json()).await?;
            check::print_findings(&answer);
            let [id, secret, signing] =
                ["org_id", "hook_secret", "hook_signing"].map(|key| text(&answer, key));
            (id, HookSecrets { secret, signing })
        }
        None => {
            let engine = boot::start_engine_anywhere(&at.store()?).await?;
            let connected = engine.connect_org(connect).await;
            engine.stop().await;
            let Connected { org, hook, findings } = connected?;
            check::print_findings(&json!({ "findings": sloe_web::admin::findings(&findings) }));
            (org.id().to_string(), hook)
        }
    };
    println!("Connected org {id}.");
    println!();
    hook::print(&id, &secrets);
    println!("They are shown only now. The ones before stay good until the next.");
    if changes {
        let told = changes::switch(&at, &id, Some(true), &from).await?;
        println!();
        println!("{}", changes::describe(&told));
    }
    Ok(())
}

impl Add {
    fn read(self) -> Result<(At, Connect), Failure> {
        let mapping = mapping::choose(self.mapping.as_deref(), self.preset.as_deref())?;
        let flow = match (self.client_secret_file, self.jwt_key_file, self.username) {
            (Some(file), _, _) => Flow::ClientCredentials {
                client_id: self.client_id,
                client_secret: platform::read_secret(&file)?.into(),
            },
            (None, Some(file), Some(username)) => Flow::JwtBearer {
                client_id: self.client_id,
                username,
                private_key_pem: platform::read_secret(&file)?.into(),
                audience: self.audience,
            },
            _ => {
                return Err(Failure::new(
                    "give --client-secret-file, or --jwt-key-file with --username",
                ));
            }
        };
        let profile = ProfileChange {
            slug: Some(self.slug),
            name: self.name,
            tagline: self.tagline,
            accent: self.accent,
            style: self.style,
            time_zone: self.time_zone,
            privacy_url: self.privacy_url,
            contact_email: self.contact_email,
            retention_days: self.retention_days,
        };
        let credentials = Credentials { login_url: self.url, flow };
        Ok((self.at, Connect { profile, credentials, expected: None, mapping }))
    }
}

async fn list(at: At) -> Result<(), Failure> {
    let mut troubles = Vec::new();
    let rows: Vec<[String; 5]> = match at.running().await? {
        Some(running) => {
            let answer = running.ask("orgs/list", &json!({})).await?;
            let orgs = answer.get("orgs").and_then(Value::as_array).cloned().unwrap_or_default();
            for org in &orgs {
                let told = org.get("troubles").and_then(Value::as_array).into_iter().flatten();
                let told = told.filter_map(Value::as_str);
                troubles.extend(told.map(|told| format!("{}: {told}", text(org, "slug"))));
            }
            let ours = answer.get("troubles").and_then(Value::as_array).into_iter().flatten();
            troubles.extend(ours.filter_map(Value::as_str).map(str::to_owned));
            let row = |org: &Value| {
                let [slug, id, name, live] =
                    ["slug", "org_id", "name", "live"].map(|key| text(org, key));
                let of = |key: &str| org.pointer(&format!("/calls/{key}")).and_then(Value::as_u64);
                let told = of("used").zip(of("max"));
                let (by_sloe, left) = (of("by_sloe"), of("left"));
                [slug, id, name, live, calls(told, by_sloe.unwrap_or(0), left.unwrap_or(0))]
            };
            orgs.iter().map(row).collect()
        }
        None => {
            let engine = boot::start_engine_alone(&at.store()?).await?;
            let mut rows = Vec::new();
            for org in engine.registry().all() {
                let live = if engine.is_live(org.id()) { "yes" } else { "no" };
                let (slug, name) = (org.profile.slug.clone(), org.profile.name.clone());
                let known = engine.calls(org.id()).await?;
                let changes = engine.changes(org.id()).await?;
                let told = known.trouble().into_iter().chain(org.mapping.trouble.clone());
                let told = told.chain(changes.trouble());
                troubles.extend(told.map(|told| format!("{slug}: {told}")));
                let told = known.told.map(|told| (told.used, told.max));
                let calls = calls(told, known.ours, known.left);
                rows.push([slug, org.id().to_string(), name, live.to_owned(), calls]);
            }
            engine.stop().await;
            rows
        }
    };
    if rows.is_empty() {
        println!("No org is connected yet; see sloe org add --help.");
        return Ok(());
    }
    let mut table = Table::new();
    table.set_header(["slug", "org", "name", "live", "API calls in 24 h"]);
    for row in rows {
        table.add_row(row);
    }
    println!("{table}");
    for trouble in troubles {
        println!("{trouble}");
    }
    Ok(())
}

/// An org's API calls of 24 hours, everybody's and Sloe's, in a cell.
fn calls(told: Option<(u64, u64)>, by_sloe: u64, left: u64) -> String {
    let Some((used, max)) = told else { return "not told yet".to_owned() };
    format!("{used} of {max}; by Sloe {by_sloe}, {left} left")
}

/// A moment of an answer for people; a dash if it is missing.
pub(super) fn when(value: &Value, key: &str) -> String {
    match value.get(key).and_then(Value::as_str) {
        None => "-".to_owned(),
        Some(text) => Timestamp::parse(text).map_or_else(|| text.to_owned(), Timestamp::to_words),
    }
}

/// A text member of an answer; empty if it is missing.
pub(super) fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}
