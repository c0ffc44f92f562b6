//! The verbs, a file each.

mod ask;
mod doctor;
mod event;
mod license;
mod org;
mod person;
mod serve;
mod staff;
mod store;
mod sync;

#[cfg(test)]
mod help;

#[cfg(feature = "sim")]
mod demo;
#[cfg(feature = "sim")]
mod sim;
#[cfg(feature = "sim")]
mod storm;

use std::fmt;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Event registration that stays up when Salesforce can't.
#[derive(Parser)]
#[command(name = "sloe", version, about, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    /// What to log: a level, or per module, `info,sloe_engine=debug` for instance.
    #[arg(long, global = true, env = "SLOE_LOG", value_name = "FILTER")]
    pub(crate) log: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
Examples:
  sloe demo                             everything on this machine, with two simulated orgs
  sloe serve --store embedded:data      the platform on its own store
  sloe org add --slug acme --name Acme --url https://acme.my.salesforce.com \\
       --client-id 3MVG… --client-secret-file secret.txt
                                        connect an org
  sloe license why acme                 whether an org may be live, and why
  sloe sim org --listen 127.0.0.1:9000  a simulated Salesforce org
  sloe doctor                           how everything is, and what to do
  sloe sync status                      how far each org is, and what is wrong
  sloe person erase --org acme --email ada@example.org
                                        destroy a person's data, print a receipt";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run everything on this machine: two simulated orgs, sample events, the platform.
    #[cfg(feature = "sim")]
    Demo(demo::Args),
    /// Run the platform.
    Serve(Box<serve::Args>),
    /// Simulate what is outside.
    #[cfg(feature = "sim")]
    #[command(subcommand)]
    Sim(sim::Sim),
    /// Send a crowd of visitors, and prove that nothing is oversold, lost or doubled.
    #[cfg(feature = "sim")]
    Storm(Box<storm::Args>),
    /// Connect and list orgs.
    #[command(subcommand)]
    Org(org::Org),
    /// Say how everything is and what to do; fails if a person is needed.
    #[command(after_help = "Examples:\n  sloe doctor\n  sloe doctor --json")]
    Doctor(doctor::Doctor),
    /// Say which orgs may be live, and why.
    #[command(subcommand)]
    License(license::License),
    /// Look after one event.
    #[command(subcommand)]
    Event(event::Event),
    /// See what the orgs have still to get, and send again what failed.
    #[command(subcommand)]
    Sync(sync::Sync),
    /// Let staff in to the console.
    #[command(subcommand)]
    Staff(staff::Staff),
    /// Look after the store.
    #[command(subcommand)]
    Store(store::Store),
    /// Serve a person's rights over their data.
    #[command(subcommand)]
    Person(person::Person),
}

pub(crate) async fn run(command: Command) -> Result<ExitCode, Failure> {
    match command {
        #[cfg(feature = "sim")]
        Command::Demo(args) => demo::run(args).await?,
        Command::Serve(args) => serve::run(*args).await?,
        #[cfg(feature = "sim")]
        Command::Sim(sim) => sim::run(sim).await?,
        #[cfg(feature = "sim")]
        Command::Storm(args) => return storm::run(*args).await,
        Command::Org(org) => org::run(org).await?,
        Command::Doctor(doctor) => return doctor::run(doctor).await,
        Command::License(license) => license::run(license).await?,
        Command::Event(event) => event::run(event).await?,
        Command::Sync(sync) => sync::run(sync).await?,
        Command::Staff(staff) => staff::run(staff).await?,
        Command::Store(store) => store::run(store).await?,
        Command::Person(person) => person::run(person).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Why a command did not do what it was asked: one clear sentence.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}
