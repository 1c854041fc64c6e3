//! What reaches the console, and what it asks to be done.

use std::sync::Arc;
use std::time::Instant;

use crossterm::event::{KeyEvent, MouseEvent};

use super::export::Form;
use crate::engine::protocol::command::{Command, Refused, Reply};
use crate::engine::protocol::event::Event;
use crate::engine::protocol::query::{Answer, Query, QueryError};
use crate::engine::protocol::snapshot::Snapshot;

/// Something happened.
#[derive(Debug, Clone)]
pub enum Message {
    /// A key went down.
    Key(KeyEvent),
    /// The mouse did something.
    Mouse(MouseEvent),
    /// Text was pasted.
    Paste(String),
    /// The terminal has a new size.
    Resize(u16, u16),
    /// The terminal got or lost the focus.
    Focus(bool),
    /// The engine's newest picture.
    Snapshot(Arc<Snapshot>),
    /// Something happened in the engine; how many happenings were missed so far.
    Happened(Event, u64),
    /// A command was carried out, or not.
    Replied(Command, Result<Reply, Refused>),
    /// Commands that were sent together were carried out, or not.
    RepliedAll {
        /// Those that were sent.
        replies: Vec<(Command, Result<Reply, Refused>)>,
        /// So many were not sent any more, for the engine did not answer.
        not_sent: usize,
    },
    /// A query was answered.
    Answered(Query, Result<Answer, QueryError>),
    /// Something was taken out of the console, or could not be.
    Exported(Result<String, String>),
    /// Time has passed.
    Tick,
    /// The terminal is gone, or a signal asked to stop.
    Gone,
}

/// Something to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Send a command to the engine.
    Send(Command),
    /// Send commands to the engine, one after the other; one summary is shown.
    SendAll(Vec<Command>),
    /// Ask the engine.
    Query(Query),
    /// Ask the terminal to take a text into its clipboard.
    Copy(String),
    /// Write what is shown into a file.
    Export(Form),
    /// Ring the bell.
    Bell,
    /// Have the mouse reported, or not.
    Mouse(bool),
    /// Hand the terminal back to the shell for a while.
    Suspend,
    /// Forget what is on the screen and draw all of it.
    Redraw,
    /// Leave.
    Quit,
}

/// The time, given with every message so that updating stays pure.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// Monotonic.
    pub at: Instant,
    /// Wall time, milliseconds.
    pub wall_ms: i64,
}
