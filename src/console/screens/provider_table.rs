//! Providers as a table: breaker, pool, queue, latency of answered calls, 429s, money and the outcomes of the last
//! minute. The Overview and the Resilience screen show it.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::console::context::Context;
use crate::console::format::{compact, secs};
use crate::console::theme::{Mark, Role, Theme};
use crate::console::widgets::bars::bar;
use crate::console::widgets::list::ListState;
use crate::console::widgets::table::{self, Cell, Column, SortKey};
use crate::engine::protocol::provider_row::{KeyState, ProviderRow};
use crate::resilience::breaker::BreakerState;
use crate::telemetry::provider_meter::RibbonCell;

/// Columns of the table; the ribbon takes what is left.
pub const COLUMNS: [Column; 13] = [
    Column::text("", 1, 0, 0),
    Column::text("PROVIDER", 12, 1, 0),
    Column::text("BREAKER", 18, 0, 0),
    Column::figure("POOL", 7, 2),
    Column::text("USE", 8, 1, 7),
    Column::figure("QUEUE", 5, 1),
    Column::figure("OLDEST", 6, 4),
    Column::figure("P50", 7, 6),
    Column::figure("P99", 7, 3),
    Column::figure("429", 5, 5),
    Column::figure("TOK/MIN", 7, 9),
    Column::figure("$/H", 7, 8),
    Column::text("LAST 60 S", 10, 4, 1),
];

/// The mark of a provider, and its state in words.
pub fn state_of(row: &ProviderRow, now_ms: i64) -> (Mark, String) {
    let left = |at: Option<i64>| {
        let ms = at.map_or(0, |at| (at - now_ms).max(0));
        secs((ms + 999) / 1_000 * 1_000)
    };
    match (row.key, row.breaker) {
        (KeyState::Missing, _) => (Mark::Off, "no key".into()),
        (KeyState::Refused, _) => (Mark::Failed, "keys refused".into()),
        (_, BreakerState::Open) => match row.next_attempt_ms {
            Some(at) if at > now_ms => (Mark::Failed, format!("open {}", left(Some(at)))),
            _ => (Mark::Failed, "open, next call".into()),
        },
        (_, BreakerState::HalfOpen) => (
            Mark::Half,
            format!("half-open {}/{}", row.trials, row.trials_limit),
        ),
        (_, BreakerState::Isolated) => (Mark::Off, "isolated".into()),
        (_, BreakerState::Disabled) => (Mark::Over, "breaker off".into()),
        (_, BreakerState::Closed) if !row.ready => (Mark::Off, "not in use".into()),
        (_, BreakerState::Closed) if row.models_refused == 1 => (Mark::Half, "1 model open".into()),
        (_, BreakerState::Closed) if row.models_refused > 1 => {
            (Mark::Half, format!("{} models open", row.models_refused))
        }
        (_, BreakerState::Closed) => (
            Mark::Live,
            format!("closed {}/{}", row.failures, row.failures_limit),
        ),
    }
}

/// The last 60 seconds, newest at the right, in so many cells; a second in which nothing happened is a gap.
fn ribbon(theme: Theme, row: &ProviderRow, width: usize) -> String {
    let (ok, limited, failed, refused) = if theme.ascii {
        ("_", "%", "x", ".")
    } else {
        ("▁", "▒", "█", "·")
    };
    let newest = row.figures.ribbon.cells().rev().take(width);
    let mut cells: Vec<&str> = newest
        .map(|cell| match cell {
            RibbonCell::None => " ",
            RibbonCell::Ok => ok,
            RibbonCell::RateLimited => limited,
            RibbonCell::Failed => failed,
            RibbonCell::Refused => refused,
        })
        .collect();
    cells.resize(width, " ");
    cells.reverse();
    cells.concat()
}

/// Milliseconds, or a dash where there are too few samples.
fn time(cx: &Context, ms: Option<u32>) -> String {
    ms.map_or_else(|| cx.theme.signs().1.to_owned(), |ms| secs(i64::from(ms)))
}

