//! Runs as a list: what they are, how far they are, what was decided. The Overview and the Runs screen show it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use crate::console::action::Action as Key;
use crate::console::component::{Intent, Subject};
use crate::console::context::Context;
use crate::console::format::{seconds, short_id};
use crate::console::route::Route;
use crate::console::theme::{Mark, Role};
use crate::console::widgets::list::{ListState, first_visible, row_at};
use crate::console::widgets::table::{one_line, with_head};
use crate::console::widgets::text::{fit, line, put, row};
use crate::engine::protocol::run::{Action, RunState, StepStatus};
use crate::engine::protocol::snapshot::RunSummary;
use crate::filter::Row as _;

/// The list: selection and filter, and ended runs as last read from the journal, newest first, which are more
/// than the picture holds.
#[derive(Debug, Clone, Default)]
pub struct RunList {
    /// Selection, filter, marks.
    pub list: ListState,
    /// From the journal.
    pub older: Vec<RunSummary>,
}

impl RunList {
    /// Runs that pass the filter, newest first.
    pub fn shown<'a>(&'a self, cx: &'a Context) -> Vec<&'a RunSummary> {
        let filter = self.list.terms();
        let picture = &cx.snapshot().runs;
        let mut runs: Vec<&RunSummary> = picture.iter().filter(|r| filter.passes(*r)).collect();
        // The picture's list ends where the journal's goes on; the engine has filtered that one.
        if cx.frozen.is_none() {
            let end = picture.last().map_or(i64::MAX, |r| r.created_ms);
            let known = |id: &str| picture.iter().any(|r| r.id == id);
            let older = self.older.iter().filter(|r| r.created_ms <= end);
            runs.extend(older.filter(|r| filter.passes(*r) && !known(&r.id)));
        }
        runs
    }

    /// The selected row.
    pub fn selected(&self, runs: &[&RunSummary]) -> usize {
        self.list.selected(runs.len(), |n| &runs[n].id)
    }

    /// The selected run.
    pub fn subject(&self, cx: &Context) -> Subject {
        let runs = self.shown(cx);
        let run = runs.get(self.selected(&runs));
        run.map_or(Subject::None, |r| Subject::Run(r.id.clone()))
    }

    /// Moves, opens; `None` where the action means something else.
    pub fn on_action(&mut self, action: Key, cx: &Context) -> Option<Vec<Intent>> {
        if action == Key::Open {
            return Some(match self.subject(cx) {
                Subject::Run(id) => vec![Intent::Navigate(Route::Run { id })],
                // Nothing to open yet: the empty list says that Enter starts the first run.
                _ if cx.snapshot().runs.is_empty() => vec![Intent::Act(Key::Trigger)],
                _ => Vec::new(),
            });
        }
        let runs: Vec<String> = self.shown(cx).iter().map(|r| r.id.clone()).collect();
        let moves = self.list.travel(action, runs.len(), |n| &runs[n]);
        moves.then(Vec::new)
    }

    /// A click on a line of the list: selects, and opens what was selected already.
    pub fn on_click(&mut self, line: u16, height: usize, cx: &Context) -> Vec<Intent> {
        let runs = self.shown(cx);
        let before = self.selected(&runs);
        let Some(n) = row_at(line, before, height, runs.len()) else {
            return Vec::new();
        };
        let id = runs[n].id.clone();
        if n == before {
            return vec![Intent::Navigate(Route::Run { id })];
        }
        self.list.select(n, &id);
        Vec::new()
    }

    /// The list as a table, its head first.
    pub fn table(&self, cx: &Context) -> Vec<Vec<String>> {
        let head = [
            "run",
            "event",
            "title",
            "state",
            "action",
            "durationMs",
            "reason",
        ];
        let rows = self.shown(cx).into_iter().map(|r| {
            let text = |t: Option<&crate::text::Untrusted>| t.map_or("", |t| t.raw()).to_owned();
            vec![
                r.id.clone(),
                r.event.raw().to_owned(),
                text(r.title.as_ref()),
                r.field("state").concat(),
                r.action.map_or("", |a| a.as_str()).to_owned(),
                r.duration_ms.map_or_else(String::new, |ms| ms.to_string()),
                text(r.reason.as_ref()),
            ]
        });
        with_head(&head, rows)
    }

    /// The selected row as one line of text.
    pub fn copied(&self, cx: &Context) -> Option<String> {
        let runs = self.shown(cx);
        let at = self.selected(&runs);
        one_line(self.table(cx).get(at + 1)?)
    }

