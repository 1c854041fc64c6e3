//! `bsm review` and `bsm scan` over real repositories: ranges, what is staged, commit by commit, and a
//! repository whose own configuration tries to change what is read.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::DOCS;
use crate::support::world::{World, code, git, text};

fn token() -> String {
    format!("ghp_{}", "a1B2c3D4e5".repeat(4))
}

fn json(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{e}: {}", text(output)))
}

fn repository(world: &World) -> Option<PathBuf> {
    let repo = world.path("repo");
    std::fs::create_dir_all(&repo).unwrap();
    git(&repo, &["init", "-q"])?;
    world.write("repo/a.txt", "one\n");
    commit(&repo, "first");
    Some(repo)
}

fn commit(repo: &Path, message: &str) {
    git(repo, &["add", "-A"]).unwrap();
    git(repo, &["commit", "-q", "-m", message]).unwrap();
}

fn inside(world: &World, args: &[&str]) -> Output {
    world
        .command(args)
        .current_dir(world.path("repo"))
        .output()
        .unwrap()
}

#[test]
fn review_without_arguments_takes_the_branch_and_scan_its_commits() {
    let world = World::new();
    let Some(repo) = repository(&world) else {
        return;
    };
    let nothing = inside(&world, &["review"]);
    assert_eq!(code(&nothing), 2);
    assert!(
        text(&nothing).contains("nothing to review"),
        "{}",
        text(&nothing)
    );
    assert_eq!(code(&inside(&world, &["scan"])), 2);
    git(&repo, &["checkout", "-q", "-b", "work"]).unwrap();
    world.write("repo/b.py", format!("t = \"{}\"\n", token()));
    commit(&repo, "add");
    world.write("repo/b.py", "t = os.environ['T']\n");
    commit(&repo, "out");
    world.write("repo/a.txt", "two\n");
    // The end result has no secret; the history has.
    let review = inside(&world, &["review", "--no-save", "--json"]);
    assert_eq!(code(&review), 30, "{}", text(&review));
    assert_eq!(json(&review)["decision"]["cause"], "finding");
    assert!(text(&review).contains("in no commit"), "{}", text(&review));
    let scan = inside(&world, &["scan", "--json"]);
    assert_eq!(code(&scan), 1, "{}", text(&scan));
    let value = json(&scan);
    let found = &value["findings"][0];
    assert_eq!(
        (&value["schemaVersion"], &found["rule"]),
        (&1.into(), &"secrets/github-token".into())
    );
    let id = git(&repo, &["rev-parse", "HEAD~1"]).unwrap();
    assert_eq!(found["commit"].as_str().unwrap(), id.trim());
    assert_eq!(
        (&found["line"], &found["column"], &found["endLine"]),
        (&1.into(), &6.into(), &1.into())
    );
    assert!(!text(&scan).contains(&token()));
    // The same by a range, and by what is staged.
    assert_eq!(code(&inside(&world, &["scan", "main..work"])), 1);
    assert_eq!(
        code(&inside(
            &world,
            &["scan", "main..work", "--fail-on", "never"]
        )),
        0
    );
    git(&repo, &["checkout", "-q", "main"]).unwrap();
    world.write("repo/c.py", format!("t = \"{}\"\n", token()));
    git(&repo, &["add", "c.py"]).unwrap();
    assert_eq!(code(&inside(&world, &["scan", "--staged"])), 1);
    let staged = inside(&world, &["review", "--staged", "--no-save"]);
    assert_eq!(code(&staged), 30, "{}", text(&staged));
}

