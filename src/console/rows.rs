//! What each list's rows offer to the filter.

use super::filter::Row;
use crate::engine::types::call::CallView;
use crate::engine::types::snapshot::RunBrief;
use crate::telemetry::log_read::LogLine;
use crate::workspace::agent::Agent;

fn low(text: &str) -> String {
    text.to_lowercase()
}

impl Row for RunBrief {
    fn field(&self, key: &str) -> Vec<String> {
        let state = || low(&format!("{:?}", self.state));
        match key {
            "id" | "run" => vec![low(&self.id)],
            "state" => vec![state()],
            "event" => vec![low(self.event.raw())],
            "action" | "decision" => self
                .action
                .map(|a| a.word().to_owned())
                .into_iter()
                .collect(),
            "agent" => self.steps.iter().map(|s| low(&s.agent)).collect(),
            "status" => self
                .steps
                .iter()
                .map(|s| s.status.word().to_owned())
                .collect(),
            "evidence" => self
                .evidence
                .map(|e| e.word().to_owned())
                .into_iter()
                .collect(),
            "title" => self.title.iter().map(|t| low(t.raw())).collect(),
            "reason" => self.reason.iter().map(|r| low(r.raw())).collect(),
            _ => Vec::new(),
        }
    }

    fn number(&self, key: &str) -> Option<u64> {
        match key {
            "took" => self.duration_ms,
            "rule" => self.rule.map(u64::from),
            "agents" => Some(self.steps.len() as u64),
            _ => None,
        }
    }

    fn shows(&self, word: &str) -> bool {
        ["id", "event", "action", "agent", "title", "reason", "state"]
            .iter()
            .any(|key| self.field(key).iter().any(|f| f.contains(word)))
    }
}

impl Row for &Agent {
    fn field(&self, key: &str) -> Vec<String> {
        match key {
            "id" | "agent" => vec![low(&self.id)],
            "risk" => vec![low(&self.risk.level)],
            "mode" | "context" => self.contexts.allowed.iter().map(|c| low(c)).collect(),
            _ => Vec::new(),
        }
    }

    fn number(&self, _: &str) -> Option<u64> {
        None
    }

    fn shows(&self, word: &str) -> bool {
        ["id", "risk", "mode"]
            .iter()
            .any(|key| self.field(key).iter().any(|f| f.contains(word)))
    }
}

impl Row for LogLine {
    fn field(&self, key: &str) -> Vec<String> {
        match key {
            "level" => vec![low(&self.level)],
            "run" => self.run.iter().map(|r| low(r)).collect(),
            "corr" => self.correlation.iter().map(|c| low(c)).collect(),
            "text" | "message" => vec![low(self.message.raw())],
            // Any other field, as it stands in the line: `agent=security-agent`.
            key => low(self.fields.raw())
                .split_whitespace()
                .filter_map(|pair| pair.strip_prefix(key)?.strip_prefix('=').map(str::to_owned))
                .collect(),
        }
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.field(key).first()?.parse().ok()
    }

    fn shows(&self, word: &str) -> bool {
        let has = |text: &str| low(text).contains(word);
        has(self.message.raw())
            || has(self.fields.raw())
            || has(&self.level)
            || self.run.as_deref().is_some_and(has)
    }
}

impl Row for CallView {
    fn field(&self, key: &str) -> Vec<String> {
        match key {
            "provider" => vec![low(&self.provider)],
            "model" => vec![low(&self.model)],
            "outcome" => vec![low(&self.outcome)],
            "run" => vec![low(&self.run)],
            "agent" => vec![low(&self.agent)],
            "corr" => vec![low(&self.correlation)],
            _ => Vec::new(),
        }
    }

    fn number(&self, key: &str) -> Option<u64> {
        match key {
            "took" => Some(self.upstream_ms),
            "waited" => Some(self.waited_ms),
            _ => None,
        }
    }

    fn shows(&self, word: &str) -> bool {
        ["provider", "model", "outcome", "run", "agent"]
            .iter()
            .any(|key| self.field(key).iter().any(|f| f.contains(word)))
    }
}
