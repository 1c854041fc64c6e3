//! The newest attempts at a provider: the way from a breaker to the run, and from there to its log.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use crate::console::action::Action;
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::format::short_id;
use crate::console::route::Route;
use crate::console::theme::{Mark, Role};
use crate::console::widgets::list::{ListState, first_visible, row_in_panel};
use crate::console::widgets::panel::panel;
use crate::console::widgets::table::{one_line, with_head};
use crate::console::widgets::text::{facts, fit, put, row};
use crate::engine::protocol::call::CallView;
use crate::engine::protocol::query::{Answer, Query};
use crate::engine::protocol::why::About;

/// Calls that are read.
const READ: u32 = 500;

/// The calls to a provider, or all of them.
#[derive(Debug, Clone)]
pub struct Calls {
    provider: Option<String>,
    /// As last read; newest first, or of all providers the slowest.
    read: Option<Vec<CallView>>,
    list: ListState,
}

impl Calls {
    /// Of this provider; none: of all.
    pub fn new(provider: Option<String>) -> Self {
        Self {
            provider,
            read: None,
            list: ListState::default(),
        }
    }

    fn shown(&self) -> Vec<&CallView> {
        let filter = self.list.terms();
        let calls = self.read.iter().flatten();
        calls.filter(|c| filter.passes(*c)).collect()
    }

    fn selected(&self, calls: &[&CallView]) -> usize {
        // A call has no id: its place in the list that was read.
        self.list.selected(calls.len(), |_| "")
    }
}

impl Component for Calls {
    fn title(&self, _cx: &Context) -> String {
        self.provider.as_ref().map_or_else(
            || "calls".to_owned(),
            |name| format!("calls to {}", crate::text::clean_line(name, 20)),
        )
    }

    fn on_show(&mut self, _cx: &Context) -> Vec<Intent> {
        if self.read.is_some() {
            return Vec::new();
        }
        vec![Intent::ask(Query::Calls {
            provider: self.provider.clone(),
            run: None,
            failed: false,
            limit: READ,
        })]
    }

    fn on_action(&mut self, action: Action, cx: &Context) -> Option<Vec<Intent>> {
        match action {
            Action::Open => {
                let run = self.subject(cx).run().map(str::to_owned);
                let go = run.map(|id| Intent::Navigate(Route::Run { id }));
                Some(go.into_iter().collect())
            }
            Action::RunLogs => {
                let Subject::Call {
                    run: Some(run),
                    agent,
                    ..
                } = self.subject(cx)
                else {
                    return None;
                };
                Some(vec![Intent::Navigate(Route::Logs {
                    run: Some(run),
                    filter: String::new(),
                    agent: Some(agent),
                })])
            }
            _ => {
                let total = self.shown().len();
                self.list.travel(action, total, |_| "").then(Vec::new)
            }
        }
    }

    /// Of all providers the longest first, of one provider with its first failed call selected.
    fn on_answer(&mut self, query: &Query, answer: &Answer, _cx: &Context) -> Vec<Intent> {
        let (Query::Calls { provider, .. }, Answer::Calls { calls }) = (query, answer) else {
            return Vec::new();
        };
        if *provider != self.provider {
            return Vec::new();
        }
        let mut calls = calls.clone();
        if provider.is_none() {
            calls.sort_by_key(|c| std::cmp::Reverse(c.upstream_ms + c.waited_ms));
        } else {
            let failed = calls.iter().position(|c| c.failed() && c.sent);
            self.list.select_row(failed.unwrap_or(0));
        }
        self.read = Some(calls);
        Vec::new()
    }

