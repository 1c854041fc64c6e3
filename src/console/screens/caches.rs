//! The caches: how full, how old, how often they help. All counts are since start.
//!
//! Why a column says who reads: `responses` answers questions to models, so its hit rate is calls and money saved.
//! The others hold the workspace's files, and are read by consoles and commands too: their rate says little of work.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use crate::cache::CacheStats;
use crate::console::action::Action;
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::format::{compact, count};
use crate::console::route::Route;
use crate::console::theme::Role;
use crate::console::widgets::list::ListState;
use crate::console::widgets::panel::{inside, panel_with_foot};
use crate::console::widgets::table::{
    self, Cell, Column, Hit, SortKey, Source, one_line, with_head,
};
use crate::console::widgets::text::{facts, put, row};
use crate::filter::{Row, lowered};
use crate::telemetry::latency::ENOUGH;
use crate::text::clean_line;

/// The cache of models' answers.
const RESPONSES: &str = "responses";

/// Columns of the table.
const COLUMNS: [Column; 17] = [
    Column::text("CACHE", 10, 1, 0),
    Column::figure("HIT RATE, %", 11, 0),
    Column::text("READ BY", 10, 1, 3),
    Column::figure("HITS", 6, 0),
    Column::figure("MISSES", 6, 0),
    Column::figure("SHARED", 6, 4),
    Column::figure("STALE", 6, 5),
    Column::text("STATE", 10, 1, 0),
    Column::figure("LOADED", 6, 6),
    Column::figure("TTL, s", 7, 7),
    Column::figure("ENTRIES", 7, 1),
    Column::figure("kB", 7, 2),
    Column::figure("OF MB", 6, 9),
    Column::figure("LOADS", 6, 10),
    Column::figure("LOAD, ms", 8, 8),
    Column::figure("ERRORS", 6, 2),
    Column::figure("EVICTED", 7, 11),
];

/// The screen.
#[derive(Debug, Clone, Default)]
pub struct Caches {
    list: ListState,
    /// What was last selected because it needed a look.
    led_to: Option<String>,
}

impl Row for CacheStats {
    fn field(&self, key: &str) -> Vec<String> {
        match key {
            "cache" | "name" => vec![lowered(&self.name)],
            "state" => vec![state(self).to_owned()],
            "error" => self.last_error.iter().map(|e| lowered(e)).collect(),
            _ => Vec::new(),
        }
    }

    fn number(&self, key: &str) -> Option<u64> {
        match key {
            "entries" => Some(self.entries),
            "hits" => Some(self.hits),
            "misses" => Some(self.misses),
            "shared" => Some(self.stampede_prevented),
            "stale" => Some(self.stale_served),
            "errors" => Some(self.errors),
            "evicted" => Some(self.evictions),
            "load" => self.last_load_ms,
            _ => None,
        }
    }

    fn shows(&self, word: &str) -> bool {
        let mut fields = ["cache", "state", "error"].iter();
        fields.any(|key| self.field(key).iter().any(|f| f.contains(word)))
    }
}

/// How fresh it is, in a word.
fn state(c: &CacheStats) -> &'static str {
    match (c.loaded_ms, c.valid) {
        _ if c.in_flight > 0 => "loading",
        _ if c.last_error.is_some() => "failed",
        (None, _) => "empty",
        (_, true) => "fresh",
        (_, false) => "past ttl",
    }
}

/// Share of reads answered without a load, percent; `None` below enough of them.
fn hit_rate(c: &CacheStats) -> Option<f64> {
    let enough = c.served() + c.misses >= ENOUGH;
    c.hit_rate().filter(|_| enough).map(|share| share * 100.0)
}

fn readers(c: &CacheStats) -> &'static str {
    if c.name == RESPONSES {
        "calls"
    } else {
        "all faces"
    }
}

fn cells(cx: &Context, c: &CacheStats) -> Vec<Cell> {
    let dash = cx.theme.signs().1;
    let known = |text: Option<String>| text.map_or(Cell::dim(dash), Cell::plain);
    let of_calls = if c.name == RESPONSES {
        Role::Text
    } else {
        Role::Dim
    };
    let rate = hit_rate(c).map_or(Cell::dim(dash), |rate| {
        Cell::new(format!("{rate:.1}"), of_calls)
    });
    let state = state(c);
    let bad = |n: u64| Cell::new(compact(n), if n > 0 { Role::Warn } else { Role::Dim });
    vec![
        Cell::plain(clean_line(&c.name, 40)),
        rate,
        Cell::dim(readers(c)),
        Cell::new(compact(c.hits), of_calls),
        Cell::new(compact(c.misses), of_calls),
        Cell::new(compact(c.stampede_prevented), of_calls),
        bad(c.stale_served),
        Cell::new(
            state,
            match state {
                "failed" => Role::Bad,
                "past ttl" => Role::Warn,
                _ => Role::Text,
            },
        ),
        known(c.loaded_ms.map(|ms| cx.zone.clock(ms))),
        Cell::dim(count(c.ttl_ms / 1_000)),
        Cell::plain(compact(c.entries)),
        Cell::plain(count(c.bytes.div_ceil(1_000))),
        Cell::dim(count(c.max_bytes / 1_000_000)),
        Cell::plain(compact(c.loads)),
        known(c.last_load_ms.map(count)),
        bad(c.errors),
        Cell::dim(compact(c.evictions)),
    ]
}

