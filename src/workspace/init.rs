//! Writes the built-in workspace out, for a team to make it its own.

use std::path::{Path, PathBuf};

use super::built_in::FILES;
use crate::files::{FileError, Root};

const EXTRA: &[(&str, &str)] = &[
    ("bsm.yaml", include_str!("../../assets/bsm.yaml")),
    (
        ".gitignore",
        include_str!("../../assets/workspace.gitignore"),
    ),
];

/// Mode of a folder that another user's service reads, whatever the process's umask.
const FOLDER: u32 = 0o755;

/// Makes the folder and those above it that are missing. What is there keeps its mode.
fn make_readable(dir: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let missing: Vec<&Path> = dir
        .ancestors()
        .filter(|folder| !folder.as_os_str().is_empty())
        .take_while(|folder| !folder.exists())
        .collect();
    std::fs::create_dir_all(dir)?;
    for folder in missing {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(FOLDER))?;
    }
    Ok(())
}

/// Writes the files that are not there yet; returns those written and those left alone.
///
/// # Errors
/// When the folder cannot be made or a file cannot be written.
pub fn init(dir: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), FileError> {
    make_readable(dir).map_err(|e| FileError::Io(dir.to_path_buf(), e))?;
    let root = Root::open(dir)?;
    let (mut written, mut kept) = (Vec::new(), Vec::new());
    for (name, text) in FILES.iter().chain(EXTRA) {
        let path = Path::new(name);
        if root.exists(path) {
            kept.push(path.to_path_buf());
            continue;
        }
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            root.create_folder(parent, FOLDER)?;
        }
        root.write_atomic(path, text.as_bytes(), 0o644)?;
        written.push(path.to_path_buf());
    }
    root.create_folder(Path::new("reports"), FOLDER)?;
    Ok((written, kept))
}
