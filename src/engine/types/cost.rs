//! What models cost: by day, provider, model and agent.

use serde::{Deserialize, Serialize};

use crate::journal::SpendRow;

/// One line of the sums.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CostLine {
    /// The day, UTC, as `2026-11-21`.
    pub day: String,
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// The agent; empty for callers that are none.
    pub agent: String,
    /// Calls that used something.
    pub calls: u64,
    /// Tokens read.
    pub prompt_tokens: u64,
    /// Tokens written.
    pub completion_tokens: u64,
    /// Millionths of a dollar.
    pub micro_usd: u64,
}

impl From<SpendRow> for CostLine {
    fn from(row: SpendRow) -> Self {
        Self {
            day: row.day,
            provider: row.provider,
            model: row.model,
            agent: row.agent,
            calls: row.calls,
            prompt_tokens: row.prompt,
            completion_tokens: row.completion,
            micro_usd: row.micro_usd,
        }
    }
}

/// What models cost, and what they may.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Costs {
    /// Spent today (UTC), millionths of a dollar.
    pub today_micro_usd: u64,
    /// Set aside for calls under way, millionths of a dollar.
    pub reserved_micro_usd: u64,
    /// A run may spend so much, US dollars; 0: no bound.
    pub run_budget_usd: f64,
    /// All of a day (UTC) may spend so much, US dollars; 0: no bound.
    pub day_budget_usd: f64,
    /// The sums, by day, the dearest of each first.
    pub lines: Vec<CostLine>,
}

/// By what lines are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CostBy {
    /// The day.
    Day,
    /// The provider.
    Provider,
    /// The model.
    Model,
    /// The agent.
    Agent,
}

/// Lines added up by one of their fields, the dearest first; days in their order.
pub fn sums(lines: &[CostLine], by: CostBy) -> Vec<(String, CostLine)> {
    let mut all: Vec<(String, CostLine)> = Vec::new();
    for line in lines {
        let key = match by {
            CostBy::Day => &line.day,
            CostBy::Provider => &line.provider,
            CostBy::Model => &line.model,
            CostBy::Agent => &line.agent,
        };
        let place = all.iter().position(|(k, _)| k == key).unwrap_or_else(|| {
            all.push((key.clone(), CostLine::default()));
            all.len() - 1
        });
        let sum = &mut all[place].1;
        sum.calls += line.calls;
        sum.prompt_tokens += line.prompt_tokens;
        sum.completion_tokens += line.completion_tokens;
        sum.micro_usd += line.micro_usd;
    }
    if by == CostBy::Day {
        all.sort_by(|a, b| b.0.cmp(&a.0));
    } else {
        all.sort_by(|a, b| {
            b.1.micro_usd
                .cmp(&a.1.micro_usd)
                .then_with(|| a.0.cmp(&b.0))
        });
    }
    all
}
