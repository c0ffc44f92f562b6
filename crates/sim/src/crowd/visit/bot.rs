//! A visitor without manners: one address, many requests, forged ids, bad
//! bodies. All that it may get is a refusal, and it never waits when told to.

use tokio::time::Instant;

use super::super::people::Dice;
use super::super::tally::Outcome;
use super::super::wire::write_request;
use super::{Step, Visitor};

/// Requests of one visit.
const REQUESTS: u64 = 20;
/// Keeps these dice apart from the others'.
const PURPOSE: u64 = u64::MAX - 2;
/// The one address that all bots come from, where Sloe believes its proxy.
const ADDRESS: &str = "X-Forwarded-For: 203.0.113.66";
const JSON: &str = "application/json";

/// What a bot may do to a Sloe, each of which it must refuse.
#[derive(Clone, Copy, Debug)]
enum Prank {
    ForgedOrder,
    ForgedOrderPage,
    ForgedHold,
    CancelForgedOrder,
    UnknownEvent,
    HalfJson,
    DeepJson,
    WrongFields,
    NotJson,
    TooLarge,
    TooMany,
    ForeignForm,
    OddPath,
}

const PRANKS: [Prank; 13] = [
    Prank::ForgedOrder,
    Prank::ForgedOrderPage,
    Prank::ForgedHold,
    Prank::CancelForgedOrder,
    Prank::UnknownEvent,
    Prank::HalfJson,
    Prank::DeepJson,
    Prank::WrongFields,
    Prank::NotJson,
    Prank::TooLarge,
    Prank::TooMany,
    Prank::ForeignForm,
    Prank::OddPath,
];

/// One prank after the other, whatever comes back.
pub(super) async fn pester(visitor: &mut Visitor<'_>) -> Step<Outcome> {
    let mut dice = visitor.ground.crowd.dice(visitor.number, PURPOSE);
    for _ in 0..REQUESTS {
        let at = usize::try_from(dice.below(PRANKS.len() as u64)).unwrap_or(0);
        let prank = PRANKS.get(at).copied().unwrap_or(Prank::OddPath);
        let request = visitor.prank(prank, &mut dice);
        let pick = visitor.ground.fleet.pick(visitor.step);
        visitor.step += 1;
        let sent = Instant::now();
        match visitor.clients.exchange(pick.target, &request).await {
            Ok(status) => {
                visitor.tally.request(visitor.kind, (pick.target, status), sent);
                visitor.tally.bot(status, visitor.fault(prank, status));
            }
            // Whoever behaves like this may be hung up on: it says nothing against the target.
            Err(trouble) => visitor.tally.bot_silence(trouble.name()),
        }
        if matches!(prank, Prank::TooLarge) {
            visitor.clients.hang_up();
        }
        if Instant::now() >= visitor.give_up {
            break;
        }
    }
    // Nor may the next visitor find a connection that a bot has spoiled.
    visitor.clients.hang_up_all();
    Ok(Outcome::Left)
}

impl Visitor<'_> {
    /// What is wrong with an answer to a bot. A busy Sloe may turn anybody away if it says
    /// when to come back.
    fn fault(&self, prank: Prank, status: u16) -> Option<String> {
        let refused = (400..500).contains(&status);
        let busy = status == 503 && self.clients.reply().header("retry-after").is_some();
        (!refused && !busy).then(|| format!("{prank:?} was answered {status}"))
    }

    fn prank(&self, prank: Prank, dice: &mut Dice) -> Vec<u8> {
        let event = &self.ground.offer.id;
        let forged = forged(dice);
        let registrations = format!("/api/v1/events/{event}/registrations");
        let post =
            |path: &str, kind: &str, body: &[u8]| self.rude("POST", path, Some((kind, body)));
        match prank {
            Prank::ForgedOrder => self.rude("GET", &format!("/api/v1/orders/{forged}"), None),
            Prank::ForgedOrderPage => self.rude("GET", &format!("/order/{forged}"), None),
            Prank::ForgedHold => {
                let path = format!("/api/v1/holds/{forged}/confirm");
                post(&path, JSON, br#"{"attendees":[{"place":1,"first_name":"A","last_name":"B","email":"a@example.org"}]}"#)
            }
            Prank::CancelForgedOrder => {
                self.rude("DELETE", &format!("/api/v1/orders/{forged}"), None)
            }
            Prank::UnknownEvent => {
                let path = format!("/api/v1/events/{forged}/registrations");
                post(&path, JSON, br#"{"attendees":[]}"#)
            }
            Prank::HalfJson => post(&registrations, JSON, br#"{"attendees":[{"item":"#),
            Prank::DeepJson => post(&registrations, JSON, "[".repeat(20_000).as_bytes()),
            Prank::WrongFields => {
                let body = br#"{"attendees":[{"item":7,"sessions":"all","email":null,"admin":true}],"price":0}"#;
                post(&registrations, JSON, body)
            }
            Prank::NotJson => post(&registrations, "text/plain", b"a=1&b=2"),
            Prank::TooLarge => {
                // Only announced: what follows never comes.
                let size = "Content-Length: 1000000000";
                let mut request = Vec::new();
                let headers = [ADDRESS, "Content-Type: application/json", size];
                let authority = self.ground.authority();
                write_request(&mut request, ("POST", &registrations), authority, &headers, None);
                request
            }
            Prank::TooMany => {
                let one = r#"{"item":"x","sessions":[],"first_name":"A","last_name":"B","email":"a@example.org"}"#;
                let body = format!(r#"{{"attendees":[{}]}}"#, vec![one; 500].join(","));
                post(&registrations, JSON, body.as_bytes())
            }
            Prank::ForeignForm => {
                // Another site's form, sent by a visitor's browser.
                let page = self.ground.offer.page.as_deref().unwrap_or("/nobody/nothing");
                let mut request = Vec::new();
                let headers =
                    [ADDRESS, "Origin: https://evil.example", "Sec-Fetch-Site: cross-site"];
                let body: Option<(&str, &[u8])> =
                    Some(("application/x-www-form-urlencoded", b"qty-x=1"));
                let path = format!("{page}/hold");
                write_request(
                    &mut request,
                    ("POST", &path),
                    self.ground.authority(),
                    &headers,
                    body,
                );
                request
            }
            Prank::OddPath => {
                self.rude("GET", "/..%2f..%2fetc%2fpasswd?id=1%27%20OR%201=1--", None)
            }
        }
    }

    fn rude(&self, method: &str, path: &str, body: Option<(&str, &[u8])>) -> Vec<u8> {
        let mut request = Vec::new();
        write_request(&mut request, (method, path), self.ground.authority(), &[ADDRESS], body);
        request
    }
}

/// An id in the form of Sloe's own that nobody was given.
fn forged(dice: &mut Dice) -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut id = String::with_capacity(64);
    for _ in 0..64 {
        let at = usize::try_from(dice.below(32)).unwrap_or(0);
        id.push(char::from(LETTERS[at]));
    }
    id
}
