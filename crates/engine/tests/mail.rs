//! A confirmed order sends one mail over a real SMTP conversation.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use common::org::{hasty, until};
use common::{connect, damage, event, org_id, person, place, raw, record, start};
use sloe_core::ids::EventRef;
use sloe_engine::claims::RequestId;
use sloe_engine::engine::Engine;
use sloe_engine::mail::{MailBody, MailSettings};
use sloe_engine::sync::{Letter, LetterFilter, LetterKind, Which};
use sloe_engine::worker::Settings;
use sloe_store::api::{Destination, Store};
use sloe_store::key::{Collection, Range};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

#[derive(Default)]
struct Sink {
    mails: Mutex<Vec<String>>,
    put_off: Mutex<BTreeSet<String>>,
    /// Takes what it refused before.
    lenient: AtomicBool,
}

impl Sink {
    async fn listen(self: Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("smtp://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&self).talk(stream));
            }
        });
        url
    }

    async fn talk(self: Arc<Self>, stream: TcpStream) {
        let (read, mut write) = stream.into_split();
        let mut lines = BufReader::new(read).lines();
        write.write_all(b"220 sink\r\n").await.unwrap();
        let mut mail: Option<String> = None;
        while let Ok(Some(line)) = lines.next_line().await {
            if let Some(text) = &mut mail {
                if line == "." {
                    self.mails.lock().unwrap().push(mail.take().unwrap());
                    write.write_all(b"250 taken\r\n").await.unwrap();
                } else {
                    text.push_str(&line);
                    text.push('\n');
                }
                continue;
            }
            let answer = match line.split([' ', ':']).next().unwrap_or_default() {
                "EHLO" => "250 sink\r\n",
                "RCPT" if line.contains("refused@") && !self.lenient.load(Ordering::Relaxed) => {
                    "550 refused@example.org is unknown\r\n"
                }
                // Not a word.
                "RCPT" if line.contains("hangs-up@") => return,
                "RCPT"
                    if line.contains("later@")
                        && self.put_off.lock().unwrap().insert(line.clone()) =>
                {
                    "451 later\r\n"
                }
                "DATA" => {
                    mail = Some(String::new());
                    "354 go on\r\n"
                }
                "QUIT" => "221 bye\r\n",
                _ => "250 fine\r\n",
            };
            if write.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }

    fn to(&self, name: &str) -> Vec<String> {
        let mails = self.mails.lock().unwrap();
        mails.iter().filter(|mail| mail.contains(name)).cloned().collect()
    }
}

fn with_mail(smtp_url: String) -> Settings {
    let mail = MailSettings {
        smtp_url: smtp_url.into(),
        from: "Tickets <tickets@sloe.example>".to_owned(),
        public_url: "https://sloe.example".to_owned(),
        render: Arc::new(|order, links| MailBody {
            subject: format!("You're in: {}", order.snapshot.name),
            text: format!("See {}", links.order),
            html: format!("<a href=\"{}\">See</a>", links.order),
        }),
    };
    Settings { mail: Some(mail), ..hasty(2_000) }
}

async fn register(engine: &Engine, n: usize, email: &str) -> String {
    let mut people = [person(engine, event(org_id(1)), n)];
    people[0].1.email = email.to_owned();
    let id = event(org_id(1)).public_id();
    engine.register(id, &RequestId::Fresh, &people).await.unwrap().token
}

async fn begin(place: &common::Place, settings: Settings) -> Engine {
    let engine = start(place, Some(settings));
    connect(&engine, &*place.store, org_id(1), "acme", "http://127.0.0.1:9");
    engine.apply_refresh(org_id(1), raw(1, "Tea & Cake", None, 0)).await.unwrap();
    engine
}

fn quiet(place: &common::Place) -> bool {
    place.store.pending(Destination::Mail).unwrap().is_empty()
}

