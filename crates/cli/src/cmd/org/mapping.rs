//! `sloe org mapping`: what an org calls its objects and fields.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use sloe_core::words::counted;
use sloe_salesforce::Mapping;
use sloe_salesforce::map::{PRESETS, preset};

use super::check::print_findings;
use super::{At, text, when};
use crate::cmd::Failure;
use crate::cmd::ask::ask;

pub(super) const EXAMPLES: &str = "\
Examples:
  sloe org mapping --print > mapping.toml                 a template, complete and commented
  sloe org mapping --print --preset blackthorn            the one for Blackthorn Events
  sloe org mapping acme --file mapping.toml               checks it against the org, then uses it
  sloe org mapping acme                                   the one in force, and since when
  sloe org mapping acme --back                            the one before it, at once";

#[derive(Args)]
pub(crate) struct MappingArgs {
    #[command(flatten)]
    at: At,
    /// Id or slug of the org.
    #[arg(required_unless_present = "print")]
    org: Option<String>,
    /// Put the mapping of this file in force, - for standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["preset", "back", "print"])]
    file: Option<PathBuf>,
    /// A mapping that comes with Sloe: sloe or blackthorn.
    #[arg(long, value_name = "NAME", value_parser = PRESETS)]
    preset: Option<String>,
    /// Put the mapping before the one in force in force again.
    #[arg(long, conflicts_with_all = ["preset", "print"])]
    back: bool,
    /// Print a mapping that comes with Sloe, as a template.
    #[arg(long, conflicts_with = "org")]
    print: bool,
    /// Print JSON.
    #[arg(long, conflicts_with = "print")]
    json: bool,
}

pub(super) async fn run(args: MappingArgs) -> Result<(), Failure> {
    let chosen = args.preset.as_deref();
    if args.print {
        print!("{}", preset(chosen.unwrap_or("sloe")).unwrap_or_default());
        return Ok(());
    }
    let org = args.org.clone().unwrap_or_default();
    let wanted = choose(args.file.as_deref(), chosen)?;
    if wanted.is_none() && !args.back {
        return show(&args, &org).await;
    }
    let body = json!({ "org": org, "text": wanted, "back": args.back });
    let change = sloe_web::admin::change_mapping;
    let answer = ask(&args.at, "orgs/mapping/change", &body, change).await?;
    let stored = answer.get("stored").and_then(Value::as_bool).unwrap_or(false);
    if args.json {
        println!("{answer}");
    } else {
        for fault in answer.get("faults").and_then(Value::as_array).into_iter().flatten() {
            println!("{}", text(fault, "text"));
        }
        print_findings(&answer);
        if stored {
            println!("The mapping of {org} is in force; the whole org is being read anew.");
        }
    }
    if stored {
        return Ok(());
    }
    Err(Failure::new(format!("the mapping of {org} stays as it was")))
}

/// The text of a mapping file or preset, if one is chosen; every fault of a
/// file, before anybody is asked.
pub(super) fn choose(file: Option<&Path>, named: Option<&str>) -> Result<Option<String>, Failure> {
    let Some(path) = file else {
        return Ok(named.and_then(preset).map(str::to_owned));
    };
    let read = match path == Path::new("-") {
        true => std::io::read_to_string(std::io::stdin()),
        false => std::fs::read_to_string(path),
    };
    let text =
        read.map_err(|error| Failure::new(format!("{} can't be read: {error}", path.display())))?;
    if let Err(faults) = Mapping::parse(&text) {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let (file, faults) = (path.display(), counted(lines.len(), "fault"));
        return Err(Failure::new(format!(
            "{file} has {faults}, so nothing was changed:\n{}",
            lines.join("\n")
        )));
    }
    Ok(Some(text))
}

async fn show(args: &MappingArgs, org: &str) -> Result<(), Failure> {
    let body = json!({ "org": org });
    let shown = async |engine: &_, body: &_| sloe_web::admin::show_mapping(engine, body);
    let answer = ask(&args.at, "orgs/mapping", &body, shown).await?;
    if args.json {
        println!("{answer}");
        return Ok(());
    }
    let slug = text(&answer, "slug");
    match answer.get("since").filter(|since| !since.is_null()) {
        Some(_) => println!("# In force for {slug} since {}.", when(&answer, "since")),
        None => println!("# In force for {slug} since it was connected: Sloe's own package."),
    }
    if let Some(trouble) = answer.get("trouble").and_then(Value::as_str) {
        println!("# {trouble}");
    }
    println!();
    print!("{}", text(&answer, "text"));
    Ok(())
}
