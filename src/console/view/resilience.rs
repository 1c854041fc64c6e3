//! Breakers, pools, limits, providers.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Span;

use super::pieces::{bar, fit, line, panel, put, row};
use crate::console::format::count;
use crate::console::state::State;
use crate::console::theme::{Mark, Role};
use crate::resilience::breaker::{BreakerState, BreakerStats};

/// How much a state needs a look; less comes first.
pub fn weight(state: BreakerState) -> u8 {
    match state {
        BreakerState::Open => 0,
        BreakerState::HalfOpen => 1,
        BreakerState::Isolated => 2,
        BreakerState::Disabled => 3,
        BreakerState::Closed => 4,
    }
}

fn words(state: BreakerState) -> (Mark, &'static str) {
    let mark = match state {
        BreakerState::Closed => Mark::Live,
        BreakerState::Open => Mark::Failed,
        BreakerState::HalfOpen => Mark::Half,
        BreakerState::Isolated | BreakerState::Disabled => Mark::Off,
    };
    (mark, state.word())
}

/// One breaker in a line.
pub fn breaker_spans(state: &State, b: &BreakerStats, width: usize) -> Vec<Span<'static>> {
    let theme = state.theme;
    let provider = state.snapshot().providers.iter().find(|p| p.name == b.name);
    let asleep = provider.is_some_and(|p| !p.ready);
    let (mark, word) = words(b.state);
    let mark = if asleep && b.state == BreakerState::Closed {
        Mark::Off
    } else {
        mark
    };
    let (glyph, role) = theme.mark(mark);
    let detail = match b.state {
        _ if asleep => provider.and_then(|p| p.reason.clone()).unwrap_or_default(),
        BreakerState::Closed => format!(
            "{} of {}  {}",
            b.failures_in_row,
            b.failures_limit,
            dots(state, &b.recent)
        ),
        BreakerState::Open => match b.retry_in_s.unwrap_or(0) {
            0 => format!("trial at the next call  {}", dots(state, &b.recent)),
            s => format!("next trial in {s} s  {}", dots(state, &b.recent)),
        },
        BreakerState::HalfOpen => format!("trial {} of {}", b.trials, b.trials_limit),
        BreakerState::Isolated => b
            .transitions
            .last()
            .map_or_else(String::new, |t| crate::text::clean_line(&t.cause, 60)),
        BreakerState::Disabled => "feature flag off".into(),
    };
    let word = if asleep && b.state == BreakerState::Closed {
        "not in use"
    } else {
        word
    };
    let style = theme.style(if asleep { Role::Dim } else { Role::Text });
    vec![
        Span::styled(format!("{glyph} "), theme.style(role)),
        Span::styled(
            format!("{} ", fit(theme, &crate::text::clean_line(&b.name, 40), 11)),
            style,
        ),
        Span::styled(format!("{} ", fit(theme, word, 10)), style),
        Span::styled(
            fit(theme, &detail, width.saturating_sub(26)),
            theme.style(Role::Dim),
        ),
    ]
}

fn dots(state: &State, recent: &str) -> String {
    let (ok, bad) = if state.theme.ascii {
        ("+", "x")
    } else {
        ("▁", "█")
    };
    recent
        .chars()
        .map(|c| if c == '+' { ok } else { bad })
        .collect()
}

pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let snapshot = state.snapshot();
    let theme = state.theme;
    let rows = snapshot.breakers.len() as u16;
    let [top, middle, low] = Layout::vertical([
        Constraint::Length(rows + 2),
        Constraint::Length(snapshot.pools.len() as u16 + 3),
        Constraint::Min(0),
    ])
    .areas(area);
    let inner = panel(theme, "Circuit breakers", "b reset  i isolate", top, buffer);
    for (n, b) in snapshot.breakers.iter().enumerate() {
        let place = row(inner, n as u16);
        let mut parts = breaker_spans(
            state,
            b,
            usize::from(inner.width).saturating_sub(24).min(70),
        );
        let more = format!(
            "  trips {} rejected {}  window {} calls {} failed  ok {} failed {}",
            b.trips,
            count(b.rejections),
            b.window_calls,
            b.window_failures,
            count(b.successes),
            count(b.failures)
        );
        parts.push(Span::styled(more, theme.style(Role::Dim)));
        line(buffer, place, parts);
        if n == state.selection() {
            buffer.set_style(place, theme.style(Role::Selected));
        }
    }
    let inner = panel(theme, "Pools and limits", "in use / limit", middle, buffer);
    for (n, p) in snapshot.pools.iter().enumerate() {
        let share = f64::from(p.in_use) / f64::from(p.limit.max(1));
        let limiter = snapshot.limiters.iter().find(|l| l.name == p.name);
        let limits = limiter.map_or_else(String::new, |l| {
            match (l.paused_s, l.requests_left, l.tokens_left) {
                (Some(s), ..) => format!("  the provider wants quiet for {s} s"),
                (None, None, None) => "  no rate limit set".into(),
                (None, r, t) => format!(
                    "  left: {} requests {} tokens",
                    r.map_or_else(|| "-".into(), |r| r.to_string()),
                    t.map_or_else(|| "-".into(), |t| t.to_string())
                ),
            }
        });
        let text = format!(
            "{} {:>3}/{:<3} {} queue {}/{}  admitted {}  rejected {}  gave up {}{limits}",
            fit(theme, &p.name, 11),
            p.in_use,
            p.limit,
            bar(theme, share, 10),
            p.queued,
            p.queue_limit,
            count(p.admitted),
            p.rejected,
            p.timed_out
        );
        put(
            buffer,
            row(inner, n as u16),
            &text,
            theme.style(if p.queued > 0 { Role::Warn } else { Role::Text }),
        );
    }
    let b = snapshot.retry_budget;
    let text = format!(
        "retry budget: {} retries for {} calls in the last 10 s, {} left, {} refused since start",
        b.retries, b.calls, b.left, b.refused
    );
    put(
        buffer,
        row(inner, snapshot.pools.len() as u16),
        &text,
        theme.style(Role::Dim),
    );
    let inner = panel(theme, "Recent transitions", "", low, buffer);
    let mut n = 0;
    for b in &snapshot.breakers {
        for t in b.transitions.iter().rev().take(4) {
            let (_, word) = words(t.to);
            let text = format!(
                "{} {} {}",
                fit(theme, &b.name, 11),
                fit(theme, word, 10),
                crate::text::clean_line(&t.cause, 120)
            );
            put(buffer, row(inner, n), &text, theme.style(Role::Text));
            n += 1;
        }
    }
    if n == 0 {
        put(
            buffer,
            row(inner, 0),
            "none since start",
            theme.style(Role::Dim),
        );
    }
}
