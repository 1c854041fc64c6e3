//! What can go wrong with a call, and what each case means to the layers. One table, in code.

use std::borrow::Cow;
use std::time::Duration;

use crate::resilience::policy::{Classify, Meaning};
use crate::text::clean_line;

/// What an answer's headers ask of whoever might ask again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wish {
    /// Quiet for this long.
    pub retry_after: Option<Duration>,
    /// `x-should-retry`: the provider's own word on whether it is any use.
    pub should_retry: Option<bool>,
}

/// A call that gave no usable answer. Messages are cut and harmless; they hold no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// The provider answered with an error.
    #[error("{provider} answered {status}{}", detail(message))]
    Status {
        /// Who.
        provider: String,
        /// HTTP status.
        status: u16,
        /// `error.code` and `error.type`, where they are.
        code: String,
        /// What it said.
        message: String,
        /// What its headers ask for.
        wish: Wish,
    },
    /// The connection could not be made or broke.
    #[error("no connection to {provider}: {message}")]
    Connect {
        /// Who.
        provider: String,
        /// What the system said.
        message: String,
    },
    /// It took too long.
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    /// The answer is not what the protocol says.
    #[error("{provider} sent something else than an answer: {message}")]
    Malformed {
        /// Who.
        provider: String,
        /// What is wrong with it.
        message: String,
    },
    /// The answer was cut off at its length.
    #[error("the answer was cut off (finish_reason {0})")]
    CutOff(String),
    /// The model refused to answer.
    #[error("the model refused to answer{}", detail(.0))]
    Refused(String),
    /// The answer is complete but no verdict.
    #[error("{0}")]
    NoVerdict(String),
}

fn detail(message: &str) -> String {
    if message.is_empty() {
        String::new()
    } else {
        format!(": {message}")
    }
}

impl ModelError {
    /// An error answer, read leniently: `{"error":{…}}`, `{"error":"…"}`, `{"detail":…}`, or a page of
    /// HTML from a proxy.
    pub fn from_answer(provider: &str, status: u16, body: &str, wish: Wish) -> Self {
        let json: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
        let error = &json["error"];
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        // Either may tell what it is; some proxies put the status into the code.
        let code = [&error["code"], &error["type"]]
            .into_iter()
            .filter_map(text)
            .collect::<Vec<_>>()
            .join(" ");
        let message = text(&error["message"])
            .or_else(|| text(error))
            .or_else(|| text(&json["detail"]));
        let message = message.unwrap_or_else(|| {
            if json.is_null() {
                body.to_owned()
            } else {
                String::new()
            }
        });
        Self::Status {
            provider: provider.to_owned(),
            status,
            code: clean_line(&code, 60),
            message: clean_line(message.trim(), 200),
            wish,
        }
    }

    fn is_quota(&self) -> bool {
        let Self::Status {
            status: 429, code, ..
        } = self
        else {
            return false;
        };
        code.contains("insufficient_quota")
            || code.contains("spend_limit_exceeded")
            || code.contains("credit_balance")
    }

    /// The same question gets the same refusal: the request itself is what is wrong with it.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Status { status, .. } => matches!(status, 400 | 422) && !self.is_context(),
            Self::Refused(_) => true,
            _ => false,
        }
    }

    fn is_context(&self) -> bool {
        matches!(self, Self::Status { status: 400, code, .. } if code.contains("context_length"))
    }
}

/// One row of the table: retry here, fall back, counts in the breaker.
fn row(retry: bool, fall_back: bool, counts: bool) -> Meaning {
    Meaning {
        retry,
        fall_back,
        counts,
        answered: false,
        retry_after: None,
        pause: false,
    }
}

impl Classify for ModelError {
    fn meaning(&self) -> Meaning {
        let Self::Status { status, wish, .. } = self else {
            return match self {
                Self::Connect { .. } | Self::Timeout(_) | Self::Malformed { .. } => {
                    row(true, true, true)
                }
                _ => Meaning {
                    answered: true,
                    ..row(false, false, false)
                },
            };
        };
        let meaning = match *status {
            429 if self.is_quota() => return row(false, true, false),
            429 => Meaning {
                pause: true,
                ..row(true, true, false)
            },
            408 => row(true, true, true),
            409 => row(true, true, false),
            401 | 403 | 404 => row(false, true, false),
            400 if self.is_context() => row(false, true, false),
            500.. => row(true, true, true),
            // 3xx: redirects are not followed with a key; other 4xx: asking again changes nothing.
            _ => row(false, false, false),
        };
        // Where asking again is of no use by our own table, no header makes it so.
        Meaning {
            retry: meaning.retry && wish.should_retry.unwrap_or(true),
            retry_after: wish.retry_after.filter(|_| meaning.retry),
            ..meaning
        }
    }

