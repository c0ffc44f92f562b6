//! `sloe person`: a person's rights over their data.

use clap::Subcommand;
use serde_json::{Value, json};

use super::Failure;
use super::ask::ask;
use super::org::text;
use crate::at::At;

#[derive(Subcommand)]
pub(crate) enum Person {
    /// Destroy a person's data in an org's orders, and print a receipt.
    #[command(after_help = "Example:\n  sloe person erase --org acme --email ada@example.org")]
    Erase {
        #[command(flatten)]
        at: At,
        /// Id or slug of the org.
        #[arg(long)]
        org: String,
        /// The person's e-mail address.
        #[arg(long)]
        email: String,
    },
}

pub(crate) async fn run(person: Person) -> Result<(), Failure> {
    let Person::Erase { at, org, email } = person;
    let body = json!({ "org": org, "email": email });
    let erase = sloe_web::admin::erase_person;
    let receipt = ask(&at, "persons/erase", &body, erase).await?;
    print_receipt(&receipt);
    Ok(())
}

fn print_receipt(receipt: &Value) {
    let count = |key: &str| receipt.get(key).and_then(Value::as_u64).unwrap_or(0);
    println!("Receipt of erasure");
    println!("  receipt    {}", text(receipt, "receipt"));
    println!("  when       {}", text(receipt, "at"));
    println!("  org        {}", text(receipt, "org_id"));
    println!("  attendees  {} in {} orders", count("attendees"), count("orders"));
    for reference in receipt.get("references").and_then(Value::as_array).into_iter().flatten() {
        println!("  order      {}", reference.as_str().unwrap_or_default());
    }
    println!("Records already in Salesforce are the organizer's to erase.");
}
