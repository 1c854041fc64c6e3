//! Health: every reason of the judge, and what a running engine says of files, disks and drains.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::semicolon_if_nothing_returned,
    reason = "a test says what it expects"
)]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bsm::api::{ApiConfig, Face};
use bsm::engine::observe::health::code::Code;
use bsm::engine::observe::health::facts::{Disk, Facts, LostFile, Probe};
use bsm::engine::observe::health::{checks, judge, word};
use bsm::engine::protocol::command::{Command, Envelope, Refused, Reply};
use bsm::engine::protocol::health::Level;
use bsm::engine::protocol::snapshot::{Health, Snapshot};
use bsm::engine::{Handle, Operator};
use bsm::resilience::breaker::BreakerState;
use bsm::settings::ApiSettings;
use bsm::telemetry::availability::OutcomeStats;
use bsm::telemetry::disk_space::DiskSpace;
use serde_json::{Value, json};

use crate::support::world::{World, code, text};
use crate::support::{DOCS, Start, accept, state_folder, trigger};

const GIB: u64 = 1 << 30;
const TOKEN: &str = "an-admin-token-0123456789";

async fn resident(state: &Path) -> Arc<Handle> {
    let mut start = Start::new(state);
    start.resident = true;
    Arc::new(start.go().await)
}

async fn send(handle: &Handle, command: Command) -> Result<Reply, Refused> {
    let envelope = Envelope {
        command,
        actor: "test".into(),
        correlation: None,
    };
    handle.send(envelope).await
}

/// Waits for a snapshot, 20 s at most.
async fn until(handle: &Handle, what: impl Fn(&Snapshot) -> bool) -> Arc<Snapshot> {
    let mut snapshots = handle.snapshots();
    let seen = snapshots.wait_for(|s| what(s));
    let seen = tokio::time::timeout(Duration::from_secs(20), seen).await;
    Arc::clone(&seen.unwrap().unwrap())
}

fn has(snapshot: &Snapshot, code: &str) -> bool {
    snapshot.reasons.iter().any(|r| r.code == code)
}

fn disk(free_bytes: u64, free_inodes: u64) -> Disk {
    Disk {
        holds: "the state directory",
        space: Ok(DiskSpace {
            device: 1,
            total_bytes: 100 * GIB,
            free_bytes,
            total_inodes: 1_000_000,
            free_inodes,
        }),
    }
}

/// Facts of an engine that has nothing to complain about.
fn sound() -> Facts {
    Facts {
        now_ms: 10_000_000,
        probe: Probe::Written,
        disks: vec![disk(50 * GIB, 500_000)],
        ..Facts::default()
    }
}

type Change = fn(&mut Snapshot, &mut Facts);

