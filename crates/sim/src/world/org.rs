//! A simulated Salesforce org without a network: its rows, its rules, its
//! limits, and what people do to it. One call is one step of it.

use std::collections::{BTreeMap, BTreeSet};

use sloe_core::ids::{OrgId, SfId};
use sloe_core::verify::RowStatus;
use sloe_salesforce::{
    Adopted, Cell, Column, Error, FigureRow, Job, JobId, Operation, OrgRow, Private, Rejection,
    Row, RowKind, RowOutcome, Status, Together, Usage,
};

use super::dice::Dice;

/// A row of the org, or what is left of it in the bin.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) id: SfId,
    pub(crate) kind: RowKind,
    pub(crate) event: Option<SfId>,
    pub(crate) version: u64,
    pub(crate) registered: bool,
    pub(crate) deleted: bool,
    /// The attendee of a place in a session.
    parent: Option<String>,
}

/// What a job holds: rows by external id, or by record.
pub(crate) type Lines = Vec<(Option<SfId>, Row)>;

enum Work {
    Open,
    /// Rows have arrived, and are not worked through yet.
    Uploaded(Lines),
    Done(BTreeMap<String, RowOutcome>),
    Aborted,
}

/// One call to the org.
#[derive(Clone)]
pub(crate) enum Call {
    Limits,
    Upsert(RowKind, Vec<Row>),
    Together(Vec<Row>, Vec<Row>),
    Update(Lines),
    Figures(Vec<FigureRow>),
    Keys(RowKind, Vec<String>),
    Open(RowKind, Operation),
    Run(Job, Lines),
    Adopt(Job, Lines),
}

/// The answer to a call.
pub(crate) enum Reply {
    Nothing,
    Outcomes(Vec<RowOutcome>),
    Together(Together),
    Rows(Vec<OrgRow>),
    Job(Job),
    Adopted(Adopted),
}

impl Call {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Limits => "read limits",
            Self::Upsert(..) => "upsert rows",
            Self::Together(..) => "upsert rows of two kinds",
            Self::Update(..) => "update rows",
            Self::Figures(_) => "update figures",
            Self::Keys(..) => "look for rows",
            Self::Open(..) => "open a job",
            Self::Run(..) => "run a job",
            Self::Adopt(..) => "adopt a job",
        }
    }
}

/// The org.
pub(crate) struct Org {
    pub(crate) id: OrgId,
    /// Every row ever made, by external id, the latest last.
    pub(crate) rows: BTreeMap<String, Vec<Record>>,
    pub(crate) figures: BTreeMap<SfId, (u32, u32)>,
    /// Whether its package refuses older versions.
    pub(crate) versioned: bool,
    /// Rows that a rule of the org never takes.
    pub(crate) refused: BTreeSet<String>,
    /// Attendees that people of the org cancelled or deleted.
    pub(crate) lost: BTreeSet<String>,
    seen: BTreeSet<String>,
    jobs: BTreeMap<String, Work>,
    made: u64,
    /// Calls of the day by everybody, and allowed.
    pub(crate) used: u64,
    pub(crate) max: u64,
    /// Sloe's calls.
    pub(crate) calls: usize,
    /// Until when every call is refused for the day's limit, in milliseconds.
    pub(crate) exhausted_until: i64,
    /// How often a row meets a lock, in a thousand.
    pub(crate) locks: u64,
    /// How often a new row breaks a rule of the org, in a thousand.
    pub(crate) rules: u64,
    /// What must never be.
    pub(crate) broken: Vec<String>,
    dice: Dice,
}

impl Org {
    pub(crate) fn new(id: OrgId, versioned: bool, mut dice: Dice) -> Self {
        let max = 5_000 + dice.below(10_000);
        Self {
            id,
            rows: BTreeMap::new(),
            figures: BTreeMap::new(),
            versioned,
            refused: BTreeSet::new(),
            lost: BTreeSet::new(),
            seen: BTreeSet::new(),
            jobs: BTreeMap::new(),
            made: 0,
            used: 0,
            max,
            calls: 0,
            exhausted_until: 0,
            locks: 0,
            rules: 0,
            broken: Vec::new(),
            dice,
        }
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage { used: self.used, max: self.max, app: None }
    }

