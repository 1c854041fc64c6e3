//! The Runs screen: all runs, those of the journal too.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::run_list::RunList;
use crate::console::action::{Action, Scope};
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::list_habits::ListHabit;
use crate::console::widgets::panel::{inside, panel_with_foot};
use crate::console::widgets::table;
use crate::engine::protocol::command::Command;
use crate::engine::protocol::event::Event;
use crate::engine::protocol::query::{Answer, Query};

/// Runs read from the journal; the filter goes along, so that it looks at all there are.
const READ: u32 = 2_000;
/// The journal is read again at most that often because runs end, milliseconds.
const EACH_MS: i64 = 2_000;

/// The screen.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    runs: RunList,
    read_ms: i64,
}

impl Runs {
    fn read(&self) -> Vec<Intent> {
        vec![Intent::ask(Query::Runs {
            limit: READ,
            filter: self.runs.list.filter.clone(),
        })]
    }
}

impl Component for Runs {
    fn title(&self, _cx: &Context) -> String {
        "Runs".into()
    }

    fn on_show(&mut self, _cx: &Context) -> Vec<Intent> {
        self.read()
    }

    fn on_action(&mut self, action: Action, cx: &Context) -> Option<Vec<Intent>> {
        self.runs.on_action(action, cx)
    }

    fn on_answer(&mut self, query: &Query, answer: &Answer, _cx: &Context) -> Vec<Intent> {
        if let (Query::Runs { filter, .. }, Answer::Runs { runs }) = (query, answer)
            && *filter == self.runs.list.filter
        {
            self.runs.older.clone_from(runs);
        }
        Vec::new()
    }

    fn on_event(&mut self, event: &Event, cx: &Context) -> Vec<Intent> {
        // The picture keeps forty; what has left it is in the journal.
        if matches!(event, Event::RunFinished { .. }) && cx.wall_ms - self.read_ms >= EACH_MS {
            self.read_ms = cx.wall_ms;
            return self.read();
        }
        Vec::new()
    }

    fn on_click(&mut self, at: (u16, u16), area: Rect, cx: &Context) -> Vec<Intent> {
        self.runs.on_click(at, inside(area), cx)
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.runs.list.filter)
    }

    fn set_filter(&mut self, text: String, done: bool, _cx: &Context) -> Vec<Intent> {
        self.runs.list.filter = text;
        if done { self.read() } else { Vec::new() }
    }

    fn list_habit(&self) -> Option<ListHabit> {
        Some(self.runs.habit())
    }

    fn adopt(&mut self, habit: &ListHabit) {
        self.runs.adopt(habit);
    }

    fn set_columns(&mut self, heads: &[&'static str]) {
        self.runs.set_columns(heads);
    }

    fn on_sent(&mut self, _commands: &[Command]) {
        self.runs.list.marked.clear();
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let runs = self.runs.shown(cx);
        let all = runs.len();
        let marked = self.runs.marked_note(cx);
        // Of more than was read nobody here knows how many there are.
        let older = if self.runs.older.len() == READ as usize {
            "+ (newest read)"
        } else {
            ""
        };
        let wide = self.runs.columns_note(cx);
        let note = format!("{}{wide}{marked}{all}{older}", self.runs.list.filter_note());
        let left_out = cx.snapshot().runs_left_out;
        let mut foot = table::left_out(all, inside(area));
        if left_out > 0 {
            let space = if foot.is_empty() { "" } else { " " };
            foot.push_str(&format!("{space}+{left_out} live runs that are not listed"));
        }
        let inner = panel_with_foot(cx.theme, "Runs", &note, &foot, area, buffer);
        self.runs.draw(cx, &runs, inner, buffer);
    }

    fn scope(&self) -> Scope {
        Scope::Runs
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![
            Action::Trigger,
            Action::Open,
            Action::Report,
            Action::RunAgain,
            Action::Cancel,
            Action::Filter,
            Action::Describe,
            Action::Columns,
            Action::Wide,
        ]
    }

    fn subject(&self, cx: &Context) -> Subject {
        self.runs.subject(cx)
    }

    fn table(&self, cx: &Context) -> Vec<Vec<String>> {
        self.runs.table(cx)
    }

    fn copied(&self, cx: &Context) -> Option<String> {
        self.runs.copied(cx)
    }
}
