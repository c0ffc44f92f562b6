//! A little of MongoDB's wire protocol: enough to read what a driver asks, to
//! answer it, and to stand between it and a server.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use mongodb::bson::Document as Bson;

/// The kinds of messages: the old one that greets.
const QUERY: i32 = 2004;
/// Its answer.
const REPLY: i32 = 1;
/// The newer one, and its answer.
const MESSAGE: i32 = 2013;

/// What a driver asks.
pub(crate) struct Message {
    head: [u8; 16],
    body: Vec<u8>,
    pub(crate) command: Bson,
}

impl Message {
    /// Reads the next one; nothing where whoever asks has left.
    pub(crate) fn read(stream: &mut TcpStream) -> Option<Self> {
        let mut head = [0; 16];
        stream.read_exact(&mut head).ok()?;
        let mut body = vec![0; usize::try_from(number(&head, 0)).unwrap() - 16];
        stream.read_exact(&mut body).ok()?;
        let old = number(&head, 12) == QUERY;
        let from = if old { 4 + body[4..].iter().position(|b| *b == 0).unwrap() + 9 } else { 5 };
        let length = usize::try_from(number(&body, from)).unwrap();
        let command = mongodb::bson::deserialize_from_slice(&body[from..from + length]).unwrap();
        Some(Self { head, body, command })
    }

    /// The answer to it, as it is sent.
    pub(crate) fn answer(&self, answer: &Bson) -> Vec<u8> {
        let answer = mongodb::bson::serialize_to_vec(answer).unwrap();
        let (kind, before) = if number(&self.head, 12) == QUERY {
            // Flags, a cursor, where it begins, and that it is one document.
            (REPLY, [&[0; 16][..], &1_i32.to_le_bytes()].concat())
        } else {
            (MESSAGE, vec![0; 5])
        };
        let length = i32::try_from(16 + before.len() + answer.len()).unwrap();
        let head = [length, 1, number(&self.head, 4), kind].map(i32::to_le_bytes).concat();
        [head, before, answer].concat()
    }
}

fn number(bytes: &[u8], at: usize) -> i32 {
    i32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Passes messages on to a server, but for those that are answered instead, and
/// can cut every connection at once.
pub(crate) struct Wire {
    pub(crate) port: u16,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Wire {
    /// To the server at this port; `instead` answers what is not to reach it.
    pub(crate) fn to(
        server: u16,
        instead: impl Fn(&Bson) -> Option<Bson> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let open: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let (all, instead) = (Arc::clone(&open), Arc::new(instead));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", server)))
                else {
                    continue;
                };
                let ends = || (client.try_clone().unwrap(), server.try_clone().unwrap());
                let ((asks, to), (answers, from)) = (ends(), ends());
                let instead = Arc::clone(&instead);
                std::thread::spawn(move || pass(asks, to, &*instead));
                std::thread::spawn(move || pass_back(from, answers));
                all.lock().unwrap().extend([client, server]);
            }
        });
        Self { port, open }
    }

    pub(crate) fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass(mut client: TcpStream, mut server: TcpStream, instead: &dyn Fn(&Bson) -> Option<Bson>) {
    while let Some(message) = Message::read(&mut client) {
        let done = match instead(&message.command) {
            Some(answer) => client.write_all(&message.answer(&answer)),
            None => server.write_all(&[&message.head[..], &message.body].concat()),
        };
        if done.is_err() {
            break;
        }
    }
    let _ = server.shutdown(Shutdown::Both);
}

fn pass_back(mut from: TcpStream, mut to: TcpStream) {
    let _ = std::io::copy(&mut from, &mut to);
    let _ = to.shutdown(Shutdown::Both);
}
