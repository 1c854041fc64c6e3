//! Is it up, is it well, what is it: for load balancers, monitors and people with curl.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::{Extension, Json};
use serde_json::{Value, json};

use crate::api::openapi::{Routes, doc, list, object, text};
use crate::api::request::Correlation;
use crate::api::routes::shared::{ask, now, own_shape, time};
use crate::api::state::Api;
use crate::engine::protocol::health::{Level, Reason};
use crate::engine::protocol::query::{Answer, Query};
use crate::engine::protocol::snapshot::Snapshot;
use crate::resilience::breaker::{BreakerState, BreakerStats};
use crate::workspace::{Level as Severity, Problem};

pub(super) fn routes() -> Routes {
    let well = || {
        let body = json!({
            "status": {"enum": ["healthy", "degraded", "unhealthy"]}, "level": level_schema(), "reasons": reasons_schema(),
            "timestamp": text(), "correlationId": text(),
        });
        doc("How the engine is, in a word, and why it is not better. Always 200: `readyz` is for load balancers.")
            .answers(200, body)
    };
    let ready = json!({
        "status": level_schema(), "reasons": reasons_schema(), "timestamp": text(), "correlationId": text(),
    });
    let checks = json!({
        "status": {"enum": ["healthy", "degraded", "unhealthy"]}, "level": level_schema(), "reasons": reasons_schema(),
        "checks": object(), "timestamp": text(), "correlationId": text(),
    });
    let status_body = json!({
        "environment": text(), "version": text(), "features": object(), "client": object(),
        "capabilities": object(), "mode": object(), "startedAt": text(), "correlationId": text(),
    });
    Routes::new()
        .get("/health", health, well())
        .get("/api/health", health, well())
        .get(
            "/livez",
            live,
            doc("Whether the process answers.")
                .answers(200, json!({"status": {"enum": ["pass"]}, "timestamp": text(), "correlationId": text()})),
        )
        .get(
            "/readyz",
            ready_now,
            doc("Whether runs can be accepted: 503 with the reasons while a check fails, the engine is drained, or it stops.")
                .answers(200, ready.clone())
                .answers(503, ready),
        )
        .get(
            "/api/health/detailed",
            detailed,
            doc("Every check and every breaker; 503 while a check fails.")
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

fn level_schema() -> Value {
    json!({"enum": ["pass", "warn", "fail"]})
}

fn reasons_schema() -> Value {
    let reason = json!({
        "code": text(), "check": text(), "level": level_schema(), "message": text(),
        "since": {"type": "string", "format": "date-time"}, "runbook": text(),
    });
    let needed = ["code", "check", "level", "message", "since", "runbook"];
    json!({"type": "array", "items": {"type": "object", "required": needed, "properties": reason}})
}

async fn health(
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
) -> Json<Value> {
    let snapshot = api.operator.snapshots().borrow().clone();
    Json(json!({
        "status": snapshot.health,
        "level": snapshot.health.level(),
        "reasons": snapshot.reasons,
        "timestamp": now(),
        "correlationId": id,
    }))
}

async fn live(Extension(Correlation(id)): Extension<Correlation>) -> Json<Value> {
    Json(json!({"status": Level::Pass, "timestamp": now(), "correlationId": id}))
}

async fn ready_now(
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
) -> Response {
    let snapshot = api.operator.snapshots().borrow().clone();
    let mut reasons = snapshot.reasons.clone();
    let mut level = snapshot.health.level();
    if snapshot.drained {
        // A warning for people; no place to send runs to.
        level = Level::Fail;
    }
    if api.stopping.is_cancelled() {
        level = Level::Fail;
        reasons.insert(0, stopping());
    }
    let body =
        json!({"status": level, "reasons": reasons, "timestamp": now(), "correlationId": id});
    judged(level, body)
}

/// The engine stops: what the snapshot cannot say any more.
fn stopping() -> Reason {
    Reason {
        code: "stopping".into(),
        check: "drain".into(),
        level: Level::Fail,
        message: "the engine is stopping".into(),
        since_ms: jiff::Timestamp::now().as_millisecond(),
        runbook: "docs/runbooks/engine-down.md".into(),
    }
}

async fn detailed(
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
) -> Response {
    // An engine that cannot answer is what is asked about: its health is said all the same.
    let problems = match ask(&api, Query::Workspace).await {
        Ok(Answer::Workspace { problems, .. }) => Some(problems),
        _ => None,
    };
    let snapshot = api.operator.snapshots().borrow().clone();
    let level = snapshot.health.level();
    let body = json!({
        "status": snapshot.health,
        "level": level,
        "reasons": snapshot.reasons,
        "checks": checks(&snapshot, problems.as_deref()),
        "timestamp": now(),
        "correlationId": id,
    });
    judged(level, body)
}

/// The judge's checks, and the five that clients of the platform know.
fn checks(snapshot: &Snapshot, problems: Option<&[Problem]>) -> Value {
    let mut all = serde_json::Map::new();
    for check in &snapshot.checks {
        let says = says(snapshot, &[&check.name]);
        all.insert(check.name.clone(), checked(check.level, says));
    }
    let worst = |names: &[&str]| {
        let of = snapshot
            .checks
            .iter()
            .filter(|c| names.contains(&c.name.as_str()));
        of.map(|c| c.level).max().unwrap_or_default()
    };
    for (name, of) in [
        (
            "filesystem",
            ["journal", "files", "intake", "disk"].as_slice(),
        ),
        ("environment", ["settings", "clock"].as_slice()),
    ] {
        all.insert(name.into(), checked(worst(of), says(snapshot, of)));
    }
    let registry = |level| {
        let of = |all: &[Problem]| {
            all.iter()
                .any(|p| p.severity == level && p.file.contains("registry"))
        };
        problems.is_some_and(of)
    };
    let registry = match problems {
        None => checked(Level::Warn, "not known: the engine does not answer".into()),
        Some(_) => checked(
            level_of(registry(Severity::Error), registry(Severity::Warning)),
            String::new(),
        ),
    };
    all.insert("agentRegistry".into(), registry);
    let workspace = &snapshot.workspace;
    let files = level_of(workspace.errors > 0, workspace.warnings > 0);
    let found = format!(
        "{} errors, {} warnings",
        workspace.errors, workspace.warnings
    );
    all.insert("requiredFiles".into(), checked(files, found));
    all.insert("circuitBreakers".into(), circuit_breakers(snapshot));
    all.into()
}

fn level_of(fails: bool, warns: bool) -> Level {
    match (fails, warns) {
        (true, _) => Level::Fail,
        (false, true) => Level::Warn,
        (false, false) => Level::Pass,
    }
}

/// The messages of some checks' reasons, as one sentence.
fn says(snapshot: &Snapshot, checks: &[&str]) -> String {
    let of = snapshot
        .reasons
        .iter()
        .filter(|r| checks.contains(&r.check.as_str()));
    of.map(|r| r.message.as_str())
        .collect::<Vec<_>>()
        .join("; ")
}

fn checked(level: Level, message: String) -> Value {
    if message.is_empty() {
        json!({"status": level})
    } else {
        json!({"status": level, "message": message})
    }
}

/// As the platform's documents show them.
fn circuit_breakers(snapshot: &Snapshot) -> Value {
    let shut = |b: &BreakerStats| matches!(b.state, BreakerState::Open | BreakerState::Isolated);
    let (open, closed): (Vec<_>, Vec<_>) = snapshot.breakers.iter().partition(|b| shut(b));
    let message = if open.is_empty() {
        "All circuit breakers operational".to_owned()
    } else {
        let names: Vec<&str> = open.iter().map(|b| b.name.as_str()).collect();
        format!(
            "{} of {} open: {}",
            open.len(),
            open.len() + closed.len(),
            names.join(", ")
        )
    };
    let breakers: serde_json::Map<String, Value> = snapshot
        .breakers
        .iter()
        .map(|b| {
            let state = b.state.as_str().to_uppercase().replace('-', "_");
            let breaker = json!({
                "name": b.name,
                "state": state,
                "failures": b.failures_in_row,
                "nextAttempt": next_attempt(b),
                "stats": stats(b),
            });
            (b.name.clone(), breaker)
        })
        .collect();
    json!({"status": level_of(false, !open.is_empty()), "message": message, "breakers": breakers})
}

/// When an open breaker lets a trial through.
fn next_attempt(b: &BreakerStats) -> Option<String> {
    b.retry_in_s
        .map(|_| time(b.since_ms + b.open_for_ms.cast_signed()))
}

fn stats(b: &BreakerStats) -> Value {
    json!({
        "total": b.successes + b.failures,
        "failures": b.failures,
        "successes": b.successes,
        "rejections": b.rejections,
    })
}

/// 503 with the reasons when the engine cannot do its work: an answer, not an error.
fn judged(level: Level, body: Value) -> Response {
    let status = if level == Level::Fail {
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
            json!({
                "name": b.name,
                "state": b.state,
                "failures": b.failures_in_row,
                "successes": b.successes,
                "nextAttempt": next_attempt(b),
                "stats": stats(b),
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
        let sick = judged(Level::Fail, json!({"reasons": ["the disk is full"]}));
        assert_eq!(sick.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(
            sick.extensions().get::<OwnShape>().is_some(),
            "its shape stays"
        );
        let well = judged(Level::Warn, json!({}));
        assert_eq!(well.status(), StatusCode::OK);
    }
}
