//! `sloe license`: who may be live, and why; and where `sloe serve` reads that from.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use comfy_table::Table;
use serde_json::{Value, json};
use sloe_core::words::counted;
use sloe_engine::engine::Engine;
use sloe_engine::worker::SourceOrg;
use sloe_salesforce::{Credentials, Flow, Package};
use sloe_web::admin::license;

use super::Failure;
use super::ask::ask;
use super::org::{text, when};
use crate::at::At;
use crate::platform;

#[derive(Subcommand)]
pub(crate) enum License {
    /// List the licenses of all orgs, and how the source org is read.
    #[command(after_help = "Examples:\n  sloe license list\n  sloe license list --json")]
    List {
        #[command(flatten)]
        at: At,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Show all license rows of one org.
    #[command(
        after_help = "Examples:\n  sloe license show acme\n  sloe license show 00D5g000000Test --json"
    )]
    Show(One),
    /// Say whether an org may be live, and why.
    #[command(
        after_help = "Examples:\n  sloe license why acme\n  sloe license why 00D5g000000TestEAC"
    )]
    Why(One),
    /// Record an org's license by hand, where no source org is configured.
    #[command(
        after_help = "Examples:\n  sloe license set acme --number L-00042\n  sloe license set acme --number L-00042 --status trial --expires-at 2027-01-31"
    )]
    Set(Set),
}

/// One org.
#[derive(Args)]
pub(crate) struct One {
    #[command(flatten)]
    at: At,
    /// Slug of the org, or its id of 15 or 18 characters.
    org: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
pub(crate) struct Set {
    #[command(flatten)]
    at: At,
    /// Id or slug of the org.
    org: String,
    /// The license's number.
    #[arg(long)]
    number: String,
    /// Its status: active, trial, suspended or uninstalled.
    #[arg(long, default_value = "active")]
    status: String,
    /// Its last day, 2027-01-31 for instance (to the end of it in UTC), or a time in RFC 3339.
    #[arg(long)]
    expires_at: Option<String>,
}

/// Where a platform reads licenses: the org with the License Management App.
#[derive(Args, Default)]
#[command(next_help_heading = "Licenses")]
pub(crate) struct Source {
    /// My Domain address of the org with the License Management App; without it licenses are recorded by hand.
    #[arg(long, env = "SLOE_LICENSE_URL", value_name = "URL", requires_all = ["license_client_id", "license_package"])]
    license_url: Option<String>,
    /// Consumer key of the connected app there.
    #[arg(long, env = "SLOE_LICENSE_CLIENT_ID", value_name = "ID")]
    license_client_id: Option<String>,
    /// File with its consumer secret (or SLOE_LICENSE_CLIENT_SECRET, which holds it).
    #[arg(long, env = "SLOE_LICENSE_CLIENT_SECRET_FILE", value_name = "FILE")]
    license_client_secret_file: Option<PathBuf>,
    /// File with an RS256 private key (PEM) instead: JWT bearer flow.
    #[arg(
        long,
        env = "SLOE_LICENSE_JWT_KEY_FILE",
        value_name = "FILE",
        requires = "license_username"
    )]
    license_jwt_key_file: Option<PathBuf>,
    /// The user of the JWT bearer flow.
    #[arg(long, env = "SLOE_LICENSE_USERNAME", value_name = "NAME")]
    license_username: Option<String>,
    /// Audience of the JWT bearer flow.
    #[arg(
        long,
        env = "SLOE_LICENSE_AUDIENCE",
        value_name = "URL",
        default_value = "https://login.salesforce.com"
    )]
    license_audience: String,
    /// Whose licenses count: the package's id (033…), or its name in that org.
    #[arg(long, env = "SLOE_LICENSE_PACKAGE", value_name = "PACKAGE")]
    license_package: Option<Package>,
    /// Seconds between two reads of what has changed.
    #[arg(long, env = "SLOE_LICENSE_EVERY", value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    license_every: u64,
}

impl Source {
    /// The source org, if one is named.
    pub(crate) fn read(self) -> Result<Option<SourceOrg>, Failure> {
        let Some(login_url) = self.license_url else { return Ok(None) };
        let (Some(client_id), Some(package)) = (self.license_client_id, self.license_package)
        else {
            return Err(Failure::new(
                "--license-url needs --license-client-id and --license-package",
            ));
        };
        let secret = match (&self.license_client_secret_file, &self.license_jwt_key_file) {
            (Some(file), _) => Some(platform::read_secret(file)?),
            // Not every hoster has files that stay.
            (None, None) => platform::license_secret(),
            (None, Some(_)) => None,
        };
        let flow = match (secret, self.license_jwt_key_file, self.license_username) {
            (Some(secret), None, _) => {
                Flow::ClientCredentials { client_id, client_secret: secret.into() }
            }
            (None, Some(file), Some(username)) => Flow::JwtBearer {
                client_id,
                username,
                private_key_pem: platform::read_secret(&file)?.into(),
                audience: self.license_audience,
            },
            _ => {
                return Err(Failure::new(
                    "for --license-url give --license-client-secret-file or SLOE_LICENSE_CLIENT_SECRET, \
                     or --license-jwt-key-file with --license-username",
                ));
            }
        };
        let source = SourceOrg::new(Credentials { login_url, flow }, package);
        Ok(Some(SourceOrg { every: Duration::from_secs(self.license_every), ..source }))
    }
}

