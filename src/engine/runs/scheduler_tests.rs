//! Schedules by a clock that the test moves.

use super::*;
use crate::engine::protocol::snapshot::Mode;
use crate::engine::{EngineConfig, Handle};
use crate::resilience::clock::Clock;
use std::sync::Mutex;
use std::time::Instant;

struct Wall(Mutex<i64>);

impl Clock for Wall {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall_ms(&self) -> i64 {
        *self.0.lock().unwrap()
    }
}

const HOUR: i64 = 3_600_000;

#[tokio::test]
async fn what_was_missed_runs_once_and_a_clock_that_jumps_begins_no_storm() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let state = crate::state::StateDir::at(folder.path());
    state.prepare().unwrap();
    let start = "2026-11-21T12:30:00Z".parse::<jiff::Timestamp>().unwrap();
    let clock = Arc::new(Wall(Mutex::new(start.as_millisecond())));
    let handle = Handle::start(EngineConfig {
        settings: crate::settings::Settings::default(),
        env: crate::settings::env::Env::default(),
        root: None,
        trust: crate::workspace::trust::TrustStore::default(),
        workspace: None,
        follows_folder: true,
        state,
        mode: Mode::default(),
        resident: false,
        log: None,
        clock: clock.clone(),
        settings_loader: None,
        shared_redactor: Arc::default(),
        simulator: crate::model::simulator::SimulatorSettings::default(),
    })
    .await
    .unwrap();
    let (scheduler, journal) = (Arc::clone(&handle.services.scheduler), handle.journal());
    let mut workspace = crate::workspace::Workspace::clone(&scheduler.store.workspace());
    let rule = workspace
        .events
        .events
        .get_mut("scheduled.weekly_agents")
        .unwrap();
    rule.schedule = Some(crate::workspace::schedule::Schedule::read("0 * * * * UTC").unwrap());
    scheduler.store.set_workspace(workspace);
    let begun = async || journal.recent(50).await.unwrap().len();
    let later = |hours: i64| *clock.0.lock().unwrap() += hours * HOUR;

    let next = scheduler.pass().await.unwrap().unwrap();
    assert_eq!((begun().await, next - clock.wall_ms()), (0, HOUR / 2));
    later(1);
    scheduler.pass().await.unwrap();
    scheduler.pass().await.unwrap();
    assert_eq!(begun().await, 1, "once, however often one looks");
    // Three days nobody was there, or the clock was wrong: one run makes up for all.
    later(72);
    scheduler.pass().await.unwrap();
    scheduler.pass().await.unwrap();
    assert_eq!(begun().await, 2);
    let rows = journal.recent(1).await.unwrap();
    assert_eq!(
        (rows[0].new.actor.as_str(), rows[0].new.event.as_str()),
        ("schedule", "scheduled.weekly_agents")
    );
    // Set back: nothing runs again for hours that have been.
    later(-5);
    scheduler.pass().await.unwrap();
    assert_eq!(begun().await, 2);
    handle.stop(Duration::from_secs(5)).await;
}
