//! `sloe event invite`: personal links, as a file that a mailing can be made of.

use std::io::{BufRead, Write as _};

use clap::Args as Arguments;
use serde_json::{Value, json};

use crate::at::At;
use crate::cmd::Failure;

/// Links of one request.
const AT_ONCE: usize = 1_000;

#[derive(Arguments)]
#[command(after_help = "Examples:\n  \
    sloe event invite --org acme --event summit 0035g00000AbCdEAAV\n  \
    sloe event invite --org acme --event summit - < contacts.csv > links.csv\n\n\
    Whoever registers by a link is linked to that Contact or Lead in Salesforce. The links stay \
    the same however often they are made.")]
pub(crate) struct Args {
    #[command(flatten)]
    at: At,
    /// Id or slug of the org.
    #[arg(long)]
    org: String,
    /// The event: the last part of its address.
    #[arg(long)]
    event: String,
    /// Ids of Contacts or Leads; - reads them from standard input, the first column of each line.
    #[arg(required = true)]
    records: Vec<String>,
}

pub(crate) async fn run(args: Args) -> Result<(), Failure> {
    let records = match args.records.as_slice() {
        [one] if one == "-" => from_file(std::io::stdin().lock())?,
        _ => args.records,
    };
    let mut lines = Vec::with_capacity(records.len());
    for some in records.chunks(AT_ONCE) {
        let body = json!({ "org": args.org, "event": args.event, "records": some });
        let answer = args.at.ask("events/invite", &body).await?;
        let links = answer.get("links").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let line = |(record, link): (&String, &Value)| {
            format!("{record},{}", link.as_str().unwrap_or_default())
        };
        lines.extend(some.iter().zip(links).map(line));
    }
    let mut out = std::io::stdout().lock();
    writeln!(out, "Id,Invitation")?;
    for line in lines {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// The first column of each line, without a line of headings.
fn from_file(file: impl BufRead) -> Result<Vec<String>, Failure> {
    let mut ids = Vec::new();
    for line in file.lines() {
        let line = line?;
        let first = line.split(',').next().unwrap_or_default();
        let first = first.trim_start_matches('\u{feff}').trim().trim_matches('"');
        if !first.is_empty() && !first.eq_ignore_ascii_case("id") {
            ids.push(first.to_owned());
        }
    }
    if ids.is_empty() { Err(Failure::new("standard input has no ids")) } else { Ok(ids) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::from_file;

    #[test]
    fn an_export_of_salesforce_is_read_by_its_first_column() {
        let file =
            "\u{feff}\"Id\",\"Name\"\r\n\"0035g00000AbCdEAAV\",\"Ada, Countess\"\r\n\r\n00Q1\n";
        assert_eq!(from_file(file.as_bytes()).unwrap(), ["0035g00000AbCdEAAV", "00Q1"]);
        assert!(from_file("Id\n".as_bytes()).is_err());
    }
}
