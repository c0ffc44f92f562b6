//! The way between nodes: a listener that only they should reach, and a client
//! to theirs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sloe_engine::engine::Engine;
use sloe_engine::peers::{Peering, Posted};
use tokio::net::TcpListener;

use crate::cmd::Failure;
use crate::platform;

/// A node that does not take a connection in this time is dead to the others.
const CONNECT: Duration = Duration::from_millis(500);

/// A connection that nobody used for so long is not used again: the other node may end it
/// at that moment.
const IDLE: Duration = Duration::from_secs(10);
/// Bytes of an answer at most: who took over a node's address may say much.
const ANSWER: usize = 16 * 1024 * 1024;
/// Characters of a refusal that are told.
const SAID: usize = 200;

/// Where other nodes reach this one.
pub(crate) struct PeersAt {
    listener: TcpListener,
    address: String,
}

impl PeersAt {
    /// Listens there; `advertised` is how others come there, if not by that address.
    pub(crate) fn bind(listen: SocketAddr, advertised: Option<String>) -> Result<Self, Failure> {
        let next = listen.port().saturating_add(1);
        let instead = format!("sloe serve --peer-listen {}:{next}", listen.ip());
        let listener = platform::bind(listen, &instead)?;
        let own = listener.local_addr()?;
        let address = match advertised {
            Some(address) => named(&address)?,
            None if own.ip().is_unspecified() => {
                return Err(Failure::new(format!(
                    "other nodes can't come to {own}: say with --peer-advertise how they reach this one, \
                     http://10.0.0.3:{} for instance",
                    own.port()
                )));
            }
            None => format!("http://{own}"),
        };
        Ok(Self { listener, address })
    }

    /// How claims are handed over.
    pub(crate) fn peering(&self) -> Result<Peering, Failure> {
        // They are near: what a proxy would be told is none of its business.
        let client = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE)
            .build()?;
        let post = move |to: String, body: Vec<u8>| -> Posted {
            let call = client.post(to).body(body);
            Box::pin(async move {
                let lost = |error: reqwest::Error| error.without_url().to_string();
                let mut answer = call.send().await.map_err(lost)?;
                let (status, mut body) = (answer.status(), Vec::new());
                while let Some(more) = answer.chunk().await.map_err(lost)? {
                    if body.len() + more.len() > ANSWER {
                        return Err(format!("it answers with more than {ANSWER} bytes"));
                    }
                    body.extend_from_slice(&more);
                }
                if status.is_success() {
                    return Ok(body);
                }
                let said: String = String::from_utf8_lossy(&body).chars().take(SAID).collect();
                Err(format!("{status}: {said}"))
            })
        };
        Ok(Peering { address: self.address.clone(), post: Arc::new(post) })
    }

    /// Answers other nodes until the process ends: whoever hands claims over to one that ends
    /// decides them itself.
    pub(crate) fn serve(self, engine: &Engine) {
        let app = sloe_web::peer::app(engine.clone());
        tokio::spawn(sloe_web::serve(self.listener, app, std::future::pending()));
    }
}

fn named(address: &str) -> Result<String, Failure> {
    let plain = address.strip_prefix("http://").or_else(|| address.strip_prefix("https://"));
    let rest = plain.map(|rest| rest.trim_end_matches('/')).filter(|rest| !rest.is_empty());
    match rest {
        Some(rest) if !rest.contains(['/', '?', '#', '@']) => {
            Ok(address.trim_end_matches('/').to_owned())
        }
        _ => Err(Failure::new(
            "what --peer-advertise says is no address of a node; it looks like http://10.0.0.3:7070",
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[tokio::test]
    async fn a_node_is_reached_at_an_address_that_others_can_come_to() {
        let any = |ip: &str| format!("{ip}:0").parse().unwrap();
        let at = PeersAt::bind(any("127.0.0.1"), None).unwrap();
        assert!(at.address.starts_with("http://127.0.0.1:"));
        assert!(PeersAt::bind(any("0.0.0.0"), None).is_err());
        let at = PeersAt::bind(any("0.0.0.0"), Some("http://node-1:7070/".into())).unwrap();
        assert_eq!(at.address, "http://node-1:7070");
        for bad in ["node-1:7070", "http://", "ftp://x", "http://a/b", "http://u@h"] {
            assert!(PeersAt::bind(any("127.0.0.1"), Some(bad.into())).is_err(), "{bad}");
        }
    }
}
