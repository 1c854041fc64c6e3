//! One run: where the time went, what was found, what was decided and by which rule.

mod findings;
pub mod json;
pub mod report;

use std::collections::BTreeMap;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget as _, Wrap};

use super::run_list::mark_of;
use crate::console::action::Action;
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::format::{count, seconds, short_id};
use crate::console::route::Route;
use crate::console::theme::{Mark, Role};
use crate::console::widgets::list::scrolled;
use crate::console::widgets::panel::panel;
use crate::console::widgets::text::{fit, line, put, row};
use crate::engine::protocol::event::Event;
use crate::engine::protocol::query::{Answer, Query};
use crate::engine::protocol::run::{RunResult, RunState, Step, StepStatus};
use crate::review::verdict::Verdict;
use crate::text::Untrusted;

/// A run that is open.
#[derive(Debug, Clone)]
pub struct RunDetail {
    id: String,
    /// As last read.
    run: Option<Box<RunResult>>,
    /// What models are saying, by agent.
    said: BTreeMap<String, Untrusted>,
    /// First line shown of the findings.
    scroll: u16,
}

impl RunDetail {
    /// Nothing of it is read yet.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            run: None,
            said: BTreeMap::new(),
            scroll: 0,
        }
    }

    fn read(&self) -> Vec<Intent> {
        vec![Intent::ask(Query::Run {
            id: self.id.clone(),
        })]
    }
}

impl Component for RunDetail {
    fn title(&self, _cx: &Context) -> String {
        format!("run {}", short_id(&self.id))
    }

    fn on_show(&mut self, _cx: &Context) -> Vec<Intent> {
        self.read()
    }

    fn on_action(&mut self, action: Action, cx: &Context) -> Option<Vec<Intent>> {
        if action == Action::Open {
            return Some(vec![if cx.is_active(&self.id) {
                Intent::note("no report yet: the run goes on")
            } else {
                let id = self.id.clone();
                Intent::Navigate(Route::Report { id })
            }]);
        }
        scrolled(action, &mut self.scroll).then(Vec::new)
    }

    fn on_answer(&mut self, query: &Query, answer: &Answer, _cx: &Context) -> Vec<Intent> {
        if let (Query::Run { id }, Answer::Run { run }) = (query, answer)
            && *id == self.id
        {
            self.run = Some(run.clone());
        }
        Vec::new()
    }

    fn on_event(&mut self, event: &Event, cx: &Context) -> Vec<Intent> {
        // A picture held still stays as it is.
        if cx.frozen.is_some() {
            return Vec::new();
        }
        match event {
            Event::StepFinished { run, agent, .. } if *run == self.id => {
                self.said.remove(agent);
                self.read()
            }
            Event::RunStarted { run, .. }
            | Event::StepStarted { run, .. }
            | Event::RunFinished { run, .. }
                if *run == self.id =>
            {
                self.read()
            }
            Event::Said { of, agent, text } if *of == self.id => {
                self.said.insert(agent.clone(), text.clone());
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        draw(cx, self, area, buffer);
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![
            Action::Report,
            Action::RunLogs,
            Action::RunAgain,
            Action::Why,
            Action::Cancel,
            Action::Back,
        ]
    }

    fn subject(&self, _cx: &Context) -> Subject {
        Subject::Run(self.id.clone())
    }

    fn copied(&self, _cx: &Context) -> Option<String> {
        Some(self.id.clone())
    }
}

fn draw(cx: &Context, open: &RunDetail, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
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
    decision(cx, run, inner, buffer);
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
            step_spans(cx, run, step, usize::from(inner.width)),
        );
    }
    findings::draw(cx, open.scroll, &open.said, run, low, buffer);
}

fn decision(cx: &Context, run: &RunResult, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
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

fn step_spans(cx: &Context, run: &RunResult, step: &Step, width: usize) -> Vec<Span<'static>> {
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
        Span::styled(waterfall(cx, run, step, bar_width), theme.style(role)),
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
fn waterfall(cx: &Context, run: &RunResult, step: &Step, width: usize) -> String {
    if width == 0 {
        return String::new();
    }
    let first = run.agents.iter().filter_map(|s| s.started_at).min();
    let (Some(first), Some(start)) = (first, step.started_at) else {
        return " ".repeat(width);
    };
    let took = |s: &Step| {
        s.duration_ms.unwrap_or_else(|| {
            (cx.clock_ms() - s.started_at.unwrap_or(cx.clock_ms()))
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
    let (full, _) = cx.theme.bar();
    " ".repeat(before) + &full.repeat(length) + &" ".repeat(width - before - length)
}