    /// Works a call through.
    pub(crate) fn answer(&mut self, now: i64, call: &Call) -> Result<Reply, Error> {
        self.used += 1;
        self.calls += 1;
        if now < self.exhausted_until && !matches!(call, Call::Limits) {
            return Err(Error::Refused {
                call: call.name(),
                status: 403,
                code: "REQUEST_LIMIT_EXCEEDED".into(),
                message: Private::new("TotalRequests Limit exceeded."),
            });
        }
        Ok(match call {
            Call::Limits => Reply::Nothing,
            Call::Upsert(kind, rows) => {
                Reply::Outcomes(rows.iter().map(|row| self.upsert(*kind, row)).collect())
            }
            Call::Together(attendees, sessions) => Reply::Together(Together {
                attendees: self.upsert_all(RowKind::Attendee, attendees),
                sessions: self.upsert_all(RowKind::SessionAttendee, sessions),
            }),
            Call::Update(lines) => Reply::Outcomes(self.update_all(lines)),
            Call::Figures(rows) => {
                let figures = rows.iter().map(|row| (row.id, (row.sold, row.held)));
                self.figures.extend(figures);
                let told = |row: &FigureRow| RowOutcome::Delivered { id: row.id, created: false };
                Reply::Outcomes(rows.iter().map(told).collect())
            }
            Call::Keys(kind, keys) => Reply::Rows(self.look(*kind, keys)),
            Call::Open(kind, operation) => self.open(*kind, *operation, call)?,
            Call::Run(job, lines) => {
                self.jobs.insert(job.id.as_str().to_owned(), Work::Uploaded(lines.clone()));
                Reply::Outcomes(self.outcomes(job, lines))
            }
            Call::Adopt(job, lines) => Reply::Adopted(self.adopt(job, lines)),
        })
    }

    /// An upload that arrived although whoever sent it heard nothing more.
    pub(crate) fn take_upload(&mut self, call: &Call) {
        if let Call::Run(job, lines) = call {
            let work = Work::Uploaded(lines.clone());
            self.jobs.insert(job.id.as_str().to_owned(), work);
        }
    }

    /// Works through jobs whose rows have arrived.
    pub(crate) fn work(&mut self) {
        let names: Vec<_> = self.jobs.keys().cloned().collect();
        for name in names {
            if let Some(Work::Uploaded(lines)) = self.jobs.get(&name) {
                let lines = lines.clone();
                self.run(&name, &lines);
            }
        }
    }

    fn open(&mut self, kind: RowKind, operation: Operation, call: &Call) -> Result<Reply, Error> {
        let id = self.next_id("750");
        self.jobs.insert(id.as_str().to_owned(), Work::Open);
        let id = JobId::parse(id.as_str()).ok_or_else(|| Error::Malformed {
            call: call.name(),
            what: "the job's id".to_owned(),
        })?;
        Ok(Reply::Job(Job { id, kind, operation }))
    }

    fn run(&mut self, job: &str, lines: &Lines) {
        let mut done = BTreeMap::new();
        for (id, row) in lines {
            let outcome = match id {
                Some(id) => self.update(*id, row),
                // Only rows that are made go by key, and their form tells their kind.
                None => self.upsert(kind_of(row), row),
            };
            done.insert(row.key.clone(), outcome);
        }
        self.jobs.insert(job.to_owned(), Work::Done(done));
    }

    fn outcomes(&mut self, job: &Job, lines: &Lines) -> Vec<RowOutcome> {
        self.work();
        let done = match self.jobs.get(job.id.as_str()) {
            Some(Work::Done(done)) => done.clone(),
            _ => BTreeMap::new(),
        };
        let unsaid = || RowOutcome::Retry { code: RowOutcome::NOT_REPORTED.to_owned() };
        lines.iter().map(|(_, row)| done.get(&row.key).cloned().unwrap_or_else(unsaid)).collect()
    }

