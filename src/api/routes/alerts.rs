//! Alerts: what holds, what is over, and that somebody has seen it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde_json::{Value, json};

use crate::api::error::Failure;
use crate::api::extract::{Admin, Reader};
use crate::api::openapi::{Routes, doc, list, text};
use crate::api::request::Correlation;
use crate::api::routes::shared::{ask, done, now, odd};
use crate::api::state::Api;
use crate::engine::protocol::command::Command;
use crate::engine::protocol::query::{Answer, Query};

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(
            "/api/alerts",
            all,
            doc("Alerts that hold, and those that are over.")
                .reader()
                .answers(200, json!({"alerts": list(), "timestamp": text()})),
        )
        .post(
            "/api/alerts/{id}/acknowledge",
            acknowledge,
            doc("Say that an alert was seen; what still holds stays active.")
                .admin()
                .answers(
                    200,
                    json!({"alert": text(), "message": text(), "correlationId": text()}),
                ),
        )
}

async fn all(_: Reader, State(api): State<Arc<Api>>) -> Result<Json<Value>, Failure> {
    match ask(&api, Query::Alerts).await? {
        Answer::Alerts { alerts } => Ok(Json(json!({"alerts": alerts, "timestamp": now()}))),
        _ => Err(odd()),
    }
}

async fn acknowledge(
    _: Admin,
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
    Path(alert): Path<String>,
) -> Result<Json<Value>, Failure> {
    let command = Command::AcknowledgeAlert {
        alert: alert.clone(),
    };
    let what = done(&api, command, &id).await?;
    Ok(Json(
        json!({"alert": alert, "message": what, "correlationId": id}),
    ))
}
