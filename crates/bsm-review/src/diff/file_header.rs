//! What stands above a file's hunks, gathered line by line, and the file it makes.

use crate::diff::header_paths::{
    Prefixes, file_name, git_line_name, lossy, same_but_for_first_folder,
};
use crate::diff::types::{Change, FileHead};

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
    /// Object ids of both sides, from `index a..b`.
    pub(super) ids: Option<(Vec<u8>, Vec<u8>)>,
    /// `similarity index 100%`: a rename or copy without other changes.
    pub(super) identical: bool,
    /// The name that an `Index:` line gives; `patch` may use it.
    pub(super) index_name: Option<Vec<u8>>,
    pub(super) unread: Option<&'static str>,
    /// Which of git's header lines were there.
    pub(super) seen: u16,
}

/// What git's header lines begin with, but for the names.
const GIT_LINES: [&[u8]; 12] = [
    b"old mode ",
    b"new mode ",
    b"deleted file mode ",
    b"new file mode ",
    b"copy from ",
    b"copy to ",
    b"rename from ",
    b"rename to ",
    b"similarity index ",
    b"dissimilarity index ",
    b"index ",
    b"mode ",
];

/// Ids of the empty file, SHA-1 and SHA-256.
const EMPTY_FILE: [&[u8]; 2] = [
    b"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
    b"473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
];

impl Head {
    /// A merge, with a column for each parent.
    pub(super) fn is_merge(&self) -> bool {
        let line = self.git_line.as_deref().unwrap_or_default();
        line.starts_with(b"diff --cc ") || line.starts_with(b"diff --combined ")
    }

    /// A header line that says how the file changes.
    pub(super) fn changes(&mut self, change: Change) {
        if self.change.replace(change).is_some_and(|c| c != change) {
            self.unread
                .get_or_insert("its header says two kinds of change");
        }
    }

    /// True for a header line whose like was there already: tools choose differently between the two.
    pub(super) fn is_repeated(&mut self, line: &[u8]) -> bool {
        let kind = GIT_LINES.iter().position(|begin| line.starts_with(begin));
        kind.is_some_and(|kind| {
            let before = self.seen;
            self.seen |= 1 << kind;
            before == self.seen
        })
    }

    /// True unless the header alone says all that changes: a mode, a name, an empty file, binary content.
    fn needs_hunk(&self) -> bool {
        let zero = |id: &[u8]| !id.is_empty() && id.iter().all(|b| *b == b'0');
        let empty = |id: &[u8]| id.len() >= 4 && EMPTY_FILE.iter().any(|e| e.starts_with(id));
        if self.binary {
            return false;
        }
        match (&self.ids, self.change) {
            (Some((old, new)), _) if zero(old) && empty(new) => false,
            (Some((old, new)), _) if empty(old) && zero(new) => false,
            (Some(_), _) | (None, Some(Change::Added | Change::Deleted)) => true,
            (None, Some(Change::Renamed | Change::Copied)) => !self.identical,
            // A mode changes, and nothing else.
            (None, _) => self.modes.0.is_none() || self.modes.1.is_none(),
        }
    }

    pub(super) fn finish(self) -> FileHead {
        let needs_hunk = self.needs_hunk();
        let (old_name, new_name) = (
            self.old.as_deref().map(file_name),
            self.new.as_deref().map(file_name),
        );
        let prefixes = Prefixes::of(
            self.git_line.as_deref(),
            old_name.as_deref(),
            new_name.as_deref(),
        );
        let old_name = old_name.map(|n| prefixes.strip_old(n));
        let new_name = new_name.map(|n| prefixes.strip_new(n));
        // git ends a name that has blanks with a tab; without one, tools cut it differently.
        let blank_in = |raw: &Option<Vec<u8>>| {
            raw.as_deref().is_some_and(|raw| {
                raw.first() != Some(&b'"')
                    && !raw.contains(&b'\t')
                    && raw.iter().any(|b| b.is_ascii_whitespace() || *b == 0x0B)
            })
        };
        let blanks = blank_in(&self.old) || blank_in(&self.new);
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
        let moves = matches!(change, Change::Renamed | Change::Copied);
        // Tools choose differently among names that differ: which file is meant is then not known.
        let names_differ = match (real(old_name.clone()), real(new_name.clone())) {
            (Some(old), Some(new)) if !moves && old != new => {
                self.git_line.is_some() || !same_but_for_first_folder(&old, &new)
            }
            _ => false,
        };
        let to = self.to.as_deref().map(file_name);
        let from = self.from.as_deref().map(file_name);
        let other_name = |said: &Option<Vec<u8>>, shown: &Option<Vec<u8>>| match (said, shown) {
            (Some(said), Some(shown)) => said != shown,
            _ => false,
        };
        let moves_differ = other_name(&to, &new_name)
            || other_name(&from, &old_name)
            || to.is_some() != from.is_some();
        let named = to
            .or_else(|| real(new_name))
            .or_else(|| real(old_name.clone()))
            .or_else(|| from_line.clone());
        // A file whose name cannot be read is still a file of the change.
        let differs = |other: &Option<Vec<u8>>| match (other, &named) {
            (Some(other), Some(named)) => other != named,
            _ => false,
        };
        let git_differs = !moves && differs(&from_line);
        let index_differs = self
            .index_name
            .as_ref()
            .zip(named.as_ref())
            .is_some_and(|(index, named)| index != named && !named.ends_with(index));
        let unread = self
            .unread
            .or(named.is_none().then_some("its name cannot be read"))
            .or(
                (names_differ || git_differs || index_differs || moves_differ)
                    .then_some("its names differ"),
            )
            .or(blanks.then_some("a name with blanks and no tab after it"));
        let leaves = |name: &[u8]| {
            name.starts_with(b"/") || name.split(|b| *b == b'/').any(|part| part == b"..")
        };
        let unread = unread.or(named
            .as_deref()
            .is_some_and(leaves)
            .then_some("its path leaves the repository"));
        let path = named.unwrap_or_else(|| b"(unnamed)".to_vec());
        let old_path = from.or_else(|| real(old_name)).filter(|old| *old != path);
        FileHead {
            path: lossy(&path),
            old_path: old_path.as_deref().map(lossy),
            change,
            modes: self.modes,
            binary: self.binary,
            needs_hunk,
            unread,
        }
    }
}
