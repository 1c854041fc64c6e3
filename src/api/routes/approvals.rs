//! Pending approvals. The admin token lets nobody approve: an approver's own does.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::error::Failure;
use crate::api::extract::{Admin, Json as Body, Reader};
use crate::api::openapi::{Routes, doc, list, text};
use crate::api::request::Correlation;
use crate::api::routes::shared::{done, listing};
use crate::api::state::Api;
use crate::engine::protocol::command::Command;
use crate::engine::protocol::github::Secret;
use crate::engine::protocol::query::Query;

pub(super) fn routes() -> Routes {
    let decided = || {
        doc("Decide on what waits; the header x-approver-token says who does.")
            .admin()
            .body(
                &["reason"],
                json!({"reason": {"type": "string", "minLength": 1}}),
            )
            .answers(
                200,
                json!({"approval": text(), "message": text(), "correlationId": text()}),
            )
    };
    Routes::new()
        .get(
            "/api/approvals",
            inbox,
            doc("Actions that wait for a person, and those that did.")
                .reader()
                .query(
                    "limit",
                    json!({"type": "integer", "minimum": 1, "maximum": crate::api::routes::shared::MOST}),
                )
                .answers(200, json!({"approvals": list(), "timestamp": text()})),
        )
        .post("/api/approvals/{id}/approve", decide::<true>, decided())
        .post("/api/approvals/{id}/deny", decide::<false>, decided())
}

async fn inbox(
    _: Reader,
    State(api): State<Arc<Api>>,
    axum::extract::Query(wanted): crate::api::routes::shared::Wanted,
) -> Result<Json<Value>, Failure> {
    listing(&api, &wanted, |limit| Query::Approvals { limit }).await
}

#[derive(Deserialize)]
struct Why {
    reason: String,
}

async fn decide<const GRANT: bool>(
    _: Admin,
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
    Path(approval): Path<String>,
    headers: HeaderMap,
    Body(why): Body<Why>,
) -> Result<Json<Value>, Failure> {
    let token = headers
        .get("x-approver-token")
        .and_then(|v| v.to_str().ok());
    let Some(token) = token else {
        return Err(Failure::new(
            StatusCode::UNAUTHORIZED,
            "UNAUTHORIZED",
            "x-approver-token is missing: an approver decides, not an administrator",
        ));
    };
    let command = Command::Decide {
        approval: approval.clone(),
        grant: GRANT,
        reason: why.reason,
        token: Secret(token.to_owned()),
    };
    let what = done(&api, command, &id).await?;
    Ok(Json(
        json!({"approval": approval, "message": what, "correlationId": id}),
    ))
}
