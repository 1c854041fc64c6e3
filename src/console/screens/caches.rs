//! The caches: how old, how full, how often they help.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::console::action::Action;
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::format::{count, percent, seconds};
use crate::console::route::Route;
use crate::console::theme::Role;
use crate::console::widgets::list::ListState;
use crate::console::widgets::panel::panel;
use crate::console::widgets::table::{one_line, with_head};
use crate::console::widgets::text::{fit, put, row};

/// The screen.
#[derive(Debug, Clone, Default)]
pub struct Caches {
    list: ListState,
}

impl Caches {
    fn selected(&self, cx: &Context) -> usize {
        let caches = &cx.snapshot().caches;
        self.list.selected(caches.len(), |n| &caches[n].name)
    }
}

impl Component for Caches {
    fn title(&self, _cx: &Context) -> String {
        "Caches".into()
    }

    /// The cache that fails is selected, else the one whose last load took longest.
    fn on_show(&mut self, cx: &Context) -> Vec<Intent> {
        let caches = cx.live.caches.iter().enumerate();
        let worst = caches.max_by_key(|(n, c)| {
            let slow = c.last_load_ms.unwrap_or(0);
            (c.last_error.is_some(), slow, std::cmp::Reverse(*n))
        });
        if let Some((at, cache)) = worst {
            self.list.select(at, &cache.name);
        }
        Vec::new()
    }

    fn on_action(&mut self, action: Action, cx: &Context) -> Option<Vec<Intent>> {
        let caches = &cx.snapshot().caches;
        if action == Action::Open {
            // What is behind it: the calls that brought its answers, or what the log says of its loads.
            let name = caches.get(self.selected(cx)).map(|c| c.name.as_str());
            let route = name.map(|name| match name {
                "responses" => Route::Calls { provider: None },
                name => Route::Logs {
                    run: None,
                    filter: format!("cache={name}"),
                    agent: None,
                },
            });
            return Some(route.map(Intent::Navigate).into_iter().collect());
        }
        let moves = self.list.travel(action, caches.len(), |n| &caches[n].name);
        moves.then(Vec::new)
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        draw(cx, self.selected(cx), area, buffer);
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![Action::Open, Action::Why, Action::ClearCache]
    }

    fn subject(&self, cx: &Context) -> Subject {
        let cache = cx.snapshot().caches.get(self.selected(cx));
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
        let rows = cx.snapshot().caches.iter().map(|c| {
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
        one_line(self.table(cx).get(self.selected(cx) + 1)?)
    }
}

fn draw(cx: &Context, selected: usize, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let note = cx.keys_of(&[
        (Action::Open, "what is behind"),
        (Action::ClearCache, "clear"),
    ]);
    let inner = panel(theme, "Caches", &note, area, buffer);
    let dash = theme.signs().1;
    let head = format!(
        "{}{:>8}{:>7}{:>7}{:>7}{:>7}{:>7}{:>6}{:>6}{:>8}",
        fit(theme, "cache", 10),
        "entries",
        "loaded",
        "ttl",
        "hits",
        "misses",
        "shared",
        "stale",
        "loads",
        "rate"
    );
    put(buffer, row(inner, 0), &head, theme.style(Role::Dim));
    let mut n = 1;
    for (index, c) in cx.snapshot().caches.iter().enumerate() {
        let loaded = c
            .loaded_ms
            .map_or_else(|| dash.to_owned(), |ms| cx.zone.clock(ms));
        let gets = c.served() + c.misses;
        let enough = gets >= crate::telemetry::latency::ENOUGH;
        let rate = c
            .hit_rate()
            .filter(|_| enough)
            .map_or_else(|| dash.to_owned(), percent);
        let text = format!(
            "{}{:>8}{:>7}{:>7}{:>7}{:>7}{:>7}{:>6}{:>6}{:>8}",
            fit(theme, &c.name, 10),
            count(c.entries),
            loaded,
            seconds(c.ttl_ms),
            count(c.hits),
            count(c.misses),
            count(c.stampede_prevented),
            count(c.stale_served),
            count(c.loads),
            rate
        );
        put(buffer, row(inner, n), &text, theme.style(Role::Text));
        if index == selected {
            buffer.set_style(row(inner, n), theme.style(Role::Selected));
        }
        n += 1;
        let fresh = match (c.loaded_ms, c.valid) {
            (None, _) => "empty",
            (_, true) => "fresh",
            (_, false) => "past its time to live",
        };
        let last = c
            .last_load_ms
            .map_or_else(String::new, |ms| format!(", last load {ms} ms"));
        let error = c.last_error.as_ref().map_or_else(String::new, |e| {
            format!(", last error: {}", crate::text::clean_line(e, 80))
        });
        let detail = format!(
            "  {fresh}, {} kB of {} MB, {} loading now, {} errors, {} stale on error, {} negative, {} evicted{last}{error}",
            c.bytes.div_ceil(1_000),
            c.max_bytes / 1_000_000,
            c.in_flight,
            c.errors,
            c.stale_on_error,
            c.negative_hits,
            c.evictions
        );
        put(
            buffer,
            row(inner, n),
            &detail,
            theme.style(if c.last_error.is_some() {
                Role::Warn
            } else {
                Role::Dim
            }),
        );
        n += 1;
    }
    put(
        buffer,
        row(inner, n + 1),
        "Since start. shared: joined a running load, a stampede prevented.",
        theme.style(Role::Dim),
    );
}
