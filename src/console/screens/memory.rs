//! Memory: what is most like a text, as it is typed; and why changes are rejected.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Span;

use crate::console::action::Action;
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::format::{count, percent, so_many};
use crate::console::overlays::text::TextWindow;
use crate::console::theme::Role;
use crate::console::widgets::focus::{self, Focus};
use crate::console::widgets::list::{ListState, first_visible};
use crate::console::widgets::panel::panel;
use crate::console::widgets::table::{one_line, with_head};
use crate::console::widgets::text::{fit, line, put, row};
use crate::engine::protocol::memory::{MemoryStats, Patterns, Similar};
use crate::engine::protocol::query::{Answer, Query};
use crate::text::clean_line;

/// Most alike that are read.
const READ: u32 = 50;

/// The screen. Its filter is the text that is looked for.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    list: ListState,
    similar: Option<Box<Similar>>,
    patterns: Option<Box<Patterns>>,
    stats: Option<MemoryStats>,
    focus: Focus<Panel>,
}

/// The panels.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Panel {
    /// What is most like the text.
    #[default]
    Similar,
    /// Why changes are rejected.
    Patterns,
}

impl Panel {
    const ALL: [Self; 2] = [Self::Similar, Self::Patterns];
}

/// Side by side where there is room, else the patterns below what was found; or one of them alone.
fn places(alone: Option<Panel>, area: Rect) -> [Rect; 2] {
    let nothing = Rect { height: 0, ..area };
    match alone {
        Some(Panel::Similar) => [area, nothing],
        Some(Panel::Patterns) => [nothing, area],
        None if area.width >= 120 => {
            Layout::horizontal([Constraint::Fill(3), Constraint::Fill(2)]).areas(area)
        }
        None => {
            let low = area.height / 3;
            Layout::vertical([Constraint::Fill(1), Constraint::Length(low)]).areas(area)
        }
    }
}

impl Memory {
    fn read(&self) -> Vec<Intent> {
        if self.list.filter.trim().is_empty() {
            return Vec::new();
        }
        vec![Intent::ask(Query::Similar {
            text: self.list.filter.clone(),
            k: READ,
            min_score: 0.0,
        })]
    }

    fn hits(&self) -> &[crate::engine::protocol::memory::SimilarHit] {
        self.similar.as_ref().map_or(&[], |s| &s.hits)
    }

    fn selected(&self) -> usize {
        let hits = self.hits();
        self.list.selected(hits.len(), |n| &hits[n].id)
    }
}

impl Component for Memory {
    fn title(&self, _cx: &Context) -> String {
        "Memory".into()
    }

    fn on_show(&mut self, _cx: &Context) -> Vec<Intent> {
        let mut intents = self.read();
        intents.push(Intent::ask(Query::Patterns { since_ms: 0 }));
        intents.push(Intent::ask(Query::MemoryStats));
        intents
    }

    fn on_action(&mut self, action: Action, _cx: &Context) -> Option<Vec<Intent>> {
        if self.focus.on_action(action, &Panel::ALL, &Panel::ALL) {
            return Some(Vec::new());
        }
        let at = self.selected();
        let hits = self.similar.as_ref().map_or(&[][..], |s| &s.hits);
        if action == Action::Open {
            // In full: what it was found by, and what was said of it.
            let window = hits.get(at).map(|hit| {
                TextWindow::new(
                    format!("{:.3} {}", hit.score, clean_line(&hit.id, 80)),
                    format!("{}\n\n{}", hit.review.raw(), hit.code.raw()),
                )
            });
            let open = window.map(|w| Intent::Open(Box::new(w)));
            return Some(open.into_iter().collect());
        }
        let moves = self.list.travel(action, hits.len(), |n| &hits[n].id);
        moves.then(Vec::new)
    }

    fn on_answer(&mut self, query: &Query, answer: &Answer, _cx: &Context) -> Vec<Intent> {
        match (query, answer) {
            // An answer to what was typed before says nothing any more.
            (Query::Similar { text, .. }, Answer::Similar { found })
                if *text == self.list.filter =>
            {
                self.similar = Some(found.clone());
                self.list.follow_first();
            }
            (_, Answer::Patterns { patterns }) => self.patterns = Some(patterns.clone()),
            (_, Answer::MemoryStats { stats }) => self.stats = Some(*stats),
            _ => {}
        }
        Vec::new()
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.list.filter)
    }

    /// Other lists have what they show; the memory is asked with each key.
    fn set_filter(&mut self, text: String, _done: bool, _cx: &Context) -> Vec<Intent> {
        self.list.filter = text;
        self.read()
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let [left, right] = places(self.focus.alone(), area);
        if left.height > 0 {
            similar(cx, self, left, buffer);
        }
        if right.height > 0 {
            patterns(cx, self, right, buffer);
        }
        if self.focus.alone().is_none() {
            let focused = match self.focus.panel(&Panel::ALL) {
                Panel::Similar => left,
                Panel::Patterns => right,
            };
            focus::mark(cx, focused, buffer);
        }
    }

    /// A click takes the focus.
    fn on_click(&mut self, at: (u16, u16), area: Rect, _cx: &Context) -> Vec<Intent> {
        let of = places(self.focus.alone(), area).into_iter();
        let mut of = of.zip(Panel::ALL).filter(|(r, _)| r.contains(at.into()));
        if let Some((_, panel)) = of.next() {
            self.focus.take(panel);
        }
        Vec::new()
    }

    fn panels(&self, _cx: &Context) -> usize {
        Panel::ALL.len()
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![Action::Filter, Action::Open, Action::RunLogs, Action::Zoom]
    }

    fn subject(&self, _cx: &Context) -> Subject {
        let run = self
            .hits()
            .get(self.selected())
            .and_then(|h| h.run_id.clone());
        run.map_or(Subject::None, Subject::Run)
    }

    fn table(&self, _cx: &Context) -> Vec<Vec<String>> {
        let head = ["score", "overlap", "union", "id", "run", "code"];
        let rows = self.hits().iter().map(|h| {
            vec![
                format!("{:.4}", h.score),
                h.overlap.to_string(),
                h.union.to_string(),
                h.id.clone(),
                h.run_id.clone().unwrap_or_default(),
                h.code.raw().to_owned(),
            ]
        });
        with_head(&head, rows)
    }

    fn copied(&self, cx: &Context) -> Option<String> {
        one_line(self.table(cx).get(self.selected() + 1)?)
    }

    /// Code is pasted as it is; its first thousands of characters count.
    fn longest_paste(&self) -> usize {
        4_000
    }
}

