//! What models cost: by day, provider, model and agent.

use serde::{Deserialize, Serialize};

use crate::model::spend::Line;

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
    pub lines: Vec<Line>,
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
pub fn sums(lines: &[Line], by: CostBy) -> Vec<(String, Line)> {
    let mut all: Vec<(String, Line)> = Vec::new();
    for line in lines {
        let key = match by {
            CostBy::Day => &line.day,
            CostBy::Provider => &line.provider,
            CostBy::Model => &line.model,
            CostBy::Agent => &line.agent,
        };
        let place = all.iter().position(|(k, _)| k == key).unwrap_or_else(|| {
            all.push((key.clone(), Line::default()));
            all.len() - 1
        });
        all[place].1.add(line);
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
