//! The inbox: webhooks, the outbox and what waits for a person, one row each.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use super::inbox_entries::{Entry, Lists, text_of};
use crate::console::action::{Action, Scope};
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::overlays::decide::Decide;
use crate::console::overlays::text::TextWindow;
use crate::console::route::Route;
use crate::console::theme::Role;
use crate::console::widgets::list::{ListState, first_visible, row_in_panel};
use crate::console::widgets::panel::panel;
use crate::console::widgets::table::{one_line, with_head};
use crate::console::widgets::text::{fit, line, put, row, wrap};
use crate::engine::protocol::github::{Approval, ApprovalState, GithubStats};
use crate::engine::protocol::query::{Answer, Query};
use crate::text::clean_line;

/// Of each kind, the newest.
const LIMIT: u32 = 200;

/// The screen.
#[derive(Debug, Clone, Default)]
pub struct Inbox {
    lists: Lists,
    list: ListState,
    /// The figures when it was read last: other figures, and it is read again.
    read_at: Option<GithubStats>,
}

impl Inbox {
    fn read(&mut self, cx: &Context) -> Vec<Intent> {
        self.read_at = Some(cx.live.github);
        let limit = LIMIT;
        vec![
            Intent::ask(Query::Approvals { limit }),
            Intent::ask(Query::Deliveries { limit }),
            Intent::ask(Query::Outbox { limit }),
        ]
    }

    /// Entries that pass the filter, those that wait first.
    fn shown(&self) -> Vec<Entry<'_>> {
        let filter = self.list.terms();
        let mut entries = self.lists.entries();
        entries.retain(|e| filter.passes(e));
        entries
    }

    fn selected(&self, entries: &[Entry<'_>]) -> usize {
        let ids: Vec<String> = entries.iter().map(Entry::id).collect();
        self.list.selected(ids.len(), |n| &ids[n])
    }

    fn waiting(&self) -> Option<Approval> {
        let entries = self.shown();
        match entries.get(self.selected(&entries)) {
            Some(Entry::Approval(a)) if a.state == ApprovalState::Waiting => Some((*a).clone()),
            _ => None,
        }
    }

    /// What is behind an entry: what is said there, or the run.
    fn open(&self) -> Vec<Intent> {
        let entries = self.shown();
        let entry = entries.get(self.selected(&entries));
        if let Some(Entry::Publication(p)) = entry
            && let Some(publication) = &p.publication
        {
            let title = format!("{} on {}", p.kind, p.place.line(80));
            let window = TextWindow::new(title, text_of(publication));
            return vec![Intent::Open(Box::new(window))];
        }
        let run = entry.and_then(Entry::run);
        let go = run.map(|id| Intent::Navigate(Route::Run { id }));
        go.into_iter().collect()
    }
}

impl Component for Inbox {
    fn title(&self, _cx: &Context) -> String {
        "Inbox".into()
    }

    fn on_show(&mut self, cx: &Context) -> Vec<Intent> {
        self.read(cx)
    }

    fn on_action(&mut self, action: Action, cx: &Context) -> Option<Vec<Intent>> {
        match action {
            Action::Open => Some(self.open()),
            Action::Decide => Some(vec![match self.waiting() {
                Some(a) => Intent::Open(Box::new(Decide::new(a.id, a.what, cx))),
                None => Intent::warn("select an approval that waits"),
            }]),
            _ => {
                let ids: Vec<String> = self.shown().iter().map(Entry::id).collect();
                let moves = self.list.travel(action, ids.len(), |n| &ids[n]);
                moves.then(Vec::new)
            }
        }
    }

    fn on_snapshot(&mut self, cx: &Context) -> Vec<Intent> {
        if self.read_at == Some(cx.live.github) {
            return Vec::new();
        }
        self.read(cx)
    }

    fn on_answer(&mut self, _query: &Query, answer: &Answer, _cx: &Context) -> Vec<Intent> {
        self.lists.take(answer);
        Vec::new()
    }

