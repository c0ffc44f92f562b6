//! The pages of the simulated org, where the demo's organizer works.

use super::support::Demo;
use super::visit::{Told, Visit};

const ORG: &str = "Meridian Systems Foundation";

/// Licenses, one with its form, and a package that only the app writes.
pub(crate) async fn of_the_source(demo: &Demo, visit: &mut Visit) {
    let name = "Sloe License Management";
    let at = |path: &str| format!("{}{path}", demo.source);
    let url = at("/__control/licenses");
    let all: serde_json::Value = demo.client().get(url).send().await.unwrap().json().await.unwrap();
    let row = &all["licenses"][0];
    let record = |id: &serde_json::Value| at(&format!("/r/{}", id.as_str().unwrap()));
    let pages: [(&str, String, &str, &[&str]); 3] = [
        ("source-licenses", at("/"), "Licenses", &["L-00001", "00D5g000000Mrdn", "Suspended"]),
        ("source-license", record(&row["id"]), "L-00001", &["Modify License", "Save"]),
        ("source-package", record(&row["package"]), "Sloe", &["can't be edited here"]),
    ];
    for (page, url, title, says) in pages {
        let title = format!("{title} · {name}");
        visit.see(&url, &Told { name: page, status: 200, title: &title, says }).await;
    }
}

/// Lists, records, an empty form, and what is not there.
pub(crate) async fn of_the_org(demo: &Demo, visit: &mut Visit) {
    let org = demo.org("meridian");
    let at = |path: &str| format!("{}{path}", org.url);
    let event = org.record("Sloe_Event__c WHERE Slug__c = 'systems-days'").await;
    let first =
        "SELECT Id, First_Name__c, Last_Name__c FROM Sloe_Attendee__c ORDER BY CreatedDate LIMIT 1";
    let attendee = org.one(first).await;
    let text = |field: &str| attendee[field].as_str().unwrap();
    let name = format!("{} {}", text("First_Name__c"), text("Last_Name__c"));
    let record = |id: &str| at(&format!("/r/{id}"));
    let question = format!("Delete {name}?");
    let pages: [(&str, String, u16, &str, &[&str]); 8] = [
        ("org-events", at("/"), 200, "Events", &["newest change first", "Update all events"]),
        ("org-attendees", at("/o/Sloe_Attendee__c"), 200, "Attendees", &["newest change first"]),
        ("org-event", record(&event), 200, "Meridian Systems Days", &["Update", "Save"]),
        ("org-attendee", record(text("Id")), 200, &name, &["Save"]),
        ("org-delete", record(&format!("{}/delete", text("Id"))), 200, &question, &["Keep it"]),
        (
            "org-activity",
            at("/activity"),
            200,
            "Activity",
            &["API calls by the minute", "Bulk jobs"],
        ),
        ("org-new", at("/o/Sloe_Event__c/new"), 200, "New event", &["Save"]),
        (
            "org-missing",
            at("/o/Nothing__c"),
            404,
            "Not found",
            &["There is no such record", "Back"],
        ),
    ];
    for (name, url, status, title, says) in pages {
        let title = format!("{title} · {ORG}");
        visit.see(&url, &Told { name, status, title: &title, says }).await;
    }
}