    fn adopt(&mut self, job: &Job, lines: &Lines) -> Adopted {
        match self.jobs.get(job.id.as_str()) {
            Some(Work::Open) => {
                self.jobs.insert(job.id.as_str().to_owned(), Work::Aborted);
                Adopted::Void
            }
            Some(Work::Aborted) => Adopted::Void,
            Some(Work::Uploaded(_) | Work::Done(_)) => {
                // Results are forgotten after a week, or sooner by an administrator.
                if self.dice.chance(50) {
                    self.work();
                    return Adopted::Lost;
                }
                Adopted::Ran(self.outcomes(job, lines))
            }
            None => Adopted::Lost,
        }
    }

    fn next_id(&mut self, prefix: &str) -> SfId {
        self.made += 1;
        let text = format!("{prefix}{:012}", self.made);
        // Digits behind a prefix of three letters and digits always make an id.
        SfId::parse(&text).unwrap_or_else(|_| unreachable!("{text} is no id"))
    }

    fn upsert_all(&mut self, kind: RowKind, rows: &[Row]) -> Vec<Option<RowOutcome>> {
        rows.iter().map(|row| Some(self.upsert(kind, row))).collect()
    }

    fn update_all(&mut self, lines: &Lines) -> Vec<RowOutcome> {
        let update = |(id, row): &(Option<SfId>, Row)| match id {
            Some(id) => self.update(*id, row),
            None => RowOutcome::Deleted,
        };
        lines.iter().map(update).collect()
    }

    fn upsert(&mut self, kind: RowKind, row: &Row) -> RowOutcome {
        if let Some(refused) = self.refuse(row) {
            return refused;
        }
        let parent = text_of(row, Column::Attendee);
        if let Some(parent) = &parent
            && self.live(parent).is_none()
        {
            return RowOutcome::Retry { code: "INVALID_FIELD".to_owned() };
        }
        if self.live(&row.key).is_some() {
            return self.change(&row.key, row);
        }
        let id = self.next_id(if kind == RowKind::Attendee { "a03" } else { "a04" });
        let known = self.rows.entry(row.key.clone()).or_default();
        if !known.is_empty() {
            self.broken.push(format!("{} was deleted in the org and made anew", row.key));
        }
        known.push(Record {
            id,
            kind,
            event: id_of(row, Column::Event),
            version: row.version,
            registered: is_registered(row),
            deleted: false,
            parent,
        });
        RowOutcome::Delivered { id, created: true }
    }

    fn update(&mut self, id: SfId, row: &Row) -> RowOutcome {
        if let Some(refused) = self.refuse(row) {
            return refused;
        }
        let found = self.rows.get(&row.key).and_then(|all| all.iter().find(|r| r.id == id));
        match found {
            Some(record) if !record.deleted => self.change(&row.key, row),
            _ => RowOutcome::Deleted,
        }
    }

    fn refuse(&mut self, row: &Row) -> Option<RowOutcome> {
        if self.dice.chance(self.locks) {
            return Some(RowOutcome::Retry { code: "UNABLE_TO_LOCK_ROW".to_owned() });
        }
        if self.seen.insert(row.key.clone()) && self.dice.chance(self.rules) {
            self.refused.insert(row.key.clone());
        }
        self.refused.contains(&row.key).then(|| {
            RowOutcome::Rejected(Rejection {
                code: "FIELD_CUSTOM_VALIDATION_EXCEPTION".to_owned(),
                fields: Vec::new(),
                message: Private::new("A rule of this org."),
            })
        })
    }

    fn change(&mut self, key: &str, row: &Row) -> RowOutcome {
        let versioned = self.versioned;
        let found = self.rows.get_mut(key).and_then(|all| all.iter_mut().find(|r| !r.deleted));
        let Some(record) = found else { return RowOutcome::Deleted };
        if row.version < record.version {
            if versioned {
                return RowOutcome::Stale;
            }
            self.broken.push(format!(
                "{key}: version {} was sent over version {}",
                row.version, record.version
            ));
        }
        record.version = row.version;
        record.registered = is_registered(row);
        RowOutcome::Delivered { id: record.id, created: false }
    }

