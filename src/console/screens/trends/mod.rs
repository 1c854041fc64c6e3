//! Where it goes: overhead, latency of answered calls, calls by outcome, hit rate, breakers and pools over one
//! span of time. One cursor goes through all of them, and from its moment the whole console can be looked at.

mod chart;
mod ribbons;
mod series;
mod words;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use unicode_width::UnicodeWidthStr as _;

use self::chart::{LABELS, Shared, canvas};
use crate::console::action::Action;
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::theme::Role;
use crate::console::widgets::panel::panel;
use crate::console::widgets::text::{put, row};
use crate::engine::protocol::alert::Alert;
use crate::engine::protocol::history::{AlertMark, Trends as Data};
use crate::engine::protocol::query::{Answer, Query};

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

    /// The engine gives reasons for what is now; of a moment that is past it has the figures alone.
    fn why(&self, cx: &Context) -> Option<Vec<Intent>> {
        let at = cx.zone.clock_seconds(self.cursor_ms?);
        let keys = cx.keys_of(&[
            (Action::Open, "shows every screen as it was then"),
            (Action::Alerts, "the alerts"),
        ]);
        let text = format!("why: the engine explains what is now, it cannot for {at}; {keys}");
        Some(vec![Intent::warn(text)])
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
            Action::Why => return self.why(cx),
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
        let places = Places::of(&self.shared(cx, data), area);
        let charts = places.charts.iter().flatten().map(|c| canvas(*c, LABELS));
        let ribbons = places.ribbons.map(|r| canvas(r, ribbons::NAMES));
        let under = charts.chain(ribbons).find(|c| c.contains((x, y).into()));
        if let Some(canvas) = under {
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
        draw(&self.shared(cx, data), &self.marks(), area, buffer);
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![
            Action::CursorBack,
            Action::CursorOn,
            Action::PreviousAlert,
            Action::NextAlert,
            Action::Open,
            Action::ZoomIn,
            Action::ZoomOut,
            Action::Rewind,
            Action::Forward,
        ]
    }

    fn subject(&self, _cx: &Context) -> Subject {
        Subject::None
    }
}

/// What has room.
struct Places {
    words: Rect,
    /// Overhead, answered calls, calls by outcome, hit rate.
    charts: [Option<Rect>; 4],
    ribbons: Option<Rect>,
}

impl Places {
    /// Two by two charts above the ribbons; of a low terminal the upper two, of a lower one the words alone.
    fn of(shared: &Shared<'_>, area: Rect) -> Self {
        let words = match area.height {
            34.. => 4,
            26.. => 3,
            _ => 2,
        };
        let (high, mid) = (area.height >= 17, area.height >= 12);
        let ribbons = match (high, mid) {
            (true, _) => ribbons::wanted(shared).min(area.height / 3).max(5),
            (false, true) => 5,
            (false, false) => 0,
        };
        let lower = if high {
            (area.height - words - ribbons) / 2
        } else {
            0
        };
        let upper = if mid {
            area.height.saturating_sub(words + ribbons + lower)
        } else {
            0
        };
        let [top, upper, lower, bottom] = Layout::vertical([
            Constraint::Length(words),
            Constraint::Length(upper),
            Constraint::Length(lower),
            Constraint::Length(ribbons),
        ])
        .areas(area);
        let shown = |rect: Rect| (rect.height >= 3).then_some(rect);
        let halves =
            |rect: Rect| -> [Rect; 2] { Layout::horizontal([Constraint::Fill(1); 2]).areas(rect) };
        let [overhead, answered] = halves(upper);
        let [calls, hits] = halves(lower);
        Self {
            words: top,
            charts: [overhead, answered, calls, hits].map(shown),
            ribbons: shown(bottom),
        }
    }

    /// How many charts have no room.
    fn left_out(&self) -> usize {
        let charts = self.charts.iter().filter(|c| c.is_none()).count();
        charts + usize::from(self.ribbons.is_none())
    }
}

fn draw(shared: &Shared<'_>, alerts: &[AlertMark], area: Rect, buffer: &mut Buffer) {
    let places = Places::of(shared, area);
    draw_words(shared, alerts, &places, buffer);
    let target = shared.cx.snapshot().targets.p99_ms * 1_000.0;
    let span = span_words(shared.trends.to_ms - shared.trends.from_ms);
    let [overhead, answered, calls, hits] = places.charts;
    if let Some(place) = overhead {
        let title = format!("Gateway overhead over {span}");
        let of = [|p: &_| p_us(p, false), |p: &_| p_us(p, true)];
        shared.latency(&title, Some(target), of, place, buffer);
    }
    if let Some(place) = answered {
        let of = [|p: &_| answered_us(p, false), |p: &_| answered_us(p, true)];
        shared.latency("Latency of answered calls", None, of, place, buffer);
    }
    if let Some(place) = calls {
        shared.calls(place, buffer);
    }
    if let Some(place) = hits {
        shared.hits(place, buffer);
    }
    if let Some(place) = places.ribbons {
        ribbons::draw(shared, alerts, place, buffer);
    }
}

type Point = crate::engine::protocol::history::Point;

fn p_us(p: &Point, high: bool) -> Option<u64> {
    if high { p.p99_us } else { p.p50_us }
}

fn answered_us(p: &Point, high: bool) -> Option<u64> {
    let ms = if high {
        p.answered_p99_ms
    } else {
        p.answered_p50_ms
    };
    ms.map(|ms| ms * 1_000)
}

/// The figures at the cursor; parts that do not fit are counted. The last line counts the marks.
fn draw_words(shared: &Shared<'_>, alerts: &[AlertMark], places: &Places, buffer: &mut Buffer) {
    let theme = shared.cx.theme;
    let dot = theme.signs().0;
    let room = places.words;
    let width = usize::from(room.width.saturating_sub(2));
    let mut rows: Vec<String> = vec![String::new()];
    let mut left_out = 0;
    for part in words::at_cursor(shared, alerts) {
        let last = rows.len() - 1;
        let joined = if rows[last].is_empty() {
            part.clone()
        } else {
            format!("{} {dot} {part}", rows[last])
        };
        if left_out == 0 && joined.width() + 5 <= width {
            rows[last] = joined;
        } else if left_out == 0 && rows.len() + 1 < usize::from(room.height) {
            rows.push(part);
        } else {
            left_out += 1;
        }
    }
    if left_out > 0
        && let Some(last) = rows.last_mut()
    {
        last.push_str(&format!(" +{left_out}"));
    }
    let mut marks = ribbons::counted(shared, alerts);
    if places.left_out() > 0 {
        marks.push_str(&format!(
            "  +{} charts: a taller terminal",
            places.left_out()
        ));
    }
    rows.push(marks);
    for (n, text) in rows.iter().enumerate() {
        let role = match n {
            0 => Role::Title,
            n if n + 1 == rows.len() => Role::Dim,
            _ => Role::Text,
        };
        put(
            buffer,
            row(room, n as u16),
            &format!(" {text}"),
            theme.style(role),
        );
    }
}

fn span_words(ms: i64) -> String {
    match ms / 60_000 {
        m if m < 120 => format!("{m} min"),
        m => format!("{} h", m / 60),
    }
}
