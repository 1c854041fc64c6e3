//! What was recorded at the cursor, in words: a chart shows the shape, these are the figures.

use super::chart::Shared;
use super::series::point_at;
use crate::console::format::{micros, percent, seconds};
use crate::console::screens::outcome_parts::WORDS;
use crate::engine::protocol::history::{AlertMark, Point};
use crate::resilience::breaker::BreakerState;
use crate::text::clean_line;

/// An alert this near to the cursor is named, as a share of the span.
const NEAR: i64 = 100;

/// The figures at the cursor, or the newest ones; each part is whole by itself.
pub(super) fn at_cursor(shared: &Shared<'_>, alerts: &[AlertMark]) -> Vec<String> {
    let trends = shared.trends;
    let at_ms = shared.cursor_ms.unwrap_or(trends.to_ms);
    let clock = shared.cx.zone.at(at_ms).strftime("%m-%d %H:%M:%S");
    let when = match (shared.cursor_ms, shared.is_live) {
        (None, true) => "now".to_owned(),
        _ => clock.to_string(),
    };
    let Some((_, point)) = point_at(trends, at_ms) else {
        return vec![when, "nothing was recorded of this moment".to_owned()];
    };
    let mut parts = vec![when];
    if shared.cursor_ms.is_some() {
        let near = ((trends.to_ms - trends.from_ms) / NEAR).unsigned_abs();
        let close = alerts.iter().filter(|a| a.at_ms.abs_diff(at_ms) <= near);
        parts.extend(close.map(|alert| {
            let at = shared.cx.zone.clock_seconds(alert.at_ms);
            format!("alert {at}: {}", clean_line(&alert.text, 120))
        }));
    }
    parts.extend(figures(shared, point));
    parts.extend(states(shared, point));
    parts
}

fn figures(shared: &Shared<'_>, point: &Point) -> Vec<String> {
    let dash = shared.cx.theme.signs().1;
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| dash.to_owned());
    let mut parts = vec![format!(
        "overhead p50 {} p99 {} (target {} ms)",
        or_dash(point.p50_us.map(micros)),
        or_dash(point.p99_us.map(micros)),
        shared.cx.snapshot().targets.p99_ms,
    )];
    parts.push(format!(
        "answered p50 {} p99 {}",
        or_dash(point.answered_p50_ms.map(seconds)),
        or_dash(point.answered_p99_ms.map(seconds)),
    ));
    match point.outcomes {
        Some(rates) => {
            let there = rates.iter().zip(WORDS).filter(|(rate, _)| **rate > 0.0);
            let each: Vec<String> = there.map(|(r, word)| format!("{word} {r:.1}/s")).collect();
            parts.push(if each.is_empty() {
                "no calls in the minute before".to_owned()
            } else {
                each.join(" ")
            });
        }
        None => parts.push(format!("calls {:.1}/s, outcomes not recorded", point.calls)),
    }
    parts.push(format!("hit rate {}", or_dash(point.hit_rate.map(percent))));
    parts
}

/// Breakers that are not closed, and pools in use.
fn states(shared: &Shared<'_>, point: &Point) -> Vec<String> {
    let trends = shared.trends;
    let named = trends.breakers.iter().zip(&point.breakers);
    let mut parts: Vec<String> = named
        .filter_map(|(name, state)| {
            let state = (*state)?;
            let name = clean_line(name, 24);
            (state != BreakerState::Closed).then(|| format!("{name} {}", state.as_str()))
        })
        .collect();
    if parts.is_empty() && point.breakers.iter().any(Option::is_some) {
        parts.push("no breaker open".to_owned());
    }
    let pools = trends.pools.iter().zip(&point.pools);
    let full = pools.filter(|(_, used)| **used > 0.0);
    parts.extend(
        full.map(|(name, used)| format!("{} pool {}", clean_line(name, 24), percent(*used))),
    );
    parts
}
