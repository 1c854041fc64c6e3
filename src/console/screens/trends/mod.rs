//! Where it goes: overhead, latency of answered calls, calls by outcome, hit rate, breakers and pools over one
//! span of time. One cursor goes through all of them, and from its moment the whole console can be looked at.

mod chart;
mod ribbons;
mod series;
mod view;
mod words;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use self::chart::{LABELS, Shared, canvas};
use self::view::{Panel, Places, draw};
use crate::console::action::Action;
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::overlays::why::WhyWindow;
use crate::console::theme::Role;
use crate::console::widgets::focus::Focus;
use crate::console::widgets::panel::panel;
use crate::console::widgets::text::{put, row};
use crate::engine::protocol::alert::Alert;
use crate::engine::protocol::history::{AlertMark, Trends as Data};
use crate::engine::protocol::query::{Answer, Query};
use crate::engine::protocol::why::About;

/// Spans of the charts, milliseconds.
const SPANS: [i64; 6] = [60_000, 300_000, 900_000, 3_600_000, 21_600_000, 86_400_000];
/// Points of a chart.
const POINTS: u32 = 400;
/// Steps of a long move of the cursor.
const FAR: i64 = 10;

/// Charts over time.
#[derive(Debug, Clone)]
pub struct Trends {
    /// Their span, milliseconds.
    span_ms: i64,
    /// Their end, wall time in milliseconds; `None`: now.
    to_ms: Option<i64>,
    /// The moment that is looked at; `None`: the newest.
    cursor_ms: Option<i64>,
    data: Option<Box<Data>>,
    /// Alerts that the engine keeps: they lead further back than the span.
    alerts: Vec<Alert>,
    asked_ms: i64,
    focus: Focus<Panel>,
}

impl Trends {
    /// The last five minutes, before now or before the recorded picture that is shown.
    pub fn new(cx: &Context) -> Self {
        Self {
            span_ms: SPANS[1],
            to_ms: cx.rewound.then_some(cx.frozen_ms),
            cursor_ms: None,
            data: None,
            alerts: Vec::new(),
            asked_ms: 0,
            focus: Focus::on(Panel::Overhead),
        }
    }

    fn end(&self, cx: &Context) -> i64 {
        self.to_ms.unwrap_or(cx.wall_ms)
    }

    fn read(&mut self, cx: &Context) -> Vec<Intent> {
        self.asked_ms = cx.wall_ms;
        let to_ms = self.end(cx);
        vec![Intent::ask(Query::Trends {
            from_ms: to_ms - self.span_ms,
            to_ms,
            points: POINTS,
        })]
    }

    /// Another span; the cursor stays where it is, and in sight.
    fn zoom(&mut self, closer: bool, cx: &Context) {
        let at = SPANS.iter().position(|s| *s == self.span_ms).unwrap_or(1);
        let next = if closer {
            at.saturating_sub(1)
        } else {
            (at + 1).min(SPANS.len() - 1)
        };
        self.span_ms = SPANS[next];
        if let Some(at) = self.cursor_ms {
            self.show(at, cx);
        }
    }

    /// Half a span earlier or later; past now it follows again.
    fn pan(&mut self, later: bool, now_ms: i64) {
        let by = self.span_ms / 2 * if later { 1 } else { -1 };
        let to_ms = self.to_ms.unwrap_or(now_ms) + by;
        self.to_ms = (to_ms < now_ms).then_some(to_ms);
    }

    /// Puts the cursor at a moment and moves the span to it; true: the span has moved.
    fn show(&mut self, at_ms: i64, cx: &Context) -> bool {
        self.cursor_ms = Some(at_ms);
        let to_ms = self.end(cx);
        if (to_ms - self.span_ms..=to_ms).contains(&at_ms) {
            return false;
        }
        let to_ms = at_ms + self.span_ms / 2;
        self.to_ms = (to_ms < cx.wall_ms).then_some(to_ms);
        true
    }

    /// Moves the cursor by so many columns of the widest chart.
    fn step(&mut self, columns: i64, cx: &Context) -> Vec<Intent> {
        let width = i64::from(cx.size.0.saturating_sub(ribbons::NAMES + 4).max(10));
        let each = (self.span_ms / width).max(1_000);
        let at = self.cursor_ms.unwrap_or(self.end(cx)) + columns * each;
        if at >= cx.wall_ms {
            self.cursor_ms = None;
            let moves = self.to_ms.take().is_some();
            return if moves { self.read(cx) } else { Vec::new() };
        }
        if self.show(at, cx) {
            return self.read(cx);
        }
        Vec::new()
    }

    fn marks(&self) -> Vec<AlertMark> {
        let data = self.data.as_deref();
        data.map_or_else(Vec::new, |d| series::alerts(d, &self.alerts))
    }

    /// To the alert before the cursor, or after it.
    fn jump(&mut self, later: bool, cx: &Context) -> Vec<Intent> {
        let marks = self.marks();
        let at = self.cursor_ms.unwrap_or(self.end(cx));
        let mut times = marks.iter().map(|m| m.at_ms);
        let found = if later {
            times.find(|t| *t > at)
        } else {
            times.rfind(|t| *t < at)
        };
        let Some(found) = found else {
            let word = if later { "after" } else { "before" };
            let text = format!("no alert is known {word} this moment");
            return vec![Intent::warn(text)];
        };
        if self.show(found, cx) {
            return self.read(cx);
        }
        Vec::new()
    }

