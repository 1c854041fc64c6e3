//! Is it up, is it well, what is it: for load balancers, monitors and people with curl.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use serde_json::{Value, json};

use crate::api::error::Failure;
use crate::api::openapi::{Routes, doc, list, object, text};
use crate::api::request::Correlation;
use crate::api::routes::shared::{ask, now, odd, own_shape, time};
use crate::api::state::Api;
use crate::engine::protocol::query::{Answer, Query};
use crate::engine::protocol::snapshot::Health;
use crate::resilience::breaker::BreakerState;
use crate::workspace::Level;

pub(super) fn routes() -> Routes {
    let well = || {
        let body = json!({"status": text(), "timestamp": text(), "correlationId": text()});
        doc("Whether the engine is well.").answers(200, body)
    };
    let checks = json!({
        "status": text(), "reasons": list(), "checks": object(), "timestamp": text(), "correlationId": text(),
    });
    let status_body = json!({
        "environment": text(), "version": text(), "features": object(), "client": object(),
        "capabilities": object(), "mode": object(), "startedAt": text(), "correlationId": text(),
    });
    Routes::new()
        .get("/health", health, well())
        .get("/api/health", health, well())
        .get(
            "/api/health/detailed",
            detailed,
            doc("What is well and what is not; 503 when the engine cannot do its work.")
                .answers(200, checks.clone())
                .answers(503, checks),
        )
        .get(
            "/api/health/circuit-breakers",
            breakers,
            doc("Every breaker.")
                .answers(200, json!({"circuitBreakers": list(), "timestamp": text()})),
        )
        .get(
            "/api/status",
            status,
            doc("How the engine was started.").answers(200, status_body),
        )
        .get(
            "/api/cache/stats",
            caches,
            doc("Every cache, by its name.").answers(
                200,
                json!({"agents": object(), "knowledge": object(), "registry": object(), "responses": object(), "timestamp": text()}),
            ),
        )
}

async fn health(
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
) -> Json<Value> {
    let status = api.operator.snapshots().borrow().health;
    Json(json!({"status": status, "timestamp": now(), "correlationId": id}))
}

async fn detailed(
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
) -> Result<Response, Failure> {
    let Answer::Workspace { problems, .. } = ask(&api, Query::Workspace).await? else {
        return Err(odd());
    };
    let snapshot = api.operator.snapshots().borrow().clone();
    let word = |fails: bool, warns: bool| match (fails, warns) {
        (true, _) => "fail",
        (false, true) => "warn",
        (false, false) => "pass",
    };
    let says = |what: &str| snapshot.reasons.iter().any(|r| r.contains(what));
    let about = |file: &str, level: Level| {
        problems
            .iter()
            .any(|p| p.severity == level && p.file.contains(file))
    };
    let open = snapshot
        .breakers
        .iter()
        .any(|b| matches!(b.state, BreakerState::Open | BreakerState::Isolated));
    let checks = json!({
        "filesystem": word(says("the journal cannot be written"), snapshot.losses.journal_retries > 0),
        "agentRegistry": word(about("registry", Level::Error), about("registry", Level::Warning)),
        "environment": word(says("settings"), false),
        "requiredFiles": word(snapshot.workspace.errors > 0, snapshot.workspace.warnings > 0),
        "circuitBreakers": word(false, open),
    });
    let body = json!({
        "status": snapshot.health,
        "reasons": snapshot.reasons,
        "checks": checks,
        "timestamp": now(),
        "correlationId": id,
    });
    Ok(judged(snapshot.health, body))
}

/// 503 with the reasons when the engine cannot do its work: an answer, not an error.
fn judged(health: Health, body: Value) -> Response {
    let status = if health == Health::Unhealthy {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    own_shape(status, body)
}

async fn breakers(State(api): State<Arc<Api>>) -> Json<Value> {
    let snapshot = api.operator.snapshots().borrow().clone();
    let all: Vec<Value> = snapshot
        .breakers
        .iter()
        .map(|b| {
            let next = b
                .retry_in_s
                .map(|_| time(b.since_ms + b.open_for_ms.cast_signed()));
            json!({
                "name": b.name,
                "state": b.state,
                "failures": b.failures_in_row,
                "successes": b.successes,
                "nextAttempt": next,
                "stats": {
                    "total": b.successes + b.failures,
                    "failures": b.failures,
                    "successes": b.successes,
                    "rejections": b.rejections,
                },
            })
        })
        .collect();
    Json(json!({"circuitBreakers": all, "timestamp": now()}))
}

async fn status(
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
) -> Json<Value> {
    let snapshot = api.operator.snapshots().borrow().clone();
    Json(json!({
        "environment": snapshot.mode.environment,
        "version": env!("CARGO_PKG_VERSION"),
        "features": snapshot.flags,
        "client": {"lanOnly": api.settings.lan_only, "mobileMode": api.settings.mobile_mode},
        "capabilities": api.operator.capabilities(),
        "mode": snapshot.mode,
        "startedAt": time(snapshot.started_ms),
        "correlationId": id,
    }))
}

async fn caches(State(api): State<Arc<Api>>) -> Json<Value> {
    let snapshot = api.operator.snapshots().borrow().clone();
    let mut body = serde_json::Map::new();
    for c in &snapshot.caches {
        let age = c
            .loaded_ms
            .map(|at| (jiff::Timestamp::now().as_millisecond() - at).max(0));
        body.insert(
            c.name.clone(),
            json!({
                "cached": c.entries,
                "age": age,
                "valid": c.valid,
                "ttl": c.ttl_ms,
                "hits": c.hits,
                "misses": c.misses,
                "reloads": c.loads,
                "stampedePrevented": c.stampede_prevented,
                "staleServed": c.stale_served,
            }),
        );
    }
    body.insert("timestamp".into(), now().into());
    Json(body.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::request::OwnShape;

    #[test]
    fn unhealthy_engine_is_said_with_its_reasons_and_not_as_an_error() {
        let sick = judged(Health::Unhealthy, json!({"reasons": ["the disk is full"]}));
        assert_eq!(sick.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(
            sick.extensions().get::<OwnShape>().is_some(),
            "its shape stays"
        );
        let well = judged(Health::Healthy, json!({}));
        assert_eq!(well.status(), StatusCode::OK);
    }
}
