//! Runs and alerts as an operator sees them: what a run is about, what it waits for, what needs a look.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::support::*;
use bsm::engine::Handle;
use bsm::engine::Operator as _;
use bsm::engine::protocol::alert::Alert;
use bsm::engine::protocol::command::{Command, Refused, Reply, Subject, Trigger};
use bsm::engine::protocol::phase::PhaseKind;
use bsm::engine::protocol::query::{Answer, Query};
use bsm::engine::protocol::run::{Action, RunResult, RunState};
use bsm::engine::protocol::snapshot::{RunSummary, Snapshot};

/// The snapshot in which something holds, within ten seconds.
async fn until(handle: &Handle, what: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    let mut snapshots = handle.snapshots();
    let seen = snapshots.wait_for(|s| what(s));
    let seen = tokio::time::timeout(Duration::from_secs(10), seen).await;
    Arc::clone(&seen.expect("it never held").unwrap())
}

async fn listed(handle: &Handle, filter: &str) -> Vec<RunSummary> {
    let query = Query::Runs {
        limit: 100,
        filter: filter.into(),
    };
    match handle.query(query).await.unwrap() {
        Answer::Runs { runs } => runs,
        other => panic!("{other:?}"),
    }
}

async fn one(handle: &Handle, id: &str) -> RunResult {
    match handle.query(Query::Run { id: id.into() }).await.unwrap() {
        Answer::Run { run } => *run,
        other => panic!("{other:?}"),
    }
}

async fn alerts(handle: &Handle) -> Vec<Alert> {
    match handle.query(Query::Alerts).await.unwrap() {
        Answer::Alerts { alerts } => alerts,
        other => panic!("{other:?}"),
    }
}

