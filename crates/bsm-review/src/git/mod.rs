//! Asks git for a diff or a list of files without letting the repository run anything.
//!
//! Why so guarded: a repository's own configuration names programs (hooks, external diff, textconv,
//! file-system monitor, pager) that a plain `git diff` runs. Here git gets an argument vector and an
//! empty environment, those settings are switched off, and revisions are resolved to object ids
//! before they are used, so that a revision can never be read as an option.

mod changes;
mod command;
mod fetch;
mod files;
mod includes;
mod revisions;

pub use self::changes::{changed_files, commits, diff, diff_in_full, patches, staged, uncommitted};
pub use self::command::{GitDiff, GitError, trust_folders};
pub use self::fetch::{
    CloneKind, Depth, clone_kind, fetch, is_history_whole, lacks_objects, merge_base,
};
pub use self::files::{Blob, contents, files_at, tracked_files};
pub use self::includes::included_by;
pub use self::revisions::{Ends, default_branch, ends, newest_or_nothing, resolve, top};
