//! Breakers, pools, limits, providers.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Span;

use crate::console::action::{Action, Scope};
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::format::{count, seconds};
use crate::console::route::Route;
use crate::console::theme::{Mark, Role};
use crate::console::widgets::bars::bar;
use crate::console::widgets::list::ListState;
use crate::console::widgets::panel::panel;
use crate::console::widgets::table::{one_line, with_head};
use crate::console::widgets::text::{facts, figures, fit, line, put, row};
use crate::engine::protocol::snapshot::Snapshot;
use crate::resilience::breaker::{BreakerState, BreakerStats};

/// The screen: breakers first, then pools, in one list of rows.
#[derive(Debug, Clone, Default)]
pub struct Resilience {
    list: ListState,
    visited: bool,
}

/// Ids of the rows: breakers, then pools.
fn ids(s: &Snapshot) -> Vec<String> {
    let breakers = s.breakers.iter().map(|b| format!("breaker {}", b.name));
    let pools = s.pools.iter().map(|p| format!("pool {}", p.name));
    breakers.chain(pools).collect()
}

/// What is wrong: an open breaker, else a pool where somebody waits, else what fails, else what is in use.
fn worst(s: &Snapshot) -> Option<usize> {
    let tripped = |b: &BreakerStats| matches!(b.state, BreakerState::Open | BreakerState::HalfOpen);
    let asked = |name: &str| s.providers.iter().any(|p| p.name == name && p.ready);
    let breaker = |test: &dyn Fn(&BreakerStats) -> bool| s.breakers.iter().position(test);
    let pool = || s.pools.iter().position(|p| p.queued > 0);
    breaker(&tripped)
        .or_else(|| pool().map(|p| s.breakers.len() + p))
        .or_else(|| breaker(&|b| b.window_failures > 0))
        .or_else(|| breaker(&|b| asked(&b.name)))
}

impl Resilience {
    fn selected(&self, cx: &Context) -> usize {
        let ids = ids(cx.snapshot());
        self.list.selected(ids.len(), |n| &ids[n])
    }
}

impl Component for Resilience {
    fn title(&self, _cx: &Context) -> String {
        "Resilience".into()
    }

    fn on_show(&mut self, cx: &Context) -> Vec<Intent> {
        if !self.visited {
            self.visited = true;
        }
        if let Some(at) = worst(cx.snapshot()) {
            self.list.select(at, &ids(cx.snapshot())[at]);
        }
        Vec::new()
    }

    fn on_action(&mut self, action: Action, cx: &Context) -> Option<Vec<Intent>> {
        if action == Action::Open {
            let (Subject::Provider(name) | Subject::Pool(name)) = self.subject(cx) else {
                return Some(Vec::new());
            };
            let provider = Some(name);
            return Some(vec![Intent::Navigate(Route::Calls { provider })]);
        }
        let ids = ids(cx.snapshot());
        let moves = self.list.travel(action, ids.len(), |n| &ids[n]);
        moves.then(Vec::new)
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        draw(cx, self.selected(cx), area, buffer);
    }

    fn scope(&self) -> Scope {
        Scope::Resilience
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![
            Action::Open,
            Action::Why,
            Action::ResetBreaker,
            Action::IsolateBreaker,
            Action::ResizePool,
        ]
    }

    fn subject(&self, cx: &Context) -> Subject {
        let s = cx.snapshot();
        let at = self.selected(cx);
        let pool = || s.pools.get(at.checked_sub(s.breakers.len())?);
        match (s.breakers.get(at), pool()) {
            (Some(b), _) => Subject::Provider(b.name.clone()),
            (None, Some(p)) => Subject::Pool(p.name.clone()),
            (None, None) => Subject::None,
        }
    }

    fn table(&self, cx: &Context) -> Vec<Vec<String>> {
        let head = [
            "breaker",
            "state",
            "sinceMs",
            "successes",
            "failures",
            "rejections",
            "trips",
            "lastError",
        ];
        let rows = cx.snapshot().breakers.iter().map(|b| {
            vec![
                b.name.clone(),
                b.state.as_str().to_owned(),
                b.since_ms.to_string(),
                b.successes.to_string(),
                b.failures.to_string(),
                b.rejections.to_string(),
                b.trips.to_string(),
                b.last_error.clone().unwrap_or_default(),
            ]
        });
        with_head(&head, rows)
    }

    fn copied(&self, cx: &Context) -> Option<String> {
        one_line(self.table(cx).get(self.selected(cx) + 1)?)
    }
}

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
pub fn breaker_spans(cx: &Context, b: &BreakerStats, width: usize) -> Vec<Span<'static>> {
    let theme = cx.theme;
    let provider = cx.snapshot().providers.iter().find(|p| p.name == b.name);
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
            dots(cx, &b.recent)
        ),
        BreakerState::Open if tight => match b.retry_in_s.unwrap_or(0) {
            0 => "trial next".to_owned(),
            s => format!("{s} s"),
        },
        BreakerState::Open => match b.retry_in_s.unwrap_or(0) {
            0 => format!("half-open on the next call  {}", dots(cx, &b.recent)),
            s => format!("next trial in {s} s  {}", dots(cx, &b.recent)),
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

fn dots(cx: &Context, recent: &str) -> String {
    let (ok, bad) = if cx.theme.ascii {
        ("+", "x")
    } else {
        ("▁", "█")
    };
    recent
        .chars()
        .map(|c| if c == '+' { ok } else { bad })
        .collect()
}

fn draw(cx: &Context, selected: usize, area: Rect, buffer: &mut Buffer) {
    let snapshot = cx.snapshot();
    let (all, of_pools) = (snapshot.breakers.len(), snapshot.pools.len());
    if usize::from(area.height) < all + of_pools + 4 {
        // Room for one: the one that keys act on.
        if selected < all {
            breakers(cx, selected, area, buffer);
        } else {
            pools(cx, selected, area, buffer);
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
    breakers(cx, selected, top, buffer);
    pools(cx, selected, middle, buffer);
    rate_limits(cx, limits, buffer);
    transitions(cx, low, buffer);
}

fn breakers(cx: &Context, selected: usize, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let keys = cx.keys_of(&[
        (Action::ResetBreaker, "reset"),
        (Action::CloseBreaker, "close"),
        (Action::IsolateBreaker, "isolate"),
    ]);
    let inner = panel(theme, "Circuit breakers", &keys, area, buffer);
    let all = &cx.snapshot().breakers;
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
        let mut parts = breaker_spans(cx, b, wide);
        parts.extend(told.into_iter().map(dim));
        if b.open_for_ms > 0 {
            parts.push(dim(format!("  last open {}", seconds(b.open_for_ms))));
        }
        facts(buffer, place, parts);
        if n == selected {
            buffer.set_style(place, theme.style(Role::Selected));
        }
    }
}

fn pools(cx: &Context, selected: usize, area: Rect, buffer: &mut Buffer) {
    let (theme, snapshot) = (cx.theme, cx.snapshot());
    let inner = panel(
        theme,
        "Pools",
        &format!(
            "in use / allowed   {}",
            cx.keys_of(&[(Action::ResizePool, "resize")])
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
        if snapshot.breakers.len() + n == selected {
            buffer.set_style(place, theme.style(Role::Selected));
        }
    }
}

fn rate_limits(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let (theme, snapshot) = (cx.theme, cx.snapshot());
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

fn transitions(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let inner = panel(theme, "Recent transitions", "newest first", area, buffer);
    let mut all: Vec<_> = cx
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
                format!("{} ", cx.zone.clock_seconds(t.at_ms)),
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
