//! `sloe doctor`: how everything is, in words, and what to do.

use std::path::Path;
use std::process::{Command, ExitCode};

use clap::Args;
use serde_json::{Value, json};

use super::Failure;
use super::org::text;
use crate::at::{At, StoreAt};
use crate::boot;

/// Free space below which a person should look, in MiB.
const SCARCE_MIB: u64 = 1_024;

#[derive(Args)]
pub(crate) struct Doctor {
    #[command(flatten)]
    at: At,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(doctor: Doctor) -> Result<ExitCode, Failure> {
    let store = doctor.at.store()?;
    let mut found = match doctor.at.running().await? {
        Some(running) => running.ask("doctor", &json!({})).await?,
        None => {
            let engine = boot::start_engine_alone(&store).await?;
            let mut found = sloe_web::admin::examine(&engine).await;
            engine.stop().await;
            if let StoreAt::Embedded(data) = &store {
                let todo = format!("Start it: sloe serve --store embedded:{}", data.display());
                add(&mut found, line("platform", "attention", "It does not run.", Some(&todo)));
            }
            found
        }
    };
    // Where the data is of a platform that was named, this machine does not know.
    if let (StoreAt::Embedded(data), None) = (&store, doctor.at.named_platform()) {
        add(&mut found, disk(data));
    }
    if doctor.json {
        println!("{found}");
    } else {
        print!("{}", describe(&found));
    }
    let attention = found.get("attention").and_then(Value::as_bool).unwrap_or(true);
    Ok(if attention { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn line(subject: &str, health: &str, says: &str, todo: Option<&str>) -> Value {
    json!({ "subject": subject, "health": health, "says": says, "todo": todo })
}

/// Adds a line on the platform.
fn add(found: &mut Value, line: Value) {
    if text(&line, "health") == "attention"
        && let Some(attention) = found.get_mut("attention")
    {
        *attention = true.into();
    }
    if let Some(platform) = found.get_mut("platform").and_then(Value::as_array_mut) {
        platform.push(line);
    }
}

/// How much room the data has.
fn disk(data: &Path) -> Value {
    let subject = "disk";
    let asked = Command::new("df").arg("-Pk").arg(data).output();
    let told = asked.ok().filter(|output| output.status.success());
    let told = told.and_then(|output| free_kib(&String::from_utf8_lossy(&output.stdout)));
    match told.map(|kib| kib / 1_024) {
        None => line(subject, "note", "df does not say how much room is left.", None),
        Some(mib) if mib < SCARCE_MIB => {
            let says = format!("Only {mib} MiB are free where the data is.");
            line(subject, "attention", &says, Some("Make room, or move the data directory."))
        }
        Some(mib) => line(subject, "good", &format!("{mib} MiB are free where the data is."), None),
    }
}

/// The fourth column of the second line, as POSIX has it.
fn free_kib(told: &str) -> Option<u64> {
    told.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

fn describe(found: &Value) -> String {
    let list = |value: &Value, key: &str| {
        value.get(key).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let mut out = String::new();
    for org in list(found, "orgs") {
        out.push_str(&format!("{} ({})\n", text(&org, "slug"), text(&org, "org_id")));
        list(&org, "lines").iter().for_each(|line| out.push_str(&show(line)));
        out.push('\n');
    }
    out.push_str("platform\n");
    list(found, "platform").iter().for_each(|line| out.push_str(&show(line)));
    out
}

fn show(line: &Value) -> String {
    let mark = match text(line, "health").as_str() {
        "good" => "ok",
        "note" => "--",
        _ => "!!",
    };
    let todo = text(line, "todo");
    let todo =
        if todo.is_empty() { todo } else { format!("                      To do: {todo}\n") };
    format!("  {mark}  {:<14}  {}\n{todo}", text(line, "subject"), text(line, "says"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_free_space_is_read_as_posix_writes_it() {
        let told = "Filesystem 1024-blocks Used Available Capacity Mounted on\n\
                    /dev/vda1 1000 400 600 40% /data\n";
        assert_eq!(free_kib(told), Some(600));
        assert_eq!(free_kib("df: no such directory"), None);
    }

    #[test]
    fn a_line_that_needs_a_person_makes_the_whole_need_one() {
        let mut found = json!({ "attention": false, "orgs": [], "platform": [] });
        add(&mut found, line("disk", "good", "Fine.", None));
        assert_eq!(found["attention"], false);
        add(&mut found, line("disk", "attention", "Full.", Some("Make room.")));
        assert_eq!(found["attention"], true);
        let told = describe(&found);
        assert!(told.contains("ok  disk") && told.contains("!!  disk"), "{told}");
        assert!(told.contains("To do: Make room."), "{told}");
    }
}