fn similar(cx: &Context, memory: &Memory, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let note = cx.keys_of(&[(Action::Filter, "type"), (Action::Open, "read")]);
    let items = memory.similar.as_ref().map_or_else(
        || memory.stats.map_or(0, |s| s.reviews + s.decisions),
        |s| s.total,
    );
    let title = format!("Memory: {} items", count(items));
    let inner = panel(theme, &title, &note, area, buffer);
    let text = &memory.list.filter;
    let shown: String = {
        let room = usize::from(inner.width).saturating_sub(10);
        let typed = clean_line(text, 2_000);
        let skip = typed.chars().count().saturating_sub(room);
        typed.chars().skip(skip).collect()
    };
    let mark = if cx.typing { cx.cursor() } else { "" };
    put(
        buffer,
        row(inner, 0),
        &format!("like: {shown}{mark}"),
        theme.style(Role::Title),
    );
    let Some(similar) = memory.similar.as_ref().filter(|_| !text.trim().is_empty()) else {
        put(
            buffer,
            row(inner, 2),
            &format!(
                "{} and type or paste code: what was said of the most alike.",
                cx.keys.key_of(Action::Filter)
            ),
            theme.style(Role::Dim),
        );
        return;
    };
    let ready = if similar.ready {
        ""
    } else {
        ", the index still fills"
    };
    let took = format!(
        "{} alike, {:.1} ms{ready}",
        similar.hits.len(),
        similar.took_us as f64 / 1_000.0
    );
    put(buffer, row(inner, 1), &took, theme.style(Role::Dim));
    let height = usize::from(inner.height.saturating_sub(2));
    let selected = memory.selected();
    let first = first_visible(selected, height, similar.hits.len());
    for (n, hit) in similar.hits.iter().enumerate().skip(first).take(height) {
        let place = row(inner, (n - first) as u16 + 2);
        let said = hit.review.raw().split_whitespace().next();
        let said = clean_line(said.unwrap_or_default(), 20);
        let role = match said.as_str() {
            "block" | "block_pr" => Role::Bad,
            "request_changes" | "comment" | "manual_review" => Role::Warn,
            _ => Role::Good,
        };
        line(
            buffer,
            place,
            vec![
                Span::styled(format!("{:.2} ", hit.score), theme.style(Role::Title)),
                Span::styled(
                    format!("{:>3}/{:<4}", hit.overlap, hit.union),
                    theme.style(Role::Dim),
                ),
                Span::styled(format!("{} ", fit(theme, &said, 15)), theme.style(role)),
                Span::raw(hit.code.line(300)),
            ],
        );
        if n == selected {
            buffer.set_style(place, theme.style(Role::Selected));
        }
    }
}

fn patterns(cx: &Context, memory: &Memory, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let inner = panel(theme, "Why changes are rejected", "", area, buffer);
    let Some(patterns) = memory.patterns.as_ref().filter(|p| p.total > 0) else {
        put(
            buffer,
            row(inner, 0),
            "No decisions yet.",
            theme.style(Role::Dim),
        );
        return;
    };
    let head = format!(
        "{}, {} rejected, {}",
        so_many(patterns.total, "decision", "decisions"),
        count(patterns.rejections),
        percent(patterns.rate)
    );
    put(buffer, row(inner, 0), &head, theme.style(Role::Title));
    let mut n = 1;
    let reasons = patterns.reasons.iter().take(5);
    for (reason, times) in reasons {
        let text = format!("{times:>6}  {}", reason.line(160));
        put(buffer, row(inner, n), &text, theme.style(Role::Text));
        n += 1;
    }
    let mut last = "";
    for group in &patterns.groups {
        if group.by != last {
            let text = format!("by {}", group.by);
            put(buffer, row(inner, n), &text, theme.style(Role::Dim));
            last = &group.by;
            n += 1;
        }
        let text = format!(
            "{:>6}  of {:<6} {}",
            group.rejections,
            group.total,
            clean_line(&group.name, 120)
        );
        put(buffer, row(inner, n), &text, theme.style(Role::Text));
        n += 1;
    }
}
