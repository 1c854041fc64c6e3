//! What each way for a call to fail means to retry, fallback and breaker. One table, in code.

use std::borrow::Cow;
use std::time::Duration;

use super::error::{CONTEXT_LENGTH, ModelError};
use crate::resilience::policy::{Classify, ErrorClass};
use crate::resilience::stream_timeouts::TimeoutKind;

/// One row of the table: retry here, fall back, counts in the breaker.
fn row(retry: bool, fall_back: bool, counts: bool) -> ErrorClass {
    ErrorClass {
        retry,
        again_now: false,
        fall_back,
        counts,
        whole_upstream: false,
        answered: false,
        retry_after: None,
        pause: false,
    }
}

impl Classify for ModelError {
    fn meaning(&self) -> ErrorClass {
        let Self::Status {
            status,
            wish,
            other_key,
            ..
        } = self
        else {
            return match self {
                Self::Connect { .. } => ErrorClass {
                    whole_upstream: true,
                    ..row(true, true, true)
                },
                Self::Timeout(_)
                | Self::Malformed { .. }
                | Self::Stalled { .. }
                | Self::Truncated { .. } => row(true, true, true),
                Self::Forbidden(_) | Self::Untranslatable { .. } => row(false, true, false),
                // The same prompt would get the same nothing; another model may say something.
                Self::Empty(_) => ErrorClass {
                    answered: true,
                    ..row(false, true, false)
                },
                // It would read the same part again; another model may take it whole.
                Self::CutPrompt { .. } => ErrorClass {
                    answered: true,
                    ..row(false, true, false)
                },
                Self::HandedOn(error) => ErrorClass {
                    fall_back: true,
                    ..error.meaning()
                },
                Self::Interrupted(error) => ErrorClass {
                    retry: false,
                    fall_back: false,
                    again_now: false,
                    ..error.meaning()
                },
                _ => ErrorClass {
                    answered: true,
                    ..row(false, false, false)
                },
            };
        };
        let meaning = match *status {
            _ if self.about_key().is_some() => {
                return ErrorClass {
                    again_now: *other_key,
                    ..row(false, true, false)
                };
            }
            429 => ErrorClass {
                pause: true,
                again_now: *other_key,
                ..row(true, true, false)
            },
            408 => row(true, true, true),
            409 => row(true, true, false),
            404 => row(false, true, false),
            _ if self.is_context() => row(false, true, false),
            500.. => row(true, true, true),
            // 3xx: redirects are not followed with a key; other 4xx: asking again changes nothing.
            _ => row(false, false, false),
        };
        // Where asking again is of no use by our own table, no header makes it so.
        ErrorClass {
            retry: meaning.retry && wish.should_retry.unwrap_or(true),
            retry_after: wish.retry_after.filter(|_| meaning.retry),
            ..meaning
        }
    }

    fn class(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Status { .. } if self.is_quota() => "quota",
            Self::Status { .. } if self.is_context() => CONTEXT_LENGTH,
            Self::Status { status, .. } => return Cow::Owned(format!("http_{status}")),
            Self::Connect { .. } => "connect",
            Self::Timeout(_) => "timeout",
            Self::Malformed { .. } => "malformed",
            Self::Stalled {
                cut: TimeoutKind::First(_),
                ..
            } => "first_token_timeout",
            Self::Stalled { .. } => "idle_timeout",
            Self::Truncated { .. } => "truncated",
            Self::CutPrompt { .. } => "cut_prompt",
            Self::Forbidden(_) => "egress",
            Self::Untranslatable { .. } => "untranslatable",
            Self::Empty(_) => "empty",
            Self::Interrupted(error) | Self::HandedOn(error) => return error.class(),
            Self::CutOff(_) => "cut_off",
            Self::Refused(_) => "refused",
            Self::AtForm(_) => "at_form",
            Self::NoVerdict(_) => "no_verdict",
        })
    }

    fn attempt_timeout(after: Duration) -> Self {
        Self::Timeout(after)
    }
}

#[cfg(test)]
mod tests {
    use super::super::retry_hints::RetryHints;
    use super::*;

    fn status(status: u16, code: &str) -> ModelError {
        ModelError::from_answer(
            "openai",
            status,
            &format!(r#"{{"error":{{"code":"{code}","message":"m"}}}}"#),
            RetryHints::default(),
        )
    }

    #[test]
    fn the_table_of_outcomes() {
        // (error, retry, fall back, counts)
        let table = [
            (status(400, "context_length_exceeded"), false, true, false),
            (status(400, "content_policy_violation"), false, false, false),
            (status(400, ""), false, false, false),
            (status(422, ""), false, false, false),
            (status(404, "model_not_found"), false, true, false),
            (status(401, ""), false, true, false),
            (status(403, ""), false, true, false),
            (status(408, ""), true, true, true),
            (status(409, ""), true, true, false),
            (status(429, "rate_limit_exceeded"), true, true, false),
            (status(429, "insufficient_quota"), false, true, false),
            (
                ModelError::from_answer(
                    "p",
                    429,
                    r#"{"error":{"type":"insufficient_quota","code":"429"}}"#,
                    RetryHints::default(),
                ),
                false,
                true,
                false,
            ),
            (status(500, ""), true, true, true),
            (status(529, ""), true, true, true),
            (ModelError::Timeout(Duration::ZERO), true, true, true),
            (
                ModelError::Connect {
                    provider: String::new(),
                    message: String::new(),
                },
                true,
                true,
                true,
            ),
            (ModelError::CutOff("length".into()), false, false, false),
            (ModelError::Refused(String::new()), false, false, false),
            (
                ModelError::AtForm(Box::new(status(500, ""))),
                false,
                false,
                false,
            ),
        ];
        for (error, retry, fall_back, counts) in table {
            let m = error.meaning();
            assert_eq!(
                (m.retry, m.fall_back, m.counts),
                (retry, fall_back, counts),
                "{error:?}"
            );
        }

        // Where the provider says that asking again is of no use, its word is taken.
        let no_use = RetryHints {
            should_retry: Some(false),
            ..RetryHints::default()
        };
        let error = ModelError::from_answer("p", 503, "", no_use);
        let meaning = error.meaning();
        assert_eq!(
            (meaning.retry, meaning.fall_back, meaning.counts),
            (false, true, true)
        );
    }
}
