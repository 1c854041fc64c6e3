//! The line at the top: what is special about this console, whose workspace it is, and how the engine does. It
//! says what answers, which other screens show too.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;
use unicode_width::UnicodeWidthStr as _;

use super::pieces::{fit, mark, spans};
use crate::console::format::uptime;
use crate::console::state::State;
use crate::console::theme::{Mark, Role};
use crate::engine::protocol::snapshot::Health;
use crate::text::clean_line;

/// Draws the line.
pub(super) fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let mut left = vec![Span::styled(" BSM ", state.theme.style(Role::Title))];
    // Marks come first: they are the last thing to be cut.
    left.extend(mode_marks(state, area.width));
    left.extend(console_marks(state, area.width));
    left.extend(workspace(state, area.width));
    // The reason may be a sentence; the marks at the left keep their room.
    let marks: usize = left.iter().map(Span::width).sum::<usize>().min(34);
    let fixed = 36;
    let room = usize::from(area.width)
        .saturating_sub(marks + fixed)
        .max(12);
    let mut right = health(state, room);
    right.extend(counts_and_time(state, area.width));
    spans(buffer, area, left, right);
}

/// Below this many columns the line uses its short words.
fn is_narrow(width: u16) -> bool {
    width < 100
}

/// How what is shown differs from the engine as it normally runs now: rewound, paused, read-only, safe mode.
fn mode_marks(state: &State, width: u16) -> Vec<Span<'static>> {
    let theme = state.theme;
    let narrow = is_narrow(width);
    let mut out = Vec::new();
    if state.rewound {
        let ago = uptime((state.wall_ms - state.frozen_ms).max(0).unsigned_abs());
        let at = state.zone.clock_seconds(state.frozen_ms);
        let text = if narrow {
            format!("REWOUND {at}")
        } else {
            format!("REWOUND to {at}, {ago} ago; space: now")
        };
        out.push(Span::styled(text, theme.style(Role::Selected)));
        out.push(Span::raw(" "));
    }
    let frozen = if narrow {
        "PAUSED"
    } else {
        "PAUSED, space resumes"
    };
    for (on, word) in [
        (state.frozen.is_some() && !state.rewound, frozen),
        (state.read_only, "read-only"),
        (state.snapshot().mode.safe_mode, "safe mode"),
    ] {
        if on {
            out.push(Span::styled(format!("{word} "), theme.style(Role::Warn)));
        }
    }
    out
}

/// Where the engine is, if it is somewhere else, and which other consoles it has.
fn console_marks(state: &State, width: u16) -> Vec<Span<'static>> {
    let style = state.theme.style(Role::Key);
    let mut out = Vec::new();
    if let Some(at) = &state.attached {
        let at = at.strip_prefix("http://").unwrap_or(at);
        let text = if is_narrow(width) {
            "attached ".to_owned()
        } else {
            format!("attached to {} ", clean_line(at, 32))
        };
        out.push(Span::styled(text, style));
    }
    let others = others(state);
    if !others.is_empty() {
        let text = if width < 160 {
            format!("+{} ", others.len())
        } else {
            format!("attached: {} ", clean_line(&others.join(", "), 40))
        };
        out.push(Span::styled(text, style));
    }
    out
}

/// The workspace's name, its environment, and what answers.
fn workspace(state: &State, width: u16) -> Vec<Span<'static>> {
    let snapshot = state.snapshot();
    let (dot, ..) = state.theme.signs();
    let mut out = vec![Span::raw(snapshot.workspace.name.line(24))];
    if !state.rewound {
        let words = if is_narrow(width) {
            format!(" {dot} {}", evidence(state, "simulated", "offline"))
        } else {
            let environment = serde_json::to_value(snapshot.mode.environment)
                .ok()
                .and_then(|v| v.as_str().map(str::to_owned))
                .unwrap_or_default();
            format!(" {dot} {environment} {dot} {}", evidence_words(state))
        };
        out.push(Span::styled(words, state.theme.style(Role::Dim)));
    }
    out.push(Span::raw(" "));
    out
}

/// The engine's health, its words in at most so many columns.
fn health(state: &State, room: usize) -> Vec<Span<'static>> {
    let theme = state.theme;
    let (health, words) = health_mark(state);
    let words = fit(theme, &words, words.width().min(room));
    let role = if state.snapshot().health == Health::Healthy {
        Role::Dim
    } else {
        Role::Warn
    };
    let mut out = mark(theme, health);
    out.push(Span::styled(format!(" {words}  "), theme.style(role)));
    out
}

/// How many runs are active, and the time.
fn counts_and_time(state: &State, width: u16) -> Vec<Span<'static>> {
    let counts = state.snapshot().counts;
    let role = if counts.running > 0 {
        Role::Title
    } else {
        Role::Dim
    };
    let mut out = Vec::new();
    let held = state.frozen.is_some() && width < 80;
    if !held {
        out.push(Span::styled(
            format!("{} running {} queued ", counts.running, counts.queued),
            state.theme.style(role),
        ));
    }
    out.push(Span::raw(format!(
        "{} {} ",
        state.zone.clock(state.wall_ms),
        state.zone.name(state.wall_ms)
    )));
    out
}

/// The mark of the health, and its first reason with the number of the others.
pub(super) fn health_mark(state: &State) -> (Mark, String) {
    let snapshot = state.snapshot();
    let more = snapshot.reasons.len().saturating_sub(1);
    let reason = snapshot.reasons.first().map(|first| match more {
        0 => first.message.clone(),
        more => format!("{} +{more}", first.message),
    });
    match snapshot.health {
        Health::Healthy => (Mark::Live, "healthy".into()),
        Health::Degraded => (Mark::Half, reason.unwrap_or_else(|| "degraded".into())),
        Health::Unhealthy => (Mark::Failed, reason.unwrap_or_else(|| "unhealthy".into())),
    }
}

/// What answers: the models, the simulator, or the rules alone.
pub fn evidence_words(state: &State) -> String {
    evidence(state, "simulated models", "offline: rules only")
}

fn evidence(state: &State, simulated: &str, offline: &str) -> String {
    let snapshot = state.snapshot();
    let ready = snapshot.ready_providers();
    if snapshot.mode.simulated {
        simulated.into()
    } else if snapshot.mode.offline || ready.is_empty() {
        offline.into()
    } else {
        ready.join(" + ")
    }
}

/// Consoles over the same engine, this one not among them.
fn others(state: &State) -> Vec<String> {
    let mut names = state.live.attached.clone();
    if state.attached.is_some()
        && let Some(at) = names.iter().position(|n| *n == state.me)
    {
        names.remove(at);
    }
    names
}
