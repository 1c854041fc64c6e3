//! The seam itself over the wire: commands and queries as they are, for a console somewhere else.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::api::error::Failure;
use crate::api::extract::{Admin, Json as Body, Reader};
use crate::api::openapi::{Routes, doc};
use crate::api::request::Peer;
use crate::api::routes::shared::DIFF;
use crate::api::state::Api;
use crate::engine::protocol::command::{Command, Envelope, Refused, Reply, Subject};
use crate::engine::protocol::query::{Answer, Capabilities, Query, QueryError};
use crate::engine::protocol::snapshot::VERSION;

/// The seam's own number: two programs with the same one understand each other.
pub const SEAM: u32 = 2;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(
            "/api/seam/hello",
            hello,
            doc("Which seam this is: a console asks first.")
                .reader()
                .unlisted(),
        )
        .post(
            "/api/seam/query",
            query,
            doc("A question as a console puts it.").admin().unlisted(),
        )
}

/// Commands may wait for a model.
pub(super) fn slow_routes() -> Routes {
    Routes::new().post(
        "/api/seam/command",
        command,
        doc("A command as a console sends it.")
            .admin()
            .largest(DIFF)
            .unlisted(),
    )
}

async fn hello(_: Reader, State(api): State<Arc<Api>>) -> Json<Value> {
    Json(json!({
        "seam": SEAM,
        "snapshot": VERSION,
        "version": env!("CARGO_PKG_VERSION"),
        "capabilities": Capabilities {
            // Files are named on the machine that has them.
            local_paths: false,
            ..api.operator.capabilities()
        },
    }))
}

/// Answers keep their own errors: a console shows them as if it were here.
async fn query(
    _: Admin,
    State(api): State<Arc<Api>>,
    Body(query): Body<Query>,
) -> Json<Result<Answer, QueryError>> {
    Json(api.operator.query(query).await)
}

async fn command(
    Admin(peer): Admin,
    State(api): State<Arc<Api>>,
    Body(envelope): Body<Envelope>,
) -> Result<Json<Result<Reply, Refused>>, Failure> {
    if peer != Peer::Owner && names_local_files(&envelope.command) {
        return Err(Failure::new(
            StatusCode::FORBIDDEN,
            "INVALID_INPUT",
            "files of this machine can only be named on the owner's socket",
        ));
    }
    let actor = crate::text::clean_line(&envelope.actor, 40);
    let actor = match peer {
        Peer::Owner => actor,
        _ => format!("{actor} over the API"),
    };
    let envelope = Envelope { actor, ..envelope };
    Ok(Json(api.operator.send(envelope).await))
}

fn names_local_files(command: &Command) -> bool {
    let Command::Trigger(trigger) = command else {
        return false;
    };
    matches!(
        trigger.subject,
        Some(Subject::Range { .. } | Subject::Folder { .. })
    )
}
