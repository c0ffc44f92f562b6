//! Everybody's mailbox: a mail server that takes what is sent to it, keeps
//! the newest mails in memory and delivers nothing. The demo shows them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use mail_parser::{Addr, Message, MessageParser, MimeHeaders};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Mails kept; the oldest go first.
const KEPT: usize = 200;
/// The longest line of a command or mail (RFC 5321, section 4.5.3.1, allows 1,000 octets).
const MAX_LINE: u64 = 8 * 1024;
/// The largest mail taken.
const MAX_MAIL: usize = 1024 * 1024;

/// A mail as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mail {
    /// Counts the mails of this run, from 1.
    pub number: u64,
    /// Its sender.
    pub from: String,
    /// Its first recipient.
    pub to: String,
    /// Its subject.
    pub subject: String,
    /// When it was written, RFC 3339; empty if it does not say.
    pub date: String,
    /// Its stable name: a repeat has the same.
    pub message_id: String,
    /// The text part.
    pub text: String,
    /// The HTML part.
    pub html: Option<String>,
    /// Name and content of each attachment.
    pub attachments: Vec<(String, Vec<u8>)>,
}

/// The mails of a running server.
#[derive(Clone, Debug, Default)]
pub struct Mailbox {
    mails: Arc<Mutex<VecDeque<Arc<Mail>>>>,
}

impl Mailbox {
    /// All mails kept, newest first.
    #[must_use]
    pub fn mails(&self) -> Vec<Arc<Mail>> {
        let mails = self.mails.lock().unwrap_or_else(PoisonError::into_inner);
        mails.iter().rev().cloned().collect()
    }

    fn keep(&self, raw: &[u8]) {
        let mut mails = self.mails.lock().unwrap_or_else(PoisonError::into_inner);
        let number = mails.back().map_or(1, |mail| mail.number + 1);
        let Some(message) = MessageParser::default().parse(raw) else { return };
        mails.push_back(Arc::new(read(number, &message)));
        if mails.len() > KEPT {
            mails.pop_front();
        }
    }
}

/// A mail server that listens; it ends when dropped.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    mailbox: Mailbox,
    server: JoinHandle<()>,
}

impl Running {
    /// Where it takes mail: `smtp://…`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    /// What arrived.
    #[must_use]
    pub fn mailbox(&self) -> Mailbox {
        self.mailbox.clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Starts a mail server on `listen`; port 0 takes a free one.
///
/// # Errors
/// The address can't be had.
pub async fn start(listen: SocketAddr) -> std::io::Result<Running> {
    let listener = TcpListener::bind(listen).await?;
    let address = listener.local_addr()?;
    let mailbox = Mailbox::default();
    let kept = mailbox.clone();
    let server = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mailbox = kept.clone();
            tokio::spawn(async move {
                if let Err(error) = converse(stream, &mailbox).await {
                    tracing::debug!(%error, "a mail client left");
                }
            });
        }
    });
    Ok(Running { address, mailbox, server })
}

/// As much of RFC 5321 as a client needs to hand a mail over.
async fn converse(stream: TcpStream, mailbox: &Mailbox) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read);
    write.write_all(b"220 mailbox ready\r\n").await?;
    loop {
        let mut line = Vec::new();
        if (&mut lines).take(MAX_LINE).read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let verb = String::from_utf8_lossy(&line).trim().to_ascii_uppercase();
        let answer: &[u8] = match verb.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => b"250-mailbox\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 1048576\r\n",
            "HELO" | "MAIL" | "RCPT" | "RSET" | "NOOP" => b"250 OK\r\n",
            "DATA" => {
                write.write_all(b"354 end with a dot on a line by itself\r\n").await?;
                match read_mail(&mut lines).await? {
                    Some(mail) => {
                        mailbox.keep(&mail);
                        b"250 kept\r\n"
                    }
                    None => b"552 the mail is too large\r\n",
                }
            }
            "QUIT" => {
                write.write_all(b"221 bye\r\n").await?;
                return Ok(());
            }
            _ => b"502 not known here\r\n",
        };
        write.write_all(answer).await?;
    }
}

/// The mail up to the single dot, doubled dots undone; `None` if it is too large.
async fn read_mail(
    lines: &mut BufReader<tokio::net::tcp::OwnedReadHalf>,
) -> std::io::Result<Option<Vec<u8>>> {
    let mut mail = Vec::new();
    let mut fits = true;
    loop {
        let mut line = Vec::new();
        let read = (&mut *lines).take(MAX_LINE).read_until(b'\n', &mut line).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" || line == b".\n" {
            return Ok(fits.then_some(mail));
        }
        let content = line.strip_prefix(b".").unwrap_or(&line);
        fits &= mail.len() + content.len() <= MAX_MAIL;
        if fits {
            mail.extend_from_slice(content);
        }
    }
}

fn read(number: u64, message: &Message<'_>) -> Mail {
    let address =
        |addr: Option<&Addr<'_>>| addr.and_then(Addr::address).unwrap_or_default().to_owned();
    let attachment = |part: &mail_parser::MessagePart<'_>| {
        let name = part.attachment_name().unwrap_or("attachment").to_owned();
        (name, part.contents().to_vec())
    };
    Mail {
        number,
        from: address(message.from().and_then(|from| from.first())),
        to: address(message.to().and_then(|to| to.first())),
        subject: message.subject().unwrap_or_default().to_owned(),
        date: message.date().map(mail_parser::DateTime::to_rfc3339).unwrap_or_default(),
        message_id: message.message_id().unwrap_or_default().to_owned(),
        text: message.body_text(0).unwrap_or_default().into_owned(),
        html: message.body_html(0).map(std::borrow::Cow::into_owned),
        attachments: message.attachments().map(attachment).collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    async fn say(stream: &mut BufReader<TcpStream>, line: &str) -> String {
        stream.get_mut().write_all(line.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_line(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_mail_handed_over_is_there_to_read() {
        let running = start(([127, 0, 0, 1], 0).into()).await.unwrap();
        let stream = TcpStream::connect(running.address).await.unwrap();
        let mut stream = BufReader::new(stream);
        assert!(say(&mut stream, "").await.starts_with("220"));
        assert!(say(&mut stream, "HELO me\r\n").await.starts_with("250"));
        assert!(say(&mut stream, "MAIL FROM:<a@example.org>\r\n").await.starts_with("250"));
        assert!(say(&mut stream, "RCPT TO:<b@example.org>\r\n").await.starts_with("250"));
        assert!(say(&mut stream, "DATA\r\n").await.starts_with("354"));
        let mail = "From: a@example.org\r\nTo: b@example.org\r\nSubject: =?utf-8?q?H=C3=A9?=\r\n\r\n..dot\r\n.\r\n";
        assert!(say(&mut stream, mail).await.starts_with("250"));
        let mails = running.mailbox().mails();
        assert_eq!((mails[0].subject.as_str(), mails[0].to.as_str()), ("Hé", "b@example.org"));
        assert_eq!(mails[0].text.trim(), ".dot");
        assert!(say(&mut stream, "SING\r\n").await.starts_with("502"));
    }
}
