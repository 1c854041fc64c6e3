//! What each agent of a run at work waits for, as spans: told by the model service while it loads an answer.
//!
//! Why beside the run's own view: a phase changes many times a second, and the view is what the journal, the
//! snapshot and the decision read.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::engine::notifier::Notifier;
use crate::engine::protocol::phase::Phase;
use crate::model::estimate_tokens;
use crate::model::phase::{PhaseChange, PhaseKind};
use crate::model::stream_fanout::{StreamChunk, Subscriber};
use crate::resilience::clock::{Clock, lock};

/// Spans kept of one agent. Beyond it the oldest but the first go: a run that retries for hours shows how it
/// began and how it goes on.
const MOST: usize = 48;

/// One per run.
pub struct PhaseBoard {
    clock: Arc<dyn Clock>,
    notifier: Arc<Notifier>,
    agents: Mutex<BTreeMap<String, Vec<Phase>>>,
}

impl PhaseBoard {
    /// Nobody waits for anything.
    pub fn new(clock: Arc<dyn Clock>, notifier: Arc<Notifier>) -> Arc<Self> {
        Arc::new(Self {
            clock,
            notifier,
            agents: Mutex::default(),
        })
    }

    /// Notes what a load does for an agent, and hands everything on to `next`.
    pub fn listener(self: &Arc<Self>, agent: &str, next: Subscriber) -> Subscriber {
        let (board, agent) = (Arc::clone(self), agent.to_owned());
        Subscriber {
            reads: next.reads,
            on_chunk: Arc::new(move |chunk| {
                match &chunk {
                    StreamChunk::Phase(change) => board.enter(&agent, change),
                    StreamChunk::Text(text) => board.add_tokens(&agent, estimate_tokens(text)),
                    StreamChunk::Again => {}
                }
                (next.on_chunk)(chunk);
            }),
        }
    }

    fn enter(&self, agent: &str, change: &PhaseChange) {
        let now_ms = self.clock.wall_ms();
        let mut agents = lock(&self.agents);
        let phases = agents.entry(agent.to_owned()).or_default();
        if let Some(open) = phases.last_mut().filter(|p| p.ended_ms.is_none()) {
            open.ended_ms = Some(now_ms);
        }
        if phases.len() == MOST {
            phases.remove(1);
        }
        phases.push(Phase {
            kind: change.kind,
            provider: change.provider.to_string(),
            model: change.model.to_string(),
            attempt: change.attempt,
            of: change.of,
            reason: change.reason.as_deref().map(str::to_owned),
            started_ms: now_ms,
            ended_ms: None,
            tokens: 0,
        });
        drop(agents);
        self.notifier.mark_changed();
    }

    fn add_tokens(&self, agent: &str, tokens: u32) {
        let mut agents = lock(&self.agents);
        let open = agents.get_mut(agent).and_then(|phases| phases.last_mut());
        if let Some(open) = open.filter(|p| p.kind == PhaseKind::Streaming) {
            open.tokens = open.tokens.saturating_add(tokens);
        }
    }

    /// The agent is done with providers; returns its spans, the last one closed.
    pub fn close(&self, agent: &str) -> Vec<Phase> {
        let now_ms = self.clock.wall_ms();
        let mut phases = lock(&self.agents).remove(agent).unwrap_or_default();
        if let Some(open) = phases.last_mut().filter(|p| p.ended_ms.is_none()) {
            open.ended_ms = Some(now_ms);
        }
        phases
    }

    /// An agent's spans so far.
    pub fn of(&self, agent: &str) -> Vec<Phase> {
        lock(&self.agents).get(agent).cloned().unwrap_or_default()
    }

    /// The span that goes on.
    pub fn current(&self, agent: &str) -> Option<Phase> {
        let agents = lock(&self.agents);
        let open = agents.get(agent)?.last()?;
        open.ended_ms.is_none().then(|| open.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resilience::clock::SystemClock;

    fn board() -> Arc<PhaseBoard> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        PhaseBoard::new(Arc::clone(&clock), Notifier::new(clock))
    }

    fn change(kind: PhaseKind, attempt: u32) -> PhaseChange {
        PhaseChange {
            kind,
            provider: "openai".into(),
            model: "gpt".into(),
            attempt,
            of: 3,
            reason: None,
        }
    }

    #[test]
    fn phase_that_begins_ends_the_one_before_and_tokens_belong_to_the_stream() {
        let board = board();
        let heard = Arc::new(Mutex::new(0));
        let count = Arc::clone(&heard);
        let next = Subscriber {
            reads: false,
            on_chunk: Arc::new(move |_| *lock(&count) += 1),
        };
        let listener = board.listener("a", next);
        let send = |chunk: StreamChunk<'_>| (listener.on_chunk)(chunk);
        send(StreamChunk::Phase(&change(PhaseKind::Waiting, 1)));
        send(StreamChunk::Text("before the stream"));
        send(StreamChunk::Phase(&change(PhaseKind::Streaming, 1)));
        send(StreamChunk::Text("seven and a half words or so"));
        assert_eq!(*lock(&heard), 4, "everything is handed on");
        let current = board.current("a").unwrap();
        assert_eq!(current.kind, PhaseKind::Streaming);
        assert_eq!(
            current.tokens,
            estimate_tokens("seven and a half words or so")
        );
        let closed = board.close("a");
        let tokens: Vec<u32> = closed.iter().map(|p| p.tokens).collect();
        assert_eq!(tokens, [0, current.tokens]);
        assert!(closed.iter().all(|p| p.ended_ms.is_some()));
        assert_eq!(
            board.current("a"),
            None,
            "an agent that is done waits for nothing"
        );
    }

    #[test]
    fn spans_beyond_the_bound_keep_the_first_and_the_newest() {
        let board = board();
        for attempt in 1..=1_000 {
            board.enter("a", &change(PhaseKind::Retrying, attempt));
        }
        let phases = board.of("a");
        assert_eq!(phases.len(), MOST);
        assert_eq!(
            (
                phases[0].attempt,
                phases[1].attempt,
                phases[MOST - 1].attempt
            ),
            (1, 1_000 - MOST as u32 + 2, 1_000)
        );
    }
}