#[tokio::test]
async fn an_order_s_mail_has_text_html_and_calendar_and_one_bad_address_stops_nobody() {
    let (place, sink) = (place(), Arc::new(Sink::default()));
    let engine = begin(&place, with_mail(Arc::clone(&sink).listen().await)).await;
    let first = register(&engine, 1, "ada@example.org").await;
    register(&engine, 2, "refused@example.org").await;
    register(&engine, 3, "later@example.org").await;
    register(&engine, 4, "grace@example.org").await;
    until("all mail is dealt with", async || quiet(&place)).await;
    let mails = sink.to("To: \"First1 Last1\" <ada@example.org>");
    assert_eq!(mails.len(), 1);
    let claim = engine.order_by_token(&first).await.unwrap().claim;
    let id = format!("Message-ID: <{}@sloe.example>", claim.text());
    for part in [
        id.as_str(),
        "Content-Type: text/plain",
        "Content-Type: text/html",
        "Content-Type: text/calendar",
        "filename=\"event.ics\"",
        "Subject: You're in: Tea & Cake",
    ] {
        assert!(mails[0].contains(part), "{part} is missing in\n{}", mails[0]);
    }
    assert_eq!((sink.to("grace@").len(), sink.to("refused@").len()), (1, 0));
    let page = engine.letters(org_id(1), &LetterFilter::default(), None, 10).await.unwrap();
    let letters = page.letters;
    assert_eq!(letters.len(), 1);
    assert_eq!((letters[0].code.as_str(), letters[0].message.as_ref()), ("smtp-550", None));
    // An address that is wrong stays wrong: whoever has seen to it puts the mail aside.
    let all =
        || Which::All(LetterFilter { kind: Some(LetterKind::Mail), ..LetterFilter::default() });
    let rows = LetterFilter { kind: Some(LetterKind::Attendee), ..LetterFilter::default() };
    assert_eq!(engine.put_mails_aside(org_id(1), Which::All(rows)).await.unwrap(), 0);
    assert_eq!(engine.put_mails_aside(org_id(1), all()).await.unwrap(), 1);
    assert_eq!(engine.put_mails_aside(org_id(1), all()).await.unwrap(), 0);
    assert!(engine.piles(org_id(1), &LetterFilter::default()).await.unwrap().is_empty());
    engine.stop().await;
}

#[tokio::test]
async fn a_server_that_is_away_loses_no_mail() {
    let (place, sink) = (place(), Arc::new(Sink::default()));
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let engine = begin(&place, with_mail(format!("smtp://{gone}"))).await;
    register(&engine, 1, "ada@example.org").await;
    until("the failure is noticed", async || {
        engine.runs().get("mail").is_some_and(|run| run.fault.is_some())
    })
    .await;
    assert!(!quiet(&place));
    // Whoever would remove the org hears of it.
    let with = engine.belongings(org_id(1)).await.unwrap();
    assert_eq!((with.unsent_mails, with.all_sent()), (1, false));
    engine.stop().await;
    let engine = start(&place, Some(with_mail(Arc::clone(&sink).listen().await)));
    until("the mail has gone", async || quiet(&place)).await;
    assert_eq!(sink.to("ada@example.org").len(), 1);
    assert_eq!(engine.belongings(org_id(1)).await.unwrap().unsent_mails, 0);
    engine.stop().await;
}

#[tokio::test]
async fn a_mail_that_the_server_hangs_up_on_keeps_nobody_waiting() {
    let (place, sink) = (place(), Arc::new(Sink::default()));
    let engine = begin(&place, with_mail(Arc::clone(&sink).listen().await)).await;
    register(&engine, 1, "hangs-up@example.org").await;
    register(&engine, 2, "ada@example.org").await;
    until("all mail is dealt with", async || quiet(&place)).await;
    assert_eq!((sink.to("ada@").len(), sink.to("hangs-up@").len()), (1, 0));
    let waiting = place.store.scan(Range::All(Collection::Retries), None, 9).unwrap();
    let waiting: Vec<_> = waiting.iter().map(|(key, _)| key.local_id()).collect();
    assert!(matches!(waiting[..], [mail] if mail.starts_with("mail ")), "{waiting:?}");
    engine.stop().await;
}

