//! One shape for every error: `{error, code, correlationId}`. Routes say what is wrong; the outermost
//! layer writes it down, also where no route was reached.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::engine::protocol::command::Refused;
use crate::engine::protocol::query::QueryError;

/// Why a request is not answered as it was meant.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(crate) message: String,
}

impl Failure {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: crate::text::clean_line(&message.into(), 400),
        }
    }

    pub(super) fn input(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "INVALID_INPUT", message)
    }

    /// What a bare status means.
    pub(super) fn of_status(status: StatusCode) -> Self {
        let (code, message) = match status {
            StatusCode::NOT_FOUND => ("NOT_FOUND", "there is no such path"),
            StatusCode::METHOD_NOT_ALLOWED => {
                ("METHOD_NOT_ALLOWED", "this path takes another method")
            }
            StatusCode::PAYLOAD_TOO_LARGE => ("PAYLOAD_TOO_LARGE", "the body is too large"),
            StatusCode::REQUEST_TIMEOUT => ("INVALID_INPUT", "the request took too long to arrive"),
            StatusCode::TOO_MANY_REQUESTS => ("RATE_LIMITED", "too many requests"),
            s if s.is_client_error() => ("INVALID_INPUT", "the request cannot be read"),
            _ => ("INTERNAL_ERROR", "something went wrong here"),
        };
        Self::new(status, code, message)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Self {
        let (status, code) = match &refused {
            Refused::ReadOnly => (StatusCode::FORBIDDEN, "ORCHESTRATION_FAILED"),
            Refused::NotFound { what, .. } if what == "agent" => {
                (StatusCode::NOT_FOUND, "AGENT_NOT_FOUND")
            }
            Refused::NotFound { .. } => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Refused::InvalidInput { .. } => (StatusCode::BAD_REQUEST, "INVALID_INPUT"),
            Refused::NoAgent { .. } => (StatusCode::BAD_REQUEST, "ORCHESTRATION_FAILED"),
            Refused::Forbidden { .. } => (StatusCode::FORBIDDEN, "FORBIDDEN"),
            Refused::Conflict { .. } => (StatusCode::CONFLICT, "CONFLICT"),
            Refused::ApprovalRequired { .. } => (StatusCode::FORBIDDEN, "APPROVAL_REQUIRED"),
            Refused::Unanswered { .. } => (StatusCode::SERVICE_UNAVAILABLE, "UPSTREAM_UNAVAILABLE"),
            Refused::Drained
            | Refused::Busy { .. }
            | Refused::Stopping
            | Refused::Journal { .. } => (StatusCode::SERVICE_UNAVAILABLE, "ORCHESTRATION_FAILED"),
        };
        Self::new(status, code, refused.to_string())
    }
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let (status, code) = match &error {
            QueryError::NotFound { .. } => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            QueryError::Unavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "INTERNAL_ERROR"),
        };
        Self::new(status, code, error.to_string())
    }
}
