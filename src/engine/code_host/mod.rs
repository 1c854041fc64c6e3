//! GitHub as the engine uses it: webhooks in, changes fetched, publications out, approvals in between.

pub mod approvals;
pub mod change;
pub mod client;
mod comment;
pub mod comments;
pub mod credentials;
mod desired;
mod difference;
pub mod dismissals;
mod filters;
pub mod journal_store;
pub mod once;
mod pass;
mod pass_unread;
mod pass_write;
mod published;
pub mod publisher;
mod pull_store;
pub mod reconciler;
mod retries;
pub mod setup_checks;
pub mod setup_watch;
pub mod standing;
pub mod stats;
mod triage;
mod unasked_host;
pub mod webhook;

#[cfg(test)]
mod memory_host;
#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod test_decisions;
