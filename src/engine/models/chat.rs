//! A person asks an agent something: the conversation as a prompt, and the answer as a reply.
//!
//! Why beside the runs and not one of them: nothing is decided here. The same providers, pools and
//! breakers answer, in the lane of those who wait in front of a screen.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::agents::AgentControl;
use crate::engine::config::caches::WorkspaceCaches;
use crate::engine::config::store::ConfigStore;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::models::access::{Models, source_name};
use crate::engine::models::prompt::{framed, who};
use crate::engine::models::stream_events::StreamEvents;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::command::{Question, Refused, Reply};
use crate::model::prompt::Prompt;
use crate::model::prompt::Question as Fits;
use crate::model::request::{CompletionOutcome, CompletionRequest, Origin, Purpose, STEADY};
use crate::model::{Citation, Format, Message, RequestOptions, Role, estimate_tokens};
use crate::resilience::bulkhead::Lane;
use crate::resilience::deadline::Deadline;
use crate::review::redact::Redactor;
use crate::text::{Untrusted, clean_line};
use crate::workspace::agent::Agent;
use crate::workspace::knowledge::{Document, by_likeness};

/// Longest question, and longest conversation before it, bytes.
const LONGEST: (usize, usize) = (32 << 10, 256 << 10);
/// Tokens of the longest answer.
const LONGEST_ANSWER: u32 = 4_096;
/// All of it.
const TIME: Duration = Duration::from_secs(120);

/// A conversation that is cut from its beginning where a model cannot read all of it.
struct Talk {
    who: String,
    documents: Vec<(String, u32)>,
    messages: Vec<Message>,
}

impl Fits for Talk {
    fn fit(&self, tokens: u32) -> Prompt {
        let newest = self.messages.last().map_or(0, |m| estimate_tokens(&m.text));
        let mut left = tokens
            .saturating_sub(estimate_tokens(&self.who))
            .saturating_sub(newest);
        let mut system = self.who.clone();
        let mut left_out = Vec::new();
        // Half of the room for what the workspace knows, the rest for what was said.
        let mut for_documents = left / 2;
        for (text, tokens) in &self.documents {
            if *tokens <= for_documents {
                for_documents -= tokens;
                left -= tokens;
                system.push_str(text);
            } else {
                left_out.push(Untrusted::from("a knowledge document"));
            }
        }
        let before = self.messages.len().saturating_sub(1);
        let mut from = before;
        for (n, message) in self.messages[..before].iter().enumerate().rev() {
            let tokens = estimate_tokens(&message.text);
            if tokens > left {
                left_out.push(Untrusted::from("the beginning of the conversation"));
                break;
            }
            left -= tokens;
            from = n;
        }
        // A conversation begins with who asks.
        while from < before && self.messages[from].role != Role::User {
            from += 1;
        }
        Prompt {
            system,
            messages: self.messages[from..].to_vec(),
            left_out,
        }
    }
}

/// Answers an operator's questions. One per engine.
pub struct Chat {
    /// Clock and mode.
    pub lifecycle: Arc<Lifecycle>,
    /// Alerts, and the snapshot's signal.
    pub notifier: Arc<Notifier>,
    /// Workspace and redactor.
    pub store: Arc<ConfigStore>,
    /// Knowledge documents.
    pub caches: Arc<WorkspaceCaches>,
    /// Who answers.
    pub models: Arc<Models>,
    /// Which agents may be asked.
    pub agents: Arc<AgentControl>,
    /// Publishes partial answers.
    pub stream: Arc<StreamEvents>,
}

impl Chat {
    /// Asks, and waits for the answer; meanwhile events carry what has come.
    ///
    /// # Errors
    /// The question is too long, its agent may not answer, or no model answered.
    pub async fn ask(&self, question: Question, correlation: &str) -> Result<Reply, Refused> {
        self.check(&question)?;
        let workspace = self.store.workspace();
        let agent = match &question.agent {
            Some(id) => Some(
                workspace
                    .agent(id)
                    .ok_or_else(|| Refused::not_found("agent", id))?,
            ),
            None => None,
        };
        if let Some(agent) = agent {
            if self.agents.is_stopped(&agent.id) {
                let reason = format!("{} was stopped by an operator", agent.id);
                return Err(Refused::Forbidden { reason });
            }
            self.agents.may_start(agent).await?;
        }
        let redactor = self.store.redactor();
        let talk = self
            .conversation(&question, agent.map(|a| &**a), &redactor)
            .await;
        let name = agent.map_or("assistant", |a| &a.id).to_owned();
        let asked = self
            .models
            .service
            .ask(CompletionRequest {
                wanted: agent.and_then(|a| a.model_name.clone()),
                task: "chat_response".into(),
                complexity: "high".into(),
                search: question.search,
                question: Arc::new(talk),
                format: Format::Text,
                extras: RequestOptions::none(),
                temperature: Some(STEADY),
                max_output_tokens: LONGEST_ANSWER,
                purpose: Purpose::Chat,
                tenant: "engine".into(),
                deadline: Deadline::after(self.lifecycle.now(), TIME),
                lane: Lane::Interactive,
                origin: Origin {
                    run: String::new(),
                    agent: name.clone(),
                    correlation: correlation.to_owned(),
                },
                validate: |_| Ok(()),
                listener: Some(self.stream.listener(&clean_line(&question.id, 80), &name)),
            })
            .await;
        self.models.report_refused_keys();
        self.notifier.mark_changed();
        reply(asked, &redactor)
    }

