//! The Overview tells the truth: in every state its sentence says what it means for work, no cell in the good colour
//! speaks of work that is refused, undecided, stale or simulated, and every figure is the engine's.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

use std::sync::Arc;

use bsm::console::format::Zone;
use bsm::console::shell::state::State;
use bsm::console::shell::view;
use bsm::console::theme::{Palette, Theme};
use bsm::engine::protocol::alert::Alert;
use bsm::engine::protocol::impact::ImpactKind;
use bsm::engine::protocol::snapshot::{Disconnected, Snapshot};
use bsm::resilience::breaker::BreakerState;
use bsm::telemetry::provider_meter::Ribbon;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Color;

use crate::impact::{NOW_MS, STATES, judged, rested, row};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 50)];
const THEME: Theme = Theme {
    color: true,
    ascii: false,
    palette: Palette::Terminal,
};

fn drawn(snapshot: Snapshot, (width, height): (u16, u16)) -> Buffer {
    let mut state = State::new(Arc::new(snapshot), THEME, false, NOW_MS);
    state.context.zone = Zone::Utc;
    state.context.size = (width, height);
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    view::draw(&state, area, &mut buffer);
    buffer
}

fn line(buffer: &Buffer, y: u16) -> String {
    let cells = (0..buffer.area.width).map(|x| buffer[(x, y)].symbol());
    cells.collect()
}

fn text(buffer: &Buffer) -> String {
    let lines = (0..buffer.area.height).map(|y| line(buffer, y));
    lines.collect::<Vec<_>>().join("\n")
}

/// What stands in the good colour, each with its line.
fn good(buffer: &Buffer) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for y in 0..buffer.area.height {
        for x in 0..buffer.area.width {
            let cell = &buffer[(x, y)];
            if cell.fg == Color::Green && cell.symbol() != " " {
                out.push((cell.symbol().to_owned(), line(buffer, y)));
            }
        }
    }
    out
}

