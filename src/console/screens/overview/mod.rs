//! Is all well? The eight panels of the platform's dashboard, from measurements.
//!
//! ```text
//!  gateway overhead        │ circuit breakers
//!  throughput │ cache   │ pools
//!  resources            │ alerts
//!  runs
//! ```

mod latency;

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Span;

use super::resilience;
use super::run_list::RunList;
use crate::console::action::Action;
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::format::{count, percent, uptime};
use crate::console::theme::Role;
use crate::console::widgets::bars::{bar, columns};
use crate::console::widgets::panel::panel;
use crate::console::widgets::text::{facts, fit, judged, line, put, row};
use crate::engine::protocol::snapshot::Health;
use crate::engine::protocol::why::About;

/// The screen.
#[derive(Debug, Clone, Default)]
pub struct Overview {
    runs: RunList,
}

impl Component for Overview {
    fn title(&self, _cx: &Context) -> String {
        "Overview".into()
    }

    fn on_action(&mut self, action: Action, cx: &Context) -> Option<Vec<Intent>> {
        self.runs.on_action(action, cx)
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.runs.list.filter)
    }

    fn set_filter(&mut self, text: String, _done: bool, _cx: &Context) -> Vec<Intent> {
        self.runs.list.filter = text;
        Vec::new()
    }

    fn on_click(&mut self, (_, y): (u16, u16), area: Rect, cx: &Context) -> Vec<Intent> {
        let place = Panels::of(area).runs();
        let height = place.height.saturating_sub(2);
        let line = y.checked_sub(place.y + 1).filter(|line| *line < height);
        let height = usize::from(height);
        line.map_or_else(Vec::new, |line| self.runs.on_click(line, height, cx))
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        match Panels::of(area) {
            Panels::Tall(rows) => self.tall(cx, rows, buffer),
            Panels::Short(rows) => self.short(cx, rows, buffer),
            Panels::Narrow(rows) => self.narrow(cx, rows, buffer),
        }
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![
            Action::Trigger,
            Action::Open,
            Action::Why,
            Action::Trends,
            Action::ClearCache,
            Action::ResetBreaker,
            Action::Filter,
        ]
    }

    fn subject(&self, cx: &Context) -> Subject {
        self.runs.subject(cx)
    }

    /// What is red, else the selected run.
    fn about(&self, cx: &Context) -> About {
        let s = cx.snapshot();
        if s.health != Health::Healthy {
            return About::Health;
        }
        let slow = |us: u64| us as f64 / 1_000.0 > s.targets.p99_ms;
        if s.added_latency.p99_us.is_some_and(slow) {
            return About::Latency;
        }
        self.subject(cx).about()
    }

    fn table(&self, cx: &Context) -> Vec<Vec<String>> {
        self.runs.table(cx)
    }

    fn copied(&self, cx: &Context) -> Option<String> {
        self.runs.copied(cx)
    }
}

/// The layout for the room that there is, from the top.
enum Panels {
    /// All panels.
    Tall([Rect; 4]),
    /// The most important ones.
    Short([Rect; 4]),
    /// Two lines above the runs.
    Narrow([Rect; 2]),
}

impl Panels {
    fn of(area: Rect) -> Self {
        if area.height >= 28 && area.width >= 80 {
            let rows = [
                Constraint::Length(7),
                Constraint::Length(6),
                Constraint::Length(4),
                Constraint::Min(6),
            ];
            Self::Tall(Layout::vertical(rows).areas(area))
        } else if area.height >= 16 && area.width >= 72 {
            let rows = [
                Constraint::Length(5),
                Constraint::Length(4),
                Constraint::Length(1),
                Constraint::Min(4),
            ];
            Self::Short(Layout::vertical(rows).areas(area))
        } else {
            let rows = [Constraint::Length(2), Constraint::Min(0)];
            Self::Narrow(Layout::vertical(rows).areas(area))
        }
    }

    /// Where the runs are.
    fn runs(&self) -> Rect {
        match self {
            Self::Tall(rows) | Self::Short(rows) => rows[3],
            Self::Narrow(rows) => rows[1],
        }
    }
}

impl Overview {
    fn tall(&self, cx: &Context, [top, middle, low, rest]: [Rect; 4], buffer: &mut Buffer) {
        let unequal = [Constraint::Percentage(52), Constraint::Percentage(48)];
        let [left, right] = Layout::horizontal(unequal).areas(top);
        latency::draw(cx, left, buffer);
        breakers(cx, right, buffer);
        let [a, b, c] = Layout::horizontal([Constraint::Ratio(1, 3); 3]).areas(middle);
        throughput(cx, a, buffer);
        cache(cx, b, buffer);
        pools(cx, c, buffer);
        let [a, b] = Layout::horizontal(unequal).areas(low);
        resources(cx, a, buffer);
        alerts(cx, b, buffer);
        self.runs_panel(cx, rest, buffer);
    }