    fn check(&self, question: &Question) -> Result<(), Refused> {
        if self.lifecycle.mode.offline {
            return Err(Refused::input(
                "models are not asked: the engine runs --offline",
            ));
        }
        let history: usize = question.history.iter().map(|m| m.text.len()).sum();
        let text = &question.text;
        if text.trim().is_empty() || text.len() > LONGEST.0 || history > LONGEST.1 {
            return Err(Refused::input(format!(
                "a question has 1 to {} bytes, the conversation before it at most {}",
                LONGEST.0, LONGEST.1
            )));
        }
        Ok(())
    }

    async fn conversation(
        &self,
        question: &Question,
        agent: Option<&Agent>,
        redactor: &Redactor,
    ) -> Talk {
        let mut messages: Vec<Message> = question
            .history
            .iter()
            .map(|m| Message {
                text: redactor.text(&m.text),
                ..m.clone()
            })
            .collect();
        let text = redactor.text(&question.text);
        let documents = self.documents(&text).await;
        messages.push(Message::new(Role::User, text));
        let role = agent.map_or_else(
            || "You help the operator of a set of review agents.".to_owned(),
            who,
        );
        Talk {
            who: redactor.text(&format!(
                "{role}\n\nAn operator talks with you in a terminal. Answer in short plain text. You decide nothing here."
            )),
            documents,
            messages,
        }
    }

    /// The workspace's documents, those most like the question first, each framed, with its tokens.
    async fn documents(&self, about: &str) -> Vec<(String, u32)> {
        let (knowledge, _) = self.caches.documents().await;
        let redactor = self.store.redactor();
        by_likeness(&knowledge.documents, about)
            .into_iter()
            .map(|document: &Document| {
                let mut text = String::new();
                let title = format!("knowledge {}", document.name.line(120));
                framed(&redactor, &mut text, &title, document.text.raw());
                let tokens = estimate_tokens(&text);
                (text, tokens)
            })
            .collect()
    }
}

fn reply(asked: CompletionOutcome, redactor: &Redactor) -> Result<Reply, Refused> {
    match asked.result {
        Ok((answer, source)) => {
            let redacted = |text: &Untrusted| Untrusted::new(redactor.text(text.raw()));
            Ok(Reply::Answered {
                text: redacted(&answer.text),
                model: answer.model.clone(),
                source: source_name(source).0.to_owned(),
                citations: answer
                    .citations
                    .iter()
                    .map(|c| Citation {
                        url: redacted(&c.url),
                        title: c.title.as_ref().map(redacted),
                    })
                    .collect(),
                tokens: asked.used.tokens,
                micro_usd: asked.used.micro_usd,
            })
        }
        Err(error) => Err(Refused::Unanswered {
            reason: clean_line(&redactor.text(&error.to_string()), 400),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(role: Role, words: usize) -> Message {
        Message::new(role, "word ".repeat(words))
    }

    #[test]
    fn a_long_conversation_is_cut_from_its_beginning_and_begins_with_who_asks() {
        let talk = Talk {
            who: "You are a reviewer.".into(),
            documents: vec![("known ".repeat(50), 90), ("other ".repeat(5_000), 9_000)],
            messages: vec![
                said(Role::User, 500),
                said(Role::Assistant, 100),
                said(Role::User, 100),
                said(Role::Assistant, 100),
                said(Role::User, 10),
            ],
        };
        let whole = talk.fit(u32::MAX);
        assert_eq!((whole.messages.len(), whole.left_out.len()), (5, 0));
        let cut = talk.fit(700);
        assert!(cut.tokens() <= 700, "{}", cut.tokens());
        assert_eq!(cut.messages.len(), 3, "the newest, from a question on");
        assert_eq!(cut.messages[0].role, Role::User);
        assert!(cut.system.contains("known") && !cut.system.contains("other"));
        assert_eq!(cut.left_out.len(), 2);
        assert_eq!(talk.fit(0).messages.len(), 1, "the question itself stays");
    }
}