#[test]
fn scan_ends_as_a_linter_does() {
    let world = World::new();
    let scan = |diff: &str, more: &[&str]| {
        let mut args = vec!["scan", "--diff", "-"];
        args.extend(more);
        world.with_stdin(&args, diff.as_bytes())
    };
    let binary =
        "diff --git a/x.bin b/x.bin\nindex 1..2 100644\nBinary files a/x.bin and b/x.bin differ\n";
    let low = crate::support::adding("src/a.py", "# TODO: later\n");
    let high = crate::support::adding("src/a.py", "x = eval(text)\n");
    assert_eq!(code(&scan(DOCS, &[])), 0);
    assert_eq!(code(&scan(&low, &[])), 0);
    assert_eq!(code(&scan(&low, &["--fail-on", "info"])), 1);
    assert_eq!(code(&scan(&high, &[])), 1);
    assert_eq!(code(&scan(binary, &["--fail-on", "high"])), 3);
    assert_eq!(
        code(&scan(binary, &["--fail-on", "high", "--allow-incomplete"])),
        0
    );
    assert_eq!(
        code(&scan(&format!("{binary}{high}"), &[])),
        1,
        "findings win"
    );
    assert_eq!(code(&scan("hello\n", &[])), 2);
    assert_eq!(code(&scan(DOCS, &["--json", "--sarif", "-"])), 2);
    let two = world.run(&[
        "run",
        "pull_request.opened",
        "--sample",
        "docs",
        "--no-save",
        "--rdjsonl",
        "-",
        "--junit",
        "-",
    ]);
    assert_eq!(code(&two), 2, "{}", text(&two));
    for (flag, mark) in [
        ("--sarif", "\"version\": \"2.1.0\""),
        (
            "--code-quality",
            "\"check_name\": \"security/dynamic-code\"",
        ),
        ("--junit", "<failure type="),
        (
            "--rdjsonl",
            "\"code\":{\"value\":\"security/dynamic-code\"}",
        ),
    ] {
        let out = scan(&format!("{high}{binary}"), &[flag, "-"]);
        let printed = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(printed.contains(mark), "{flag}: {printed}");
    }
    let annotated = scan(&format!("{high}{binary}"), &["--annotations"]);
    assert!(text(&annotated).contains("::warning file=x.bin,title=not reviewed::binary"));
}

#[test]
fn configuration_of_a_repository_changes_nothing_that_is_read() {
    let world = World::new();
    let Some(repo) = repository(&world) else {
        return;
    };
    world.write("repo/sub/b.py", "x = 1\n");
    world.write("repo/naïve.py", "y = 1\n");
    commit(&repo, "second");
    world.write("repo/a.txt", "two\n");
    world.write("repo/sub/b.py", format!("x = \"{}\"\n", token()));
    world.write("repo/naïve.py", "y = eval(text)\n");
    commit(&repo, "third: naïve");
    let sub = world.path("repo/sub");
    let look = || {
        let args = [
            "run",
            "pull_request.opened",
            "--no-save",
            "--json",
            "--range",
            "HEAD~1..HEAD",
        ];
        let run = world.command(&args).current_dir(&sub).output().unwrap();
        let scan = world
            .command(&["scan", "--json", "HEAD~1..HEAD"])
            .current_dir(&sub)
            .output()
            .unwrap();
        let run = json(&run);
        (
            run["coverage"].clone(),
            run["decision"].clone(),
            json(&scan)["findings"]
                .as_array()
                .unwrap()
                .iter()
                .map(|f| (f["rule"].clone(), f["file"].clone(), f["line"].clone()))
                .collect::<Vec<_>>(),
        )
    };
    let plain = look();
    assert_eq!(plain.0["filesTotal"], 3, "{plain:?}");
    assert!(
        plain
            .2
            .iter()
            .any(|(rule, file, _)| rule == "secrets/github-token" && file == "sub/b.py")
    );
    for (key, value) in [
        ("diff.relative", "true"),
        ("diff.mnemonicPrefix", "true"),
        ("diff.noprefix", "true"),
        ("diff.srcPrefix", "x/"),
        ("diff.context", "0"),
        ("diff.interHunkContext", "100"),
        ("diff.algorithm", "patience"),
        ("diff.suppressBlankEmpty", "true"),
        ("diff.wsErrorHighlight", "all"),
        ("diff.colorMoved", "zebra"),
        ("diff.renames", "copies"),
        ("diff.submodule", "log"),
        ("diff.orderFile", "/dev/null"),
        ("diff.ignoreSubmodules", "all"),
        ("diff.wordRegex", "."),
        ("color.ui", "always"),
        ("color.diff", "always"),
        ("core.quotePath", "false"),
        ("core.abbrev", "4"),
        ("core.bigFileThreshold", "1"),
        ("i18n.logOutputEncoding", "UTF-16"),
        ("log.showSignature", "true"),
        ("log.decorate", "full"),
        ("log.follow", "true"),
        ("log.date", "raw"),
        ("log.showRoot", "false"),
        ("log.diffMerges", "off"),
        ("format.pretty", "oneline"),
        ("status.short", "true"),
    ] {
        git(&repo, &["config", key, value]).unwrap();
        let now = look();
        assert_eq!(now, plain, "{key}={value}");
        git(&repo, &["config", "--unset", key]).unwrap();
    }
}

