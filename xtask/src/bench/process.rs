//! Processes that a benchmark starts, watches and ends; and HTTP in its
//! simplest form, for what is asked but not measured.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cargo;

/// A directory that vanishes at the end.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    pub(super) fn new(name: &str) -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .map_err(|error| format!("{} can't be made: {error}", path.display()))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left behind lies in the system's directory for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The binaries as cargo builds them.
pub(super) fn sloe() -> Command {
    Command::new(cargo::root().join("target/release/sloe"))
}

pub(super) fn ceiling() -> Command {
    example("ceiling")
}

/// A program of ours that measures.
pub(super) fn example(name: &str) -> Command {
    Command::new(cargo::root().join("target/release/examples").join(name))
}

/// A process of ours; ended with this value.
pub(super) struct Running(Child);

impl Running {
    /// Starts a command whose words go nowhere.
    pub(super) fn start(command: &mut Command, log: &Path) -> Result<Self, String> {
        let log = std::fs::File::create(log).map_err(|error| error.to_string())?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        child.map(Self).map_err(|error| format!("`{}`: {error}", cargo::shown(command)))
    }

    /// Starts a command and reads the first line it prints.
    pub(super) fn start_told(command: &mut Command) -> Result<(Self, String), String> {
        let shown = cargo::shown(command);
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = child.map_err(|error| format!("`{shown}`: {error}"))?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            let read = BufReader::new(output).read_line(&mut line);
            read.map_err(|error| format!("`{shown}`: {error}"))?;
        }
        if line.is_empty() {
            return Err(format!("`{shown}` ended without a word"));
        }
        Ok((Self(child), line.trim().to_owned()))
    }

    /// Bytes resident now, and at most so far.
    pub(super) fn memory(&self) -> Result<(u64, u64), String> {
        let path = format!("/proc/{}/status", self.0.id());
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
        };
        let both = field("VmRSS:").zip(field("VmHWM:"));
        both.ok_or_else(|| format!("{path} does not tell the memory"))
    }

    /// Seconds of CPU time used so far.
    pub(super) fn cpu(&self) -> Result<f64, String> {
        // The system counts in hundredths of a second, whatever its own clock does.
        const TICKS: f64 = 100.0;
        let path = format!("/proc/{}/stat", self.0.id());
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        // The name in front may hold blanks; it ends with the last parenthesis.
        let fields = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
        let ticks: Vec<f64> =
            fields.split(' ').skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
        match ticks.as_slice() {
            [user, system] => Ok((user + system) / TICKS),
            _ => Err(format!("{path} does not tell the time")),
        }
    }
}

impl Drop for Running {
    /// Asks it to end, so that it can end what it started itself; kills it after ten seconds.
    fn drop(&mut self) {
        let id = self.0.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &id]).status();
        let give_up = Instant::now() + Duration::from_secs(10);
        while Instant::now() < give_up && matches!(self.0.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
        }
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command and reads what it prints as JSON.
pub(super) fn read_json(command: &mut Command) -> Result<Value, String> {
    let shown = cargo::shown(command);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("`{shown}`: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{shown}` ended with {}", output.status));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| format!("`{shown}`: {error}"))
}

/// Runs a command and gives what it prints.
pub(super) fn read_text(command: &mut Command) -> Result<String, String> {
    let shown = cargo::shown(command);
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("`{shown}`: {error}"))?;
    if !output.status.success() {
        return Err(format!("`{shown}` ended with {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A port that was free a moment ago.
pub(super) fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    listener.local_addr().map(|address| address.port()).map_err(|error| error.to_string())
}

/// An answer as it came.
pub(super) struct Answer {
    pub(super) status: u16,
    /// Status line and headers.
    head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// A header's value, empty if it is not there.
    pub(super) fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(':'));
        let found = lines.find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.trim())
    }

    pub(super) fn json(&self) -> Result<Value, String> {
        let text = String::from_utf8_lossy(&self.body);
        if !(200..300).contains(&self.status) {
            return Err(format!("{} instead of an answer: {text}", self.status));
        }
        serde_json::from_slice(&self.body).map_err(|error| format!("{error}: {text}"))
    }
}

/// One request of HTTP/1.1 to `origin`; gives status and body.
pub(super) fn http(
    call: (&str, &str, &str),
    header: &str,
    body: &str,
) -> Result<(u16, Vec<u8>), String> {
    ask(call, header, body).map(|answer| (answer.status, answer.body))
}

/// The same with all of the answer. The body is JSON unless `header` (one or
/// more lines) says otherwise.
pub(super) fn ask(
    (method, origin, path): (&str, &str, &str),
    header: &str,
    body: &str,
) -> Result<Answer, String> {
    let failed = |error: std::io::Error| format!("{method} {origin}{path}: {error}");
    let authority = origin.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(authority).map_err(failed)?;
    stream.set_read_timeout(Some(Duration::from_secs(60))).map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let mut header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
    if !header.contains("Content-Type:") {
        header.push_str("Content-Type: application/json\r\n");
    }
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n{header}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).map_err(failed)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).map_err(failed)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or_else(|| format!("{method} {origin}{path}: no answer"))?;
    let status = answer.get(9..12).and_then(|code| std::str::from_utf8(code).ok()?.parse().ok());
    let status = status.ok_or_else(|| format!("{method} {origin}{path}: no status"))?;
    let body = answer.split_off(end + 4);
    Ok(Answer { status, head: String::from_utf8_lossy(&answer).into_owned(), body })
}

/// A JSON document at `path`.
pub(super) fn get_json(origin: &str, path: &str) -> Result<Value, String> {
    match http(("GET", origin, path), "", "")? {
        (200, body) => {
            serde_json::from_slice(&body).map_err(|error| format!("{origin}{path}: {error}"))
        }
        (status, _) => Err(format!("{origin}{path} answers {status}")),
    }
}

/// Tries until it succeeds; the last failure after so long.
pub(super) fn wait<T>(
    patience: Duration,
    pause: Duration,
    mut attempt: impl FnMut() -> Result<T, String>,
) -> Result<T, String> {
    let give_up = Instant::now() + patience;
    loop {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() > give_up => return Err(error),
            Err(_) => std::thread::sleep(pause),
        }
    }
}

/// A figure of what a program told.
pub(super) fn number(value: &Value, key: &str) -> Result<f64, String> {
    value.get(key).and_then(Value::as_f64).ok_or_else(|| format!("no figure is called {key}"))
}

pub(super) fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(0.0)
}
