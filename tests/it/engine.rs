//! The engine from event to decision, over real sockets, with wire answers written by hand.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::support::*;
use bsm::engine::Operator as _;
use bsm::engine::protocol::command::{Command, Refused, Subject};
use bsm::engine::protocol::query::{Answer, Query};
use bsm::engine::protocol::run::{Action, Evidence, RunState, StepStatus};
use bsm::engine::protocol::snapshot::Mode;
use bsm::journal::{Journal, RunStatus};
use bsm::workspace::built_in_agents;
use bsm::workspace::events::EventTable;
use bsm::workspace::trust::TrustStore;

fn agent_name(id: &str) -> String {
    built_in_agents::agent(id).unwrap().name.raw().to_owned()
}

fn responses(s: &bsm::engine::protocol::snapshot::Snapshot) -> u64 {
    s.caches
        .iter()
        .find(|c| c.name == "responses")
        .unwrap()
        .entries
}

/// A folder that a health check has nothing against.
fn healthy_folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in ["README.md", "LICENSE", ".gitignore", "CODEOWNERS"] {
        std::fs::write(dir.path().join(name), "text\n").unwrap();
    }
    dir
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn approving_answers_approve_and_each_verdict_decides() {
    let state = state_folder();
    for (decision, action, rule) in [
        ("approve", Action::ApproveAndMerge, 5),
        ("comment", Action::ManualReview, 6),
        ("request_changes", Action::RequestChanges, 4),
        ("block", Action::BlockPr, 1),
    ] {
        let up = upstream(move |_, _| Wire::verdict(decision)).await;
        let mut start = Start::new(state.path()).upstream(&up.url);
        start.mode.no_save = true;
        let handle = start.go().await;
        let run = finish(&handle, trigger("pull_request.opened", DOCS)).await;
        let got = run.decision.unwrap();
        assert_eq!(
            (got.action, got.rule, run.evidence),
            (action, rule, Evidence::Full),
            "{decision}"
        );
        assert_eq!(up.calls.lock().unwrap().len(), 4);
    }
}