pub(crate) async fn run(license: License) -> Result<(), Failure> {
    match license {
        License::List { at, json } => {
            let all = async |engine: &Engine, _: &Value| Ok(license::list(engine));
            let answer = ask(&at, "licenses/list", &json!({}), all).await?;
            if json { print_json(&answer) } else { list(&answer) }
        }
        License::Show(one) => {
            let answer = explain(&one).await?;
            if one.json { print_json(&answer) } else { show(&answer) }
        }
        License::Why(one) => {
            let answer = explain(&one).await?;
            if one.json {
                print_json(&answer);
            } else {
                println!("{}", text(&answer, "why"));
                troubles(&answer);
            }
        }
        License::Set(set) => return record(set).await,
    }
    Ok(())
}

async fn explain(one: &One) -> Result<Value, Failure> {
    let body = json!({ "org": one.org });
    ask(&one.at, "licenses/why", &body, async |engine, body| license::why(engine, body)).await
}

async fn record(set: Set) -> Result<(), Failure> {
    let body = json!({
        "org": set.org,
        "number": set.number,
        "status": set.status,
        "expires_at": set.expires_at,
    });
    let recorded =
        async |engine: &Engine, body: &Value| license::record(engine, body).map(|()| Value::Null);
    ask(&set.at, "licenses", &body, recorded).await?;
    println!("Recorded license {} of {}.", set.number, set.org);
    Ok(())
}

fn print_json(answer: &Value) {
    println!("{answer:#}");
}

fn list(answer: &Value) {
    let orgs = answer.get("orgs").and_then(Value::as_array).cloned().unwrap_or_default();
    if orgs.is_empty() {
        println!("No license is known, and no org is connected.");
    } else {
        let mut table = Table::new();
        table.set_header(["slug", "org", "live", "license", "status", "last day", "reason"]);
        for org in &orgs {
            let rows = rows(org);
            let column =
                |key: &str| rows.iter().map(|row| text(row, key)).collect::<Vec<_>>().join("\n");
            let live = org.get("live").and_then(Value::as_bool).unwrap_or(false);
            table.add_row([
                text(org, "slug"),
                text(org, "org_id"),
                if live { "yes" } else { "no" }.to_owned(),
                column("number"),
                column("status"),
                column("expires_on"),
                text(org, "reason"),
            ]);
        }
        println!("{table}");
    }
    source(answer);
}

fn show(answer: &Value) {
    let slug = text(answer, "slug");
    let name = if slug.is_empty() { "not connected" } else { slug.as_str() };
    println!("{} ({name})", text(answer, "org_id"));
    let mut table = Table::new();
    table.set_header(["license", "status", "last day"]);
    for row in rows(answer) {
        table.add_row(["number", "status", "expires_on"].map(|key| text(&row, key)));
    }
    if !rows(answer).is_empty() {
        println!("{table}");
    }
    println!("{}", text(answer, "why"));
    source(answer);
}

fn rows(org: &Value) -> Vec<Value> {
    org.get("licenses").and_then(Value::as_array).cloned().unwrap_or_default()
}

/// Where licenses come from, and what is wrong there.
fn source(answer: &Value) {
    let Some(source) = answer.get("source").filter(|source| !source.is_null()) else {
        println!("Licenses are recorded by hand (sloe license set): no source org is configured.");
        return;
    };
    let read = match source.get("read_at").filter(|at| !at.is_null()) {
        Some(_) => format!("read at {}", when(source, "read_at")),
        None => "never read".to_owned(),
    };
    let rows = source.get("rows").and_then(Value::as_u64).unwrap_or(0);
    println!(
        "Source org {}, package {}: {read}, {}.",
        text(source, "url"),
        text(source, "package"),
        counted(rows, "row")
    );
    troubles(answer);
}

fn troubles(answer: &Value) {
    let told = answer.pointer("/source/troubles").and_then(Value::as_array).into_iter().flatten();
    for trouble in told.filter_map(Value::as_str) {
        println!("{trouble}");
    }
}
