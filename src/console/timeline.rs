//! Going back through what was recorded, and looking at where it goes.

use super::message::Effect;
use super::state::{OpenTrends, State};
use crate::engine::protocol::query::Query;

/// A far step through what was recorded.
pub(super) const FAR_MS: i64 = 600_000;
/// Spans of the charts, milliseconds.
const SPANS: [i64; 6] = [60_000, 300_000, 900_000, 3_600_000, 21_600_000, 86_400_000];
/// Points of a chart.
const POINTS: u32 = 400;

/// To the recorded picture before (`by` below zero) or after the one that is shown.
pub(super) fn rewind(state: &State, by: i64) -> Vec<Effect> {
    if by > 0 && !state.rewound {
        return Vec::new(); // after now there is nothing
    }
    let from = if state.rewound {
        state.frozen_ms
    } else {
        state.wall_ms
    };
    let query = Query::Moment {
        at_ms: from + by,
        after: by > 0,
    };
    vec![Effect::Query(query)]
}

pub(super) fn open_trends(state: &mut State) -> Vec<Effect> {
    state.open = None;
    state.trends = Some(OpenTrends {
        span_ms: SPANS[1],
        to_ms: state.rewound.then_some(state.frozen_ms),
        data: None,
        asked_ms: 0,
    });
    ask_trends(state)
}

/// Asks for the charts as they are to be now.
pub(super) fn ask_trends(state: &mut State) -> Vec<Effect> {
    let now_ms = state.wall_ms;
    let Some(open) = &mut state.trends else {
        return Vec::new();
    };
    open.asked_ms = now_ms;
    let to_ms = open.to_ms.unwrap_or(now_ms);
    vec![Effect::Query(Query::Trends {
        from_ms: to_ms - open.span_ms,
        to_ms,
        points: POINTS,
    })]
}

pub(super) fn zoom(state: &mut State, closer: bool) -> Vec<Effect> {
    let Some(open) = &mut state.trends else {
        return Vec::new();
    };
    let at = SPANS.iter().position(|s| *s == open.span_ms).unwrap_or(1);
    let next = if closer {
        at.saturating_sub(1)
    } else {
        (at + 1).min(SPANS.len() - 1)
    };
    open.span_ms = SPANS[next];
    ask_trends(state)
}

/// Half a span earlier or later; past now it follows again.
pub(super) fn pan(state: &mut State, later: bool) -> Vec<Effect> {
    let now_ms = state.wall_ms;
    let Some(open) = &mut state.trends else {
        return Vec::new();
    };
    let by = open.span_ms / 2 * if later { 1 } else { -1 };
    let to_ms = open.to_ms.unwrap_or(now_ms) + by;
    open.to_ms = (to_ms < now_ms).then_some(to_ms);
    ask_trends(state)
}
