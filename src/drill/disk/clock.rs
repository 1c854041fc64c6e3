//! The wall clock is set back an hour and a year, and forward a year: while the engine runs, and while it does not.

use crate::drill::disk::child::Engine;
use crate::drill::disk::protocol::{Answer, Request};
use crate::drill::disk::scene::{Scene, until_health};
use crate::drill::measure::{Measure, exactly};

const HOUR_MS: i64 = 3_600_000;
const YEAR_MS: i64 = 365 * 24 * HOUR_MS;
/// The jumps, with their names.
const JUMPS: [(&str, i64); 3] = [
    ("back an hour", -HOUR_MS),
    ("back a year", -YEAR_MS),
    ("forward a year", YEAR_MS),
];

pub async fn run(scene: &mut Scene) -> Result<Vec<Measure>, String> {
    let mut measures = Vec::new();
    for (name, ahead_ms) in JUMPS {
        // While it runs.
        let engine = scene.start().await?;
        let first = format!("{name}, first");
        scene.ask(&engine, &first, 3, 2_000).await?;
        scene.account(&engine).await?;
        engine.tell(Request::Clock { ahead_ms }).await?;
        scene.say(format!("the clock goes {name} while the engine runs"));
        let said = until_health(&engine, &["clock-set"], true).await?;
        measures.push(exactly(
            &format!("{name}: health names it"),
            1,
            u64::from(said.is_some()),
        ));
        measures.push(try_out(scene, &engine, name, "running").await?);
        engine.stop().await?;
        // While it does not; and again, when what it wrote meanwhile has the wrong time.
        for when in ["at the start", "at the next start"] {
            let engine = Engine::start(&scene.state(), ahead_ms).await?;
            scene.say(format!("the clock is {name}: {when}"));
            measures.push(try_out(scene, &engine, name, when).await?);
            engine.stop().await?;
        }
    }
    let engine = scene.start().await?;
    measures.extend(scene.account(&engine).await?);
    engine.stop().await?;
    let wanted = scene.accepted.len() as u64;
    measures.push(exactly(
        "reports of acknowledged runs",
        wanted,
        scene.reports(),
    ));
    Ok(measures)
}

/// Runs end, and a pass of retention takes nothing.
async fn try_out(
    scene: &mut Scene,
    engine: &Engine,
    name: &str,
    when: &str,
) -> Result<Measure, String> {
    scene
        .ask(engine, &format!("{name}, {when}"), 3, 2_000)
        .await?;
    scene.account(engine).await?;
    let removed = match engine.ask(Request::Prune).await? {
        Answer::Pruned { items } => items,
        other => return Err(format!("unexpected: {other:?}")),
    };
    Ok(exactly(
        &format!("{name}, {when}: removed by age"),
        0,
        removed,
    ))
}
