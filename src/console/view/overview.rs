//! Is all well? The eight panels of the platform's dashboard, from measurements.
//!
//! ```text
//!  gateway overhead        │ circuit breakers
//!  throughput │ cache   │ pools
//!  resources            │ alerts
//!  runs
//! ```

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Span;

use super::pieces::{bar, columns, facts, fit, judged, keys, line, panel, put, row};
use super::{latency, resilience, runs};
use crate::console::action::Action;
use crate::console::format::{count, percent, uptime};
use crate::console::state::State;
use crate::console::theme::Role;

/// Draws the panels in the layout that the area has room for.
pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    if area.height >= 28 && area.width >= 80 {
        tall(state, area, buffer);
    } else if area.height >= 16 && area.width >= 72 {
        short(state, area, buffer);
    } else {
        narrow(state, area, buffer);
    }
}

fn tall(state: &State, area: Rect, buffer: &mut Buffer) {
    let [top, middle, low, rest] = Layout::vertical([
        Constraint::Length(7),
        Constraint::Length(6),
        Constraint::Length(4),
        Constraint::Min(6),
    ])
    .areas(area);
    let [left, right] =
        Layout::horizontal([Constraint::Percentage(52), Constraint::Percentage(48)]).areas(top);
    latency::draw(state, left, buffer);
    breakers(state, right, buffer);
    let [a, b, c] = Layout::horizontal([
        Constraint::Ratio(1, 3),
        Constraint::Ratio(1, 3),
        Constraint::Ratio(1, 3),
    ])
    .areas(middle);
    throughput(state, a, buffer);
    cache(state, b, buffer);
    pools(state, c, buffer);
    let [a, b] =
        Layout::horizontal([Constraint::Percentage(52), Constraint::Percentage(48)]).areas(low);
    resources(state, a, buffer);
    alerts(state, b, buffer);
    runs_panel(state, rest, buffer);
}

fn short(state: &State, area: Rect, buffer: &mut Buffer) {
    let [top, middle, one, rest] = Layout::vertical([
        Constraint::Length(5),
        Constraint::Length(4),
        Constraint::Length(1),
        Constraint::Min(4),
    ])
    .areas(area);
    let half = [Constraint::Percentage(50), Constraint::Percentage(50)];
    let [left, right] = Layout::horizontal(half).areas(top);
    latency::draw(state, left, buffer);
    breakers(state, right, buffer);
    let [left, right] = Layout::horizontal(half).areas(middle);
    cache(state, left, buffer);
    pools(state, right, buffer);
    summary(state, one, buffer);
    runs_panel(state, rest, buffer);
}

fn narrow(state: &State, area: Rect, buffer: &mut Buffer) {
    let [one, rest] = Layout::vertical([Constraint::Length(2), Constraint::Min(0)]).areas(area);
    let l = &state.snapshot().added_latency;
    put(
        buffer,
        row(one, 0),
        &format!(
            " gateway overhead {}",
            latency::triple(state, l.p50_us, l.p95_us, l.p99_us)
        ),
        state.theme.style(Role::Text),
    );
    summary(state, row(one, 1), buffer);
    runs_panel(state, rest, buffer);
}

fn breakers(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let snapshot = state.snapshot();
    let trips: u64 = snapshot.breakers.iter().map(|b| b.trips).sum();
    let inner = panel(
        theme,
        "Circuit breakers",
        &keys(state, &[(Action::ResetBreaker, "reset")]),
        area,
        buffer,
    );
    let room = usize::from(inner.height);
    // What is wrong comes first; providers that cannot be asked come last.
    let mut order: Vec<usize> = (0..snapshot.breakers.len()).collect();
    let ready = |name: &str| snapshot.providers.iter().any(|p| p.name == name && p.ready);
    order.sort_by_key(|i| {
        let b = &snapshot.breakers[*i];
        (resilience::weight(b.state), !ready(&b.name))
    });
    let last = if room > snapshot.breakers.len() {
        room - 1
    } else {
        room
    };
    for (n, index) in order.iter().take(last).enumerate() {
        let b = &snapshot.breakers[*index];
        line(
            buffer,
            row(inner, n as u16),
            resilience::breaker_spans(state, b, usize::from(inner.width)),
        );
    }
    if room > snapshot.breakers.len() {
        let rejected: u64 = snapshot.breakers.iter().map(|b| b.rejections).sum();
        put(
            buffer,
            row(inner, last as u16),
            &format!("trips {trips}  rejected {} since start", count(rejected)),
            theme.style(Role::Dim),
        );
    }
}

