//! A question of another program, passed on as it is: the gateway's way to the models.
//!
//! Why apart from `chat`: no agent, no workspace, no words of ours are added; what comes back is the
//! model's, piece by piece, and belongs to a tenant of its own.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::config::store::ConfigStore;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::models::access::{Models, source_name};
use crate::engine::notifier::Notifier;
use crate::engine::protocol::command::Refused;
use crate::engine::protocol::completion::{Completed, Completion, Pieces};
use crate::model::error::ModelError;
use crate::model::prompt::Prompt;
use crate::model::request::{AskError, CompletionOutcome, CompletionRequest, Origin, Purpose};
use crate::model::stream_fanout::{StreamChunk, Subscriber};
use crate::resilience::bulkhead::Lane;
use crate::resilience::deadline::Deadline;
use crate::text::clean_line;

/// Longest time for a whole answer.
const TIME: Duration = Duration::from_secs(300);

/// Forwards other programs' requests. One per engine.
pub struct Gateway {
    /// Clock and mode.
    pub lifecycle: Arc<Lifecycle>,
    /// The snapshot's signal.
    pub notifier: Arc<Notifier>,
    /// The redactor.
    pub store: Arc<ConfigStore>,
    /// Who answers.
    pub models: Arc<Models>,
}

impl Gateway {
    /// Forwards one request; `pieces` receives the answer while it comes.
    ///
    /// # Errors
    /// Models may not be asked, there is no such model, the request is wrong, or no model answered.
    pub async fn complete(
        &self,
        wanted: Completion,
        pieces: Option<Pieces>,
    ) -> Result<Completed, Refused> {
        if self.lifecycle.mode.offline {
            return Err(Refused::Forbidden {
                reason: "models are not asked: the engine runs --offline".into(),
            });
        }
        if self.lifecycle.mode.read_only {
            return Err(Refused::ReadOnly);
        }
        if let Some(model) = &wanted.model
            && !self.models.service.knows(model)
        {
            return Err(Refused::not_found("model", model));
        }
        let asked = self
            .models
            .service
            .ask(CompletionRequest {
                wanted: wanted.model,
                task: "chat_response".into(),
                complexity: "high".into(),
                search: false,
                question: Arc::new(Prompt {
                    system: wanted.system,
                    messages: wanted.messages,
                    left_out: Vec::new(),
                }),
                format: wanted.format,
                extras: Arc::new(wanted.extras),
                temperature: wanted.temperature,
                max_output_tokens: wanted.max_output_tokens,
                purpose: Purpose::Chat,
                tenant: format!("gateway {}", wanted.tenant),
                deadline: Deadline::after(self.lifecycle.now(), TIME),
                lane: Lane::Interactive,
                origin: Origin {
                    run: String::new(),
                    agent: "gateway".into(),
                    correlation: wanted.correlation,
                },
                validate: |_| Ok(()),
                listener: pieces.map(forward_to),
            })
            .await;
        self.models.report_refused_keys();
        self.notifier.mark_changed();
        self.completed(asked)
    }

    fn completed(&self, asked: CompletionOutcome) -> Result<Completed, Refused> {
        let attempts = asked.trace.iter().filter(|a| a.sent).count() as u32;
        match asked.result {
            Ok((answer, source)) => Ok(Completed {
                text: answer.text.raw().to_owned(),
                calls: answer.calls.clone(),
                cut_off: answer.cut_off,
                model: answer.model.clone(),
                provider: answer.provider.clone(),
                source: source_name(source).0.to_owned(),
                tokens: answer.tokens,
                attempts,
                added_us: u64::try_from(asked.added.as_micros()).unwrap_or(u64::MAX),
            }),
            Err(error) => {
                let reason = clean_line(&self.store.redactor().text(&error.to_string()), 400);
                Err(match error {
                    // The request itself is wrong: asked again it would be the same.
                    AskError::Model(
                        ModelError::AtForm(_)
                        | ModelError::Status {
                            status: 400 | 422, ..
                        },
                    ) => Refused::input(reason),
                    _ => Refused::Unanswered { reason },
                })
            }
        }
    }
}

/// Sends an answer on, chunk by chunk.
fn forward_to(pieces: Pieces) -> Subscriber {
    Subscriber {
        // What was sent on cannot be taken back.
        reads: true,
        on_chunk: Arc::new(move |chunk: StreamChunk<'_>| {
            if let StreamChunk::Text(text) = chunk {
                // The reader may have left; then nobody needs the answer.
                let _ = pieces.send(text.to_owned());
            }
        }),
    }
}
