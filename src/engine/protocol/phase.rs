//! What an agent of a run at work waits for, and since when; kept as spans for the waterfall of an ended run.

use serde::{Deserialize, Serialize};

pub use crate::model::phase::PhaseKind;

/// One span of an agent's time with a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Phase {
    /// What it did.
    pub kind: PhaseKind,
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// Which attempt at this model, 1 first. While it waits to retry: the one that comes.
    pub attempt: u32,
    /// At most so many attempts at this model.
    pub of: u32,
    /// Why this is not the first attempt at the first model: the provider and what it said last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// It began, wall time in milliseconds.
    pub started_ms: i64,
    /// It ended, wall time in milliseconds; `None`: it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_ms: Option<i64>,
    /// Tokens of the answer that came in it, estimated.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub tokens: u32,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde's skip_serializing_if wants a reference"
)]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Phase {
    /// Milliseconds it lasted, or has lasted at `now_ms` (wall time).
    pub fn lasted_ms(&self, now_ms: i64) -> u64 {
        let end = self.ended_ms.unwrap_or(now_ms);
        u64::try_from(end - self.started_ms).unwrap_or(0)
    }

    /// Tokens a second of an answer that comes or came; `None` in the first quarter of a second, which says
    /// nothing.
    pub fn tokens_per_s(&self, now_ms: i64) -> Option<f64> {
        let lasted = self.lasted_ms(now_ms);
        let known = self.kind == PhaseKind::Streaming && lasted >= 250;
        known.then(|| f64::from(self.tokens) * 1_000.0 / lasted as f64)
    }

    /// In words: `queued for openai 21 s`, `openai http_503, attempt 2 of 3`.
    pub fn sentence(&self, now_ms: i64) -> String {
        let (provider, age) = (&self.provider, span(self.lasted_ms(now_ms)));
        match self.kind {
            PhaseKind::Queued => format!("queued for {provider} {age}"),
            PhaseKind::RateLimited => format!("rate limit of {provider} {age}"),
            PhaseKind::Waiting => match &self.reason {
                Some(reason) => format!("waits for {provider} {age} after {reason}"),
                None => format!("waits for {provider} {age}"),
            },
            PhaseKind::Streaming => {
                let speed = self.tokens_per_s(now_ms);
                let speed = speed.map_or_else(String::new, |s| format!(", {s:.0}/s"));
                format!("{provider} answers: {} tokens{speed}", self.tokens)
            }
            PhaseKind::Retrying => {
                let reason = self.reason.as_deref().unwrap_or(provider);
                format!("{reason}, attempt {} of {}", self.attempt, self.of)
            }
        }
    }

    /// How much it keeps a run from its end: of several agents the one that waits most for what should not be.
    pub fn urgency(&self) -> u8 {
        match self.kind {
            PhaseKind::Retrying => 4,
            PhaseKind::RateLimited => 3,
            PhaseKind::Queued => 2,
            PhaseKind::Waiting => 1,
            PhaseKind::Streaming => 0,
        }
    }
}

/// Milliseconds in words with one unit: `0.4 s`, `21 s`, `3 min`, `2 h`, `5 d`.
pub fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{}.{} s", ms / 1_000, ms / 100 % 10),
        1_000..120_000 => format!("{} s", ms / 1_000),
        120_000..7_200_000 => format!("{} min", ms / 60_000),
        7_200_000..172_800_000 => format!("{} h", ms / 3_600_000),
        _ => format!("{} d", ms / 86_400_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phase(kind: PhaseKind) -> Phase {
        Phase {
            kind,
            provider: "openai".into(),
            model: "gpt".into(),
            attempt: 2,
            of: 3,
            reason: Some("openai http_503".into()),
            started_ms: 1_000,
            ended_ms: None,
            tokens: 70,
        }
    }

    #[test]
    fn phase_says_what_it_waits_for_and_how_long() {
        let said = |kind, now| phase(kind).sentence(now);
        assert_eq!(said(PhaseKind::Queued, 22_000), "queued for openai 21 s");
        assert_eq!(
            said(PhaseKind::RateLimited, 1_400),
            "rate limit of openai 0.4 s"
        );
        assert_eq!(
            said(PhaseKind::Waiting, 3_000),
            "waits for openai 2 s after openai http_503"
        );
        assert_eq!(
            said(PhaseKind::Streaming, 3_000),
            "openai answers: 70 tokens, 35/s"
        );
        assert_eq!(
            said(PhaseKind::Streaming, 1_100),
            "openai answers: 70 tokens",
            "a tenth of a second says nothing about the speed"
        );
        assert_eq!(
            said(PhaseKind::Retrying, 1_000),
            "openai http_503, attempt 2 of 3"
        );
    }

    #[test]
    fn span_keeps_one_unit() {
        let spans = [
            0,
            999,
            1_000,
            119_999,
            120_000,
            7_199_999,
            7_200_000,
            172_800_000,
        ];
        let words = spans.map(span);
        assert_eq!(
            words,
            [
                "0.0 s", "0.9 s", "1 s", "119 s", "2 min", "119 min", "2 h", "2 d"
            ]
        );
    }
}