/// One change each, and the reason that it gives.
const FAULTS: &[(Code, Level, Change)] = &[
    (Code::JournalNotKnown, Level::Warn, |_, f| {
        f.probe = Probe::NotYetKnown;
    }),
    (Code::JournalNotWritable, Level::Fail, |_, f| {
        f.probe = Probe::Failed("the disk is full".into());
    }),
    (Code::JournalNotWritable, Level::Fail, |_, f| {
        f.writes_failing = true;
    }),
    (Code::JournalSlow, Level::Fail, |_, f| {
        f.probe = Probe::Pending(3);
    }),
    (Code::JournalNotAcknowledged, Level::Fail, |_, f| {
        f.journal_notice = Some("it was recovered".into());
    }),
    (Code::FileGone, Level::Fail, |_, f| {
        f.lost_files = vec![lost(false)];
    }),
    (Code::FileReplaced, Level::Fail, |_, f| {
        f.lost_files = vec![lost(true)];
    }),
    (Code::IntakeRefused, Level::Fail, |_, f| {
        f.intake_refused = Some((f.now_ms - 59_000, "full".into()));
    }),
    (Code::DiskNotKnown, Level::Warn, |_, f| {
        f.disks[0].space = Err("no answer for 2 s".into());
    }),
    (Code::DiskLow, Level::Warn, |_, f| {
        f.disks = vec![disk(10 * GIB - 1, 500_000)];
    }),
    (Code::DiskFull, Level::Fail, |_, f| {
        f.disks = vec![disk((64 << 20) - 1, 500_000)];
    }),
    (Code::InodesFull, Level::Fail, |_, f| {
        f.disks = vec![disk(50 * GIB, 999)];
    }),
    (Code::LogLinesLost, Level::Warn, |_, f| {
        f.log_lines_lost = true;
    }),
    (Code::AuditLinesLost, Level::Warn, |_, f| {
        f.audit_lines_lost = true;
    }),
    (Code::Drained, Level::Warn, |s, _| s.drained = true),
    (Code::BreakerOpen, Level::Warn, |s, _| {
        s.breakers[0].state = BreakerState::Open;
    }),
    (Code::BreakerIsolated, Level::Warn, |s, _| {
        s.breakers[0].state = BreakerState::Isolated;
    }),
    (Code::BreakerRecovering, Level::Warn, |s, _| {
        s.breakers[0].state = BreakerState::HalfOpen;
    }),
    (Code::KeysRefused, Level::Warn, |s, _| {
        s.providers[0].keys = vec![refused_key()];
    }),
    (Code::EvidenceMissing, Level::Warn, |s, _| {
        (s.outcomes.full, s.outcomes.undecided) = (94, 6);
    }),
    (Code::EvidenceMissing, Level::Warn, |s, _| {
        s.outcomes.refused = 5;
    }),
    (Code::QueueOld, Level::Warn, |_, f| {
        f.oldest_queued_ms = Some(f.now_ms - 600_001);
    }),
    (Code::OutboxOld, Level::Warn, |_, f| {
        f.oldest_publication_ms = Some(f.now_ms - 1_800_001);
    }),
    (Code::ClockSet, Level::Warn, |_, f| f.clock_was_set = true),
    (Code::BudgetUsed, Level::Warn, |s, _| {
        (s.money.day_budget_usd, s.money.today_micro_usd) = (1.0, 1_000_000);
    }),
    (Code::TargetMissed, Level::Warn, |_, f| {
        f.targets_missed = vec!["pool openai is full".into()];
    }),
    (Code::ProtectionOff, Level::Warn, |s, _| {
        s.flags.retry = false;
    }),
    (Code::SettingsBroken, Level::Warn, |_, f| {
        f.settings_broken = true;
    }),
    (Code::WorkspaceBroken, Level::Warn, |s, _| {
        s.workspace.kept_last_good = true;
    }),
    (Code::WorkspaceErrors, Level::Warn, |s, _| {
        s.workspace.errors = 2;
    }),
    (Code::WorkspaceChanged, Level::Warn, |s, _| {
        s.workspace.trust = bsm::workspace::trust::Trust::Changed;
    }),
];

fn lost(replaced: bool) -> LostFile {
    LostFile {
        name: "bsm.db".into(),
        replaced,
    }
}

fn refused_key() -> bsm::model::keys::KeyStats {
    serde_json::from_value(
        json!({"variable": "OPENAI_API_KEY", "refused": "http_401", "restsMin": 10}),
    )
    .unwrap()
}

/// The picture of an engine that keeps nothing and does nothing.
async fn idle() -> Snapshot {
    let folder = state_folder();
    let mut start = Start::new(folder.path());
    start.mode.no_save = true;
    let handle = start.go().await;
    let snapshot = handle.snapshots().borrow().clone();
    (*snapshot).clone()
}

#[tokio::test]
async fn judge_gives_each_fault_its_reason_and_nothing_else_and_knows_every_code() {
    let idle = idle().await;
    assert_eq!(judge(&idle, &sound()), [], "nothing to complain about");
    assert!(checks(&[]).iter().all(|c| c.level == Level::Pass));
    for (code, level, change) in FAULTS {
        let (mut snapshot, mut facts) = (idle.clone(), sound());
        change(&mut snapshot, &mut facts);
        let found = judge(&snapshot, &facts);
        let got: Vec<_> = found.iter().map(|f| (f.code, f.level)).collect();
        assert_eq!(got, [(*code, *level)], "{found:?}");
        assert_eq!(word(&found).level(), *level);
        for check in checks(&found) {
            let wanted = if check.name == code.check() {
                *level
            } else {
                Level::Pass
            };
            assert_eq!(check.level, wanted, "{code:?}: {}", check.name);
        }
    }
    let tried: BTreeSet<Code> = FAULTS.iter().map(|(code, ..)| *code).collect();
    assert_eq!(
        tried,
        Code::ALL.into_iter().collect(),
        "a code without a case"
    );
}

