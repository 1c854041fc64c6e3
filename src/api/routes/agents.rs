//! The agents: who they are, how they stand, and one asked on its own.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::error::Failure;
use crate::api::extract::{Admin, Json as Body};
use crate::api::openapi;
use crate::api::openapi::{Routes, boolean, doc, number, text};
use crate::api::request::Correlation;
use crate::api::routes::shared::{ask, done, now, odd};
use crate::api::state::Api;
use crate::engine::protocol::command::{Command, Question, Reply};
use crate::engine::protocol::query::{Answer, Query};
use crate::workspace::agent::Agent;
use crate::workspace::events::Strategy;
use crate::workspace::registry::CONTEXTS;

pub(super) fn routes() -> Routes {
    let listed = || {
        let body = json!({"agents": openapi::list(), "total": number(), "timestamp": text()});
        doc("The agents, with what the registry says of them.")
            .query("mode", json!({"type": "string", "enum": CONTEXTS}))
            .answers(200, body)
    };
    let switched = || json!({"agentId": text(), "message": text(), "correlationId": text()});
    let strategies = json!({
        "success": boolean(), "strategies": openapi::list(), "totalEvents": number(), "correlationId": text(),
    });
    Routes::new()
        .get("/api/agents", list, listed())
        .get("/api/admin/agents", list_for_admin, listed().admin())
        .get(
            "/api/agents/status",
            all_status,
            doc("What every agent is doing.")
                .answers(200, json!({"agents": openapi::list(), "timestamp": text()})),
        )
        .get(
            "/api/agents/{id}/status",
            status,
            doc("What an agent is doing.")
                .answers(200, json!({"id": text(), "status": text(), "steps": number()})),
        )
        .get(
            "/api/agents/{id}/health",
            health,
            doc("Whether an agent can work.")
                .answers(200, json!({"id": text(), "status": text(), "models": text(), "timestamp": text()})),
        )
        .post(
            "/api/agents/run",
            run,
            doc("Ask one agent: an answer, never a decision.")
                .admin()
                .body(
                    &["agentId", "input"],
                    json!({"agentId": text(), "input": {"type": "string", "minLength": 1, "maxLength": 4000}, "payload": {}}),
                )
                .answers(200, json!({"agentId": text(), "output": text(), "model": text(), "correlationId": text()})),
        )
        .post(
            "/api/agents/start/{id}",
            switch::<true>,
            doc("Let an agent work; where the registry wants an approval, it waits for one (403).")
                .admin()
                .answers(200, switched()),
        )
        .post(
            "/api/agents/stop/{id}",
            switch::<false>,
            doc("Let an agent not work: where it is wanted, a person decides.")
                .admin()
                .answers(200, switched()),
        )
        .get(
            "/api/orchestrator/config",
            config,
            doc("Which agents an event selects.").answers(200, strategies),
        )
}

async fn switch<const ON: bool>(
    _: Admin,
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
    Path(agent): Path<String>,
) -> Result<Json<Value>, Failure> {
    let command = Command::SetAgent {
        agent: agent.clone(),
        on: ON,
    };
    let what = done(&api, command, &id).await?;
    Ok(Json(
        json!({"agentId": agent, "message": what, "correlationId": id}),
    ))
}

async fn agents(api: &Api) -> Result<Vec<Agent>, Failure> {
    match ask(api, Query::Workspace).await? {
        Answer::Workspace { agents, .. } => Ok(agents),
        _ => Err(odd()),
    }
}

/// What anybody may know of an agent: not what it is told.
fn card(agent: &Agent) -> Value {
    json!({
        "id": agent.id,
        "name": agent.name.line(200),
        "role": agent.role.line(400),
        "description": agent.description.line(1_000),
        "version": agent.version,
        "risk": agent.risk.level,
        "contexts": agent.contexts.allowed,
        "packs": agent.packs,
        "capabilities": agent.capabilities,
    })
}

async fn list(
    State(api): State<Arc<Api>>,
    axum::extract::Query(wanted): crate::api::routes::shared::Wanted,
) -> Result<Json<Value>, Failure> {
    let mode = wanted.get("mode");
    if let Some(mode) = mode
        && !CONTEXTS.contains(&mode.as_str())
    {
        return Err(Failure::input(format!(
            "unknown mode '{mode}'; there are {}",
            CONTEXTS.join(", ")
        )));
    }
    let agents = agents(&api).await?;
    let allowed = |a: &&Agent| mode.is_none_or(|m| a.contexts.allowed.contains(m));
    let cards: Vec<Value> = agents.iter().filter(allowed).map(card).collect();
    Ok(Json(
        json!({"agents": cards, "total": cards.len(), "timestamp": now()}),
    ))
}

