//! GitHub as the engine uses it: webhooks in, changes fetched, publications out, approvals in between.

pub mod approvals;
pub mod change;
pub mod client;
pub mod credentials;
mod filters;
pub mod outbox;
pub mod publications;
pub mod publisher;
pub mod stats;
mod triage;
pub mod webhook;
