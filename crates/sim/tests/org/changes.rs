//! What changed lately: recent records, and what a copy has to fetch or to drop.

use serde_json::{Value as Json, json};

use crate::client::{EVENT, Org};

fn ids(items: &Json) -> Vec<&str> {
    items.as_array().unwrap().iter().map(|item| item["Id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn recent_records_are_those_the_user_wrote_last_and_a_restart_knows_them() {
    let directory = tempfile::tempdir().unwrap();
    let org = Org::kept_in(directory.path().to_owned()).await;
    let mut made = Vec::new();
    for key in ["a", "b", "c"] {
        made.push(org.attendee(key).await);
    }
    let gone = made.remove(1);
    org.delete(&format!("/sobjects/Sloe_Attendee__c/{gone}")).await;
    let (status, all) = org.get("/recent").await;
    assert_eq!(status, 200, "{all}");
    let url = format!("/services/data/v62.0/sobjects/Sloe_Event__c/{EVENT}AAA");
    let event = json!({
        "attributes": { "type": "Sloe_Event__c", "url": url },
        "Id": format!("{EVENT}AAA"), "Name": "First Event",
    });
    assert!(all.as_array().unwrap().contains(&event), "{all}");
    let known = ids(&all);
    assert!(made.iter().all(|id| known.contains(&id.as_str())), "{all}");
    assert!(!known.contains(&gone.as_str()), "what is deleted isn't recent: {all}");
    assert!(known.iter().all(|id| !id.starts_with("005") && !id.starts_with("00D")), "{all}");
    let (_, one) = org.get("/recent?limit=1").await;
    assert_eq!(ids(&one), known[..1]);
    assert_eq!(org.get("/recent?limit=none").await.0, 400);
    let (_, object) = org.get("/sobjects/Sloe_Attendee__c").await;
    assert_eq!(ids(&object["recentItems"]), [made[1].as_str(), made[0].as_str()]);
    org.running.shutdown().await;
    let org = Org::kept_in(directory.path().to_owned()).await;
    assert_eq!(org.get("/recent").await.1, all);
}
