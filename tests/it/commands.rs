//! The command tree as its user runs it: groups, old names, the commands that speak to an engine.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::io::BufRead as _;
use std::process::{Child, Stdio};

use serde_json::Value;

use crate::support::world::{World, code, text};

/// A resident engine without TCP; killed when dropped.
struct Engine(Child);

impl Engine {
    fn start(world: &World, extra: &[&str]) -> Self {
        let mut args = vec!["serve", "--no-tcp", "--allow-root"];
        args.extend(extra);
        Self::spawn(&mut world.command(&args))
    }

    fn spawn(command: &mut std::process::Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
        let opened = lines.any(|line| line.is_ok_and(|l| l.contains("unix:")));
        assert!(opened, "the engine did not open its socket");
        Self(child)
    }
}

/// The state directory of the built-in workspace, which a test holds as an engine would.
fn held(world: &World) -> bsm::state::StateDir {
    let state = bsm::state::StateDir::at(world.state().join("built-in-workspace"));
    state.prepare().unwrap();
    state
}

#[test]
fn serve_waits_for_a_lock_that_is_being_released() {
    let world = World::new();
    let lock = held(&world).lock(bsm::state::Holder::Resident).unwrap();
    let mut child = world
        .command(&["serve", "--no-tcp", "--allow-root"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = std::io::BufReader::new(child.stderr.take().unwrap()).lines();
    let waiting = said.next().unwrap().unwrap();
    assert!(waiting.contains("waiting up to 10 s"), "{waiting}");
    let me = format!("by process {}", std::process::id());
    assert!(waiting.contains(&me), "{waiting}");
    drop(lock);
    let mut lines = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let opened = lines.any(|line| line.is_ok_and(|l| l.contains("unix:")));
    assert!(opened, "{:?}", said.collect::<Vec<_>>());
    let engine = Engine(child);
    // One that answers is not waited for.
    let second = world.run(&["serve", "--no-tcp", "--allow-root"]);
    assert_eq!(code(&second), 1);
    let said = text(&second);
    assert!(
        said.contains("bsm stop") && !said.contains("waiting"),
        "{said}"
    );
    assert!(
        said.contains(&format!("by process {}", engine.0.id())),
        "{said}"
    );
}

#[test]
fn stop_names_the_process_that_it_cannot_reach() {
    let world = World::new();
    let state = held(&world);
    let me = format!("process {}", std::process::id());
    let lock = state.lock(bsm::state::Holder::Resident).unwrap();
    let output = world.run(&["stop"]);
    assert_eq!(code(&output), 1);
    assert!(text(&output).contains(&me), "{}", text(&output));
    drop(lock);
    let _lock = state.lock(bsm::state::Holder::Run).unwrap();
    let output = world.run(&["stop"]);
    assert_eq!(code(&output), 0);
    assert!(text(&output).contains(&me), "{}", text(&output));
}

#[test]
fn engine_with_a_long_state_path_is_found_over_a_short_socket() {
    let world = World::new();
    let long = world.path(&"long".repeat(40));
    let runtime = world.path("run");
    std::fs::create_dir(&runtime).unwrap();
    let command = |args: &[&str]| {
        let mut command = world.command(args);
        command.env("XDG_STATE_HOME", &long);
        command
    };
    let mut serve = command(&["serve", "--no-tcp", "--allow-root"]);
    let engine = Engine::spawn(serve.env("XDG_RUNTIME_DIR", &runtime));
    // A client in another environment finds it too.
    let listed = command(&["breaker", "--json"]).output().unwrap();
    assert_eq!(code(&listed), 0, "{}", text(&listed));
    let sockets = std::fs::read_dir(runtime.join("bsm")).unwrap().count();
    assert_eq!(sockets, 1);
    let stopped = command(&["stop"]).output().unwrap();
    assert_eq!(code(&stopped), 0, "{}", text(&stopped));
    drop(engine);
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn json(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(output)))
}

/// A run that ended, by its id.
fn ended_run(world: &World) -> String {
    let args = ["run", "pull_request.opened", "--sample", "docs", "--json"];
    let output = world.run(&args);
    json(&output)["runId"].as_str().unwrap().to_owned()
}

#[test]
fn run_that_is_to_be_kept_and_cannot_be_exits_1_and_says_what_to_do() {
    let world = World::new();
    let args = [
        "run",
        "pull_request.opened",
        "--sample",
        "docs",
        "--wait",
        "0",
    ];
    // Something holds the lock and does not answer.
    let lock = held(&world).lock(bsm::state::Holder::Resident).unwrap();
    let silent = world.run(&args);
    assert_eq!(code(&silent), 1, "{}", text(&silent));
    let said = text(&silent);
    let me = format!("process {}", std::process::id());
    assert!(said.contains(&me) && said.contains("--no-save"), "{said}");
    // Asked for, nothing is kept.
    let mut unsaved = args.to_vec();
    unsaved.push("--no-save");
    assert_ne!(code(&world.run(&unsaved)), 1);
    drop(lock);
    // An engine in another mode.
    let _engine = Engine::start(&world, &["--simulate"]);
    let other = world.run(&args);
    let said = text(&other);
    assert_eq!(code(&other), 1, "{said}");
    assert!(
        said.contains("with --simulate, this run is with real models"),
        "{said}"
    );
    assert!(said.contains("bsm stop"), "{said}");
}

#[test]
fn help_lists_commands_in_groups() {
    let world = World::new();
    for args in [&["--help"][..], &["-h"], &["help"]] {
        let help = text(&world.run(args));
        for line in ["\nReview:\n  review ", "\nEngine:\n  serve ", "\nTry:\n  "] {
            assert!(help.contains(line), "{args:?} {line:?}\n{help}");
        }
    }
}

/// The lines of the help's groups: heading, name, what it does.
fn grouped(help: &str) -> Vec<(String, String, String)> {
    let mut heading = String::new();
    let mut lines = Vec::new();
    for line in help
        .lines()
        .skip_while(|l| !l.starts_with("Usage:"))
        .skip(1)
    {
        if line.starts_with("Options:") {
            break;
        }
        if let Some(name) = line.strip_suffix(':') {
            name.clone_into(&mut heading);
        } else if let Some(entry) = line.strip_prefix("  ") {
            let (name, about) = entry.split_once(' ').unwrap_or((entry, ""));
            lines.push((heading.clone(), name.to_owned(), about.trim().to_owned()));
        }
    }
    lines
}

#[test]
fn help_groups_hold_each_visible_command_once() {
    use clap::CommandFactory as _;
    let command = bsm::cli::Cli::command();
    let lines = grouped(&command.clone().render_help().to_string());
    let mut names: Vec<&str> = lines.iter().map(|(_, name, _)| name.as_str()).collect();
    let mut visible: Vec<&str> = command
        .get_subcommands()
        .filter(|c| !c.is_hide_set())
        .map(clap::Command::get_name)
        .collect();
    names.sort_unstable();
    visible.sort_unstable();
    assert_eq!(names, visible);
    for (heading, name, about) in &lines {
        assert_ne!(heading, "Other", "give {name} a group");
        assert!(!about.is_empty(), "{name} has no line");
    }
    let mut headings: Vec<&str> = lines.iter().map(|(heading, ..)| heading.as_str()).collect();
    headings.dedup();
    assert_eq!(
        headings,
        ["Review", "Watch", "Act", "Engine", "Set up", "Try"]
    );
    for hidden in ["check", "outbox", "completions", "man"] {
        let found = command.find_subcommand(hidden).unwrap();
        assert!(found.is_hide_set(), "{hidden}");
    }
}

#[test]
fn old_names_answer_as_the_new_ones() {
    let world = World::new();
    ended_run(&world);
    let pairs: [(&[&str], &[&str]); 4] = [
        (&["check"], &["config", "check"]),
        (&["check", "--json"], &["config", "check", "--json"]),
        (&["outbox"], &["inbox", "outbox"]),
        (
            &["outbox", "--limit", "3", "--json"],
            &["inbox", "outbox", "--limit", "3", "--json"],
        ),
    ];
    for (old, new) in pairs {
        let (old_output, new_output) = (world.run(old), world.run(new));
        assert_eq!(code(&old_output), 0, "{old:?}: {}", text(&old_output));
        assert_eq!(text(&old_output), text(&new_output), "{old:?}");
        assert_eq!(code(&old_output), code(&new_output), "{old:?}");
        assert!(!old_output.stdout.is_empty(), "{old:?}");
    }
    for plain in [&["completions", "bash"][..], &["man"]] {
        assert_eq!(code(&world.run(plain)), 0, "{plain:?}");
    }
}

#[test]
fn status_all_says_each_workspace_whether_its_engine_runs() {
    let world = World::new();
    let none = world.run(&["status", "--all"]);
    assert_eq!(code(&none), 0);
    assert!(
        text(&none).contains("no workspace has state"),
        "{}",
        text(&none)
    );

    ended_run(&world);
    let other = world.state().join("other-0123");
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("bsm.db"), "not a database").unwrap();
    let stopped = json(&world.run(&["status", "--all", "--json"]));
    let entry = &stopped[0];
    assert_eq!(entry["name"], "built-in-workspace", "{stopped}");
    assert_eq!(
        (&entry["engine"], &entry["pid"], &entry["health"]),
        (&"stopped".into(), &Value::Null, &Value::Null)
    );
    assert_eq!(entry["finished"], 1, "{stopped}");
    let unread = &stopped[1];
    assert_eq!(unread["finished"], Value::Null, "{stopped}");
    assert!(unread["problem"].is_string(), "{stopped}");

    let engine = Engine::start(&world, &["--offline"]);
    let running = json(&world.run(&["status", "--all", "--json"]));
    let entry = &running[0];
    assert_eq!(
        (&entry["engine"], &entry["pid"]),
        (&"running".into(), &engine.0.id().into()),
        "{running}"
    );
    assert!(entry["health"].is_string() && entry["workspace"].is_string());
    let lines = text(&world.run(&["status", "--all"]));
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(lines.contains("engine running (process "), "{lines}");
    assert!(lines.contains("? finished"), "unknown is not 0: {lines}");
}

