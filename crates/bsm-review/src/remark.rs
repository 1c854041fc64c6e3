//! What a check says about a line.

use bsm_base::text::Untrusted;

/// A check that says yes. Its words and its weight stand with the rules, in `crates/bsm-review/rules/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// `pack/id`.
    pub id: &'static str,
    /// What is particular about it.
    pub detail: Option<String>,
    /// The file, where it is about one.
    pub file: Option<Untrusted>,
    /// Its line in the new file, from 1.
    pub line: Option<u32>,
}

impl Noted {
    /// About the change as a whole.
    pub(crate) fn whole(id: &'static str, detail: impl Into<Option<String>>) -> Self {
        Self {
            id,
            detail: detail.into(),
            file: None,
            line: None,
        }
    }

    /// About one file.
    pub(crate) fn file(id: &'static str, file: &Untrusted) -> Self {
        Self {
            file: Some(file.clone()),
            ..Self::whole(id, None)
        }
    }
}
