//! The benchmarks' yardstick and their client, run by `cargo xtask bench`.
//!
//! `ceiling serve --page FILE` is the least an HTTP server of ours could do:
//! bare axum handlers that parse the same JSON and answer bytes of the same
//! size, or send the event page's own bytes. `ceiling load` sends requests
//! and prints what it measured as JSON, to Sloe and to the yardstick alike.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use clap::{Parser, Subcommand};
use serde::{Deserialize, Serialize};
use sloe_sim::crowd::{Crowd, load, wire};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// The bare server; prints its address.
    Serve {
        /// The event page as Sloe sends it.
        #[arg(long)]
        page: PathBuf,
        /// The same, compressed.
        #[arg(long)]
        page_gzip: PathBuf,
    },
    /// Requests as fast as they are answered; prints one JSON object.
    Load {
        /// Scheme, host and port.
        #[arg(long)]
        target: String,
        /// The path; of several, each request goes to the next. Registrations are
        /// posted there if `--item` is given.
        #[arg(long, required = true)]
        path: Vec<String>,
        /// What everybody registers for, one for each path.
        #[arg(long)]
        item: Vec<String>,
        /// The session that everybody chooses.
        #[arg(long)]
        session: Vec<String>,
        /// Accept compressed answers.
        #[arg(long)]
        gzip: bool,
        /// Connections.
        #[arg(long, default_value_t = 256)]
        connections: usize,
        /// Seconds.
        #[arg(long, default_value_t = 5)]
        seconds: u64,
        /// Whose registrations they are: another seed for each run.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    match Arguments::parse().verb {
        Verb::Serve { page, page_gzip } => {
            // All cores, as Sloe has them.
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let (plain, gzip) = (std::fs::read(page)?, std::fs::read(page_gzip)?);
            runtime.block_on(serve(plain.into(), gzip.into()))
        }
        Verb::Load { target, path, item, session, gzip, connections, seconds, seed } => {
            // One thread is enough for any server on the same machine, and leaves it the rest.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let target = Arc::new(wire::Target::resolve(&target).await?);
                let authority = target.authority.clone();
                let duration = Duration::from_secs(seconds);
                let measured = if item.is_empty() {
                    let accept: &[&str] = if gzip { &["Accept-Encoding: gzip"] } else { &[] };
                    let accept = accept.to_vec();
                    let write = move |number, into: &mut Vec<u8>| {
                        let path = turn(&path, number);
                        wire::write_request(into, ("GET", path), &authority, &accept, None);
                    };
                    load::run(target, connections, duration, 200, write).await?
                } else {
                    if item.len() != path.len() {
                        return Err("each path needs one item".into());
                    }
                    let crowd = Crowd::new(seed);
                    let write = move |number, into: &mut Vec<u8>| {
                        let attendee = (turn(&item, number), session.as_slice());
                        let to = (turn(&path, number), authority.as_str());
                        registration(into, &crowd, number, to, attendee);
                    };
                    load::run(target, connections, duration, 201, write).await?
                };
                println!("{}", serde_json::to_string(&measured)?);
                Ok(())
            })
        }
    }
}

/// Whose turn it is.
fn turn(all: &[String], number: u64) -> &str {
    let at = number % (all.len() as u64).max(1);
    usize::try_from(at).ok().and_then(|at| all.get(at)).map_or("", String::as_str)
}

#[derive(Serialize, Deserialize)]
struct Registration {
    attendees: Vec<Attendee>,
}

#[derive(Serialize, Deserialize)]
struct Attendee {
    item: String,
    sessions: Vec<String>,
    first_name: String,
    last_name: String,
    email: String,
}

fn registration(
    into: &mut Vec<u8>,
    crowd: &Crowd,
    number: u64,
    (path, authority): (&str, &str),
    (item, sessions): (&str, &[String]),
) {
    let person = crowd.person(number, 1);
    let attendee = Attendee {
        item: item.to_owned(),
        sessions: sessions.to_vec(),
        first_name: person.first_name,
        last_name: person.last_name,
        email: person.email,
    };
    let body = serde_json::to_vec(&Registration { attendees: vec![attendee] }).unwrap_or_default();
    let key = format!("Idempotency-Key: {}", crowd.request_id(number, "bench"));
    let body = Some(("application/json", body.as_slice()));
    wire::write_request(into, ("POST", path), authority, &[&key], body);
}

#[derive(Serialize)]
struct Acknowledged {
    order: &'static str,
    reference: &'static str,
    url: &'static str,
    tickets: Vec<Ticket>,
}

#[derive(Serialize)]
struct Ticket {
    id: u16,
    code: &'static str,
}

/// As many bytes as Sloe's answer, made anew each time, like Sloe's.
async fn register(axum::Json(body): axum::Json<Registration>) -> Response {
    const TOKEN: &str = "0123456789abcdefghjkmnpqrstvwxyz0123456789abcdefghjkmnpqrstvwxyz";
    let ticket = |(_, id)| Ticket { id, code: "0123456789abcdefghjkmnpqrs" };
    let answer = Acknowledged {
        order: TOKEN,
        reference: "7K3M-9QXZ",
        url: "/order/0123456789abcdefghjkmnpqrstvwxyz0123456789abcdefghjkmnpqrstvwxyz",
        tickets: body.attendees.iter().zip(1..).map(ticket).collect(),
    };
    (StatusCode::CREATED, axum::Json(answer)).into_response()
}

async fn serve(plain: Bytes, gzip: Bytes) -> Result<(), Box<dyn std::error::Error>> {
    const HTML: (axum::http::HeaderName, &str) = (CONTENT_TYPE, "text/html; charset=utf-8");
    let page = move || std::future::ready(([HTML], plain.clone()));
    let compressed = move || std::future::ready(([HTML, (CONTENT_ENCODING, "gzip")], gzip.clone()));
    let router = Router::new()
        .route("/page", get(page))
        .route("/page.gz", get(compressed))
        .route("/registrations", post(register));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
        // As Sloe does; without it small answers wait for the client's acknowledgement.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await?;
    Ok(())
}
