//! The baseline: findings that the operator knows of and does not want to hear again.
//!
//! Why by what matched and not by line: lines move. An entry holds a hash over the rule, the file and what
//! matched, salted with the file's own salt, so that neither a secret nor its bare hash stands in it. Another
//! secret in the same place is a new finding, and so is one more of what is known.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::finding::Finding;
use bsm_base::hex;

/// Its place beneath the workspace.
pub const FILE: &str = ".bsmbaseline.json";

/// One known finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Known {
    /// `pack/rule`.
    pub rule: String,
    /// The file, for people.
    pub file: String,
    /// Where it stood when this was written, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Salted hash of rule, file and what matched (of no secret: the whole line): 32 hex digits.
    pub hash: String,
    /// How many of them.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub count: u32,
    /// Why it may stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

fn one() -> u32 {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if wants a reference"
)]
fn is_one(count: &u32) -> bool {
    *count == 1
}

/// A baseline as it stands in its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Baseline {
    version: u32,
    salt: String,
    findings: Vec<Known>,
    #[serde(skip)]
    by_hash: HashMap<String, usize>,
}

impl Baseline {
    /// An empty one with a salt of its own.
    pub fn new() -> Self {
        let salt: [u8; 16] = std::array::from_fn(|_| fastrand::u8(..));
        Self {
            version: 1,
            salt: hex(&salt),
            findings: Vec::new(),
            by_hash: HashMap::new(),
        }
    }

    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, with line and column.
    pub fn read(text: &str) -> Result<Self, String> {
        let mut read: Self = serde_json::from_str(text).map_err(|e| e.to_string())?;
        if read.version != 1 {
            return Err(format!("version {} is not known (want 1)", read.version));
        }
        read.by_hash = read
            .findings
            .iter()
            .enumerate()
            .map(|(index, known)| (known.hash.clone(), index))
            .collect();
        Ok(read)
    }

    /// The entry that knows a finding, and which it is.
    pub(super) fn knows(&self, finding: &Finding, matched: &[u8]) -> Option<(usize, &Known)> {
        let index = *self.by_hash.get(&self.hash(finding, matched))?;
        Some((index, &self.findings[index]))
    }

    /// Takes a finding in.
    pub fn add(&mut self, finding: &Finding, matched: &[u8]) {
        let hash = self.hash(finding, matched);
        if let Some(index) = self.by_hash.get(&hash) {
            self.findings[*index].count += 1;
            return;
        }
        self.by_hash.insert(hash.clone(), self.findings.len());
        self.findings.push(Known {
            rule: finding.rule.clone(),
            file: finding
                .file
                .as_ref()
                .map_or_else(String::new, |f| f.raw().to_owned()),
            line: finding.line,
            hash,
            count: 1,
            reason: None,
        });
    }

    /// Its entries.
    pub fn findings(&self) -> &[Known] {
        &self.findings
    }

    fn hash(&self, finding: &Finding, matched: &[u8]) -> String {
        let file = finding.file.as_ref().map_or("", |f| f.raw());
        let mut hash = Sha256::new();
        for part in [
            self.salt.as_bytes(),
            finding.rule.as_bytes(),
            file.as_bytes(),
            matched,
        ] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hex(&hash.finalize()[..16])
    }
}

impl Default for Baseline {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Severity;
    use super::*;
    use bsm_base::text::Untrusted;

    #[test]
    fn it_knows_what_it_was_told_and_nothing_else() {
        let place = |file: &str| {
            Finding::about_file("secrets/x", Severity::High, &Untrusted::from(file), "m")
        };
        let mut one = Baseline::new();
        one.add(&place("a"), b"secret one");
        one.add(&place("a"), b"secret one");
        let text = serde_json::to_string(&one).unwrap();
        assert!(!text.contains("secret one"));
        let read = Baseline::read(&text).unwrap();
        assert_eq!((read.findings().len(), read.findings()[0].count), (1, 2));
        assert!(read.knows(&place("a"), b"secret one").is_some());
        assert!(read.knows(&place("a"), b"secret two").is_none());
        assert!(read.knows(&place("b"), b"secret one").is_none());
        assert!(Baseline::read("{\"version\": 2, \"salt\": \"\", \"findings\": []}").is_err());
        assert!(Baseline::read("[").unwrap_err().contains("line 1"));
    }
}
