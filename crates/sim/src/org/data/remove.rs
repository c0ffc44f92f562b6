//! Deleting records: into the recycle bin, with what that does to the records that refer to them.

use std::collections::VecDeque;

use sloe_core::ids::SfId;

use super::change::cascades;
use super::compute::fill_in;
use super::{Database, RowError, Value};
use crate::org::schema::OnDelete;

impl Database {
    /// Deletes a record, its details, and every reference to them that clears on deletion.
    ///
    /// # Errors
    /// Not there, already deleted, locked, or a required reference points to it; nothing is changed then.
    pub(crate) fn delete(
        &mut self,
        object: usize,
        id: SfId,
        user: SfId,
    ) -> Result<(), Vec<RowError>> {
        self.live(object, id).map_err(|e| vec![e])?;
        let mut doomed = Vec::new();
        let mut cleared = Vec::new();
        let mut waiting = VecDeque::from([(object, id)]);
        while let Some((object, id)) = waiting.pop_front() {
            let name = self.object(object).name.clone();
            let references: Vec<(usize, usize)> = self.schema().references_to(&name).collect();
            for (child, field) in references {
                let how = self.object(child).fields.get(field).and_then(cascades);
                let children = self.table(child).children(field, id).into_iter().flatten();
                match how {
                    Some(OnDelete::Cascade) => waiting.extend(children.map(|row| (child, row))),
                    Some(OnDelete::Clear) => {
                        cleared.extend(children.map(|row| (child, row, field)));
                    }
                    Some(OnDelete::Restrict) => {
                        if let Some(row) = children.into_iter().next() {
                            return Err(vec![self.restricted(child, row)]);
                        }
                    }
                    None => {}
                }
            }
            doomed.push((object, id));
        }
        let gone = doomed.iter().map(|(object, id)| (*object, *id, None));
        let changed = cleared.iter().map(|(object, id, _)| (*object, *id, Some(())));
        for (object, id, stays) in gone.chain(changed) {
            let Some(row) = self.table(object).get_live(id).cloned() else { continue };
            self.lock_for(object, Some(&row), stays.map(|()| &row))?;
        }
        let now = self.moment();
        for (child, id, field) in cleared {
            let Some(mut row) = self.table(child).get_live(id).cloned() else { continue };
            if let Some(field) = self.object(child).fields.get(field) {
                row.set(field.slot, Value::Null);
            }
            row.stamp = now;
            fill_in(&self.object(child).clone(), &mut row);
            self.put(child, row);
        }
        for (object, id) in doomed {
            let Some(mut row) = self.table(object).get_live(id).cloned() else { continue };
            row.deleted = true;
            row.modified = now;
            row.stamp = now;
            row.modified_by = user;
            self.put(object, row);
        }
        Ok(())
    }

    fn restricted(&self, child: usize, row: SfId) -> RowError {
        RowError::new(
            "DELETE_FAILED",
            format!(
                "Your attempt to delete this record could not be completed because it is associated with the \
                 following {}: {row}",
                self.object(child).plural.to_lowercase()
            ),
        )
    }
}
