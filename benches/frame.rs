//! What a frame of the console costs: a key press accepted and the busiest screens drawn.
//! `cargo bench --bench frame`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and fails by panicking"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Instant;

use bsm::console::message::{Message, Now};
use bsm::console::shell::state::State;
use bsm::console::shell::update::update;
use bsm::console::shell::view;
use bsm::console::theme::Theme;
use bsm::engine::Operator as _;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use hdrhistogram::Histogram;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use support::*;

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = state_folder();
    let snapshot = runtime.block_on(async {
        let mut start = Start::new(folder.path());
        start.mode.simulated = true;
        let handle = start.go().await;
        for n in 0..60 {
            finish(
                &handle,
                trigger(
                    "pull_request.opened",
                    &DOCS.replace("8080", &format!("{n}")),
                ),
            )
            .await;
        }
        let mut snapshots = handle.snapshots();
        snapshots
            .wait_for(|s| s.counts.finished == 60)
            .await
            .unwrap()
            .clone()
    });
    println!(
        "picture: {} bytes of JSON",
        bsm::text::json(&*snapshot).unwrap().len()
    );
    for (width, height) in [(80, 24), (120, 40), (200, 50)] {
        for screen in ['1', '2', '3'] {
            let mut state = State::new(Arc::clone(&snapshot), Theme::default(), false, 0);
            state.context.size = (width, height);
            let now = || Now {
                at: Instant::now(),
                wall_ms: 0,
            };
            let press = |c: char| Message::Key(KeyEvent::new(KeyCode::Char(c), KeyModifiers::NONE));
            update(&mut state, press(screen), now());
            let area = Rect::new(0, 0, width, height);
            let mut buffer = Buffer::empty(area);
            let mut took = Histogram::<u64>::new(3).unwrap();
            for n in 0..2_200u32 {
                let began = Instant::now();
                update(&mut state, press(if n % 2 == 0 { 'j' } else { 'k' }), now());
                buffer.reset();
                view::draw(&state, area, &mut buffer);
                if n >= 200 {
                    took.record(began.elapsed().as_nanos() as u64).unwrap();
                }
            }
            let us = |q: f64| took.value_at_quantile(q) as f64 / 1_000.0;
            println!(
                "screen {screen} at {width}x{height}: update and draw p50 {:.0} us, p99 {:.0} us",
                us(0.5),
                us(0.99)
            );
        }
    }
}
