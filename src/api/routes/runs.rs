//! Runs: start one, look at them, stop one.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::error::Failure;
use crate::api::extract::{Admin, Json as Body, Reader};
use crate::api::openapi;
use crate::api::openapi::{Routes, boolean, doc, text};
use crate::api::request::Correlation;
use crate::api::routes::shared::envelope;
use crate::api::routes::shared::{DIFF, MOST, ask, limit, now, odd};
use crate::api::state::Api;
use crate::engine::protocol::blob::{Blob, DiffContent};
use crate::engine::protocol::command::{Command, LinterReport, Reply, Subject, Trigger};
use crate::engine::protocol::query::{Answer, Query};
use crate::review::finding::FilterMode;

pub(super) fn routes() -> Routes {
    let base64 =
        json!({"type": "string", "contentEncoding": "base64", "pattern": "^([A-Za-z0-9+/]{4})*$"});
    let diff = json!({"oneOf": [
        {"type": ["string", "null"]},
        {"type": "object", "required": ["base64"], "properties": {"base64": base64}},
    ]});
    let begin = |diff: Value| {
        doc("Start a run: on disk when it is answered.")
            .admin()
            .largest(DIFF)
            .body(
                &["event"],
                json!({
                    "event": {"type": "string", "pattern": "\\S"},
                    "payload": {"type": ["object", "null"]},
                    "diff": diff,
                    "idempotencyKey": {"type": ["string", "null"]},
                    "filterMode": {"enum": ["added", "file", "all", null]},
                    "findings": {"type": "array", "items": {
                        "type": "object",
                        "required": ["name", "content"],
                        "properties": {"name": text(), "content": text()},
                    }},
                }),
            )
            .answers(
                202,
                json!({"runId": text(), "correlationId": text(), "defaulted": boolean()}),
            )
    };
    Routes::new()
        .post("/api/orchestrator/run", start, begin(diff.clone()))
        .post("/api/control/run", start, begin(diff))
        .get(
            "/api/runs",
            list,
            doc("Runs under way, and the newest that ended.")
                .reader()
                .query("limit", json!({"type": "integer", "minimum": 1, "maximum": MOST}))
                .query("filter", text())
                .answers(200, json!({"active": openapi::list(), "runs": openapi::list(), "timestamp": text()})),
        )
        .get(
            "/api/runs/{id}",
            one,
            doc("One run.")
                .reader()
                .answers(200, json!({"runId": text(), "event": text(), "state": text(), "agents": openapi::list()})),
        )
        .get(
            "/api/runs/{id}/report",
            report,
            doc("A run's report.").reader().sends("text/markdown"),
        )
        .post(
            "/api/runs/{id}/cancel",
            cancel,
            doc("Stop a run.")
                .admin()
                .answers(200, json!({"runId": text(), "status": text(), "correlationId": text()})),
        )
        .post(
            "/api/runs/{id}/rerun",
            rerun,
            doc("Start a run again with what it looked at: on disk when it is answered.")
                .admin()
                .answers(202, json!({"runId": text(), "rerunOf": text(), "correlationId": text()})),
        )
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
    #[serde(default)]
    filter_mode: Option<FilterMode>,
    #[serde(default)]
    findings: Vec<LinterReport>,
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
        subject: wanted.diff.map(|diff| Subject::Diff {
            diff: DiffContent::Bytes(diff),
        }),
        idempotency_key: wanted.idempotency_key,
        filter: wanted.filter_mode,
        linters: wanted.findings,
        ..Trigger::default()
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

async fn list(
    _: Reader,
    State(api): State<Arc<Api>>,
    axum::extract::Query(wanted): crate::api::routes::shared::Wanted,
) -> Result<Json<Value>, Failure> {
    let limit = limit(&wanted)?;
    let filter = wanted.get("filter").cloned().unwrap_or_default();
    let live: Vec<_> = {
        let snapshot = api.operator.snapshots().borrow().clone();
        let active = |r: &&crate::engine::protocol::snapshot::RunSummary| r.finished_ms.is_none();
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

async fn rerun(
    _: Admin,
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
    Path(first): Path<String>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let command = Command::RunAgain { run: first.clone() };
    match api.operator.send(envelope(command, &id)).await? {
        Reply::Accepted {
            run, correlation, ..
        } => Ok((
            StatusCode::ACCEPTED,
            Json(json!({"runId": run, "rerunOf": first, "correlationId": correlation})),
        )),
        _ => Err(odd()),
    }
}
