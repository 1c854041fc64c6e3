//! What is open on a screen, each with the data that was read for it last. Apart from `state.rs`, which only
//! holds them.

use crate::drill::Drilled;
use crate::engine::protocol::call::CallView;
use crate::engine::protocol::cost::{CostBy, Costs};
use crate::engine::protocol::history::Trends;
use crate::engine::protocol::memory::{MemoryStats, Patterns, Similar};
use crate::engine::protocol::run::RunResult;

/// A run that is open.
#[derive(Debug, Clone)]
pub struct OpenRun {
    /// Its id.
    pub id: String,
    /// As last read.
    pub run: Option<Box<RunResult>>,
    /// Its report, when that is shown.
    pub report: Option<String>,
    /// The report is shown.
    pub showing_report: bool,
    /// First line shown.
    pub scroll: u16,
}

/// The calls to a provider, opened.
#[derive(Debug, Clone)]
pub struct OpenCalls {
    /// The provider; none: all of them.
    pub provider: Option<String>,
    /// As last read, newest first.
    pub list: Option<Vec<CallView>>,
    /// The selected one.
    pub selected: usize,
}

/// Charts over time, opened.
#[derive(Debug, Clone)]
pub struct OpenTrends {
    /// Their span, milliseconds.
    pub span_ms: i64,
    /// Their end, wall time in milliseconds; `None`: now.
    pub to_ms: Option<i64>,
    /// As last read.
    pub data: Option<Box<Trends>>,
    /// When they were asked for.
    pub asked_ms: i64,
}

/// A drill, as far as it has come.
#[derive(Debug, Clone)]
pub struct DrillView {
    /// Its name.
    pub name: String,
    /// What happened.
    pub lines: Vec<String>,
    /// How it ended: what was measured, or why it could not be carried out. `None`: it runs.
    pub ended: Option<Result<Box<Drilled>, String>>,
}

/// What models cost, opened.
#[derive(Debug, Clone, Default)]
pub struct OpenCosts {
    /// As last read.
    pub costs: Option<Box<Costs>>,
    /// Which way they are added up.
    pub way: usize,
    /// The row in the middle.
    pub scroll: u16,
}

impl OpenCosts {
    /// Days that are read.
    pub const DAYS: u32 = 30;
    const WAYS: [(CostBy, &'static str); 4] = [
        (CostBy::Model, "model"),
        (CostBy::Agent, "agent"),
        (CostBy::Provider, "provider"),
        (CostBy::Day, "day"),
    ];

    /// By what they are added up.
    pub fn by(&self) -> CostBy {
        Self::WAYS[self.way % Self::WAYS.len()].0
    }

    /// The same, in a word.
    pub fn as_str(&self) -> &'static str {
        Self::WAYS[self.way % Self::WAYS.len()].1
    }
}

/// What is remembered, as last asked.
#[derive(Debug, Clone, Default)]
pub struct MemoryView {
    /// What is like the text.
    pub similar: Option<Box<Similar>>,
    /// Why changes are rejected.
    pub patterns: Option<Box<Patterns>>,
    /// How much there is.
    pub stats: Option<MemoryStats>,
}
