//! Breakers, pools, limits, providers.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Span;

use super::pieces::{bar, facts, figures, fit, keys, line, panel, put, row};
use crate::console::action::Action;
use crate::console::format::{count, seconds};
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
    (mark, state.as_str())
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
    // Where there is little room a figure says it; what is cut in half says nothing.
    let tight = width < 45;
    let detail = match b.state {
        _ if asleep && tight => String::new(),
        _ if asleep => provider.and_then(|p| p.reason.clone()).unwrap_or_default(),
        BreakerState::Closed if tight => format!("{}/{}", b.failures_in_row, b.failures_limit),
        BreakerState::Closed => format!(
            "{} of {}  {}",
            b.failures_in_row,
            b.failures_limit,
            dots(state, &b.recent)
        ),
        BreakerState::Open if tight => match b.retry_in_s.unwrap_or(0) {
            0 => "trial next".to_owned(),
            s => format!("{s} s"),
        },
        BreakerState::Open => match b.retry_in_s.unwrap_or(0) {
            0 => format!("half-open on the next call  {}", dots(state, &b.recent)),
            s => format!("next trial in {s} s  {}", dots(state, &b.recent)),
        },
        BreakerState::HalfOpen if tight => format!("{}/{}", b.trials, b.trials_limit),
        BreakerState::HalfOpen => format!("trial {} of {}", b.trials, b.trials_limit),
        BreakerState::Isolated | BreakerState::Disabled if tight => String::new(),
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
    let (all, of_pools) = (snapshot.breakers.len(), snapshot.pools.len());
    if usize::from(area.height) < all + of_pools + 4 {
        // Room for one: the one that keys act on.
        if state.selection() < all {
            breakers(state, area, buffer);
        } else {
            pools(state, area, buffer);
        }
        return;
    }
    let rows = |n: usize| Constraint::Length(n as u16 + 2);
    let [top, middle, limits, low] = Layout::vertical([
        rows(snapshot.breakers.len()),
        rows(snapshot.pools.len()),
        rows(snapshot.limiters.len() + 1),
        Constraint::Min(3),
    ])
    .areas(area);
    breakers(state, top, buffer);
    pools(state, middle, buffer);
    rate_limits(state, limits, buffer);
    transitions(state, low, buffer);
}

fn breakers(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let keys = keys(
        state,
        &[
            (Action::ResetBreaker, "reset"),
            (Action::CloseBreaker, "close"),
            (Action::IsolateBreaker, "isolate"),
        ],
    );
    let inner = panel(theme, "Circuit breakers", &keys, area, buffer);
    let all = &state.snapshot().breakers;
    let told = figures(
        all,
        &[
            ("  window ", &|b| count(b.window_calls.into()), " calls"),
            (" ", &|b| count(b.window_failures.into()), " failed"),
            (" ", &|b| count(b.window_slow.into()), " slow"),
            ("  trips ", &|b| b.trips.to_string(), ""),
            (" rejected ", &|b| count(b.rejections), ""),
            ("  ok ", &|b| count(b.successes), ""),
            (" failed ", &|b| count(b.failures), ""),
            (" late ", &|b| count(b.late), ""),
        ],
    );
    for (n, (b, told)) in all.iter().zip(told).enumerate() {
        let place = row(inner, n as u16);
        let dim = |text: String| Span::styled(text, theme.style(Role::Dim));
        let wide = usize::from(inner.width).saturating_sub(24).min(64);
        let mut parts = breaker_spans(state, b, wide);
        parts.extend(told.into_iter().map(dim));
        if b.open_for_ms > 0 {
            parts.push(dim(format!("  last open {}", seconds(b.open_for_ms))));
        }
        facts(buffer, place, parts);
        if n == state.selection() {
            buffer.set_style(place, theme.style(Role::Selected));
        }
    }
}