    fn class(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Status { .. } if self.is_quota() => "quota",
            Self::Status { status, .. } => return Cow::Owned(format!("http_{status}")),
            Self::Connect { .. } => "connect",
            Self::Timeout(_) => "timeout",
            Self::Malformed { .. } => "malformed",
            Self::CutOff(_) => "cut_off",
            Self::Refused(_) => "refused",
            Self::NoVerdict(_) => "no_verdict",
        })
    }

    fn attempt_timeout(after: Duration) -> Self {
        Self::Timeout(after)
    }
}

/// What the headers ask for: `x-should-retry`, and `retry-after-ms`, seconds (float) or an HTTP date.
pub fn wish(header: impl Fn(&str) -> Option<String>, now: jiff::Timestamp) -> Wish {
    Wish {
        should_retry: match header("x-should-retry").as_deref() {
            Some("false") => Some(false),
            Some("true") => Some(true),
            _ => None,
        },
        retry_after: retry_after(header, now),
    }
}

fn retry_after(header: impl Fn(&str) -> Option<String>, now: jiff::Timestamp) -> Option<Duration> {
    if let Some(ms) = header("retry-after-ms").and_then(|v| v.trim().parse::<f64>().ok()) {
        return seconds(ms / 1_000.0);
    }
    let value = header("retry-after")?;
    if let Ok(s) = value.trim().parse::<f64>() {
        return seconds(s);
    }
    let date = jiff::fmt::rfc2822::parse(value.trim()).ok()?.timestamp();
    seconds((date.as_millisecond() - now.as_millisecond()).max(0) as f64 / 1_000.0)
}

fn seconds(s: f64) -> Option<Duration> {
    const DAY: f64 = 86_400.0;
    (s.is_finite() && s >= 0.0).then(|| Duration::from_secs_f64(s.min(DAY)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, code: &str) -> ModelError {
        ModelError::from_answer(
            "openai",
            status,
            &format!(r#"{{"error":{{"code":"{code}","message":"m"}}}}"#),
            Wish::default(),
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
                    Wish::default(),
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
        ];
        for (error, retry, fall_back, counts) in table {
            let m = error.meaning();
            assert_eq!(
                (m.retry, m.fall_back, m.counts),
                (retry, fall_back, counts),
                "{error:?}"
            );
        }
    }

    #[test]
    fn every_form_of_error_body_and_of_retry_after() {
        let message =
            |body: &str| ModelError::from_answer("p", 500, body, Wish::default()).to_string();
        assert!(message(r#"{"error":"plain"}"#).ends_with(": plain"));
        assert!(message(r#"{"detail":"why"}"#).ends_with(": why"));
        assert!(message("<html>\x1b[31mbad gateway</html>").contains("␛[31mbad gateway"));
        assert_eq!(message("{}"), "p answered 500");
        let now = jiff::Timestamp::from_second(784_111_770).unwrap();
        let after = |name: &'static str, value: &'static str| {
            retry_after(|h| (h == name).then(|| value.to_owned()), now)
        };
        assert_eq!(
            after("retry-after-ms", "1500"),
            Some(Duration::from_millis(1_500))
        );
        assert_eq!(
            after("retry-after", "2.5"),
            Some(Duration::from_millis(2_500))
        );
        assert_eq!(
            after("retry-after", "Sun, 06 Nov 1994 08:49:37 GMT"),
            Some(Duration::from_secs(7))
        );
        assert_eq!(after("retry-after", "soon"), None);
        assert_eq!(after("retry-after", "-1"), None);
        let no_use = wish(|h| (h == "x-should-retry").then(|| "false".into()), now);
        assert_eq!(no_use.should_retry, Some(false));
        let error = ModelError::from_answer("p", 503, "", no_use);
        let meaning = error.meaning();
        assert_eq!(
            (meaning.retry, meaning.fall_back, meaning.counts),
            (false, true, true)
        );
    }
}
