//! kill -9 at any moment: what was acknowledged ends in exactly one decision, and what was finished is
//! not done again.
//!
//! The engine runs in a child process that is killed; the upstream it asks lives here and counts. Every
//! call waits a little, so that a kill lands before, in and after each step.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bsm::engine::Operator as _;
use bsm::engine::protocol::run::{Action, RunState, Step, StepStatus};
use bsm::journal::Journal;
use rusqlite::Connection;
use support::*;

const KILLS: u32 = 25;

/// Not a test of its own: the engine that is killed. Resumes, then takes runs in for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child_engine() {
    let (Ok(state), Ok(url), Ok(round)) = (
        std::env::var("BSM_KILL_STATE"),
        std::env::var("BSM_KILL_URL"),
        std::env::var("BSM_KILL_ROUND"),
    ) else {
        return;
    };
    let mut start = Start::new(Path::new(&state)).upstream(&url);
    start.resident = true;
    let handle = start.go().await;
    if round == "one" {
        let mut t = trigger("pull_request.opened", DOCS);
        t.payload = serde_json::json!({"title": "<one-0>"});
        let id = accept(&handle, t).await;
        println!("ack {id} one-0");
        handle.finished(&id).await;
        handle.stop(Duration::from_secs(5)).await;
        return;
    }
    if round == "last" {
        let mut snapshots = handle.snapshots();
        let idle = snapshots.wait_for(|s| s.counts.running + s.counts.queued == 0);
        idle.await.unwrap();
        handle.stop(Duration::from_secs(5)).await;
        println!("done");
        return;
    }
    for n in 0.. {
        let mut t = trigger(
            "pull_request.opened",
            &DOCS.replace("8080", &format!("round {round} run {n}")),
        );
        t.payload = serde_json::json!({"title": format!("<{round}-{n}>")});
        // Printed only once it is acknowledged.
        println!("ack {} {round}-{n}", accept(&handle, t).await);
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

fn child(state: &Path, url: &str, round: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child_engine", "--nocapture", "--test-threads=1"])
        .env("BSM_KILL_STATE", state)
        .env("BSM_KILL_URL", url)
        .env("BSM_KILL_ROUND", round)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// (run token, agent) of a call.
fn who(system: &str, user: &str) -> (String, String) {
    let token = user
        .split('<')
        .find_map(|p| {
            p.split_once('>')
                .map(|(t, _)| t)
                .filter(|t| t.contains('-') && !t.contains(' '))
        })
        .unwrap_or_default();
    let agent = system
        .strip_prefix("You are ")
        .and_then(|s| s.split(',').next())
        .unwrap_or_default();
    (token.to_owned(), agent.to_owned())
}

/// Steps that the journal holds as finished right now, by (title token, agent's name).
fn finished_steps(state: &Path) -> BTreeSet<(String, String)> {
    let connection = Connection::open_with_flags(
        state.join("bsm.db"),
        rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY,
    )
    .unwrap();
    connection.busy_timeout(Duration::from_secs(5)).unwrap();
    let sql = "SELECT json_extract(runs.input, '$.payload.title'), steps.agent_id FROM steps JOIN runs ON runs.id = steps.run_id";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement
        .query_map([], |r| Ok((r.get::<_, String>(0)?, r.get::<_, String>(1)?)))
        .unwrap();
    rows.map(|r| {
        let (title, agent) = r.unwrap();
        let name = bsm::workspace::built_in_agents::agent(&agent)
            .unwrap()
            .name
            .raw()
            .to_owned();
        (title.trim_matches(['<', '>']).to_owned(), name)
    })
    .collect()
}

// Seen failing with `INSERT OR IGNORE` of steps replaced by a rerun of all agents on resume, and with the
// acknowledgement sent before the journal's commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_means_exactly_one_decision_after_any_kill() {
    if std::env::var_os("BSM_KILL_STATE").is_some() {
        return;
    }
    let state = state_folder();
    let up = upstream(|_, _| {
        Wire::Slow(
            Duration::from_millis(fastrand::u64(5..60)),
            r#"{"decision":"approve","score":90,"comments":[]}"#.into(),
        )
    })
    .await;
    let mut acknowledged: BTreeMap<String, String> = BTreeMap::new();
    for round in 0..KILLS {
        let done_before = if round == 0 {
            BTreeSet::new()
        } else {
            finished_steps(state.path())
        };
        let calls_before = up.calls.lock().unwrap().len();
        let mut child = child(state.path(), &up.url, &round.to_string());
        let lines = child.stdout.take().unwrap();
        let reader = std::thread::spawn(move || {
            BufReader::new(lines)
                .lines()
                .map_while(Result::ok)
                .collect::<Vec<_>>()
        });
        tokio::time::sleep(Duration::from_millis(fastrand::u64(120..400))).await;
        child.kill().unwrap();
        child.wait().unwrap();
        for line in reader.join().unwrap() {
            if let Some((_, rest)) = line.split_once("ack ") {
                let (id, token) = rest.split_once(' ').unwrap();
                acknowledged.insert(id.to_owned(), token.to_owned());
            }
        }
        for (system, user) in &up.calls.lock().unwrap()[calls_before..] {
            let call = who(system, user);
            assert!(
                !done_before.contains(&call),
                "a finished step ran again: {call:?}"
            );
        }
    }
    assert!(
        acknowledged.len() > KILLS as usize,
        "only {} runs were acknowledged",
        acknowledged.len()
    );
    let mut last = child(state.path(), &up.url, "last");
    let mut output = BufReader::new(last.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok);
    assert!(
        output.any(|l| l.contains("done")),
        "the last round did not end"
    );
    last.wait().unwrap();

    let journal = Journal::open(&state.path().join("bsm.db")).unwrap();
    let mut set_aside = 0;
    for id in acknowledged.keys() {
        // Lost if it is not there.
        let row = journal.run(id).await.unwrap().unwrap();
        let result: bsm::engine::protocol::run::RunResult =
            serde_json::from_str(row.result.as_deref().unwrap()).unwrap();
        let decision = result.decision.unwrap();
        if result.state == RunState::Failed {
            // Active in two crashes: set aside for a person.
            set_aside += 1;
            assert_eq!(decision.action, Action::ManualReview);
        } else {
            assert_eq!(
                decision.action,
                Action::ApproveAndMerge,
                "{id}: {}",
                decision.reason.raw()
            );
            assert!(
                result
                    .agents
                    .iter()
                    .all(|s: &Step| s.status == StepStatus::Succeeded)
            );
        }
        let report = state.path().join("reports").join(&row.new.report_name);
        assert_eq!(
            std::fs::read_to_string(&report).unwrap(),
            row.report_text.unwrap(),
            "the report of {id}"
        );
    }
    let reports = std::fs::read_dir(state.path().join("reports"))
        .unwrap()
        .flatten();
    let whole = reports
        .filter(|e| e.file_name().to_string_lossy().ends_with(".md"))
        .count();
    assert!(whole >= acknowledged.len());
    println!(
        "{} runs acknowledged over {KILLS} kills, {set_aside} set aside",
        acknowledged.len()
    );
}

/// Death at each arrow of a run's life: acknowledged means one decision, the same as uninterrupted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn death_at_every_arrow_loses_nothing() {
    if std::env::var_os("BSM_KILL_STATE").is_some() {
        return;
    }
    for place in bsm::engine::failpoint::ALL {
        let state = state_folder();
        let up = upstream(|_, _| Wire::verdict("approve")).await;
        let dying = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_engine", "--nocapture", "--test-threads=1"])
            .env("BSM_KILL_STATE", state.path())
            .env("BSM_KILL_URL", &up.url)
            .env("BSM_KILL_ROUND", "one")
            .env("BSM_FAILPOINT", place)
            .stderr(Stdio::null())
            .output()
            .unwrap();
        assert!(!dying.status.success(), "{place} was never reached");
        let acknowledged = String::from_utf8_lossy(&dying.stdout).contains("ack ");
        let steps_kept = finished_steps(state.path()).len();
        let calls_before = up.calls.lock().unwrap().len();
        let mut last = child(state.path(), &up.url, "last");
        let mut output = BufReader::new(last.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        assert!(
            output.any(|l| l.contains("done")),
            "{place}: the resume did not end"
        );
        last.wait().unwrap();
        let journal = Journal::open(&state.path().join("bsm.db")).unwrap();
        let rows = journal.recent(10).await.unwrap();
        if *place == "intake-scanned" {
            assert!(
                rows.is_empty() && !acknowledged,
                "{place}: nothing was kept, so nothing was acknowledged"
            );
            continue;
        }
        assert_eq!(rows.len(), 1, "{place}");
        let row = journal.run(&rows[0].new.id).await.unwrap().unwrap();
        assert_eq!(
            row.action.as_deref(),
            Some("approve_and_merge"),
            "{place}: the decision differs"
        );
        assert_eq!(finished_steps(state.path()).len(), 4, "{place}");
        let calls_after = up.calls.lock().unwrap().len() - calls_before;
        assert_eq!(
            calls_after,
            4 - steps_kept,
            "{place}: a kept step ran again, or one never ran"
        );
        let report = state.path().join("reports").join(&row.new.report_name);
        assert_eq!(
            std::fs::read_to_string(report).unwrap(),
            row.report_text.unwrap(),
            "{place}"
        );
        assert!(row.report_written, "{place}");
    }
}
