//! What a drill and its engine tell each other: a line of JSON each way, over the child's standard input and output.
//!
//! Why a process of its own: it is killed, its files are deleted and its writes fail. The engine that an operator
//! relies on shares nothing with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What the engine is asked, with a number that comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Of this request.
    pub number: u64,
    /// What.
    pub request: Request,
}

/// What the engine answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answered {
    /// The request's number; 0: whether it started.
    pub number: u64,
    /// What.
    pub answer: Answer,
}

/// What the engine is asked to do or say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "ask")]
pub enum Request {
    /// Accept a run of a change of about so many bytes. [`Answer::Accepted`] or [`Answer::Refused`].
    Accept {
        /// Names the run in what [`Request::Runs`] lists.
        title: String,
        /// Bytes of its change.
        bytes: usize,
    },
    /// Say how it is.
    Health,
    /// List every run in the journal.
    Runs,
    /// The journal's file may not grow any more, as on a full disk; or it may again.
    Full {
        /// It may not.
        full: bool,
    },
    /// The journal's thread stands still for so long, as it does while a disk hangs.
    Stall {
        /// Milliseconds.
        ms: u64,
    },
    /// The wall clock is set: so far from the machine's, milliseconds.
    Clock {
        /// Ahead, or behind where negative.
        ahead_ms: i64,
    },
    /// One pass of retention, by the bounds.
    Prune,
    /// Stop in good order.
    Stop,
}

/// What it says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "answer")]
pub enum Answer {
    /// It runs.
    Ready,
    /// It cannot start, or could not do it.
    Failed {
        /// Why.
        reason: String,
    },
    /// Done.
    Done,
    /// The run is kept.
    Accepted {
        /// Its id.
        run: String,
    },
    /// The run is not kept.
    Refused {
        /// Why.
        reason: String,
    },
    /// How it is.
    Health {
        /// Codes of the reasons.
        codes: Vec<String>,
    },
    /// Every run, by title.
    Runs {
        /// Each run's titles and state.
        runs: BTreeMap<String, Vec<Kept>>,
    },
    /// What a pass of retention removed.
    Pruned {
        /// Items, over all stores.
        items: u64,
    },
}

/// A run in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Kept {
    /// Its id.
    pub id: String,
    /// It has a decision.
    pub decided: bool,
}
