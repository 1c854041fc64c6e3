//! The agents of a run, one line each: what time it took, as a bar and in figures, and what came of it; of one at
//! work, what it waits for now.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Span;

use super::waterfall::{Timeline, axis, bar};
use crate::console::context::Context;
use crate::console::format::{count, seconds, secs};
use crate::console::theme::{Mark, Role};
use crate::console::widgets::text::{fit, line, put, row};
use crate::engine::protocol::phase::{Phase, PhaseKind, span};
use crate::engine::protocol::run::{RunResult, Step, StepStatus};
use crate::engine::protocol::snapshot::RunSummary;
use crate::review::verdict::Verdict;
use crate::text::clean_line;

/// Columns of a line of this width.
struct Columns {
    name: usize,
    bar: usize,
    /// What stands beside the bar has room for whole words.
    wide: bool,
}

impl Columns {
    fn of(width: u16) -> Self {
        let width = usize::from(width);
        let name = (width / 5).clamp(8, 26);
        let rest = width.saturating_sub(name + 3);
        let bar = match width {
            0..56 => 0,
            56..100 => rest / 3,
            _ => rest * 3 / 8,
        };
        Self {
            name,
            bar,
            wide: rest - bar >= 70,
        }
    }
}

/// Agents that have room where the axis takes the last line.
pub(super) fn room(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(1))
}

/// Draws the agents that have room, and the time axis below them.
pub(super) fn draw(
    cx: &Context,
    run: &RunResult,
    summary: Option<&RunSummary>,
    area: Rect,
    buffer: &mut Buffer,
) {
    let now_ms = cx.clock_ms();
    let time = Timeline::of(run, now_ms);
    let columns = Columns::of(area.width);
    let shown = run.agents.iter().take(room(area));
    let mut at = 0;
    for step in shown {
        let mut spans = head(cx, run, step, columns.name);
        spans.extend(bar(cx.theme, run, step, time, now_ms, columns.bar));
        spans.push(Span::raw(" "));
        spans.extend(words(cx, run, summary, step, columns.wide));
        line(buffer, row(area, at), spans);
        at += 1;
    }
    if columns.bar > 0 {
        let left = (columns.name + 3) as u16;
        let place = row(area, at);
        let place = Rect {
            x: place.x + left.min(place.width),
            width: place.width.saturating_sub(left).min(columns.bar as u16),
            ..place
        };
        let labels = axis(time, columns.bar);
        put(buffer, place, &labels, cx.theme.style(Role::Dim));
    }
}

/// The mark and the name.
fn head(cx: &Context, run: &RunResult, step: &Step, width: usize) -> Vec<Span<'static>> {
    let theme = cx.theme;
    let mark = match (step.status, step.verdict) {
        (StepStatus::Running, _) => Mark::Live,
        (StepStatus::Queued, _) => Mark::Waiting,
        (StepStatus::Failed, _) | (_, Some(Verdict::Block | Verdict::RequestChanges)) => {
            Mark::Failed
        }
        (StepStatus::Degraded | StepStatus::Cancelled, _) | (_, Some(Verdict::Comment)) => {
            Mark::Person
        }
        (StepStatus::Succeeded, _) => Mark::Passed,
    };
    let (glyph, role) = theme.mark(mark);
    // What is not decided, simulated or stale is not good news.
    let proves = step.status.is_over() && !run.simulated && !step.stale;
    let role = if role == Role::Good && !proves {
        Role::Text
    } else {
        role
    };
    let name = fit(theme, &clean_line(&step.agent_id, 64), width);
    vec![
        Span::styled(format!("{glyph} "), theme.style(role)),
        Span::raw(format!("{name} ")),
    ]
}

/// The span of an agent at work that goes on: as the run was read, or as the picture has it where that is newer.
fn current<'a>(summary: Option<&'a RunSummary>, step: &'a Step) -> Option<&'a Phase> {
    let read = step.phases.last().filter(|p| p.ended_ms.is_none());
    let steps = summary.map_or(&[][..], |s| &s.steps);
    let pictured = steps.iter().find(|s| s.agent == step.agent_id);
    let pictured = pictured.and_then(|s| s.phase.as_ref());
    let both = [pictured, read].into_iter().flatten();
    both.max_by_key(|p| (p.started_ms, p.tokens))
}

