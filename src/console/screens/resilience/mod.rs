//! Breakers, pools, rate limits, retries: a table each. Keys act on the selected row, which is of one of the first
//! three tables; that table is the focused one.

mod breaker_line;
mod limits;
mod panels;
mod pools;
mod transitions;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use self::limits::LimitRow;
use self::panels::{Table, places};
use self::pools::PoolRow;
use super::provider_table;
use crate::console::action::{Action, Scope};
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::route::Route;
use crate::console::theme::Role;
use crate::console::widgets::focus::mark as mark_focus;
use crate::console::widgets::list::{ListState, Sort};
use crate::console::widgets::panel::{inside, panel_with_foot};
use crate::console::widgets::table::{self, Column, Hit, Source, one_line, with_head};
use crate::console::widgets::text::{line, put, row};
use crate::engine::protocol::provider_row::ProviderRow;
use crate::engine::protocol::snapshot::Snapshot;
use crate::resilience::breaker::{BreakerState, BreakerStats, Transition};

/// The screen.
#[derive(Debug, Clone, Default)]
pub struct Resilience {
    /// The selection, over the rows of the first three tables.
    list: ListState,
    /// The order of each of them.
    sorts: [Option<Sort>; 3],
    /// The focused table alone.
    zoomed: bool,
    /// What was last selected because it was the worst.
    led_to: Option<String>,
}

/// All rows in their order.
struct Rows<'a> {
    providers: Vec<&'a ProviderRow>,
    pools: Vec<PoolRow<'a>>,
    limits: Vec<LimitRow<'a>>,
    transitions: Vec<(&'a str, &'a Transition)>,
}

impl Rows<'_> {
    fn total(&self, table: Table) -> usize {
        match table {
            Table::Providers => self.providers.len(),
            Table::Pools => self.pools.len(),
            Table::Limits => self.limits.len(),
            Table::Retries => 1,
            Table::Transitions => self.transitions.len(),
        }
    }

    /// Ids of the rows that can be selected.
    fn ids(&self) -> Vec<String> {
        let providers = self.providers.iter().map(|r| provider_id(&r.name));
        let pools = self.pools.iter().map(|r| pool_id(&r.pool.name));
        let limits = self.limits.iter().map(|r| limit_id(&r.limit.name));
        providers.chain(pools).chain(limits).collect()
    }

    /// Where the rows of a table begin among those that can be selected.
    fn first(&self, table: Table) -> usize {
        match table {
            Table::Providers => 0,
            Table::Pools => self.providers.len(),
            _ => self.providers.len() + self.pools.len(),
        }
    }

    /// The table of a row, and its place in it.
    fn place(&self, at: usize) -> (Table, usize) {
        let of = Table::SELECTABLE.into_iter().rev();
        let mut of = of.filter(|t| self.total(*t) > 0 && self.first(*t) <= at);
        let table = of.next().unwrap_or(Table::Providers);
        (table, at - self.first(table))
    }

    /// Lines with which each table is whole.
    fn needs(&self) -> [u16; 5] {
        Table::ALL.map(|t| {
            let detail = u16::from(t == Table::Providers);
            self.total(t).clamp(1, 500) as u16 + 3 + detail
        })
    }
}

fn provider_id(name: &str) -> String {
    format!("provider {name}")
}

fn pool_id(name: &str) -> String {
    format!("pool {name}")
}

fn limit_id(name: &str) -> String {
    format!("limit {name}")
}

/// What is wrong: a provider that refuses, else a pool where somebody waits, else a provider that wants quiet, else
/// what fails, else what is in use.
fn worst(s: &Snapshot) -> Option<String> {
    let provider = |test: &dyn Fn(&ProviderRow) -> bool| {
        let row = s.provider_rows.iter().find(|r| test(r));
        row.map(|r| provider_id(&r.name))
    };
    let tripped = |b: &BreakerStats| matches!(b.state, BreakerState::Open | BreakerState::HalfOpen);
    let breaker = |name: &str| s.breakers.iter().find(|b| b.name == name);
    let pool = || s.pools.iter().find(|p| p.queued > 0);
    let limit = || {
        s.limiters
            .iter()
            .find(|l| l.paused_s.is_some() || l.waiting > 0)
    };
    provider(&|r| breaker(&r.name).is_some_and(tripped))
        .or_else(|| {
            provider(&|r| r.is_set_up() && r.is_down() && r.breaker != BreakerState::Isolated)
        })
        .or_else(|| pool().map(|p| pool_id(&p.name)))
        .or_else(|| limit().map(|l| limit_id(&l.name)))
        .or_else(|| provider(&|r| r.window_failures > 0))
        .or_else(|| provider(&|r| r.ready))
}

