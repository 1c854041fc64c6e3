//! Talking with a model: an assistant's answer, through router, limits, cache, breaker and budget.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::{Extension, Json};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::error::Failure;
use crate::api::extract::{Admin, Json as Body};
use crate::api::openapi::{Routes, boolean, doc, list, object, text};
use crate::api::request::Correlation;
use crate::api::routes::shared::envelope;
use crate::api::routes::shared::odd;
use crate::api::state::Api;
use crate::engine::protocol::command::{Command, Question, Refused, Reply};
use crate::model::Message;

pub(super) fn routes() -> Routes {
    let talk = || {
        let message = json!({
            "type": "object",
            "required": ["role"],
            "properties": {"role": {"enum": ["user", "assistant"]}, "text": text(), "content": text()},
            "oneOf": [{"required": ["text"]}, {"required": ["content"]}],
        });
        doc("Talk with a model, or with an agent by its name.")
            .admin()
            .body(
                &["message"],
                json!({
                    "message": {"type": "string", "minLength": 1, "maxLength": LONGEST.0},
                    "history": {"type": "array", "maxItems": LONGEST.1, "items": message},
                    "language": {"enum": ["ar", "en", null]},
                    "agent": {"type": ["string", "null"]},
                    "search": boolean(),
                }),
            )
            .answers(
                200,
                json!({"output": text(), "model": text(), "source": text(), "citations": list(), "tokens": object(), "correlationId": text()}),
            )
    };
    Routes::new()
        .post("/api/chat", chat, talk())
        .post("/api/chat/direct", chat, talk())
        .get(
            "/api/chat/key-status",
            keys,
            doc("Which keys are set; never their values.").answers(200, json!({"keys": object()})),
        )
}

/// Longest message, characters, and longest history, messages.
const LONGEST: (usize, usize) = (4_000, 20);

#[derive(Deserialize)]
struct Chat {
    message: String,
    #[serde(default)]
    history: Vec<Message>,
    #[serde(default)]
    language: Option<String>,
    #[serde(default)]
    agent: Option<String>,
    #[serde(default)]
    search: bool,
}

async fn chat(
    _: Admin,
    State(api): State<Arc<Api>>,
    Extension(Correlation(id)): Extension<Correlation>,
    Body(wanted): Body<Chat>,
) -> Result<Json<Value>, Failure> {
    let length = wanted.message.chars().count();
    if length == 0 || length > LONGEST.0 || wanted.history.len() > LONGEST.1 {
        return Err(Failure::input(format!(
            "a message has 1 to {} characters, its history at most {} messages",
            LONGEST.0, LONGEST.1
        )));
    }
    let text = match wanted.language.as_deref() {
        None | Some("en") => wanted.message,
        Some("ar") => format!("{}\n\n(أجب بالعربية)", wanted.message),
        Some(_) => return Err(Failure::input("language is ar or en")),
    };
    if api
        .operator
        .snapshots()
        .borrow()
        .ready_providers()
        .is_empty()
    {
        return Err(Failure::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "MISSING_API_KEY",
            "no provider can be asked; GET /api/chat/key-status says which keys are set",
        ));
    }
    let question = Question {
        id: id.clone(),
        agent: wanted.agent,
        text,
        history: wanted.history,
        search: wanted.search,
    };
    match put(&api, question, &id).await? {
        Reply::Answered {
            text,
            model,
            source,
            citations,
            tokens,
            ..
        } => Ok(Json(json!({
            "output": text,
            "model": model,
            "source": source,
            "citations": citations,
            "tokens": tokens,
            "correlationId": id,
        }))),
        _ => Err(odd()),
    }
}

/// Puts a question; an answer that did not come is the upstream's failure, not the asker's.
pub(super) async fn put(api: &Api, question: Question, id: &str) -> Result<Reply, Failure> {
    let command = envelope(Command::Ask(question), id);
    api.operator
        .send(command)
        .await
        .map_err(|refused| match refused {
            Refused::Unanswered { reason } => {
                Failure::new(StatusCode::SERVICE_UNAVAILABLE, "ALL_MODELS_FAILED", reason)
            }
            other => other.into(),
        })
}

async fn keys(State(api): State<Arc<Api>>) -> Json<Value> {
    let keys: serde_json::Map<String, Value> = api
        .keys
        .iter()
        .map(|(name, set)| (name.clone(), json!(set)))
        .collect();
    Json(json!({"keys": keys}))
}
