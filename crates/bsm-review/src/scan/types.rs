//! What a scan is given, keeps and returns.

use crate::inline_suppressions::Ignores;
use crate::languages::Language;
use bsm_base::text::Untrusted;

/// What is known of the file whose hunk is looked at.
pub(crate) struct ScannedFile {
    /// Its path, for the rules that ask for one.
    pub(crate) raw: String,
    /// Its path, redacted.
    pub(crate) shown: Untrusted,
    /// The language that its name tells.
    pub(crate) language: Option<Language>,
    pub(crate) generated: bool,
    pub(crate) new: bool,
    pub(crate) ignores: Ignores,
}
