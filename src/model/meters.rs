//! What calls took and did, counted.

use crate::model::request::Observer;
use crate::telemetry::latency::Latency;
use crate::telemetry::rate::Rate;
use std::sync::atomic::AtomicU64;

/// What calls took and did.
pub struct CallMeters {
    /// Time inside providers, an attempt each.
    pub call: Latency,
    /// Total minus the provider's, a question each.
    pub added: Latency,
    /// Until the first piece of an answer, an answered attempt each.
    pub first_token: Latency,
    /// Attempts sent.
    pub sent: Rate,
    /// Attempts that failed.
    pub failed: AtomicU64,
    /// Tokens read and written.
    pub tokens: AtomicU64,
    /// Money spent, millionths of a dollar.
    pub cost_micro_usd: AtomicU64,
    pub(crate) observer: std::sync::OnceLock<Observer>,
}
