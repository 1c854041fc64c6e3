//! A conversation with an agent: what was said, what is being said, what is typed.

use std::collections::BTreeMap;

use tui_input::Input;

use crate::engine::protocol::command::{Question, Refused, Reply};
use crate::model::{Message, Role};
use crate::text::Untrusted;
use crate::workspace::agent::Agent;

/// One thing that was said.
#[derive(Debug, Clone)]
pub struct Line {
    /// By whom.
    pub role: Role,
    /// What; outside text where the model says it.
    pub text: Untrusted,
    /// What it took, or why there is no answer.
    pub note: String,
    /// There is no answer.
    pub failed: bool,
}

/// A conversation. It stays when the window closes.
#[derive(Debug, Clone, Default)]
pub struct Chat {
    /// With this agent; none: an assistant without a role.
    pub agent: Option<String>,
    /// What was said, oldest first.
    pub lines: Vec<Line>,
    /// What is typed.
    pub input: Input,
    /// The question that is being answered.
    pub waiting: Option<String>,
    /// What has been answered so far.
    pub so_far: Untrusted,
    /// The web is asked too.
    pub search: bool,
    /// Lines up from the end.
    pub scroll: u16,
    asked: u64,
    /// What was said with the others.
    others: BTreeMap<Option<String>, Vec<Line>>,
}

/// Most that is kept of a conversation.
const LINES: usize = 40;
/// Bytes of it that go with a question.
const LONGEST: usize = 200 << 10;

impl Chat {
    /// Turns to the next agent, or the one before; after the last comes the assistant without a role.
    pub fn next_agent(&mut self, forward: bool, agents: &[Agent]) {
        let ids: Vec<&String> = agents.iter().map(|a| &a.id).collect();
        let at = |agent: &String| ids.iter().position(|id| *id == agent);
        let at = self.agent.as_ref().and_then(at).map_or(0, |at| at + 1);
        let step = if forward { 1 } else { ids.len() };
        let next = (at + step) % (ids.len() + 1);
        let chosen = next.checked_sub(1).and_then(|n| ids.get(n));
        self.turn_to(chosen.map(|id| (*id).clone()));
    }

    /// Turns to another agent, who has not heard what this one was told; both conversations stay.
    fn turn_to(&mut self, agent: Option<String>) {
        let lines = std::mem::take(&mut self.lines);
        let before = std::mem::replace(&mut self.agent, agent);
        self.others.insert(before, lines);
        self.lines = self.others.remove(&self.agent).unwrap_or_default();
        self.scroll = 0;
    }

    /// What is typed as a question, with what was said before; `None`: nothing is typed, or one waits.
    pub fn question(&mut self, wall_ms: i64) -> Option<Question> {
        let text = self.input.value().trim().to_owned();
        if text.is_empty() || self.waiting.is_some() {
            return None;
        }
        // What was never answered is not part of what was said.
        let mut history = Vec::new();
        for pair in self.lines.chunks(2) {
            if let [asked, answered] = pair
                && !answered.failed
            {
                history.extend(
                    [asked, answered].map(|l| Message::new(l.role, l.text.raw().to_owned())),
                );
            }
        }
        // What is longer than an engine takes loses its beginning.
        while history.iter().map(|m| m.text.len()).sum::<usize>() > LONGEST {
            history.drain(..2);
        }
        self.asked += 1;
        let id = format!("ask-{wall_ms}-{}", self.asked);
        self.lines.push(Line {
            role: Role::User,
            text: Untrusted::new(text.clone()),
            note: String::new(),
            failed: false,
        });
        self.input.reset();
        self.waiting = Some(id.clone());
        self.so_far = Untrusted::new(String::new());
        self.scroll = 0;
        Some(Question {
            id,
            agent: self.agent.clone(),
            text,
            history,
            search: self.search,
        })
    }

    /// Takes in what has been answered so far.
    pub fn said(&mut self, of: &str, text: &Untrusted) {
        if self.waiting.as_deref() == Some(of) {
            self.so_far = text.clone();
        }
    }

    /// Takes the answer in, or why there is none.
    pub fn answered(&mut self, question: &Question, result: Result<Reply, Refused>) {
        if self.waiting.as_ref() != Some(&question.id) {
            return;
        }
        self.waiting = None;
        self.so_far = Untrusted::new(String::new());
        let line = |text: Untrusted, note: String, failed: bool| Line {
            role: Role::Assistant,
            text,
            note,
            failed,
        };
        self.lines.push(match result {
            Ok(Reply::Answered {
                text,
                model,
                source,
                citations,
                tokens,
                micro_usd,
            }) => {
                let mut note = format!(
                    "{model}, {source}, {} + {} tokens, ${:.4}",
                    tokens.prompt,
                    tokens.completion,
                    micro_usd as f64 / 1e6
                );
                for citation in citations.iter().take(10) {
                    note.push_str(&format!("  {}", citation.url.line(120)));
                }
                line(text, note, false)
            }
            Ok(other) => line(Untrusted::default(), format!("{other:?}"), true),
            Err(refused) => line(Untrusted::default(), refused.to_string(), true),
        });
        let more = self.lines.len().saturating_sub(LINES);
        self.lines
            .drain(..more.next_multiple_of(2).min(self.lines.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Result<Reply, Refused> {
        Ok(Reply::Answered {
            text: Untrusted::from(text),
            model: "m".into(),
            source: "loaded".into(),
            citations: Vec::new(),
            tokens: crate::model::Tokens::default(),
            micro_usd: 12,
        })
    }

    #[test]
    fn a_conversation_goes_on_and_what_failed_is_no_part_of_it() {
        let mut talk = Chat {
            input: Input::from("one".to_owned()),
            ..Chat::default()
        };
        let first = talk.question(1).unwrap();
        talk.input = Input::from("too early".to_owned());
        assert_eq!(talk.question(2), None, "one at a time");
        talk.said("another", &Untrusted::from("x"));
        assert_eq!(talk.so_far.raw(), "");
        talk.said(&first.id, &Untrusted::from("an"));
        assert_eq!(talk.so_far.raw(), "an");
        talk.answered(&first, Err(Refused::input("no model")));
        let second = talk.question(3).unwrap();
        assert_eq!((&*second.text, second.history.len()), ("too early", 0));
        talk.answered(&first, answer("late"));
        assert!(talk.waiting.is_some(), "an answer to something else");
        talk.answered(&second, answer("yes"));
        talk.input = Input::from("three".to_owned());
        let third = talk.question(4).unwrap();
        let said: Vec<&str> = third.history.iter().map(|m| &*m.text).collect();
        assert_eq!(said, ["too early", "yes"]);
    }

    #[test]
    fn a_long_conversation_forgets_its_beginning() {
        let mut talk = Chat::default();
        for n in 0..60 {
            talk.input = Input::from(format!("q{n}"));
            let question = talk.question(n).unwrap();
            talk.answered(&question, answer("a"));
        }
        assert!(talk.lines.len() <= LINES + 1);
        assert_eq!(talk.lines[0].role, Role::User);
    }
}