    /// The row that is there now.
    pub(crate) fn live(&self, key: &str) -> Option<&Record> {
        self.rows.get(key)?.iter().find(|record| !record.deleted)
    }

    /// Whether somebody ever deleted such a row.
    pub(crate) fn was_deleted(&self, key: &str) -> bool {
        self.rows.get(key).is_some_and(|all| all.iter().any(|record| record.deleted))
    }

    fn look(&self, kind: RowKind, keys: &[String]) -> Vec<OrgRow> {
        let of_key = keys.iter().filter_map(|key| Some((key, self.rows.get(key)?)));
        let all = of_key.flat_map(|(key, all)| all.iter().map(move |record| (key, record)));
        all.filter(|(_, record)| record.kind == kind)
            .map(|(key, record)| OrgRow {
                id: record.id,
                key: key.clone(),
                event: record.event,
                version: Some(record.version),
                status: if record.registered {
                    RowStatus::Registered
                } else {
                    RowStatus::Cancelled
                },
                deleted: record.deleted,
            })
            .collect()
    }

    /// A person cancels or deletes an attendee; whose, if there is any.
    pub(crate) fn lose_one(&mut self, delete: bool) -> Option<String> {
        let standing = |(_, all): &(&String, &Vec<Record>)| {
            all.iter().any(|r| r.kind == RowKind::Attendee && !r.deleted && r.registered)
        };
        let keys: Vec<String> =
            self.rows.iter().filter(standing).map(|(key, _)| key.clone()).collect();
        let key = self.dice.pick(&keys)?.clone();
        self.lose(&key, delete);
        Some(key)
    }

    /// A person deletes an attendee; whether it was there.
    pub(crate) fn lose_attendee(&mut self, key: &str) -> bool {
        let there = self.live(key).is_some_and(|record| record.kind == RowKind::Attendee);
        if there {
            self.lose(key, true);
        }
        there
    }

    fn lose(&mut self, key: &str, delete: bool) {
        self.lost.insert(key.to_owned());
        for record in self.rows.get_mut(key).into_iter().flatten().filter(|r| !r.deleted) {
            if delete {
                record.deleted = true;
            } else {
                record.registered = false;
            }
        }
        if delete {
            // Its places in sessions are its details: they go with it.
            for record in self.rows.values_mut().flatten() {
                record.deleted |= record.parent.as_deref() == Some(key);
            }
        }
    }

    /// External ids of an event's attendees that are cancelled or deleted.
    pub(crate) fn lost_of(&self, event: SfId) -> Vec<String> {
        let lost = |record: &Record| {
            record.kind == RowKind::Attendee
                && record.event == Some(event)
                && (record.deleted || !record.registered)
        };
        let lost = self.rows.iter().filter(|(_, all)| all.iter().any(lost));
        lost.map(|(key, _)| key.clone()).collect()
    }
}

fn kind_of(row: &Row) -> RowKind {
    let is_place = row.cells.iter().any(|(column, _)| *column == Column::Attendee);
    if is_place { RowKind::SessionAttendee } else { RowKind::Attendee }
}

fn is_registered(row: &Row) -> bool {
    row.cells.iter().any(|(_, cell)| *cell == Cell::Status(Status::Registered))
}

fn text_of(row: &Row, wanted: Column) -> Option<String> {
    row.cells.iter().find_map(|(column, cell)| match cell {
        Cell::Text(text) if *column == wanted => Some(text.clone()),
        _ => None,
    })
}

fn id_of(row: &Row, wanted: Column) -> Option<SfId> {
    row.cells.iter().find_map(|(column, cell)| match cell {
        Cell::Id(id) if *column == wanted => Some(*id),
        _ => None,
    })
}
