//! Drawing: a pure function of the state. One file a screen; this one has the frame around them.

mod agents;
mod caches;
mod calls;
mod chat;
mod costs;
mod drill;
mod header;
mod inbox;
mod latency;
pub mod line_chart;
mod logs;
mod memory;
mod overlay;
mod overview;
mod pieces;
mod resilience;
mod run;
mod runs;
mod trends;
mod trigger;
mod why;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget as _;

use super::action::{Action, Screen, row_of};
use super::state::State;
use super::theme::Role;
pub use header::evidence_words;
use pieces::{key_hint, put, spans};

/// Below this a screen is one line.
const FLOOR: (u16, u16) = (40, 8);

/// Too small for a screen: one line is shown, and no key does what cannot be seen.
pub(super) fn is_too_small((width, height): (u16, u16)) -> bool {
    width < FLOOR.0 || height < FLOOR.1
}

/// Draws everything into `area`.
pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return;
    }
    if is_too_small((area.width, area.height)) {
        floor(state, area, buffer);
        return;
    }
    let [header, tabs, body, hints] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area);
    header::draw(state, header, buffer);
    draw_tabs(state, tabs, buffer);
    match (&state.open, state.screen) {
        _ if state.open.is_none() && state.trends.is_some() => {
            if let Some(open) = &state.trends {
                trends::draw(state, open, body, buffer);
            }
        }
        _ if state.open.is_none() && state.calls.is_some() => {
            if let Some(open) = &state.calls {
                calls::draw(state, open, body, buffer);
            }
        }
        (Some(open), _) => run::draw(state, open, body, buffer),
        (None, Screen::Overview) => overview::draw(state, body, buffer),
        (None, Screen::Runs) => runs::draw(state, body, buffer),
        (None, Screen::Resilience) => resilience::draw(state, body, buffer),
        (None, Screen::Caches) => caches::draw(state, body, buffer),
        (None, Screen::Agents) => agents::draw(state, body, buffer),
        (None, Screen::Logs) => logs::draw(state, body, buffer),
        (None, Screen::Inbox) => inbox::draw(state, body, buffer),
        (None, Screen::Memory) => memory::draw(state, body, buffer),
    }
    draw_hints(state, hints, buffer);
    overlay::draw_toasts(state, body, buffer);
    for over in &state.overlays {
        overlay::draw(state, over, area, buffer);
    }
}

/// What lies under a place of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hit {
    /// A screen's title.
    Screen(Screen),
    /// A row of the list.
    Row(usize),
}

/// What a click at a place means, on the screen as it is drawn now.
pub fn hit(state: &State, x: u16, y: u16) -> Option<Hit> {
    let (width, height) = state.size;
    if is_too_small(state.size) {
        return None;
    }
    if y == 1 {
        let mut left = 1;
        for screen in Screen::ALL {
            let (whole, short) = screen.title();
            let title = if width >= 100 { whole } else { short };
            let wide = title.len() as u16 + 3;
            if (left..left + wide).contains(&x) {
                return Some(Hit::Screen(screen));
            }
            left += wide + 1;
        }
        return None;
    }
    // Lists that fill the body: a frame above them, or a frame and a head.
    let total = match (&state.open, &state.calls, state.screen) {
        (Some(_), ..) => return None,
        _ if state.trends.is_some() => return None,
        (None, Some(_), _) => state.calls_shown().len(),
        (None, None, Screen::Runs | Screen::Logs | Screen::Inbox) => state.rows(),
        _ => return None,
    };
    let mut inside = height.saturating_sub(5);
    if state.screen == Screen::Logs && state.open.is_none() && state.calls.is_none() {
        let inner = Rect::new(1, 3, width.saturating_sub(2), inside);
        inside = logs::list_height(state, inner) as u16;
    }
    let first = pieces::first_visible(state.list_selection(), usize::from(inside), total);
    let row = usize::from(y.checked_sub(3)?);
    (row < usize::from(inside) && first + row < total).then_some(Hit::Row(first + row))
}

fn draw_tabs(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let wide = area.width >= 100;
    let mut left = vec![Span::raw(" ")];
    for screen in Screen::ALL {
        let (whole, short) = screen.title();
        let title = if wide { whole } else { short };
        let role = if state.screen == screen {
            Role::Selected
        } else {
            Role::Text
        };
        left.push(Span::styled(
            format!("{}", screen.digit()),
            theme.style(Role::Key),
        ));
        left.push(Span::styled(format!(" {title} "), theme.style(role)));
        left.push(Span::raw(" "));
    }
    let missed = if state.missed > 0 {
        format!("{} events missed  ", state.missed)
    } else {
        String::new()
    };
    let rate = format!("{missed}{:.1} kB/s ", state.link_bytes as f64 / 1_000.0);
    spans(
        buffer,
        area,
        left,
        vec![Span::styled(rate, theme.style(Role::Dim))],
    );
}

