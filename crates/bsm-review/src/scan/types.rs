//! What a scan is given, keeps and returns.

use std::collections::HashMap;

use crate::finding::Finding;
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

/// Findings of one rule that are kept until the file's end.
pub(super) const MOST: usize = 20;

/// Matches on a file's removed lines, by rule.
#[derive(Debug, Default)]
pub(crate) struct RemovedMatches {
    pub(super) by_rule: HashMap<usize, Matches>,
}

/// Matches of one rule.
#[derive(Debug, Default)]
pub(super) struct Matches {
    pub(super) removed: usize,
    pub(super) added: usize,
    pub(super) findings: Vec<Finding>,
}

impl RemovedMatches {
    /// What is gone at the file's end: of each rule as many as were not added again.
    pub(crate) fn taken(&mut self) -> Vec<Finding> {
        let mut all: Vec<(usize, Matches)> = self.by_rule.drain().collect();
        all.sort_by_key(|(rule, _)| *rule);
        all.into_iter()
            .flat_map(|(_, of)| {
                let gone = of.removed.saturating_sub(of.added);
                of.findings.into_iter().take(gone)
            })
            .collect()
    }
}