#[tokio::test]
async fn judge_at_its_limits_is_still_content_and_puts_the_worst_first() {
    let idle = idle().await;
    let mut facts = sound();
    facts.intake_refused = Some((facts.now_ms - 60_000, "full".into()));
    facts.disks = vec![disk(10 * GIB, 1_000)];
    facts.oldest_queued_ms = Some(facts.now_ms - 600_000);
    let mut snapshot = idle.clone();
    (snapshot.outcomes.full, snapshot.outcomes.undecided) = (95, 5);
    assert_eq!(judge(&snapshot, &facts), []);
    // Four runs say nothing yet.
    snapshot.outcomes = OutcomeStats::default();
    snapshot.outcomes.undecided = 4;
    assert_eq!(judge(&snapshot, &facts), []);
    snapshot.drained = true;
    facts.disks = vec![disk(0, 0)];
    let found = judge(&snapshot, &facts);
    let levels: Vec<Level> = found.iter().map(|f| f.level).collect();
    assert_eq!(levels, [Level::Fail, Level::Fail, Level::Warn], "{found:?}");
    assert_eq!(word(&found), Health::Unhealthy);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn journal_deleted_while_running_is_said_and_nothing_is_acknowledged_until_it_is_back() {
    let folder = state_folder();
    let handle = resident(folder.path()).await;
    accept(&handle, trigger("pull_request.opened", DOCS)).await;
    until(&handle, |s| s.health == Health::Healthy).await;
    let (journal, away) = (folder.path().join("bsm.db"), folder.path().join("away"));
    std::fs::rename(&journal, &away).unwrap();
    // At once, before any periodic look.
    let refused = send(
        &handle,
        Command::Trigger(trigger("pull_request.opened", DOCS)),
    )
    .await;
    let Err(Refused::Journal { reason }) = refused else {
        panic!("{refused:?}");
    };
    assert!(reason.contains("bsm.db was deleted"), "{reason}");
    let seen = until(&handle, |s| has(s, "state-file-gone")).await;
    assert_eq!(seen.health, Health::Unhealthy);
    assert!(
        seen.alerts
            .iter()
            .any(|a| a.bad && a.text.contains("bsm.db was deleted"))
    );
    std::fs::write(&journal, "another file").unwrap();
    until(&handle, |s| has(s, "state-file-replaced")).await;
    std::fs::rename(&away, &journal).unwrap();
    until(&handle, |s| s.reasons.iter().all(|r| r.check != "files")).await;
    accept(&handle, trigger("pull_request.opened", DOCS)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn journal_that_is_full_fails_health_and_availability_and_recovers_by_itself() {
    let folder = state_folder();
    let handle = resident(folder.path()).await;
    until(&handle, |s| s.health == Health::Healthy).await;
    handle.journal().limit_pages(1).await.unwrap();
    // More than the pages that it has can hold.
    let lines = "+a line of a document\n".repeat(20_000);
    let large = format!(
        "diff --git a/D.md b/D.md\n--- /dev/null\n+++ b/D.md\n@@ -0,0 +1,20000 @@\n{lines}"
    );
    for _ in 0..5 {
        let wanted = trigger("pull_request.opened", &large);
        let refused = send(&handle, Command::Trigger(wanted)).await;
        assert!(
            matches!(refused, Err(Refused::Journal { .. })),
            "{refused:?}"
        );
    }
    let seen = until(&handle, |s| {
        has(s, "intake-refused") && has(s, "evidence-missing")
    })
    .await;
    assert_eq!(seen.health, Health::Unhealthy);
    assert_eq!(seen.availability, Some(0.0), "an outage is not green");
    assert_eq!(seen.losses.runs_refused, 5);
    handle.journal().limit_pages(1_000_000).await.unwrap();
    accept(&handle, trigger("pull_request.opened", DOCS)).await;
    until(&handle, |s| !has(s, "journal-not-writable")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn socket_deleted_is_made_again_and_a_drain_is_undone_by_route() {
    let folder = state_folder();
    let handle = resident(folder.path()).await;
    let socket = folder.path().join("bsm.sock");
    let config = ApiConfig {
        listen: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        socket: Some(socket.clone()),
        admin_token: Some(TOKEN.into()),
        gateway_tokens: Vec::new(),
        webhook_secrets: Vec::new(),
        settings: ApiSettings::default(),
        keys: Vec::new(),
    };
    let operator = Arc::clone(&handle) as Arc<dyn Operator>;
    let face = Face::open(operator, config).await.unwrap();
    let url = format!("http://{}", face.address().unwrap());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    std::fs::remove_file(&socket).unwrap();
    let again = async {
        while tokio::net::UnixStream::connect(&socket).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again)
        .await
        .unwrap();
    until(&handle, |s| s.reasons.iter().all(|r| r.check != "files")).await;

    let post = async |path: &str, body: Value| {
        let request = client.post(format!("{url}{path}")).json(&body);
        let sent = request.header("x-admin-token", TOKEN).send().await.unwrap();
        (sent.status().as_u16(), sent.json::<Value>().await.unwrap())
    };
    let ready = async || {
        let sent = client.get(format!("{url}/readyz")).send().await.unwrap();
        (sent.status().as_u16(), sent.json::<Value>().await.unwrap())
    };
    assert_eq!(ready().await.0, 200);
    let unsigned = client
        .post(format!("{url}/api/emergency/resume"))
        .json(&json!({}));
    assert_eq!(unsigned.send().await.unwrap().status(), 401);
    assert_eq!(
        post("/api/emergency/shutdown", json!({"reason": "t"}))
            .await
            .0,
        200
    );
    let (status, body) = ready().await;
    assert_eq!((status, &body["status"]), (503, &json!("fail")), "{body}");
    assert_eq!(body["reasons"][0]["code"], "drained");
    assert_eq!(
        post("/api/emergency/resume", json!({"reason": "over"}))
            .await
            .0,
        200
    );
    assert_eq!(ready().await.0, 200);
    let audit = std::fs::read_to_string(folder.path().join("audit.jsonl")).unwrap();
    assert!(audit.contains("\"open_intake\""), "{audit}");

    face.close(Duration::from_secs(2)).await;
    assert!(!socket.exists(), "what the face made it removes");
    let handle = Arc::into_inner(handle).unwrap();
    send(
        &handle,
        Command::SetFlag {
            flag: "retry".into(),
            on: false,
        },
    )
    .await
    .unwrap();
    let seen = until(&handle, |s| has(s, "protection-off")).await;
    assert!(!has(&seen, "state-file-gone"), "{:?}", seen.reasons);
    handle.stop(Duration::from_secs(2)).await;
}

/// A served engine of a user's own world; ended when dropped.
struct Served {
    world: World,
    child: std::process::Child,
}

impl Served {
    fn start(world: World) -> Self {
        use std::io::BufRead as _;
        let mut child = world
            .command(&["serve", "--no-tcp", "--offline", "--allow-root"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let out = std::io::BufReader::new(child.stdout.take().unwrap());
        let ready = |l: &std::io::Result<String>| l.as_ref().is_ok_and(|l| l.contains("unix:"));
        out.lines().find(ready).unwrap().unwrap();
        Self { world, child }
    }

    fn json(&self, args: &[&str]) -> Value {
        let output = self.world.run(args);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)))
    }

    fn code(&self, args: &[&str]) -> i32 {
        code(&self.world.run(args))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keys(value: &Value) -> Vec<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

#[test]
fn status_has_one_shape_and_check_fails_when_stopped_or_drained() {
    let world = World::new();
    let stopped = world.run(&["status", "--json"]);
    let stopped: Value = serde_json::from_slice(&stopped.stdout).unwrap();
    assert_eq!(
        (&stopped["engine"], &stopped["health"]),
        (&json!("stopped"), &json!("unknown"))
    );
    assert_eq!(
        code(&world.run(&["status", "--check"])),
        1,
        "stopped is not well"
    );

    let served = Served::start(world);
    let running = served.json(&["status", "--json"]);
    assert_eq!(keys(&running), keys(&stopped));
    assert_eq!(running["engine"], "running");
    assert!(
        ["pass", "warn"].contains(&running["health"].as_str().unwrap()),
        "{running}"
    );
    assert_eq!(running["pid"], served.child.id());
    assert_eq!(running["drained"], false);
    assert_eq!(served.code(&["status", "--check"]), 0);
    let state = std::fs::read_dir(served.world.state())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let socket = format!("unix:{}", state.join("bsm.sock").display());
    let named = served.json(&["status", "--json", "--url", &socket]);
    assert_eq!(keys(&named), keys(&stopped));
    assert_eq!(served.code(&["status", "--check", "--url", &socket]), 0);

    assert_eq!(served.code(&["stop", "--drain"]), 0);
    let drained = served.world.run(&["status"]);
    assert!(text(&drained).contains("drained"), "{}", text(&drained));
    assert_eq!(served.json(&["status", "--json"])["drained"], true);
    assert_eq!(
        served.code(&["status", "--check"]),
        1,
        "drained takes no runs"
    );
    assert_eq!(served.code(&["status", "--check", "--url", &socket]), 1);
    assert_eq!(served.code(&["stop", "--undrain"]), 0);
    assert_eq!(served.code(&["status", "--check"]), 0);
    assert_eq!(served.code(&["stop", "--drain", "--undrain"]), 2);
    std::fs::remove_file(state.join("engine.lock")).unwrap();
    let unlocked = served.json(&["status", "--json"]);
    assert_eq!(
        unlocked["engine"], "running",
        "it still listens: {unlocked}"
    );
    assert_eq!(unlocked["pid"], served.child.id());
}

#[test]
fn doctor_reads_the_running_engine_and_exits_1_on_a_fail() {
    let world = World::new();
    let alone = world.run(&["doctor"]);
    assert_eq!(code(&alone), 0, "{}", text(&alone));
    assert!(text(&alone).contains("none runs here"), "{}", text(&alone));
    assert!(!world.state().exists(), "the doctor makes nothing");
    let broken = world.write("broken.yaml", "engine: {nosuch: 1}\n");
    let broken = world.run(&["doctor", "--json", "--config", broken.to_str().unwrap()]);
    assert_eq!(code(&broken), 1);
    let report: Value = serde_json::from_slice(&broken.stdout).unwrap();
    assert_eq!(report["status"], "fail");
    assert_eq!(report["checks"][0]["name"], "settings");
    assert!(
        report["checks"][0]["sentence"]
            .as_str()
            .unwrap()
            .contains("nosuch"),
        "{report}"
    );

    let served = Served::start(world);
    let report = served.json(&["doctor", "--json"]);
    let level = |report: &Value, name: &str| {
        let lines = report["checks"].as_array().unwrap().iter();
        let found = lines
            .filter(|l| l["name"] == name)
            .map(|l| l["level"].clone());
        found.collect::<Vec<_>>()
    };
    assert_eq!(level(&report, "engine-journal"), ["pass"], "{report}");
    assert_eq!(level(&report, "engine-files"), ["pass"]);
    let state = std::fs::read_dir(served.world.state())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    std::fs::rename(state.join("bsm.db-wal"), state.join("away")).unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let report = loop {
        let report = served.json(&["doctor", "--json"]);
        if level(&report, "engine-files") != ["pass"] {
            break report;
        }
        assert!(
            std::time::Instant::now() < deadline,
            "never noticed: {report}"
        );
    };
    assert_eq!(level(&report, "engine-files"), ["fail"]);
    assert_eq!(served.code(&["doctor"]), 1);
    assert_eq!(served.code(&["status", "--check"]), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn engine_that_makes_no_trial_write_does_not_say_that_one_went_well() {
    let folder = state_folder();
    resident(folder.path())
        .await
        .stop(Duration::from_secs(2))
        .await;
    for (read_only, resident) in [(true, true), (false, false)] {
        let mut start = Start::new(folder.path());
        (start.mode.read_only, start.resident) = (read_only, resident);
        let handle = start.go().await;
        let snapshot = handle.snapshots().borrow().clone();
        assert!(
            has(&snapshot, "journal-not-yet-known"),
            "{:?}",
            snapshot.reasons
        );
        handle.stop(Duration::from_secs(2)).await;
    }
    let mut start = Start::new(folder.path());
    start.resident = true;
    let handle = start.go().await;
    let first = handle.snapshots().borrow().clone();
    assert!(
        !has(&first, "journal-not-yet-known"),
        "known from the first snapshot on"
    );
    handle.stop(Duration::from_secs(2)).await;
}
