//! Rows whose making may have been done although nobody said so: an answer was
//! lost, or the process ended before it came. Such a row is looked for before
//! it goes again, because an upsert would make a record anew that was deleted
//! in the org meanwhile.

use std::collections::BTreeMap;

use sloe_core::ids::SfId;
use sloe_salesforce::{Error, Operation, OrgRow, RowKind, RowOutcome};

use super::send::{Line, Sender};
use super::{Halt, letter};

/// What Salesforce says of a row that names a record it doesn't know.
const UNKNOWN: &str = "INVALID_CROSS_REFERENCE_KEY";

impl Sender<'_> {
    /// Notes that the org is asked to make these rows, before it is; or that it
    /// was, and nobody knows what came of it.
    pub(super) async fn ask<'a>(
        &mut self,
        lines: impl Iterator<Item = &'a Line>,
    ) -> Result<(), Halt> {
        let note = self.books.ask(&self.org, lines.map(Line::key));
        self.write(note.into_iter().collect()).await
    }

    /// Notes that rows were not made, as the org itself said.
    pub(super) async fn not_made(&mut self, keys: &[String]) -> Result<(), Halt> {
        let note = self.books.answered(&self.org, keys.iter().map(String::as_str));
        self.write(note.into_iter().collect()).await
    }

    /// Notes what a call in vain says of the rows that it left without an outcome.
    pub(super) async fn in_vain(&mut self, error: Error, keys: &[String]) -> Halt {
        if !error.may_have_arrived()
            && let Err(halt) = self.not_made(keys).await
        {
            return halt;
        }
        Halt::Org(error)
    }

    /// Writes down what became of rows. Looks before whether records are deleted that the org says
    /// it doesn't know: it says the same of those that Sloe may not see any more, and of rows that
    /// name something that is gone.
    pub(super) async fn settle_sent(
        &mut self,
        kind: RowKind,
        operation: Operation,
        mut done: Vec<(Line, RowOutcome)>,
    ) -> Result<(), Halt> {
        let gone = |(_, outcome): &&(Line, RowOutcome)| *outcome == RowOutcome::Deleted;
        let keys: Vec<_> = done.iter().filter(gone).map(|(line, _)| line.key()).collect();
        if operation == Operation::Update && !keys.is_empty() {
            let mut deleted: BTreeMap<SfId, bool> = BTreeMap::new();
            for row in self.client.rows_by_key(kind, &keys).await? {
                deleted.insert(row.id, row.deleted);
            }
            for (line, outcome) in &mut done {
                if *outcome != RowOutcome::Deleted {
                    continue;
                }
                *outcome = match line.id.and_then(|id| deleted.get(&id)) {
                    Some(true) => continue,
                    Some(false) => letter::own(UNKNOWN),
                    None => letter::own(letter::MISSING),
                };
            }
        }
        self.settle(done).await
    }

    /// Looks for rows that the org may have made: those that are there go on by
    /// their id, those that were deleted since stay deleted.
    pub(super) async fn look_first(
        &mut self,
        kind: RowKind,
        lines: Vec<Line>,
    ) -> Result<Vec<Line>, Halt> {
        let unsure = |line: &&Line| {
            line.id.is_none() && self.books.is_unsure(line.work.event, &line.work.record.key)
        };
        let keys: Vec<_> = lines.iter().filter(unsure).map(Line::key).collect();
        if keys.is_empty() || sloe_core::planted!(DuplicateUpsert) {
            return Ok(lines);
        }
        let mut found: BTreeMap<String, OrgRow> = BTreeMap::new();
        for row in self.client.rows_by_key(kind, &keys).await? {
            // One that is there counts, whatever was deleted beside it.
            if !row.deleted || !found.contains_key(&row.key) {
                found.insert(row.key.clone(), row);
            }
        }
        tracing::info!(
            org = %self.org.id(), ?kind, asked = keys.len(), there = found.len(),
            "looked for rows whose answer was lost"
        );
        let (mut left, mut deleted) = (Vec::with_capacity(lines.len()), Vec::new());
        for mut line in lines {
            match found.get(&line.work.record.key).filter(|_| line.id.is_none()) {
                Some(row) if row.deleted => {
                    line.id = Some(row.id);
                    deleted.push((line, RowOutcome::Deleted));
                }
                Some(row) => {
                    line.id = Some(row.id);
                    left.push(line);
                }
                None => left.push(line),
            }
        }
        self.settle(deleted).await?;
        Ok(left)
    }
}
