//! What lies over a screen, and what is typed and selected in it. Apart from `state.rs`, which only holds the
//! overlays.

use tui_input::Input;

use super::export::Form;
use super::inbox::Decision;
use super::open_views::OpenCosts;
use crate::console::run_form::TriggerForm;
use crate::engine::protocol::command::Command;
use crate::engine::protocol::query::Query;
use crate::engine::protocol::why::{About, Why};

/// What lies over the screen.
#[derive(Debug, Clone)]
pub enum Overlay {
    /// All keys.
    Help {
        /// First line shown.
        scroll: u16,
    },
    /// Search over all actions.
    Palette {
        /// What is typed.
        input: Input,
        /// The selected hit.
        selected: usize,
    },
    /// Start a run.
    Trigger(Box<TriggerForm>),
    /// Choose, and with Enter confirm.
    Choice(Choice),
    /// Narrow the list.
    Filter {
        /// What is typed.
        input: Input,
    },
    /// The most dangerous commands ask for a word.
    Typed {
        /// What is asked, and what it will do.
        title: String,
        /// In words.
        body: String,
        /// The word to type.
        word: &'static str,
        /// What is typed.
        input: Input,
        /// What is then sent.
        command: Box<Command>,
    },
    /// Why something is as it is.
    Why {
        /// What was asked about.
        about: About,
        /// The answer, once it is there.
        why: Option<Box<Why>>,
        /// First line shown.
        scroll: u16,
    },
    /// Talk with an agent; the conversation is [`State::talk`](super::state::State::talk).
    Ask,
    /// A drill; what is known of it is [`State::drill`](super::state::State::drill).
    Drill,
    /// What models cost.
    Costs(OpenCosts),
    /// An approval or a denial of what waits.
    Decide(Box<Decision>),
    /// Something to read.
    Text {
        /// What it is.
        title: String,
        /// All of it.
        text: String,
        /// First line shown.
        scroll: u16,
    },
    /// Leave although runs are active?
    Quit {
        /// How many.
        active: u32,
    },
}

/// What a choice leads to.
#[derive(Debug, Clone)]
pub enum Chosen {
    /// A command to the engine.
    Send(Command),
    /// Something taken out of the console.
    Export(Form),
    /// A question to the engine first.
    Look(Query),
    /// The terminal back to the shell, and this process stopped.
    Suspend,
}

/// A choice of commands.
#[derive(Debug, Clone)]
pub struct Choice {
    /// What is asked.
    pub title: String,
    /// What it will do, in words.
    pub body: String,
    /// The choices.
    pub items: Vec<(String, Chosen)>,
    /// The selected one.
    pub selected: usize,
}
