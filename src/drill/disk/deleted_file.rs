//! The journal is deleted while the engine runs, and before it starts.

use crate::drill::disk::scene::{Scene, until_health};
use crate::drill::measure::{Measure, exactly};

pub async fn run(scene: &mut Scene) -> Result<Vec<Measure>, String> {
    let engine = scene.start().await?;
    scene.ask(&engine, "before", 5, 4_000).await?;
    scene.account(&engine).await?;
    let (journal, away) = (scene.state().join("bsm.db"), scene.state().join("away"));
    let moved = |from: &std::path::Path, to: &std::path::Path| {
        std::fs::rename(from, to).map_err(|e| format!("{}: {e}", from.display()))
    };
    moved(&journal, &away)?;
    scene.say("bsm.db is gone while the engine runs");
    let (accepted, _) = scene.ask(&engine, "gone", 5, 4_000).await?;
    let named = until_health(&engine, &["state-file-gone"], true).await?;
    moved(&away, &journal)?;
    scene.say("it is back");
    let well = until_health(&engine, &["state-file-gone"], false).await?;
    let (after, _) = scene.ask(&engine, "after", 5, 4_000).await?;
    scene.account(&engine).await?;
    engine.stop().await?;
    moved(&journal, &away)?;
    scene.say("bsm.db is gone before the engine starts");
    let started = scene.start().await;
    let begun_anew = started.is_ok() || journal.exists();
    if let Err(reason) = &started {
        scene.say(format!("it says: {reason}"));
    }
    drop(started);
    moved(&away, &journal)?;
    let engine = scene.start().await?;
    let mut measures = vec![
        exactly("acknowledged while it was gone", 0, accepted),
        exactly("health names it", 1, u64::from(named.is_some())),
        exactly("well again once it is back", 1, u64::from(well.is_some())),
        exactly("accepted once it is back, of 5", 5, after),
        exactly("begun anew without being asked", 0, u64::from(begun_anew)),
    ];
    measures.extend(scene.account(&engine).await?);
    engine.stop().await?;
    Ok(measures)
}
