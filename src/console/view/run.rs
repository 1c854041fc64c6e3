//! One run: where the time went, what was found, what was decided and by which rule; or its report.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget as _, Wrap};

use super::pieces::{cut, fit, line, panel, put, row, wrap};
use super::runs::mark_of;
use crate::console::format::{count, seconds, short_id};
use crate::console::state::{OpenRun, State};
use crate::console::theme::{Mark, Role, Theme};
use crate::engine::protocol::run::{RunResult, RunState, Step, StepStatus};
use crate::review::finding::{Finding, Severity, Source};
use crate::review::verdict::Verdict;

pub fn draw(state: &State, open: &OpenRun, area: Rect, buffer: &mut Buffer) {
    if open.showing_report {
        return report(state, open, area, buffer);
    }
    let theme = state.theme;
    let Some(run) = &open.run else {
        let inner = panel(
            theme,
            &format!("run {}", short_id(&open.id)),
            "",
            area,
            buffer,
        );
        put(buffer, row(inner, 0), "reading it", theme.style(Role::Dim));
        return;
    };
    let steps = run.agents.len() as u16;
    let [head, low] =
        Layout::vertical([Constraint::Length(steps + 6), Constraint::Min(0)]).areas(area);
    let took = run.duration_ms.map_or_else(String::new, |ms| {
        format!(" {} {}", theme.signs().0, seconds(ms))
    });
    let title = format!(
        "run {} {} {}{took}",
        short_id(&run.run_id),
        theme.signs().0,
        crate::text::clean_line(&run.event, 60)
    );
    let note = format!(
        "correlation {}",
        crate::text::clean_line(&run.correlation_id, 20)
    );
    let inner = panel(theme, &title, &note, head, buffer);
    decision(state, run, inner, buffer);
    for (n, step) in run.agents.iter().enumerate() {
        let place = row(
            Rect {
                y: inner.y + 3,
                height: inner.height.saturating_sub(3),
                ..inner
            },
            n as u16,
        );
        line(
            buffer,
            place,
            step_spans(state, run, step, usize::from(inner.width)),
        );
    }
    findings(state, open, run, low, buffer);
}

fn decision(state: &State, run: &RunResult, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let (glyph, role) = theme.mark(mark_of(run.state, run.decision.as_ref().map(|d| d.action)));
    let simulated = if run.simulated { " (simulated)" } else { "" };
    let words = if let Some(d) = &run.decision {
        vec![
            Span::styled(
                format!("{glyph} {}{simulated}", d.action.as_str()),
                theme.style(role),
            ),
            Span::raw(format!("  {}: {}", d.cause_word(), d.reason.line(300))),
        ]
    } else {
        let word = if run.state == RunState::Queued {
            "waiting for its turn"
        } else {
            "agents at work"
        };
        vec![Span::styled(
            format!("{glyph} {word}{simulated}"),
            theme.style(role),
        )]
    };
    // The reason may need two lines.
    let place = Rect {
        height: area.height.min(2),
        ..area
    };
    Paragraph::new(Line::from(words))
        .wrap(Wrap { trim: true })
        .render(place, buffer);
    let c = &run.coverage;
    let (dot, dash, _) = theme.signs();
    let evidence = run
        .decision
        .as_ref()
        .map_or(dash, |_| run.evidence.as_str());
    let mut facts = format!(
        "evidence {evidence} {dot} {} {dot} +{} -{} {dot} ${:.4}",
        c.summary(),
        count(u64::from(run.size.added)),
        count(u64::from(run.size.removed)),
        run.cost_usd()
    );
    for note in &run.notes {
        facts.push_str(&format!(" {dot} {}", crate::text::clean_line(note, 80)));
    }
    put(buffer, row(area, 2), &facts, theme.style(Role::Dim));
}

fn step_spans(state: &State, run: &RunResult, step: &Step, width: usize) -> Vec<Span<'static>> {
    let theme = state.theme;
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
    let verdict = match step.status {
        StepStatus::Succeeded | StepStatus::Degraded => {
            step.verdict.map_or("none", Verdict::as_str)
        }
        other => other.as_str(),
    };
    let bar_width = if width >= 110 {
        30
    } else if width >= 76 {
        14
    } else {
        0
    };
    let dim = theme.style(Role::Dim);
    let mut out = vec![
        Span::styled(format!("{glyph} "), theme.style(role)),
        Span::raw(format!(
            "{} ",
            fit(theme, &crate::text::clean_line(&step.agent_id, 64), 24)
        )),
        Span::styled(waterfall(state, run, step, bar_width), theme.style(role)),
        Span::raw(format!(" {} ", fit(theme, verdict, 15))),
    ];
    let took = step.duration_ms.map_or_else(String::new, seconds);
    out.push(Span::styled(format!("{took:>7}  "), dim));
    if let Some(error) = &step.error {
        out.push(Span::styled(error.line(160), theme.style(Role::Warn)));
    } else if let Some(model) = &step.model {
        let model = crate::text::clean_line(model, 40);
        let detail = match step.source.as_deref() {
            Some("loaded") | None => format!(
                "{model}  {} attempt{}  {} + {} tokens",
                step.attempts,
                if step.attempts == 1 { "" } else { "s" },
                count(step.tokens.prompt),
                count(step.tokens.completion)
            ),
            Some(source) => format!("{model}  {source}"),
        };
        out.push(Span::styled(detail, dim));
    } else if step.status == StepStatus::Succeeded {
        out.push(Span::styled("rules only", dim));
    }
    out
}

