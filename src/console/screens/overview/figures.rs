//! The small panels of the Overview: cache, throughput and errors, decisions, resources; and the same in two
//! lines for a small terminal.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use crate::console::action::Action;
use crate::console::context::Context;
use crate::console::format::{age, count, percent, secs, uptime};
use crate::console::theme::{Mark, Role};
use crate::console::widgets::bars::{bar, columns};
use crate::console::widgets::panel::panel;
use crate::console::widgets::text::{facts, judged, put, row};
use crate::telemetry::call_outcome::CallOutcome;
use crate::telemetry::latency::ENOUGH;

/// A figure against its target; what only the simulator did is neither good nor bad.
pub(super) fn judged_here(
    cx: &Context,
    value: Option<f64>,
    target: f64,
    below: bool,
) -> Vec<Span<'static>> {
    if cx.snapshot().mode.simulated {
        return Vec::new();
    }
    judged(cx.theme, value, target, below)
}

fn hit_rate(cx: &Context) -> Vec<Span<'static>> {
    let snapshot = cx.snapshot();
    let rate = snapshot.hit_rate();
    let words = rate.map_or_else(|| cx.theme.signs().1.to_owned(), percent);
    let mut out = vec![Span::raw(format!("hit rate {words} "))];
    let target = snapshot.targets.cache_hit_rate;
    out.extend(judged_here(cx, rate, target, false));
    if rate.is_none() {
        let gets = snapshot
            .response_cache()
            .map_or(0, |c| c.served() + c.misses);
        let text = format!("({gets} of {ENOUGH} questions)");
        out.push(Span::styled(text, cx.theme.style(Role::Dim)));
    }
    out
}

/// Draws the cache.
pub(super) fn cache(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let keys = cx.keys_of(&[(Action::ClearCache, "clear")]);
    let inner = panel(theme, "Cache (responses)", &keys, area, buffer);
    let Some(c) = cx.snapshot().response_cache() else {
        return put(buffer, row(inner, 0), "unknown", theme.style(Role::Dim));
    };
    let mut top = hit_rate(cx);
    if let Some(rate) = cx.snapshot().hit_rate() {
        let style = theme.style(Role::Dim);
        top.push(Span::styled(format!("  {}", bar(theme, rate, 12)), style));
    }
    facts(buffer, row(inner, 0), top);
    let figures = format!(
        "hits {}  misses {}  negative {}",
        count(c.hits),
        count(c.misses),
        count(c.negative_hits)
    );
    put(buffer, row(inner, 1), &figures, theme.style(Role::Text));
    let money = cx.snapshot().money;
    let saved = money.saved_micro_usd as f64 / 1e6;
    let note = if money.simulated { " simulated" } else { "" };
    let parts = vec![
        Span::raw(format!("coalesced {}  ", count(c.stampede_prevented))),
        Span::raw(format!("stale {}  ", count(c.stale_served))),
        Span::raw(format!("${saved:.2} saved{note}")),
    ];
    facts(buffer, row(inner, 2), parts);
}

/// Runs of the last hour that were not decided, against the target.
fn errors(cx: &Context) -> Vec<Span<'static>> {
    let snapshot = cx.snapshot();
    let outcomes = snapshot.outcomes;
    let rate = snapshot.error_rate();
    let words = rate.map_or_else(|| cx.theme.signs().1.to_owned(), percent);
    let mut out = vec![Span::raw(format!("error rate {words} "))];
    let target = snapshot.targets.error_rate;
    out.extend(judged_here(cx, rate, target, true));
    let n = format!(" (n {}, 1 h)", count(outcomes.asked()));
    out.push(Span::styled(n, cx.theme.style(Role::Dim)));
    out
}

fn answered(cx: &Context) -> f64 {
    let history = &cx.snapshot().call_history;
    history.per_second(CallOutcome::Answered) + history.per_second(CallOutcome::Retried)
}

/// Draws throughput and errors.
pub(super) fn throughput(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let snapshot = cx.snapshot();
    let keys = cx.keys_of(&[(Action::Trends, "trends")]);
    let inner = panel(theme, "Throughput and errors", &keys, area, buffer);
    let rates = vec![
        Span::raw(format!("answered {:.1}/s  ", answered(cx))),
        Span::raw(format!("peak {:.0}/s  ", snapshot.calls.peak)),
        Span::raw(format!("avg {:.1}/s  ", snapshot.calls.average)),
    ];
    facts(buffer, row(inner, 0), rates);
    let calls: u32 = snapshot.pools.iter().map(|p| p.in_use).sum();
    let counts = snapshot.counts;
    let active = vec![
        Span::raw(format!("active: {calls} calls  ")),
        Span::raw(format!("{} running  ", counts.running)),
        Span::raw(format!("{} queued", counts.queued)),
    ];
    facts(buffer, row(inner, 1), active);
    facts(buffer, row(inner, 2), errors(cx));
}

/// Share of the last hour's runs with full evidence.
fn evidence(cx: &Context) -> Vec<Span<'static>> {
    let full = cx.snapshot().decisions_hour.full_percent;
    let words = full.map_or_else(
        || cx.theme.signs().1.to_owned(),
        |percent| format!("{percent:.1} %"),
    );
    let mut out = vec![Span::raw(format!("full evidence {words} "))];
    out.extend(judged_here(cx, full, 99.0, false));
    out
}

