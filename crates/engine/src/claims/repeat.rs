//! The same request, the same answer, whatever has changed since: a license
//! that lapsed, a ticket or session that was withdrawn, another form.

use sloe_core::catalog::Snapshot;
use sloe_core::ledger::{ClaimView, Command, Refusal, Reply};

use super::{RequestId, deny, request};
use crate::engine::Engine;
use crate::error::Denied;
use crate::ledger::Unanswered;
use crate::tenant::Org;

impl Engine {
    /// What a request came to when it was made first, if one that is to be
    /// `denied` now is a repeat. Only what is denied before the ledger has
    /// decided needs to ask; the ledger itself knows repeats.
    ///
    /// The question waits in the same line as claims do, so it is not answered
    /// before a first asking that is still on its way.
    ///
    /// # Errors
    /// `denied` if it is no repeat; [`Denied::IdReused`] if it is one with
    /// another body; why the ledger can't be asked.
    pub(super) async fn answered_before(
        &self,
        org: &Org,
        snapshot: &Snapshot,
        (operation, id): (&str, &RequestId),
        body: &[&[u8]],
        denied: Denied,
    ) -> Result<ClaimView, Denied> {
        let RequestId::Given(_) = id else { return Err(denied) };
        // Without a key there was no claim yet, and this one makes none.
        let Some(key) = self.known_event_key(org, snapshot).await? else { return Err(denied) };
        let request = request(&key, operation, id, 0, body);
        let answer = self.desk().run(snapshot.event, Command::Recall { request }, None).await;
        match answer.map(|committed| committed.reply) {
            Ok(Reply::Recalled(view)) => Ok(view),
            Ok(_) | Err(Unanswered::Refused(Refusal::UnknownClaim)) => Err(denied),
            Err(why) => Err(deny::unanswered(snapshot, why)),
        }
    }
}
