//! Errors in the form that clients of the gateway's protocol know.

use crate::api::routes::shared::own_shape;
use crate::engine::protocol::command::Refused;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;

/// A refusal in these programs' own shape; the id is added by the outermost layer's header.
pub(crate) fn refused(status: StatusCode, kind: &str, code: &str, message: &str) -> Response {
    let message = crate::text::clean_line(message, 400);
    let body = json!({"error": {"message": message, "type": kind, "param": null, "code": code}});
    own_shape(status, body)
}

pub(crate) fn invalid(message: &str) -> Response {
    refused(
        StatusCode::BAD_REQUEST,
        "invalid_request_error",
        "invalid_request",
        message,
    )
}

pub(crate) fn failed(error: &Refused) -> Response {
    match error {
        Refused::NotFound { .. } => refused(
            StatusCode::NOT_FOUND,
            "invalid_request_error",
            "model_not_found",
            &format!("{error}; GET /v1/models lists them, auto lets the routes choose"),
        ),
        Refused::Unanswered { reason } => refused(
            StatusCode::SERVICE_UNAVAILABLE,
            "api_error",
            "ALL_MODELS_FAILED",
            reason,
        ),
        Refused::InvalidInput { reason } => invalid(reason),
        other => refused(
            StatusCode::FORBIDDEN,
            "api_error",
            "ORCHESTRATION_FAILED",
            &other.to_string(),
        ),
    }
}
