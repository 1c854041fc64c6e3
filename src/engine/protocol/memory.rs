//! What is remembered, as the faces see it.

use serde::{Deserialize, Serialize};

use crate::text::Untrusted;

/// An item to remember, as it is imported and exported: one JSON object a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryItem {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: MemoryKind,
    /// Its id; made where it is absent, and the same one replaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What it is found by: its first 1,000 characters count.
    pub code: Untrusted,
    /// What was said of it.
    #[serde(default)]
    pub review: Untrusted,
    /// Anything else, an object.
    #[serde(default)]
    pub metadata: serde_json::Value,
    /// RFC 3339, or wall time in milliseconds; now where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<serde_json::Value>,
}

/// An item that is like what was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SimilarHit {
    /// Its id.
    pub id: String,
    /// `overlap / union`, 0 to 1.
    pub score: f64,
    /// Words that both have.
    pub overlap: u32,
    /// Words that either has.
    pub union: u32,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: MemoryKind,
    /// What it was found by.
    pub code: Untrusted,
    /// What was said of it.
    pub review: Untrusted,
    /// Agent, event, repository, rules.
    pub metadata: serde_json::Value,
    /// Wall time, milliseconds.
    pub created_at: i64,
    /// Its run.
    pub run_id: Option<String>,
}

/// What is like a text, best first.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Similar {
    /// The items.
    pub hits: Vec<SimilarHit>,
    /// Items that were looked at.
    pub total: u64,
    /// How long the index took, microseconds.
    pub took_us: u64,
    /// All items are in the index; else it still fills.
    pub ready: bool,
}

/// A group of decisions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PatternGroup {
    /// agent, rule, repository or week.
    pub by: String,
    /// Which one.
    pub name: String,
    /// Decisions.
    pub total: u64,
    /// Of those, rejections.
    pub rejections: u64,
}

/// Why changes are rejected.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Patterns {
    /// Decisions.
    pub total: u64,
    /// Of those, `block_pr` and `request_changes`.
    pub rejections: u64,
    /// `rejections / total`, 0 to 1; 0 without decisions.
    pub rate: f64,
    /// The reasons, most common first.
    pub reasons: Vec<(Untrusted, u64)>,
    /// By agent, rule, repository and week, most rejections first.
    pub groups: Vec<PatternGroup>,
}

/// How much is remembered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryStats {
    /// Reviews.
    pub reviews: u64,
    /// Decisions.
    pub decisions: u64,
    /// Bytes of their texts.
    pub text_bytes: u64,
    /// Items in the index.
    pub indexed: u64,
    /// Bytes of the index.
    pub index_bytes: u64,
    /// All items are in the index.
    pub ready: bool,
}

/// What kind of thing is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MemoryKind {
    /// An agent's review of a change.
    CodeReview,
    /// A run's decision.
    OrchestrationDecision,
}

impl MemoryKind {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CodeReview => "code_review",
            Self::OrchestrationDecision => "orchestration_decision",
        }
    }
}
