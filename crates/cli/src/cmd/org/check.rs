//! `sloe org check`: does an org have what its mapping names, and may Sloe use it?

use clap::Args;
use serde_json::{Value, json};

use super::{At, text};
use crate::cmd::Failure;
use crate::cmd::ask::ask;

pub(super) const EXAMPLES: &str = "\
Examples:
  sloe org check acme           what the org lacks, the worst first; fails if it can't go live
  sloe org check acme --json    the same for scripts";

#[derive(Args)]
pub(crate) struct Check {
    #[command(flatten)]
    at: At,
    /// Id or slug of the org.
    org: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(check: Check) -> Result<(), Failure> {
    let body = json!({ "org": check.org });
    let answer = ask(&check.at, "orgs/check", &body, sloe_web::admin::check_org).await?;
    let ready = answer.get("ready").and_then(Value::as_bool).unwrap_or(false);
    if check.json {
        println!("{answer}");
    } else {
        print_findings(&answer);
        if ready {
            println!("The org {} has what Sloe needs.", check.org);
        }
    }
    if ready { Ok(()) } else { Err(Failure::new(format!("the org {} is not ready", check.org))) }
}

/// Columns that a line of findings takes at most, unless a name is longer.
const WIDTH: usize = 100;

/// An answer's findings, each with what to do; nothing without any. No name is
/// broken: people copy them.
pub(super) fn print_findings(answer: &Value) {
    for finding in answer.get("findings").and_then(Value::as_array).into_iter().flatten() {
        let [severity, what, fix] = ["severity", "what", "fix"].map(|key| text(finding, key));
        println!("{}", paragraph(&format!("{severity}: "), &what));
        println!("{}", paragraph("    ", &fix));
    }
}

/// Words in lines, the further ones set in.
fn paragraph(first: &str, words: &str) -> String {
    let (mut out, mut column) = (first.to_owned(), first.chars().count());
    for (at, word) in words.split_whitespace().enumerate() {
        let length = word.chars().count();
        if at > 0 && column + 1 + length > WIDTH {
            out.push_str("\n    ");
            column = 4;
        } else if at > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += length;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_is_set_in_and_breaks_no_name() {
        let long = "x".repeat(120);
        let text = paragraph("note: ", &format!("a {long} {}", "word ".repeat(30)));
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines[0], lines[1]), ("note: a", &*format!("    {long}")));
        assert!(lines[2..].iter().all(|line| line.starts_with("    word") && line.len() <= WIDTH));
        assert_eq!(text.matches("word").count(), 30);
    }
}
