//! The master key: from the environment, or kept beside the data.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use sloe_core::ids::base32;
use sloe_engine::seal::Key;

use crate::cmd::Failure;

/// The variable that holds the master key: 64 hexadecimal digits.
const VARIABLE: &str = "SLOE_MASTER_KEY";

/// The master key that the environment names.
pub(crate) fn from_environment() -> Result<Option<Key>, Failure> {
    match std::env::var(VARIABLE) {
        Ok(text) => parse(&text).map(Some).ok_or_else(|| {
            Failure::new(format!(
                "{VARIABLE} must be 64 hexadecimal digits; make one with: openssl rand -hex 32"
            ))
        }),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(Failure::new(format!("{VARIABLE} can't be read: {error}"))),
    }
}

/// The file that holds the master key where it is kept beside the data.
pub(crate) const MASTER_KEY: &str = "master.key";

/// The master key beside the data, made on first use and readable by its owner only.
pub(crate) fn keep_beside(data: &Path) -> Result<Key, Failure> {
    let path = data.join(MASTER_KEY);
    let fail = |what: &str| Failure::new(format!("the master key {} {what}", path.display()));
    match std::fs::read_to_string(&path) {
        Ok(text) => parse(text.trim()).ok_or_else(|| {
            fail("is damaged: put back the one the data was made with, or begin anew in an empty directory")
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let mut bytes = [0; 32];
            getrandom::fill(&mut bytes).map_err(|e| fail(&format!("can't be made: {e}")))?;
            let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let file =
                std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
            let written = file.and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            });
            written.map_err(|e| fail(&format!("can't be written: {e}")))?;
            Ok(Key::new(bytes))
        }
        Err(error) => Err(fail(&format!("can't be read: {error}"))),
    }
}

/// A random token for a secret of this run.
pub(crate) fn fresh_token() -> Result<String, Failure> {
    let mut bytes = [0; 20];
    getrandom::fill(&mut bytes)
        .map_err(|error| Failure::new(format!("the system has no randomness: {error}")))?;
    Ok(base32::encode(&bytes))
}

fn parse(text: &str) -> Option<Key> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(Key::new(bytes))
}
