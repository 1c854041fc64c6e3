//! How a call at a provider came out, and what is counted of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How one attempt came out. Every attempt has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallOutcome {
    /// Answered by the first attempt.
    Answered,
    /// Answered after an earlier attempt of the same call had failed or was refused.
    Retried,
    /// The provider answered 429.
    RateLimited,
    /// Sent, and failed in any other way.
    Failed,
    /// Not sent: refused here by breaker, pool, limiter, budget or deadline.
    Refused,
}

impl CallOutcome {
    /// All of them, in the order in which charts stack them.
    pub const ALL: [Self; 5] = [
        Self::Answered,
        Self::Retried,
        Self::RateLimited,
        Self::Failed,
        Self::Refused,
    ];

    /// There is an answer.
    pub fn is_answered(self) -> bool {
        matches!(self, Self::Answered | Self::Retried)
    }
}

/// One attempt, measured.
#[derive(Debug, Clone, Copy)]
pub struct CallSample {
    /// How it came out.
    pub outcome: CallOutcome,
    /// Time that this attempt waited for the rate limit.
    pub limiter: Duration,
    /// Time that this attempt waited for a place in the pool.
    pub pool: Duration,
    /// Backoff before this attempt.
    pub backoff: Duration,
    /// Time inside the provider.
    pub upstream: Duration,
    /// The call so far, all of its attempts and waits together: what its caller sees.
    pub total: Duration,
    /// Of that, waits: backoff, rate limit, pool.
    pub waited: Duration,
    /// Tokens, input and output.
    pub tokens: u64,
    /// Their price, millionths of a dollar.
    pub micro_usd: u64,
}

/// Attempts by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct OutcomeCounts {
    /// Answered by the first attempt.
    pub answered: u64,
    /// Answered after an earlier attempt of the same call.
    pub retried: u64,
    /// 429 from the provider.
    pub rate_limited: u64,
    /// Sent and failed, 429 apart.
    pub failed: u64,
    /// Not sent: refused by breaker, pool, limiter, budget or deadline.
    pub refused: u64,
}

impl OutcomeCounts {
    /// How many have this outcome.
    pub fn of(&self, outcome: CallOutcome) -> u64 {
        match outcome {
            CallOutcome::Answered => self.answered,
            CallOutcome::Retried => self.retried,
            CallOutcome::RateLimited => self.rate_limited,
            CallOutcome::Failed => self.failed,
            CallOutcome::Refused => self.refused,
        }
    }

    /// Counts one.
    pub fn count(&mut self, outcome: CallOutcome) {
        *match outcome {
            CallOutcome::Answered => &mut self.answered,
            CallOutcome::Retried => &mut self.retried,
            CallOutcome::RateLimited => &mut self.rate_limited,
            CallOutcome::Failed => &mut self.failed,
            CallOutcome::Refused => &mut self.refused,
        } += 1;
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.answered += other.answered;
        self.retried += other.retried;
        self.rate_limited += other.rate_limited;
        self.failed += other.failed;
        self.refused += other.refused;
    }

    /// All attempts, refused ones too.
    pub fn sum(&self) -> u64 {
        CallOutcome::ALL.iter().map(|o| self.of(*o)).sum()
    }

    /// Attempts that were answered.
    pub fn answers(&self) -> u64 {
        self.answered + self.retried
    }

    /// Attempts that were sent.
    pub fn sent(&self) -> u64 {
        self.sum() - self.refused
    }

    /// Share of attempts without an answer, 0 to 1; `None`: there was no attempt.
    pub fn error_share(&self) -> Option<f64> {
        let sum = self.sum();
        (sum > 0).then(|| (sum - self.answers()) as f64 / sum as f64)
    }

    /// Share of sent attempts that the provider answered with 429, 0 to 1; `None`: nothing was sent.
    pub fn rate_limited_share(&self) -> Option<f64> {
        let sent = self.sent();
        (sent > 0).then(|| self.rate_limited as f64 / sent as f64)
    }
}

/// The value at a quantile of sorted values.
pub(super) fn quantile(sorted: &[u32], quantile: f64) -> Option<u32> {
    let last = sorted.len().checked_sub(1)?;
    let rank = (sorted.len() as f64 * quantile).ceil() as usize;
    sorted.get(rank.saturating_sub(1).min(last)).copied()
}

/// Whole milliseconds, at least one: nothing is done in no time.
pub(super) fn millis(took: Duration) -> u32 {
    u32::try_from(took.as_millis()).unwrap_or(u32::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_split_answers_from_what_was_not_answered() {
        let mut counts = OutcomeCounts::default();
        assert_eq!(
            (counts.error_share(), counts.rate_limited_share()),
            (None, None)
        );
        for outcome in CallOutcome::ALL {
            counts.count(outcome);
        }
        assert!(CallOutcome::ALL.iter().all(|o| counts.of(*o) == 1));
        assert_eq!((counts.sum(), counts.answers(), counts.sent()), (5, 2, 4));
        assert_eq!(counts.error_share(), Some(0.6));
        assert_eq!(counts.rate_limited_share(), Some(0.25));
    }

    #[test]
    fn quantile_is_the_nearest_rank() {
        let sorted: Vec<u32> = (1..=100).collect();
        assert_eq!(quantile(&sorted, 0.5), Some(50));
        assert_eq!(quantile(&sorted, 0.99), Some(99));
        assert_eq!(quantile(&[7], 0.99), Some(7));
        assert_eq!(quantile(&[], 0.5), None);
    }
}