#[tokio::test]
async fn mail_of_a_damaged_event_waits_and_that_of_the_others_goes() {
    let (place, sink) = (place(), Arc::new(Sink::default()));
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let engine = begin(&place, with_mail(format!("smtp://{gone}"))).await;
    let (bad, good) = (event(org_id(1)), EventRef { event: record("a00", 2), ..event(org_id(1)) });
    engine.apply_refresh(org_id(1), raw(2, "Other", None, 0)).await.unwrap();
    register(&engine, 1, "ada@example.org").await;
    let people = [person(&engine, good, 2)];
    engine.register(good.public_id(), &RequestId::Fresh, &people).await.unwrap();
    until("it is in vain", async || {
        engine.runs().get("mail").is_some_and(|run| run.fault.is_some())
    })
    .await;
    engine.stop().await;
    drop(engine);
    damage(&place, bad);
    let engine = start(&place, Some(with_mail(Arc::clone(&sink).listen().await)));
    until("the other event's mail goes", async || sink.to("person2@example.org").len() == 1).await;
    until("it is done with", async || {
        let pending = place.store.pending(Destination::Mail).unwrap();
        pending.iter().map(|pending| pending.event).eq([bad])
    })
    .await;
    assert_eq!(sink.to("ada@").len(), 0);
    engine.stop().await;
}

#[tokio::test]
async fn a_server_configured_later_gets_no_old_mail() {
    let (place, sink) = (place(), Arc::new(Sink::default()));
    let engine = begin(&place, hasty(2_000)).await;
    register(&engine, 1, "ada@example.org").await;
    until("the mail is passed over", async || quiet(&place)).await;
    engine.stop().await;
    let engine = start(&place, Some(with_mail(Arc::clone(&sink).listen().await)));
    register(&engine, 2, "grace@example.org").await;
    until("the new mail has gone", async || quiet(&place)).await;
    assert_eq!((sink.to("grace@").len(), sink.to("ada@").len()), (1, 0));
    engine.stop().await;
}

async fn letters(engine: &Engine) -> Vec<Letter> {
    engine.letters(org_id(1), &LetterFilter::default(), None, 10).await.unwrap().letters
}

#[tokio::test]
async fn a_mail_that_was_refused_goes_again_when_staff_want_it_to() {
    let (place, sink) = (place(), Arc::new(Sink::default()));
    let url = Arc::clone(&sink).listen().await;
    let engine = begin(&place, with_mail(url.clone())).await;
    register(&engine, 1, "refused@example.org").await;
    until("the mail is refused", async || letters(&engine).await.len() == 1).await;
    let first = letters(&engine).await.remove(0);
    assert_eq!((first.kind, first.tries, first.replaying), (LetterKind::Mail, 1, false));
    // In vain: the letter stays, and tells that it was tried again.
    let only = || Which::Rows(vec![first.key.clone()]);
    assert_eq!(engine.replay(org_id(1), only()).await.unwrap().rows, 1);
    until("it was tried again", async || letters(&engine).await[0].tries == 2).await;
    until("it goes no more", async || !letters(&engine).await[0].replaying).await;
    let again = letters(&engine).await.remove(0);
    assert_eq!((again.code.as_str(), again.since), ("smtp-550", first.since));
    assert_eq!(sink.to("refused@").len(), 0);
    engine.stop().await;
    drop(engine);

    // Where no mail is sent nothing waits to be sent once there is a server.
    let engine = start(&place, Some(hasty(2_000)));
    let nothing = engine.replay(org_id(1), only()).await.unwrap();
    assert_eq!((nothing.rows, nothing.unknown.len()), (0, 1));
    engine.stop().await;
    drop(engine);

    sink.lenient.store(true, Ordering::Relaxed);
    let engine = start(&place, Some(with_mail(url)));
    let all = engine.replay(org_id(1), Which::All(LetterFilter::default())).await.unwrap();
    assert_eq!(all.rows, 1);
    until("the letter is gone", async || letters(&engine).await.is_empty()).await;
    assert_eq!(sink.to("refused@example.org").len(), 1);
    engine.stop().await;
}