#[test]
fn messages_beyond_the_limit_are_not_called_reviewed() {
    let world = World::new();
    let Some(repo) = repository(&world) else {
        return;
    };
    // Ten thousand and seven commits without changes, written in one go; the oldest holds a secret.
    let mut stream = String::new();
    for n in 0..10_007 {
        let message = if n == 0 {
            format!("use {}", token())
        } else {
            "more".to_owned()
        };
        stream.push_str(&format!(
            "commit refs/heads/many\ncommitter t <t@example.org> {} +0000\ndata {}\n{message}\n{}",
            1_700_000_000 + n,
            message.len(),
            if n == 0 {
                "from refs/heads/main^0\n"
            } else {
                ""
            }
        ));
    }
    stream.push_str("M 100644 inline notes.md\ndata 6\nWords.\n\ndone\n");
    let mut child = std::process::Command::new("git")
        .args(["fast-import", "--quiet", "--done"])
        .current_dir(&repo)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), stream.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
    let review = inside(&world, &["review", "--no-save", "--json", "main..many"]);
    assert_eq!(code(&review), 30, "{}", text(&review));
    assert!(
        text(&review).contains("more than 1000"),
        "{}",
        text(&review)
    );
    let scan = inside(&world, &["scan", "--json", "main..many"]);
    assert_eq!(code(&scan), 1, "{}", text(&scan));
    assert!(text(&scan).contains("secrets/in-commit-message"));
}

#[test]
fn secret_of_an_intermediate_commit_is_found_in_the_range() {
    let world = World::new();
    let Some(repo) = repository(&world) else {
        return;
    };
    world.write("repo/b.py", format!("t = \"{}\"\n", token()));
    commit(&repo, "add");
    world.write("repo/b.py", "t = os.environ['T']\n");
    commit(&repo, "take out");
    let out = inside(&world, &["review", "--no-save", "--json", "HEAD~2..HEAD"]);
    assert_eq!(code(&out), 30, "{}", text(&out));
    assert!(
        text(&out).contains("secrets/github-token")
            && text(&out).contains("stays in the history")
            && !text(&out).contains(&token()[..20]),
        "{}",
        text(&out)
    );
    // In one commit alone it is as before.
    let out = inside(&world, &["review", "--no-save", "--json", "HEAD~1..HEAD"]);
    assert_eq!(json(&out)["decision"]["cause"], "rules_only");
}

#[test]
fn documentation_of_a_range_is_proven_with_the_whole_file_in_sight() {
    let world = World::new();
    let Some(repo) = repository(&world) else {
        return;
    };
    let long = |middle: &str| {
        let filler = "A sentence that fills a line here.\n\n".repeat(20);
        format!(
            "# Title\n\n{filler}```sh\nfirst one\n\n\n\n{middle}\n\n\n\nlast one\n```\n\n{filler}"
        )
    };
    world.write("repo/README.md", long("run it twice"));
    world.write("repo/docs/a.md", "# A\n\nWords.\n");
    world.write(
        "repo/src/lib.rs",
        "#![doc = include_str!(\"../docs/a.md\")]\n",
    );
    commit(&repo, "documents");
    let decide = |range: &str| {
        let out = inside(&world, &["review", "--no-save", "--json", range]);
        (
            json(&out)["decision"]["cause"].clone(),
            json(&out)["documentation"].clone(),
        )
    };
    // What looks like a sentence stands in a code block that the hunk does not show.
    world.write("repo/README.md", long("Run it with more care now."));
    commit(&repo, "code block");
    let (cause, why) = decide("HEAD~1..HEAD");
    assert_eq!(cause, "rules_only", "{why}");
    assert!(
        why.to_string()
            .contains("README.md: code, a link, a tag or a setting is new, changed or moved"),
        "{why}"
    );
    // Read by a source file.
    world.write("repo/docs/a.md", "# A\n\nOther words.\n");
    commit(&repo, "included");
    let (cause, why) = decide("HEAD~1..HEAD");
    assert_eq!(cause, "rules_only", "{why}");
    assert!(why.to_string().contains("src/lib.rs"), "{why}");
    // From a folder of the repository, too.
    let out = inside(
        &world,
        &[
            "review",
            "--no-save",
            "--json",
            "--repo",
            "docs",
            "HEAD~1..HEAD",
        ],
    );
    assert_eq!(json(&out)["decision"]["cause"], "rules_only");
    world.write("repo/docs/b.md", "# B\n\nWords of another kind.\n");
    commit(&repo, "plain");
    assert_eq!(decide("HEAD~1..HEAD").0, "documentation_only");
}

