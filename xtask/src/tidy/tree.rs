//! The files of the checkout, as the rules see them.

use std::fs;
use std::path::Path;

/// A text file.
#[derive(Clone, Debug)]
pub(super) struct File {
    /// From the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

/// Directories that are built, not written.
const BUILT: [&str; 4] = [".git", "node_modules", "sloe-data", "target"];

/// Reads every text file under `root`, in order of path.
///
/// # Errors
/// A directory or file can't be read.
pub(super) fn read(root: &Path) -> Result<Vec<File>, String> {
    let mut files = Vec::new();
    descend(root, "", &mut files)?;
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

/// The file at this path, if there is one.
pub(super) fn find<'a>(files: &'a [File], path: &str) -> Option<&'a File> {
    files.iter().find(|file| file.path == path)
}

fn descend(dir: &Path, prefix: &str, files: &mut Vec<File>) -> Result<(), String> {
    let unreadable = |error| format!("{}: {error}", dir.display());
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().map_err(unreadable)?;
        if kind.is_dir() && !BUILT.contains(&name.as_str()) {
            descend(&entry.path(), &format!("{path}/"), files)?;
        } else if kind.is_file() {
            let bytes = fs::read(entry.path()).map_err(|error| format!("{path}: {error}"))?;
            if let Ok(text) = String::from_utf8(bytes) {
                files.push(File { path, text });
            }
        }
    }
    Ok(())
}
