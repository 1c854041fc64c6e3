//! What a monitor collects: the picture as Prometheus text, and as JSON.

mod families;
mod page;

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::Json;
use axum::extract::State;
use serde_json::json;

use self::page::Page;
use crate::api::extract::Reader;
use crate::api::openapi;
use crate::api::openapi::{Routes, doc, list, number, object};
use crate::api::state::Api;
use crate::engine::protocol::snapshot::Snapshot;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(
            "/metrics",
            text,
            doc("Figures as Prometheus text.").reader().sends("text/plain"),
        )
        .get(
            "/api/metrics",
            json,
            doc("The picture that the console draws.").reader().answers(
                200,
                json!({"version": number(), "health": openapi::text(), "workspace": object(), "runs": list()}),
            ),
        )
}

async fn json(_: Reader, State(api): State<Arc<Api>>) -> Json<Snapshot> {
    let snapshot = api.operator.snapshots().borrow().clone();
    Json((*snapshot).clone())
}

async fn text(
    _: Reader,
    State(api): State<Arc<Api>>,
) -> ([(&'static str, &'static str); 1], String) {
    let snapshot = api.operator.snapshots().borrow().clone();
    let mut page = Page::default();
    families::write(&mut page, &snapshot);
    page.family(
        "bsm_webhooks_unsigned_total",
        "counter",
        "Webhooks whose signature was missing or wrong.",
    )
    .one(api.unsigned.load(Relaxed) as f64);
    (
        [("content-type", "text/plain; version=0.0.4; charset=utf-8")],
        page.into_text(),
    )
}
