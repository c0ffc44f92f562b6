//! Stored forms: how core's values lie on disk. Every form begins with the
//! number of its format; a decoder is total: it reads what an encoder of a
//! known format wrote, or says what is wrong and where. The journal and
//! checkpoints are binary, documents are JSON that an operator can read.

pub mod batch;
pub(crate) mod document;
pub mod ledger;
pub mod order;
pub mod snapshot;
pub(crate) mod wire;

/// Why stored bytes can't be read back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault} (at byte {at})")]
pub struct DecodeError {
    /// What is wrong.
    pub fault: Fault,
    /// Where reading stopped, from 0.
    pub at: usize,
}

/// What can be wrong with stored bytes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The bytes end within a value.
    #[error("it ends too early")]
    Short,
    /// Bytes are left over behind the last value.
    #[error("{0} bytes are left over")]
    Long(usize),
    /// The checksum doesn't fit: bytes were changed after they were written.
    #[error("its checksum does not fit")]
    Checksum,
    /// A format that this version doesn't know.
    #[error("format {0} is unknown here: a newer Sloe wrote it")]
    Format(u8),
    /// A number no encoder writes there.
    #[error("{what} can't be {value}")]
    Value {
        /// What the number stands for.
        what: &'static str,
        /// The number.
        value: u64,
    },
    /// A number written in more bytes than it needs, or beyond 64 bits.
    #[error("a number is not in its shortest form")]
    Varint,
    /// A record id that isn't one.
    #[error("a record id is not one: {0}")]
    Id(sloe_core::ids::IdError),
    /// The parts are not as many as the first one says.
    #[error("{0} are missing or too many")]
    Parts(&'static str),
}

/// Why a stored document can't be read back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// A format that this version doesn't know.
    #[error("document format {0} is unknown here: a newer Sloe wrote it")]
    Format(u32),
    /// Not JSON, or not of this form; says where.
    #[error("the document is damaged: {0}")]
    Form(String),
}
