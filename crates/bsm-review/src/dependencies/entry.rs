//! One dependency, as a manifest or a lock file names it.

/// One dependency as one side of a hunk shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    /// Where it comes from, as it is written.
    pub(crate) source: Option<String>,
    pub(crate) checksum: Option<String>,
    /// It runs code when it is installed.
    pub(crate) installs: bool,
    /// Its line in the file, from 1.
    pub(crate) line: u32,
    /// Some of it stands only on this side.
    pub(crate) touched: bool,
    /// It goes by another name than its package's.
    pub(crate) alias: bool,
    /// A file of a package: only its checksum and its place say something.
    pub(crate) part: bool,
}