fn colour(kind: ImpactKind) -> Color {
    match kind {
        ImpactKind::Down => Color::Red,
        ImpactKind::Ok => Color::Green,
        ImpactKind::Idle => Color::Reset,
        _ => Color::Yellow,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overview_in_every_state_says_what_it_means_and_shows_nothing_good_that_is_not() {
    let rested = rested().await;
    for (state, kind, part, change) in STATES {
        for size in SIZES {
            let mut snapshot = rested.clone();
            let since = change(&mut snapshot);
            snapshot.impact = judged(&snapshot, since);
            let answered = snapshot.call_history.minute.answers();
            let buffer = drawn(snapshot, size);
            let first = line(&buffer, 2);
            let leads = format!("▌{}", kind.as_str());
            assert!(first.starts_with(&leads), "{state} at {size:?}: {first}");
            assert_eq!(buffer[(1, 2)].fg, colour(*kind), "{state}: {first}");
            // A narrow line leaves parts out from the end, never from the middle.
            let said = part.split(" · ").next().unwrap();
            let shown = first.trim_end_matches(' ');
            assert!(
                size.0 < 200 || shown.contains(said),
                "{state}: '{said}' is not in {shown}"
            );
            if *kind == ImpactKind::Ok {
                continue;
            }
            for (symbol, place) in good(&buffer) {
                let closed = symbol == "●" && place.contains("closed");
                let answers = symbol == "█" && answered > 0;
                let answers = answers || answered > 0 && place.contains("█ answered");
                // Of the last hour's runs each was decided: that is so, whatever is wrong now.
                let decided = symbol == "✓" && place.contains("error rate 0.0 % ✓");
                assert!(
                    closed || answers || decided,
                    "{state} at {size:?}: '{symbol}' is good in {place}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overview_of_a_lost_engine_says_its_age_and_has_no_good_colour() {
    let mut snapshot = rested().await;
    snapshot.outcomes.full = 96;
    snapshot.impact = judged(&snapshot, snapshot.outcomes);
    snapshot.disconnected = Some(Disconnected {
        since_ms: NOW_MS - 12_000,
        next_try_ms: NOW_MS + 3_000,
        address: "/run/bsm.sock".into(),
        reason: "the engine closed the link".into(),
    });
    for size in SIZES {
        let buffer = drawn(snapshot.clone(), size);
        let first = line(&buffer, 2);
        assert!(first.starts_with("▌UNKNOWN"), "{first}");
        assert!(first.contains("does not answer since 12 s"), "{first}");
        if size.0 > 120 {
            assert!(first.contains("next try in 3.0 s"), "{first}");
        }
        let good = good(&buffer);
        assert!(good.is_empty(), "{good:?}");
    }
}

type Change = fn(&mut Snapshot);

/// A change in the engine, and what the screen then shows that it did not show before.
const FIGURES: &[(Change, &str)] = &[
    (|s| s.call_history.latency.p50_ms = Some(7_700), "p50 7.7 s"),
    (|s| s.call_history.latency.p95_ms = Some(8_800), "p95 8.8 s"),
    (|s| s.call_history.latency.p99_ms = Some(99_000), "p99 99 s"),
    (|s| s.call_history.latency.count = 7_654, "n 7,654"),
    (
        |s| s.call_history.latency.waiting_percent = Some(94),
        "waiting 94 %",
    ),
    (
        |s| s.added_latency.p99_us = Some(9_990),
        "overhead p99 9.99 ms",
    ),
    (|s| s.call_history.minute.answered = 186, "█ answered 3.1/s"),
    (|s| s.call_history.minute.retried = 24, "▓ retried 0.4/s"),
    (|s| s.call_history.minute.rate_limited = 60, "▒ 429 1.0/s"),
    (|s| s.call_history.minute.failed = 480, "× failed 8.0/s"),
    (
        |s| s.call_history.minute.refused = 1_320,
        "· refused 22.0/s",
    ),
    (|s| s.calls.peak = 456.0, "peak 456/s"),
    (|s| s.calls.average = 12.3, "avg 12.3/s"),
    (|s| s.pools[0].in_use = 9, "active: 9 calls"),
    (|s| s.counts.running = 7, "7 running"),
    (|s| s.counts.queued = 8, "8 queued"),
    (|s| s.outcomes.undecided = 40, "error rate 100.0 %"),
    (|s| s.outcomes.full = 77, "(n 77, 1 h)"),
    (|s| responses(s).hits = 1_234, "hits 1,234"),
    (|s| responses(s).misses = 2_345, "misses 2,345"),
    (|s| responses(s).negative_hits = 17, "negative 17"),
    (|s| responses(s).stampede_prevented = 333, "coalesced 333"),
    (|s| responses(s).stale_served = 44, "stale 44"),
    (|s| s.money.saved_micro_usd = 410_000, "$0.41 saved"),
    (|s| s.money.today_micro_usd = 1_320_000, "today $1.32"),
    (|s| s.money.day_budget_usd = 20.0, "of $20.00"),
    (|s| s.resources.cpu_percent = 77, "cpu 77 %"),
    (|s| s.resources.memory_mb = 888, "memory 888 MB"),
    (|s| s.resources.disk_mb = 4_321, "disk 4321 MB"),
    (|s| s.started_ms = NOW_MS - 532_800_000, "up 6 d 4 h"),
    (|s| s.availability = Some(98.76), "available 98.76 %"),
    (|s| s.decisions_hour.hour.approved = 41, "✓ 41"),
    (|s| s.decisions_hour.hour.negative = 9, "✗ 9"),
    (|s| s.decisions_hour.hour.manual = 12, "? 12"),
    (
        |s| s.decisions_hour.full_percent = Some(41.0),
        "full evidence 41.0 %",
    ),
    (
        |s| {
            s.decisions_hour.waiting.manual = 12;
            s.decisions_hour.waiting.oldest_ms = Some(NOW_MS - 41_000);
        },
        "waiting for a person 12, oldest 41s",
    ),
    (|s| row(s, "openai").queued = 21, "   21 "),
    (|s| row(s, "openai").in_use = 10, "10/10"),
    (
        |s| row(s, "openai").oldest_ms = Some(NOW_MS - 21_000),
        "21 s",
    ),
    (|s| row(s, "openai").figures.p50_ms = Some(1_200), "1.2 s"),
    (|s| row(s, "openai").figures.p99_ms = Some(31_000), "31 s"),
    (
        |s| {
            let window = &mut row(s, "openai").figures.window;
            (window.rate_limited, window.answered) = (12, 88);
        },
        "12 %",
    ),
    (
        |s| row(s, "openai").figures.micro_usd_per_hour = 3_100_000,
        "3.10",
    ),
    (|s| row(s, "openai").failures = 4, "closed 4/"),
    (
        |s| {
            let row = row(s, "openai");
            (row.breaker, row.next_attempt_ms) = (BreakerState::Open, Some(NOW_MS + 6_000));
        },
        "open 6.0 s",
    ),
    (
        |s| row(s, "openai").figures.ribbon = Ribbon("++4x.".into()),
        "▁▁▒█·",
    ),
    (
        |s| {
            s.alerts = vec![Alert {
                id: "alr_1".into(),
                code: "breaker-open".into(),
                at_ms: NOW_MS,
                bad: true,
                text: "openai breaker open".into(),
                ..Alert::default()
            }];
        },
        "openai breaker open",
    ),
];

fn responses(s: &mut Snapshot) -> &mut bsm::cache::CacheStats {
    let mut caches = s.caches.iter_mut();
    caches.find(|c| c.name == "responses").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn overview_figures_follow_the_engine() {
    let mut base = rested().await;
    base.started_ms = NOW_MS;
    base.call_history.minute_s = 60;
    base.call_history.window.answered = 1;
    base.impact = judged(&base, base.outcomes);
    let shown = |change: Change| {
        let mut s = base.clone();
        change(&mut s);
        // Where resources name the evidence, availability has its own panel only on a wide terminal.
        text(&drawn(s, (240, 50)))
    };
    let before = shown(|_| {});
    for (change, wanted) in FIGURES {
        assert!(!before.contains(wanted), "{wanted} was there before");
        let after = shown(*change);
        assert!(after.contains(wanted), "{wanted} does not show:\n{after}");
    }
    assert!(
        before.contains("p50 —"),
        "below 20 samples a figure is a dash"
    );
    assert!(
        before.contains("hit rate — (0 of 20 questions)"),
        "{before}"
    );
}