impl Resilience {
    fn rows<'a>(&self, cx: &'a Context) -> Rows<'a> {
        let s = cx.snapshot();
        let mut rows = Rows {
            providers: s.provider_rows.iter().collect(),
            pools: PoolRow::all(s),
            limits: LimitRow::all(s),
            transitions: transitions::all(s),
        };
        let [providers, pools, limits] = self.sorts;
        table::sort_rows(&mut rows.providers, providers, |r, column| {
            provider_table::sort_key(r, column)
        });
        table::sort_rows(&mut rows.pools, pools, pools::sort_key);
        table::sort_rows(&mut rows.limits, limits, limits::sort_key);
        rows
    }

    /// The selected row: its table, and its place in it.
    fn selected(&self, rows: &Rows<'_>) -> (Table, usize) {
        let ids = rows.ids();
        rows.place(self.list.selected(ids.len(), |n| &ids[n]))
    }

    fn select(&mut self, rows: &Rows<'_>, at: usize) {
        if let Some(id) = rows.ids().get(at) {
            self.list.select(at, id);
        }
    }

    /// The focus goes to the next table that has rows, or to the one before.
    fn move_focus(&mut self, rows: &Rows<'_>, forward: bool) {
        let (now, _) = self.selected(rows);
        let all = Table::SELECTABLE.len();
        let step = |n: usize| if forward { n } else { all - n };
        let next = (1..=all).map(|n| Table::SELECTABLE[(now as usize + step(n)) % all]);
        let mut next = next.filter(|t| rows.total(*t) > 0);
        if let Some(next) = next.next() {
            self.select(rows, rows.first(next));
        }
    }

    /// How a table is drawn: no mark, and the order that was chosen for it.
    fn list_of(&self, table: Table) -> ListState {
        ListState::sorted(self.sorts.get(table as usize).copied().flatten())
    }

    /// The calls of what is selected.
    fn calls(&self, rows: &Rows<'_>) -> Vec<Intent> {
        let (table, at) = self.selected(rows);
        let provider = match table {
            Table::Providers => rows.providers.get(at).map(|r| r.name.clone()),
            Table::Limits => rows.limits.get(at).map(|r| r.limit.name.clone()),
            // Several providers may share a pool: all calls then.
            _ => match rows.pools.get(at) {
                Some(pool) => pool.provider().map(str::to_owned),
                None => return Vec::new(),
            },
        };
        if rows.total(table) == 0 {
            return Vec::new();
        }
        vec![Intent::Navigate(Route::Calls { provider })]
    }
}

fn columns(table: Table) -> &'static [Column] {
    match table {
        Table::Providers => &provider_table::COLUMNS,
        Table::Pools => &pools::COLUMNS,
        Table::Limits => &limits::COLUMNS,
        Table::Retries => &limits::RETRIES,
        Table::Transitions => &transitions::COLUMNS,
    }
}

impl Component for Resilience {
    fn title(&self, _cx: &Context) -> String {
        "Resilience".into()
    }

    /// Leads to what is wrong, once: who comes back finds the row that was left.
    fn on_show(&mut self, cx: &Context) -> Vec<Intent> {
        let worst = worst(cx.snapshot());
        if worst.is_some() && worst != self.led_to {
            let ids = self.rows(cx).ids();
            let at = ids.iter().position(|id| Some(id) == worst.as_ref());
            if let Some(at) = at {
                self.list.select(at, &ids[at]);
            }
            self.led_to = worst;
        }
        Vec::new()
    }

