//! What a restart finds again.

use sloe_sim::org::{Options, Seed, start};

use crate::client::{EVENT, Org, SEED, options};

#[tokio::test]
async fn records_survive_a_clean_stop_and_ids_and_numbers_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let org = Org::kept_in(directory.path().to_owned()).await;
    let first = org.attendee("one").await;
    org.delete(&format!("/sobjects/Sloe_Attendee__c/{first}")).await;
    let second = org.attendee("two").await;
    org.running.shutdown().await;

    let org = Org::kept_in(directory.path().to_owned()).await;
    let rows = org.records("SELECT Id, Name, Sloe_Id__c, Event__c FROM Sloe_Attendee__c").await;
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0]["Id"].as_str(), rows[0]["Name"].as_str()),
        (Some(second.as_str()), Some("A-0000002"))
    );
    assert_eq!(rows[0]["Event__c"], format!("{EVENT}AAA"));
    assert_eq!(org.get(&format!("/sobjects/Sloe_Attendee__c/{first}")).await.0, 404);
    let third = org.attendee("three").await;
    assert!(third > second && third != first);
    assert_eq!(
        org.records("SELECT Id FROM Sloe_Event__c").await.len(),
        1,
        "the seed is planted once"
    );
}

#[tokio::test]
async fn acknowledged_records_survive_without_a_clean_stop() {
    let directory = tempfile::tempdir().unwrap();
    let org = Org::kept_in(directory.path().to_owned()).await;
    org.attendee("one").await;
    let log = std::fs::read(directory.path().join("records.log")).unwrap();
    drop(org);
    // What a killed process leaves: the log as it stood, perhaps with half a line.
    let copy = tempfile::tempdir().unwrap();
    std::fs::write(copy.path().join("records.log"), [&log[..], b"{\"object\":\"Sloe_Att"].concat())
        .unwrap();
    let org = Org::kept_in(copy.path().to_owned()).await;
    assert_eq!(org.records("SELECT Id FROM Sloe_Attendee__c").await.len(), 1);
}

#[tokio::test]
async fn a_directory_in_use_or_of_another_org_is_refused_in_one_sentence() {
    let directory = tempfile::tempdir().unwrap();
    let org = Org::kept_in(directory.path().to_owned()).await;
    let second = start(Options { data: Some(directory.path().to_owned()), ..options() }).await;
    let error = second.err().unwrap().to_string();
    assert!(error.contains("another simulated org runs on this data directory"), "{error}");
    org.running.shutdown().await;
    let other = Seed::parse(&SEED.replace("00D5g000000Test", "00D5g000000Oth1")).unwrap();
    let error =
        start(Options { data: Some(directory.path().to_owned()), seed: other, ..options() })
            .await
            .err()
            .unwrap();
    assert!(error.to_string().contains("belongs to another org"), "{error}");
}

#[tokio::test]
async fn a_busy_address_and_a_broken_seed_are_refused_in_one_sentence() {
    let org = Org::start().await;
    let error =
        start(Options { listen: org.running.addr(), ..options() }).await.err().unwrap().to_string();
    assert!(error.contains("can't be listened on"), "{error}");
    for (wrong, words) in [
        (SEED.replace("00D5g000000Test", "0015g000000Test"), "begins with 00D"),
        (SEED.replace("run_as = \"sloe@", "run_as = \"ghost@"), "there is no such user"),
        (SEED.replace("Time_Zone__c", "Nope__c"), "has no field Nope__c"),
        (SEED.replace("$event", "$ghost"), "is called ghost"),
        (SEED.replace("today+5d 17:00", "today+4d 17:00"), "FIELD_CUSTOM_VALIDATION_EXCEPTION"),
    ] {
        let error = match Seed::parse(&wrong) {
            Err(error) => error,
            Ok(seed) => start(Options { seed, ..options() }).await.err().unwrap(),
        };
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn both_demo_orgs_start_and_share_one_record_id() {
    let mut names = Vec::new();
    for demo in Seed::DEMOS {
        let running =
            start(Options { seed: Seed::demo(demo).unwrap(), ..options() }).await.unwrap();
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", running.client_id()),
            ("client_secret", running.client_secret()),
        ];
        let http = reqwest::Client::new();
        let url = format!("{}/services/oauth2/token", running.url());
        let token: serde_json::Value =
            http.post(url).form(&form).send().await.unwrap().json().await.unwrap();
        let url =
            format!("{}/services/data/v62.0/sobjects/Sloe_Event__c/a00SL0000000001", running.url());
        let event = http
            .get(url)
            .bearer_auth(token["access_token"].as_str().unwrap())
            .send()
            .await
            .unwrap();
        let event: serde_json::Value = event.json().await.unwrap();
        names.push(event["Name"].as_str().unwrap().to_owned());
        running.shutdown().await;
    }
    assert_eq!(names, ["Meridian Systems Days", "Lighthouse Night Walks"]);
    assert!(Seed::demo("nowhere").is_err());
    assert!(Seed::parse(Seed::default_text()).is_ok());
}