    fn on_click(&mut self, (_, y): (u16, u16), area: Rect, _cx: &Context) -> Vec<Intent> {
        let entries = self.shown();
        let (total, before) = (entries.len(), self.selected(&entries));
        match row_in_panel(y, before, total, area) {
            Some(n) if n == before => self.open(),
            Some(n) => {
                let id = entries[n].id();
                self.list.select(n, &id);
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
        draw(cx, self, area, buffer);
    }

    fn scope(&self) -> Scope {
        Scope::Inbox
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![
            Action::Open,
            Action::Decide,
            Action::RunLogs,
            Action::Filter,
        ]
    }

    fn subject(&self, _cx: &Context) -> Subject {
        let entries = self.shown();
        let entry = entries.get(self.selected(&entries));
        let run = entry.and_then(Entry::run);
        run.map_or(Subject::None, Subject::Run)
    }

    fn table(&self, _cx: &Context) -> Vec<Vec<String>> {
        let head = ["atMs", "kind", "state", "place", "what", "run"];
        let entries = self.shown();
        let rows = entries.iter().map(|e| {
            let (place, what) = e.summary();
            vec![
                e.at_ms().to_string(),
                e.kind().to_owned(),
                e.state().to_owned(),
                place,
                what,
                e.run().unwrap_or_default(),
            ]
        });
        with_head(&head, rows)
    }

    fn copied(&self, cx: &Context) -> Option<String> {
        let at = self.selected(&self.shown());
        one_line(self.table(cx).get(at + 1)?)
    }
}

fn draw(cx: &Context, inbox: &Inbox, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let entries = inbox.shown();
    let g = cx.snapshot().github;
    let filter = inbox.list.filter_note();
    let note = cx.keys_of(&[(Action::Open, "open"), (Action::Decide, "decide")]);
    let title = format!(
        "Inbox: {} pending approvals, {} to send, {} dead-lettered  {filter}",
        g.approvals, g.outbox.waiting, g.outbox.dropped
    );
    let inner = panel(theme, &title, &note, area, buffer);
    if entries.is_empty() {
        let lines = [
            "No webhook came yet. `bsm serve` takes them at /webhook/github once GITHUB_WEBHOOK_SECRET is set;",
            "with GITHUB_BSU_TOKEN and github.repositories, decisions are left on the pull request.",
        ];
        let width = usize::from(inner.width);
        for (n, text) in wrap(&lines.join(" "), width).iter().enumerate() {
            put(buffer, row(inner, n as u16), text, theme.style(Role::Dim));
        }
        return;
    }
    let selected = inbox.selected(&entries);
    let height = usize::from(inner.height);
    let first = first_visible(selected, height, entries.len());
    let wide = area.width >= 120;
    for (n, entry) in entries.iter().enumerate().skip(first).take(height) {
        let place = row(inner, (n - first) as u16);
        let (glyph, role) = theme.mark(entry.mark());
        let (at, what) = entry.summary();
        let text = if entry.waits() {
            Role::Title
        } else {
            Role::Text
        };
        line(
            buffer,
            place,
            vec![
                Span::styled(format!("{glyph} "), theme.style(role)),
                Span::styled(
                    format!("{} ", cx.zone.clock(entry.at_ms())),
                    theme.style(Role::Dim),
                ),
                Span::styled(
                    format!("{} ", fit(theme, entry.kind(), 8)),
                    theme.style(Role::Dim),
                ),
                Span::styled(
                    format!("{} ", fit(theme, entry.state(), 8)),
                    theme.style(role),
                ),
                Span::raw(format!(
                    "{} ",
                    fit(theme, &clean_line(&at, 120), if wide { 28 } else { 18 })
                )),
                Span::styled(clean_line(&what, 300), theme.style(text)),
            ],
        );
        if n == selected {
            buffer.set_style(place, theme.style(Role::Selected));
        }
    }
}
