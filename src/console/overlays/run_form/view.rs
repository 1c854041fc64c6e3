//! The form that starts a run: its fields, and what the chosen event would do. In its own file because it is
//! the largest overlay.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;
use ratatui::widgets::{Clear, Paragraph, Widget as _, Wrap};
use tui_input::Input;

use super::form::{RunForm, SubjectKind};
use crate::console::context::Context;
use crate::console::format::so_many;
use crate::console::theme::Role;
use crate::console::widgets::panel::window;
use crate::console::widgets::text::{fit, line, put, row, wrap};
use crate::text::clean_line;
use crate::workspace::events::{EventRule, OutcomeKind, Strategy};

/// Draws the form over the screen.
pub fn draw(cx: &Context, form: &RunForm, area: Rect, buffer: &mut Buffer) {
    let inner = window(
        cx,
        "Start a run",
        "Enter: start  Tab: next  Esc: back",
        (76, 15),
        area,
        buffer,
    );
    let chosen = form.events.get(form.event);
    let event = chosen.map_or("reading the events", |(name, _)| name.as_str());
    draw_fields(cx, form, event, inner, buffer);
    if let Some((_, rule)) = chosen {
        draw_rule(cx, form, rule, inner, buffer);
    }
    if let Some(error) = &form.error {
        draw_error(cx, error, inner, buffer);
    }
}

/// The fields, each with its name; the one with the focus is marked.
fn draw_fields(cx: &Context, form: &RunForm, event: &str, inner: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let mut field = |n: usize, name: &str, value: String| {
        let style = theme.style(if form.field == n {
            Role::Selected
        } else {
            Role::Text
        });
        let spans = vec![
            Span::styled(fit(theme, name, 10), theme.style(Role::Dim)),
            Span::styled(value, style),
        ];
        line(buffer, row(inner, n as u16), spans);
    };
    let (before, after) = if theme.ascii {
        ("<", ">")
    } else {
        ("‹", "›")
    };
    let one_of = |words: &str| format!("{before} {words} {after}");
    let typed = |n: usize, input: &Input, most: usize, hint: &str| {
        let text = clean_line(input.value(), most);
        let cursor = if form.field == n { cx.cursor() } else { "" };
        format!("{text}{cursor}  ({hint})")
    };
    field(0, "event", one_of(&clean_line(event, 50)));
    let (words, wants) = form.kind().summary();
    field(1, "look at", one_of(words));
    let text = wants.map_or_else(String::new, |hint| typed(2, &form.text, 46, hint));
    field(2, "", text);
    let hint = "JSON, or its file, or nothing";
    field(3, "payload", typed(3, &form.payload, 40, hint));
    let models = if form.rules_only {
        "not asked: rules only, for a dry run"
    } else {
        "asked, where they can be"
    };
    field(4, "models", one_of(models));
}

/// What the chosen event would do: its agents, how it ends, on what evidence.
fn draw_rule(cx: &Context, form: &RunForm, rule: &EventRule, inner: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let dim = theme.style(Role::Dim);
    let how = if rule.strategy == Strategy::Parallel {
        "at the same time"
    } else {
        "one after another"
    };
    let agents = so_many(rule.agents.len() as u64, "agent", "agents");
    put(buffer, row(inner, 6), &format!("{agents}, {how}:"), dim);
    let text = Paragraph::new(agent_names(cx, rule)).wrap(Wrap { trim: true });
    text.render(
        Rect {
            y: inner.y + 7,
            height: 2.min(inner.height.saturating_sub(7)),
            ..inner
        },
        buffer,
    );
    let end = format!("ends in {}", outcome_words(cx, form, rule));
    put(buffer, row(inner, 9), &end, dim);
    let evidence = if form.rules_only {
        "evidence: rules only, no model is asked".to_owned()
    } else {
        format!("evidence: {}", cx.evidence_words())
    };
    put(buffer, row(inner, 10), &evidence, dim);
    if rule.needs_diff && matches!(form.kind(), SubjectKind::Nothing | SubjectKind::Folder) {
        put(
            buffer,
            row(inner, 11),
            "this event needs a change; without one it ends in manual_review",
            theme.style(Role::Warn),
        );
    }
}

/// The event's agents; those that the workspace does not have are marked.
fn agent_names(cx: &Context, rule: &EventRule) -> String {
    let known = |id: &String| {
        cx.workspace.agents.is_empty() || cx.workspace.agents.iter().any(|a| a.id == *id)
    };
    let name = |id: &String| {
        let text = clean_line(id, 40);
        if known(id) {
            text
        } else {
            format!("{text} (missing)")
        }
    };
    rule.agents.iter().map(name).collect::<Vec<_>>().join(", ")
}

/// The actions that a run of the event can end in.
fn outcome_words(cx: &Context, form: &RunForm, rule: &EventRule) -> &'static str {
    let snapshot = cx.snapshot();
    let by_rules = form.rules_only || snapshot.ready_providers().is_empty();
    if snapshot.mode.simulated {
        "manual_review at best: simulated answers approve nothing"
    } else if rule.outcome == OutcomeKind::Health {
        "pass, manual_review, request_changes or block_pr"
    } else if by_rules {
        "manual_review, request_changes or block_pr; documentation may be approved"
    } else {
        "approve_and_merge, manual_review, request_changes or block_pr"
    }
}

/// What is wrong with the form, whole, in its last lines.
fn draw_error(cx: &Context, error: &str, inner: Rect, buffer: &mut Buffer) {
    let rows = wrap(error, usize::from(inner.width));
    let first = inner.height.saturating_sub(rows.len() as u16);
    for (n, text) in rows.iter().enumerate() {
        let place = row(inner, first + n as u16);
        Clear.render(place, buffer);
        put(buffer, place, text, cx.theme.style(Role::Bad));
    }
}