async fn list_for_admin(
    _: Admin,
    state: State<Arc<Api>>,
    query: crate::api::routes::shared::Wanted,
) -> Result<Json<Value>, Failure> {
    list(state, query).await
}

/// What an agent is doing, from the runs in the picture.
fn standing(api: &Api, id: &str) -> Value {
    let snapshot = api.operator.snapshots().borrow().clone();
    let steps = snapshot
        .runs
        .iter()
        .filter_map(|r| r.steps.iter().find(|s| s.agent == id).map(|s| (r, s)));
    let (mut running, mut last) = (0, Value::Null);
    for (run, step) in steps {
        if !step.status.is_over() {
            running += 1;
        } else if last.is_null() {
            last = json!({"run": run.id, "status": step.status, "verdict": step.verdict});
        }
    }
    let is_stopped = snapshot.stopped_agents.iter().any(|a| a == id);
    let word = match (is_stopped, running) {
        (true, _) => "stopped",
        (false, 0) => "idle",
        _ => "running",
    };
    json!({"id": id, "status": word, "steps": running, "last": last})
}

async fn all_status(State(api): State<Arc<Api>>) -> Result<Json<Value>, Failure> {
    let all: Vec<Value> = agents(&api)
        .await?
        .iter()
        .map(|a| standing(&api, &a.id))
        .collect();
    Ok(Json(json!({"agents": all, "timestamp": now()})))
}

async fn known(api: &Api, id: &str) -> Result<Agent, Failure> {
    agents(api)
        .await?
        .into_iter()
        .find(|a| a.id == id)
        .ok_or_else(|| {
            Failure::new(
                StatusCode::NOT_FOUND,
                "AGENT_NOT_FOUND",
                format!("there is no agent '{id}'"),
            )
        })
}

async fn status(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    known(&api, &id).await?;
    Ok(Json(standing(&api, &id)))
}

async fn health(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Failure> {
    let agent = known(&api, &id).await?;
    let snapshot = api.operator.snapshots().borrow().clone();
    let ready = !snapshot.ready_providers().is_empty();
    Ok(Json(json!({
        "id": agent.id,
        "status": snapshot.health,
        "models": if ready { "pass" } else { "warn" },
        "timestamp": now(),
    })))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunAgent {
    agent_id: String,
    input: String,
    #[serde(default)]
    payload: Option<Value>,
}

/// One agent, asked on its own: an answer, never a decision.
async fn run(
    _: Admin,
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
    Body(wanted): Body<RunAgent>,
) -> Result<Json<Value>, Failure> {
    let most = api.settings.max_agent_input;
    let length = wanted.input.chars().count();
    if length == 0 || length > most {
        return Err(Failure::input(format!(
            "input has {length} characters; 1 to {most} are taken"
        )));
    }
    let mut text = wanted.input;
    if let Some(payload) = wanted.payload {
        text.push_str(&format!("\n\nPayload:\n{payload}"));
    }
    let question = Question {
        id: id.clone(),
        agent: Some(wanted.agent_id.clone()),
        text,
        history: Vec::new(),
        search: false,
    };
    let reply = super::chat::put(&api, question, &id).await?;
    let Reply::Answered { text, model, .. } = reply else {
        return Err(odd());
    };
    Ok(Json(json!({
        "agentId": wanted.agent_id,
        "output": text,
        "model": model,
        "correlationId": id,
    })))
}

async fn config(
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
) -> Result<Json<Value>, Failure> {
    let Answer::Workspace { events, .. } = ask(&api, Query::Workspace).await? else {
        return Err(odd());
    };
    let strategies: Vec<Value> = events
        .iter()
        .map(|(event, rule)| {
            let execution = match rule.strategy {
                Strategy::Parallel => "parallel",
                Strategy::Sequential => "sequential",
            };
            json!({
                "event": event,
                "agents": rule.agents,
                "execution": execution,
                "description": format!("{} agents, {execution}", rule.agents.len()),
            })
        })
        .collect();
    Ok(Json(json!({
        "success": true,
        "strategies": strategies,
        "totalEvents": events.len(),
        "correlationId": id,
    })))
}
