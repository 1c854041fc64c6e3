//! Pools as a table: what is in use, who waits and for how long, and in words why the limit is not the configured
//! one. What the queue of a pool cannot say (how long calls waited) comes from the providers that use it.

use crate::console::context::Context;
use crate::console::format::{compact, count, secs};
use crate::console::theme::Role;
use crate::console::widgets::bars::bar;
use crate::console::widgets::table::{self, Cell, Column, SortKey};
use crate::engine::protocol::provider_row::ProviderRow;
use crate::engine::protocol::snapshot::Snapshot;
use crate::resilience::bulkhead::PoolStats;

/// Columns of the table.
pub const COLUMNS: [Column; 12] = [
    Column::text("POOL", 11, 1, 0),
    Column::figure("IN USE", 7, 0),
    Column::text("USE", 8, 1, 9),
    Column::figure("QUEUE", 7, 0),
    Column::figure("OLDEST", 6, 1),
    Column::figure("WAIT P50", 8, 2),
    Column::figure("WAITED, 5 min", 13, 3),
    Column::text("LIMIT", 17, 4, 0),
    Column::figure("TIMEOUTS", 8, 4),
    Column::figure("REFUSED", 7, 5),
    Column::text("WAITING BY LANE", 34, 0, 6),
    Column::figure("CUT BY 429", 10, 7),
];

/// The place of the limit among the columns.
const LIMIT: usize = 7;

/// A pool with what its providers know of it.
#[derive(Debug)]
pub struct PoolRow<'a> {
    /// The pool.
    pub pool: &'a PoolStats,
    /// Providers that use it.
    providers: Vec<&'a ProviderRow>,
}

impl<'a> PoolRow<'a> {
    /// All pools.
    pub fn all(s: &'a Snapshot) -> Vec<Self> {
        let of = |pool: &'a PoolStats| Self {
            pool,
            providers: s
                .provider_rows
                .iter()
                .filter(|r| r.pool == pool.name)
                .collect(),
        };
        s.pools.iter().map(of).collect()
    }

    /// The provider whose calls these are; `None`: several share it.
    pub fn provider(&self) -> Option<&'a str> {
        match self.providers[..] {
            [one] => Some(&one.name),
            _ => None,
        }
    }

    /// Since when the oldest call of the queue waits, wall time; its wait for the rate limit counts.
    fn oldest_ms(&self) -> Option<i64> {
        let oldest = self.providers.iter().filter_map(|r| r.oldest_ms).min();
        oldest.filter(|_| self.pool.queued > 0)
    }

    /// Calls of the last five minutes that waited for it, of all that came.
    fn waited(&self) -> (u64, u64) {
        let figures = self.providers.iter().map(|r| &r.figures);
        figures.fold((0, 0), |(waited, came), f| {
            (waited + f.waited_pool, came + f.came)
        })
    }

    /// The median wait; of several providers that share the pool it is known where one alone made calls.
    fn wait_p50_ms(&self) -> Option<u32> {
        let mut came = self.providers.iter().filter(|r| r.figures.came > 0);
        let first = came.next()?;
        came.next().is_none().then_some(first.figures.wait_p50_ms)?
    }

    /// The limit in words, in so many columns.
    fn limit(&self, wide: usize) -> String {
        let p = self.pool;
        let mut words = if p.allowed == p.limit {
            p.limit.to_string()
        } else {
            format!("adaptive limit {} (configured {})", p.allowed, p.limit)
        };
        if words.len() > wide {
            words = format!("adaptive {} of {}", p.allowed, p.limit);
        }
        if p.debt > 0 {
            let more = format!("{words}, {} too many until they return", p.debt);
            if more.len() <= wide {
                return more;
            }
        }
        words
    }
}