fn sort_key(c: &CacheStats, column: usize) -> SortKey {
    let figure = |n: Option<u64>| SortKey::figure(n.map(|n| n as f64));
    match COLUMNS[column].head {
        "HIT RATE, %" => SortKey::figure(hit_rate(c)),
        "READ BY" => SortKey::text(readers(c)),
        "HITS" => SortKey::count(c.hits),
        "MISSES" => SortKey::count(c.misses),
        "SHARED" => SortKey::count(c.stampede_prevented),
        "STALE" => SortKey::count(c.stale_served),
        "STATE" => SortKey::text(state(c)),
        "LOADED" => SortKey::figure(c.loaded_ms.map(|ms| ms as f64)),
        "TTL, s" => SortKey::count(c.ttl_ms),
        "ENTRIES" => SortKey::count(c.entries),
        "kB" => SortKey::count(c.bytes),
        "OF MB" => SortKey::count(c.max_bytes),
        "LOADS" => SortKey::count(c.loads),
        "LOAD, ms" => figure(c.last_load_ms),
        "ERRORS" => SortKey::count(c.errors),
        "EVICTED" => SortKey::count(c.evictions),
        _ => SortKey::text(&c.name),
    }
}

impl Caches {
    /// Caches that pass the filter, in the chosen order.
    fn shown<'a>(&self, cx: &'a Context) -> Vec<&'a CacheStats> {
        let filter = self.list.terms();
        let caches = cx.snapshot().caches.iter();
        let mut rows: Vec<&CacheStats> = caches.filter(|c| filter.passes(*c)).collect();
        table::sort_rows(&mut rows, self.list.sort, |c, column| sort_key(c, column));
        rows
    }

    fn selected(&self, rows: &[&CacheStats]) -> usize {
        self.list.selected(rows.len(), |n| &rows[n].name)
    }

    /// What is behind the selected one: the calls that brought its answers, or what the log says of its loads.
    fn behind(&self, cx: &Context) -> Vec<Intent> {
        let rows = self.shown(cx);
        let route = rows.get(self.selected(&rows)).map(|c| match &*c.name {
            RESPONSES => Route::Calls { provider: None },
            name => Route::Logs {
                run: None,
                filter: format!("cache={name}"),
                agent: None,
            },
        });
        route.map(Intent::Navigate).into_iter().collect()
    }
}

impl Component for Caches {
    fn title(&self, _cx: &Context) -> String {
        "Caches".into()
    }

    /// The cache that fails is selected, else the one whose last load took longest; who comes back finds the row
    /// that was left.
    fn on_show(&mut self, cx: &Context) -> Vec<Intent> {
        let caches = cx.live.caches.iter().enumerate();
        let worst = caches.max_by_key(|(n, c)| {
            let slow = c.last_load_ms.unwrap_or(0);
            (c.last_error.is_some(), slow, std::cmp::Reverse(*n))
        });
        if let Some((at, cache)) = worst
            && self.led_to.as_ref() != Some(&cache.name)
        {
            self.list.select(at, &cache.name);
            self.led_to = Some(cache.name.clone());
        }
        Vec::new()
    }

    fn on_action(&mut self, action: Action, cx: &Context) -> Option<Vec<Intent>> {
        match action {
            Action::Open => return Some(self.behind(cx)),
            _ if self.list.sorts(action, COLUMNS.len()) => return Some(Vec::new()),
            _ => {}
        }
        let rows = self.shown(cx);
        let moves = self.list.travel(action, rows.len(), |n| &rows[n].name);
        moves.then(Vec::new)
    }

    fn filter(&self) -> Option<&str> {
        Some(&self.list.filter)
    }

    fn set_filter(&mut self, text: String, _done: bool, _cx: &Context) -> Vec<Intent> {
        self.list.filter = text;
        Vec::new()
    }