/// A provider's cells.
pub fn cells(cx: &Context, row: &ProviderRow, ribbon_width: usize) -> Vec<Cell> {
    let now_ms = cx.clock_ms();
    let (mark, state) = state_of(row, now_ms);
    let (glyph, role) = cx.theme.mark(mark);
    // Good is only what a model answered lately; not the simulator's word, nor a closed breaker alone.
    let window = &row.figures.window;
    let role = match role {
        Role::Good if window.sum() > 0 && window.answers() == 0 => Role::Warn,
        Role::Good if window.sum() == 0 || cx.snapshot().mode.simulated => Role::Dim,
        role => role,
    };
    let dash = || cx.theme.signs().1.to_owned();
    let idle = !row.is_set_up() && row.figures.window.sum() == 0;
    let plain = if idle { Role::Dim } else { Role::Text };
    let state_role = if role == Role::Good { plain } else { role };
    let name = crate::text::clean_line(&row.name, 40);
    if idle {
        let how = match row.variables.first() {
            Some(variable) => format!("set {variable}"),
            None => row.reason.clone().unwrap_or_default(),
        };
        let mut out = vec![
            Cell::new(glyph, role),
            Cell::new(name, plain),
            Cell::new(state, plain),
        ];
        out.extend((3..COLUMNS.len() - 1).map(|_| Cell::dim(dash())));
        out.push(Cell::dim(crate::text::clean_line(&how, 60)));
        return out;
    }
    let busy = if row.queued > 0 || row.allowed < row.limit {
        Role::Warn
    } else {
        plain
    };
    let pool = if row.allowed < row.limit {
        format!("{}/{}↓", row.in_use, row.allowed)
    } else {
        format!("{}/{}", row.in_use, row.allowed)
    };
    let pool = if cx.theme.ascii {
        pool.replace('↓', "v")
    } else {
        pool
    };
    let share = f64::from(row.in_use) / f64::from(row.allowed.max(1));
    let oldest = row.oldest_ms.map_or_else(dash, |at| secs(now_ms - at));
    let limited = row.figures.window.rate_limited_share();
    let limited_role = if limited.is_some_and(|s| s > 0.0) {
        Role::Warn
    } else {
        plain
    };
    let limited = limited.map_or_else(dash, |share| format!("{:.0} %", share * 100.0));
    let money = row.figures.micro_usd_per_hour as f64 / 1e6;
    // Nobody pays what the simulator costs.
    let simulated = if cx.snapshot().mode.simulated {
        "~"
    } else {
        ""
    };
    let money = format!("{simulated}{money:.2}");
    vec![
        Cell::new(glyph, role),
        Cell::new(name, plain),
        Cell::new(state, state_role),
        Cell::new(pool, busy),
        Cell::new(bar(cx.theme, share, 8), busy),
        Cell::new(compact(row.queued.into()), busy),
        Cell::new(oldest, busy),
        Cell::new(time(cx, row.figures.p50_ms), plain),
        Cell::new(time(cx, row.figures.p99_ms), plain),
        Cell::new(limited, limited_role),
        Cell::new(compact(row.figures.tokens_per_minute), plain),
        Cell::new(money, plain),
        Cell::new(
            ribbon(cx.theme, row, ribbon_width),
            if row.is_down() { Role::Bad } else { Role::Dim },
        ),
    ]
}

/// How many cells the ribbon has in a table this wide.
fn ribbon_width(width: u16) -> usize {
    let columns = table::layout(&COLUMNS, width);
    let last = columns.iter().find(|(i, _)| *i == COLUMNS.len() - 1);
    last.map_or(0, |(_, wide)| usize::from(*wide).min(60))
}

/// What a provider is sorted by in a column.
pub fn sort_key(row: &ProviderRow, column: usize) -> SortKey {
    let figure = |n: Option<u32>| SortKey::figure(n.map(f64::from));
    match COLUMNS[column].head {
        "PROVIDER" => SortKey::text(&row.name),
        "POOL" => SortKey::count(row.in_use.into()),
        "USE" => SortKey::figure(Some(f64::from(row.in_use) / f64::from(row.allowed.max(1)))),
        "QUEUE" => SortKey::count(row.queued.into()),
        // The oldest is the one that began to wait first.
        "OLDEST" => SortKey::figure(row.oldest_ms.map(|at| -(at as f64))),
        "P50" => figure(row.figures.p50_ms),
        "P99" => figure(row.figures.p99_ms),
        "429" => SortKey::figure(row.figures.window.rate_limited_share()),
        "TOK/MIN" => SortKey::count(row.figures.tokens_per_minute),
        "$/H" => SortKey::count(row.figures.micro_usd_per_hour),
        "" | "BREAKER" => SortKey::count(weight(row)),
        // Outcomes: by what was not answered.
        _ => SortKey::count(row.figures.window.sum() - row.figures.window.answers()),
    }
}

/// How much a state needs a look; less comes first.
fn weight(row: &ProviderRow) -> u64 {
    match (row.key, row.breaker) {
        (KeyState::Refused, _) | (_, BreakerState::Open) => 0,
        (_, BreakerState::HalfOpen) => 1,
        (_, BreakerState::Isolated) => 2,
        (_, BreakerState::Disabled) => 3,
        (_, BreakerState::Closed) if row.ready => 4,
        _ => 5,
    }
}

/// Draws the table of all providers.
pub fn draw(
    cx: &Context,
    list: &ListState,
    selected: Option<usize>,
    area: Rect,
    buffer: &mut Buffer,
) {
    let rows: Vec<&ProviderRow> = cx.snapshot().provider_rows.iter().collect();
    draw_rows(cx, &rows, list, selected, area, buffer);
}

/// Draws the table of these providers.
pub fn draw_rows(
    cx: &Context,
    rows: &[&ProviderRow],
    list: &ListState,
    selected: Option<usize>,
    area: Rect,
    buffer: &mut Buffer,
) {
    let ribbon = ribbon_width(area.width);
    let source = table::Source {
        total: rows.len(),
        id: &|n| &rows[n].name,
        cells: &|n| cells(cx, rows[n], ribbon),
    };
    table::draw(cx, &COLUMNS, list, selected, &source, area, buffer);
}
