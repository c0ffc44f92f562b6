//! One record at a time: describe, create, read, change, delete, and what the org refuses.

use reqwest::Method;
use serde_json::{Value as Json, json};

use sloe_sim::org::{Options, Seed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::bulk;
use crate::client::{EVENT, Org, SEED, options};

/// The first error's code and its fields.
fn refusal(body: &Json) -> (&str, Json) {
    (body[0]["errorCode"].as_str().unwrap_or_default(), body[0]["fields"].clone())
}

#[tokio::test]
async fn describe_says_what_the_object_files_say() {
    let org = Org::start().await;
    let (_, body) = org.get("/sobjects").await;
    let names: Vec<&str> =
        body["sobjects"].as_array().unwrap().iter().map(|o| o["name"].as_str().unwrap()).collect();
    for name in
        ["Organization", "User", "Contact", "Lead", "Sloe_Event__c", "Sloe_Session_Attendee__c"]
    {
        assert!(names.contains(&name), "{name}");
    }
    let (_, body) = org.get("/sobjects/Sloe_Attendee__c/describe").await;
    assert_eq!(body["keyPrefix"], "a03");
    let fields = body["fields"].as_array().unwrap();
    let field = |name: &str| fields.iter().find(|f| f["name"] == name).unwrap();
    let sloe_id = field("Sloe_Id__c");
    assert_eq!(
        (&sloe_id["externalId"], &sloe_id["unique"], &sloe_id["length"]),
        (&json!(true), &json!(true), &json!(64))
    );
    assert_eq!(field("Event__c")["relationshipName"], "Event__r");
    assert_eq!(field("Event__c")["referenceTo"], json!(["Sloe_Event__c"]));
    assert_eq!(field("Last_Name__c")["nillable"], false);
    assert_eq!(field("Registration_Status__c")["picklistValues"][0]["value"], "Registered");
    assert_eq!(field("Name")["autoNumber"], true);
    let (_, body) = org.get("/sobjects/Sloe_Event__c/describe").await;
    let children: Vec<&Json> = body["childRelationships"]
        .as_array()
        .unwrap()
        .iter()
        .map(|c| &c["relationshipName"])
        .collect();
    assert!(
        children.contains(&&json!("Items__r")) && children.contains(&&json!("Sessions__r")),
        "{children:?}"
    );
}

#[tokio::test]
async fn a_record_is_created_read_changed_and_deleted() {
    let org = Org::start().await;
    let id = org.attendee("one").await;
    assert_eq!(id.len(), 18);
    assert!(id.starts_with("a03"));
    let path = format!("/sobjects/Sloe_Attendee__c/{id}");
    let (status, body) = org.get(&path).await;
    assert_eq!(status, 200);
    assert_eq!(body["Name"], "A-0000001");
    assert_eq!(body["Registration_Status__c"], "Registered", "the picklist's default");
    assert_eq!(body["Sloe_Version__c"], json!(1.0));
    assert!(body["CreatedDate"].as_str().unwrap().ends_with(".000+0000"));
    assert_eq!(org.patch(&path, json!({ "First_Name__c": "Jane" })).await.0, 204);
    assert_eq!(org.get(&format!("{path}?fields=First_Name__c")).await.1["First_Name__c"], "Jane");
    assert_eq!(
        org.get(&path.replace(&id, id.get(..15).unwrap())).await.0,
        200,
        "15 characters will do"
    );
    assert_eq!(org.delete(&path).await.0, 204);
    let (status, body) = org.get(&path).await;
    assert_eq!((status.as_u16(), refusal(&body).0), (404, "ENTITY_IS_DELETED"));
    assert_eq!(org.get("/sobjects/Sloe_Attendee__c/a03000000000000AAA").await.0, 404);
}

#[tokio::test]
async fn a_record_leads_to_its_parent_and_its_children() {
    let org = Org::start().await;
    let made = async |object: &str, record: Json| {
        let (_, body) = org.post(&format!("/sobjects/{object}"), record).await;
        body["id"].as_str().unwrap().to_owned()
    };
    let account = made("Account", json!({ "Name": "Mill" })).await;
    let ada = made("Contact", json!({ "LastName": "Ada", "AccountId": account })).await;
    let ben = made("Contact", json!({ "LastName": "Ben" })).await;
    let parent = format!("/sobjects/Contact/{ada}/Account");
    let (status, body) = org.get(&format!("{parent}?fields=Name")).await;
    assert_eq!(
        (status.as_u16(), &body["Id"], &body["Name"]),
        (200, &json!(account), &json!("Mill"))
    );
    assert_eq!(org.patch(&parent, json!({ "Name": "Old Mill" })).await.0, 204);
    let (_, children) = org.get(&format!("/sobjects/Account/{account}/Contacts")).await;
    assert_eq!((&children["totalSize"], &children["done"]), (&json!(1), &json!(true)));
    assert_eq!(children["records"][0]["LastName"], "Ada");
    let (_, children) =
        org.get(&format!("/sobjects/Account/{account}/contacts?fields=Account.Name")).await;
    assert_eq!(children["records"][0]["Account"]["Name"], "Old Mill");
    for (method, path, status, code) in [
        (Method::GET, format!("/sobjects/Contact/{ben}/Account"), 404, "NOT_FOUND"),
        (Method::GET, format!("/sobjects/Contact/{ben}/Nothing__r"), 404, "NOT_FOUND"),
        (
            Method::GET,
            format!("/sobjects/Account/{account}/Contacts?fields=x"),
            400,
            "INVALID_FIELD",
        ),
        (
            Method::DELETE,
            format!("/sobjects/Account/{account}/Contacts"),
            405,
            "METHOD_NOT_ALLOWED",
        ),
        (Method::PATCH, format!("/sobjects/Contact/{ada}"), 400, "INVALID_FIELD"),
    ] {
        // Which record is meant stands in the address and nowhere else.
        let (got, body) = org.send(method.clone(), &path, json!({ "Id": ada })).await;
        assert_eq!((got.as_u16(), refusal(&body).0), (status, code), "{method} {path}: {body}");
    }
}

#[tokio::test]
async fn an_upsert_by_external_id_creates_once_and_then_changes() {
    let org = Org::start().await;
    let path = "/sobjects/Sloe_Attendee__c/Sloe_Id__c/k%2F1";
    let (status, body) =
        org.patch(path, json!({ "Last_Name__c": "Doe", "Sloe_Version__c": 1 })).await;
    assert_eq!((status.as_u16(), &body["created"]), (201, &json!(true)), "{body}");
    let (status, again) =
        org.patch(path, json!({ "Last_Name__c": "Roe", "Sloe_Version__c": 2 })).await;
    assert_eq!(
        (status.as_u16(), &again["created"], &again["id"]),
        (200, &json!(false), &body["id"])
    );
    assert_eq!(org.get(path).await.1["Sloe_Id__c"], "k/1");
    let (status, body) = org.patch(path, json!({ "Sloe_Id__c": "k/1" })).await;
    assert_eq!((status.as_u16(), refusal(&body).0), (400, "INVALID_FIELD"));
    assert_eq!(
        org.patch("/sobjects/Sloe_Attendee__c/Last_Name__c/x", json!({})).await.0,
        404,
        "not an external id"
    );
    let only = "/sobjects/Sloe_Attendee__c/Sloe_Id__c/new?updateOnly=true";
    assert_eq!(org.patch(only, json!({ "Last_Name__c": "Doe" })).await.0, 404);
}

#[tokio::test]
async fn an_older_version_is_refused_and_the_newer_stays() {
    let org = Org::start().await;
    let path = "/sobjects/Sloe_Attendee__c/Sloe_Id__c/one";
    org.patch(path, json!({ "Last_Name__c": "New", "Sloe_Version__c": 7 })).await;
    let (status, body) =
        org.patch(path, json!({ "Last_Name__c": "Old", "Sloe_Version__c": 6 })).await;
    assert_eq!(
        (status.as_u16(), refusal(&body)),
        (400, ("FIELD_CUSTOM_VALIDATION_EXCEPTION", json!(["Sloe_Version__c"])))
    );
    assert!(body[0]["message"].as_str().unwrap().starts_with("SLOE_STALE_VERSION"));
    assert_eq!(org.get(path).await.1["Last_Name__c"], "New");
    assert_eq!(
        org.patch(path, json!({ "Last_Name__c": "Same", "Sloe_Version__c": 7 })).await.0,
        200,
        "the same again is no harm"
    );
    assert_eq!(
        org.patch(path, json!({ "First_Name__c": "By hand" })).await.0,
        200,
        "staff may edit"
    );
}

#[tokio::test]
async fn every_rule_of_a_field_is_enforced_with_its_code() {
    let org = Org::start().await;
    let long = "x".repeat(81);
    for (fields, code, at) in [
        (json!({ "First_Name__c": "A" }), "REQUIRED_FIELD_MISSING", json!(["Last_Name__c"])),
        (json!({ "Last_Name__c": long }), "STRING_TOO_LONG", json!(["Last_Name__c"])),
        (
            json!({ "Last_Name__c": "D", "Email__c": "nobody" }),
            "INVALID_EMAIL_ADDRESS",
            json!(["Email__c"]),
        ),
        (
            json!({ "Last_Name__c": "D", "Registration_Status__c": "Lost" }),
            "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
            json!(["Registration_Status__c"]),
        ),
        (json!({ "Last_Name__c": "D", "Event__c": "abc" }), "MALFORMED_ID", json!(["Event__c"])),
        (
            json!({ "Last_Name__c": "D", "Event__c": "a01000000000000AAA" }),
            "FIELD_INTEGRITY_EXCEPTION",
            json!(["Event__c"]),
        ),
        (
            json!({ "Last_Name__c": "D", "Event__c": "a00000000000000AAA" }),
            "INVALID_CROSS_REFERENCE_KEY",
            json!(["Event__c"]),
        ),
        (
            json!({ "Last_Name__c": "D", "CreatedDate": "2020-01-01T00:00:00Z" }),
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            json!(["CreatedDate"]),
        ),
        (
            json!({ "Last_Name__c": "D", "Sloe_Version__c": 1e15 }),
            "NUMBER_OUTSIDE_VALID_RANGE",
            json!(["Sloe_Version__c"]),
        ),
        (json!({ "Last_Name__c": "D", "Nope__c": 1 }), "INVALID_FIELD", Json::Null),
        (
            json!({ "Last_Name__c": "D", "Sloe_Version__c": "many" }),
            "JSON_PARSER_ERROR",
            Json::Null,
        ),
        (
            json!({ "Last_Name__c": "D", "Registered_At__c": "soon" }),
            "JSON_PARSER_ERROR",
            Json::Null,
        ),
        (json!({ "Last_Name__c": ["D"] }), "JSON_PARSER_ERROR", Json::Null),
    ] {
        let (status, body) = org.post("/sobjects/Sloe_Attendee__c", fields.clone()).await;
        assert_eq!((status.as_u16(), refusal(&body)), (400, (code, at)), "{fields} gave {body}");
    }
    assert_eq!(org.records("SELECT Id FROM Sloe_Attendee__c").await.len(), 0);
    let (status, body) = org
        .patch(
            &format!("/sobjects/Sloe_Event__c/{EVENT}"),
            json!({ "Ends_At__c": "2020-01-01T00:00:00Z" }),
        )
        .await;
    assert_eq!((status.as_u16(), refusal(&body).0), (400, "FIELD_CUSTOM_VALIDATION_EXCEPTION"));
}

/// An account has a number as its external id, and accounts refer to each other.
const NUMBERED: &str = r#"
[[field]]
object = "Account"
name = "Ext_Num__c"
label = "Number"
type = "Number"
external_id = true

[[field]]
object = "Account"
name = "Parent__c"
label = "Parent"
type = "Lookup"
to = "Account"
"#;

#[tokio::test]
async fn a_number_is_an_external_id_however_it_is_written() {
    let seed = Seed::parse(&format!("{SEED}\n{NUMBERED}")).unwrap();
    let org = Org::with(Options { seed, ..options() }).await;
    let upsert = async |key: &str, record: Json| {
        org.patch(&format!("/sobjects/Account/Ext_Num__c/{key}"), record).await
    };
    let (status, made) = upsert("42", json!({ "Name": "Mill" })).await;
    assert_eq!(status, 201, "{made}");
    for key in ["42", "42.0"] {
        let (status, again) = upsert(key, json!({ "Name": "Mill" })).await;
        assert_eq!((status.as_u16(), &again["id"]), (200, &made["id"]), "{again}");
    }
    let record = json!({ "Name": "Copy", "Ext_Num__c": 42 });
    assert_eq!(refusal(&org.post("/sobjects/Account", record).await.1).0, "DUPLICATE_VALUE");
    let parent = json!({ "Name": "Barn", "Parent__r": { "Ext_Num__c": 42 } });
    assert_eq!(upsert("0", parent).await.0, 201);

    let record = |key: Json, name: &str| json!({ "attributes": { "type": "Account" }, "Ext_Num__c": key, "Name": name });
    let path = "/composite/sobjects/Account/Ext_Num__c";
    let records = [record(json!(42), "Old Mill"), record(json!(-0.0), "Old Barn")];
    let (_, body) = org.patch(path, json!({ "records": records })).await;
    assert!(body.as_array().unwrap().iter().all(|one| one["created"] == false), "{body}");
    let records = [record(json!(42), "A"), record(json!("42.0"), "B")];
    let (_, body) = org.patch(path, json!({ "records": records })).await;
    assert_eq!(body[1]["errors"][0]["statusCode"], "DUPLICATE_VALUE", "{body}");

    let job =
        json!({ "object": "Account", "operation": "upsert", "externalIdFieldName": "Ext_Num__c" });
    let job = bulk::open(&org, job).await;
    let rows = "Ext_Num__c,Name\n42.0,Bulk\n7,A\n7.0,B\nmany,C\n";
    bulk::upload(&org, &job, rows.to_owned()).await;
    assert_eq!(bulk::finish(&org, &job).await["numberRecordsFailed"], 3);
    let rows = org
        .records("SELECT Name, Parent__r.Ext_Num__c FROM Account WHERE Ext_Num__c IN (42, 0) ORDER BY Ext_Num__c")
        .await;
    let names: Vec<&Json> = rows.iter().map(|row| &row["Name"]).collect();
    assert_eq!(names, ["Old Barn", "Bulk"]);
    assert_eq!(rows[0]["Parent__r"]["Ext_Num__c"], 42.0);
    assert!(org.records("SELECT Id FROM Account WHERE Ext_Num__c = null").await.is_empty());
}

#[tokio::test]
async fn an_external_id_is_unique_until_its_holder_is_deleted() {
    let org = Org::start().await;
    let id = org.attendee("one").await;
    let record = json!({ "Sloe_Id__c": "one", "Last_Name__c": "Doe" });
    let (status, body) = org.post("/sobjects/Sloe_Attendee__c", record.clone()).await;
    assert_eq!((status.as_u16(), refusal(&body).0), (400, "DUPLICATE_VALUE"));
    let told = format!(
        "duplicate value found: Sloe_Id__c duplicates value on record with id: {}",
        id.get(..15).unwrap()
    );
    assert_eq!(body[0]["message"], told);
    org.delete(&format!("/sobjects/Sloe_Attendee__c/{id}")).await;
    assert_eq!(org.post("/sobjects/Sloe_Attendee__c", record).await.0, 201);
}

#[tokio::test]
async fn a_deletion_takes_details_along_clears_lookups_and_stops_at_required_ones() {
    let org = Org::start().await;
    let attendee = org.attendee("one").await;
    let child = json!({ "Sloe_Id__c": "one-1", "Attendee__r": { "Sloe_Id__c": "one" } });
    let (status, body) = org.post("/sobjects/Sloe_Session_Attendee__c", child).await;
    assert_eq!(status, 201, "{body}");
    let (status, body) = org.delete(&format!("/sobjects/Sloe_Event__c/{EVENT}")).await;
    assert_eq!((status.as_u16(), refusal(&body).0), (400, "DELETE_FAILED"));
    for object in ["Sloe_Item__c", "Sloe_Session__c"] {
        let id = org.records(&format!("SELECT Id FROM {object}")).await[0]["Id"]
            .as_str()
            .unwrap()
            .to_owned();
        assert_eq!(org.delete(&format!("/sobjects/{object}/{id}")).await.0, 204);
    }
    assert_eq!(org.delete(&format!("/sobjects/Sloe_Event__c/{EVENT}")).await.0, 204);
    let left = org.records("SELECT Event__c FROM Sloe_Attendee__c").await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0]["Event__c"], Json::Null);
    org.delete(&format!("/sobjects/Sloe_Attendee__c/{attendee}")).await;
    assert_eq!(org.records("SELECT Id FROM Sloe_Session_Attendee__c").await.len(), 0);
}

