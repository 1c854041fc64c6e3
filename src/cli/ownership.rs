//! Folders that belong to another user: in a container the checkout often does.
//!
//! Why a list: whoever owns a folder can change what decides. Git has a list of its own, in the user's
//! configuration, which is not read here.

use std::path::Path;

use crate::cli::failure::Failure;
use crate::text::clean_line;

/// What to do about a folder of another user.
pub(super) const FOREIGN_HELP: &str = "If you know it, add the folder to safeDirectories in your own settings, or to \
     BSM_SAFE_DIRECTORIES (`*` is every folder).";

/// Refuses a workspace that belongs to another user: whoever owns it can change what decides. What belongs
/// to root is everybody's.
pub(super) fn refuse_foreign(root: &Path, safe: &[String]) -> Result<(), Failure> {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(meta) = std::fs::metadata(root) else {
        return Ok(()); // Opening it says why.
    };
    let own = rustix::process::geteuid().as_raw();
    if meta.uid() == own || meta.uid() == 0 {
        return Ok(());
    }
    let canonical = root.canonicalize().unwrap_or_else(|_| root.to_path_buf());
    let listed = |entry: &String| entry == "*" || Path::new(entry) == canonical;
    if safe.iter().any(listed) {
        return Ok(());
    }
    Err(Failure::usage(
        format!(
            "{} belongs to user {}, and you are {own}: its settings are not used",
            clean_line(&canonical.display().to_string(), 400),
            meta.uid()
        ),
        &format!("{FOREIGN_HELP} `-C` names another workspace."),
    ))
}
