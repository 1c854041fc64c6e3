//! Runs as a list: what they are, how far they are, what was decided.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::pieces::{first_visible, fit, line, panel, put, row, unknown_field};
use crate::console::format::{seconds, short_id};
use crate::console::state::State;
use crate::console::theme::{Mark, Role};
use crate::engine::protocol::run::{Action, RunState, StepStatus};
use crate::engine::protocol::snapshot::RunSummary;

pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let filter = state.filters.get(&state.screen);
    let note = filter.map_or_else(
        || format!("{}", state.runs().len()),
        |f| format!("/{} {}", crate::text::clean_line(f, 30), state.runs().len()),
    );
    let inner = panel(state.theme, "Runs", &note, area, buffer);
    list(state, inner, buffer);
}

/// The list itself, for this screen and for the overview.
pub fn list(state: &State, area: Rect, buffer: &mut Buffer) {
    let runs = state.runs();
    let dim = state.theme.style(Role::Dim);
    if runs.is_empty() {
        let filtered = !state.snapshot().runs.is_empty();
        let words = match unknown_field(state, &state.snapshot().runs, "run") {
            Some(text) => format!("{text} Esc clears the filter."),
            _ if filtered => "No run passes the filter. Esc clears it.".to_owned(),
            _ => "No runs yet. Press r, then Enter: review the built-in sample diff.".to_owned(),
        };
        put(buffer, row(area, 0), &words, dim);
        if !filtered
            && state.snapshot().ready_providers().is_empty()
            && !state.snapshot().mode.simulated
        {
            put(
                buffer,
                row(area, 1),
                "Offline: rules decide. Set OPENAI_API_KEY to add models, or start with --simulate.",
                dim,
            );
        }
        return;
    }
    let selected = state.selection();
    let height = usize::from(area.height);
    let first = first_visible(selected, height, runs.len());
    for (n, run) in runs.iter().enumerate().skip(first).take(height) {
        let place = row(area, (n - first) as u16);
        line(buffer, place, spans(state, run, usize::from(area.width)));
        if n == selected && state.open.is_none() {
            buffer.set_style(place, state.theme.style(Role::Selected));
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

fn spans(state: &State, run: &RunSummary, width: usize) -> Vec<Span<'static>> {
    let theme = state.theme;
    let (glyph, role) = theme.mark(mark_of(run.state, run.action));
    let event_width = if width >= 110 { 28 } else { 22 };
    let took = match (run.duration_ms, run.started_ms, run.finished_ms) {
        (Some(ms), ..) => seconds(ms),
        (None, Some(from), None) => seconds((state.clock_ms() - from).max(0).unsigned_abs()),
        _ => String::new(),
    };
    let title = run.title.as_ref().map_or_else(String::new, |t| t.line(12));
    let middle = match run.state {
        RunState::Running | RunState::Queued => progress(state, run, width),
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

fn progress(state: &State, run: &RunSummary, width: usize) -> String {
    let theme = state.theme;
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