/// When a step began and how long it took, within the run.
fn waterfall(state: &State, run: &RunResult, step: &Step, width: usize) -> String {
    if width == 0 {
        return String::new();
    }
    let first = run.agents.iter().filter_map(|s| s.started_at).min();
    let (Some(first), Some(start)) = (first, step.started_at) else {
        return " ".repeat(width);
    };
    let took = |s: &Step| {
        s.duration_ms.unwrap_or_else(|| {
            (state.clock_ms() - s.started_at.unwrap_or(state.clock_ms()))
                .max(0)
                .unsigned_abs()
        })
    };
    let total = run
        .agents
        .iter()
        .filter_map(|s| Some((s.started_at? - first).max(0).unsigned_abs() + took(s)))
        .max()
        .unwrap_or(1)
        .max(1);
    let cell = |ms: u64| (ms as usize * width / total as usize).min(width);
    let before = cell((start - first).max(0).unsigned_abs()).min(width - 1);
    let length = cell(took(step)).clamp(1, width - before);
    let (full, _) = state.theme.bar();
    " ".repeat(before) + &full.repeat(length) + &" ".repeat(width - before - length)
}

fn severity_role(severity: Severity) -> Role {
    match severity {
        Severity::Critical | Severity::High => Role::Bad,
        Severity::Medium => Role::Warn,
        Severity::Low => Role::Text,
        Severity::Info => Role::Dim,
    }
}

fn findings(state: &State, open: &OpenRun, run: &RunResult, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
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
        lines.extend(saying(state, usize::from(inner.width)));
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
    let scroll = open
        .scroll
        .min((lines.len() as u16).saturating_sub(inner.height));
    Paragraph::new(lines)
        .scroll((scroll, 0))
        .render(inner, buffer);
}

/// What models are saying at this moment, the end of it.
fn saying(state: &State, width: usize) -> Vec<Line<'static>> {
    const ROWS: usize = 3;
    let theme = state.theme;
    let mut out = Vec::new();
    for (agent, text) in state.saying.iter().filter(|(_, t)| !t.raw().is_empty()) {
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

/// The report, its Markdown made readable: headings bright, list and table lines as they are.
fn report(state: &State, open: &OpenRun, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let inner = panel(
        theme,
        &format!("report of {}", short_id(&open.id)),
        "Esc back",
        area,
        buffer,
    );
    let Some(text) = &open.report else {
        put(
            buffer,
            row(inner, 0),
            "there is none yet",
            theme.style(Role::Dim),
        );
        return;
    };
    let lines: Vec<Line<'static>> = text.lines().map(|l| markdown_line(theme, l)).collect();
    let most = (lines.len() as u16).saturating_sub(inner.height);
    Paragraph::new(lines)
        .wrap(Wrap { trim: false })
        .scroll((open.scroll.min(most), 0))
        .render(inner, buffer);
}

fn markdown_line(theme: Theme, text: &str) -> Line<'static> {
    if let Some(cells) = text.strip_prefix("| ") {
        // Cells are told apart before their own pipes are unescaped.
        let rule = if theme.ascii { "  |  " } else { "  │  " };
        let cells: Vec<String> = cells
            .trim_end_matches(" |")
            .split(" | ")
            .map(unescape)
            .collect();
        return Line::from(Span::raw(cells.join(rule)));
    }
    let plain = unescape(text);
    if let Some(heading) = plain
        .strip_prefix("## ")
        .or_else(|| plain.strip_prefix("# "))
    {
        return Line::from(Span::styled(heading.to_owned(), theme.style(Role::Title)));
    }
    if plain.starts_with("|---") {
        return Line::default();
    }
    // Bold parts alternate with plain ones.
    let parts = plain.split("**").enumerate().map(|(n, part)| {
        let role = if n % 2 == 1 { Role::Title } else { Role::Text };
        Span::styled(part.to_owned(), theme.style(role))
    });
    Line::from(parts.collect::<Vec<_>>())
}

/// Undoes the report's own escapes.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            out.extend(chars.next());
        } else {
            out.push(c);
        }
    }
    out.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#64;", "@")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_keeps_the_pipes_of_its_cells() {
        let theme = Theme {
            ascii: true,
            ..Theme::default()
        };
        let row = markdown_line(theme, r"| install.sh:3 | curl x \| sh | rule |");
        assert_eq!(row.to_string(), "install.sh:3  |  curl x | sh  |  rule");
    }
}