#[tokio::test]
async fn what_the_org_does_not_have_is_an_error_of_the_usual_shape() {
    let org = Org::start().await;
    for (method, path, status, code) in [
        (Method::GET, "/sobjects/Nope__c", 404, "NOT_FOUND"),
        (Method::GET, "/nowhere", 404, "NOT_FOUND"),
        (Method::GET, "/tooling/query?q=SELECT+Id+FROM+ApexClass", 404, "NOT_FOUND"),
        (Method::POST, "/composite/tree/Nope__c", 404, "NOT_FOUND"),
        (Method::PUT, "/sobjects/Sloe_Event__c", 405, "METHOD_NOT_ALLOWED"),
        (Method::POST, "/limits2", 404, "NOT_FOUND"),
        (Method::GET, "/services/data/v20.0/limits", 410, "UNSUPPORTED_API_VERSION"),
        (Method::GET, "/services/data/v30.0/limits", 410, "UNSUPPORTED_API_VERSION"),
        (Method::GET, "/services/data/v68.0/limits", 404, "NOT_FOUND"),
        (Method::GET, "/services/data/v99.0/limits", 404, "NOT_FOUND"),
        (Method::POST, "/sobjects/User", 400, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"),
    ] {
        let (got, body) = org.send(method.clone(), path, json!({})).await;
        assert_eq!((got.as_u16(), refusal(&body).0), (status, code), "{method} {path}: {body}");
    }
    let request =
        org.request(Method::POST, "/sobjects/Sloe_Attendee__c").body("{\"Last_Name__c\":");
    let (status, body) = crate::client::unpack(request.send().await.unwrap()).await;
    assert_eq!((status.as_u16(), refusal(&body).0), (400, "JSON_PARSER_ERROR"));
    assert_eq!(body[0]["message"], "Unexpected end-of-input at [line:1, column:16]");
    let request = org.request(Method::POST, "/sobjects/Sloe_Attendee__c");
    let (_, body) = crate::client::unpack(request.send().await.unwrap()).await;
    assert!(body[0]["message"].as_str().unwrap().starts_with("The HTTP entity body is required"));
}

#[tokio::test]
async fn what_real_clients_ask_for_and_the_org_has_not_is_named() {
    let org = Org::start().await;
    let ids = json!({ "ids": ["0035g0000000001"], "fields": ["Id"] });
    let get = |path: &str| org.http.get(format!("{}{path}", org.running.url())).send();
    let (status, body) = crate::client::unpack(get("/cometd/62.0").await.unwrap()).await;
    assert!(status == 404 && body[0]["message"].as_str().unwrap().contains("Streaming"), "{body}");
    for (path, words) in [
        ("/services/async/62.0/job", "Bulk API 1.0"),
        ("/services/Soap/u/62.0", "SOAP APIs"),
        ("/services/apexrest/x", "Apex REST"),
        ("/tooling/query", "Tooling API"),
        ("/search/suggestions", "searches"),
        ("/services/data/v62.0/ui-api/records", "ui-api"),
        ("/chatter/users/me", "chatter"),
    ] {
        let (status, body) = org.post(path, ids.clone()).await;
        assert_eq!(status, 404, "{path}: {body}");
        assert!(body[0]["message"].as_str().unwrap().contains(words), "{path}: {body}");
    }
}

#[tokio::test]
async fn a_describe_that_the_client_has_already_is_not_sent_again() {
    let org = Org::start().await;
    for path in ["/sobjects", "/sobjects/Lead/describe"] {
        let ask = async |since: &str| {
            let request = org.request(Method::GET, path).header("If-Modified-Since", since);
            request.send().await.unwrap()
        };
        let first = org.request(Method::GET, path).send().await.unwrap();
        let modified = first.headers()["last-modified"].to_str().unwrap().to_owned();
        assert!(modified.ends_with(" GMT"), "{modified}");
        let again = ask(&modified).await;
        assert_eq!(again.status(), 304, "{path}");
        assert_eq!(again.headers()["last-modified"].to_str().unwrap(), modified);
        assert!(again.headers().contains_key("sforce-limit-info"), "it is a call like any other");
        assert_eq!(again.text().await.unwrap(), "");
        assert_eq!(ask("Fri, 01 Jan 2100 00:00:00 GMT").await.status(), 304);
        for earlier in ["Wed, 01 Jan 2020 00:00:00 GMT", "some day"] {
            let whole = ask(earlier).await;
            assert_eq!(whole.status(), 200, "{earlier}");
            assert!(whole.text().await.unwrap().contains("keyPrefix"));
        }
    }
    let part = json!({
        "method": "GET", "url": "/services/data/v62.0/sobjects/Lead/describe", "referenceId": "d",
        "httpHeaders": { "If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT" },
    });
    let (_, body) = org.post("/composite", json!({ "compositeRequest": [part] })).await;
    assert_eq!(body["compositeResponse"][0]["httpStatusCode"], 304, "{body}");
}

#[tokio::test]
async fn an_owner_may_be_given_and_must_be_an_active_user() {
    let seed = format!(
        "{SEED}\n[[user]]\nusername = \"two@test.example\"\nlast_name = \"Two\"\nemail = \"t@test.example\"\n"
    );
    let org = Org::with(Options { seed: Seed::parse(&seed).unwrap(), ..options() }).await;
    let users = org.records("SELECT Id, Username FROM User ORDER BY Username").await;
    let [first, second] = [0, 1].map(|i| users[i]["Id"].as_str().unwrap().to_owned());
    let (_, described) = org.get("/sobjects/Contact/describe").await;
    let owner = described["fields"].as_array().unwrap().iter().find(|f| f["name"] == "OwnerId");
    let owner = owner.unwrap();
    assert_eq!((&owner["createable"], &owner["updateable"]), (&json!(true), &json!(true)));
    let make = async |contact: Json| org.post("/sobjects/Contact", contact).await;
    let (_, made) = make(json!({ "LastName": "Doe", "OwnerId": second })).await;
    let path = format!("/sobjects/Contact/{}", made["id"].as_str().unwrap());
    assert_eq!(org.get(&path).await.1["OwnerId"], second);
    assert_eq!(org.patch(&path, json!({ "OwnerId": first })).await.0, 204);
    let owned = "SELECT Owner.Username FROM Contact";
    assert_eq!(org.records(owned).await[0]["Owner"]["Username"], "sloe@test.example");
    for (owner, code) in [
        (json!("005000000000000"), "INVALID_CROSS_REFERENCE_KEY"),
        (json!(EVENT), "FIELD_INTEGRITY_EXCEPTION"),
        (json!(null), "INVALID_CROSS_REFERENCE_KEY"),
    ] {
        let (status, body) = org.patch(&path, json!({ "OwnerId": owner })).await;
        assert_eq!((status.as_u16(), refusal(&body)), (400, (code, json!(["OwnerId"]))), "{body}");
    }
}

/// Sends a request whose body comes in pieces of unknown number, and reads the whole answer.
async fn in_chunks(org: &Org, head: &str, pieces: &[&str]) -> (u16, String) {
    let mut socket = tokio::net::TcpStream::connect(org.running.addr()).await.unwrap();
    let token = &org.token;
    let head = format!(
        "{head} HTTP/1.1\r\nhost: org\r\nauthorization: Bearer {token}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n"
    );
    let (line, rest) = head.split_once("; ").unwrap_or((&head, ""));
    let (kind, rest) = rest.split_once(" HTTP/1.1").unwrap();
    let head = format!("{line} HTTP/1.1{rest}content-type: {kind}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    for piece in pieces {
        let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
        socket.write_all(chunk.as_bytes()).await.unwrap();
        socket.flush().await.unwrap();
    }
    socket.write_all(b"0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    (answer[9..12].parse().unwrap(), answer)
}

#[tokio::test]
async fn bodies_in_chunks_are_taken_for_tokens_json_and_csv() {
    let org = Org::start().await;
    let form = ["grant_type=client_cre", "dentials&client_id=client&cli", "ent_secret=secret"];
    let token = "POST /services/oauth2/token; application/x-www-form-urlencoded";
    let (status, answer) = in_chunks(&org, token, &form).await;
    assert!(status == 200 && answer.contains("access_token"), "{answer}");
    let lead = "POST /services/data/v62.0/sobjects/Lead; application/json";
    let (status, answer) =
        in_chunks(&org, lead, &["{\"LastName\":\"D", "oe\",\"Company\":\"X\"}"]).await;
    assert_eq!(status, 201, "{answer}");
    let job = json!({ "object": "Lead", "operation": "insert" });
    let job = bulk::open(&org, job).await;
    let batches = format!("PUT /services/data/v62.0/jobs/ingest/{job}/batches; text/csv");
    let (status, answer) = in_chunks(&org, &batches, &["LastName,Com", "pany\nRoe,", "Y\n"]).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(bulk::finish(&org, &job).await["numberRecordsFailed"], 0);
    let names = org.records("SELECT Name FROM Lead ORDER BY Name").await;
    assert_eq!((&names[0]["Name"], &names[1]["Name"]), (&json!("Doe"), &json!("Roe")));
}