/// What came of it, or what it does now.
fn words(
    cx: &Context,
    run: &RunResult,
    summary: Option<&RunSummary>,
    step: &Step,
    wide: bool,
) -> Vec<Span<'static>> {
    let (theme, now_ms) = (cx.theme, cx.clock_ms());
    let dim = theme.style(Role::Dim);
    match step.status {
        StepStatus::Running => {
            let since = step.started_at.unwrap_or(now_ms);
            let took = secs(now_ms - since);
            let doing = match current(summary, step) {
                Some(phase) => phase_words(phase, now_ms, wide),
                None => "no call under way".to_owned(),
            };
            vec![
                Span::styled(format!("{took}  "), dim),
                Span::raw(clean_line(&doing, 200)),
            ]
        }
        StepStatus::Queued if run.decision.is_none() => {
            let waited = u64::try_from(now_ms - run.created_at).unwrap_or(0);
            vec![Span::styled(
                format!("waits for its turn {}", span(waited)),
                dim,
            )]
        }
        _ => outcome(cx, step, dim),
    }
}

/// `openai attempt 2 of 3  queued 21 s  after http_503`.
fn phase_words(phase: &Phase, now_ms: i64, wide: bool) -> String {
    let age = span(phase.lasted_ms(now_ms));
    let what = match phase.kind {
        PhaseKind::Queued => format!("queued {age}"),
        PhaseKind::RateLimited => format!("rate limited {age}"),
        PhaseKind::Waiting => format!("no token for {age}"),
        PhaseKind::Streaming => {
            let speed = phase.tokens_per_s(now_ms);
            let speed = speed.map_or_else(String::new, |s| format!(" {s:.0}/s"));
            format!("{} tokens{speed}", phase.tokens)
        }
        PhaseKind::Retrying => format!("waits to retry {age}"),
    };
    let attempt = if wide { "attempt " } else { "" };
    // Its own provider is named already.
    let own = format!("{} ", phase.provider);
    let reason = phase.reason.as_deref();
    let reason = reason.map(|r| r.strip_prefix(own.as_str()).unwrap_or(r));
    let reason = reason.map_or_else(String::new, |reason| format!("  after {reason}"));
    format!(
        "{} {attempt}{} of {}  {what}{reason}",
        phase.provider, phase.attempt, phase.of
    )
}

fn outcome(cx: &Context, step: &Step, dim: Style) -> Vec<Span<'static>> {
    let theme = cx.theme;
    let verdict = match step.status {
        StepStatus::Succeeded | StepStatus::Degraded => {
            step.verdict.map_or("none", Verdict::as_str)
        }
        other => other.as_str(),
    };
    let took = step.duration_ms.map_or_else(String::new, seconds);
    let mut out = vec![
        Span::raw(format!("{} ", fit(theme, verdict, 15))),
        Span::styled(format!("{took:>7}  "), dim),
    ];
    if let Some(error) = &step.error {
        out.push(Span::styled(error.line(160), theme.style(Role::Warn)));
    } else if let Some(model) = &step.model {
        let model = clean_line(model, 40);
        let detail = match step.source.as_deref() {
            Some("loaded") | None => {
                // One attempt is what everybody expects.
                let attempts = match step.attempts {
                    1 => String::new(),
                    n => format!("  {n} attempts"),
                };
                let (input, output) = (step.tokens.prompt, step.tokens.completion);
                let (input, output) = (count(input), count(output));
                format!("{model}{attempts}  {input} + {output} tokens")
            }
            Some(source) => format!("{model}  {}", clean_line(source, 20)),
        };
        out.push(Span::styled(detail, dim));
        if let Some(wanted) = &step.substitute_for {
            let wanted = clean_line(wanted, 40);
            let text = format!("  in place of {wanted}");
            out.push(Span::styled(text, theme.style(Role::Warn)));
        }
    } else if step.status == StepStatus::Succeeded {
        out.push(Span::styled("rules only", dim));
    }
    out
}
