//! Findings that somebody dismissed by a comment: the list, and taking one back.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde_json::{Value, json};

use crate::api::error::Failure;
use crate::api::extract::{Admin, Reader};
use crate::api::openapi::{Routes, doc, list, text};
use crate::api::request::Correlation;
use crate::api::routes::shared::{done, listing};
use crate::api::state::Api;
use crate::engine::protocol::command::Command;
use crate::engine::protocol::query::Query;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(
            "/api/dismissals",
            all,
            doc("Findings that somebody dismissed by a comment, newest first; those that ended too.")
                .reader()
                .query(
                    "limit",
                    json!({"type": "integer", "minimum": 1, "maximum": crate::api::routes::shared::MOST}),
                )
                .answers(200, json!({"dismissals": list(), "timestamp": text()})),
        )
        .post(
            "/api/dismissals/{id}/revoke",
            revoke,
            doc("Take a dismissal back: the next decision counts its finding again.")
                .admin()
                .answers(
                    200,
                    json!({"dismissal": text(), "message": text(), "correlationId": text()}),
                ),
        )
}

async fn all(
    _: Reader,
    State(api): State<Arc<Api>>,
    axum::extract::Query(wanted): crate::api::routes::shared::Wanted,
) -> Result<Json<Value>, Failure> {
    listing(&api, &wanted, |limit| Query::Dismissals { limit }).await
}

async fn revoke(
    _: Admin,
    State(api): State<Arc<Api>>,
    Extension(Correlation(correlation)): Extension<Correlation>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let what = done(
        &api,
        Command::RevokeDismissal { id: id.clone() },
        &correlation,
    )
    .await?;
    Ok(Json(
        json!({"dismissal": id, "message": what, "correlationId": correlation}),
    ))
}
