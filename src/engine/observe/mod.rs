//! What the engine shows of itself: the snapshot, its health, alerts from figures, the recording, and why
//! something is as it is.

pub mod explain;
pub mod health;
pub mod health_facts;
pub mod impact;
pub mod journal_check;
pub mod provider_rows;
pub mod recorder;
pub mod snapshot;
pub mod watchdog;