    fn on_click(&mut self, (_, y): (u16, u16), area: Rect, cx: &Context) -> Vec<Intent> {
        let calls = self.shown();
        let (total, before) = (calls.len(), self.selected(&calls));
        match row_in_panel(y, before, total, area) {
            Some(n) if n == before => self.on_action(Action::Open, cx).unwrap_or_default(),
            Some(n) => {
                self.list.select_row(n);
                Vec::new()
            }
            None => Vec::new(),
        }
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.list.filter)
    }

    fn set_filter(&mut self, text: String, _done: bool, _cx: &Context) -> Vec<Intent> {
        self.list.filter = text;
        Vec::new()
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        self.draw_list(cx, area, buffer);
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![
            Action::Open,
            Action::RunLogs,
            Action::Filter,
            Action::Copy,
            Action::Back,
        ]
    }

    fn subject(&self, _cx: &Context) -> Subject {
        let calls = self.shown();
        let call = calls.get(self.selected(&calls));
        call.map_or(Subject::None, |c| Subject::Call {
            // A person's question belongs to no run.
            run: Some(c.run.clone()).filter(|r| !r.is_empty()),
            agent: c.agent.clone(),
            provider: c.provider.clone(),
        })
    }

    /// Of all calls together the selected one's provider is what is asked about.
    fn about(&self, cx: &Context) -> About {
        let name = self.provider.clone();
        name.map_or_else(|| self.subject(cx).about(), |name| About::Provider { name })
    }

    fn table(&self, _cx: &Context) -> Vec<Vec<String>> {
        let head = [
            "atMs",
            "provider",
            "model",
            "outcome",
            "sent",
            "upstreamMs",
            "waitedMs",
            "run",
            "agent",
            "correlation",
        ];
        let rows = self.shown().into_iter().map(|c| {
            vec![
                c.at_ms.to_string(),
                c.provider.clone(),
                c.model.clone(),
                c.outcome.clone(),
                c.sent.to_string(),
                c.upstream_ms.to_string(),
                c.waited_ms.to_string(),
                c.run.clone(),
                c.agent.clone(),
                c.correlation.clone(),
            ]
        });
        with_head(&head, rows)
    }

    fn copied(&self, cx: &Context) -> Option<String> {
        let at = self.selected(&self.shown());
        one_line(self.table(cx).get(at + 1)?)
    }
}

/// Tokens and money of a call, where it used any.
fn used(c: &CallView) -> String {
    if c.tokens.sum() == 0 {
        return String::new();
    }
    let usd = c.micro_usd as f64 / 1e6;
    format!("{} tokens ${usd:.4}  ", c.tokens.sum())
}

impl Calls {
    fn draw_list(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let theme = cx.theme;
        let calls = self.shown();
        let selected = self.selected(&calls);
        let title = self.provider.as_ref().map_or_else(
            || "Calls behind the answers, slowest first".to_owned(),
            |name| format!("Calls to {}", crate::text::clean_line(name, 40)),
        );
        let filter = self.list.filter_note();
        let note = match &self.read {
            None => "reading them".to_owned(),
            Some(_) if filter.is_empty() && self.provider.is_some() => {
                format!("newest first, {}", calls.len())
            }
            Some(_) => format!("{filter}{}", calls.len()),
        };
        let inner = panel(theme, &title, &note, area, buffer);
        let dim = theme.style(Role::Dim);
        if calls.is_empty() {
            let filtered = self.read.as_ref().is_some_and(|l| !l.is_empty());
            let words = if filtered {
                "No call passes the filter. Esc clears it."
            } else if self.read.is_some() {
                "No call since this engine started."
            } else {
                ""
            };
            put(buffer, row(inner, 0), words, dim);
            return;
        }
        let height = usize::from(inner.height);
        let first = first_visible(selected, height, calls.len());
        for (n, c) in calls.iter().enumerate().skip(first).take(height) {
            let place = row(inner, (n - first) as u16);
            let mark = if !c.failed() {
                Mark::Passed
            } else if c.sent {
                Mark::Failed
            } else {
                Mark::Off
            };
            let (glyph, role) = theme.mark(mark);
            let waited = match c.waited_ms {
                0 => String::new(),
                ms => format!("waited {ms} ms  "),
            };
            let fallback = if c.target > 0 { "fallback  " } else { "" };
            let parts = vec![
                Span::styled(format!("{} ", cx.zone.clock_seconds(c.at_ms)), dim),
                Span::styled(format!("{glyph} "), theme.style(role)),
                Span::raw(format!(
                    "{} ",
                    fit(theme, &crate::text::clean_line(&c.outcome, 24), 18)
                )),
                Span::raw(format!("{:>7} ms  ", c.upstream_ms)),
                Span::raw(format!("{} ", fit(theme, short_id(&c.run), 6))),
                Span::raw(format!(
                    "{} ",
                    fit(theme, &crate::text::clean_line(&c.agent, 40), 24)
                )),
                Span::styled(format!("{waited}{fallback}"), theme.style(Role::Warn)),
                Span::styled(format!("{}  ", crate::text::clean_line(&c.model, 40)), dim),
                Span::styled(used(c), dim),
                Span::styled(crate::text::clean_line(&c.correlation, 40), dim),
            ];
            facts(buffer, place, parts);
            if n == selected {
                buffer.set_style(place, theme.style(Role::Selected));
            }
        }
    }
}