fn draw_hints(state: &State, area: Rect, buffer: &mut Buffer) {
    let actions: &[Action] = match (&state.open, state.screen) {
        (None, _) if state.trends.is_some() => &[
            Action::ZoomIn,
            Action::ZoomOut,
            Action::Rewind,
            Action::Forward,
            Action::Back,
        ],
        (None, _) if state.calls.is_some() => &[
            Action::Open,
            Action::RunLogs,
            Action::Filter,
            Action::Copy,
            Action::Back,
        ],
        (Some(_), _) => &[
            Action::Report,
            Action::RunLogs,
            Action::RunAgain,
            Action::Why,
            Action::Cancel,
            Action::Back,
        ],
        (None, Screen::Overview) => &[
            Action::Trigger,
            Action::Open,
            Action::Why,
            Action::Trends,
            Action::ClearCache,
            Action::ResetBreaker,
            Action::Filter,
        ],
        (None, Screen::Runs) => &[
            Action::Trigger,
            Action::Open,
            Action::Report,
            Action::RunAgain,
            Action::Cancel,
            Action::Filter,
        ],
        (None, Screen::Resilience) => &[
            Action::Open,
            Action::Why,
            Action::ResetBreaker,
            Action::IsolateBreaker,
            Action::ResizePool,
        ],
        (None, Screen::Caches) => &[Action::Open, Action::Why, Action::ClearCache],
        (None, Screen::Agents) => &[Action::Ask, Action::Filter, Action::Reload],
        (None, Screen::Logs) => &[Action::Filter, Action::Open],
        (None, Screen::Memory) => &[Action::Filter, Action::Open, Action::RunLogs],
        (None, Screen::Inbox) => &[
            Action::Open,
            Action::Decide,
            Action::RunLogs,
            Action::Filter,
        ],
    };
    let hint = |action: &Action| {
        row_of(*action).map(|row| {
            let key = state.keys.key_of(*action);
            key_hint(state.theme, key, short_title(*action, row.title))
        })
    };
    let right_room: usize = if area.width < 100 { 18 } else { 20 };
    let mut room = usize::from(area.width).saturating_sub(right_room);
    let mut left: Vec<Span<'_>> = Vec::new();
    let useful = |a: &&Action| **a != Action::Cancel || state.current_is_active();
    for action in actions.iter().filter(useful).chain(&[Action::Palette]) {
        let spans = hint(action).unwrap_or_default();
        let width: usize = spans.iter().map(Span::width).sum();
        // A hint is shown whole or not at all.
        if width <= room {
            room -= width;
            left.extend(spans);
        }
    }
    let right: Vec<Span<'_>> = [Action::Help, Action::Quit]
        .iter()
        .filter_map(hint)
        .flatten()
        .collect();
    spans(buffer, area, left, right);
}

fn short_title(action: Action, title: &'static str) -> &'static str {
    match action {
        Action::Trigger => "run",
        Action::Open => "open",
        Action::Report => "report",
        Action::RunLogs => "logs",
        Action::RunAgain => "again",
        Action::Cancel => "cancel",
        Action::ClearCache => "clear cache",
        Action::ResetBreaker => "reset breaker",
        Action::IsolateBreaker => "isolate",
        Action::Filter => "filter",
        Action::Why => "why",
        Action::Copy => "copy",
        Action::ResizePool => "resize",
        Action::ZoomIn => "closer",
        Action::ZoomOut => "wider",
        Action::Rewind => "earlier",
        Action::Forward => "later",
        Action::Trends => "trends",
        Action::Reload => "reload",
        Action::Ask => "ask",
        Action::Decide => "decide",
        Action::Palette => "commands",
        _ => title,
    }
}

/// One line for a terminal that is too small for anything else.
fn floor(state: &State, area: Rect, buffer: &mut Buffer) {
    let (health, words) = header::health_mark(state);
    let (glyph, role) = state.theme.mark(health);
    let counts = state.snapshot().counts;
    let line = Line::from(vec![
        Span::styled(format!("{glyph} "), state.theme.style(role)),
        Span::raw(format!("{}r {}q {words}", counts.running, counts.queued)),
    ]);
    line.render(Rect { height: 1, ..area }, buffer);
    if area.height > 1 {
        put(
            buffer,
            Rect {
                y: area.y + 1,
                height: 1,
                ..area
            },
            &if state.overlays.is_empty() {
                pieces::keys(state, &[(Action::Quit, "quit; too small")])
            } else {
                "Esc: too small".to_owned()
            },
            state.theme.style(Role::Dim),
        );
    }
}
