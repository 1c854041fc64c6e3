//! Writes that fail: because the disk is full, or because the system refuses each of them.

use std::time::Duration;

use crate::drill::disk::child::Engine;
use crate::drill::disk::protocol::Request;
use crate::drill::disk::scene::{Scene, until_health};
use crate::drill::measure::{Measure, at_least, exactly, within};

/// Reasons of which one must be given while nothing can be written.
const CANNOT_WRITE: [&str; 3] = [
    "journal-not-writable",
    "intake-refused",
    "journal-does-not-answer",
];
/// Runs that are asked for while it cannot.
const RUNS: usize = 60;
/// Bytes of their changes: more than a page that happens to be free.
const BYTES: usize = 40_000;

/// The journal's file may not grow.
pub async fn full(scene: &mut Scene) -> Result<Vec<Measure>, String> {
    let engine = scene.start().await?;
    scene.ask(&engine, "before", 10, 4_000).await?;
    engine.tell(Request::Full { full: true }).await?;
    scene.say("the disk is full");
    let mut measures = while_failing(scene, &engine).await?;
    engine.tell(Request::Full { full: false }).await?;
    scene.say("there is space again");
    measures.extend(afterwards(scene, engine).await?);
    Ok(measures)
}

/// No file may be written at all: the journal, its log, reports, the audit trail.
pub async fn refused(scene: &mut Scene) -> Result<Vec<Measure>, String> {
    let engine = scene.start().await?;
    scene.ask(&engine, "before", 10, 4_000).await?;
    engine.refuse_writes(true)?;
    scene.say("the system refuses every write");
    let mut measures = while_failing(scene, &engine).await?;
    engine.refuse_writes(false)?;
    scene.say("writes go through again");
    measures.extend(afterwards(scene, engine).await?);
    Ok(measures)
}

async fn while_failing(scene: &mut Scene, engine: &Engine) -> Result<Vec<Measure>, String> {
    let (accepted, refused) = scene.ask(engine, "failing", RUNS, BYTES).await?;
    scene.say(format!("{accepted} runs accepted, {refused} refused"));
    let said = until_health(engine, &CANNOT_WRITE, true).await?;
    Ok(vec![
        at_least("runs refused meanwhile", 1, refused),
        exactly("health names it", 1, u64::from(said.is_some())),
        within("named after", 10_000.0, said.unwrap_or(Duration::MAX)),
    ])
}

/// Without a restart it goes on; with one, everything that was promised is there.
async fn afterwards(scene: &mut Scene, engine: Engine) -> Result<Vec<Measure>, String> {
    let well = until_health(&engine, &["journal-not-writable"], false).await?;
    let (accepted, _) = scene.ask(&engine, "after", 5, 4_000).await?;
    engine.stop().await?;
    let engine = scene.start().await?;
    let mut measures = vec![
        exactly("accepted once it can write again, of 5", 5, accepted),
        within("well again after", 10_000.0, well.unwrap_or(Duration::MAX)),
    ];
    measures.extend(scene.account(&engine).await?);
    engine.stop().await?;
    let reports = scene.reports();
    let wanted = scene.accepted.len() as u64;
    measures.push(exactly("reports of acknowledged runs", wanted, reports));
    Ok(measures)
}
