//! Decisions of the last hour, and what waits for a person.

use serde::{Deserialize, Serialize};

use crate::telemetry::availability::OutcomeStats;

/// Decisions of one minute, or of the hour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DecisionSums {
    /// `approve_and_merge` and `pass`.
    pub approved: u64,
    /// `request_changes` and `block_pr`.
    pub negative: u64,
    /// `manual_review`: undecided, or a rule wants a person.
    pub manual: u64,
}

impl DecisionSums {
    /// All of them.
    pub fn sum(&self) -> u64 {
        self.approved + self.negative + self.manual
    }
}

/// Decisions of the last hour. Runs that a person cancelled, and those with nothing to review, do not count.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct DecisionStats {
    /// The hour's sums.
    pub hour: DecisionSums,
    /// Share of the hour's runs that ended with full evidence, percent, two decimals; `None`: no run.
    pub full_percent: Option<f64>,
    /// A minute each, the newest last and still running, from the first minute with a decision on:
    /// `[approved, negative, manual]`. At most 60; empty after an hour without decisions.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub minutes: Vec<[u32; 3]>,
    /// How the runs of the last 15 minutes came out.
    pub recent: OutcomeStats,
    /// What waits for a person.
    pub waiting: WaitingForPerson,
    /// When the newest run ended, wall time in milliseconds; of the journal too.
    pub last_run_ms: Option<i64>,
    /// Runs that were not accepted in the last 15 minutes: the queue was full, or they could not be kept.
    pub refused: u64,
}

/// What waits for a person: approvals that are not decided, and the hour's runs that ended in `manual_review`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct WaitingForPerson {
    /// Approvals that wait.
    pub approvals: u32,
    /// Runs of the last hour that ended in `manual_review`.
    pub manual: u32,
    /// Since when the oldest of both waits, wall time in milliseconds.
    pub oldest_ms: Option<i64>,
}

impl WaitingForPerson {
    /// Both together.
    pub fn count(&self) -> u32 {
        self.approvals + self.manual
    }
}
