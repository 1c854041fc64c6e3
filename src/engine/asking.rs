//! A person asks an agent something: the conversation as a prompt, and the answer as a reply.
//!
//! Why beside the runs and not one of them: nothing is decided here. The same providers, pools and
//! breakers answer, in the lane of those who wait in front of a screen.

use std::sync::Arc;
use std::time::Duration;

use super::core::Core;
use super::prompt::who;
use super::saying;
use super::step::described;
use super::types::command::{Question, Refused, Reply};
use crate::model::ask::{Ask, Origin, Prompt, Purpose, Question as Fits, STEADY};
use crate::model::{Citation, Extras, Format, Message, Role, estimate_tokens};
use crate::resilience::bulkhead::Lane;
use crate::resilience::clock::lock;
use crate::resilience::deadline::Deadline;
use crate::text::{Untrusted, clean_line};
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

/// Asks, and waits for the answer; meanwhile events say what has come.
pub async fn ask(
    core: &Arc<Core>,
    question: Question,
    correlation: &str,
) -> Result<Reply, Refused> {
    if core.mode.offline {
        return Err(Refused::input(
            "models are not asked: the engine runs --offline",
        ));
    }
    let said: usize = question.history.iter().map(|m| m.text.len()).sum();
    if question.text.trim().is_empty() || question.text.len() > LONGEST.0 || said > LONGEST.1 {
        return Err(Refused::input(format!(
            "a question has 1 to {} bytes, the conversation before it at most {}",
            LONGEST.0, LONGEST.1
        )));
    }
    let workspace = core.workspace.load_full();
    let agent = match &question.agent {
        Some(id) => Some(
            workspace
                .agent(id)
                .ok_or_else(|| Refused::not_found("agent", id))?,
        ),
        None => None,
    };
    if let Some(agent) = agent {
        if lock(&core.stopped).contains(&agent.id) {
            let reason = format!("{} was stopped by an operator", agent.id);
            return Err(Refused::Forbidden { reason });
        }
        core.may_start(agent)?;
    }
    let redactor = core.redactor.load_full();
    let mut messages: Vec<Message> = question
        .history
        .into_iter()
        .map(|m| Message {
            text: redactor.text(&m.text),
            ..m
        })
        .collect();
    let text = redactor.text(&question.text);
    let documents = known(core, &text).await;
    messages.push(Message::new(Role::User, text));
    let role = agent.map_or_else(
        || "You help the operator of a set of review agents.".to_owned(),
        |agent| who(agent),
    );
    let talk = Talk {
        who: redactor.text(&format!(
            "{role}\n\nAn operator talks with you in a terminal. Answer in short plain text. You decide nothing here."
        )),
        documents,
        messages,
    };
    let name = agent.map_or("assistant", |a| &a.id).to_owned();
    let asked = core
        .models
        .ask(Ask {
            wanted: agent.and_then(|a| a.model_name.clone()),
            task: "chat_response".into(),
            complexity: "high".into(),
            search: question.search,
            question: Arc::new(talk),
            format: Format::Text,
            extras: Extras::none(),
            temperature: Some(STEADY),
            max_output_tokens: LONGEST_ANSWER,
            purpose: Purpose::Chat,
            tenant: "engine".into(),
            deadline: Deadline::after(core.clock.now(), TIME),
            lane: Lane::Interactive,
            origin: Origin {
                run: String::new(),
                agent: name.clone(),
                correlation: correlation.to_owned(),
            },
            validate: |_| Ok(()),
            listener: Some(saying::aloud(core, &clean_line(&question.id, 80), &name)),
        })
        .await;
    core.tell_key_news();
    core.dirty.notify_one();
    match asked.result {
        Ok((answer, source)) => {
            let redacted = |text: &Untrusted| Untrusted::new(redactor.text(text.raw()));
            Ok(Reply::Answered {
                text: redacted(&answer.text),
                model: answer.model.clone(),
                source: described(source).0.to_owned(),
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

/// What the workspace knows, the likest to the question first, framed.
async fn known(core: &Arc<Core>, about: &str) -> Vec<(String, u32)> {
    let (knowledge, _) = super::run::documents(core).await;
    let redactor = core.redactor.load_full();
    by_likeness(&knowledge.documents, about)
        .into_iter()
        .map(|document: &Document| {
            let mut text = String::new();
            super::prompt::framed(
                &redactor,
                &mut text,
                &format!("knowledge {}", document.name.line(120)),
                document.text.raw(),
            );
            let tokens = estimate_tokens(&text);
            (text, tokens)
        })
        .collect()
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
