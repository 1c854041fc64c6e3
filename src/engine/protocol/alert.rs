//! Alerts as every face shows them: a condition that holds until it is over, or something that happened once.

use serde::{Deserialize, Serialize};

use crate::filter::{Row, lowered};

/// Something that needs a look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Alert {
    /// Names it in this life of the engine: `alr_k3f9qa`. Empty in snapshots that an older version recorded.
    #[serde(default)]
    pub id: String,
    /// What kind of thing, in kebab case: `breaker-open`, `pool-full`; `event`: something that happened once.
    #[serde(default)]
    pub code: String,
    /// Raised, wall time in milliseconds; where it came back, the last time.
    pub at_ms: i64,
    /// First raised, wall time in milliseconds.
    #[serde(default)]
    pub first_ms: i64,
    /// Its text, or its state, changed last: wall time in milliseconds.
    #[serde(default)]
    pub changed_ms: i64,
    /// Over since, wall time in milliseconds; `None`: it still holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved_ms: Option<i64>,
    /// Somebody has seen it, wall time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_ms: Option<i64>,
    /// Who.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged_by: Option<String>,
    /// It is bad; else news.
    pub bad: bool,
    /// A sentence, harmless: as it is now, or as it was when it was over.
    pub text: String,
    /// The page that says what to do, by its name; see `protocol::runbook`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
    /// It tells of a drill, not of this engine.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub drill: bool,
    /// How often it was raised.
    #[serde(default)]
    pub count: u32,
}

impl Alert {
    /// It is bad and still holds.
    pub fn is_active(&self) -> bool {
        self.bad && self.resolved_ms.is_none()
    }

    /// It is active, and nobody has acknowledged it.
    pub fn needs_a_look(&self) -> bool {
        self.is_active() && self.acknowledged_ms.is_none()
    }
}

impl Alert {
    /// How it stands: `active`, `seen`, `resolved`, `news`, or `drill` for what is not of this engine.
    pub fn state(&self) -> &'static str {
        match self {
            a if a.drill => "drill",
            a if a.needs_a_look() => "active",
            a if a.is_active() => "seen",
            a if a.bad => "resolved",
            _ => "news",
        }
    }
}

impl Row for Alert {
    fn field(&self, key: &str) -> Vec<String> {
        match key {
            "state" => vec![self.state().to_owned()],
            "code" => vec![lowered(&self.code)],
            "text" => vec![lowered(&self.text)],
            "runbook" => self.runbook.iter().map(|r| lowered(r)).collect(),
            "by" => self.acknowledged_by.iter().map(|b| lowered(b)).collect(),
            _ => Vec::new(),
        }
    }

    fn number(&self, key: &str) -> Option<u64> {
        (key == "count").then_some(u64::from(self.count))
    }

    fn shows(&self, word: &str) -> bool {
        lowered(&self.text).contains(word)
            || lowered(&self.code).contains(word)
            || self.state().contains(word)
    }
}