#[test]
fn runs_rerun_starts_the_run_again_and_cancel_refuses_an_ended_one() {
    let world = World::new();
    let first = ended_run(&world);
    let end = &first[first.len() - 6..];
    let alone = world.run(&["runs", "rerun", end]);
    assert_eq!(code(&alone), 1, "{}", text(&alone));
    assert!(text(&alone).contains("bsm serve"), "{}", text(&alone));

    let _engine = Engine::start(&world, &["--offline"]);
    let again = world.run(&["runs", "rerun", end]);
    assert_eq!(code(&again), 0, "{}", text(&again));
    let said = text(&again);
    let id = said.split(' ').nth(1).unwrap();
    assert!(id.starts_with("job_") && id != first, "{said}");
    let listed = json(&world.run(&["runs", "--json"]));
    let ids: Vec<&str> = listed
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|run| run["id"].as_str())
        .collect();
    assert_eq!(ids, [id, &first], "{listed}");

    for (args, wanted) in [
        (&["runs", "cancel", &first][..], "there is no active run"),
        (&["runs", "cancel", "nosuch"], "there is no run 'nosuch'"),
        (&["runs", "rerun", "nosuch"], "there is no run 'nosuch'"),
        (&["runs", "rerun", &first, "--read-only"], "--read-only"),
    ] {
        let output = world.run(args);
        assert_eq!(code(&output), 2, "{args:?}: {}", text(&output));
        assert!(
            text(&output).contains(wanted),
            "{args:?}: {}",
            text(&output)
        );
    }
}

