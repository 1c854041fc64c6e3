//! The line at the top: what is special about this console, whose workspace it is, what answers, how much is at
//! work, who looks; and where the screen below does not begin with it, the worst that there is in short.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;
use unicode_width::UnicodeWidthStr as _;

use crate::console::context::Context;
use crate::console::format::{so_many, uptime};
use crate::console::theme::{Mark, Role};
use crate::console::widgets::impact;
use crate::console::widgets::text::spans;
use crate::engine::protocol::snapshot::Health;
use crate::text::clean_line;

/// Draws the line; `leads`: what is below begins with the sentence on what the state means for work.
pub(super) fn draw(cx: &Context, leads: bool, area: Rect, buffer: &mut Buffer) {
    let mut left = vec![Span::styled(" BSM ", cx.theme.style(Role::Title))];
    // Marks come first: they are the last thing to be cut.
    left.extend(mode_marks(cx, area.width));
    left.extend(console_marks(cx, area.width));
    left.push(Span::raw(format!(
        "{} ",
        cx.snapshot().workspace.name.line(24)
    )));
    let counts = counts_and_time(cx, area.width);
    let wide = |spans: &[Span<'_>]| spans.iter().map(Span::width).sum::<usize>();
    let mut room = usize::from(area.width).saturating_sub(wide(&left).min(50) + wide(&counts));
    let mut right = Vec::new();
    if !leads {
        right = impact::in_short(cx, room.min(usize::from(area.width) / 2));
        room = room.saturating_sub(wide(&right));
    }
    // What has no room is left out whole.
    for part in facts(cx, area.width, room) {
        let part = Span::styled(part, cx.theme.style(Role::Dim));
        if part.width() > room {
            break;
        }
        room -= part.width();
        left.push(part);
    }
    right.extend(counts);
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
    if !others.is_empty() && width >= 160 {
        let text = format!("with {} ", clean_line(&others.join(", "), 40));
        out.push(Span::styled(text, style));
    }
    out
}

/// The environment, and what answers: parts to leave out from the end.
fn facts(cx: &Context, width: u16, room: usize) -> Vec<String> {
    if cx.rewound {
        return Vec::new();
    }
    let (dot, ..) = cx.theme.signs();
    let environment = serde_json::to_value(cx.snapshot().mode.environment)
        .ok()
        .and_then(|v| v.as_str().map(str::to_owned))
        .unwrap_or_default();
    let environment = format!("{dot} {environment} ");
    let left = room.saturating_sub(environment.width());
    let names = format!("{dot} {} ", models(cx, false));
    let models = if is_narrow(width) || names.width() > left {
        format!("{dot} {} ", models(cx, true))
    } else {
        names
    };
    vec![environment, models]
}

/// What answers: the models in their order, one that refuses marked; the simulator, or the rules alone.
fn models(cx: &Context, short: bool) -> String {
    let s = cx.snapshot();
    let ready = s.ready_providers();
    if s.mode.simulated || s.mode.offline || ready.is_empty() {
        return if short {
            cx.evidence("simulated", "offline")
        } else {
            cx.evidence_words()
        };
    }
    let down = |name: &str| {
        s.provider_rows
            .iter()
            .any(|r| r.name == name && r.is_down())
    };
    let answering = ready.iter().filter(|name| !down(name)).count();
    if short {
        let all = so_many(ready.len() as u64, "model", "models");
        return if answering == ready.len() {
            all
        } else {
            format!("{answering} of {all}")
        };
    }
    let arrow = if cx.theme.ascii { " -> " } else { " → " };
    let (failed, _) = cx.theme.mark(Mark::Failed);
    let named = ready.iter().map(|name| {
        let mark = if down(name) { failed } else { "" };
        format!("{mark}{}", clean_line(name, 24))
    });
    named.collect::<Vec<_>>().join(arrow)
}

/// How many runs are active, how many people look, and the time.
fn counts_and_time(cx: &Context, width: u16) -> Vec<Span<'static>> {
    let counts = cx.snapshot().counts;
    // Counts of an engine that does not answer are old.
    let lost = cx.live.disconnected.is_some() && cx.frozen.is_none();
    let role = if counts.running > 0 && !lost {
        Role::Title
    } else {
        Role::Dim
    };
    let mut out = Vec::new();
    let held = cx.frozen.is_some() && width < 80;
    if !held {
        out.push(Span::styled(
            format!("{} running  {} queued  ", counts.running, counts.queued),
            cx.theme.style(role),
        ));
    }
    let others = others(cx).len();
    if others > 0 && width >= 80 {
        let people = if is_narrow(width) {
            format!("+{others}  ")
        } else {
            format!(" {}   ", so_many(others as u64 + 1, "person", "people"))
        };
        out.push(Span::styled(people, cx.theme.style(Role::Key)));
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

/// People at other consoles over the same engine, who this is not among them.
fn others(cx: &Context) -> Vec<String> {
    let mut names = cx.live.attached.clone();
    names.retain(|name| *name != cx.me);
    names
}
