//! What is written down of an org's change events: the switch, and up to where
//! each object's changes were dealt with.

use serde::{Deserialize, Serialize};
use sloe_store::api::StoreError;

use crate::changes::Source;
use crate::worker::outbox::file;

/// The local id of the switch's document.
pub(crate) const SWITCH: &str = "switch";

#[derive(Serialize, Deserialize)]
struct Switch {
    source: Option<Source>,
}

pub(crate) fn switch(source: Option<&Source>) -> Vec<u8> {
    file::encode(&Switch { source: source.cloned() })
}

pub(crate) fn read_switch(body: &[u8]) -> Result<Option<Source>, StoreError> {
    file::decode::<Switch>(body).map(|switch| switch.source)
}

/// Up to where the changes of an object were dealt with.
#[cfg(feature = "pubsub")]
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    /// The replay id, in hexadecimal.
    replay: String,
    /// The topic that it is of, and where that is; ids of others mean nothing.
    pub(super) topic: String,
    pub(super) url: String,
}

#[cfg(feature = "pubsub")]
impl Place {
    pub(super) fn new(replay: &[u8], topic: &str, url: &str) -> Self {
        use std::fmt::Write as _;
        let hex = replay.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        Self { replay: hex, topic: topic.to_owned(), url: url.to_owned() }
    }

    /// The replay id; `None` if it was damaged.
    pub(super) fn replay(&self) -> Option<Vec<u8>> {
        let pairs = self.replay.as_bytes().chunks(2);
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        pairs.map(byte).collect()
    }
}

#[cfg(all(test, feature = "pubsub"))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_replay_id_of_any_bytes_comes_back() {
        let place = Place::new(&[0, 1, 0xfe, 0xff], "topic", "url");
        assert_eq!(place.replay().unwrap(), [0, 1, 0xfe, 0xff]);
        let bytes = file::encode(&place);
        assert_eq!(file::decode::<Place>(&bytes).unwrap(), place);
    }
}