/// Draws the decisions of the last hour.
pub(super) fn decisions(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let d = &cx.snapshot().decisions_hour;
    let keys = cx.keys_of(&[(Action::Show(crate::console::action::Screen::Runs), "runs")]);
    let inner = panel(theme, "Decisions, last hour", &keys, area, buffer);
    let mark = |mark: Mark, n: u64| {
        let (glyph, role) = theme.mark(mark);
        let role = if n == 0 { Role::Dim } else { role };
        Span::styled(format!("{glyph} {}  ", count(n)), theme.style(role))
    };
    let mut top = vec![
        mark(Mark::Passed, d.hour.approved),
        mark(Mark::Failed, d.hour.negative),
        mark(Mark::Person, d.hour.manual),
    ];
    top.extend(evidence(cx));
    facts(buffer, row(inner, 0), top);
    let minutes: Vec<Option<u64>> = d
        .minutes
        .iter()
        .map(|m| m.iter().copied().map(u64::from).sum::<u64>())
        .map(|n| (n > 0).then_some(n))
        .collect();
    let width = usize::from(inner.width);
    let chart = columns(theme, &minutes, width);
    put(buffer, row(inner, 1), &chart, theme.style(Role::Text));
    let waiting = d.waiting;
    let words = match (waiting.count(), waiting.oldest_ms) {
        (0, _) => "nothing waits for a person".to_owned(),
        (n, Some(at)) => format!(
            "waiting for a person {n}, oldest {}",
            age(cx.clock_ms() - at)
        ),
        (n, None) => format!("waiting for a person {n}"),
    };
    let role = if waiting.count() > 0 {
        Role::Warn
    } else {
        Role::Dim
    };
    put(buffer, row(inner, 2), &words, theme.style(role));
}

/// Today's money, where models cost any or a budget bounds it.
fn money(cx: &Context) -> String {
    let money = cx.snapshot().money;
    let spent = money.today_micro_usd as f64 / 1e6;
    let note = if money.simulated { " (simulated)" } else { "" };
    match money.day_budget_usd {
        budget if budget > 0.0 => format!("today ${spent:.2} of ${budget:.2}{note}"),
        _ => format!("today ${spent:.2}{note}"),
    }
}

fn up(cx: &Context) -> String {
    let since = cx.clock_ms() - cx.snapshot().started_ms;
    format!("up {}", uptime(since.max(0).unsigned_abs()))
}

/// Draws what this process uses.
pub(super) fn resources(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let r = cx.snapshot().resources;
    let inner = panel(theme, "Resources", "this process", area, buffer);
    let text = theme.style(Role::Text);
    let process = vec![
        Span::styled(format!("cpu {} %  ", r.cpu_percent), text),
        Span::styled(format!("memory {} MB  ", r.memory_mb), text),
        Span::styled(up(cx), text),
    ];
    facts(buffer, row(inner, 0), process);
    let disk = vec![
        Span::styled(format!("{}  ", money(cx)), text),
        Span::styled(format!("disk {} MB", r.disk_mb), text),
    ];
    facts(buffer, row(inner, 1), disk);
    facts(
        buffer,
        row(inner, 2),
        if inner.width >= 46 {
            available(cx)
        } else {
            evidence(cx)
        },
    );
}

fn available(cx: &Context) -> Vec<Span<'static>> {
    let share = cx.snapshot().availability;
    let words = share.map_or_else(
        || cx.theme.signs().1.to_owned(),
        |percent| format!("{percent:.2} %"),
    );
    let mut out = vec![Span::raw(format!("available {words} "))];
    out.extend(judged_here(cx, share, 99.0, false));
    let what = " (runs with full evidence, 1 h)";
    out.push(Span::styled(what, cx.theme.style(Role::Dim)));
    out
}

/// The figures in two lines: latency and outcomes, then cache, errors and resources.
pub(super) fn draw_lines(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let snapshot = cx.snapshot();
    let history = &snapshot.call_history;
    let l = &history.latency;
    let dash = || theme.signs().1.to_owned();
    let time = |ms: Option<u64>| ms.map_or_else(dash, |ms| secs(i64::try_from(ms).unwrap_or(0)));
    let rate = |outcome| history.per_second(outcome);
    let mut first = vec![Span::raw(format!(
        " latency p50 {}  p99 {}   answered {:.1}/s",
        time(l.p50_ms),
        time(l.p99_ms),
        answered(cx)
    ))];
    for (outcome, word, role) in [
        (CallOutcome::Failed, "failed", Role::Bad),
        (CallOutcome::Refused, "refused", Role::Bad),
        (CallOutcome::RateLimited, "429", Role::Warn),
    ] {
        let role = if rate(outcome) > 0.0 { role } else { Role::Dim };
        let text = format!("  {word} {:.1}/s", rate(outcome));
        first.push(Span::styled(text, theme.style(role)));
    }
    facts(buffer, row(area, 0), first);
    let r = snapshot.resources;
    let rate = snapshot.hit_rate().map_or_else(dash, percent);
    let mut second = vec![Span::raw(format!(" cache {rate} hit  "))];
    second.extend(errors(cx));
    second.push(Span::raw(format!(
        "  cpu {} %  mem {} MB",
        r.cpu_percent, r.memory_mb
    )));
    second.push(Span::raw(format!("  {}", money(cx))));
    second.push(Span::raw(format!("  {}", up(cx))));
    facts(buffer, row(area, 1), second);
}
