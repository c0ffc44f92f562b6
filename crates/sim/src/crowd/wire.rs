//! HTTP/1.1 as a load generator needs it: one connection, one request at a
//! time, kept open, every buffer used again. It costs a few microseconds of
//! CPU a request, most of it in the kernel, so that a storm on the server's
//! own machine disturbs it little. It speaks no TLS and follows no redirect.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use reply::{Framing, Progress};

mod reply;

pub use reply::Reply;

/// Bytes that one answer may have: more is a fault of the server.
const LONGEST: usize = 64 * 1024 * 1024;
/// Bytes asked of the socket at once.
const READ: usize = 32 * 1024;

/// Why a target can't be called.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// Not an address.
    #[error("`{0}` is no address of a Sloe; it should look like http://127.0.0.1:8080")]
    Malformed(String),
    /// It would need TLS.
    #[error(
        "`{0}` needs TLS, which the storm does not speak; aim it at the plain HTTP port behind the \
         proxy"
    )]
    Tls(String),
    /// Its name is not known.
    #[error("the host of `{url}` can't be found: {error}")]
    Unknown {
        /// The address as given.
        url: String,
        /// What the system says.
        error: std::io::Error,
    },
}

/// Where requests go.
#[derive(Debug)]
pub struct Target {
    /// Scheme, host and port, without a slash at the end.
    pub origin: String,
    /// Host and port as the `Host` header has them.
    pub authority: String,
    address: SocketAddr,
}

impl Target {
    /// Reads an address and looks its host up.
    ///
    /// # Errors
    /// [`TargetError`].
    pub async fn resolve(url: &str) -> Result<Self, TargetError> {
        let malformed = || TargetError::Malformed(url.to_owned());
        let parsed = reqwest::Url::parse(url).map_err(|_| malformed())?;
        match parsed.scheme() {
            "http" => {}
            "https" => return Err(TargetError::Tls(url.to_owned())),
            _ => return Err(malformed()),
        }
        let host = parsed.host_str().ok_or_else(malformed)?;
        let port = parsed.port_or_known_default().ok_or_else(malformed)?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let unknown = |error| TargetError::Unknown { url: url.to_owned(), error };
        let mut found = tokio::net::lookup_host((bare, port)).await.map_err(unknown)?;
        let address = found.next().ok_or_else(malformed)?;
        let authority = match parsed.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        Ok(Self { origin: format!("http://{authority}"), authority, address })
    }
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The server takes no connection: the request did not arrive.
    Connect,
    /// The connection broke before the whole answer had come.
    Closed,
    /// The answer did not come in time.
    Timeout,
    /// What came is not HTTP.
    Malformed,
}

impl Trouble {
    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Connect => "no connection",
            Self::Closed => "connection broke",
            Self::Timeout => "timeout",
            Self::Malformed => "malformed answer",
        }
    }
}

/// One connection, made when needed and again after trouble.
pub struct Client {
    target: Arc<Target>,
    patience: Duration,
    stream: Option<TcpStream>,
    received: Vec<u8>,
    unchunked: Vec<u8>,
    status: u16,
    head: Range<usize>,
    body: Body,
}

/// Where the body of the last answer lies.
enum Body {
    Received(Range<usize>),
    Unchunked,
}

impl Client {
    /// A client that waits `patience` for each answer.
    #[must_use]
    pub fn new(target: Arc<Target>, patience: Duration) -> Self {
        Self {
            target,
            patience,
            stream: None,
            received: Vec::new(),
            unchunked: Vec::new(),
            status: 0,
            head: 0..0,
            body: Body::Received(0..0),
        }
    }

