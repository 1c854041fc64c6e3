//! The contract of screens and dialogs. Each owns its state, its keys and its drawing; it reads the
//! [`Context`] and answers with [`Intent`]s, which the shell carries out. None sees the whole state.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::action::{Action, Scope};
use super::context::Context;
use super::list_habits::ListHabit;
use super::message::Effect;
use super::route::Route;
use crate::engine::protocol::command::{Command, Refused, Reply};
use crate::engine::protocol::event::Event;
use crate::engine::protocol::query::{Answer, Query};
use crate::engine::protocol::why::About;

/// What a component wants to happen.
#[derive(Debug)]
pub enum Intent {
    /// Something outside the console.
    Do(Effect),
    /// Go there; Esc returns.
    Navigate(Route),
    /// Lay a dialog over the screen.
    Open(Box<dyn Dialog>),
    /// Say something for a few seconds.
    Toast {
        /// What.
        text: String,
        /// It is bad.
        bad: bool,
    },
    /// Do what another key does.
    Act(Action),
    /// Narrow the list of the topmost component; the text is still being typed where `done` is false.
    Filter {
        /// The filter.
        text: String,
        /// Typing has ended.
        done: bool,
    },
    /// Save this filter of the topmost component's list, or forget it where it is saved.
    SaveFilter(String),
    /// Show these columns of the topmost component's list, by their heads.
    ShowColumns(Vec<&'static str>),
    /// Run a line of the command line that has arguments.
    Typed(String),
    /// Remember a line of the command line.
    RememberCommand(String),
    /// Look for a word in the lines of the topmost component; it is still being typed where `done` is false.
    Search {
        /// The word.
        text: String,
        /// Typing has ended.
        done: bool,
    },
}

impl Intent {
    /// A question to the engine.
    pub fn ask(query: Query) -> Self {
        Self::Do(Effect::Query(query))
    }

    /// A command to the engine.
    pub fn send(command: Command) -> Self {
        Self::Do(Effect::Send(command))
    }

    /// Good news.
    pub fn note(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::Toast { text, bad: false }
    }

    /// Bad news.
    pub fn warn(text: impl Into<String>) -> Self {
        let text = text.into();
        Self::Toast { text, bad: true }
    }
}

/// What keys act on: the selected row, or what is open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Subject {
    /// Nothing in particular.
    #[default]
    None,
    /// A run.
    Run(String),
    /// An attempt at a provider.
    Call {
        /// The run that made it; none for a person's question.
        run: Option<String>,
        /// The agent.
        agent: String,
        /// The provider.
        provider: String,
    },
    /// A provider with its breaker.
    Provider(String),
    /// A pool.
    Pool(String),
    /// A cache.
    Cache(String),
    /// A pending approval.
    Approval(String),
    /// An alert, by its id.
    Alert(String),
}

impl Subject {
    /// The run, if it is one or belongs to one.
    pub fn run(&self) -> Option<&str> {
        match self {
            Self::Run(id) => Some(id),
            Self::Call { run, .. } => run.as_deref(),
            _ => None,
        }
    }

    /// There are log lines about it.
    pub fn is_logged(&self) -> bool {
        match self {
            Self::None | Self::Approval(_) => false,
            Self::Call { run, .. } => run.is_some(),
            _ => true,
        }
    }

    /// What `w` asks about it.
    pub fn about(&self) -> About {
        match self {
            Self::Run(id) => About::Run { id: id.clone() },
            Self::Call { provider: name, .. } | Self::Provider(name) => {
                About::Provider { name: name.clone() }
            }
            Self::Pool(name) => About::Pool { name: name.clone() },
            Self::Cache(name) => About::Cache { name: name.clone() },
            Self::None | Self::Approval(_) | Self::Alert(_) => About::Health,
        }
    }
}

/// A place in the console: what a [`Route`] leads to.
pub trait Component: std::fmt::Debug + Send {
    /// Where it is, in a word or two, for the breadcrumbs.
    fn title(&self, cx: &Context) -> String;

    /// It is shown (again): what it needs to read.
    fn on_show(&mut self, _cx: &Context) -> Vec<Intent> {
        Vec::new()
    }

    /// An action of a key; `None`: it means nothing here, the shell decides.
    fn on_action(&mut self, action: Action, cx: &Context) -> Option<Vec<Intent>>;

    /// A new picture came, and this is the topmost component.
    fn on_snapshot(&mut self, _cx: &Context) -> Vec<Intent> {
        Vec::new()
    }

    /// Another recorded picture is shown, or the newest one again, and this is the topmost component.
    fn on_rewind(&mut self, _cx: &Context) -> Vec<Intent> {
        Vec::new()
    }

    /// Time has passed, and this is the topmost component.
    fn on_tick(&mut self, _cx: &Context) -> Vec<Intent> {
        Vec::new()
    }

    /// Wall time in milliseconds at which it wants [`Component::on_tick`]; `None`: it waits for nothing.
    fn wakes_ms(&self) -> Option<i64> {
        None
    }

    /// The engine answered a question; perhaps another's.
    fn on_answer(&mut self, _query: &Query, _answer: &Answer, _cx: &Context) -> Vec<Intent> {
        Vec::new()
    }

