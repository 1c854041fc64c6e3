//! GitHub's webhooks: verified over the bytes as they came, then handed to the engine, which answers when
//! they are on disk. And what is listed of them and of the outbox.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::{Extension, Json};
use serde_json::{Value, json};

use crate::api::error::Failure;
use crate::api::extract::Reader;
use crate::api::openapi::{Routes, boolean, doc, list, text};
use crate::api::request::Correlation;
use crate::api::request::Peer;
use crate::api::routes::shared::envelope;
use crate::api::routes::shared::{listing, odd};
use crate::api::state::Api;
use crate::code_host::github::{LARGEST_BODY, json_of, verify};
use crate::engine::protocol::blob::Blob;
use crate::engine::protocol::command::{Command, Reply};
use crate::engine::protocol::github::DeliveryOutcome;
use crate::engine::protocol::github::Webhook;
use crate::engine::protocol::query::Query;

pub(super) fn routes() -> Routes {
    let hook = || {
        let taken = json!({"status": text(), "repeated": boolean(), "correlationId": text()});
        doc("A webhook of GitHub: 202 with a run, 200 where there is nothing to do.")
            .signed()
            .body(&[], json!({}))
            .largest(LARGEST_BODY)
            .answers(202, taken.clone())
            .answers(200, taken)
    };
    let most =
        json!({"type": "integer", "minimum": 1, "maximum": crate::api::routes::shared::MOST});
    Routes::new()
        .post("/api/webhooks/github", take, hook())
        .post("/webhook/github", take, hook())
        .get(
            "/api/webhooks",
            inbox,
            doc("The newest webhooks, and what became of them.")
                .reader()
                .query("limit", most.clone())
                .answers(200, json!({"deliveries": list(), "timestamp": text()})),
        )
        .get(
            "/api/outbox",
            outbox,
            doc("Publications at GitHub: sent and waiting.")
                .reader()
                .query("limit", most)
                .answers(200, json!({"entries": list(), "timestamp": text()})),
        )
}

async fn take(
    State(api): State<Arc<Api>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Extension(Correlation(id)): Extension<Correlation>,
    headers: HeaderMap,
    body: Result<Bytes, axum::extract::rejection::BytesRejection>,
) -> Result<(StatusCode, Json<Value>), Failure> {
    let body = body.map_err(|e| Failure::of_status(e.status()))?;
    if api.webhook_secrets.is_empty() {
        return Err(Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "WEBHOOKS_DISABLED",
            "no webhook secret is set (GITHUB_WEBHOOK_SECRET), so no webhook is taken",
        ));
    }
    let signature = headers.get("x-hub-signature-256");
    let signature = signature.map_or(&[][..], axum::http::HeaderValue::as_bytes);
    if !verify(&api.webhook_secrets, &body, signature) {
        api.unsigned.fetch_add(1, Relaxed);
        tracing::warn!(corr = id, "a webhook's signature is missing or wrong");
        // Who does not know the secret is counted like everybody.
        if let Some(ip) = peer.ip()
            && api
                .limits
                .count(ip, Instant::now())
                .is_some_and(|l| l.refused)
        {
            return Err(Failure::of_status(StatusCode::TOO_MANY_REQUESTS));
        }
        return Err(Failure::new(
            StatusCode::UNAUTHORIZED,
            "INVALID_WEBHOOK_SIGNATURE",
            "X-Hub-Signature-256 is missing or wrong",
        ));
    }
    let named = |name: &str| {
        let value = headers.get(name).and_then(|v| v.to_str().ok());
        value
            .map(str::to_owned)
            .ok_or_else(|| Failure::input(format!("{name} is missing")))
    };
    let kind = headers.get(header::CONTENT_TYPE);
    let kind = kind.and_then(|v| v.to_str().ok());
    let webhook = Webhook {
        delivery: named("x-github-delivery")?,
        named: named("x-github-event")?,
        body: Blob(json_of(kind, body.into()).map_err(Failure::input)?),
    };
    let sent = api
        .operator
        .send(crate::engine::protocol::command::Envelope {
            actor: "github".into(),
            ..envelope(Command::Deliver(webhook), &id)
        });
    let Reply::Delivered {
        outcome,
        run,
        repeated,
        note,
    } = sent.await?
    else {
        return Err(odd());
    };
    let (status, word) = match outcome {
        DeliveryOutcome::Run | DeliveryOutcome::Comment => (StatusCode::ACCEPTED, "accepted"),
        DeliveryOutcome::Skipped | DeliveryOutcome::Unmapped | DeliveryOutcome::Refused => {
            (StatusCode::OK, outcome.as_str())
        }
    };
    let mut answer = json!({"status": word, "repeated": repeated, "correlationId": id});
    if let Some(run) = run {
        answer["runId"] = run.into();
    }
    if !note.is_empty() {
        answer["reason"] = note.into();
    }
    Ok((status, Json(answer)))
}

async fn inbox(
    _: Reader,
    State(api): State<Arc<Api>>,
    axum::extract::Query(wanted): crate::api::routes::shared::Wanted,
) -> Result<Json<Value>, Failure> {
    listing(&api, &wanted, |limit| Query::Deliveries { limit }).await
}

async fn outbox(
    _: Reader,
    State(api): State<Arc<Api>>,
    axum::extract::Query(wanted): crate::api::routes::shared::Wanted,
) -> Result<Json<Value>, Failure> {
    listing(&api, &wanted, |limit| Query::Outbox { limit }).await
}