    fn on_action(&mut self, action: Action, cx: &Context) -> Option<Vec<Intent>> {
        let rows = self.rows(cx);
        let (focus, _) = self.selected(&rows);
        match action {
            Action::Open => return Some(self.calls(&rows)),
            Action::FocusNext | Action::FocusPrevious => {
                self.move_focus(&rows, action == Action::FocusNext);
            }
            Action::Zoom => self.zoomed = !self.zoomed,
            Action::Back if self.zoomed => self.zoomed = false,
            Action::SortNext | Action::SortPrevious | Action::SortReverse => {
                let mut list = self.list_of(focus);
                list.sorts(action, columns(focus).len());
                self.sorts[focus as usize] = list.sort;
            }
            _ => {
                let ids = rows.ids();
                let moves = self.list.travel(action, ids.len(), |n| &ids[n]);
                return moves.then(Vec::new);
            }
        }
        Some(Vec::new())
    }

    /// On a row it selects, and opens what was selected already; on a head it sorts; elsewhere in a table it
    /// takes the focus there.
    fn on_click(&mut self, at: (u16, u16), area: Rect, cx: &Context) -> Vec<Intent> {
        let rows = self.rows(cx);
        let (focus, selected) = self.selected(&rows);
        let all = places(rows.needs(), focus, self.zoomed, area);
        let of = Table::SELECTABLE.into_iter();
        let mut of = of.filter(|t| all[*t as usize].contains(at.into()));
        let Some(table) = of.next() else {
            return Vec::new();
        };
        let total = rows.total(table);
        let own = (table == focus).then_some(selected);
        let place = all[table as usize];
        match table::hit(columns(table), at, own, total, table_area(table, place)) {
            Some(Hit::Head(column)) => {
                let mut list = self.list_of(table);
                list.sort_by(column);
                self.sorts[table as usize] = list.sort;
            }
            Some(Hit::Row(n)) if own == Some(n) => return self.calls(&rows),
            Some(Hit::Row(n)) => self.select(&rows, rows.first(table) + n),
            None if table != focus => self.select(&rows, rows.first(table)),
            None => {}
        }
        Vec::new()
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let rows = self.rows(cx);
        let (focus, _) = self.selected(&rows);
        let all = places(rows.needs(), focus, self.zoomed, area);
        for (table, place) in Table::ALL.into_iter().zip(all) {
            match place.height {
                0 => {}
                1..=3 => draw_line(cx, table, rows.total(table), place, buffer),
                _ => self.draw_table(cx, table, &rows, place, buffer),
            }
            if table == focus && !self.zoomed && place.height > 3 {
                mark_focus(cx, place, buffer);
            }
        }
    }

    fn scope(&self) -> Scope {
        Scope::Resilience
    }

    fn panels(&self, _cx: &Context) -> usize {
        Table::SELECTABLE.len()
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![
            Action::Open,
            Action::Why,
            Action::ResetBreaker,
            Action::IsolateBreaker,
            Action::ResizePool,
            Action::Zoom,
            Action::SortNext,
        ]
    }

    fn subject(&self, cx: &Context) -> Subject {
        let rows = self.rows(cx);
        let (table, at) = self.selected(&rows);
        let subject = match table {
            Table::Providers => rows
                .providers
                .get(at)
                .map(|r| Subject::Provider(r.name.clone())),
            Table::Pools => rows
                .pools
                .get(at)
                .map(|r| Subject::Pool(r.pool.name.clone())),
            _ => rows
                .limits
                .get(at)
                .map(|r| Subject::Provider(r.limit.name.clone())),
        };
        subject.unwrap_or_default()
    }

    /// The focused table.
    fn table(&self, cx: &Context) -> Vec<Vec<String>> {
        let rows = self.rows(cx);
        match self.selected(&rows).0 {
            Table::Pools => pools::export(&rows.pools),
            Table::Limits => limits::export(&rows.limits),
            _ => export_breakers(&rows, cx.snapshot()),
        }
    }

    fn copied(&self, cx: &Context) -> Option<String> {
        let (_, at) = self.selected(&self.rows(cx));
        one_line(self.table(cx).get(at + 1)?)
    }
}

