//! Licenses as they lie in the store: an org's rows in a document each, and
//! one document of how far the source org was read.

use serde::{Deserialize, Serialize};
use sloe_core::license::{Knowledge, License, Status};
use sloe_core::time::Timestamp;
use sloe_store::api::{Document, StoreError};

#[derive(Serialize, Deserialize)]
struct Row {
    number: String,
    status: String,
    expires_at: Option<String>,
}

pub(super) fn encode(licenses: &[License]) -> Result<Vec<u8>, StoreError> {
    let row = |license: &License| Row {
        number: license.number.clone(),
        status: license.status.name().to_lowercase(),
        expires_at: license.expires_at.map(Timestamp::to_rfc3339),
    };
    serde_json::to_vec(&licenses.iter().map(row).collect::<Vec<_>>())
        .map_err(|error| StoreError::Damaged(error.to_string()))
}

pub(super) fn decode(body: &[u8]) -> Result<Vec<License>, StoreError> {
    let damaged = |what: String| StoreError::Damaged(format!("a license: {what}"));
    let rows: Vec<Row> = serde_json::from_slice(body).map_err(|e| damaged(e.to_string()))?;
    let license = |row: Row| {
        let status = Status::parse(&row.status)
            .ok_or_else(|| damaged(format!("status {:?}", row.status)))?;
        let expires_at = match row.expires_at {
            None => None,
            Some(text) => Some(Timestamp::parse(&text).ok_or_else(|| damaged(text))?),
        };
        Ok(License { number: row.number, status, expires_at })
    };
    rows.into_iter().map(license).collect()
}

/// Which source org, and whose licenses in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SourceName {
    /// Its My Domain address.
    pub(crate) url: String,
    /// The package's id or name.
    pub(crate) package: String,
}

/// How far the source org was read. Times are milliseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SourceState {
    /// The source org in force; `None` when licenses are recorded by hand.
    pub(crate) source: Option<SourceName>,
    /// Since when that one is.
    pub(crate) since: i64,
    /// When it was read last, by our clock, begun then and ended well.
    pub(crate) read_at: Option<i64>,
    /// When all its rows were compared with ours.
    pub(crate) compared_at: Option<i64>,
    /// From when on changes are not known, by its clock.
    pub(crate) cursor: Option<i64>,
    /// How often rows changed.
    pub(crate) changes: u64,
    /// Why the last read failed.
    pub(crate) fault: Option<String>,
    /// Rows that can't be understood; what was known of them stands.
    pub(crate) unreadable: Vec<String>,
}

impl SourceState {
    pub(crate) fn knowledge(&self) -> Knowledge {
        match self.source {
            Some(_) => Knowledge::Read(self.read_at.map(Timestamp)),
            None => Knowledge::Recorded,
        }
    }

    pub(crate) fn encode(&self) -> Result<Vec<u8>, StoreError> {
        serde_json::to_vec(self).map_err(|error| StoreError::Damaged(error.to_string()))
    }
}

/// What a document says, and its version; of none, that there is no source org.
pub(super) fn source(document: Option<&Document>) -> Result<(SourceState, u64), StoreError> {
    let Some(document) = document else { return Ok((SourceState::default(), 0)) };
    let state = serde_json::from_slice(&document.body)
        .map_err(|error| StoreError::Damaged(format!("the source org's state: {error}")))?;
    Ok((state, document.version))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rows_come_back_as_they_went() {
        let row = |status: Status, expires_at| License {
            number: format!("L-{status:?}"),
            status,
            expires_at,
        };
        let end = sloe_core::license::end_of_day("2027-01-31");
        let rows: Vec<_> =
            Status::ALL.into_iter().flat_map(|s| [row(s, None), row(s, end)]).collect();
        assert_eq!(decode(&encode(&rows).unwrap()).unwrap(), rows);
        assert!(matches!(
            decode(b"[{\"number\":\"L\",\"status\":\"gone\"}]"),
            Err(StoreError::Damaged(_))
        ));
    }

    #[test]
    fn a_state_comes_back_and_what_it_lacks_is_nothing() {
        let state = SourceState {
            source: Some(SourceName { url: "https://x".into(), package: "033".into() }),
            read_at: Some(7),
            ..SourceState::default()
        };
        let document = Document { version: 3, body: state.encode().unwrap() };
        assert_eq!(source(Some(&document)).unwrap(), (state, 3));
        let document = Document { version: 1, body: b"{}".to_vec() };
        assert_eq!(source(Some(&document)).unwrap(), (SourceState::default(), 1));
    }
}
