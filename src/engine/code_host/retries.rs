//! What follows from an error of the host: whether it is tried again, and when.

use crate::code_host::HostError;
use crate::engine::code_host::difference::Change;
use crate::engine::code_host::published::digest;

/// The first pause after a failure, milliseconds; it doubles.
pub(super) const FIRST_MS: i64 = 5_000;
/// The longest, milliseconds.
pub const LONGEST_MS: i64 = 3_600_000;
/// Tries before a publication is dead-lettered: about two days. A withdrawal never is.
pub(super) const TRIES: u32 = 50;
/// Where nothing may be sent now (safe mode), the time until the next look, milliseconds.
const CLOSED_MS: i64 = 60_000;

/// By what a change is known from pass to pass.
pub(super) fn digest_of(change: &Change) -> String {
    digest(&serde_json::to_string(&change.publication).unwrap_or_default())
}

/// An error after which nothing else is sent either: milliseconds until the next try.
pub(super) fn stops(error: &HostError) -> Option<i64> {
    match error {
        HostError::Limited { after_s, .. } => {
            Some(after_s.saturating_mul(1_000).cast_signed().min(LONGEST_MS))
        }
        HostError::NotAsked(_) => Some(CLOSED_MS),
        _ => None,
    }
}

/// The token may be renewed, or given the right that it lacks.
pub(super) fn is_refusal(error: &HostError) -> bool {
    matches!(
        error,
        HostError::Refused {
            status: 401 | 403 | 404,
            ..
        }
    )
}

pub(super) fn may_go_well(error: &HostError) -> bool {
    error.is_passing() || is_refusal(error)
}

pub(super) fn backoff_ms(attempts: u32) -> i64 {
    (FIRST_MS << attempts.saturating_sub(1).min(20)).min(LONGEST_MS)
}