fn throughput(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let snapshot = state.snapshot();
    let t = &snapshot.calls;
    let inner = panel(theme, "Throughput", "1 min", area, buffer);
    put(
        buffer,
        row(inner, 0),
        &format!(
            "now {:.1} calls/s  peak {:.0}  avg {:.1}",
            t.now, t.peak, t.average
        ),
        theme.style(Role::Text),
    );
    // A second without a call is a gap: an idle chart stands still.
    let values: Vec<Option<u64>> = t
        .seconds
        .iter()
        .map(|c| (*c > 0).then_some(u64::from(*c)))
        .collect();
    line(
        buffer,
        row(inner, 1),
        vec![Span::styled(
            columns(theme, &values, usize::from(inner.width)),
            theme.style(Role::Good),
        )],
    );
    let runs = &snapshot.runs_rate;
    put(
        buffer,
        row(inner, 2),
        &format!(
            "runs {} since start, peak {:.0}/s",
            count(runs.total),
            runs.peak
        ),
        theme.style(Role::Text),
    );
    line(buffer, row(inner, 3), errors(state));
}

fn errors(state: &State) -> Vec<Span<'static>> {
    let snapshot = state.snapshot();
    let rate = snapshot.error_rate();
    let words = rate.map_or_else(
        || state.theme.signs().1.to_owned(),
        |r| format!("{:.2} %", r * 100.0),
    );
    let mut out = vec![Span::raw(format!("undecided {words} "))];
    out.extend(judged(state, rate, snapshot.targets.error_rate, true));
    out
}

fn cache(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let snapshot = state.snapshot();
    let inner = panel(
        theme,
        "Cache",
        &keys(state, &[(Action::ClearCache, "clear")]),
        area,
        buffer,
    );
    let rate = snapshot.hit_rate();
    let words = rate.map_or_else(|| theme.signs().1.to_owned(), percent);
    let mut top = vec![Span::raw(format!("hit rate {words} "))];
    top.extend(judged(state, rate, snapshot.targets.cache_hit_rate, false));
    if inner.width >= 34 {
        top.push(Span::styled(
            format!("  {}", bar(theme, rate.unwrap_or(0.0), 12)),
            theme.style(Role::Good),
        ));
    }
    line(buffer, row(inner, 0), top);
    let sum =
        |f: fn(&crate::cache::CacheStats) -> u64| -> u64 { snapshot.caches.iter().map(f).sum() };
    let (hits, misses, loads) = (sum(|c| c.hits), sum(|c| c.misses), sum(|c| c.loads));
    put(
        buffer,
        row(inner, 1),
        &format!(
            "hits {} misses {} loads {}",
            count(hits),
            count(misses),
            count(loads)
        ),
        theme.style(Role::Text),
    );
    let (shared, stale) = (sum(|c| c.stampede_prevented), sum(|c| c.stale_served));
    put(
        buffer,
        row(inner, 2),
        &format!("coalesced loads {}  stale {}", count(shared), count(stale)),
        theme.style(Role::Text),
    );
    put(
        buffer,
        row(inner, 3),
        "all four caches, since start",
        theme.style(Role::Dim),
    );
}

