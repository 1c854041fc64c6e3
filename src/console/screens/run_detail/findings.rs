//! The lower half of a run: its findings, and what stands beside them.

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget as _};

use crate::console::context::Context;
use crate::console::theme::{Role, Theme};
use crate::console::widgets::panel::panel;
use crate::console::widgets::text::{cut, fit, put, row, wrap};
use crate::engine::protocol::run::{RunResult, Step};
use crate::review::finding::{Finding, Severity, Source};
use crate::text::Untrusted;

fn severity_role(severity: Severity) -> Role {
    match severity {
        Severity::Critical | Severity::High => Role::Bad,
        Severity::Medium => Role::Warn,
        Severity::Low => Role::Text,
        Severity::Info => Role::Dim,
    }
}

/// What was found, what was not looked at, and what models are saying at this moment.
pub(super) fn draw(
    cx: &Context,
    scroll: u16,
    said: &BTreeMap<String, Untrusted>,
    run: &RunResult,
    area: Rect,
    buffer: &mut Buffer,
) {
    let theme = cx.theme;
    // A rule's finding may concern several agents; it is shown once.
    let mut all: Vec<(&Finding, Vec<&str>)> = Vec::new();
    for step in &run.agents {
        for finding in &step.findings {
            match all.iter_mut().find(|(f, _)| *f == finding) {
                Some((_, agents)) => agents.push(&step.agent_id),
                None => all.push((finding, vec![&step.agent_id])),
            }
        }
    }
    all.sort_by_key(|(f, _)| std::cmp::Reverse(f.severity));
    let inner = panel(theme, "Findings", &all.len().to_string(), area, buffer);
    let mut lines: Vec<Line<'static>> = Vec::new();
    if run.decision.is_none() {
        lines.extend(saying(cx, said, usize::from(inner.width)));
    }
    if all.is_empty() && run.decision.is_some() {
        put(
            buffer,
            row(inner, 0),
            "Nothing was found.",
            theme.style(Role::Dim),
        );
    }
    for skipped in run.coverage.skipped.iter().take(50) {
        lines.push(Line::from(Span::styled(
            format!(
                "not looked at  {}  {}",
                skipped.path.line(120),
                crate::text::clean_line(&skipped.reason, 100)
            ),
            theme.style(Role::Warn),
        )));
    }
    for (finding, agents) in all {
        lines.extend(finding_lines(
            theme,
            finding,
            &agents,
            usize::from(inner.width),
        ));
    }
    for step in &run.agents {
        lines.extend(passed_over(theme, step));
    }
    let scroll = scroll.min((lines.len() as u16).saturating_sub(inner.height));
    Paragraph::new(lines)
        .scroll((scroll, 0))
        .render(inner, buffer);
}

/// What models are saying at this moment, the end of it.
fn saying(cx: &Context, said: &BTreeMap<String, Untrusted>, width: usize) -> Vec<Line<'static>> {
    const ROWS: usize = 3;
    let theme = cx.theme;
    let mut out = Vec::new();
    for (agent, text) in said.iter().filter(|(_, t)| !t.raw().is_empty()) {
        let agent = crate::text::clean_line(agent, 40);
        out.push(Line::from(Span::styled(
            format!("{agent} says"),
            theme.style(Role::Warn),
        )));
        let rows = wrap(&text.block(8_000), width.saturating_sub(2).max(8));
        for row in &rows[rows.len().saturating_sub(ROWS)..] {
            out.push(Line::from(Span::styled(
                format!("  {row}"),
                theme.style(Role::Text),
            )));
        }
    }
    out
}

/// Models that were wanted and not asked, and places that a model names.
fn passed_over(theme: Theme, step: &Step) -> Vec<Line<'static>> {
    let agent = crate::text::clean_line(&step.agent_id, 40);
    let dim = theme.style(Role::Dim);
    let skipped = step.skipped.iter().map(|skip| {
        let (model, reason) = (
            crate::text::clean_line(&skip.model, 60),
            crate::text::clean_line(&skip.reason, 160),
        );
        format!("not asked      {model}: {reason}  {agent}")
    });
    let places = step
        .citations
        .iter()
        .map(|c| format!("source         {}  {agent}", c.url.line(200)));
    skipped
        .chain(places)
        .map(|text| Line::from(Span::styled(text, dim)))
        .collect()
}

fn finding_lines(
    theme: Theme,
    finding: &Finding,
    agents: &[&str],
    width: usize,
) -> Vec<Line<'static>> {
    let fitted = |spans: Vec<Span<'static>>| Line::from(cut(spans, width));
    let place = match (&finding.file, finding.line) {
        (Some(file), Some(line)) => format!("{}:{line}", file.line(120)),
        (Some(file), None) => file.line(120),
        _ => "the change".into(),
    };
    let source = match finding.source {
        Source::Rule => "rule",
        Source::Model => "model",
    };
    let names: Vec<String> = agents
        .iter()
        .map(|a| crate::text::clean_line(a, 30))
        .collect();
    let mut out = vec![fitted(vec![
        Span::styled(
            fit(theme, finding.severity.as_str(), 9),
            theme.style(severity_role(finding.severity)),
        ),
        Span::raw(format!(
            "{} ",
            fit(theme, &crate::text::clean_line(&finding.rule, 60), 28)
        )),
        Span::raw(format!("{place}  ")),
        Span::styled(
            format!("{source}, {}", names.join(", ")),
            theme.style(Role::Dim),
        ),
    ])];
    out.push(fitted(vec![Span::styled(
        format!("         {}", finding.message.line(300)),
        theme.style(Role::Text),
    )]));
    if let Some(excerpt) = &finding.excerpt {
        out.push(fitted(vec![Span::styled(
            format!("         {}", excerpt.line(200)),
            theme.style(Role::Dim),
        )]));
    }
    out
}
