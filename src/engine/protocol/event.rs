//! What happens, as it happens. Bounded: a slow reader loses the oldest and is told how many.

use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::drill::Drilled;
use crate::engine::protocol::run::{Action, StepStatus};
use crate::resilience::breaker::Transition;
use crate::text::Untrusted;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "event")]
pub enum Event {
    /// A run was accepted.
    RunQueued {
        /// Its id.
        run: String,
    },
    /// A run began.
    RunStarted {
        /// Its id.
        run: String,
        /// It had begun before a restart.
        resumed: bool,
    },
    /// A step began.
    StepStarted {
        /// The run.
        run: String,
        /// The agent.
        agent: String,
    },
    /// A model answers a step or a question: what it has said until now.
    Said {
        /// The run's id, or the question's.
        of: String,
        /// The agent.
        agent: String,
        /// All of it or its end, redacted; takes the place of what was said before.
        text: Untrusted,
    },
    /// A step ended.
    StepFinished {
        /// The run.
        run: String,
        /// The agent.
        agent: String,
        /// How.
        status: StepStatus,
    },
    /// A run ended.
    RunFinished {
        /// Its id.
        run: String,
        /// Its decision.
        action: Action,
    },
    /// A breaker changed its state.
    Breaker {
        /// The provider.
        name: String,
        /// From, to, why.
        transition: Transition,
    },
    /// The workspace was read again.
    WorkspaceReloaded {
        /// Errors in it.
        errors: u32,
    },
    /// A line about a drill that runs.
    Drill {
        /// Its name.
        name: String,
        /// What happens.
        line: String,
    },
    /// A drill has ended.
    Drilled {
        /// Promise and measurement.
        drilled: Box<Drilled>,
    },
    /// A drill could not be carried out.
    DrillFailed {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// Something an operator should know.
    Notice {
        /// It is bad.
        bad: bool,
        /// A sentence, harmless.
        text: String,
    },
}

/// A stream of events.
pub struct EventStream {
    receiver: broadcast::Receiver<Event>,
    dropped: u64,
}

impl EventStream {
    pub(crate) fn new(receiver: broadcast::Receiver<Event>) -> Self {
        Self {
            receiver,
            dropped: 0,
        }
    }

    /// The next event; `None` when the engine has stopped.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            match self.receiver.recv().await {
                Ok(event) => return Some(event),
                Err(broadcast::error::RecvError::Lagged(lost)) => self.dropped += lost,
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }

    /// Events this reader was too slow for.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}