fn mode(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn init_writes_what_a_service_user_can_read_and_keeps_state_private() {
    let world = World::new();
    let own = world.path("own");
    std::fs::create_dir(&own).unwrap();
    std::fs::set_permissions(&own, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let written = world.run(&["init", "own/deep/ws"]);
    assert_eq!(code(&written), 0, "{}", text(&written));
    assert_eq!(mode(&own), 0o700, "what was there keeps its mode");
    let mut folders = vec![world.path("own/deep")];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        assert_eq!(mode(&folder), 0o755, "{}", folder.display());
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files += 1;
                assert_eq!(mode(&path), 0o644, "{}", path.display());
            }
        }
    }
    assert!(files > 10, "{files}");
    assert_eq!(mode(&world.state()), 0o700);
}

#[test]
fn folder_without_a_workspace_is_refused_or_said() {
    let world = World::new();
    std::fs::create_dir(world.path("plain")).unwrap();
    for args in [
        &["status"][..],
        &["runs"],
        &["config"],
        &["config", "check"],
        &["serve", "--no-tcp", "--allow-root"],
        &["run", "pull_request.opened", "--sample", "docs"],
    ] {
        let mut all = vec!["-C", "plain"];
        all.extend(args);
        let output = world.run(&all);
        assert_eq!(code(&output), 2, "{args:?}: {}", text(&output));
        let said = text(&output);
        assert!(
            said.contains("plain is not a workspace"),
            "{args:?}: {said}"
        );
        assert!(said.contains("bsm init"), "{args:?}: {said}");
    }
    let diff = world.write("c.diff", crate::support::DOCS);
    for args in [
        &["scan", "--diff"][..],
        &["review", "--no-save", "--diff"],
        &["rules", "test"],
    ] {
        let mut all = vec!["-C", "plain"];
        all.extend(args);
        all.push(diff.to_str().unwrap());
        let output = world.run(&all);
        assert_ne!(code(&output), 2, "{args:?}: {}", text(&output));
        let note = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            note.contains("plain is not a workspace"),
            "{args:?}: {note}"
        );
        let alone = world.run(&all[2..]);
        let note = String::from_utf8_lossy(&alone.stderr).into_owned();
        assert!(!note.contains("workspace"), "{args:?}: {note}");
    }
    // A policy file alone makes a folder count, and init makes it a workspace.
    world.write("plain/.bsmignore", "*.png\n");
    assert_eq!(code(&world.run(&["-C", "plain", "config"])), 0);
    assert_eq!(code(&world.run(&["init", "fresh"])), 0);
    assert_eq!(code(&world.run(&["-C", "fresh", "config", "check"])), 0);
}