/// A pull request over a change with a private key in it.
fn pull_request(number: u64) -> Trigger {
    let (key, _) = private_key();
    Trigger {
        payload: json!({
            "action": "opened",
            "repository": {"full_name": "acme/app"},
            "pull_request": {
                "number": number, "title": "Rotate the deploy key", "user": {"login": "usr"},
                "head": {"sha": "0123456789abcdef0123456789abcdef01234567", "ref": "rotate"},
            },
        }),
        ..trigger("pull_request.opened", &adding("deploy/id_rsa", &key))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_is_listed_with_what_it_is_about_and_why_it_was_decided_so() {
    let state = state_folder();
    let mut start = Start::new(state.path());
    start.mode.offline = true;
    let handle = start.go().await;
    let run = finish(&handle, pull_request(482)).await;
    finish(&handle, trigger("pull_request.opened", DOCS)).await;
    assert_eq!(run.decision.as_ref().unwrap().action, Action::BlockPr);
    let check = |runs: Vec<RunSummary>, from: &str| {
        let found = runs.iter().find(|r| r.id == run.run_id).unwrap();
        let identity = found.identity.as_ref().unwrap();
        assert_eq!(found.place().as_deref(), Some("acme/app#482"), "{from}");
        let title = identity.title.as_ref().map(bsm::text::Untrusted::raw);
        assert_eq!(title, Some("Rotate the deploy key"), "{from}");
        assert_eq!(found.author().as_deref(), Some("usr"), "{from}");
        assert_eq!(identity.head_sha.as_deref(), Some("0123456789ab"), "{from}");
        assert_eq!(identity.branch.as_ref().unwrap().raw(), "rotate", "{from}");
        assert_eq!(identity.started_by.as_deref(), Some("test"), "{from}");
        let why = found.why.as_ref().unwrap().raw();
        assert!(why.contains("deploy/id_rsa"), "{from}: {why}");
        assert_eq!(
            (found.micro_usd, found.model_ms, found.is_live()),
            (Some(0), Some(0), false),
            "{from}"
        );
        assert!(found.waited_ms.is_some(), "{from}");
    };
    let snapshot = until(&handle, |s| s.counts.finished == 2).await;
    check(snapshot.runs.clone(), "snapshot");
    check(
        listed(&handle, "repo:acme pr:482 author:usr title:rotate").await,
        "query",
    );
    for nobody in [
        "author:bo",
        "pr:48",
        "pr>482",
        "repo:acme/app2",
        "cost>$0.01",
        "live:yes",
    ] {
        let found = listed(&handle, nobody).await;
        let has = found.iter().any(|r| r.id == run.run_id);
        // A number that is part of another one is found by `:`, as everywhere.
        assert!(!has || nobody == "pr:48", "{nobody}");
    }
    let other = listed(&handle, "title:sample -repo:acme").await;
    assert!(other.is_empty(), "a diff alone names nothing");
    handle.stop(Duration::from_secs(5)).await;

    // A line of an older version says nothing of it; what was kept at intake does.
    let journal = bsm::state::StateDir::at(state.path()).journal();
    let connection = rusqlite::Connection::open(journal).unwrap();
    let strip = "UPDATE runs SET brief = json_remove(brief, '$.identity', '$.why', '$.waitedMs', \
                 '$.modelMs', '$.microUsd')";
    assert_eq!(connection.execute(strip, []).unwrap(), 2);
    drop(connection);
    let handle = Start::new(state.path()).go().await;
    check(handle.snapshots().borrow().runs.clone(), "after a restart");
    check(listed(&handle, "").await, "an older line");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_at_work_says_what_each_agent_waits_for_and_keeps_it() {
    // One place: one agent is with the provider, three wait for it.
    let (open, gate) = tokio::sync::watch::channel(false);
    let gate = Arc::new(gate);
    let asked = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&asked);
    let up = gated_upstream(gate, counted).await;
    let state = state_folder();
    let mut start = Start::new(state.path()).upstream(&up);
    let mut pool = start.settings.pool("openai");
    pool.limit = 1;
    start.settings.pools.insert("openai".into(), pool);
    let handle = start.go().await;
    let id = accept(&handle, trigger("pull_request.opened", DOCS)).await;
    let kinds = |s: &Snapshot| {
        let phases = s.runs[0]
            .steps
            .iter()
            .filter_map(|step| step.phase.as_ref());
        let mut kinds: Vec<&str> = phases.map(|p| p.kind.as_str()).collect();
        kinds.sort_unstable();
        kinds
    };
    let waiting = ["queued", "queued", "queued", "waiting"];
    let snapshot = until(&handle, |s| !s.runs.is_empty() && kinds(s) == waiting).await;
    let brief = &snapshot.runs[0];
    let slowest = brief.slowest_phase().unwrap();
    assert_eq!(
        (slowest.kind, slowest.provider.as_str(), slowest.attempt),
        (PhaseKind::Queued, "openai", 1)
    );
    let later = slowest.started_ms + 21_000;
    assert_eq!(
        brief.why_at(later).as_deref(),
        Some("queued for openai 21 s")
    );
    assert!(brief.waited_at(later).unwrap() >= 21_000);
    let live = one(&handle, &id).await;
    assert!(
        live.agents
            .iter()
            .all(|s| s.phases.last().unwrap().ended_ms.is_none())
    );

    open.send(true).unwrap();
    let run = handle.finished(&id).await.unwrap();
    // The first answer of the upstream was a 503: one agent tried twice.
    let all: Vec<_> = run.agents.iter().flat_map(|s| &s.phases).collect();
    assert!(
        all.iter()
            .all(|p| p.ended_ms.is_some_and(|end| end >= p.started_ms))
    );
    let retrying: Vec<_> = all
        .iter()
        .filter(|p| p.kind == PhaseKind::Retrying)
        .collect();
    assert_eq!(retrying.len(), 1, "{all:?}");
    assert_eq!(
        (
            retrying[0].attempt,
            retrying[0].of,
            retrying[0].reason.as_deref()
        ),
        (2, 3, Some("openai http_503"))
    );
    for step in &run.agents {
        let last = step.phases.last().unwrap();
        assert_eq!(
            (last.kind, last.tokens > 0),
            (PhaseKind::Streaming, true),
            "{step:?}"
        );
    }
    assert_eq!(
        one(&handle, &id).await,
        run,
        "the waterfall stays with the run"
    );
    let text = run.to_json_text().unwrap();
    assert_eq!(serde_json::from_str::<RunResult>(&text).unwrap(), run);
    let brief = until(&handle, |s| s.counts.finished == 1).await.runs[0].clone();
    assert!(brief.steps.iter().all(|s| s.phase.is_none()));
    assert!(brief.waited_ms.is_some() && brief.model_ms.is_some());
}

/// An upstream that answers when the gate opens: the first call with 503, all others with an approval.
async fn gated_upstream(
    gate: Arc<tokio::sync::watch::Receiver<bool>>,
    asked: Arc<AtomicU32>,
) -> String {
    use axum::response::IntoResponse as _;
    let answer = move || {
        let (mut gate, asked) = ((*gate).clone(), Arc::clone(&asked));
        async move {
            gate.wait_for(|open| *open).await.unwrap();
            if asked.fetch_add(1, Ordering::Relaxed) == 0 {
                return (axum::http::StatusCode::SERVICE_UNAVAILABLE, "busy").into_response();
            }
            let content = r#"{"decision":"approve","score":90,"comments":[]}"#;
            axum::Json(json!({
                "choices": [{"index": 0, "message": {"role": "assistant", "content": content},
                             "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 10, "completion_tokens": 5},
            }))
            .into_response()
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let routes = axum::Router::new()
        .route("/v1/chat/completions", axum::routing::post(answer))
        .layer(axum::extract::DefaultBodyLimit::max(64 << 20));
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    url
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancelling_twenty_queued_runs_in_a_row_is_immediate_and_a_rerun_of_one_works() {
    let up = upstream(|_, _| Wire::Slow(Duration::from_secs(60), "{}".into())).await;
    let state = state_folder();
    let mut start = Start::new(state.path()).upstream(&up.url);
    start.settings.engine.max_concurrent_runs = 1;
    let handle = start.go().await;
    let running = accept(&handle, pull_request(1)).await;
    until(&handle, |s| s.counts.running == 1).await;
    let mut queued = Vec::new();
    for number in 2..52 {
        queued.push(accept(&handle, pull_request(number)).await);
    }
    let all = until(&handle, |s| s.counts.queued == 50).await;
    assert_eq!(
        (all.runs.len(), all.runs_left_out),
        (51, 0),
        "every live run is listed"
    );
    assert!(all.runs.iter().all(RunSummary::is_live));
    let began = std::time::Instant::now();
    for run in &queued[..20] {
        let cancel = Command::CancelRun { run: run.clone() };
        assert!(matches!(
            command(&handle, cancel).await,
            Ok(Reply::Done { .. })
        ));
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "20 cancels took {took:?}");
    // A cancelled run is for a moment in neither list: what it comes to is waited for.
    let after = until(&handle, |s| {
        s.counts.queued == 30 && s.counts.finished == 20
    })
    .await;
    assert_eq!(after.counts.running, 1);
    for run in &queued[..20] {
        let found = after.runs.iter().find(|r| r.id == *run);
        assert!(
            found.is_none_or(|r| r.state == RunState::Cancelled),
            "{found:?}"
        );
    }
    let again = Command::CancelRun {
        run: queued[0].clone(),
    };
    let refused = command(&handle, again).await;
    assert!(
        matches!(refused, Err(Refused::NotFound { .. })),
        "{refused:?}"
    );

    for run in queued[20..].iter().chain([&running]) {
        let cancel = Command::CancelRun { run: run.clone() };
        command(&handle, cancel).await.unwrap();
    }
    until(&handle, |s| s.counts.queued + s.counts.running == 0).await;
    let rerun = Command::RunAgain {
        run: queued[0].clone(),
    };
    let Ok(Reply::Accepted { run, .. }) = command(&handle, rerun).await else {
        panic!("not accepted");
    };
    let seen = until(&handle, |s| s.runs.iter().any(|r| r.id == run)).await;
    let brief = seen.runs.iter().find(|r| r.id == run).unwrap();
    assert_eq!(
        brief.place().as_deref(),
        Some("acme/app#2"),
        "it is about the same"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alert_holds_until_its_cause_is_over_and_an_acknowledgement_is_audited() {
    let state = state_folder();
    let handle = Start::new(state.path()).go().await;
    let isolate = Command::IsolateBreaker {
        breaker: "openai".into(),
    };
    command(&handle, isolate).await.unwrap();
    let is = |a: &Alert| a.code == "breaker-isolated" && a.text.starts_with("openai");
    let snapshot = until(&handle, |s| s.alerts.iter().any(is)).await;
    let alert = snapshot.alerts.iter().find(|a| is(a)).unwrap().clone();
    assert!(alert.needs_a_look() && alert.count == 1);
    let page = bsm::engine::protocol::runbook::text(alert.runbook.as_deref().unwrap());
    assert!(page.unwrap().starts_with("# "), "{alert:?}");

    let acknowledge = |id: &str| Command::AcknowledgeAlert { alert: id.into() };
    let refused = command(&handle, acknowledge("alr_nobody")).await;
    assert!(
        matches!(refused, Err(Refused::NotFound { .. })),
        "{refused:?}"
    );
    command(&handle, acknowledge(&alert.id)).await.unwrap();
    let seen = alerts(&handle)
        .await
        .into_iter()
        .find(|a| a.id == alert.id)
        .unwrap();
    assert_eq!(seen.acknowledged_by.as_deref(), Some("test"));
    assert!(
        seen.is_active() && !seen.needs_a_look(),
        "what holds still holds"
    );

    command(&handle, Command::ResetBreaker { breaker: None })
        .await
        .unwrap();
    let over = |a: &Alert| a.id == alert.id && a.resolved_ms.is_some();
    until(&handle, |s| s.alerts.iter().any(over)).await;
    handle.stop(Duration::from_secs(5)).await;
    let trail = std::fs::read_to_string(bsm::state::StateDir::at(state.path()).audit()).unwrap();
    let line = trail
        .lines()
        .find(|l| l.contains("acknowledge_alert") && l.contains(&alert.id));
    assert!(line.is_some_and(|l| l.contains("test")), "{trail}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storage_query_says_what_the_files_take_and_is_not_measured_each_time() {
    let state = state_folder();
    let mut start = Start::new(state.path());
    start.resident = true;
    let handle = start.go().await;
    finish(&handle, pull_request(1)).await;
    let usage = async || match handle.query(Query::Storage).await.unwrap() {
        Answer::Storage { usage } => *usage,
        other => panic!("{other:?}"),
    };
    let first = usage().await;
    assert!(first.problems.is_empty(), "{:?}", first.problems);
    let journal = first.files.iter().find(|p| p.name == "journal").unwrap();
    assert!(journal.bytes > 0 && first.total_bytes >= journal.bytes);
    let runs = first.journal.iter().find(|p| p.name == "runs").unwrap();
    assert_eq!(runs.items, Some(1));
    assert!(runs.bound.is_some());
    finish(&handle, pull_request(2)).await;
    assert_eq!(usage().await, first, "the same measurement");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folder_and_sample_name_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let name = folder
        .path()
        .file_name()
        .unwrap()
        .to_string_lossy()
        .into_owned();
    let state = state_folder();
    let mut start = Start::new(state.path());
    start.mode.offline = true;
    let handle = start.go().await;
    let check = Trigger {
        event: "repository.health_check".into(),
        subject: Some(Subject::Folder {
            dir: folder.path().into(),
        }),
        ..Trigger::default()
    };
    let sample = Trigger {
        event: "pull_request.opened".into(),
        subject: Some(Subject::Sample {
            name: "risky".into(),
        }),
        ..Trigger::default()
    };
    let (check, sample) = (finish(&handle, check).await, finish(&handle, sample).await);
    let runs = listed(&handle, "").await;
    let of = |id: &str| runs.iter().find(|r| r.id == id).unwrap();
    assert_eq!(of(&check.run_id).place(), Some(name));
    let title = of(&sample.run_id).identity.as_ref().unwrap().title.clone();
    assert_eq!(title.unwrap().raw(), "sample risky");
    assert_eq!(of(&sample.run_id).author().as_deref(), Some("test"));
}
