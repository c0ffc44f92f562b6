//! Requests that a client has compressed, and answers that it wants compressed.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::{GzEncoder, ZlibEncoder};
use reqwest::Method;
use serde_json::json;

use crate::bulk;
use crate::client::{Org, unpack};

#[tokio::test]
async fn compressed_requests_are_read_like_any_other() {
    let org = Org::start().await;
    let body = json!({ "LastName": "Lovelace", "Company": "Analytical Engines" }).to_string();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(body.as_bytes()).unwrap();
    let mut deflate = ZlibEncoder::new(Vec::new(), Compression::fast());
    deflate.write_all(body.as_bytes()).unwrap();
    for (encoding, bytes) in
        [("gzip", gzip.finish().unwrap()), ("deflate", deflate.finish().unwrap())]
    {
        let request =
            org.request(Method::POST, "/sobjects/Lead").header("content-encoding", encoding);
        let answer = request.header("content-type", "application/json").body(bytes).send().await;
        let (status, body) = unpack(answer.unwrap()).await;
        assert_eq!(status, 201, "{encoding}: {body}");
    }
    assert_eq!(org.records("SELECT Company FROM Lead").await.len(), 2);
}

#[tokio::test]
async fn a_body_that_is_not_compressed_as_it_says_is_refused() {
    let org = Org::start().await;
    for (encoding, status) in [("gzip", 400), ("br", 415)] {
        let request =
            org.request(Method::POST, "/sobjects/Lead").header("content-encoding", encoding);
        let answer = request.json(&json!({ "LastName": "L", "Company": "C" })).send().await;
        assert_eq!(unpack(answer.unwrap()).await.0, status, "{encoding}");
    }
}

#[tokio::test]
async fn answers_come_in_gzip_where_that_is_asked_for_and_plain_where_not() {
    let org = Org::start().await;
    let job = bulk::open(&org, json!({ "object": "Lead", "operation": "insert" })).await;
    let rows = "Doe,Mill\n".repeat(100);
    bulk::upload(&org, &job, format!("LastName,Company\n{rows}")).await;
    bulk::finish(&org, &job).await;
    let plain = reqwest::Client::builder().no_gzip().build().unwrap();
    let get = async |path: &str, accepted: Option<&str>| {
        let url = format!("{}/services/data/v62.0{path}", org.running.url());
        let request = plain.get(url).bearer_auth(&org.token);
        let request = match accepted {
            Some(accepted) => request.header("accept-encoding", accepted),
            None => request,
        };
        let answer = request.send().await.unwrap();
        let header =
            |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let (encoding, vary) = (header("content-encoding"), header("vary"));
        (encoding, vary, answer.bytes().await.unwrap())
    };
    let results = format!("/jobs/ingest/{job}/successfulResults");
    for path in [results.as_str(), "/query?q=SELECT+Id,Name+FROM+Lead"] {
        let vary = Some("accept-encoding".to_owned());
        for accepted in [None, Some("deflate"), Some("gzip;q=0, br")] {
            let (encoding, told, body) = get(path, accepted).await;
            assert_eq!((encoding, &told), (None, &vary), "{path} {accepted:?}");
            assert!(body.len() > 1024);
        }
        let (_, _, whole) = get(path, None).await;
        for accepted in ["gzip", "deflate, GZIP;q=0.5"] {
            let (encoding, told, body) = get(path, Some(accepted)).await;
            assert_eq!((encoding.as_deref(), &told), (Some("gzip"), &vary), "{path} {accepted}");
            let mut text = Vec::new();
            GzDecoder::new(&*body).read_to_end(&mut text).unwrap();
            assert!(text == whole, "{path} {accepted}");
        }
    }
    let (encoding, vary, _) = get("/query?q=SELECT+Id+FROM+Contact", Some("gzip")).await;
    assert_eq!((encoding, vary), (None, None), "a small answer stays as it is");
}