    fn short(&self, cx: &Context, [top, middle, one, rest]: [Rect; 4], buffer: &mut Buffer) {
        let half = [Constraint::Percentage(50); 2];
        let [left, right] = Layout::horizontal(half).areas(top);
        latency::draw(cx, left, buffer);
        breakers(cx, right, buffer);
        let [left, right] = Layout::horizontal(half).areas(middle);
        cache(cx, left, buffer);
        pools(cx, right, buffer);
        summary(cx, one, buffer);
        self.runs_panel(cx, rest, buffer);
    }

    fn narrow(&self, cx: &Context, [one, rest]: [Rect; 2], buffer: &mut Buffer) {
        let l = &cx.snapshot().added_latency;
        let figures = latency::triple(cx, l.p50_us, l.p95_us, l.p99_us);
        put(
            buffer,
            row(one, 0),
            &format!(" gateway overhead {figures}"),
            cx.theme.style(Role::Text),
        );
        summary(cx, row(one, 1), buffer);
        self.runs_panel(cx, rest, buffer);
    }

    fn runs_panel(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let keys = cx.keys_of(&[(Action::Trigger, "run"), (Action::Open, "open")]);
        let inner = panel(cx.theme, "Runs", &keys, area, buffer);
        self.runs.draw(cx, inner, buffer);
    }
}

fn breakers(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let snapshot = cx.snapshot();
    let trips: u64 = snapshot.breakers.iter().map(|b| b.trips).sum();
    let inner = panel(
        theme,
        "Circuit breakers",
        &cx.keys_of(&[(Action::ResetBreaker, "reset")]),
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
            resilience::breaker_spans(cx, b, usize::from(inner.width)),
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

fn throughput(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let snapshot = cx.snapshot();
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
    line(buffer, row(inner, 3), errors(cx));
}

fn errors(cx: &Context) -> Vec<Span<'static>> {
    let snapshot = cx.snapshot();
    let rate = snapshot.error_rate();
    let words = rate.map_or_else(
        || cx.theme.signs().1.to_owned(),
        |r| format!("{:.2} %", r * 100.0),
    );
    let mut out = vec![Span::raw(format!("undecided {words} "))];
    out.extend(judged(cx.theme, rate, snapshot.targets.error_rate, true));
    out
}

fn cache(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let snapshot = cx.snapshot();
    let inner = panel(
        theme,
        "Cache",
        &cx.keys_of(&[(Action::ClearCache, "clear")]),
        area,
        buffer,
    );
    let rate = snapshot.hit_rate();
    let words = rate.map_or_else(|| theme.signs().1.to_owned(), percent);
    let mut top = vec![Span::raw(format!("hit rate {words} "))];
    top.extend(judged(
        cx.theme,
        rate,
        snapshot.targets.cache_hit_rate,
        false,
    ));
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

fn pools(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let snapshot = cx.snapshot();
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

fn resources(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let snapshot = cx.snapshot();
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
        &up_words(cx),
        theme.style(Role::Text),
    );
}

/// Today's money, where models cost any or a budget bounds it.
fn money(cx: &Context) -> String {
    let money = cx.snapshot().money;
    let spent = money.today_micro_usd as f64 / 1e6;
    match money.day_budget_usd {
        budget if budget > 0.0 => format!("   today ${spent:.2} of ${budget:.2}"),
        _ if money.today_micro_usd > 0 => format!("   today ${spent:.2}"),
        _ => String::new(),
    }
}

fn up(cx: &Context) -> String {
    let since = cx.clock_ms() - cx.snapshot().started_ms;
    format!("uptime {}", uptime(since.max(0).unsigned_abs()))
}

/// The share of the last hour's runs that ended with full evidence; a dash while no run has ended.
fn available(cx: &Context) -> String {
    cx.snapshot().availability.map_or_else(
        || cx.theme.signs().1.to_owned(),
        |percent| format!("{percent:.2} %"),
    )
}

fn up_words(cx: &Context) -> String {
    format!(
        "{}   available {} (full evidence, 1 h){}",
        up(cx),
        available(cx),
        money(cx)
    )
}

fn alerts(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let alerts = &cx.snapshot().alerts;
    let inner = panel(theme, "Alerts", &alerts.len().to_string(), area, buffer);
    if alerts.is_empty() {
        put(buffer, row(inner, 0), "none", theme.style(Role::Dim));
    }
    for (n, alert) in alerts.iter().take(usize::from(inner.height)).enumerate() {
        let role = if alert.bad { Role::Warn } else { Role::Dim };
        put(
            buffer,
            row(inner, n as u16),
            &format!("{} {}", cx.zone.clock(alert.at_ms), alert.text),
            theme.style(role),
        );
    }
}

fn summary(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let snapshot = cx.snapshot();
    let r = snapshot.resources;
    // What has a target is the last to go.
    let mut parts = vec![Span::raw(format!(
        " cpu {} %  mem {} MB  ",
        r.cpu_percent, r.memory_mb,
    ))];
    parts.extend(errors(cx));
    parts.push(Span::raw(format!("  available {}", available(cx))));
    parts.push(Span::raw(money(cx)));
    parts.push(Span::raw(format!("  {}", up(cx))));
    facts(buffer, area, parts);
}
