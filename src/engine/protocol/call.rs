//! One attempt at a provider, as an operator looks for it: when, for whom, how it went.

use serde::{Deserialize, Serialize};

use crate::filter::{Row, lowered};
use crate::model::Tokens;

/// An attempt, or a refusal before it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallView {
    /// When it began, wall time in milliseconds.
    pub at_ms: i64,
    /// The provider.
    pub provider: String,
    /// The model asked for.
    pub model: String,
    /// `ok`, an error's class, or a refusal's reason.
    pub outcome: String,
    /// True when it was sent.
    pub sent: bool,
    /// Milliseconds inside the provider.
    pub upstream_ms: u64,
    /// Milliseconds of waiting: backoff, rate limit, pool.
    pub waited_ms: u64,
    /// 0: the model that was wanted; above: a fallback.
    pub target: usize,
    /// Its run.
    pub run: String,
    /// Its agent.
    pub agent: String,
    /// Its correlation id.
    pub correlation: String,
    /// Tokens it used.
    #[serde(default)]
    pub tokens: Tokens,
    /// Their price, millionths of a dollar.
    #[serde(default)]
    pub micro_usd: u64,
}

impl CallView {
    /// True unless it was answered.
    pub fn failed(&self) -> bool {
        self.outcome != "ok"
    }
}

impl Row for CallView {
    fn field(&self, key: &str) -> Vec<String> {
        match key {
            "provider" => vec![lowered(&self.provider)],
            "model" => vec![lowered(&self.model)],
            "outcome" => vec![lowered(&self.outcome)],
            "run" => vec![lowered(&self.run)],
            "agent" => vec![lowered(&self.agent)],
            "corr" => vec![lowered(&self.correlation)],
            _ => Vec::new(),
        }
    }

    fn number(&self, key: &str) -> Option<u64> {
        match key {
            "took" => Some(self.upstream_ms),
            "waited" => Some(self.waited_ms),
            "tokens" => Some(self.tokens.sum()),
            _ => None,
        }
    }

    fn shows(&self, word: &str) -> bool {
        ["provider", "model", "outcome", "run", "agent"]
            .iter()
            .any(|key| self.field(key).iter().any(|f| f.contains(word)))
    }
}
