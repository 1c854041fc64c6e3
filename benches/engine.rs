//! What the engine itself costs: a run of four agents against an upstream that answers at once, with
//! the journal on disk. `cargo bench --bench engine`
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and fails by panicking"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use bsm::engine::Operator as _;
use hdrhistogram::Histogram;
use support::*;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for (name, online, runs) in [
            ("rules only", false, 2_000),
            ("four model calls at 0 ms", true, 1_000),
        ] {
            let up = upstream(|_, _| Wire::verdict("approve")).await;
            let state = state_folder();
            let start = Start::new(state.path());
            let handle = if online {
                start.upstream(&up.url)
            } else {
                start
            }
            .go()
            .await;
            let mut took = Histogram::<u64>::new(3).unwrap();
            for n in 0..runs + 50 {
                // Each its own change: no answer comes from the cache.
                let diff = DOCS.replace("8080", &format!("{n}"));
                let began = Instant::now();
                let run = finish(&handle, trigger("pull_request.opened", &diff)).await;
                if n >= 50 {
                    took.record(began.elapsed().as_micros() as u64).unwrap();
                }
                assert_eq!(run.decision.unwrap().action.exit_code(), 0);
            }
            let added = handle.snapshots().borrow().added_latency.clone();
            println!("{name}: event to report on disk, n {runs}: {}", line(&took));
            if online {
                println!(
                    "  gateway overhead of a call (total - provider): p50 {:?} us, p99 {:?} us",
                    added.p50_us, added.p99_us
                );
            }
        }
        // Many at once: the journal's group commit and the run slots.
        let state = state_folder();
        let handle = Start::new(state.path()).go().await;
        let began = Instant::now();
        let mut ids = Vec::new();
        for n in 0..1_000 {
            ids.push(
                accept(
                    &handle,
                    trigger(
                        "pull_request.opened",
                        &DOCS.replace("8080", &format!("{n}")),
                    ),
                )
                .await,
            );
        }
        for id in &ids {
            handle.finished(id).await.unwrap();
        }
        println!(
            "1,000 runs sent as fast as they are acknowledged: {:.0} runs/s",
            1_000.0 / began.elapsed().as_secs_f64()
        );
    });
}

fn line(h: &Histogram<u64>) -> String {
    let ms = |q: f64| h.value_at_quantile(q) as f64 / 1_000.0;
    format!(
        "p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        ms(0.5),
        ms(0.9),
        ms(0.99),
        h.max() as f64 / 1_000.0
    )
}