    /// Shows the whole console as it was at the cursor.
    fn rewind(&self, cx: &Context) -> Vec<Intent> {
        let Some(at_ms) = self.cursor_ms else {
            let keys = cx.keys_of(&[(Action::CursorBack, "puts the cursor at a moment")]);
            let text = format!("{keys}; then Enter shows every screen as it was");
            return vec![Intent::note(text)];
        };
        let after = false;
        vec![Intent::ask(Query::Moment { at_ms, after })]
    }

    /// Why it was so at the cursor's moment.
    fn why(&self) -> Option<Vec<Intent>> {
        let at_ms = self.cursor_ms?;
        Some(WhyWindow::at(About::Health, at_ms).open())
    }

    /// Panels that have room.
    fn shown(&self, cx: &Context) -> Vec<Panel> {
        let Some(data) = self.data.as_deref() else {
            return Vec::new();
        };
        let area = Rect::new(0, 2, cx.size.0, cx.size.1.saturating_sub(3));
        Places::of(&self.shared(cx, data), None, area).shown()
    }

    fn shared<'a>(&self, cx: &'a Context, data: &'a Data) -> Shared<'a> {
        Shared {
            cx,
            trends: data,
            cursor_ms: self.cursor_ms,
            is_live: self.to_ms.is_none(),
        }
    }
}

impl Component for Trends {
    fn title(&self, _cx: &Context) -> String {
        "trends".into()
    }

    fn on_show(&mut self, cx: &Context) -> Vec<Intent> {
        let mut intents = self.read(cx);
        intents.push(Intent::ask(Query::Alerts));
        intents
    }

    fn on_action(&mut self, action: Action, cx: &Context) -> Option<Vec<Intent>> {
        let shown = self.shown(cx);
        if self.focus.on_action(action, &shown, &Panel::ALL) {
            return Some(Vec::new());
        }
        match action {
            Action::ZoomIn | Action::ZoomOut => self.zoom(action == Action::ZoomIn, cx),
            Action::Rewind | Action::Forward => self.pan(action == Action::Forward, cx.wall_ms),
            Action::CursorBack => return Some(self.step(-1, cx)),
            Action::CursorOn => return Some(self.step(1, cx)),
            Action::PageUp => return Some(self.step(-FAR, cx)),
            Action::PageDown => return Some(self.step(FAR, cx)),
            Action::Top => {
                self.cursor_ms = Some(self.end(cx) - self.span_ms);
                return Some(Vec::new());
            }
            Action::Bottom => {
                self.cursor_ms = None;
                self.to_ms = None;
            }
            Action::PreviousAlert => return Some(self.jump(false, cx)),
            Action::NextAlert => return Some(self.jump(true, cx)),
            Action::Open => return Some(self.rewind(cx)),
            Action::Why => return self.why(),
            _ => return None,
        }
        Some(self.read(cx))
    }

    fn on_snapshot(&mut self, cx: &Context) -> Vec<Intent> {
        let each = (self.span_ms / 400).max(2_000);
        // The cursor stays in sight when time has gone on.
        if let Some(at) = self.cursor_ms
            && self.show(at, cx)
        {
            return self.read(cx);
        }
        if self.to_ms.is_none() && cx.wall_ms - self.asked_ms >= each {
            return self.read(cx);
        }
        Vec::new()
    }

    fn on_answer(&mut self, query: &Query, answer: &Answer, _cx: &Context) -> Vec<Intent> {
        match (query, answer) {
            (Query::Trends { to_ms, from_ms, .. }, Answer::Trends { trends })
                if self.span_ms == to_ms - from_ms && self.to_ms.is_none_or(|to| to == *to_ms) =>
            {
                self.data = Some(trends.clone());
            }
            (Query::Alerts, Answer::Alerts { alerts }) => self.alerts.clone_from(alerts),
            _ => {}
        }
        Vec::new()
    }

    /// A click puts the cursor there.
    fn on_click(&mut self, (x, y): (u16, u16), area: Rect, cx: &Context) -> Vec<Intent> {
        let Some(data) = self.data.as_deref() else {
            return Vec::new();
        };
        let places = Places::of(&self.shared(cx, data), self.focus.alone(), area);
        let mut panels = places.panels.iter();
        let Some((panel, rect)) = panels.find(|(_, rect)| rect.contains((x, y).into())) else {
            return Vec::new();
        };
        self.focus.take(*panel);
        let labels = if *panel == Panel::Ribbons {
            ribbons::NAMES
        } else {
            LABELS
        };
        let canvas = canvas(*rect, labels);
        if canvas.contains((x, y).into()) {
            self.cursor_ms = Some(series::moment(data, x - canvas.x, canvas.width));
        }
        Vec::new()
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let Some(data) = &self.data else {
            let inner = panel(cx.theme, "Trends", "", area, buffer);
            let style = cx.theme.style(Role::Dim);
            put(buffer, row(inner, 0), "reading what was recorded", style);
            return;
        };
        let shared = self.shared(cx, data);
        draw(&shared, &self.marks(), self.focus, area, buffer);
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![
            Action::CursorBack,
            Action::CursorOn,
            Action::PreviousAlert,
            Action::NextAlert,
            Action::Why,
            Action::Open,
            Action::ZoomIn,
            Action::ZoomOut,
            Action::Rewind,
            Action::Forward,
            Action::Zoom,
        ]
    }

    fn panels(&self, _cx: &Context) -> usize {
        Panel::ALL.len()
    }

    fn subject(&self, _cx: &Context) -> Subject {
        Subject::None
    }
}
