//! The combiner's thread, and the one that writes its checkpoints.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use sloe_core::ids::EventRef;
use sloe_core::ledger::Image;
use sloe_store::api::{Checkpoint, Store};
use sloe_store::record;

use super::ask::Ask;
use super::closed::Closed;
use super::combiner::{Combiner, Settings};
use super::desk::Desk;

/// Tasks that may wait before new ones are shed.
const WAITING: usize = 8_192;
/// How often holds of idle events are looked at: expired seats are claimable within a second.
const SWEEP: Duration = Duration::from_millis(250);

/// Starts the combiner's thread and the one that writes its checkpoints, which
/// ends before it.
///
/// # Errors
/// The system gives no thread.
pub(crate) fn start(settings: Settings) -> std::io::Result<(Desk, JoinHandle<()>)> {
    let store = Arc::clone(&settings.store);
    let (desk, inbox, mut combiner) = open(settings);
    let (checkpoints, due) = crossbeam_channel::bounded(4);
    let writer = std::thread::Builder::new().name("sloe-checkpoint".into()).spawn(move || {
        for (event, image) in &due {
            write_checkpoint(&*store, event, &image);
        }
    })?;
    let thread = std::thread::Builder::new().name("sloe-combiner".into()).spawn(move || {
        run(&mut combiner, &inbox.asks, &checkpoints);
        // Whoever still asks is told at once, and not when the last checkpoint is written.
        drop((combiner, checkpoints, inbox));
        // Whoever waits for this thread may open the store again at once.
        if writer.join().is_err() {
            tracing::error!("checkpoints ended by a panic; the journal has it all");
        }
    })?;
    Ok((desk, thread))
}

/// What is brought to a desk.
pub(super) struct Inbox {
    pub(super) asks: Receiver<Ask>,
    /// Nobody takes anything out any more.
    ended: Arc<AtomicBool>,
}

impl Drop for Inbox {
    /// The channel keeps what is in it for as long as there is a desk: whoever asked would wait
    /// for ever. What comes later than this is told by the desk.
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        while self.asks.try_recv().is_ok() {}
    }
}

/// A desk, what is brought there, and a combiner that nothing runs yet.
pub(super) fn open(settings: Settings) -> (Desk, Inbox, Combiner) {
    let (brought, asks) = crossbeam_channel::bounded(WAITING);
    let (closed, ended) = (Closed::default(), Arc::default());
    let combiner = Combiner::new(settings, closed.clone());
    let desk = Desk::new(brought, closed, Arc::clone(&ended));
    (desk, Inbox { asks, ended }, combiner)
}

fn run(combiner: &mut Combiner, inbox: &Receiver<Ask>, checkpoints: &Sender<(EventRef, Image)>) {
    let mut swept = Instant::now();
    let mut stopping = false;
    while !(stopping && combiner.waiting() == 0) {
        let idle = combiner.idle_for();
        if !idle.is_zero() {
            match inbox.recv_timeout(idle.min(SWEEP.saturating_sub(swept.elapsed()))) {
                Ok(ask) => stopping |= combiner.accept(ask),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => stopping = true,
            }
        }
        stopping |= take_in(combiner, inbox);
        let sweeping = swept.elapsed() >= SWEEP;
        if sweeping {
            swept = Instant::now();
        }
        combiner.commit_next(sweeping);
        for due in combiner.due_checkpoints() {
            // A checkpoint writer that lags is skipped: the next one will do.
            let _ = checkpoints.try_send(due);
        }
    }
}

/// Takes in what was brought to the desk; true if the last was among it.
pub(super) fn take_in(combiner: &mut Combiner, inbox: &Receiver<Ask>) -> bool {
    let mut stopping = false;
    while combiner.waiting() < WAITING
        && let Ok(ask) = inbox.try_recv()
    {
        stopping |= combiner.accept(ask);
    }
    stopping
}

pub(super) fn write_checkpoint(store: &dyn Store, event: EventRef, image: &Image) {
    let (version, nonce) = (image.version, image.nonce);
    let checkpoint = Checkpoint { version, nonce, chunks: record::ledger::encode(image) };
    if let Err(error) = store.put_checkpoint(event, &checkpoint) {
        tracing::warn!(event = ?event, %error, "checkpoint not written; the journal has it all");
    }
}