#[test]
fn whole_image_counts_as_reviewed_where_the_operator_says_so() {
    use base64::Engine as _;
    let world = World::new();
    let Some(repo) = repository(&world) else {
        return;
    };
    let png = base64::engine::general_purpose::STANDARD
        .decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII=")
        .unwrap();
    world.write("repo/logo.png", &png);
    commit(&repo, "logo");
    world.write("repo/logo.png", [png.as_slice(), b"#!/bin/sh"].concat());
    commit(&repo, "more than a logo");
    let cause = |range: &str, assets: &str| {
        let args = ["review", "--no-save", "--json", range];
        let mut command = world.command(&args);
        command.current_dir(&repo).env("BSM_REVIEW_ASSETS", assets);
        json(&command.output().unwrap())["decision"]["cause"].clone()
    };
    assert_ne!(cause("HEAD~2..HEAD~1", "skip"), "rules_only");
    assert_eq!(cause("HEAD~2..HEAD~1", "allow"), "rules_only");
    assert_ne!(cause("HEAD~1..HEAD", "allow"), "rules_only");
}

#[test]
fn fingerprints_are_equal_on_two_machines_and_hold_no_secret() {
    let diff = format!(
        "{}{}",
        crate::support::adding(
            "a.py",
            &format!("t = \"{}\"\nx = eval(text)\nx = eval(text)\n", token())
        ),
        crate::support::adding("b.py", "import pickle\npickle.loads(data)\n"),
    );
    let fingerprints = || {
        let world = World::new();
        let file = world.write("c.diff", &diff);
        // A key of one machine alone changes nothing.
        let args = ["review", "--sarif", "-", "--diff", file.to_str().unwrap()];
        let out = world
            .command(&args)
            .env("ADMIN_TOKEN", "abcdefgh12345678")
            .output()
            .unwrap();
        let log: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        let results = log["runs"][0]["results"].as_array().unwrap().clone();
        let all: Vec<String> = results
            .iter()
            .map(|r| r["partialFingerprints"].to_string())
            .collect();
        (all, results)
    };
    let (one, results) = fingerprints();
    let (other, _) = fingerprints();
    assert!(one.len() >= 4, "{results:?}");
    assert_eq!(one, other);
    let distinct: std::collections::BTreeSet<_> = one.iter().collect();
    assert_eq!(distinct.len(), one.len(), "{results:?}");
}

#[test]
fn repository_before_its_first_commit_reviews_what_is_staged() {
    let world = World::new();
    let repo = world.path("r");
    std::fs::create_dir(&repo).unwrap();
    if git(&repo, &["init", "-q"]).is_none() {
        return;
    }
    let run = |args: &[&str]| world.command(args).current_dir(&repo).output().unwrap();
    for command in ["review", "scan"] {
        let none = run(&[command]);
        assert_eq!(code(&none), 2, "{}", text(&none));
        assert!(text(&none).contains("no commit yet"), "{}", text(&none));
        assert!(text(&none).contains("--staged"), "{}", text(&none));
    }
    let token = format!("ghp_{}", "a1B2c3D4e5".repeat(4));
    world.write("r/a.py", format!("t = \"{token}\"\n"));
    git(&repo, &["add", "-A"]).unwrap();
    let scanned = run(&["scan", "--staged"]);
    assert_eq!(code(&scanned), 1, "{}", text(&scanned));
    let reviewed = run(&["review", "--staged", "--no-save"]);
    assert_eq!(code(&reviewed), 30, "{}", text(&reviewed));
}

#[test]
fn unknown_revision_is_said_without_what_git_says_beside_it() {
    let world = World::new();
    let repo = world.path("r");
    std::fs::create_dir(&repo).unwrap();
    world.write("r/a.txt", "a\n");
    if git(&repo, &["init", "-q"]).is_none() {
        return;
    }
    git(&repo, &["add", "-A"]).unwrap();
    git(&repo, &["commit", "-q", "-m", "one"]).unwrap();
    // The parent of the first commit: git looks for grafts, and says that they are old.
    let output = world
        .command(&["review", "HEAD~1..HEAD"])
        .current_dir(&repo)
        .output()
        .unwrap();
    assert_eq!(code(&output), 2, "{}", text(&output));
    assert!(
        text(&output).contains("no such revision: HEAD~1") && !text(&output).contains("graft"),
        "{}",
        text(&output)
    );
}
