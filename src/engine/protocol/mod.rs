//! What crosses the seam: commands in, snapshots and events out, answers to queries. All serde, all
//! versioned, so that a face may stand in another process.

pub mod alert;
pub mod blob;
pub mod call;
pub mod command;
pub mod correlation;
pub mod cost;
pub mod decision_stats;
pub mod event;
pub mod forward;
pub mod github;
pub mod health;
pub mod history;
pub mod identity;
pub mod impact;
mod impact_sentence;
pub mod memory;
pub mod phase;
pub mod provider_row;
pub mod query;
pub mod retention;
pub mod run;
pub mod run_summary;
pub mod runbook;
pub mod snapshot;
pub mod storage;
pub mod why;
