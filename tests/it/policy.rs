//! Whose policy decides: an untrusted workspace only tightens, the base commit's policy judges a change, a
//! pipeline pins one policy, another user's workspace is refused, and what is hashed is what is parsed.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;

use crate::support::world::{World, code, git, text};
use crate::support::{DOCS, adding};

fn secret() -> String {
    adding("a.py", &format!("t = \"ghp_{}\"\n", "a1B2c3D4e5".repeat(4)))
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(output)))
}

fn cause(output: &Output) -> (String, String) {
    let value = json(output);
    let word = |key: &str| value["decision"][key].as_str().unwrap_or("none").to_owned();
    (word("action"), word("cause"))
}

fn is(output: &Output, action: &str, why: &str) {
    let wanted = (action.to_owned(), why.to_owned());
    assert_eq!(cause(output), wanted, "{}", text(output));
}

/// Reviews a diff in the workspace `ws`.
fn review(world: &World, diff: &str, variables: &[(&str, &str)]) -> Output {
    let file = world.write("c.diff", diff);
    let args = [
        "-C",
        "ws",
        "review",
        "--no-save",
        "--json",
        "--diff",
        file.to_str().unwrap(),
    ];
    world
        .command(&args)
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

#[test]
fn untrusted_workspace_makes_no_review_milder() {
    let weak: &[(&str, &str)] = &[
        (
            "bsm.yaml",
            "review:\n  severities: {\"secrets/*\": off, \"security/*\": info}\n  coverageFloor: 0\n",
        ),
        (
            ".gitleaks.toml",
            "[extend]\nuseDefault = true\ndisabledRules = [\"github-pat\"]\n[allowlist]\npaths = ['''.*''']\n",
        ),
        (".bsmignore", "*\n"),
        (
            "data/agents/index.json",
            r#"{"agents": ["s.yaml", "g.yaml"]}"#,
        ),
        ("data/agents/s.yaml", "id: security-agent\npacks: []\n"),
        ("data/agents/g.yaml", "id: gentle\npacks: []\n"),
        (
            "agents/events.yaml",
            "version: 1\nevents:\n  pull_request.opened: {agents: [gentle], needsDiff: true}\n",
        ),
    ];
    for (name, content) in weak {
        let world = World::new();
        world.write("ws/agents/registry.yaml", "version: \"1.0\"\nagents: []\n");
        world.write(&format!("ws/{name}"), content);
        if name.ends_with("events.yaml") || name.starts_with("data/agents") {
            for (name, content) in &weak[3..] {
                world.write(&format!("ws/{name}"), content);
            }
        }
        is(&review(&world, &secret(), &[]), "block_pr", "finding");
        is(
            &review(&world, DOCS, &[]),
            "manual_review",
            "policy_untrusted",
        );
        assert!(
            text(&review(&world, DOCS, &[])).contains("not trusted"),
            "{name} is not named"
        );
    }
}

#[test]
fn workspace_allows_no_offline_approval_and_may_forbid_it() {
    let code_change = adding("src/a.py", "x = 1\n");
    let world = World::new();
    assert_eq!(code(&world.run(&["init", "ws"])), 0);
    is(
        &review(&world, DOCS, &[]),
        "approve_and_merge",
        "documentation_only",
    );
    is(
        &review(&world, &code_change, &[]),
        "manual_review",
        "rules_only",
    );
    world.write("ws/bsm.yaml", "review: {offlineApproval: any}\n");
    assert_eq!(code(&world.run(&["trust", "ws"])), 0);
    is(
        &review(&world, &code_change, &[]),
        "manual_review",
        "rules_only",
    );
    // The user's own word counts, and the report's first line says so.
    let any = [("BSM_REVIEW_OFFLINE_APPROVAL", "any")];
    is(
        &review(&world, &code_change, &any),
        "approve_and_merge",
        "rules_only",
    );
    let file = world.write("c.diff", &code_change);
    let args = [
        "-C",
        "ws",
        "review",
        "--no-save",
        "--markdown",
        "-",
        "--diff",
        file.to_str().unwrap(),
    ];
    let report = world.command(&args).envs(any).output().unwrap();
    let report = String::from_utf8_lossy(&report.stdout).into_owned();
    let first = report.lines().next().unwrap_or_default();
    assert!(
        first.contains("approved by rules alone") && first.contains("offlineApproval"),
        "{report}"
    );
    // A workspace may ask for more care, trusted or not.
    world.write("ws/bsm.yaml", "review: {offlineApproval: never}\n");
    assert_eq!(code(&world.run(&["trust", "ws"])), 0);
    is(&review(&world, DOCS, &[]), "manual_review", "rules_only");
}

#[test]
fn pipeline_pins_exactly_one_policy() {
    let world = World::new();
    world.write("ws/agents/registry.yaml", "version: \"1.0\"\nagents: []\n");
    assert_eq!(code(&world.run(&["init", "ws"])), 0);
    let shown = text(&world.run(&["trust", "ws", "--show"]));
    let hash = shown
        .split("policy ")
        .nth(1)
        .and_then(|r| r.split(' ').next())
        .unwrap()
        .to_owned();
    assert_eq!(hash.len(), 32, "{shown}");
    let pinned = [("BSM_TRUST", hash.as_str())];
    is(
        &review(&world, DOCS, &[]),
        "manual_review",
        "policy_untrusted",
    );
    is(
        &review(&world, DOCS, &pinned),
        "approve_and_merge",
        "documentation_only",
    );
    world.write("ws/.bsmignore", "*\n");
    is(
        &review(&world, DOCS, &pinned),
        "manual_review",
        "policy_untrusted",
    );
}

#[test]
fn trust_shows_what_it_pins() {
    let world = World::new();
    world.write("ws/agents/models.yaml", "version: 1\nproviders:\n  own: {kind: chat, baseUrl: 'https://models.example/v1', keyEnv: [OWN_KEY], headers: {x-team: a}}\nmodels: {m: {provider: own}}\ndefault: m\n");
    world.write("ws/agents/events.yaml", "version: 1\nevents:\n  pull_request.opened: {agents: [code-review-agent]}\n  nightly: {agents: [code-review-agent], outcome: health, schedule: {cron: '0 3 * * *', zone: UTC}}\n");
    world.write(
        "ws/bsm.yaml",
        "review: {severities: {\"security/weak-hash\": off}}\n",
    );
    world.write("ws/.bsmignore", "gen/\n");
    let shown = text(&world.run(&["trust", "ws", "--show"]));
    for wanted in [
        "https://models.example/v1",
        "OWN_KEY",
        "sends header x-team",
        "event nightly runs by itself",
        "event pull_request.opened is reviewed without governance-review-agent",
        "security/weak-hash is off",
        ".bsmignore leaves files unreviewed",
    ] {
        assert!(shown.contains(wanted), "{wanted}:\n{shown}");
    }
    is(
        &review(&world, DOCS, &[]),
        "manual_review",
        "policy_untrusted",
    );
}

/// A repository with a workspace in it, trusted as its first commit has it.
fn repository(world: &World) -> Option<std::path::PathBuf> {
    assert_eq!(code(&world.run(&["init", "ws"])), 0);
    let repo = world.path("ws");
    git(&repo, &["init", "-q"])?;
    commit(&repo, "first");
    Some(repo)
}

fn commit(repo: &Path, message: &str) {
    git(repo, &["add", "-A"]).unwrap();
    git(repo, &["commit", "-q", "-m", message]).unwrap();
}

#[test]
fn policy_of_the_base_commit_judges_a_change_to_it() {
    let world = World::new();
    let Some(repo) = repository(&world) else {
        return;
    };
    let review = |change: &[&str]| {
        let mut args = vec!["-C", "ws", "review", "--no-save", "--json", "--repo", "ws"];
        args.extend(change);
        world.run(&args)
    };
    let range = |range: &str| review(&[range]);
    // One push switches the rules off, the next brings the secret.
    world.write(
        "ws/bsm.yaml",
        "review: {severities: {\"secrets/*\": off}}\n",
    );
    world.write("ws/.bsmignore", "*\n");
    commit(&repo, "policy");
    world.write(
        "ws/a.py",
        format!("t = \"ghp_{}\"\n", "a1B2c3D4e5".repeat(4)),
    );
    commit(&repo, "code");
    let both = range("HEAD~2..HEAD");
    is(&both, "block_pr", "finding");
    assert!(
        text(&both).contains("governance/policy-file"),
        "{}",
        text(&both)
    );
    // The base of this range has the weak policy; nobody trusts it.
    is(&range("HEAD~1..HEAD"), "block_pr", "finding");
    // A change of the policy alone needs a person.
    is(&range("HEAD~2..HEAD~1"), "manual_review", "finding");
    // Documentation on top: the policy that decides is not trusted.
    world.write("ws/README.md", "# Words\n\nSome words stand here.\n");
    commit(&repo, "words");
    is(&range("HEAD~1..HEAD"), "manual_review", "policy_untrusted");
    // From the trusted base on, documentation alone is approved, whatever the working tree says.
    git(&repo, &["checkout", "-q", "-b", "words", "HEAD~3"]).unwrap();
    world.write("ws/README.md", "# Words\n\nSome words stand here.\n");
    commit(&repo, "words alone");
    world.write("ws/.bsmignore", "*\n");
    is(
        &range("HEAD~1..HEAD"),
        "approve_and_merge",
        "documentation_only",
    );
    let staged = {
        world.write("ws/README.md", "# Words\n\nOther words stand here.\n");
        git(&repo, &["add", "README.md"]).unwrap();
        review(&["--staged"])
    };
    is(&staged, "approve_and_merge", "documentation_only");
}

#[test]
fn files_of_a_workspace_are_plain_files_and_never_quoted() {
    let world = World::new();
    let canary = world.write("outside.txt", "canary-0123456789: [\n");
    let try_it = |world: &World| {
        let file = world.write("c.diff", DOCS);
        world.run(&[
            "-C",
            "ws",
            "review",
            "--no-save",
            "--diff",
            file.to_str().unwrap(),
        ])
    };
    world.write("ws/agents/registry.yaml", "version: \"1.0\"\nagents: []\n");
    symlink(&canary, world.path("ws/bsm.yaml")).unwrap();
    let link = try_it(&world);
    assert_eq!(code(&link), 2, "{}", text(&link));
    assert!(
        text(&link).contains("bsm.yaml") && !text(&link).contains("canary"),
        "{}",
        text(&link)
    );
    std::fs::remove_file(world.path("ws/bsm.yaml")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        world.path("ws/bsm.yaml"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    let pipe = try_it(&world);
    assert_eq!(code(&pipe), 2, "{}", text(&pipe));
    assert!(text(&pipe).contains("not a plain file"), "{}", text(&pipe));
    std::fs::remove_file(world.path("ws/bsm.yaml")).unwrap();
    world.write("ws/bsm.yaml", "breaker: \"canary-0123456789\"\n");
    let wrong = try_it(&world);
    assert_eq!(code(&wrong), 2);
    assert!(
        text(&wrong).contains("bsm.yaml:1") && !text(&wrong).contains("canary"),
        "{}",
        text(&wrong)
    );
    let large = std::fs::File::create(world.path("ws/bsm.yaml")).unwrap();
    large.set_len(10 << 30).unwrap();
    let large = try_it(&world);
    assert_eq!(code(&large), 2);
    assert!(
        text(&large).contains("more than the limit"),
        "{}",
        text(&large)
    );
}

#[test]
fn file_that_another_process_flips_is_never_trusted_in_its_weak_form() {
    use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
    let world = World::new();
    assert_eq!(code(&world.run(&["init", "ws"])), 0);
    let settings = world.path("ws/bsm.yaml");
    let good = std::fs::read(&settings).unwrap();
    let weak = b"review: {severities: {\"secrets/*\": off, \"security/*\": off}}\n";
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let temporary = world.path("ws/.flip");
            while !stop.load(Relaxed) {
                for content in [weak.as_slice(), &good] {
                    std::fs::write(&temporary, content).unwrap();
                    std::fs::rename(&temporary, &settings).unwrap();
                }
            }
        });
        for _ in 0..20 {
            let output = review(&world, &secret(), &[]);
            let found = cause(&output);
            if found != ("block_pr".to_owned(), "finding".to_owned()) {
                stop.store(true, Relaxed);
                panic!("{found:?}: {}", text(&output));
            }
        }
        stop.store(true, Relaxed);
    });
}

#[test]
fn workspace_of_another_user_is_refused_unless_it_is_listed() {
    let world = World::new();
    assert_eq!(code(&world.run(&["init", "ws"])), 0);
    let ws = world.path("ws");
    if std::os::unix::fs::chown(&ws, Some(12_345), None).is_err() {
        return; // Only root can give a folder away.
    }
    let refused = review(&world, DOCS, &[]);
    assert_eq!(code(&refused), 2, "{}", text(&refused));
    assert!(
        text(&refused).contains("belongs to user 12345")
            && text(&refused).contains("BSM_SAFE_DIRECTORIES"),
        "{}",
        text(&refused)
    );
    let canonical = ws.canonicalize().unwrap();
    let listed = [("BSM_SAFE_DIRECTORIES", canonical.to_str().unwrap())];
    is(
        &review(&world, DOCS, &listed),
        "approve_and_merge",
        "documentation_only",
    );
    // The workspace cannot list itself.
    world.write(
        "ws/bsm.yaml",
        format!("safeDirectories: ['{}']\n", canonical.display()),
    );
    assert_eq!(code(&review(&world, DOCS, &[])), 2);
}