/// The cells of a pool in a table this wide.
pub fn cells(cx: &Context, row: &PoolRow<'_>, width: u16) -> Vec<Cell> {
    let p = row.pool;
    let dash = || cx.theme.signs().1.to_owned();
    let columns = table::layout(&COLUMNS, width);
    let wide = columns.iter().find(|(i, _)| *i == LIMIT);
    let wide = wide.map_or(0, |(_, wide)| usize::from(*wide));
    let busy = if p.queued > 0 || p.allowed < p.limit {
        Role::Warn
    } else {
        Role::Text
    };
    let lost = |n: u64| Cell::new(count(n), if n > 0 { Role::Warn } else { Role::Dim });
    let share = f64::from(p.in_use) / f64::from(p.allowed.max(1));
    let oldest = row.oldest_ms();
    let oldest = oldest.map_or_else(dash, |at| secs(cx.clock_ms() - at));
    let wait = row.wait_p50_ms();
    let wait = wait.map_or_else(dash, |ms| secs(i64::from(ms)));
    let waited = match row.waited() {
        (_, 0) => Cell::dim(dash()),
        (0, came) => Cell::dim(format!("0 of {}", compact(came))),
        (waited, came) => {
            let text = format!("{} of {}", compact(waited), compact(came));
            Cell::new(text, Role::Warn)
        }
    };
    let lanes = p.lanes;
    let lanes = match p.queued {
        0 => Cell::dim(dash()),
        _ => Cell::new(
            format!(
                "person {}, run {}, refresh {}",
                lanes.interactive, lanes.run, lanes.refresh
            ),
            busy,
        ),
    };
    vec![
        Cell::new(crate::text::clean_line(&p.name, 40), busy),
        Cell::new(format!("{}/{}", p.in_use, p.allowed), busy),
        Cell::new(bar(cx.theme, share, 8), busy),
        Cell::new(format!("{}/{}", p.queued, p.queue_limit), busy),
        Cell::new(oldest, busy),
        Cell::plain(wait),
        waited,
        Cell::new(row.limit(wide), busy),
        lost(p.timed_out),
        lost(p.rejected),
        lanes,
        lost(p.shrunk),
    ]
}

/// What a pool is sorted by in a column.
pub fn sort_key(row: &PoolRow<'_>, column: usize) -> SortKey {
    let p = row.pool;
    let share = || f64::from(p.in_use) / f64::from(p.allowed.max(1));
    match COLUMNS[column].head {
        "IN USE" => SortKey::count(p.in_use.into()),
        "USE" => SortKey::figure(Some(share())),
        "QUEUE" | "WAITING BY LANE" => SortKey::count(p.queued.into()),
        "OLDEST" => SortKey::figure(row.oldest_ms().map(|at| -(at as f64))),
        "WAIT P50" => SortKey::figure(row.wait_p50_ms().map(f64::from)),
        "WAITED, 5 min" => SortKey::count(row.waited().0),
        "LIMIT" => SortKey::count(p.allowed.into()),
        "TIMEOUTS" => SortKey::count(p.timed_out),
        "REFUSED" => SortKey::count(p.rejected),
        "CUT BY 429" => SortKey::count(p.shrunk),
        _ => SortKey::text(&p.name),
    }
}

/// All of it for export, the head first.
pub fn export(rows: &[PoolRow<'_>]) -> Vec<Vec<String>> {
    let head = [
        "pool",
        "inUse",
        "allowed",
        "limit",
        "queued",
        "queueLimit",
        "admitted",
        "waited",
        "rejected",
        "timedOut",
        "shrunk",
        "waitP50Ms",
        "waited5Min",
        "came5Min",
    ];
    let rows = rows.iter().map(|row| {
        let p = row.pool;
        let (waited, came) = row.waited();
        let wait = row.wait_p50_ms();
        vec![
            p.name.clone(),
            p.in_use.to_string(),
            p.allowed.to_string(),
            p.limit.to_string(),
            p.queued.to_string(),
            p.queue_limit.to_string(),
            p.admitted.to_string(),
            p.waited.to_string(),
            p.rejected.to_string(),
            p.timed_out.to_string(),
            p.shrunk.to_string(),
            wait.map_or_else(String::new, |ms| ms.to_string()),
            waited.to_string(),
            came.to_string(),
        ]
    });
    table::with_head(&head, rows)
}