impl Resilience {
    fn draw_table(
        &self,
        cx: &Context,
        of: Table,
        rows: &Rows<'_>,
        place: Rect,
        buffer: &mut Buffer,
    ) {
        let (focus, at) = self.selected(rows);
        let selected = (of == focus).then_some(at);
        let inner = table_area(of, place);
        let foot = table::left_out(rows.total(of), inner);
        let note = note(cx, of);
        panel_with_foot(cx.theme, of.title(), &note, &foot, place, buffer);
        if rows.total(of) == 0 {
            let words = match of {
                Table::Providers => "this engine is older and does not say how its providers are",
                Table::Transitions => "none since start",
                _ => "none",
            };
            put(buffer, row(inner, 0), words, cx.theme.style(Role::Dim));
            return;
        }
        let list = self.list_of(of);
        let id = |n: usize| match of {
            Table::Pools => rows.pools[n].pool.name.as_str(),
            Table::Limits => rows.limits[n].limit.name.as_str(),
            _ => "",
        };
        let cells = |n: usize| match of {
            Table::Pools => pools::cells(cx, &rows.pools[n], inner.width),
            Table::Limits => limits::cells(cx, &rows.limits[n]),
            Table::Transitions => transitions::cells(cx, rows.transitions[n]),
            _ => limits::retry_cells(cx),
        };
        if of == Table::Providers {
            provider_table::draw_rows(cx, &rows.providers, &list, selected, inner, buffer);
            if let Some(name) = self.provider_of(rows) {
                let y = inner.bottom();
                let last = Rect {
                    y,
                    height: u16::from(y + 1 < place.bottom()),
                    ..inner
                };
                breaker_line::draw(cx, name, last, buffer);
            }
            return;
        }
        let source = Source {
            total: rows.total(of),
            id: &id,
            cells: &cells,
        };
        table::draw(cx, columns(of), &list, selected, &source, inner, buffer);
    }

    /// The provider that the selected row is about.
    fn provider_of<'a>(&self, rows: &'a Rows<'_>) -> Option<&'a str> {
        let (table, at) = self.selected(rows);
        match table {
            Table::Providers => rows.providers.get(at).map(|r| r.name.as_str()),
            Table::Pools => rows.pools.get(at)?.provider(),
            _ => rows.limits.get(at).map(|r| r.limit.name.as_str()),
        }
    }
}

/// The inside of a table's panel; of the providers' without the line below them.
fn table_area(table: Table, place: Rect) -> Rect {
    let inner = inside(place);
    let detail = u16::from(table == Table::Providers && inner.height > 3);
    Rect {
        height: inner.height - detail,
        ..inner
    }
}

fn note(cx: &Context, table: Table) -> String {
    match table {
        Table::Providers => cx.keys_of(&[
            (Action::Open, "calls"),
            (Action::ResetBreaker, "reset"),
            (Action::CloseBreaker, "close"),
            (Action::IsolateBreaker, "isolate"),
        ]),
        Table::Pools => cx.keys_of(&[(Action::ResizePool, "resize")]),
        Table::Limits | Table::Retries => String::new(),
        Table::Transitions => "newest first".into(),
    }
}

/// A table without room: its name, and how many rows it has.
fn draw_line(cx: &Context, table: Table, total: usize, place: Rect, buffer: &mut Buffer) {
    let parts = vec![
        Span::styled(format!("  {} ", table.title()), cx.theme.style(Role::Title)),
        Span::styled(format!("+{total}"), cx.theme.style(Role::Dim)),
    ];
    line(buffer, row(place, 0), parts);
}

/// Breakers in the order of the providers, for export.
fn export_breakers(rows: &Rows<'_>, s: &Snapshot) -> Vec<Vec<String>> {
    let head = [
        "breaker",
        "state",
        "sinceMs",
        "successes",
        "failures",
        "rejections",
        "trips",
        "lastError",
        "poolQueued",
        "p50Ms",
        "p99Ms",
        "rateLimited5Min",
    ];
    let known = |n: Option<u32>| n.map_or_else(String::new, |n| n.to_string());
    let breaker = |name: &str| s.breakers.iter().find(|b| b.name == name);
    let rows = rows.providers.iter().map(|r| {
        let b = breaker(&r.name);
        let of = |f: &dyn Fn(&BreakerStats) -> String| b.map_or_else(String::new, f);
        vec![
            r.name.clone(),
            r.breaker.as_str().to_owned(),
            of(&|b| b.since_ms.to_string()),
            of(&|b| b.successes.to_string()),
            of(&|b| b.failures.to_string()),
            of(&|b| b.rejections.to_string()),
            of(&|b| b.trips.to_string()),
            of(&|b| b.last_error.clone().unwrap_or_default()),
            r.queued.to_string(),
            known(r.figures.p50_ms),
            known(r.figures.p99_ms),
            r.figures.window.rate_limited.to_string(),
        ]
    });
    with_head(&head, rows)
}
