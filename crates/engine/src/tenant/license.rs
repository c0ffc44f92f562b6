//! "May this org be live?", answered from memory.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use sloe_core::ids::OrgId;
use sloe_core::license::{self, License, Status};
use sloe_core::time::Timestamp;
use sloe_store::api::{Store, StoreError, Write};
use sloe_store::key::{Collection, Key, Range};

/// All licenses, by org: replaced as a whole, read without a lock.
#[derive(Default)]
pub struct Licenses {
    by_org: ArcSwap<HashMap<OrgId, Vec<License>>>,
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Stored {
    number: String,
    status: String,
    expires_at: Option<String>,
}

impl Licenses {
    /// Reads all licenses from the store.
    ///
    /// # Errors
    /// The store can't be read, or a stored license is damaged.
    pub fn load(&self, store: &dyn Store) -> Result<(), StoreError> {
        let mut by_org = HashMap::new();
        for (key, document) in store.scan(Range::All(Collection::Licenses), None, usize::MAX)? {
            let org = OrgId::parse(key.id()).map_err(|e| StoreError::Damaged(e.to_string()))?;
            by_org.insert(org, decode(&document.body)?);
        }
        self.by_org.store(Arc::new(by_org));
        Ok(())
    }

    /// Whether an org may take new holds at `now`.
    #[must_use]
    pub fn is_live(&self, org: OrgId, now: Timestamp) -> bool {
        self.by_org.load().get(&org).is_some_and(|rows| license::is_live(rows, now))
    }

    /// An org's licenses as last read.
    #[must_use]
    pub fn of(&self, org: OrgId) -> Vec<License> {
        self.by_org.load().get(&org).cloned().unwrap_or_default()
    }

    /// Replaces an org's licenses, in the store first.
    ///
    /// # Errors
    /// The store does not take it; then nothing changed.
    pub fn replace(
        &self,
        store: &dyn Store,
        org: OrgId,
        licenses: &[License],
    ) -> Result<(), StoreError> {
        let key = Key::licenses(org);
        let version = store.get(&key)?.map_or(1, |document| document.version + 1);
        store.put(&[Write { key, version, body: Some(encode(licenses)?) }])?;
        self.by_org.rcu(|all| {
            let mut all = HashMap::clone(all);
            all.insert(org, licenses.to_vec());
            all
        });
        Ok(())
    }
}

fn encode(licenses: &[License]) -> Result<Vec<u8>, StoreError> {
    let rows: Vec<_> = licenses
        .iter()
        .map(|license| Stored {
            number: license.number.clone(),
            status: match license.status {
                Status::Active => "active",
                Status::Trial => "trial",
                Status::Suspended => "suspended",
                Status::Uninstalled => "uninstalled",
            }
            .to_owned(),
            expires_at: license.expires_at.map(Timestamp::to_rfc3339),
        })
        .collect();
    serde_json::to_vec(&rows).map_err(|e| StoreError::Damaged(e.to_string()))
}

fn decode(body: &[u8]) -> Result<Vec<License>, StoreError> {
    let damaged = |what: String| StoreError::Damaged(format!("a license: {what}"));
    let rows: Vec<Stored> = serde_json::from_slice(body).map_err(|e| damaged(e.to_string()))?;
    let license = |row: Stored| {
        let status = match row.status.as_str() {
            "active" => Status::Active,
            "trial" => Status::Trial,
            "suspended" => Status::Suspended,
            "uninstalled" => Status::Uninstalled,
            other => return Err(damaged(format!("status {other:?}"))),
        };
        let expires_at = match row.expires_at {
            None => None,
            Some(text) => Some(Timestamp::parse(&text).ok_or_else(|| damaged(text))?),
        };
        Ok(License { number: row.number, status, expires_at })
    };
    rows.into_iter().map(license).collect()
}