fn pools(state: &State, area: Rect, buffer: &mut Buffer) {
    let (theme, snapshot) = (state.theme, state.snapshot());
    let inner = panel(
        theme,
        "Pools",
        &format!(
            "in use / allowed   {}",
            keys(state, &[(Action::ResizePool, "resize")])
        ),
        area,
        buffer,
    );
    let queues = figures(
        &snapshot.pools,
        &[
            ("queue ", &|p| p.queued.to_string(), "/"),
            ("", &|p| p.queue_limit.to_string(), "  "),
        ],
    );
    let told = figures(
        &snapshot.pools,
        &[
            ("admitted ", &|p| count(p.admitted), "  "),
            ("waited ", &|p| count(p.waited), "  "),
            ("rejected ", &|p| count(p.rejected), "  "),
            ("wait timeouts ", &|p| count(p.timed_out), "  "),
            ("limit reductions ", &|p| count(p.shrunk), ""),
        ],
    );
    for (n, ((p, queue), told)) in snapshot.pools.iter().zip(queues).zip(told).enumerate() {
        let place = row(inner, n as u16);
        let share = f64::from(p.in_use) / f64::from(p.allowed.max(1));
        let pressed = p.queued > 0 || p.allowed < p.limit;
        let style = theme.style(if pressed { Role::Warn } else { Role::Text });
        let text = |text: String| Span::styled(text, style);
        let mut parts = vec![
            text(format!("{} ", fit(theme, &p.name, 11))),
            text(format!("{:>3}/{:<3} ", p.in_use, p.allowed)),
            text(format!("{} ", bar(theme, share, 10))),
            text(queue.concat()),
        ];
        if p.queued > 0 {
            let lanes = p.lanes;
            parts.push(text(format!(
                "interactive {} run {} refresh {}  ",
                lanes.interactive, lanes.run, lanes.refresh
            )));
        }
        if p.allowed < p.limit {
            parts.push(text(format!("adaptive (configured {})  ", p.limit)));
        }
        if p.debt > 0 {
            parts.push(text(format!("{} too many, as they return  ", p.debt)));
        }
        let dim = |text: String| Span::styled(text, theme.style(Role::Dim));
        parts.extend(told.into_iter().map(dim));
        facts(buffer, place, parts);
        if snapshot.breakers.len() + n == state.selection() {
            buffer.set_style(place, theme.style(Role::Selected));
        }
    }
}

fn rate_limits(state: &State, area: Rect, buffer: &mut Buffer) {
    let (theme, snapshot) = (state.theme, state.snapshot());
    let inner = panel(theme, "Rate limits and retries", "a minute", area, buffer);
    for (n, l) in snapshot.limiters.iter().enumerate() {
        let quiet = l.paused_s.is_some() || l.waiting > 0;
        let style = theme.style(if quiet { Role::Warn } else { Role::Text });
        let mut parts = vec![Span::styled(format!("{} ", fit(theme, &l.name, 11)), style)];
        if let Some(s) = l.paused_s {
            parts.push(Span::styled(
                format!("the provider wants quiet for {s} s  "),
                style,
            ));
        }
        let quota = |name: &str, left: Option<i64>, of: Option<u32>| match (left, of) {
            (Some(left), Some(of)) => format!("{name} {left} of {of} left  "),
            _ => format!("{name}: no limit set  "),
        };
        let set = l.settings;
        let text = quota(
            "requests",
            l.requests_left.map(i64::from),
            set.requests_per_minute,
        );
        parts.push(Span::styled(text, style));
        let text = quota("tokens", l.tokens_left, set.tokens_per_minute);
        parts.push(Span::styled(text, style));
        let dim = theme.style(Role::Dim);
        let text = format!(
            "out {} calls {} tokens  ",
            l.reserved,
            count(l.reserved_tokens)
        );
        parts.push(Span::styled(text, dim));
        let text = format!(
            "waiting {}  delayed {}  rejected {}",
            l.waiting,
            count(l.delayed),
            count(l.rejected)
        );
        parts.push(Span::styled(text, dim));
        facts(buffer, row(inner, n as u16), parts);
    }
    let b = snapshot.retry_budget;
    let dim = theme.style(Role::Dim);
    let parts = vec![
        Span::styled(format!("{} ", fit(theme, "retries", 11)), dim),
        Span::styled(
            format!("{} for {} calls in {} s  ", b.retries, b.calls, b.window_s),
            dim,
        ),
        Span::styled(format!("{} left  ", b.left), dim),
        Span::styled(format!("refused {}", count(b.refused)), dim),
    ];
    facts(buffer, row(inner, snapshot.limiters.len() as u16), parts);
}

fn transitions(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let inner = panel(theme, "Recent transitions", "newest first", area, buffer);
    let mut all: Vec<_> = state
        .snapshot()
        .breakers
        .iter()
        .flat_map(|b| b.transitions.iter().map(move |t| (&b.name, t)))
        .collect();
    all.sort_by_key(|(_, t)| std::cmp::Reverse((t.at_ms, t.generation)));
    for (n, (name, t)) in all.iter().enumerate() {
        let (mark, word) = words(t.to);
        let (glyph, role) = theme.mark(mark);
        let parts = vec![
            Span::styled(
                format!("{} ", state.zone.clock_seconds(t.at_ms)),
                theme.style(Role::Dim),
            ),
            Span::styled(format!("{glyph} "), theme.style(role)),
            Span::raw(format!("{} ", fit(theme, name, 11))),
            Span::raw(format!("{} ", fit(theme, word, 10))),
            Span::raw(crate::text::clean_line(&t.cause, 120)),
        ];
        line(buffer, row(inner, n as u16), parts);
    }
    if all.is_empty() {
        let dim = theme.style(Role::Dim);
        put(buffer, row(inner, 0), "none since start", dim);
    }
}
