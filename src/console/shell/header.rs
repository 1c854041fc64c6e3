//! The line at the top: what is special about this console, whose workspace it is, and how the engine does. It
//! says what answers, which other screens show too.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;
use unicode_width::UnicodeWidthStr as _;

use crate::console::context::Context;
use crate::console::format::uptime;
use crate::console::theme::{Mark, Role};
use crate::console::widgets::text::{fit, mark, spans};
use crate::engine::protocol::snapshot::Health;
use crate::text::clean_line;

/// Draws the line.
pub(super) fn draw(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let mut left = vec![Span::styled(" BSM ", cx.theme.style(Role::Title))];
    // Marks come first: they are the last thing to be cut.
    left.extend(mode_marks(cx, area.width));
    left.extend(console_marks(cx, area.width));
    left.extend(workspace(cx, area.width));
    // The reason may be a sentence; the marks at the left keep their room.
    let marks: usize = left.iter().map(Span::width).sum::<usize>().min(34);
    let fixed = 36;
    let room = usize::from(area.width)
        .saturating_sub(marks + fixed)
        .max(12);
    let mut right = health(cx, room);
    right.extend(counts_and_time(cx, area.width));
    spans(buffer, area, left, right);
}

/// Below this many columns the line uses its short words.
fn is_narrow(width: u16) -> bool {
    width < 100
}

/// How what is shown differs from the engine as it normally runs now: rewound, paused, read-only, safe mode.
fn mode_marks(cx: &Context, width: u16) -> Vec<Span<'static>> {
    let theme = cx.theme;
    let narrow = is_narrow(width);
    let mut out = Vec::new();
    if cx.of_other_start() {
        // First: its counts since the start are of that one.
        let text = if narrow {
            "other start "
        } else {
            "another start of the engine "
        };
        out.push(Span::styled(text, theme.style(Role::Warn)));
    }
    if cx.rewound {
        let ago = uptime((cx.wall_ms - cx.frozen_ms).max(0).unsigned_abs());
        let at = cx.zone.clock_seconds(cx.frozen_ms);
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
        (cx.frozen.is_some() && !cx.rewound, frozen),
        (cx.read_only, "read-only"),
        (cx.snapshot().mode.safe_mode, "safe mode"),
    ] {
        if on {
            out.push(Span::styled(format!("{word} "), theme.style(Role::Warn)));
        }
    }
    out
}

/// Where the engine is, if it is somewhere else, and which other consoles it has.
fn console_marks(cx: &Context, width: u16) -> Vec<Span<'static>> {
    let style = cx.theme.style(Role::Key);
    let mut out = Vec::new();
    if let Some(at) = &cx.attached {
        let at = at.strip_prefix("http://").unwrap_or(at);
        let text = if is_narrow(width) {
            "attached ".to_owned()
        } else {
            format!("attached to {} ", clean_line(at, 32))
        };
        out.push(Span::styled(text, style));
    }
    let others = others(cx);
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
fn workspace(cx: &Context, width: u16) -> Vec<Span<'static>> {
    let snapshot = cx.snapshot();
    let (dot, ..) = cx.theme.signs();
    let mut out = vec![Span::raw(snapshot.workspace.name.line(24))];
    if !cx.rewound {
        let words = if is_narrow(width) {
            format!(" {dot} {}", cx.evidence("simulated", "offline"))
        } else {
            let environment = serde_json::to_value(snapshot.mode.environment)
                .ok()
                .and_then(|v| v.as_str().map(str::to_owned))
                .unwrap_or_default();
            format!(" {dot} {environment} {dot} {}", cx.evidence_words())
        };
        out.push(Span::styled(words, cx.theme.style(Role::Dim)));
    }
    out.push(Span::raw(" "));
    out
}

/// The engine's health, its words in at most so many columns.
fn health(cx: &Context, room: usize) -> Vec<Span<'static>> {
    let theme = cx.theme;
    let (health, words) = health_mark(cx);
    let words = fit(theme, &words, words.width().min(room));
    let role = if cx.snapshot().health == Health::Healthy {
        Role::Dim
    } else {
        Role::Warn
    };
    let mut out = mark(theme, health);
    out.push(Span::styled(format!(" {words}  "), theme.style(role)));
    out
}

/// How many runs are active, and the time.
fn counts_and_time(cx: &Context, width: u16) -> Vec<Span<'static>> {
    let counts = cx.snapshot().counts;
    let role = if counts.running > 0 {
        Role::Title
    } else {
        Role::Dim
    };
    let mut out = Vec::new();
    let held = cx.frozen.is_some() && width < 80;
    if !held {
        out.push(Span::styled(
            format!("{} running {} queued ", counts.running, counts.queued),
            cx.theme.style(role),
        ));
    }
    out.push(Span::raw(format!(
        "{} {} ",
        cx.zone.clock(cx.wall_ms),
        cx.zone.name(cx.wall_ms)
    )));
    out
}

/// The mark of the health, and its first reason with the number of the others.
pub(super) fn health_mark(cx: &Context) -> (Mark, String) {
    let snapshot = cx.snapshot();
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

/// Consoles over the same engine, this one not among them.
fn others(cx: &Context) -> Vec<String> {
    let mut names = cx.live.attached.clone();
    if cx.attached.is_some()
        && let Some(at) = names.iter().position(|n| *n == cx.me)
    {
        names.remove(at);
    }
    names
}
