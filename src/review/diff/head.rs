//! What stands above a file's hunks, gathered line by line, and the file it makes.

use super::names::{file_name, git_line_name, lossy};
use super::{Change, FileHead};

/// Header lines of one file, as far as they were read.
#[derive(Default)]
pub(super) struct Head {
    pub(super) git_line: Option<Vec<u8>>,
    pub(super) old: Option<Vec<u8>>,
    pub(super) new: Option<Vec<u8>>,
    pub(super) from: Option<Vec<u8>>,
    pub(super) to: Option<Vec<u8>>,
    pub(super) change: Option<Change>,
    pub(super) modes: (Option<u32>, Option<u32>),
    pub(super) binary: bool,
    pub(super) unread: Option<&'static str>,
}

impl Head {
    pub(super) fn finish(self) -> Option<FileHead> {
        let strip = |raw: &[u8], prefix: &[u8]| {
            let name = file_name(raw);
            name.strip_prefix(prefix)
                .map_or_else(|| name.clone(), <[u8]>::to_vec)
        };
        let old_name = self.old.as_deref().map(|n| strip(n, b"a/"));
        let new_name = self.new.as_deref().map(|n| strip(n, b"b/"));
        let is_null = |n: &Option<Vec<u8>>| n.as_deref() == Some(b"/dev/null");
        let change = self
            .change
            .unwrap_or(match (is_null(&old_name), is_null(&new_name)) {
                (true, _) => Change::Added,
                (_, true) => Change::Deleted,
                _ => Change::Modified,
            });
        let real = |n: Option<Vec<u8>>| n.filter(|n| n.as_slice() != b"/dev/null");
        let from_line = self.git_line.as_deref().and_then(git_line_name);
        let to = self.to.as_deref().map(file_name);
        let from = self.from.as_deref().map(file_name);
        let named = to
            .or_else(|| real(new_name))
            .or_else(|| real(old_name.clone()))
            .or(from_line);
        // A file whose name cannot be read is still a file of the change.
        let unread = self
            .unread
            .or(named.is_none().then_some("its name cannot be read"));
        let path = named.unwrap_or_else(|| b"(unnamed)".to_vec());
        let old_path = from.or_else(|| real(old_name)).filter(|old| *old != path);
        Some(FileHead {
            path: lossy(&path),
            old_path: old_path.as_deref().map(lossy),
            change,
            modes: self.modes,
            binary: self.binary,
            unread,
        })
    }
}
