//! Why a program gets no answer: the provider's own error as it came, or what kept the request here.

use std::time::Duration;

use axum::http::HeaderMap;
use bsm_wire::error::ErrorKind;
use bsm_wire::{Family, error};
use bytes::Bytes;

use super::ForwardRequest;
use super::targets::NoTarget;
use crate::model::error::ModelError;
use crate::resilience::policy::Failure;
use crate::resilience::{Reason, Rejection};
use crate::text::clean_line;

/// An error answer of a provider, as it came.
#[derive(Debug, Clone)]
pub(super) struct RawError {
    pub(super) family: Family,
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone)]
pub struct ForwardError {
    /// What it means.
    pub kind: ErrorKind,
    /// HTTP status.
    pub status: u16,
    /// A short word for programs.
    pub code: String,
    /// In words; safe to show.
    pub message: String,
    /// When it is worth asking again.
    pub retry_after: Option<Duration>,
    /// Whether the client should ask again at all; none: its own rules hold.
    pub should_retry: Option<bool>,
    /// Attempts that were sent.
    pub attempts: u32,
    /// The provider's own headers and body, where they can be passed on as they are.
    pub raw: Option<Box<(HeaderMap, Bytes)>>,
}

impl ForwardError {
    pub(super) fn new(kind: ErrorKind, code: &str, message: impl Into<String>) -> Self {
        Self {
            kind,
            status: kind.status(),
            code: code.to_owned(),
            message: message.into(),
            retry_after: None,
            should_retry: None,
            attempts: 0,
            raw: None,
        }
    }

    /// The request itself cannot be forwarded.
    pub fn invalid(kind: ErrorKind, message: &str) -> Self {
        let code = match kind {
            ErrorKind::NotFound => "not_found",
            ErrorKind::TooLarge => "request_too_large",
            ErrorKind::Permission => "not_allowed",
            _ => "invalid_request",
        };
        Self {
            should_retry: Some(false),
            ..Self::new(kind, code, clean_line(message, 600))
        }
    }

    /// Nobody is there to be asked.
    pub(super) fn no_target(why: &NoTarget) -> Self {
        match why {
            NoTarget::Unknown(name) => Self::new(
                ErrorKind::NotFound,
                "model_not_found",
                format!(
                    "there is no model {name}; GET /v1/models lists the names, auto lets the routes choose"
                ),
            ),
            NoTarget::Skipped(skips) => {
                let reasons: Vec<String> = skips
                    .iter()
                    .take(4)
                    .map(|s| format!("{} ({})", s.model, s.reason))
                    .collect();
                let message = format!("no deployment can be asked: {}", reasons.join(", "));
                Self::new(ErrorKind::Unavailable, "no_deployment", message)
            }
        }
    }

    /// The end of a call that was not answered.
    pub(super) fn of(
        failure: Failure<ModelError>,
        request: &ForwardRequest,
        raw: Option<RawError>,
        over: Option<String>,
        attempts: u32,
    ) -> Self {
        let error = match failure {
            Failure::Upstream(error) => Self::upstream(&error, request, raw),
            Failure::Rejected(rejection) => Self::rejected(&rejection, over),
            Failure::NoTarget => Self::new(
                ErrorKind::Unavailable,
                "no_deployment",
                "no deployment can be asked",
            ),
        };
        // What was retried here need not be retried there.
        let retried = attempts > 1 && error.kind != ErrorKind::RateLimit;
        Self {
            should_retry: error.should_retry.or(retried.then_some(false)),
            attempts,
            ..error
        }
    }

    fn upstream(error: &ModelError, request: &ForwardRequest, raw: Option<RawError>) -> Self {
        let words = clean_line(&error.to_string(), 600);
        let ModelError::Status {
            status, code, wish, ..
        } = error
        else {
            let (kind, code) = match error {
                ModelError::Timeout(_) | ModelError::Stalled { .. } => {
                    (ErrorKind::Timeout, "upstream_timeout")
                }
                ModelError::Connect { .. } => (ErrorKind::Upstream, "upstream_unreachable"),
                ModelError::Untranslatable { .. } => {
                    (ErrorKind::InvalidRequest, "not_translatable")
                }
                ModelError::Forbidden(_) => (ErrorKind::Permission, "egress_not_allowed"),
                ModelError::Truncated { .. } => (ErrorKind::Upstream, "upstream_truncated"),
                _ => (ErrorKind::Upstream, "upstream_malformed"),
            };
            return Self::new(kind, code, words);
        };
        let kind = if error.is_quota() {
            ErrorKind::Quota
        } else {
            ErrorKind::of_status(*status)
        };
        let code = if code.is_empty() {
            "upstream_error"
        } else {
            code
        };
        let should_retry = wish.should_retry.or(error.is_quota().then_some(false));
        let own = raw.filter(|r| r.status == *status);
        let message = own.as_ref().map_or(words, |raw| {
            let told = error::WireError::read(&raw.body).message;
            clean_line(&told, 1_000)
        });
        Self {
            status: *status,
            retry_after: wish.retry_after,
            should_retry,
            raw: own
                .filter(|raw| raw.family == request.wire.family())
                .map(|raw| Box::new((raw.headers, raw.body))),
            ..Self::new(kind, code, message)
        }
    }

    fn rejected(rejection: &Rejection, over: Option<String>) -> Self {
        let kind = match rejection.reason {
            Reason::RateLimited => ErrorKind::RateLimit,
            Reason::OverBudget => ErrorKind::Quota,
            Reason::TooLarge => ErrorKind::TooLarge,
            Reason::NotAllowed => ErrorKind::Permission,
            Reason::DeadlineExceeded => ErrorKind::Timeout,
            _ => ErrorKind::Unavailable,
        };
        let message = match over {
            Some(over) if rejection.reason == Reason::OverBudget => over,
            _ => rejection.to_string(),
        };
        Self {
            retry_after: rejection.retry_in_ms.map(Duration::from_millis),
            should_retry: (kind == ErrorKind::Quota).then_some(false),
            ..Self::new(kind, rejection.reason.code(), message)
        }
    }
}
