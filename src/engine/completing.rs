//! A question of another program, passed on as it is: the gateway's way to the models.
//!
//! Why apart from `asking`: no agent, no workspace, no words of ours are added; what comes back is the
//! model's, piece by piece, and belongs to a tenant of its own.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::step::described;
use super::types::command::Refused;
use super::types::completion::{Completed, Completion, Pieces};
use crate::model::ask::{Ask, AskError, Origin, Prompt, Purpose};
use crate::model::error::ModelError;
use crate::model::hearing::{Heard, Listener};
use crate::resilience::bulkhead::Lane;
use crate::resilience::deadline::Deadline;
use crate::text::clean_line;

/// All of it.
const TIME: Duration = Duration::from_secs(300);

/// Asks; `pieces` hears the answer while it comes, if somebody reads it.
pub async fn complete(
    core: &Arc<Core>,
    wanted: Completion,
    pieces: Option<Pieces>,
) -> Result<Completed, Refused> {
    if core.mode.offline {
        return Err(Refused::Forbidden {
            reason: "models are not asked: the engine runs --offline".into(),
        });
    }
    if core.mode.read_only {
        return Err(Refused::ReadOnly);
    }
    if let Some(model) = &wanted.model
        && !core.models.knows(model)
    {
        return Err(Refused::not_found("model", model));
    }
    let listener = pieces.map(|pieces| Listener {
        // What was passed on cannot be taken back.
        reads: true,
        hear: Arc::new(move |heard: Heard<'_>| {
            if let Heard::Text(text) = heard {
                // Whoever reads may have left; the answer is then nobody's.
                let _ = pieces.send(text.to_owned());
            }
        }),
    });
    let asked = core
        .models
        .ask(Ask {
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
            deadline: Deadline::after(core.clock.now(), TIME),
            lane: Lane::Interactive,
            origin: Origin {
                run: String::new(),
                agent: "gateway".into(),
                correlation: wanted.correlation,
            },
            validate: |_| Ok(()),
            listener,
        })
        .await;
    core.tell_key_news();
    core.dirty.notify_one();
    let attempts = asked.trace.iter().filter(|a| a.sent).count() as u32;
    match asked.result {
        Ok((answer, source)) => Ok(Completed {
            text: answer.text.raw().to_owned(),
            calls: answer.calls.clone(),
            cut_off: answer.cut_off,
            model: answer.model.clone(),
            provider: answer.provider.clone(),
            source: described(source).0.to_owned(),
            tokens: answer.tokens,
            attempts,
            added_us: u64::try_from(asked.added.as_micros()).unwrap_or(u64::MAX),
        }),
        Err(error) => {
            let reason = clean_line(&core.redactor.load().text(&error.to_string()), 400);
            Err(match error {
                // Its own mistake: asked again it would be the same.
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
