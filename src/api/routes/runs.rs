//! Runs: start one, look at them, stop one.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Path, Query as UrlQuery, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::agents::envelope;
use super::{DIFF, ask, now, odd};
use crate::api::Api;
use crate::api::error::Failure;
use crate::api::extract::{Admin, Json as Body, Reader};
use crate::api::guard::Correlation;
use crate::engine::types::command::{Blob, Command, Reply, Subject, Trigger};
use crate::engine::types::query::{Answer, Query};

pub(super) fn routes() -> Router<Arc<Api>> {
    let start = || post(start).layer(DefaultBodyLimit::max(DIFF));
    Router::new()
        .route("/api/orchestrator/run", start())
        .route("/api/control/run", start())
        .route("/api/runs", get(list))
        .route("/api/runs/{id}", get(one))
        .route("/api/runs/{id}/report", get(report))
        .route("/api/runs/{id}/cancel", post(cancel))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Start {
    event: String,
    #[serde(default)]
    payload: Value,
    #[serde(default)]
    diff: Option<Blob>,
    #[serde(default)]
    idempotency_key: Option<String>,
}

async fn start(
    _: Admin,
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
    Body(wanted): Body<Start>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let trigger = Trigger {
        event: wanted.event,
        payload: wanted.payload,
        payload_file: None,
        subject: wanted.diff.map(|diff| Subject::Diff { diff }),
        idempotency_key: wanted.idempotency_key,
        offline: false,
    };
    let command = envelope(Command::Trigger(trigger), &id);
    match api.operator.send(command).await? {
        Reply::Accepted {
            run,
            correlation,
            defaulted,
        } => Ok((
            StatusCode::ACCEPTED,
            Json(json!({"runId": run, "correlationId": correlation, "defaulted": defaulted})),
        )),
        _ => Err(odd()),
    }
}

/// Runs in one list.
const MOST: u32 = 1_000;

async fn list(
    _: Reader,
    State(api): State<Arc<Api>>,
    UrlQuery(wanted): UrlQuery<BTreeMap<String, String>>,
) -> Result<Json<Value>, Failure> {
    let limit = match wanted.get("limit").map(|l| l.parse::<u32>()) {
        None => 50,
        Some(Ok(limit)) if (1..=MOST).contains(&limit) => limit,
        Some(_) => {
            return Err(Failure::input(format!(
                "limit is a number from 1 to {MOST}"
            )));
        }
    };
    let filter = wanted.get("filter").cloned().unwrap_or_default();
    let live: Vec<_> = {
        let snapshot = api.operator.snapshots().borrow().clone();
        let active = |r: &&crate::engine::types::snapshot::RunBrief| r.finished_ms.is_none();
        snapshot.runs.iter().filter(active).cloned().collect()
    };
    let Answer::Runs { runs } = ask(&api, Query::Runs { limit, filter }).await? else {
        return Err(odd());
    };
    Ok(Json(
        json!({"active": live, "runs": runs, "timestamp": now()}),
    ))
}

async fn one(
    _: Reader,
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    match ask(&api, Query::Run { id }).await? {
        Answer::Run { run } => Ok(Json(serde_json::to_value(run).map_err(|_| odd())?)),
        _ => Err(odd()),
    }
}

async fn report(
    _: Reader,
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<([(&'static str, &'static str); 1], String), Failure> {
    match ask(&api, Query::Report { id }).await? {
        // Markdown that was escaped when it was written.
        Answer::Report { text } => Ok((
            [("content-type", "text/markdown; charset=utf-8")],
            text.raw().to_owned(),
        )),
        _ => Err(odd()),
    }
}

async fn cancel(
    _: Admin,
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
    Path(run): Path<String>,
) -> Result<Json<Value>, Failure> {
    let command = envelope(Command::CancelRun { run: run.clone() }, &id);
    api.operator.send(command).await?;
    Ok(Json(
        json!({"runId": run, "status": "cancelling", "correlationId": id}),
    ))
}
