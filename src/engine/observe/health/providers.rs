//! Whether models can be asked.

use super::code::Code;
use super::finding::Findings;
use crate::engine::protocol::snapshot::Snapshot;
use crate::resilience::breaker::BreakerState;

pub(super) fn judge(snapshot: &Snapshot, found: &mut Findings) {
    // The worst first: a header has room for one.
    for (state, code, word) in [
        (BreakerState::Open, Code::BreakerOpen, "open"),
        (BreakerState::Isolated, Code::BreakerIsolated, "isolated"),
        (
            BreakerState::HalfOpen,
            Code::BreakerRecovering,
            "recovering",
        ),
    ] {
        for breaker in snapshot.breakers.iter().filter(|b| b.state == state) {
            found.warn(code, format!("{} {word}", breaker.name));
        }
    }
    for provider in &snapshot.providers {
        let keys = &provider.keys;
        if !keys.is_empty() && keys.iter().all(|k| k.refused.is_some()) {
            found.warn(
                Code::KeysRefused,
                format!("{}: every key was refused", provider.name),
            );
        }
    }
}