fn pools(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let snapshot = state.snapshot();
    let inner = panel(theme, "Pools", "in use / limit", area, buffer);
    let mut shown: Vec<_> = snapshot.pools.iter().collect();
    let ready = |name: &str| snapshot.providers.iter().any(|p| p.name == name && p.ready);
    shown.sort_by_key(|p| {
        (
            std::cmp::Reverse(p.in_use + p.queued),
            !ready(&p.name),
            std::cmp::Reverse(p.admitted),
        )
    });
    for (n, pool) in shown.iter().take(usize::from(inner.height)).enumerate() {
        let share = f64::from(pool.in_use) / f64::from(pool.limit.max(1));
        let role = if pool.queued > 0 {
            Role::Warn
        } else {
            Role::Text
        };
        let text = format!(
            "{} {:>3}/{:<3}{} queue {}",
            fit(theme, &pool.name, 11),
            pool.in_use,
            pool.limit,
            bar(theme, share, 8),
            pool.queued
        );
        put(buffer, row(inner, n as u16), &text, theme.style(role));
    }
}

fn resources(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let snapshot = state.snapshot();
    let inner = panel(theme, "Resources", "this process", area, buffer);
    let r = snapshot.resources;
    put(
        buffer,
        row(inner, 0),
        &format!(
            "cpu {:>2} %   memory {} MB   state on disk {} MB",
            r.cpu_percent, r.memory_mb, r.disk_mb
        ),
        theme.style(Role::Text),
    );
    put(
        buffer,
        row(inner, 1),
        &up_words(state),
        theme.style(Role::Text),
    );
}

/// Today's money, where models cost any or a budget bounds it.
fn money(state: &State) -> String {
    let money = state.snapshot().money;
    let spent = money.today_micro_usd as f64 / 1e6;
    match money.day_budget_usd {
        budget if budget > 0.0 => format!("   today ${spent:.2} of ${budget:.2}"),
        _ if money.today_micro_usd > 0 => format!("   today ${spent:.2}"),
        _ => String::new(),
    }
}

fn up(state: &State) -> String {
    let since = state.clock_ms() - state.snapshot().started_ms;
    format!("uptime {}", uptime(since.max(0).unsigned_abs()))
}

/// The share of the last hour's runs that ended with full evidence; a dash while no run has ended.
fn available(state: &State) -> String {
    state.snapshot().availability.map_or_else(
        || state.theme.signs().1.to_owned(),
        |percent| format!("{percent:.2} %"),
    )
}

fn up_words(state: &State) -> String {
    format!(
        "{}   available {} (full evidence, 1 h){}",
        up(state),
        available(state),
        money(state)
    )
}

fn alerts(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let alerts = &state.snapshot().alerts;
    let inner = panel(theme, "Alerts", &alerts.len().to_string(), area, buffer);
    if alerts.is_empty() {
        put(buffer, row(inner, 0), "none", theme.style(Role::Dim));
    }
    for (n, alert) in alerts.iter().take(usize::from(inner.height)).enumerate() {
        let role = if alert.bad { Role::Warn } else { Role::Dim };
        put(
            buffer,
            row(inner, n as u16),
            &format!("{} {}", state.zone.clock(alert.at_ms), alert.text),
            theme.style(role),
        );
    }
}

fn summary(state: &State, area: Rect, buffer: &mut Buffer) {
    let snapshot = state.snapshot();
    let r = snapshot.resources;
    // What has a target is the last to go.
    let mut parts = vec![Span::raw(format!(
        " cpu {} %  mem {} MB  ",
        r.cpu_percent, r.memory_mb,
    ))];
    parts.extend(errors(state));
    parts.push(Span::raw(format!("  available {}", available(state))));
    parts.push(Span::raw(money(state)));
    parts.push(Span::raw(format!("  {}", up(state))));
    facts(buffer, area, parts);
}

fn runs_panel(state: &State, area: Rect, buffer: &mut Buffer) {
    let inner = panel(
        state.theme,
        "Runs",
        &keys(state, &[(Action::Trigger, "run"), (Action::Open, "open")]),
        area,
        buffer,
    );
    runs::list(state, inner, buffer);
}
