//! `sloe org rotate-hook`: new secrets for whoever calls an org's hook.

use clap::Args;
use serde_json::json;
use sloe_engine::tenant::HookSecrets;

use super::{At, text};
use crate::cmd::Failure;
use crate::cmd::ask::ask;

#[derive(Args)]
pub(crate) struct RotateHook {
    #[command(flatten)]
    at: At,
    /// Id or slug of the org.
    org: String,
    /// Make no new secret; end the one before the newest.
    #[arg(long)]
    end_old: bool,
}

pub(super) async fn run(rotate: RotateHook) -> Result<(), Failure> {
    let body = json!({ "org": rotate.org, "end_old": rotate.end_old });
    let rotated = async |engine: &_, body: &_| sloe_web::admin::rotate_hook(engine, body);
    let answer = ask(&rotate.at, "orgs/hook", &body, rotated).await?;
    let [id, secret, signing] =
        ["org_id", "hook_secret", "hook_signing"].map(|key| text(&answer, key));
    if rotate.end_old {
        println!("The hook of org {id} takes the newest secret only.");
        return Ok(());
    }
    print(&id, &HookSecrets { secret, signing });
    println!(
        "They are shown only now. The ones before stay good until you make others or end them:"
    );
    println!("  sloe org rotate-hook {} --end-old", rotate.org);
    Ok(())
}

/// Says what to put where.
pub(super) fn print(id: &str, hook: &HookSecrets) {
    println!("For the Update button, enter in Salesforce's Setup, Named Credentials:");
    println!("  URL     <your Sloe>/hooks/salesforce/{id}");
    println!("  Secret  {}", hook.secret);
    println!("For another caller that signs what it sends (Standard Webhooks):");
    println!("  URL     <your Sloe>/hooks/salesforce/{id}/refresh");
    println!("  Key     {}", hook.signing);
    println!();
}
