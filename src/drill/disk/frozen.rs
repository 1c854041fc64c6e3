//! The disk stands still: a write neither succeeds nor fails.

use std::time::{Duration, Instant};

use crate::drill::disk::protocol::Request;
use crate::drill::disk::scene::{Scene, until_health};
use crate::drill::harness::Length;
use crate::drill::measure::{Measure, exactly, within};

/// Between two questions of health.
const ASK: Duration = Duration::from_millis(250);

pub async fn run(scene: &mut Scene, length: Length) -> Result<Vec<Measure>, String> {
    let lasts = match length {
        Length::Short => Duration::from_secs(11),
        Length::Full => Duration::from_secs(60),
    };
    let engine = scene.start().await?;
    scene.ask(&engine, "before", 5, 4_000).await?;
    let began = Instant::now();
    let ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
    engine.tell(Request::Stall { ms }).await?;
    scene.say(format!("the disk stands still for {} s", lasts.as_secs()));
    let (mut slowest, mut named) = (Duration::ZERO, None);
    let watch = async {
        // A second early: what is asked at the very end may be answered after it.
        while began.elapsed() + Duration::from_secs(1) < lasts {
            let asked = Instant::now();
            let codes = engine.health().await?;
            slowest = slowest.max(asked.elapsed());
            if named.is_none() && codes.contains("journal-does-not-answer") {
                named = Some(began.elapsed());
            }
            tokio::time::sleep(ASK).await;
        }
        Ok::<(), String>(())
    };
    let mut answered = None;
    let asking = async {
        let counts = scene.ask(&engine, "frozen", 5, 4_000).await;
        answered = Some(began.elapsed());
        counts
    };
    let (watched, asked) = tokio::join!(watch, asking);
    watched?;
    let (accepted, refused) = asked?;
    scene.say(format!(
        "it moves again: {accepted} runs accepted, {refused} refused"
    ));
    let well = until_health(&engine, &["journal-does-not-answer"], false).await?;
    engine.stop().await?;
    let engine = scene.start().await?;
    let early = answered.is_some_and(|at| at < lasts);
    let mut measures = vec![
        exactly("acknowledged before it moved again", 0, u64::from(early)),
        exactly("health names it", 1, u64::from(named.is_some())),
        within("named after", 10_000.0, named.unwrap_or(Duration::MAX)),
        within("slowest answer of health", 250.0, slowest),
        within("well again after", 10_000.0, well.unwrap_or(Duration::MAX)),
    ];
    measures.extend(scene.account(&engine).await?);
    engine.stop().await?;
    Ok(measures)
}
