//! Connections: takes them, bounds what they may send and how slowly, and
//! lets those under way finish before the end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, Request, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use crate::entrance::Leads;

/// Bytes that a request's line and headers may take together; beyond: 431.
const MAX_HEAD_BYTES: usize = 16 * 1024;
/// Connections at once; more wait in the system's queue.
const MAX_CONNECTIONS: usize = 16_384;
/// How long requests under way may take at the end: longer than their deadline, and with the
/// drain before and the workers after it within the 30 seconds that hosters give.
const DRAIN: Duration = Duration::from_secs(20);
/// How long to wait when the system has no file handle left.
const EXHAUSTED: Duration = Duration::from_millis(100);

const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// Serves what `app` leads to until `shutdown` ends, then lets requests under way finish.
///
/// # Errors
/// The listener has no address any more: nothing was served.
pub async fn serve(
    listener: TcpListener,
    app: impl Leads,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.local_addr()?;
    let app: Arc<dyn Leads> = Arc::new(app);
    let connections = GracefulShutdown::new();
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    tokio::pin!(shutdown);
    loop {
        let next = async {
            let place = Arc::clone(&room).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (accepted, place) = tokio::select! {
            accepted = next => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, peer)) => {
                let connection = connection(stream, Peer(peer), Arc::clone(&app));
                let watched = connections.watch(connection);
                tokio::spawn(async move {
                    // Whoever breaks the protocol or leaves is told nothing more.
                    let _ended = watched.await;
                    drop(place);
                });
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "no connection can be taken; trying on");
                tokio::time::sleep(EXHAUSTED).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, connections.shutdown()).await.is_err() {
        tracing::warn!(after = ?DRAIN, "some requests did not end in time and are cut off");
    }
    Ok(())
}

fn connection(
    stream: TcpStream,
    peer: Peer,
    app: Arc<dyn Leads>,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    // Answers are whole: waiting to fill packets only delays them.
    let _best_effort = stream.set_nodelay(true);
    let idle = app.idle();
    let service = service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer);
        let app = Arc::clone(&app);
        async move {
            let answer = app.to().oneshot(request).await;
            let mut answer = answer.unwrap_or_else(|never: Infallible| match never {});
            if app.is_closing() {
                answer.headers_mut().insert(header::CONNECTION, CLOSE);
            }
            Ok::<_, Infallible>(answer)
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service)
}

/// Whether the next connection may do better at once.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
