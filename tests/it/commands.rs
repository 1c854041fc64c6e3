//! The command tree as its user runs it: groups, old names, the commands that speak to an engine.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

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
        let mut child = world
            .command(&args)
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
fn help_lists_commands_in_groups() {
    let world = World::new();
    for args in [&["--help"][..], &["-h"], &["help"]] {
        let help = text(&world.run(args));
        for line in ["\nReview:\n  review ", "\nEngine:\n  serve ", "\nTry:\n  "] {
            assert!(help.contains(line), "{args:?} {line:?}\n{help}");
        }
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
