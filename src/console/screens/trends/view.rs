//! Where the charts lie and how they are drawn: the words at the cursor first, then the panels that have room.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use unicode_width::UnicodeWidthStr as _;

use super::chart::Shared;
use super::{ribbons, words};
use crate::console::action::Action;
use crate::console::theme::Role;
use crate::console::widgets::focus::{Focus, mark as mark_focus};
use crate::console::widgets::text::{put, row};
use crate::engine::protocol::history::AlertMark;

/// The panels in the order in which the focus goes through them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Panel {
    /// The gateway's overhead.
    Overhead,
    /// Latency of answered calls.
    Answered,
    /// Calls by outcome.
    Calls,
    /// The hit rate.
    Hits,
    /// Breakers and pools.
    Ribbons,
}

impl Panel {
    pub(super) const ALL: [Self; 5] = [
        Self::Overhead,
        Self::Answered,
        Self::Calls,
        Self::Hits,
        Self::Ribbons,
    ];
}

/// What has room.
pub(super) struct Places {
    words: Rect,
    /// In the order of [`Panel::ALL`].
    pub(super) panels: Vec<(Panel, Rect)>,
}

impl Places {
    /// One panel alone below the words, or as many as have room.
    pub(super) fn of(shared: &Shared<'_>, alone: Option<Panel>, area: Rect) -> Self {
        let all = Self::all(shared, area);
        let Some(panel) = alone else {
            return all;
        };
        let used = all.words.height.min(area.height);
        let rest = Rect {
            y: area.y + used,
            height: area.height - used,
            ..area
        };
        let panels = if rest.height >= 3 {
            vec![(panel, rest)]
        } else {
            Vec::new()
        };
        Self { panels, ..all }
    }

    /// Two by two charts above the ribbons; of a low terminal the upper two, of a lower one the words alone.
    fn all(shared: &Shared<'_>, area: Rect) -> Self {
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
        let halves =
            |rect: Rect| -> [Rect; 2] { Layout::horizontal([Constraint::Fill(1); 2]).areas(rect) };
        let [overhead, answered] = halves(upper);
        let [calls, hits] = halves(lower);
        let rects = [overhead, answered, calls, hits, bottom];
        let panels = Panel::ALL.into_iter().zip(rects);
        Self {
            words: top,
            panels: panels.filter(|(_, rect)| rect.height >= 3).collect(),
        }
    }

    /// The panels that have room.
    pub(super) fn shown(&self) -> Vec<Panel> {
        self.panels.iter().map(|(panel, _)| *panel).collect()
    }
}

/// Draws the words and the panels; one that has the focus is marked.
pub(super) fn draw(
    shared: &Shared<'_>,
    alerts: &[AlertMark],
    focus: Focus<Panel>,
    area: Rect,
    buffer: &mut Buffer,
) {
    let places = Places::of(shared, focus.alone(), area);
    let left_out = match focus.alone() {
        None => Panel::ALL.len() - places.panels.len(),
        Some(_) => 0,
    };
    draw_words(shared, alerts, (places.words, left_out), buffer);
    let focused = focus.panel(&places.shown());
    for (panel, place) in &places.panels {
        draw_panel(shared, alerts, *panel, *place, buffer);
        if *panel == focused && focus.alone().is_none() {
            mark_focus(shared.cx, *place, buffer);
        }
    }
}

fn draw_panel(
    shared: &Shared<'_>,
    alerts: &[AlertMark],
    panel: Panel,
    place: Rect,
    buffer: &mut Buffer,
) {
    let target = shared.cx.snapshot().targets.p99_ms * 1_000.0;
    let span = span_words(shared.trends.to_ms - shared.trends.from_ms);
    match panel {
        Panel::Overhead => {
            let title = format!("Gateway overhead over {span}");
            let of = [|p: &_| p_us(p, false), |p: &_| p_us(p, true)];
            shared.latency(&title, Some(target), of, place, buffer);
        }
        Panel::Answered => {
            let of = [|p: &_| answered_us(p, false), |p: &_| answered_us(p, true)];
            shared.latency("Latency of answered calls", None, of, place, buffer);
        }
        Panel::Calls => shared.calls(place, buffer),
        Panel::Hits => shared.hits(place, buffer),
        Panel::Ribbons => ribbons::draw(shared, alerts, place, buffer),
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
fn draw_words(
    shared: &Shared<'_>,
    alerts: &[AlertMark],
    (room, charts_left_out): (Rect, usize),
    buffer: &mut Buffer,
) {
    let theme = shared.cx.theme;
    let dot = theme.signs().0;
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
    if charts_left_out > 0 {
        let key = shared.cx.key_word(Action::Zoom);
        marks.push_str(&format!(
            "  +{charts_left_out} charts: a taller terminal, or {key}"
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