    /// Draws it.
    pub fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let runs = self.shown(cx);
        if runs.is_empty() {
            return self.draw_empty(cx, area, buffer);
        }
        let selected = self.selected(&runs);
        let height = usize::from(area.height);
        let first = first_visible(selected, height, runs.len());
        for (n, run) in runs.iter().enumerate().skip(first).take(height) {
            let place = row(area, (n - first) as u16);
            line(buffer, place, spans(cx, run, usize::from(area.width)));
            if n == selected {
                buffer.set_style(place, cx.theme.style(Role::Selected));
            }
        }
    }

    fn draw_empty(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let dim = cx.theme.style(Role::Dim);
        let snapshot = cx.snapshot();
        let filtered = !snapshot.runs.is_empty();
        let words = match self.list.unknown_field(&snapshot.runs, "run") {
            Some(text) => format!("{text} Esc clears the filter."),
            _ if filtered => "No run passes the filter. Esc clears it.".to_owned(),
            _ => "No runs yet. Press r, then Enter: review the built-in sample diff.".to_owned(),
        };
        put(buffer, row(area, 0), &words, dim);
        if !filtered && snapshot.ready_providers().is_empty() && !snapshot.mode.simulated {
            put(
                buffer,
                row(area, 1),
                "Offline: rules decide. Set OPENAI_API_KEY to add models, or start with --simulate.",
                dim,
            );
        }
    }
}

/// The mark of a run.
pub fn mark_of(run_state: RunState, action: Option<Action>) -> Mark {
    match (run_state, action) {
        (RunState::Running, _) => Mark::Live,
        (RunState::Queued, _) => Mark::Waiting,
        (_, Some(Action::ApproveAndMerge | Action::Pass)) => Mark::Passed,
        (_, Some(Action::BlockPr | Action::RequestChanges)) => Mark::Failed,
        (_, Some(Action::ManualReview) | None) => Mark::Person,
    }
}

fn spans(cx: &Context, run: &RunSummary, width: usize) -> Vec<Span<'static>> {
    let theme = cx.theme;
    let (glyph, role) = theme.mark(mark_of(run.state, run.action));
    let event_width = if width >= 110 { 28 } else { 22 };
    let took = match (run.duration_ms, run.started_ms, run.finished_ms) {
        (Some(ms), ..) => seconds(ms),
        (None, Some(from), None) => seconds((cx.clock_ms() - from).max(0).unsigned_abs()),
        _ => String::new(),
    };
    let title = run.title.as_ref().map_or_else(String::new, |t| t.line(12));
    let middle = match run.state {
        RunState::Running | RunState::Queued => progress(cx, run, width),
        _ => decided(run, width),
    };
    let fixed = 2 + 7 + event_width + 1 + 7 + 9;
    vec![
        Span::styled(format!("{glyph} "), theme.style(role)),
        Span::styled(
            format!("{} ", fit(theme, short_id(&run.id), 6)),
            theme.style(Role::Dim),
        ),
        Span::raw(format!("{} ", fit(theme, &run.event.line(60), event_width))),
        Span::styled(
            format!("{} ", fit(theme, &title, 6)),
            theme.style(Role::Dim),
        ),
        Span::raw(fit(theme, &middle, width.saturating_sub(fixed))),
        Span::styled(format!("{took:>9}"), theme.style(Role::Dim)),
    ]
}

fn progress(cx: &Context, run: &RunSummary, width: usize) -> String {
    let theme = cx.theme;
    if run.state == RunState::Queued {
        return "queued".into();
    }
    let (done, open) = theme.progress();
    let over = run.steps.iter().filter(|s| s.status.is_over()).count();
    let marks = done.repeat(over) + &open.repeat(run.steps.len() - over);
    let at_work: Vec<&str> = run
        .steps
        .iter()
        .filter(|s| s.status == StepStatus::Running)
        .map(|s| s.agent.as_str())
        .collect();
    let ellipsis = theme.signs().2;
    if width >= 100 {
        format!("{marks}  {} {ellipsis}", at_work.join(" "))
    } else {
        format!("{marks} {} {ellipsis}", at_work.first().unwrap_or(&""))
    }
}

fn decided(run: &RunSummary, width: usize) -> String {
    let reason = run
        .reason
        .as_ref()
        .map_or_else(String::new, |r| r.line(160));
    if width >= 100 {
        let action = run.action.map_or("failed", Action::as_str);
        let rule = run
            .cause
            .map_or_else(String::new, |c| format!("{}: ", c.as_str()));
        let simulated = if run.simulated { "simulated, " } else { "" };
        return format!("{action:<17} {simulated}{rule}{reason}");
    }
    let action = match run.action {
        Some(Action::ApproveAndMerge) => "approved",
        Some(Action::Pass) => "pass",
        Some(Action::ManualReview) => "manual",
        Some(Action::RequestChanges) => "changes",
        Some(Action::BlockPr) => "blocked",
        None => "failed",
    };
    let simulated = if run.simulated { " (sim)" } else { "" };
    format!("{action}{simulated}  {reason}")
}
