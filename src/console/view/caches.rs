//! The caches: how old, how full, how often they help.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::pieces::{fit, keys, panel, put, row};
use crate::console::action::Action;
use crate::console::format::{count, percent, seconds};
use crate::console::state::State;
use crate::console::theme::Role;

pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let note = keys(
        state,
        &[
            (Action::Open, "what is behind"),
            (Action::ClearCache, "clear"),
        ],
    );
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
    for (index, c) in state.snapshot().caches.iter().enumerate() {
        let loaded = c
            .loaded_ms
            .map_or_else(|| dash.to_owned(), |ms| state.zone.clock(ms));
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
        if index == state.selection() {
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
