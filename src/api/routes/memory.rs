//! What is remembered: the most alike, the patterns of rejection, and forgetting.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::error::Failure;
use crate::api::extract::{Admin, Json as Body, Reader};
use crate::api::openapi::{Routes, boolean, doc, list, number, text};
use crate::api::request::Correlation;
use crate::api::routes::shared::{DIFF, ask, done, odd};
use crate::api::state::Api;
use crate::engine::protocol::command::Command;
use crate::engine::protocol::memory::MemoryItem;
use crate::engine::protocol::query::{Answer, Query};

pub(super) fn routes() -> Routes {
    let least = json!({"type": "number", "minimum": 0, "maximum": 1});
    let k = json!({"type": "integer", "minimum": 1, "maximum": 100});
    let found =
        || json!({"hits": list(), "total": number(), "tookUs": number(), "ready": boolean()});
    let item = json!({"type": "object", "required": ["type", "code"], "properties": {
        "type": {"enum": ["code_review", "orchestration_decision"]},
        "id": {"type": ["string", "null"], "minLength": 1, "maxLength": 200},
        "code": text(), "review": text(), "metadata": {"type": ["object", "null"]},
    }});
    Routes::new()
        .post(
            "/api/memory/search",
            search,
            doc("Past reviews and decisions most like a text, exactly, best first.")
                .reader()
                .body(&["text"], json!({"text": text(), "k": k, "minScore": least}))
                .answers(200, found()),
        )
        .get(
            "/api/memory/stats",
            stats,
            doc("How much is remembered.").reader().answers(
                200,
                json!({"reviews": number(), "decisions": number(), "textBytes": number(), "indexed": number(), "indexBytes": number(), "ready": boolean()}),
            ),
        )
        .get(
            "/api/memory/patterns",
            patterns,
            doc("Why changes are rejected.").reader().answers(
                200,
                json!({"total": number(), "rejections": number(), "rate": {"type": "number"}, "reasons": list(), "groups": list()}),
            ),
        )
        .post(
            "/api/memory/import",
            import,
            doc("Remember items; the same id replaces.")
                .admin()
                .largest(DIFF)
                .body(&["items"], json!({"items": {"type": "array", "items": item}}))
                .answers(200, json!({"message": text(), "correlationId": text()})),
        )
        .delete(
            "/api/memory/{*id}",
            forget,
            doc("Forget one item, really.")
                .admin()
                .answers(200, json!({"message": text(), "correlationId": text()})),
        )
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    text: String,
    #[serde(default = "five")]
    k: u32,
    #[serde(default)]
    min_score: f64,
}

fn five() -> u32 {
    5
}

async fn search(
    _: Reader,
    State(api): State<Arc<Api>>,
    Body(asked): Body<Asked>,
) -> Result<Json<Value>, Failure> {
    if !(1..=100).contains(&asked.k) || !(0.0..=1.0).contains(&asked.min_score) {
        return Err(Failure::input("k is 1 to 100, minScore 0 to 1"));
    }
    let query = Query::Similar {
        text: asked.text,
        k: asked.k,
        min_score: asked.min_score,
    };
    match ask(&api, query).await? {
        Answer::Similar { found } => Ok(Json(serde_json::to_value(found).map_err(|_| odd())?)),
        _ => Err(odd()),
    }
}

async fn stats(_: Reader, State(api): State<Arc<Api>>) -> Result<Json<Value>, Failure> {
    match ask(&api, Query::MemoryStats).await? {
        Answer::MemoryStats { stats } => Ok(Json(serde_json::to_value(stats).map_err(|_| odd())?)),
        _ => Err(odd()),
    }
}

async fn patterns(_: Reader, State(api): State<Arc<Api>>) -> Result<Json<Value>, Failure> {
    match ask(&api, Query::Patterns { since_ms: 0 }).await? {
        Answer::Patterns { patterns } => {
            Ok(Json(serde_json::to_value(patterns).map_err(|_| odd())?))
        }
        _ => Err(odd()),
    }
}

#[derive(Deserialize)]
struct Items {
    items: Vec<MemoryItem>,
}

async fn import(
    _: Admin,
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
    Body(wanted): Body<Items>,
) -> Result<Json<Value>, Failure> {
    let command = Command::Remember {
        items: wanted.items,
    };
    let what = done(&api, command, &id).await?;
    Ok(Json(json!({"message": what, "correlationId": id})))
}

async fn forget(
    _: Admin,
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
    Path(item): Path<String>,
) -> Result<Json<Value>, Failure> {
    let command = Command::Forget { id: item };
    let what = done(&api, command, &id).await?;
    Ok(Json(json!({"message": what, "correlationId": id})))
}