#[test]
fn config_with_settings_that_cannot_be_read_still_lists_the_keys() {
    let world = World::new();
    world.write("mine.yaml", "engine:\n  queeu: 3\n");
    let args = ["--config", "mine.yaml", "status"];
    let pointed = world.run(&args);
    assert_eq!(code(&pointed), 2, "{}", text(&pointed));
    assert!(text(&pointed).contains("`bsm config` lists every key"));

    let listed = world.run(&["--config", "mine.yaml", "config"]);
    assert_eq!(code(&listed), 2, "{}", text(&listed));
    let out = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(
        out.contains("\nengine.queue ") && out.contains("built-in values"),
        "{out}"
    );
    let error = String::from_utf8_lossy(&listed.stderr).into_owned();
    assert!(error.contains("queeu"), "{error}");
    let listed = world.run(&["--config", "mine.yaml", "config", "--json"]);
    assert!(json(&listed).as_array().unwrap().len() > 20);
}

/// Runs with readers of stdout (and of stderr) that have left before the first line.
fn without_readers(world: &World, args: &[&str], stderr_too: bool) -> (i32, String) {
    let broken = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let mut command = world.command(args);
    command.stdout(broken());
    if stderr_too {
        command.stderr(broken());
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (code(&output), said)
}

#[test]
fn reader_that_left_is_silent_for_every_command() {
    let world = World::new();
    let run = ended_run(&world);
    assert_eq!(code(&world.run(&["init", "ws"])), 0);
    for args in [
        &["--help"][..],
        &["runs", "--help"],
        &["--version"],
        &["runs"],
        &["runs", "--json"],
        &["runs", "show", &run],
        &["runs", "show", &run, "--report"],
        &["logs"],
        &["logs", "--follow"],
        &["status"],
        &["status", "--all"],
        &["cost"],
        &["config"],
        &["config", "check"],
        &["inbox"],
        &["inbox", "outbox"],
        &["approvals"],
        &["rules"],
        &["memory", "export", "-"],
        &["memory", "patterns"],
        &["trust", "ws", "--show"],
        &["simulate", "--list"],
        &["completions", "bash"],
        &["man"],
        &[
            "scan",
            "--repo",
            "ws",
            "--fail-on",
            "never",
            "--allow-incomplete",
        ],
    ] {
        let (exit, said) = without_readers(&world, args, false);
        assert_eq!((exit, said.as_str()), (0, ""), "{args:?}");
    }
    // Nobody hears of a failure, and its code is the same.
    for (args, wanted) in [
        (&["nosuch"][..], 2),
        (&["runs", "show", "nosuch"], 2),
        (&["attach", "unix:/nonexistent"], 2),
        (&["breaker"], 1),
    ] {
        assert_eq!(without_readers(&world, args, true).0, wanted, "{args:?}");
    }
}

#[test]
fn user_unit_names_a_workspace_and_is_hardened() {
    use clap::Parser as _;
    let path = format!(
        "{}/assets/systemd/bsm-user.service",
        env!("CARGO_MANIFEST_DIR")
    );
    let unit = std::fs::read_to_string(path).unwrap();
    let value = |key: &str| {
        unit.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .unwrap_or_else(|| panic!("{key} is missing"))
    };
    let started = bsm::cli::Cli::try_parse_from(value("ExecStart").split(' ')).unwrap();
    let workspace = started.global.workspace.unwrap();
    assert_eq!(workspace, std::path::Path::new("%h/bsm"));
    assert!(
        unit.contains("bsm init ~/bsm"),
        "it says how the folder is made"
    );
    let writable = value("ReadWritePaths");
    assert!(writable.contains("%h/bsm/reports") && writable.contains("%h/.local/state/bsm"));
    for (key, wanted) in [
        ("NoNewPrivileges", "yes"),
        ("ProtectSystem", "strict"),
        ("PrivateTmp", "yes"),
        ("RestrictNamespaces", "yes"),
        ("MemoryDenyWriteExecute", "yes"),
        ("SystemCallFilter", "@system-service"),
        ("LimitCORE", "0"),
    ] {
        assert_eq!(value(key), wanted, "{key}");
    }
}

#[tokio::test]
async fn runs_of_another_version_are_listed_with_what_is_known() {
    use bsm::journal::{Finish, Journal, NewRun, RunStatus};
    let world = World::new();
    let readable = ended_run(&world);
    let journal = Journal::open(&world.state().join("built-in-workspace/bsm.db")).unwrap();
    for (id, simulated) in [
        ("job_1_aaaaaa", ""),
        ("job_2_bbbbbb", r#", "simulated": true"#),
    ] {
        let new = NewRun {
            id: id.into(),
            created_ms: id.as_bytes()[4].into(),
            event: "pull_request.opened".into(),
            requested_event: "pull_request.opened".into(),
            plan: r#"{"old": true}"#.into(),
            input: "{}".into(),
            report_name: "old.md".into(),
            ..NewRun::default()
        };
        journal.intake(new).await.unwrap();
        let finish = Finish {
            id: id.into(),
            status: RunStatus::Finished,
            at_ms: 5,
            result: format!(r#"{{"schemaVersion": 1{simulated}}}"#),
            brief: "{}".into(),
            action: "block_pr".into(),
            report: "# An old report".into(),
            publications: Vec::new(),
            approval: None,
            memory: None,
        };
        journal.finish(finish).await.unwrap();
    }
    journal.close();
    drop(journal);
    let check = |listed: &Value| {
        let runs = listed.as_array().unwrap();
        let ids: Vec<&str> = runs.iter().map(|r| r["id"].as_str().unwrap()).collect();
        assert_eq!(ids, [&readable, "job_2_bbbbbb", "job_1_aaaaaa"], "{listed}");
        for (run, simulated) in [(&runs[1], true), (&runs[2], false)] {
            assert_eq!(
                (&run["action"], &run["simulated"], &run["state"]),
                (&"block_pr".into(), &simulated.into(), &"finished".into())
            );
            let reason = run["reason"].as_str().unwrap();
            assert!(reason.contains("another version of bsm"), "{reason}");
            assert_eq!(reason.contains("simulated is unknown"), !simulated);
        }
    };
    check(&json(&world.run(&["runs", "--json"])));
    let shown = world.run(&["runs", "show", "aaaaaa"]);
    assert_eq!(code(&shown), 1);
    assert!(
        text(&shown).contains("another version of bsm"),
        "{}",
        text(&shown)
    );
    let report = world.run(&["runs", "show", "aaaaaa", "--report"]);
    assert_eq!(text(&report), "# An old report\n");

    // The same of a running engine.
    let _engine = Engine::start(&world, &["--offline"]);
    let url = format!(
        "unix:{}",
        world.state().join("built-in-workspace/bsm.sock").display()
    );
    check(&json(&world.run(&["runs", "--json", "--url", &url])));
}
