//! Registrations of normal hours: attendees and their sessions in one call,
//! where there are few enough of both. Anything out of the ordinary goes kind
//! by kind as ever.

use std::collections::BTreeSet;

use sloe_salesforce::{RowKind, RowOutcome, fits_one_call};

use super::Halt;
use super::send::{Line, Sender, Work};

impl Sender<'_> {
    /// Sends what the org has not had yet, both kinds in one call if they fit;
    /// gives back what is left to send, kind by kind.
    pub(super) async fn together(
        &mut self,
        attendees: Vec<Work>,
        sessions: Vec<Work>,
    ) -> Result<(Vec<Work>, Vec<Work>), Halt> {
        if !self.may_go_together(attendees.len(), sessions.len()) {
            return Ok((attendees, sessions));
        }
        let fresh = |line: &Line| line.id.is_none();
        let lines = self.unsent(RowKind::Attendee, attendees).await?;
        let (attendees, mut rest): (Vec<_>, Vec<_>) = lines.into_iter().partition(fresh);
        let lines = self.unsent(RowKind::SessionAttendee, sessions).await?;
        let (sessions, mut rest_sessions): (Vec<_>, Vec<_>) = lines.into_iter().partition(fresh);
        if attendees.is_empty() || sessions.is_empty() {
            rest.extend(attendees);
            rest_sessions.extend(sessions);
            return Ok((works(rest), works(rest_sessions)));
        }
        let (attendees, first) = self.rows(attendees).await?;
        // Those of an attendee that was refused before wait for what becomes of it now.
        let (sessions, orphans) = self.apart(sessions);
        rest_sessions.extend(orphans);
        let (sessions, second) = self.rows(sessions).await?;
        if attendees.is_empty() || sessions.is_empty() {
            rest.extend(attendees);
            rest_sessions.extend(sessions);
            return Ok((works(rest), works(rest_sessions)));
        }
        self.ask(attendees.iter().chain(&sessions)).await?;
        let sent = match self.client.upsert_together(&first, &second).await {
            Ok(sent) => sent,
            Err(error) => {
                let keys: Vec<_> = attendees.iter().chain(&sessions).map(Line::key).collect();
                return Err(self.in_vain(error, &keys).await);
            }
        };
        let (mut done, mut unmade) = (Vec::new(), Vec::new());
        let mut without = BTreeSet::new();
        for (line, outcome) in attendees.into_iter().zip(sent.attendees) {
            if !outcome.as_ref().is_some_and(is_there) {
                without.insert(line.key());
            }
            match outcome {
                Some(outcome) => done.push((line, outcome)),
                None => {
                    unmade.push(line.key());
                    rest.push(line);
                }
            }
        }
        self.settle(done).await?;
        let mut done = Vec::new();
        for (line, outcome) in sessions.into_iter().zip(sent.sessions) {
            let parent = line.work.record.claim.attendee_key(line.work.record.place);
            match outcome {
                // What refuses a row whose attendee is not there says nothing of the row.
                Some(outcome) if is_there(&outcome) || !without.contains(&parent) => {
                    done.push((line, outcome));
                }
                _ => {
                    unmade.push(line.key());
                    rest_sessions.push(line);
                }
            }
        }
        self.settle(done).await?;
        self.not_made(&unmade).await?;
        self.must_have_room()?;
        Ok((works(rest), works(rest_sessions)))
    }

    /// Sets places in sessions apart whose attendee a letter says is not there: its details may just
    /// have turned out to be unreadable.
    fn apart(&self, sessions: Vec<Line>) -> (Vec<Line>, Vec<Line>) {
        sessions.into_iter().partition(|line| {
            let parent = line.work.record.claim.attendee_key(line.work.record.place);
            !self.books.is_absent(&parent)
        })
    }

    /// Whether there are some of both kinds, few enough for one call.
    fn may_go_together(&self, attendees: usize, sessions: usize) -> bool {
        let few = attendees.max(sessions) < self.engine.workers().settings.bulk_from;
        let both = attendees.min(sessions) > 0;
        self.adopt.is_none() && both && few && fits_one_call(attendees, sessions)
    }
}

fn is_there(outcome: &RowOutcome) -> bool {
    matches!(outcome, RowOutcome::Delivered { .. } | RowOutcome::Stale)
}

fn works(lines: Vec<Line>) -> Vec<Work> {
    lines.into_iter().map(|line| line.work).collect()
}
