//! kill -9, again and again, while runs come in.

use std::time::{Duration, Instant};

use crate::drill::disk::child::Engine;
use crate::drill::disk::protocol::{Answer, Request};
use crate::drill::disk::scene::Scene;
use crate::drill::harness::Length;
use crate::drill::measure::{Measure, at_least, exactly, fact, within};

/// Runs are asked for one after the other, on so many lines at once.
const LINES: usize = 4;

pub async fn run(scene: &mut Scene, length: Length) -> Result<Vec<Measure>, String> {
    let kills = match length {
        Length::Short => 5,
        Length::Full => 50,
    };
    let mut slowest = Duration::ZERO;
    for round in 0..kills {
        let began = Instant::now();
        let engine = scene.start().await?;
        if round > 0 {
            slowest = slowest.max(began.elapsed());
        }
        let time = Duration::from_millis(fastrand::u64(20..250));
        let lines = (0..LINES).map(|line| stream_of_runs(&engine, format!("{round}-{line}"), time));
        let acknowledged = futures_util::future::join_all(lines).await;
        engine.kill().await?;
        scene.accepted.extend(acknowledged.into_iter().flatten());
    }
    let known = scene.accepted.len();
    scene.say(format!("{kills} times killed, {known} runs acknowledged"));
    let engine = scene.start().await?;
    let mut measures = vec![
        fact("kills", f64::from(kills), ""),
        at_least("runs acknowledged", 1, known as u64),
        within("slowest start after a kill", 5_000.0, slowest),
    ];
    measures.extend(scene.account(&engine).await?);
    engine.stop().await?;
    let reports = scene.reports();
    measures.push(exactly(
        "reports of acknowledged runs",
        known as u64,
        reports,
    ));
    Ok(measures)
}

/// Asks for runs until the time is over; what was acknowledged. What was asked and not answered was not promised.
async fn stream_of_runs(engine: &Engine, name: String, time: Duration) -> Vec<(String, String)> {
    let mut acknowledged = Vec::new();
    let work = async {
        for n in 0.. {
            let title = format!("kill-{name}-{n}");
            let request = Request::Accept {
                title: title.clone(),
                bytes: 2_000,
            };
            if let Ok(Answer::Accepted { run }) = engine.ask(request).await {
                acknowledged.push((title, run));
            }
        }
    };
    let _ = tokio::time::timeout(time, work).await;
    acknowledged
}
