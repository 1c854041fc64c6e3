//! Rate limits and retries as tables: what is left of the quota, who backs off after a 429, who waits.

use crate::console::context::Context;
use crate::console::format::{compact, count};
use crate::console::theme::Role;
use crate::console::widgets::table::{self, Cell, Column, SortKey};
use crate::engine::protocol::provider_row::ProviderRow;
use crate::engine::protocol::snapshot::Snapshot;
use crate::resilience::limiter::RateStats;

/// Columns of the rate limits.
pub const COLUMNS: [Column; 10] = [
    Column::text("PROVIDER", 11, 1, 0),
    Column::text("STATE", 15, 2, 0),
    Column::figure("REQUESTS LEFT", 13, 0),
    Column::figure("TOKENS LEFT", 15, 1),
    Column::figure("WAITING", 7, 0),
    Column::figure("429, 5 min", 10, 2),
    Column::figure("WAITED, 5 min", 13, 3),
    Column::figure("CALLS OUT", 9, 5),
    Column::figure("DELAYED", 8, 6),
    Column::figure("REFUSED", 8, 4),
];

/// Columns of the retries.
pub const RETRIES: [Column; 5] = [
    Column::figure("RETRIES", 8, 0),
    Column::figure("OF CALLS", 9, 0),
    Column::figure("WINDOW, s", 9, 0),
    Column::figure("RETRIES LEFT", 13, 0),
    Column::figure("REFUSED SINCE START", 20, 1),
];

/// A rate limit with the figures of its provider.
#[derive(Debug)]
pub struct LimitRow<'a> {
    /// The limit.
    pub limit: &'a RateStats,
    provider: Option<&'a ProviderRow>,
}

impl<'a> LimitRow<'a> {
    /// All limits.
    pub fn all(s: &'a Snapshot) -> Vec<Self> {
        let limits = s.limiters.iter().map(|limit| Self {
            limit,
            provider: s.provider_rows.iter().find(|r| r.name == limit.name),
        });
        limits.collect()
    }

    /// 429s of the last five minutes.
    fn limited(&self) -> Option<u64> {
        self.provider.map(|r| r.figures.window.rate_limited)
    }

    /// How it stands, in words.
    fn state(&self) -> (String, Role) {
        let l = self.limit;
        let set = l.settings;
        match (l.paused_s, l.waiting) {
            (Some(s), _) => (format!("backs off {s} s"), Role::Warn),
            (None, 1..) => ("calls wait".into(), Role::Warn),
            _ if set.requests_per_minute.is_none() && set.tokens_per_minute.is_none() => {
                ("no limit set".into(), Role::Dim)
            }
            _ => ("lets pass".into(), Role::Text),
        }
    }
}

/// `41 of 60`; a dash where no limit is set.
fn quota(cx: &Context, left: Option<i64>, of: Option<u32>) -> Cell {
    match (left, of) {
        (Some(left), Some(of)) => {
            let role = if left <= 0 { Role::Warn } else { Role::Text };
            Cell::new(format!("{left} of {of}"), role)
        }
        _ => Cell::dim(cx.theme.signs().1),
    }
}

/// The cells of a rate limit.
pub fn cells(cx: &Context, row: &LimitRow<'_>) -> Vec<Cell> {
    let l = row.limit;
    let dash = cx.theme.signs().1;
    let (state, role) = row.state();
    let some = |n: u64| if n > 0 { Role::Warn } else { Role::Dim };
    let limited = row.limited();
    let limited = limited.map_or(Cell::dim(dash), |n| Cell::new(count(n), some(n)));
    let waited = match row
        .provider
        .map(|r| (r.figures.waited_limiter, r.figures.came))
    {
        Some((waited, came)) if came > 0 => {
            let text = format!("{} of {}", compact(waited), compact(came));
            Cell::new(text, some(waited))
        }
        _ => Cell::dim(dash),
    };
    vec![
        Cell::new(crate::text::clean_line(&l.name, 40), role),
        Cell::new(state, role),
        quota(
            cx,
            l.requests_left.map(i64::from),
            l.settings.requests_per_minute,
        ),
        quota(cx, l.tokens_left, l.settings.tokens_per_minute),
        Cell::new(l.waiting.to_string(), some(l.waiting.into())),
        limited,
        waited,
        Cell::dim(l.reserved.to_string()),
        Cell::dim(count(l.delayed)),
        Cell::new(count(l.rejected), some(l.rejected)),
    ]
}

/// What a rate limit is sorted by in a column.
pub fn sort_key(row: &LimitRow<'_>, column: usize) -> SortKey {
    let l = row.limit;
    match COLUMNS[column].head {
        "STATE" => SortKey::text(&row.state().0),
        "REQUESTS LEFT" => SortKey::figure(l.requests_left.map(f64::from)),
        "TOKENS LEFT" => SortKey::figure(l.tokens_left.map(|n| n as f64)),
        "WAITING" => SortKey::count(l.waiting.into()),
        "429, 5 min" => SortKey::figure(row.limited().map(|n| n as f64)),
        "WAITED, 5 min" => SortKey::figure(row.provider.map(|r| r.figures.waited_limiter as f64)),
        "CALLS OUT" => SortKey::count(l.reserved.into()),
        "DELAYED" => SortKey::count(l.delayed),
        "REFUSED" => SortKey::count(l.rejected),
        _ => SortKey::text(&l.name),
    }
}

/// All limits for export, the head first.
pub fn export(rows: &[LimitRow<'_>]) -> Vec<Vec<String>> {
    let head = [
        "rateLimit",
        "requestsLeft",
        "requestsPerMinute",
        "tokensLeft",
        "tokensPerMinute",
        "pausedS",
        "waiting",
        "delayed",
        "rejected",
    ];
    fn known<T: ToString>(n: Option<T>) -> String {
        n.map_or_else(String::new, |n| n.to_string())
    }
    let rows = rows.iter().map(|row| {
        let l = row.limit;
        vec![
            l.name.clone(),
            known(l.requests_left),
            known(l.settings.requests_per_minute),
            known(l.tokens_left),
            known(l.settings.tokens_per_minute),
            known(l.paused_s),
            l.waiting.to_string(),
            l.delayed.to_string(),
            l.rejected.to_string(),
        ]
    });
    table::with_head(&head, rows)
}

/// The cells of the retries' one row.
pub fn retry_cells(cx: &Context) -> Vec<Cell> {
    let b = cx.snapshot().retry_budget;
    let warn = |bad: bool| if bad { Role::Warn } else { Role::Text };
    vec![
        Cell::plain(b.retries.to_string()),
        Cell::plain(b.calls.to_string()),
        Cell::dim(b.window_s.to_string()),
        Cell::new(b.left.to_string(), warn(b.left == 0)),
        Cell::new(count(b.refused), warn(b.refused > 0)),
    ]
}
