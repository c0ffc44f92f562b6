//! Requests that a client has compressed.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use reqwest::Method;
use serde_json::json;

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
