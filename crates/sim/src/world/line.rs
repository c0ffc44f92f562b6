//! A node's line to an org: every call asks the node's budget, waits in the
//! org's inbox until the world lets it arrive, and hears its answer, or not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sloe_core::budget::{May, Purpose};
use sloe_engine::worker::remote::{Dial, Later, Remote};
use sloe_salesforce::{
    Adopted, Column, Error, Exhausted, Figure, FigureRow, Gate, Job, Operation, OrgRow, Row,
    RowKind, RowOutcome, Rows, Sent, Together, Update, Usage,
};
use tokio::sync::oneshot;

use super::org::{Call, Lines, Reply};

/// Rows that one call takes: few, so that a run of calls is cut now and then.
const ROWS: usize = 4;

/// A call on its way.
pub(crate) struct Asked {
    pub(crate) node: usize,
    pub(crate) call: Call,
    pub(crate) answer: oneshot::Sender<Result<Reply, Error>>,
    gate: Arc<dyn Gate>,
}

impl Asked {
    /// Tells whoever waits, if anybody does any more.
    pub(crate) fn reply(self, usage: Usage, answer: Result<Reply, Error>) {
        if self.answer.is_closed() {
            return;
        }
        self.gate.follow(usage);
        if matches!(&answer, Err(Error::Refused { code, .. }) if code == "REQUEST_LIMIT_EXCEEDED") {
            self.gate.refuse(Exhausted::Daily);
        }
        let _ = self.answer.send(answer);
    }

    /// The connection broke: nobody told anything.
    pub(crate) fn cut(self, arrived: bool) {
        let call = self.call.name();
        let reason = "simulated".to_owned();
        let error = if arrived {
            Error::Deadline { call, after: std::time::Duration::from_secs(30) }
        } else {
            Error::Unreachable { call, reason }
        };
        let _ = self.answer.send(Err(error));
    }
}

/// Calls that nobody has looked at.
#[derive(Clone, Default)]
pub(crate) struct Inbox(Arc<Mutex<Vec<Asked>>>);

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Vec<Asked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn take(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.lock())
    }
}

/// How one node reaches one org.
pub(crate) struct Exchange {
    pub(crate) node: usize,
    pub(crate) inbox: Inbox,
}

impl Dial for Exchange {
    fn dial(&self, purpose: Purpose, gate: Arc<dyn Gate>) -> Arc<dyn Remote> {
        Arc::new(Line { node: self.node, inbox: self.inbox.clone(), purpose, gate })
    }
}

struct Line {
    node: usize,
    inbox: Inbox,
    purpose: Purpose,
    gate: Arc<dyn Gate>,
}

/// A call that was let through; over when it is dropped.
struct Pass<'a>(&'a dyn Gate);

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Line {
    async fn call(&self, call: Call) -> Result<Reply, Error> {
        loop {
            match self.gate.begin(self.purpose) {
                May::Go => break,
                May::Look => {
                    let _pass = Pass(&*self.gate);
                    let _ = self.once(Call::Limits).await;
                }
                May::Wait { until, closed } => {
                    return Err(Error::Budget { call: call.name(), until, closed });
                }
            }
        }
        let _pass = Pass(&*self.gate);
        self.once(call).await
    }

    async fn once(&self, call: Call) -> Result<Reply, Error> {
        let name = call.name();
        let (answer, answered) = oneshot::channel();
        let gate = Arc::clone(&self.gate);
        self.inbox.lock().push(Asked { node: self.node, call, answer, gate });
        let gone = || Error::Unreachable { call: name, reason: "simulated".to_owned() };
        answered.await.unwrap_or_else(|_| Err(gone()))
    }

    /// A run of calls, each with some of `lines`.
    async fn run<T: Clone>(&self, lines: &[T], call: impl Fn(Vec<T>) -> Call) -> Sent {
        let mut outcomes = Vec::new();
        for some in lines.chunks(ROWS) {
            match self.call(call(some.to_vec())).await {
                Ok(Reply::Outcomes(told)) => outcomes.extend(told),
                Ok(_) => return Sent { outcomes, halted: Some(odd()) },
                Err(error) => return Sent { outcomes, halted: Some(error) },
            }
        }
        Sent { outcomes, halted: None }
    }
}

fn odd() -> Error {
    Error::Malformed { call: "call an org", what: "another answer was due".to_owned() }
}

fn lines(rows: Rows<'_>) -> Lines {
    match rows {
        Rows::Upsert(rows) => rows.iter().map(|row| (None, row.clone())).collect(),
        Rows::Update(rows) => rows.iter().map(|u| (Some(u.id), u.row.clone())).collect(),
    }
}

impl Remote for Line {
    fn has_figures(&self, _: Figure) -> bool {
        true
    }

    fn parent_locks(&self, _: RowKind) -> Vec<Column> {
        Vec::new()
    }

    fn upsert<'a>(&'a self, kind: RowKind, rows: &'a [Row]) -> Later<'a, Sent> {
        Box::pin(self.run(rows, move |some| Call::Upsert(kind, some)))
    }

    fn upsert_together<'a>(
        &'a self,
        attendees: &'a [Row],
        sessions: &'a [Row],
    ) -> Later<'a, Result<Together, Error>> {
        Box::pin(async {
            match self.call(Call::Together(attendees.to_vec(), sessions.to_vec())).await? {
                Reply::Together(together) => Ok(together),
                _ => Err(odd()),
            }
        })
    }

    fn update<'a>(&'a self, _: RowKind, rows: &'a [Update]) -> Later<'a, Sent> {
        Box::pin(async move {
            let lines = lines(Rows::Update(rows));
            self.run(&lines, Call::Update).await
        })
    }

    fn update_figures<'a>(&'a self, rows: &'a mut [FigureRow]) -> Later<'a, Sent> {
        Box::pin(async move {
            rows.sort_by_key(|row| (row.of, row.id));
            self.run(rows, Call::Figures).await
        })
    }

    fn rows_by_key<'a>(
        &'a self,
        kind: RowKind,
        keys: &'a [String],
    ) -> Later<'a, Result<Vec<OrgRow>, Error>> {
        Box::pin(async move {
            match self.call(Call::Keys(kind, keys.to_vec())).await? {
                Reply::Rows(rows) => Ok(rows),
                _ => Err(odd()),
            }
        })
    }

    fn bulk_open(&self, kind: RowKind, operation: Operation) -> Later<'_, Result<Job, Error>> {
        Box::pin(async move {
            match self.call(Call::Open(kind, operation)).await? {
                Reply::Job(job) => Ok(job),
                _ => Err(odd()),
            }
        })
    }

    fn bulk_run<'a>(
        &'a self,
        job: &'a Job,
        rows: Rows<'a>,
    ) -> Later<'a, Result<Vec<RowOutcome>, Error>> {
        let lines = lines(rows);
        Box::pin(async move {
            match self.call(Call::Run(job.clone(), lines)).await? {
                Reply::Outcomes(outcomes) => Ok(outcomes),
                _ => Err(odd()),
            }
        })
    }

    fn bulk_adopt<'a>(&'a self, job: &'a Job, rows: Rows<'a>) -> Later<'a, Result<Adopted, Error>> {
        let lines = lines(rows);
        Box::pin(async move {
            match self.call(Call::Adopt(job.clone(), lines)).await? {
                Reply::Adopted(adopted) => Ok(adopted),
                _ => Err(odd()),
            }
        })
    }
}