/// outage, garbage, cut off, refused × each agent × each event: never an approval, the agent is named.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn missing_evidence_never_approves_whatever_agent_and_event() {
    let folder = healthy_folder();
    let faults: [(&str, Wire); 6] = [
        ("outage", Wire::Status(503, "<html>down</html>")),
        (
            "garbage",
            Wire::Content("no blocking issues, approve".into()),
        ),
        ("not json", Wire::Body("{\"choices\": [")),
        (
            "cut off",
            Wire::Body(
                r#"{"choices":[{"message":{"content":"{\"decision\":\"approve\"}"},"finish_reason":"length"}]}"#,
            ),
        ),
        (
            "refused",
            Wire::Body(
                r#"{"choices":[{"message":{"content":null,"refusal":"I cannot"},"finish_reason":"stop"}]}"#,
            ),
        ),
        (
            "lower case",
            Wire::Content("{\"decision\":\"Approve\"}".into()),
        ),
    ];
    let events = EventTable::built_in().events;
    for (event, rule) in &events {
        for agent in &rule.agents {
            for (name, fault) in &faults {
                let (fault, failing) = (fault.clone(), agent_name(agent));
                let up = upstream(move |system, _| {
                    if system.starts_with(&format!("You are {failing},")) {
                        fault.clone()
                    } else {
                        Wire::verdict("approve")
                    }
                })
                .await;
                let state = state_folder();
                let mut start = Start::new(state.path()).upstream(&up.url);
                start.mode.no_save = true;
                start.settings.fallback.0 = false;
                let handle = start.go().await;
                let mut trigger = trigger(event, DOCS);
                if rule.outcome == bsm::workspace::events::OutcomeKind::Health {
                    trigger.subject = Some(Subject::Folder {
                        dir: folder.path().into(),
                    });
                }
                let run = finish(&handle, trigger).await;
                let decision = run.decision.unwrap();
                let case = format!("{event}, {agent}, {name}: {decision:?}");
                assert_eq!(
                    (decision.action, decision.rule),
                    (Action::ManualReview, 6),
                    "{case}"
                );
                assert_eq!(run.evidence, Evidence::Partial, "{case}");
                assert!(decision.reason.raw().contains(agent.as_str()), "{case}");
                let step = run.agents.iter().find(|s| s.agent_id == *agent).unwrap();
                assert_eq!(step.status, StepStatus::Degraded, "{case}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_never_makes_a_verdict_milder_and_never_sees_a_secret() {
    let state = state_folder();
    let up = upstream(|_, _| Wire::verdict("approve")).await;
    let handle = Start::new(state.path()).upstream(&up.url).go().await;
    let (key, canary) = private_key();
    let diff = adding("deploy/server.key", &key);
    assert!(
        diff.contains(&canary),
        "the canary must be in the raw input"
    );
    let mut t = trigger("pull_request.opened", &diff);
    t.payload = serde_json::json!({"pull_request": {"number": 7, "title": key.clone()}, "token": "test-key-0123456789"});
    let run = finish(&handle, t).await;
    let decision = run.decision.clone().unwrap();
    assert_eq!((decision.action, decision.rule), (Action::BlockPr, 2));
    assert!(
        decision
            .reason
            .raw()
            .contains("secrets/private-key at deploy/server.key:1"),
        "{decision:?}"
    );
    for (system, user) in up.calls.lock().unwrap().iter() {
        assert!(!user.contains(&canary) && !system.contains(&canary));
        assert!(user.contains("redacted secrets/private-key"));
        assert!(
            !user.contains("test-key-0123456789"),
            "a configured key is known by its value"
        );
    }
    let Ok(Answer::Report { text }) = handle
        .query(Query::Report {
            id: run.run_id.clone(),
        })
        .await
    else {
        panic!()
    };
    assert!(!text.raw().contains(&canary));
    handle.stop(Duration::from_secs(2)).await;
    let files = all_bytes(state.path());
    assert!(
        files.keys().any(|f| f.ends_with("bsm.db")) && files.keys().any(|f| f.ends_with(".md"))
    );
    for (file, bytes) in files {
        assert!(!contains(&bytes, canary.as_bytes()), "the key is in {file}");
        assert!(
            !contains(&bytes, b"test-key-0123456789"),
            "the configured key is in {file}"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_key_and_an_empty_account_are_told_once_and_never_retried() {
    for (status, body, words) in [
        (
            401,
            r#"{"error":{"message":"bad key","code":"invalid_api_key"}}"#,
            "openai refuses the key (401): OPENAI_API_KEY",
        ),
        (
            429,
            r#"{"error":{"message":"pay","code":"insufficient_quota"}}"#,
            "openai says that the account's quota is used up: OPENAI_API_KEY",
        ),
    ] {
        let state = state_folder();
        let up = upstream(move |_, _| Wire::Status(status, body)).await;
        let mut start = Start::new(state.path()).upstream(&up.url);
        start.settings.fallback.0 = false;
        let handle = start.go().await;
        let run = finish(&handle, trigger("pull_request.opened", DOCS)).await;
        assert_eq!(run.decision.unwrap().action, Action::ManualReview);
        let calls = up.calls.lock().unwrap().len();
        assert!(
            (1..=4).contains(&calls),
            "{calls}: at most one attempt an agent, none once it is known"
        );
        let again = finish(&handle, trigger("pull_request.opened", DOCS)).await;
        assert_eq!(up.calls.lock().unwrap().len(), calls, "the key rests");
        let skipped = &again.agents[0].skipped;
        assert!(
            skipped.iter().any(|s| s.reason.contains("OPENAI_API_KEY")),
            "{skipped:?}"
        );
        let mut snapshots = handle.snapshots();
        let told = snapshots.wait_for(|s| s.alerts.iter().any(|a| a.text == words));
        let snapshot = tokio::time::timeout(Duration::from_secs(5), told)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            snapshot.alerts.iter().filter(|a| a.text == words).count(),
            1
        );
        assert!(
            snapshot.breakers.iter().all(|b| b.failures == 0),
            "it says nothing about health"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_to_review_a_default_event_and_a_missing_agent_end_with_a_person() {
    let state = state_folder();
    let handle = Start::new(state.path()).go().await;
    let empty = finish(&handle, trigger("pull_request.opened", "")).await;
    assert!(
        empty
            .decision
            .unwrap()
            .reason
            .raw()
            .contains("nothing to review")
    );
    let unknown = finish(&handle, trigger("something.else", DOCS)).await;
    assert_eq!(unknown.requested_event.unwrap().raw(), "something.else");
    assert_eq!(unknown.decision.unwrap().action, Action::ManualReview);
    let merge = finish(&handle, trigger("check_suite.completed", "")).await;
    assert_eq!(merge.decision.unwrap().action, Action::ManualReview);

    let dir = tempfile::tempdir().unwrap();
    bsm::workspace::init::init(dir.path()).unwrap();
    let events = "version: 1\nevents:\n  x: {agents: [security-agent, ghost], strategy: parallel, outcome: review, needsDiff: true}\n";
    std::fs::write(dir.path().join("agents/events.yaml"), events).unwrap();
    let state = state_folder();
    let mut start = Start::new(state.path());
    start.root = Some(dir.path());
    let handle = start.go().await;
    let run = finish(&handle, trigger("x", DOCS)).await;
    assert_eq!(
        (run.agents[0].status, run.agents[1].status),
        (StepStatus::Succeeded, StepStatus::Failed)
    );
    let decision = run.decision.unwrap();
    assert_eq!(decision.action, Action::ManualReview);
    assert!(
        decision.reason.raw().contains("ghost: unknown_agent"),
        "{decision:?}"
    );
    assert!(dir.path().join("reports").read_dir().unwrap().count() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cancel_stops_a_run_within_a_tenth_of_a_second() {
    let state = state_folder();
    let up =
        upstream(|_, _| Wire::Slow(Duration::from_secs(20), r#"{"decision":"approve"}"#.into()))
            .await;
    let handle = Start::new(state.path()).upstream(&up.url).go().await;
    let diff = adding("a.py", "import pdb; pdb.set_trace()\n");
    let id = accept(&handle, trigger("pull_request.opened", &diff)).await;
    while up.calls.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    command(&handle, Command::CancelRun { run: id.clone() })
        .await
        .unwrap();
    let run = handle.finished(&id).await.unwrap();
    assert!(
        began.elapsed() < Duration::from_millis(500),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(
        (run.state, run.decision.unwrap().action),
        (RunState::Cancelled, Action::ManualReview)
    );
    assert!(run.agents.iter().all(|s| s.status == StepStatus::Cancelled));
    assert!(matches!(
        command(&handle, Command::CancelRun { run: id }).await,
        Err(Refused::NotFound { .. })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_most_so_many_runs_at_once_the_rest_wait_and_none_is_lost() {
    let state = state_folder();
    let mut start = Start::new(state.path());
    start.mode = Mode {
        simulated: true,
        ..Mode::default()
    };
    let handle = start.go().await;
    let mut snapshots = handle.snapshots();
    let ids: Vec<String> = {
        let mut ids = Vec::new();
        for n in 0..200 {
            // Each its own change, so that no answer is shared.
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
        ids
    };
    let mut most = 0;
    let watch = tokio::spawn(async move {
        while snapshots.changed().await.is_ok() {
            most = most.max(snapshots.borrow().counts.running);
            if snapshots.borrow().counts.finished == 200 {
                break;
            }
        }
        most
    });
    for id in &ids {
        let run = tokio::time::timeout(Duration::from_secs(120), handle.finished(id))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (run.decision.unwrap().action, run.evidence, run.simulated),
            (Action::ManualReview, Evidence::Simulated, true)
        );
    }
    let most = watch.await.unwrap();
    assert!((1..=8).contains(&most), "{most} at once");
    let snapshot = handle.snapshots().borrow().clone();
    assert_eq!((snapshot.counts.finished, snapshot.counts.failed), (200, 0));
    assert!(
        bsm::text::json(&*snapshot).unwrap().len() <= 64 * 1024,
        "the picture is too large"
    );
    for pool in &snapshot.pools {
        assert_eq!((pool.in_use, pool.queued), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_engine_resumes_and_no_finished_step_runs_twice() {
    let state = state_folder();
    // Sequential, so that exactly the first step has ended when the second hangs.
    let up = upstream(|system, _| {
        if system.starts_with("You are Architect,") {
            Wire::verdict("approve")
        } else {
            Wire::Slow(Duration::from_secs(30), String::new())
        }
    })
    .await;
    let mut start = Start::new(state.path()).upstream(&up.url);
    start.resident = true;
    let handle = start.go().await;
    let folder = healthy_folder();
    let mut t = trigger("manual.orchestrator_run", "");
    t.subject = Some(Subject::Folder {
        dir: folder.path().into(),
    });
    let id = accept(&handle, t).await;
    while up.calls.lock().unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    handle.stop(Duration::from_millis(200)).await;
    drop(handle);
    drop(up);
    let up = upstream(|_, _| Wire::verdict("approve")).await;
    let mut start = Start::new(state.path()).upstream(&up.url);
    start.resident = true;
    let handle = start.go().await;
    let run = tokio::time::timeout(Duration::from_secs(10), handle.finished(&id))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(run.decision.unwrap().action, Action::Pass);
    let calls = up.calls.lock().unwrap();
    assert_eq!(
        calls.len(),
        2,
        "the architect's step was finished and must not run again"
    );
    assert!(
        !calls
            .iter()
            .any(|(system, _)| system.starts_with("You are Architect,"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_journal_accepts_nothing_and_work_in_hand_goes_on_once_it_can() {
    let state = state_folder();
    let up = upstream(|_, _| {
        Wire::Slow(
            Duration::from_millis(300),
            r#"{"decision":"approve"}"#.into(),
        )
    })
    .await;
    let handle = Start::new(state.path()).upstream(&up.url).go().await;
    let id = accept(&handle, trigger("pull_request.opened", DOCS)).await;
    let journal = handle.journal();
    journal.limit_pages(1).await.unwrap();
    let big = adding("big.txt", &"a line of text\n".repeat(40_000));
    let refused = handle
        .send(bsm::engine::protocol::command::Envelope {
            command: Command::Trigger(trigger("pull_request.opened", &big)),
            actor: "test".into(),
            correlation: None,
        })
        .await;
    assert!(
        matches!(refused, Err(Refused::Journal { .. })),
        "{refused:?}"
    );
    journal.limit_pages(1_000_000).await.unwrap();
    let run = tokio::time::timeout(Duration::from_secs(20), handle.finished(&id))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(run.decision.unwrap().action, Action::ApproveAndMerge);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_crashes_while_active_set_a_run_aside() {
    let state = state_folder();
    let up = upstream(|_, _| Wire::Slow(Duration::from_secs(30), String::new())).await;
    let mut start = Start::new(state.path()).upstream(&up.url);
    start.resident = true;
    let handle = start.go().await;
    let id = accept(&handle, trigger("pull_request.opened", DOCS)).await;
    while up.calls.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    handle.stop(Duration::from_millis(100)).await;
    drop(handle);
    // As a crash leaves it: begun twice, never parked.
    let journal = Journal::open(&state.path().join("bsm.db")).unwrap();
    journal.start(&id, 1).await.unwrap();
    journal.start(&id, 1).await.unwrap();
    journal.close();
    drop(journal);
    let mut start = Start::new(state.path()).upstream(&up.url);
    start.resident = true;
    let handle = start.go().await;
    let began = Instant::now();
    let run = loop {
        let Ok(Answer::Run { run }) = handle.query(Query::Run { id: id.clone() }).await else {
            panic!()
        };
        if run.decision.is_some() {
            break run;
        }
        assert!(began.elapsed() < Duration::from_secs(10), "never set aside");
        tokio::task::yield_now().await;
    };
    let decision = run.decision.unwrap();
    assert_eq!(
        (run.state, decision.action),
        (RunState::Failed, Action::ManualReview)
    );
    assert!(decision.reason.raw().contains("stopped 2 times"));
    let row = handle.journal().run(&id).await.unwrap().unwrap();
    assert_eq!(row.status, RunStatus::Failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_command_does_what_it_says_is_audited_and_refused_when_read_only() {
    let state = state_folder();
    let mut start = Start::new(state.path());
    start.mode = Mode {
        simulated: true,
        ..Mode::default()
    };
    let handle = start.go().await;
    finish(&handle, trigger("pull_request.opened", DOCS)).await;
    let settled = |want: fn(&bsm::engine::protocol::snapshot::Snapshot) -> bool| {
        let mut snapshots = handle.snapshots();
        async move {
            tokio::time::timeout(Duration::from_secs(5), async {
                snapshots.wait_for(|s| want(s)).await.map(drop)
            })
            .await
            .unwrap()
            .unwrap();
        }
    };
    settled(|s| responses(s) == 4).await;
    command(
        &handle,
        Command::ClearCache {
            cache: Some("responses".into()),
            tag: None,
        },
    )
    .await
    .unwrap();
    settled(|s| responses(s) == 0).await;
    command(
        &handle,
        Command::IsolateBreaker {
            breaker: "openai".into(),
        },
    )
    .await
    .unwrap();
    settled(|s| s.reasons.iter().any(|r| r.message == "openai isolated")).await;
    command(&handle, Command::ResetBreaker { breaker: None })
        .await
        .unwrap();
    settled(|s| s.reasons.iter().all(|r| r.check != "providers")).await;
    for send in [
        Command::IsolateBreaker {
            breaker: "openai".into(),
        },
        Command::CloseBreaker {
            breaker: "openai".into(),
        },
        Command::SetFlag {
            flag: "rateLimiter".into(),
            on: false,
        },
        Command::SetFlag {
            flag: "bulkhead".into(),
            on: false,
        },
        Command::SetFlag {
            flag: "retry".into(),
            on: false,
        },
    ] {
        command(&handle, send).await.unwrap();
    }
    settled(|s| {
        let closed = |b: &bsm::resilience::breaker::BreakerStats| {
            b.transitions
                .last()
                .is_some_and(|t| t.cause == "closed by test")
        };
        s.breakers.iter().any(closed)
            && !(s.flags.rate_limiter || s.flags.bulkhead || s.flags.retry)
    })
    .await;
    command(
        &handle,
        Command::ResizePool {
            pool: "openai".into(),
            limit: 3,
        },
    )
    .await
    .unwrap();
    settled(|s| s.pools.iter().any(|p| p.name == "openai" && p.limit == 3)).await;
    command(
        &handle,
        Command::SetFlag {
            flag: "circuitBreaker".into(),
            on: false,
        },
    )
    .await
    .unwrap();
    settled(|s| !s.flags.circuit_breaker).await;
    command(&handle, Command::Reload).await.unwrap();
    for bad in [
        Command::ClearCache {
            cache: Some("nosuch".into()),
            tag: None,
        },
        Command::ResetBreaker {
            breaker: Some("nosuch".into()),
        },
        Command::CloseBreaker {
            breaker: "nosuch".into(),
        },
        Command::ResizePool {
            pool: "openai".into(),
            limit: 0,
        },
        Command::SetFlag {
            flag: "nosuch".into(),
            on: true,
        },
        Command::CancelRun {
            run: "nosuch".into(),
        },
        Command::RunAgain {
            run: "nosuch".into(),
        },
    ] {
        assert!(command(&handle, bad.clone()).await.is_err(), "{bad:?}");
    }
    let audit = std::fs::read_to_string(state.path().join("audit.jsonl")).unwrap();
    assert_eq!(audit.lines().count(), 19, "{audit}");
    assert!(
        audit
            .lines()
            .all(|l| serde_json::from_str::<serde_json::Value>(l)
                .is_ok_and(|v| v["actor"] == "test"))
    );
    assert!(audit.contains("refused: there is no cache 'nosuch'"));

    let state = state_folder();
    let mut start = Start::new(state.path());
    start.mode.read_only = true;
    let handle = start.go().await;
    assert_eq!(
        command(&handle, Command::Reload).await,
        Err(Refused::ReadOnly)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_good_edit_is_live_and_a_broken_one_keeps_the_last_good_version() {
    let dir = tempfile::tempdir().unwrap();
    bsm::workspace::init::init(dir.path()).unwrap();
    let state = state_folder();
    let list = state.path().join("trust/trusted.json");
    let trust = || {
        let root = bsm::files::Root::open(dir.path()).unwrap();
        let hash = bsm::workspace::trust::policy_hash(&root);
        let mut store = TrustStore::at(list.clone());
        store.set(dir.path(), Some(&hash)).unwrap();
    };
    trust();
    let mut start = Start::new(state.path());
    (start.root, start.resident) = (Some(dir.path()), true);
    start.trust = TrustStore::at(list.clone());
    let handle = start.go().await;
    let file = dir.path().join("data/agents/security-agent.yaml");
    let good = std::fs::read_to_string(&file).unwrap();
    let mut snapshots = handle.snapshots();
    let mut until =
        async |what: &str, want: &dyn Fn(&bsm::engine::protocol::snapshot::Snapshot) -> bool| {
            let wait = async { snapshots.wait_for(|s| want(s)).await.map(drop) };
            tokio::time::timeout(Duration::from_secs(10), wait)
                .await
                .unwrap_or_else(|_| panic!("{what} never happened"))
                .unwrap();
        };
    // An edit that nobody looked at changes nothing, and is said. The watcher starts in the background:
    // touch the file until it is seen.
    let told = |s: &bsm::engine::protocol::snapshot::Snapshot| {
        let mut alerts = s.alerts.iter();
        s.workspace.kept_last_good
            && alerts.any(|a| a.text.contains("changed since it was trusted"))
    };
    for n in 0..100 {
        std::fs::write(
            &file,
            format!("id: security-agent\npacks: []\n# edit {n}\n"),
        )
        .unwrap();
        let seen = tokio::time::timeout(Duration::from_millis(600), until("the edit", &told));
        if seen.await.is_ok() {
            break;
        }
    }
    let secret = adding("a.py", &format!("t = \"ghp_{}\"", "a1B2c3D4e5".repeat(4)));
    let run = finish(&handle, trigger("pull_request.opened", &secret)).await;
    assert_eq!(run.decision.unwrap().action, Action::BlockPr);

    std::fs::write(&file, format!("{good}# looked at\n")).unwrap();
    trust();
    crate::support::command(&handle, Command::Reload)
        .await
        .unwrap();
    until("the trusted edit", &|s| {
        !s.workspace.kept_last_good && s.workspace.errors == 0
    })
    .await;
    std::fs::write(&file, "id: security-agent\n\tbroken").unwrap();
    trust();
    crate::support::command(&handle, Command::Reload)
        .await
        .unwrap();
    until("the broken edit", &|s| {
        s.workspace.kept_last_good && s.workspace.agents == 11
    })
    .await;
    let run = finish(&handle, trigger("pull_request.opened", DOCS)).await;
    assert_eq!(
        run.decision.unwrap().action,
        Action::ApproveAndMerge,
        "the last good agent still works"
    );
    std::fs::write(&file, &good).unwrap();
    trust();
    crate::support::command(&handle, Command::Reload)
        .await
        .unwrap();
    until("the mended edit", &|s| {
        !s.workspace.kept_last_good && s.workspace.errors == 0
    })
    .await;
}

/// The provider is down: the breaker opens, and every question that an operator has about it is answered
/// from what happened.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_can_be_followed_from_the_breaker_to_the_calls_and_says_why() {
    use bsm::engine::protocol::why::About;
    let up = upstream(|_, _| Wire::Status(503, "{}")).await;
    let state = state_folder();
    let handle = Start::new(state.path()).upstream(&up.url).go().await;
    let run = finish(&handle, trigger("pull_request.opened", DOCS)).await;
    assert_eq!(run.decision.unwrap().action, Action::ManualReview);
    let calls = |failed| {
        let query = Query::Calls {
            provider: Some("openai".into()),
            run: Some(run.run_id.clone()),
            failed,
            limit: 100,
        };
        let handle = &handle;
        async move {
            match handle.query(query).await.unwrap() {
                Answer::Calls { calls } => calls,
                other => panic!("{other:?}"),
            }
        }
    };
    let all = calls(false).await;
    let sent = all.iter().filter(|c| c.sent).count();
    assert_eq!(
        sent,
        up.calls.lock().unwrap().len(),
        "every attempt is there"
    );
    assert!(
        all.iter()
            .filter(|c| c.sent)
            .all(|c| c.outcome == "http_503")
    );
    assert!(
        all.iter()
            .all(|c| c.correlation == run.correlation_id && !c.agent.is_empty())
    );
    assert!(
        all.windows(2).all(|w| w[0].at_ms >= w[1].at_ms),
        "newest first"
    );
    assert_eq!(calls(true).await.len(), all.len());
    let why = |about: About| {
        let handle = &handle;
        async move { handle.query(Query::Why { about }).await }
    };
    let name = || "openai".to_owned();
    let Answer::Why { why: told } = why(About::Provider { name: name() }).await.unwrap() else {
        panic!("no answer");
    };
    let text = told.note();
    for part in [
        "openai open for",
        "It opened because of 5 failures in a row, last: http_503.",
        &format!("{sent} × http_503"),
        "Next trial in",
        "reset-breaker: try now instead of waiting",
        "docs/runbooks/breaker-open.md",
    ] {
        assert!(text.contains(part), "'{part}' is not in:\n{text}");
    }
    // What is red is what the header's question is about.
    let Answer::Why { why: health } = why(About::Health).await.unwrap() else {
        panic!("no answer");
    };
    assert_eq!(
        health.title.split(" for ").next(),
        told.title.split(" for ").next()
    );
    let Answer::Why { why: of_run } = why(About::Run {
        id: run.run_id.clone(),
    })
    .await
    .unwrap() else {
        panic!("no answer");
    };
    assert!(of_run.note().contains("(rule 6):"), "{}", of_run.note());
    for about in [
        About::Pool { name: name() },
        About::Cache {
            name: "responses".into(),
        },
        About::Latency,
    ] {
        assert!(why(about.clone()).await.is_ok(), "{about:?}");
    }
    for nothing in [
        About::Provider {
            name: "nosuch".into(),
        },
        About::Pool {
            name: "nosuch".into(),
        },
        About::Cache {
            name: "nosuch".into(),
        },
        About::Run {
            id: "nosuch".into(),
        },
    ] {
        assert!(why(nothing.clone()).await.is_err(), "{nothing:?}");
    }
}

/// Every page that an answer names is there, and says what to look at and what to do.
#[tokio::test]
async fn every_runbook_that_is_named_exists() {
    let folder = format!("{}/src/engine/observe/explain", env!("CARGO_MANIFEST_DIR"));
    let source: String = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap())
        .collect();
    let pages: Vec<&str> = source
        .split("runbook(\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(pages.len() >= 6, "{pages:?}");
    for page in pages {
        let path = format!("{}/docs/runbooks/{page}.md", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        for part in ["## What it means", "## Look", "## Do"] {
            assert!(text.contains(part), "{path} has no '{part}'");
        }
    }
}

/// Safe mode that was switched on by hand is not lifted by a reload.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reload_keeps_what_was_switched_by_hand() {
    let state = state_folder();
    let mut start = Start::new(state.path());
    start.env = bsm::settings::env::Env::of([("OPENAI_API_KEY", "test-key-0123456789")]);
    start.settings_loader = Some(std::sync::Arc::new(|_, _| {
        Ok(bsm::settings::Settings::default())
    }));
    let handle = start.go().await;
    let switch = |flag: &str, on| Command::SetFlag {
        flag: flag.into(),
        on,
    };
    command(&handle, switch("safeMode", true)).await.unwrap();
    command(&handle, switch("retry", false)).await.unwrap();
    let resize = Command::ResizePool {
        pool: "openai".into(),
        limit: 3,
    };
    command(&handle, resize).await.unwrap();
    command(&handle, Command::Reload).await.unwrap();
    let mut snapshots = handle.snapshots();
    snapshots
        .wait_for(|s| {
            let pool = s.pools.iter().find(|p| p.name == "openai").unwrap();
            s.mode.safe_mode && !s.flags.retry && pool.limit == 3 && s.ready_providers().is_empty()
        })
        .await
        .unwrap();
}

/// A layer that is switched off is off for the next call, not from the next reload on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switched_off_retry_sends_each_call_once() {
    let up = upstream(|_, _| Wire::Status(503, "{}")).await;
    let state = state_folder();
    let mut start = Start::new(state.path()).upstream(&up.url);
    start.settings.flags.circuit_breaker = false;
    start.settings.fallback.0 = false;
    let handle = start.go().await;
    let attempts = async |diff: &str| {
        let run = finish(&handle, trigger("pull_request.opened", diff)).await;
        run.agents.iter().map(|a| a.attempts).collect::<Vec<_>>()
    };
    assert!(attempts(DOCS).await.iter().any(|a| *a > 1));
    let off = Command::SetFlag {
        flag: "retry".into(),
        on: false,
    };
    command(&handle, off).await.unwrap();
    let other = DOCS.replace("8080", "9090");
    assert_eq!(attempts(&other).await, [1, 1, 1, 1]);
}

/// What was, can be looked at again; and charts are made of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_past_is_recorded_and_found_again_after_a_restart() {
    let state = state_folder();
    let mut start = Start::new(state.path());
    start.resident = true;
    let handle = start.go().await;
    let moment = async |handle: &bsm::engine::Handle, at_ms: i64, after: bool| match handle
        .query(Query::Moment { at_ms, after })
        .await
        .unwrap()
    {
        Answer::Moment { moment } => moment,
        other => panic!("{other:?}"),
    };
    let until =
        async |handle: &bsm::engine::Handle,
               want: &dyn Fn(&bsm::engine::protocol::history::SnapshotAt) -> bool| {
            let began = std::time::Instant::now();
            loop {
                if let Some(found) = moment(handle, i64::MAX / 2, false).await.filter(want) {
                    return found;
                }
                assert!(began.elapsed() < Duration::from_secs(20), "never recorded");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
    let isolate = Command::IsolateBreaker {
        breaker: "openai".into(),
    };
    command(&handle, isolate).await.unwrap();
    let isolated = |s: &bsm::engine::protocol::snapshot::Snapshot| {
        s.reasons.iter().any(|r| r.message == "openai isolated")
    };
    let then = until(&handle, &|m| isolated(&m.picture)).await;
    command(&handle, Command::ResetBreaker { breaker: None })
        .await
        .unwrap();
    let now = until(&handle, &|m| !isolated(&m.picture) && m.at_ms > then.at_ms).await;
    handle.stop(Duration::from_secs(5)).await;

    let mut start = Start::new(state.path());
    start.resident = true;
    let handle = start.go().await;
    let before = moment(&handle, now.at_ms - 1, false).await.unwrap();
    assert!(
        isolated(&before.picture),
        "the picture before is the one of then"
    );
    assert!(
        then.this_life && now.this_life,
        "recorded by the engine that answered"
    );
    assert_eq!(
        (before.this_life, before.engine_ms),
        (false, then.picture.started_ms),
        "of another life, and of which"
    );
    assert_eq!(
        moment(&handle, then.at_ms, true).await.unwrap().at_ms,
        then.at_ms
    );
    assert!(moment(&handle, then.oldest_ms - 1, false).await.is_none());
    // Why it was so then, from what was recorded of it; what was not recorded is said to be unknown.
    let why_at = async |at_ms: i64| {
        let about = bsm::engine::protocol::why::About::Provider {
            name: "openai".into(),
        };
        match handle.query(Query::WhyAt { about, at_ms }).await.unwrap() {
            Answer::Why { why } => why.note(),
            other => panic!("{other:?}"),
        }
    };
    let past = why_at(then.at_ms).await;
    for part in [
        "openai isolated for",
        ", as of ",
        "single calls of it are unknown",
    ] {
        assert!(past.contains(part), "'{part}' is not in:\n{past}");
    }
    assert!(
        !past.contains("reset-breaker"),
        "nothing helps the past:\n{past}"
    );
    let unknown = why_at(then.oldest_ms - 1).await;
    assert!(
        unknown.starts_with("Unknown at ") && unknown.contains("Nothing was recorded"),
        "{unknown}"
    );
    let query = Query::Trends {
        from_ms: then.oldest_ms - 60_000,
        to_ms: now.at_ms,
        points: 100,
    };
    let Answer::Trends { trends } = handle.query(query).await.unwrap() else {
        panic!("no series");
    };
    let openai = trends.breakers.iter().position(|b| b == "openai").unwrap();
    let states: Vec<_> = trends.points.iter().map(|p| p.breakers[openai]).collect();
    use bsm::resilience::breaker::BreakerState;
    assert!(states.contains(&Some(BreakerState::Isolated)));
    assert_eq!(states.last(), Some(&Some(BreakerState::Closed)));
    let raised = |a: &bsm::engine::protocol::history::AlertMark| a.code == "breaker-isolated";
    assert!(trends.alerts.iter().any(raised), "{:?}", trends.alerts);
    assert!(trends.points.iter().all(|p| p.outcomes == Some([0.0; 5])));
}

/// Drained, it stops what runs and takes nothing; opened again it does. Safe mode takes providers away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_stops_runs_and_refuses_new_ones_and_safe_mode_is_live() {
    let up = upstream(|_, _| Wire::Slow(Duration::from_secs(60), "{}".into())).await;
    let state = state_folder();
    let handle = Start::new(state.path()).upstream(&up.url).go().await;
    let id = accept(&handle, trigger("pull_request.opened", DOCS)).await;
    let mut snapshots = handle.snapshots();
    snapshots.wait_for(|s| s.counts.running == 1).await.unwrap();
    command(&handle, Command::Drain).await.unwrap();
    let run = handle.finished(&id).await.unwrap();
    assert_eq!(run.state, RunState::Cancelled);
    assert_eq!(
        command(
            &handle,
            Command::Trigger(trigger("pull_request.opened", DOCS))
        )
        .await,
        Err(Refused::Drained)
    );
    snapshots
        .wait_for(|s| s.drained && s.reasons.iter().any(|r| r.code == "drained"))
        .await
        .unwrap();
    command(&handle, Command::OpenIntake).await.unwrap();
    accept(&handle, trigger("pull_request.opened", DOCS)).await;
    command(&handle, Command::Drain).await.unwrap();

    let safe = |on| Command::SetFlag {
        flag: "safeMode".into(),
        on,
    };
    let state = state_folder();
    let mut start = Start::new(state.path());
    start.env = bsm::settings::env::Env::of([("OPENAI_API_KEY", "test-key-0123456789")]);
    let handle = start.go().await;
    let mut snapshots = handle.snapshots();
    let ready =
        |s: &bsm::engine::protocol::snapshot::Snapshot| s.ready_providers().contains(&"openai");
    snapshots.wait_for(|s| ready(s)).await.unwrap();
    command(&handle, safe(true)).await.unwrap();
    snapshots
        .wait_for(|s| !ready(s) && s.mode.safe_mode)
        .await
        .unwrap();
    command(&handle, safe(false)).await.unwrap();
    snapshots
        .wait_for(|s| ready(s) && !s.mode.safe_mode)
        .await
        .unwrap();
}

/// A long list is filtered where it lies: what comes back are the newest that pass, however many there are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ended_runs_are_listed_and_filtered_from_the_journal() {
    let state = state_folder();
    let handle = Start::new(state.path()).go().await;
    let mut ids = Vec::new();
    for n in 0..60 {
        let event = if n % 3 == 0 {
            "pull_request.synchronize"
        } else {
            "pull_request.opened"
        };
        let diff = DOCS.replace("8080", &format!("{n}"));
        ids.push(accept(&handle, trigger(event, &diff)).await);
    }
    for id in &ids {
        handle.finished(id).await.unwrap();
    }
    let list = async |limit, filter: &str| {
        let query = Query::Runs {
            limit,
            filter: filter.into(),
        };
        match handle.query(query).await.unwrap() {
            Answer::Runs { runs } => runs.into_iter().map(|r| r.id).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        list(1_000, "").await.len(),
        60,
        "more than the picture's forty"
    );
    let got = list(5, "event:synchronize state:finished took<1h").await;
    assert_eq!(got.len(), 5);
    // The newest of those that pass; within a millisecond the order of ids decides.
    let place = |id: &String| ids.iter().position(|i| i == id).unwrap();
    assert!(
        got.iter().all(|id| place(id) >= 40 && place(id) % 3 == 0),
        "{got:?}"
    );
    assert!(list(10, "state:failed").await.is_empty());
    assert_eq!(list(10, &ids[7]).await, [ids[7].clone()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_answers_a_person_in_its_own_role_and_what_is_secret_stays() {
    use bsm::engine::protocol::command::{Question, Reply};
    use bsm::engine::protocol::event::Event;
    let state = state_folder();
    let (key, body) = crate::support::private_key();
    let said = key.clone();
    let up = upstream(move |_, _| Wire::Content(format!("You asked about\n{said}\nand I say no.")))
        .await;
    let handle = Start::new(state.path()).upstream(&up.url).go().await;
    let mut events = handle.events();
    let question = |agent: &str, text: String| {
        Command::Ask(Question {
            id: "q-1".into(),
            agent: Some(agent.into()),
            text,
            history: Vec::new(),
            search: false,
        })
    };
    let reply = crate::support::command(
        &handle,
        question("security-agent", format!("What of {key}?")),
    )
    .await;
    let Ok(Reply::Answered { text, tokens, .. }) = reply else {
        panic!("{reply:?}");
    };
    assert!(text.raw().contains("and I say no."), "{}", text.raw());
    assert!(!text.raw().contains(&body), "an answer is redacted");
    assert!(tokens.sum() > 0);
    let (system, user) = up.calls.lock().unwrap()[0].clone();
    assert!(system.to_lowercase().contains("security"), "{system}");
    assert!(!user.contains(&body), "a question is redacted");
    let told = loop {
        if let Event::Said { of, text, .. } = events.next().await.unwrap() {
            break (of, text);
        }
    };
    assert_eq!(told.0, "q-1");
    assert!(!told.1.raw().contains(&body), "what is said meanwhile too");
    for (agent, text, what) in [
        ("nobody", "x".to_owned(), "agent"),
        ("security-agent", " ".to_owned(), "bytes"),
        ("security-agent", "x".repeat(40_000), "bytes"),
    ] {
        let refused = crate::support::command(&handle, question(agent, text))
            .await
            .unwrap_err();
        assert!(refused.to_string().contains(what), "{refused}");
    }
    let state = state_folder();
    let offline = Start::new(state.path());
    let mut offline = offline.upstream(&up.url);
    offline.mode.offline = true;
    let handle = offline.go().await;
    let refused = crate::support::command(&handle, question("security-agent", "x".into())).await;
    assert!(matches!(refused, Err(Refused::InvalidInput { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_entry_is_forgotten_and_the_others_stay() {
    let state = state_folder();
    let up = upstream(|_, _| Wire::verdict("approve")).await;
    let handle = Start::new(state.path()).upstream(&up.url).go().await;
    finish(&handle, trigger("pull_request.opened", DOCS)).await;
    let entries = async || {
        let query = Query::Entries {
            cache: "responses".into(),
            limit: 100,
        };
        match handle.query(query).await.unwrap() {
            Answer::Entries { entries } => entries,
            other => panic!("{other:?}"),
        }
    };
    let before = entries().await;
    assert_eq!(before.len(), 4);
    let clear = |key: &str| Command::ClearEntry {
        cache: "responses".into(),
        key: key.to_owned(),
    };
    crate::support::command(&handle, clear(&before[0].key))
        .await
        .unwrap();
    let after = entries().await;
    assert_eq!(after.len(), 3);
    assert!(after.iter().all(|e| e.key != before[0].key));
    assert!(
        crate::support::command(&handle, clear(&before[0].key))
            .await
            .is_err()
    );
    let calls = up.calls.lock().unwrap().len();
    finish(&handle, trigger("pull_request.opened", DOCS)).await;
    assert_eq!(
        up.calls.lock().unwrap().len(),
        calls + 1,
        "only that one is asked again"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_are_switched_under_the_simulator_and_nowhere_else() {
    use bsm::model::simulator::Switch;
    let switch = |preset: &str| {
        Command::SetFaults(Switch {
            preset: Some(preset.into()),
            ..Switch::default()
        })
    };
    let state = state_folder();
    let real = Start::new(state.path()).go().await;
    let refused = crate::support::command(&real, switch("outage"))
        .await
        .unwrap_err();
    assert!(refused.to_string().contains("--simulate"));
    let state = state_folder();
    let mut start = Start::new(state.path());
    start.mode.simulated = true;
    let handle = start.go().await;
    crate::support::command(&handle, switch("outage"))
        .await
        .unwrap();
    let run = finish(&handle, trigger("pull_request.opened", DOCS)).await;
    assert_eq!(run.evidence, Evidence::Partial);
    assert!(
        crate::support::command(&handle, switch("earthquake"))
            .await
            .is_err()
    );
    crate::support::command(&handle, switch("instant"))
        .await
        .unwrap();
    crate::support::command(&handle, Command::ResetBreaker { breaker: None })
        .await
        .unwrap();
    let run = finish(&handle, trigger("pull_request.opened", DOCS)).await;
    assert_eq!(run.evidence, Evidence::Simulated);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drill_runs_beside_the_engine_one_at_a_time_and_tells_how_it_ended() {
    use bsm::engine::protocol::event::Event;
    let state = state_folder();
    let handle = Start::new(state.path()).go().await;
    let mut events = handle.events();
    let drill = |name: &str| Command::Drill { drill: name.into() };
    assert!(
        crate::support::command(&handle, drill("earthquake"))
            .await
            .is_err()
    );
    crate::support::command(&handle, drill("stampede"))
        .await
        .unwrap();
    let second = crate::support::command(&handle, drill("poison"))
        .await
        .unwrap_err();
    assert!(second.to_string().contains("another drill"), "{second}");
    let mut lines = 0;
    let ended = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            match events.next().await.unwrap() {
                Event::Drill { .. } => lines += 1,
                Event::Drilled { drilled } => break drilled,
                _ => {}
            }
        }
    })
    .await
    .unwrap();
    assert!(ended.kept(false), "{ended:?}");
    assert!(lines > 1);
    let snapshot = handle.snapshots().borrow().clone();
    assert_eq!(snapshot.calls_failed, 0, "nothing of it is the engine's");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_models_cost_is_kept_by_day_and_survives_a_restart() {
    let state = state_folder();
    let up = upstream(|_, _| Wire::verdict("approve")).await;
    let costs =
        async |handle: &bsm::engine::Handle| match handle.query(Query::Costs { days: 2 }).await {
            Ok(Answer::Costs { costs }) => *costs,
            other => panic!("{other:?}"),
        };
    let handle = Start::new(state.path()).upstream(&up.url).go().await;
    let run = finish(&handle, trigger("pull_request.opened", DOCS)).await;
    let spent = costs(&handle).await;
    let of_run: f64 = run.agents.iter().map(|s| s.cost_usd).sum();
    assert!(of_run > 0.0);
    let sum: u64 = spent.lines.iter().map(|l| l.micro_usd).sum();
    assert_eq!(sum, spent.today_micro_usd);
    assert!((sum as f64 / 1e6 - of_run).abs() < 1e-9, "{sum} {of_run}");
    assert_eq!(spent.lines.iter().map(|l| l.calls).sum::<u64>(), 4);
    handle.stop(Duration::from_secs(5)).await;
    // A budget that is used up already, after a restart: nothing is sent.
    let mut start = Start::new(state.path()).upstream(&up.url);
    start.settings.budgets.day_usd = of_run;
    let handle = start.go().await;
    assert_eq!(
        costs(&handle).await,
        bsm::engine::protocol::cost::Costs {
            day_budget_usd: of_run,
            ..spent
        }
    );
    let calls = up.calls.lock().unwrap().len();
    let refused = finish(
        &handle,
        trigger(
            "pull_request.opened",
            &crate::support::adding("b.md", "other words"),
        ),
    )
    .await;
    assert_eq!(refused.evidence, Evidence::Partial);
    assert!(
        refused
            .agents
            .iter()
            .all(|s| s.trace[0].outcome == "over_budget"),
        "{:?}",
        refused.agents[0].trace
    );
    assert_eq!(up.calls.lock().unwrap().len(), calls);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_writes_outside_the_engine_has_its_newest_redactor() {
    let state = state_folder();
    let start = Start::new(state.path()).upstream("http://127.0.0.1:9/v1");
    let redacts = Arc::clone(&start.shared_redactor);
    assert!(redacts.load().is_none());
    let handle = start.go().await;
    let first = redacts.load_full().unwrap();
    assert!(
        !first
            .text("the key test-key-0123456789 is in here")
            .contains("test-key")
    );
    command(&handle, Command::Reload).await.unwrap();
    let second = redacts.load_full().unwrap();
    assert!(
        !Arc::ptr_eq(&first, &second),
        "a workspace read again may have brought keys"
    );
}

/// A run whose row is gone (a journal restored from a backup) ends, and says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_without_its_journal_row_leaves_the_live_list_and_alerts() {
    let state = state_folder();
    let up = upstream(|_, _| {
        Wire::Slow(
            Duration::from_millis(300),
            r#"{"decision":"approve"}"#.into(),
        )
    })
    .await;
    let mut start = Start::new(state.path()).upstream(&up.url);
    start.settings.engine.max_concurrent_runs = 1;
    let handle = start.go().await;
    let first = accept(&handle, trigger("pull_request.opened", DOCS)).await;
    let second = accept(
        &handle,
        trigger("pull_request.opened", &DOCS.replace("8080", "9090")),
    )
    .await;
    let connection =
        rusqlite::Connection::open(bsm::state::StateDir::at(state.path()).journal()).unwrap();
    connection
        .execute("DELETE FROM runs WHERE id = ?1", [&second])
        .unwrap();
    handle.finished(&first).await.unwrap();
    let mut snapshots = handle.snapshots();
    let gone = snapshots.wait_for(|s| s.counts.running + s.counts.queued == 0);
    let snapshot = tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .unwrap()
        .unwrap();
    let alert = |text: &str| snapshot.alerts.iter().any(|a| a.text.contains(text));
    assert!(alert(&second) && alert("not in the journal any more"));
}

/// The floor is the operator's word at the time of the rerun, not that of the first run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rerun_after_the_coverage_floor_rose_is_judged_by_the_new_floor() {
    let state = state_folder();
    let mut start = Start::new(state.path());
    start.settings.review.coverage_floor = 10;
    let handle = start.go().await;
    let first = accept(&handle, trigger("pull_request.opened", DOCS)).await;
    handle.finished(&first).await.unwrap();
    handle.stop(Duration::from_secs(5)).await;
    let handle = Start::new(state.path()).go().await;
    let again = command(&handle, Command::RunAgain { run: first }).await;
    let Ok(bsm::engine::protocol::command::Reply::Accepted { run, .. }) = again else {
        panic!("{again:?}");
    };
    handle.finished(&run).await.unwrap();
    let row = handle.journal().run(&run).await.unwrap().unwrap();
    let plan: serde_json::Value = serde_json::from_str(&row.new.plan).unwrap();
    assert_eq!(plan["coverageFloor"], 100);
}

/// A run reads the workspace through the agents cache: an edit that the watcher missed takes effect when the
/// entry is cleared.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cleared_agents_cache_makes_the_next_run_read_the_files_again() {
    let state = state_folder();
    let root = tempfile::tempdir().unwrap();
    bsm::workspace::init::init(root.path()).unwrap();
    let mut start = Start::new(state.path());
    start.root = Some(root.path());
    start.trust = trusting(root.path());
    let handle = start.go().await;
    let loads = |handle: &bsm::engine::Handle| {
        let snapshot = handle.snapshots().borrow().clone();
        let agents = snapshot.caches.iter().find(|c| c.name == "agents");
        agents.map_or(0, |c| c.loads)
    };
    finish(&handle, trigger("pull_request.opened", DOCS)).await;
    finish(&handle, trigger("pull_request.opened", DOCS)).await;
    let clear = Command::ClearCache {
        cache: Some("agents".into()),
        tag: None,
    };
    command(&handle, clear).await.unwrap();
    finish(&handle, trigger("pull_request.opened", DOCS)).await;
    let mut snapshots = handle.snapshots();
    let seen = snapshots.wait_for(|s| {
        s.caches
            .iter()
            .any(|c| c.name == "agents" && c.loads == 2 && c.hits >= 2)
    });
    tokio::time::timeout(Duration::from_secs(10), seen)
        .await
        .unwrap_or_else(|_| panic!("{} loads", loads(&handle)))
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn breaker_and_pool_commands_are_in_the_snapshot_when_they_are_answered() {
    let state = state_folder();
    let handle = Start::new(state.path()).go().await;
    let breaker = "openai".to_owned();
    let shown = |handle: &bsm::engine::Handle| {
        let snapshot = handle.snapshots().borrow().clone();
        let found = snapshot.breakers.iter().find(|b| b.name == "openai");
        found.unwrap().state.as_str().to_owned()
    };
    // Each follows the last at once, within the shortest time between two snapshots.
    for (sent, wanted) in [
        (
            Command::IsolateBreaker {
                breaker: breaker.clone(),
            },
            "isolated",
        ),
        (
            Command::ResetBreaker {
                breaker: Some(breaker.clone()),
            },
            "closed",
        ),
        (
            Command::IsolateBreaker {
                breaker: breaker.clone(),
            },
            "isolated",
        ),
        (
            Command::CloseBreaker {
                breaker: breaker.clone(),
            },
            "closed",
        ),
        (Command::IsolateBreaker { breaker }, "isolated"),
        (Command::ResetBreaker { breaker: None }, "closed"),
    ] {
        command(&handle, sent.clone()).await.unwrap();
        assert_eq!(shown(&handle), wanted, "{sent:?}");
    }
    let pool = handle.snapshots().borrow().pools[0].name.clone();
    for limit in [3, 7, 2] {
        let pool = pool.clone();
        command(&handle, Command::ResizePool { pool, limit })
            .await
            .unwrap();
        assert_eq!(handle.snapshots().borrow().pools[0].limit, limit);
    }
    handle.stop(Duration::from_secs(1)).await;
}
