//! What rows say: a record's newest state, with its attendee's details unsealed.

use sloe_core::ids::{EventRef, SfId};
use sloe_core::outbox::Record;
use sloe_salesforce::{AttendeeDetails, Cell, Column, Row, Status};

use super::plan::{self, Details};
use super::send::{Line, Sender};
use super::{Halt, letter};
use crate::invitation::Invitee;

impl Sender<'_> {
    /// The rows of lines, and the lines they are of. Those whose details can't be opened become
    /// letters instead: a row without names would pass for an erased one.
    pub(super) async fn rows(&mut self, lines: Vec<Line>) -> Result<(Vec<Line>, Vec<Row>), Halt> {
        let (mut rows, mut unreadable) = (Vec::with_capacity(lines.len()), Vec::new());
        let mut built = Vec::with_capacity(lines.len());
        for of_event in lines.chunk_by(|a, b| a.work.event == b.work.event) {
            let Some(event) = of_event.first().map(|line| line.work.event) else { continue };
            // Names and address are the org's once it has the record.
            let full = |line: &&Line| {
                line.id.is_none() && line.work.record.session.is_none() && !line.work.record.erased
            };
            let named: Vec<Record> =
                of_event.iter().filter(full).map(|line| line.work.record.clone()).collect();
            let mut details =
                plan::details(self.engine, &self.org, event, &named).await?.into_iter();
            for line in of_event {
                let details = if full(&line) { details.next() } else { None };
                if details == Some(Details::Unreadable) {
                    unreadable.push((line.clone(), letter::own(letter::UNREADABLE)));
                    continue;
                }
                rows.push(self.row(event, line, details));
                built.push(line.clone());
            }
        }
        if !unreadable.is_empty() {
            self.settle(unreadable).await?;
        }
        Ok((built, rows))
    }

    fn row(&self, event: EventRef, line: &Line, details: Option<Details>) -> Row {
        let record = &line.work.record;
        let mut row = Row::new(record.key.clone(), line.work.version);
        if line.id.is_none() {
            row = identify(row, event, record);
        }
        if let Some(person) = details.and_then(Details::person) {
            let invitee = person.invitee.as_deref().and_then(invitee);
            row = row.with_details(AttendeeDetails {
                first_name: person.first_name,
                last_name: person.last_name,
                email: person.email,
            });
            // If the org refused it for a Contact that is gone, the person comes first.
            if let Some((column, id)) = invitee
                && !self.books.is_unlinked(&record.key)
            {
                row = row.with(column, Cell::Id(id));
            }
        }
        let registered = record.registered && !sloe_core::planted!(StatusTurned);
        row.with_status(if registered { Status::Registered } else { Status::Cancelled })
    }
}

/// The lookup that an invited record goes in.
fn invitee(id: &str) -> Option<(Column, SfId)> {
    Some(match Invitee::of(SfId::parse(id).ok()?)? {
        Invitee::Contact(id) => (Column::Contact, id),
        Invitee::Lead(id) => (Column::Lead, id),
    })
}

/// What names a record and never changes.
fn identify(row: Row, event: EventRef, record: &Record) -> Row {
    if let Some(session) = record.session {
        let parent = record.claim.attendee_key(record.place);
        return row
            .with(Column::Attendee, Cell::Text(parent))
            .with(Column::Session, Cell::Id(session));
    }
    let row = row
        .with(Column::Event, Cell::Id(event.event))
        .with(Column::Item, Cell::Id(record.item))
        .with(Column::OrderReference, Cell::Text(record.claim.reference()));
    match record.confirmed_at {
        Some(at) => row.with(Column::RegisteredAt, Cell::Time(at)),
        None => row,
    }
}
