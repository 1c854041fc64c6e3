//! GitHub as the engine uses it: webhooks in, changes fetched, publications out, approvals in between.

pub mod approvals;
pub mod change;
pub mod client;
mod comment;
mod desired;
mod difference;
mod journal_store;
mod pass;
mod published;
pub mod publisher;
pub mod reconciler;
pub mod stats;
mod unasked_host;
pub mod webhook;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod test_decisions;
