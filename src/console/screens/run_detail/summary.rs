//! The upper lines of a run: what was decided and why, what it is about, what it rests on, waited for and cost.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::super::run_list::mark_of;
use crate::console::context::Context;
use crate::console::format::{count, secs};
use crate::console::theme::Role;
use crate::console::widgets::text::{line, put, row, wrap};
use crate::engine::protocol::run::{RunResult, RunState};
use crate::engine::protocol::snapshot::RunSummary;
use crate::text::clean_line;

/// Lines that it takes: two for the decision, one each for identity, evidence and times.
pub(super) const LINES: u16 = 5;

/// Draws it. `summary`: the run's entry in lists, where it is known.
pub(super) fn draw(
    cx: &Context,
    run: &RunResult,
    summary: Option<&RunSummary>,
    area: Rect,
    buffer: &mut Buffer,
) {
    decision(cx, run, area, buffer);
    put(
        buffer,
        row(area, 2),
        &identity(cx, summary),
        cx.theme.style(Role::Text),
    );
    let dim = cx.theme.style(Role::Dim);
    put(buffer, row(area, 3), &evidence(cx, run), dim);
    put(buffer, row(area, 4), &times(cx, run, summary), dim);
}

fn decision(cx: &Context, run: &RunResult, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let (glyph, role) = theme.mark(mark_of(run.state, run.decision.as_ref().map(|d| d.action)));
    // What is not decided, simulated or stale is not good news.
    let proves = run.decision.is_some() && !run.simulated && !run.stale;
    let role = if role == Role::Good && !proves {
        Role::Text
    } else {
        role
    };
    let simulated = if run.simulated { " (simulated)" } else { "" };
    let (head, rest) = if let Some(d) = &run.decision {
        (
            format!("{glyph} {}{simulated}", d.action.as_str()),
            format!("  {}: {}", d.cause_word(), d.reason.line(300)),
        )
    } else {
        let word = if run.state == RunState::Queued {
            "waiting for its turn"
        } else {
            "agents at work"
        };
        (format!("{glyph} {word}{simulated}"), String::new())
    };
    // The reason has two lines; what they have no room for is cut with a mark.
    let width = usize::from(area.width).max(1);
    let rows = wrap(&format!("{head}{rest}"), width);
    let (first, more) = rows
        .split_first()
        .map_or(("", &[][..]), |(f, m)| (f.as_str(), m));
    let spans = match first.strip_prefix(head.as_str()) {
        Some(rest) => vec![
            Span::styled(head, theme.style(role)),
            Span::raw(rest.trim_end().to_owned()),
        ],
        None => vec![Span::styled(first.to_owned(), theme.style(role))],
    };
    line(buffer, row(area, 0), spans);
    put(
        buffer,
        row(area, 1),
        &more.concat(),
        theme.style(Role::Text),
    );
}

/// `acme/app#482 · Retry payments · by usr · 0123456789ab · retry · started by github`; a dash where nothing of it
/// is known.
fn identity(cx: &Context, summary: Option<&RunSummary>) -> String {
    let (dot, dash, _) = cx.theme.signs();
    let identity = summary.and_then(|s| s.identity.as_ref());
    let label = summary.and_then(|s| s.title.as_ref()).map(|t| t.line(120));
    let Some(identity) = identity else {
        return label.unwrap_or_else(|| format!("{dash} what it is about is not known"));
    };
    let title = identity.title.as_ref().map(|t| t.line(120));
    let parts = [
        identity.place(),
        title.or(label),
        identity
            .author
            .as_ref()
            .map(|a| format!("by {}", a.line(80))),
        identity.head_sha.as_ref().map(|sha| clean_line(sha, 12)),
        identity.branch.as_ref().map(|b| b.line(80)),
        identity
            .started_by
            .as_ref()
            .map(|by| format!("started by {}", clean_line(by, 20))),
    ];
    let known: Vec<String> = parts.into_iter().flatten().collect();
    if known.is_empty() {
        return format!("{dash} what it is about is not known");
    }
    known.join(&format!(" {dot} "))
}

/// What the decision rests on.
fn evidence(cx: &Context, run: &RunResult) -> String {
    let (dot, dash, _) = cx.theme.signs();
    let decided = run.decision.as_ref();
    let evidence = decided.map_or(dash, |_| run.evidence.as_str());
    let mut facts = format!(
        "evidence {evidence} {dot} {} {dot} +{} -{}",
        run.coverage.summary(),
        count(u64::from(run.size.added)),
        count(u64::from(run.size.removed)),
    );
    for note in &run.notes {
        facts.push_str(&format!(" {dot} {}", clean_line(note, 80)));
    }
    facts
}

/// Milliseconds with providers at `now_ms`: those that have ended, and the call that has gone on longest.
fn model_at(summary: &RunSummary, now_ms: i64) -> Option<u64> {
    let open = summary.steps.iter().filter_map(|s| s.phase.as_ref());
    let calls = open.filter(|p| !p.kind.is_wait());
    let longest = calls.map(|p| p.lasted_ms(now_ms)).max();
    Some(summary.model_ms? + longest.unwrap_or(0))
}

/// What it waited for and cost; of a run at work how long it goes on already, and why it is not done.
fn times(cx: &Context, run: &RunResult, summary: Option<&RunSummary>) -> String {
    let (dot, dash, _) = cx.theme.signs();
    let now_ms = cx.clock_ms();
    // The picture may be a moment behind the run: what it says of one at work is not true of one that has ended.
    let summary = summary.filter(|s| s.is_live() == run.decision.is_none());
    let time = |ms: Option<u64>| {
        let ms = ms.map(|ms| secs(i64::try_from(ms).unwrap_or(i64::MAX)));
        ms.unwrap_or_else(|| dash.to_owned())
    };
    let waited = time(summary.and_then(|s| s.waited_at(now_ms)));
    let model = time(summary.and_then(|s| model_at(s, now_ms)));
    let cost = run.cost_usd();
    let cost = if run.simulated {
        format!("~${cost:.4} simulated")
    } else {
        format!("${cost:.4}")
    };
    let mut out = format!("waited {waited} {dot} models {model} {dot} {cost}");
    if run.decision.is_none() {
        let elapsed = secs(now_ms - run.created_at);
        out.push_str(&format!(" so far {dot} elapsed {elapsed}"));
    }
    if let Some(why) = summary.and_then(|s| s.why_at(now_ms)) {
        out.push_str(&format!(" {dot} {why}"));
    }
    out
}