    /// Something happened in the engine.
    fn on_event(&mut self, _event: &Event, _cx: &Context) -> Vec<Intent> {
        Vec::new()
    }

    /// A click inside `area`, in which it was drawn.
    fn on_click(&mut self, _at: (u16, u16), _area: Rect, _cx: &Context) -> Vec<Intent> {
        Vec::new()
    }

    /// The filter of its list; `None`: it has none.
    fn filter(&self) -> Option<&str> {
        None
    }

    /// Takes another filter; `done`: typing has ended.
    fn set_filter(&mut self, _text: String, _done: bool, _cx: &Context) -> Vec<Intent> {
        Vec::new()
    }

    /// How its list stands, for the next start; `None`: nothing of it is remembered.
    fn list_habit(&self) -> Option<ListHabit> {
        None
    }

    /// Its list as it was left the last time.
    fn adopt(&mut self, _habit: &ListHabit) {}

    /// Shows these columns of its list, by their heads.
    fn set_columns(&mut self, _heads: &[&'static str]) {}

    /// Commands for its marked rows are on their way.
    fn on_sent(&mut self, _commands: &[Command]) {}

    /// Takes a word to look for; `done`: typing has ended.
    fn set_search(&mut self, _text: String, _done: bool, _cx: &Context) -> Vec<Intent> {
        Vec::new()
    }

    /// Draws it.
    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer);

    /// Where keys have a meaning of their own here.
    fn scope(&self) -> Scope {
        Scope::Everywhere
    }

    /// How many panels share the screen; below two there is none to focus or to zoom.
    fn panels(&self, _cx: &Context) -> usize {
        1
    }

    /// The keys that matter here, the most useful first.
    fn hints(&self, cx: &Context) -> Vec<Action>;

    /// What keys act on.
    fn subject(&self, cx: &Context) -> Subject;

    /// What `w` asks about.
    fn about(&self, cx: &Context) -> About {
        self.subject(cx).about()
    }

    /// Its list as a table, the head first; for export.
    fn table(&self, _cx: &Context) -> Vec<Vec<String>> {
        Vec::new()
    }

    /// What `y` copies.
    fn copied(&self, _cx: &Context) -> Option<String> {
        None
    }

    /// What is pasted into its filter may be this long, in characters.
    fn longest_paste(&self) -> usize {
        2_000
    }
}

/// Which dialog it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialogKind {
    /// All keys.
    Help,
    /// Search over all actions.
    Palette,
    /// A filter being typed.
    Filter,
    /// A word to look for being typed.
    Search,
    /// A choice of columns.
    Columns,
    /// A choice of commands.
    Choice,
    /// A word to type before something dangerous.
    TypedConfirm,
    /// The form that starts a run.
    RunForm,
    /// Why something is as it is.
    Why,
    /// What models cost.
    Costs,
    /// A conversation with an agent.
    Chat,
    /// A drill.
    Drill,
    /// An approval or a denial.
    Decide,
    /// Something to read.
    Text,
    /// Leave although runs are active?
    Quit,
}

/// What becomes of a dialog after a key.
#[derive(Debug, Default)]
pub struct Step {
    /// It closes.
    pub closes: bool,
    /// What it wants.
    pub intents: Vec<Intent>,
}

impl Step {
    /// It stays as it is.
    pub fn stay() -> Self {
        Self::default()
    }

    /// It stays and wants something.
    pub fn want(intents: Vec<Intent>) -> Self {
        Self {
            closes: false,
            intents,
        }
    }

    /// It closes.
    pub fn close() -> Self {
        Self::finish(Vec::new())
    }

    /// It closes and wants something.
    pub fn finish(intents: Vec<Intent>) -> Self {
        Self {
            closes: true,
            intents,
        }
    }
}

/// What lies over a screen.
pub trait Dialog: std::fmt::Debug + Send {
    /// Which it is.
    fn kind(&self) -> DialogKind;

    /// A key, and the action that it stands for where nothing is typed.
    fn on_key(&mut self, key: KeyEvent, action: Option<Action>, cx: &Context) -> Step;

    /// A text was pasted; lines end in `\n`.
    fn on_paste(&mut self, _text: &str, _cx: &Context) -> Vec<Intent> {
        Vec::new()
    }

    /// The engine answered a question; perhaps another's.
    fn on_answer(&mut self, _query: &Query, _answer: &Answer, _cx: &Context) -> Step {
        Step::stay()
    }

    /// A question got no answer.
    fn on_no_answer(&mut self, _query: &Query, _error: &str) {}

    /// The engine carried a command out or refused it. True: it was this dialog's, nothing more is said.
    fn on_reply(&mut self, _command: &Command, _result: &Result<Reply, Refused>) -> bool {
        false
    }

    /// Something happened in the engine.
    fn on_event(&mut self, _event: &Event) {}

    /// The same action again is its answer: it closes and this is done.
    fn repeats(&self, _action: Action) -> Option<Vec<Intent>> {
        None
    }

    /// It has nothing more to say once it is closed; else it is kept and goes on.
    fn ends_when_closed(&self) -> bool {
        true
    }

    /// A click, inside `area`, over which it was drawn.
    fn on_click(&mut self, _at: (u16, u16), _area: Rect, _cx: &Context) -> Step {
        Step::stay()
    }

    /// Draws it over `area`.
    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer);
}