    /// Where it calls.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Sends one request as [`write_request`] makes it and receives the
    /// answer, which [`Client::reply`] then shows.
    ///
    /// # Errors
    /// [`Trouble`]; the connection is given up, the next call makes a new one.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<u16, Trouble> {
        let patience = self.patience;
        let outcome = tokio::time::timeout(patience, self.try_exchange(request)).await;
        let outcome = outcome.unwrap_or(Err(Trouble::Timeout));
        if outcome.is_err() {
            self.stream = None;
        }
        outcome
    }

    /// Gives the connection up; the next call makes a new one.
    pub fn hang_up(&mut self) {
        self.stream = None;
    }

    /// The answer to the last request that had one.
    #[must_use]
    pub fn reply(&self) -> Reply<'_> {
        let head = self.received.get(self.head.clone()).unwrap_or_default();
        let body = match &self.body {
            Body::Received(range) => self.received.get(range.clone()).unwrap_or_default(),
            Body::Unchunked => &self.unchunked,
        };
        Reply { status: self.status, head: std::str::from_utf8(head).unwrap_or_default(), body }
    }

    async fn try_exchange(&mut self, request: &[u8]) -> Result<u16, Trouble> {
        let mut stream = match self.stream.take().filter(is_open) {
            Some(stream) => stream,
            None => connect(self.target.address).await?,
        };
        self.received.clear();
        stream.write_all(request).await.map_err(|_| Trouble::Closed)?;
        let framing = self.receive_head(&mut stream).await?;
        let reusable = self.receive_body(&mut stream, framing).await?;
        let closing = self.reply().header("connection").is_some_and(|v| v == "close");
        if reusable && !closing {
            self.stream = Some(stream);
        }
        Ok(self.status)
    }

    async fn receive_head(&mut self, stream: &mut TcpStream) -> Result<Framing, Trouble> {
        loop {
            match reply::read_head(&self.received).ok_or(Trouble::Malformed)? {
                Progress::Done(head) => {
                    self.status = head.status;
                    self.head = head.lines;
                    self.body = Body::Received(head.end..head.end);
                    return Ok(head.framing);
                }
                Progress::More => self.read_more(stream).await?,
            }
        }
    }

    /// Receives the body; says whether the connection can be used again.
    async fn receive_body(
        &mut self,
        stream: &mut TcpStream,
        framing: Framing,
    ) -> Result<bool, Trouble> {
        let Body::Received(Range { start, .. }) = self.body else { return Err(Trouble::Malformed) };
        match framing {
            Framing::Length(length) if length > LONGEST => return Err(Trouble::Malformed),
            Framing::Length(length) => {
                while self.received.len() < start + length {
                    self.read_more(stream).await?;
                }
                self.body = Body::Received(start..start + length);
            }
            Framing::Chunked => {
                while !self.unchunk(start)? {
                    self.read_more(stream).await?;
                }
                self.body = Body::Unchunked;
            }
            Framing::UntilClosed => {
                while self.read_some(stream).await? > 0 {}
                self.body = Body::Received(start..self.received.len());
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn unchunk(&mut self, start: usize) -> Result<bool, Trouble> {
        let chunks = self.received.get(start..).unwrap_or_default();
        reply::unchunk(chunks, &mut self.unchunked).ok_or(Trouble::Malformed)
    }

    async fn read_more(&mut self, stream: &mut TcpStream) -> Result<(), Trouble> {
        match self.read_some(stream).await? {
            0 => Err(Trouble::Closed),
            _ => Ok(()),
        }
    }

    async fn read_some(&mut self, stream: &mut TcpStream) -> Result<usize, Trouble> {
        if self.received.len() > LONGEST {
            return Err(Trouble::Malformed);
        }
        if self.received.capacity() - self.received.len() < READ / 2 {
            self.received.reserve(READ);
        }
        stream.read_buf(&mut self.received).await.map_err(|_| Trouble::Closed)
    }
}

/// Whether a connection that nothing is due on can still be used: one that was closed since its
/// last answer is no trouble of the server's.
fn is_open(stream: &TcpStream) -> bool {
    let read = stream.try_read(&mut [0]);
    read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

async fn connect(address: SocketAddr) -> Result<TcpStream, Trouble> {
    let stream = TcpStream::connect(address).await.map_err(|_| Trouble::Connect)?;
    stream.set_nodelay(true).map_err(|_| Trouble::Connect)?;
    Ok(stream)
}

/// Writes a request into `into`, which is emptied first. Header lines come
/// as they are to be sent, each as `Name: value`.
pub fn write_request(
    into: &mut Vec<u8>,
    (method, path): (&str, &str),
    authority: &str,
    headers: &[&str],
    body: Option<(&str, &[u8])>,
) {
    into.clear();
    for part in [method, " ", path, " HTTP/1.1\r\nHost: ", authority, "\r\n"] {
        into.extend_from_slice(part.as_bytes());
    }
    for header in headers {
        into.extend_from_slice(header.as_bytes());
        into.extend_from_slice(b"\r\n");
    }
    if let Some((kind, body)) = body {
        let length = body.len().to_string();
        for part in ["Content-Type: ", kind, "\r\nContent-Length: ", &length, "\r\n\r\n"] {
            into.extend_from_slice(part.as_bytes());
        }
        into.extend_from_slice(body);
    } else {
        into.extend_from_slice(b"\r\n");
    }
}