    fn on_click(&mut self, at: (u16, u16), area: Rect, cx: &Context) -> Vec<Intent> {
        let rows = self.shown(cx);
        let selected = self.selected(&rows);
        match table::hit(&COLUMNS, at, Some(selected), rows.len(), table_area(area)) {
            Some(Hit::Head(column)) => self.list.sort_by(column),
            Some(Hit::Row(n)) if n == selected => return self.behind(cx),
            Some(Hit::Row(n)) => self.list.select(n, &rows[n].name),
            None => {}
        }
        Vec::new()
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let rows = self.shown(cx);
        let note = cx.keys_of(&[
            (Action::Open, "what is behind"),
            (Action::ClearCache, "clear"),
        ]);
        let note = format!("{}{note}", self.list.filter_note());
        let inner = table_area(area);
        let foot = table::left_out(rows.len(), inner);
        panel_with_foot(cx.theme, "Caches, since start", &note, &foot, area, buffer);
        if rows.is_empty() {
            let words = self.list.unknown_field(&cx.snapshot().caches, "cache");
            let words =
                words.unwrap_or_else(|| "No cache passes the filter. Esc clears it.".into());
            put(buffer, row(inner, 0), &words, cx.theme.style(Role::Dim));
            return;
        }
        let selected = self.selected(&rows);
        let source = Source {
            total: rows.len(),
            id: &|n| &rows[n].name,
            cells: &|n| cells(cx, rows[n]),
        };
        table::draw(
            cx,
            &COLUMNS,
            &self.list,
            Some(selected),
            &source,
            inner,
            buffer,
        );
        let used = (rows.len() as u16 + 2).min(inner.height);
        let below = Rect {
            y: inner.y + used,
            height: inside(area).bottom().saturating_sub(inner.y + used),
            ..inner
        };
        draw_detail(cx, rows[selected], below, buffer);
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![
            Action::Open,
            Action::Why,
            Action::ClearCache,
            Action::Filter,
            Action::SortNext,
        ]
    }

    fn subject(&self, cx: &Context) -> Subject {
        let rows = self.shown(cx);
        let cache = rows.get(self.selected(&rows));
        cache.map_or(Subject::None, |c| Subject::Cache(c.name.clone()))
    }

    fn table(&self, cx: &Context) -> Vec<Vec<String>> {
        let head = [
            "cache",
            "entries",
            "hits",
            "misses",
            "shared",
            "stale",
            "loads",
            "errors",
            "evictions",
        ];
        let rows = self.shown(cx);
        let rows = rows.iter().map(|c| {
            let counts = [
                c.entries,
                c.hits,
                c.misses,
                c.stampede_prevented,
                c.stale_served,
                c.loads,
                c.errors,
                c.evictions,
            ];
            std::iter::once(c.name.clone())
                .chain(counts.iter().map(u64::to_string))
                .collect()
        });
        with_head(&head, rows)
    }

    fn copied(&self, cx: &Context) -> Option<String> {
        let at = self.selected(&self.shown(cx));
        one_line(self.table(cx).get(at + 1)?)
    }
}

/// Where the table lies: the panel's inside without the lines that explain.
fn table_area(area: Rect) -> Rect {
    let inner = inside(area);
    Rect {
        height: inner.height.saturating_sub(4).max(2.min(inner.height)),
        ..inner
    }
}

/// What has no column, of the selected one, and what the heads mean.
fn draw_detail(cx: &Context, c: &CacheStats, area: Rect, buffer: &mut Buffer) {
    let dim = |text: String| Span::styled(text, cx.theme.style(Role::Dim));
    let name = clean_line(&c.name, 40);
    let mut parts = vec![Span::styled(
        format!("{name}: "),
        cx.theme.style(Role::Text),
    )];
    if let Some(error) = &c.last_error {
        let error = format!("last error {}  ", clean_line(error, 80));
        parts.push(Span::styled(error, cx.theme.style(Role::Bad)));
    }
    parts.push(dim(format!("{} loading now  ", c.in_flight)));
    parts.push(dim(format!("{} negative  ", count(c.negative_hits))));
    parts.push(dim(format!("{} stale on error  ", count(c.stale_on_error))));
    parts.push(dim(format!("{} refreshed  ", count(c.refreshes))));
    parts.push(dim(format!("{} abandoned  ", count(c.abandoned))));
    facts(buffer, row(area, 0), parts);
    let words = format!(
        "Hit rate: since start, {} below {ENOUGH} reads. Shared: joined a load under way, a stampede prevented.",
        cx.theme.signs().1
    );
    let style = cx.theme.style(Role::Dim);
    put(buffer, row(area, 1), &words, style);
    let words =
        "Read by all faces: also what consoles and commands looked up counts, not only work.";
    put(buffer, row(area, 2), words, style);
}
