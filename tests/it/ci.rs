//! `bsm ci` in emulated pipelines: each system's own variables, clones of one commit, no home, no terminal.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::world::{World, code, git, text};

/// A remote with a pull request, and a clone as a runner makes it.
pub(crate) struct Lab {
    pub(crate) world: World,
    origin: PathBuf,
    /// Where the branch left from.
    fork: String,
    /// The newest commit of main.
    main: String,
    /// The newest commit of the branch.
    pub(crate) head: String,
    /// What a runner builds: both together.
    merge: String,
}

/// A name and a content.
pub(crate) type File<'a> = (&'a str, &'a [u8]);

fn commit(dir: &Path, files: &[File<'_>], message: &str) -> Option<String> {
    for (name, content) in files {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    git(dir, &["add", "-A"])?;
    git(dir, &["commit", "-q", "--allow-empty", "-m", message])?;
    git(dir, &["rev-parse", "HEAD"])
}

impl Lab {
    /// The branch has these commits, each with its files.
    pub(crate) fn new(commits: &[&[File<'_>]]) -> Option<Self> {
        Self::over(&[], commits)
    }

    /// The same over a main branch with these files.
    fn over(base: &[File<'_>], commits: &[&[File<'_>]]) -> Option<Self> {
        let world = World::new();
        let origin = world.path("origin");
        std::fs::create_dir(&origin).unwrap();
        git(&origin, &["init", "-q"])?;
        for (name, value) in [("allowAnySHA1InWant", "true"), ("allowFilter", "true")] {
            git(&origin, &["config", &format!("uploadpack.{name}"), value])?;
        }
        commit(&origin, &[("old.txt", b"1\n")], "old")?;
        let fork = commit(&origin, base, "base")?;
        let main = commit(&origin, &[("main.txt", b"2\n")], "main")?;
        git(&origin, &["checkout", "-q", "-b", "feature", &fork])?;
        let mut head = fork.clone();
        for (n, files) in commits.iter().enumerate() {
            head = commit(&origin, files, &format!("step {n}"))?;
        }
        git(&origin, &["checkout", "-q", "--detach", &main])?;
        git(&origin, &["merge", "-q", "--no-ff", "-m", "merge", &head])?;
        let merge = git(&origin, &["rev-parse", "HEAD"])?;
        for (name, id) in [
            ("refs/pull/7/head", &head),
            ("refs/pull/7/merge", &merge),
            ("refs/merge-requests/7/head", &head),
        ] {
            git(&origin, &["update-ref", name, id])?;
        }
        git(&origin, &["checkout", "-q", "main"])?;
        Some(Self {
            world,
            origin,
            fork,
            main,
            head,
            merge,
        })
    }

    /// A clone that holds `depth` commits of one (0: all), checked out, as runners do it.
    fn clone_of(&self, commit: &str, depth: u32) -> PathBuf {
        let dir = self.world.path("clone");
        std::fs::create_dir(&dir).unwrap();
        let origin = format!("file://{}", self.origin.display());
        git(&dir, &["init", "-q"]).unwrap();
        git(&dir, &["remote", "add", "origin", &origin]).unwrap();
        let depth = format!("--depth={depth}");
        let mut args = vec!["fetch", "-q", "--no-tags"];
        if depth != "--depth=0" {
            args.push(&depth);
        }
        args.extend(["origin", commit]);
        git(&dir, &args).unwrap();
        git(&dir, &["checkout", "-q", "--detach", "FETCH_HEAD"]).unwrap();
        dir
    }

    /// The event of the pull request, in a file of this name.
    fn event(&self, file: &str, title: &str) -> String {
        let event = serde_json::json!({
            "action": "opened",
            "number": 7,
            "pull_request": {
                "number": 7, "title": title, "body": title, "user": {"login": "usr"},
                "labels": [{"name": title}],
                "head": {"sha": self.head, "ref": "feature"},
                "base": {"sha": self.main, "ref": "main"},
            },
            "repository": {"full_name": "acme/app", "default_branch": "main"},
        });
        let path = self.world.write(file, event.to_string());
        path.display().to_string()
    }

    /// The variables of a pull request in one of the systems.
    fn variables(&self, system: &str) -> Vec<(&'static str, String)> {
        let of = |pairs: &[(&'static str, &str)]| {
            let owned = pairs
                .iter()
                .map(|(name, value)| (*name, (*value).to_owned()));
            owned.collect::<Vec<_>>()
        };
        let event = self.event("event.json", "Retry payments");
        let actions = |own: &'static str| {
            of(&[
                (own, "true"),
                ("GITHUB_ACTIONS", "true"),
                ("GITHUB_EVENT_NAME", "pull_request"),
                ("GITHUB_EVENT_PATH", &event),
                ("GITHUB_SHA", &self.merge),
                ("GITHUB_REF", "refs/pull/7/merge"),
                ("GITHUB_BASE_REF", "main"),
                ("GITHUB_REPOSITORY", "acme/app"),
            ])
        };
        match system {
            "GitHub Actions" => actions("CI"),
            "Gitea Actions" => actions("GITEA_ACTIONS"),
            "Forgejo Actions" => actions("FORGEJO_ACTIONS"),
            "GitLab CI" => of(&[
                ("GITLAB_CI", "true"),
                ("CI_PIPELINE_SOURCE", "merge_request_event"),
                ("CI_COMMIT_SHA", &self.head),
                (
                    "CI_COMMIT_BEFORE_SHA",
                    "0000000000000000000000000000000000000000",
                ),
                ("CI_MERGE_REQUEST_IID", "7"),
                ("CI_MERGE_REQUEST_TITLE", "Retry payments"),
                ("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main"),
                ("CI_MERGE_REQUEST_SOURCE_BRANCH_NAME", "feature"),
                ("CI_MERGE_REQUEST_DIFF_BASE_SHA", &self.fork),
                ("CI_MERGE_REQUEST_PROJECT_PATH", "acme/app"),
            ]),
            "Buildkite" => of(&[
                ("BUILDKITE", "true"),
                ("BUILDKITE_COMMIT", &self.head),
                ("BUILDKITE_BRANCH", "feature"),
                ("BUILDKITE_PULL_REQUEST", "7"),
                ("BUILDKITE_PULL_REQUEST_BASE_BRANCH", "main"),
                ("BUILDKITE_PIPELINE_DEFAULT_BRANCH", "main"),
                ("BUILDKITE_REPO", "git@host.example:acme/app.git"),
            ]),
            "Azure Pipelines" => of(&[
                ("TF_BUILD", "True"),
                ("BUILD_REASON", "PullRequest"),
                ("BUILD_SOURCEVERSION", &self.merge),
                ("BUILD_SOURCEBRANCH", "refs/pull/7/merge"),
                ("BUILD_REPOSITORY_NAME", "acme/app"),
                ("SYSTEM_PULLREQUEST_PULLREQUESTID", "7"),
                ("SYSTEM_PULLREQUEST_SOURCECOMMITID", &self.head),
                ("SYSTEM_PULLREQUEST_TARGETBRANCH", "refs/heads/main"),
            ]),
            "CircleCI" => of(&[
                ("CIRCLECI", "true"),
                ("CIRCLE_SHA1", &self.head),
                ("CIRCLE_BRANCH", "feature"),
                (
                    "CIRCLE_PULL_REQUEST",
                    "https://host.example/acme/app/pull/7",
                ),
                ("CIRCLE_PROJECT_USERNAME", "acme"),
                ("CIRCLE_PROJECT_REPONAME", "app"),
            ]),
            "Jenkins" => of(&[
                ("JENKINS_URL", "https://jenkins.example/"),
                ("CHANGE_ID", "7"),
                ("CHANGE_TARGET", "main"),
                ("CHANGE_BRANCH", "feature"),
                ("CHANGE_TITLE", "Retry payments"),
                ("GIT_URL", "https://host.example/acme/app.git"),
            ]),
            other => panic!("no such system: {other}"),
        }
    }

    /// `bsm ci --no-save` in a clone: these variables, no home.
    fn command(
        &self,
        clone: &Path,
        variables: &[(&'static str, String)],
        args: &[&str],
    ) -> Command {
        let all = [["ci", "--no-save"].as_slice(), args].concat();
        let mut command = self.world.command(&all);
        command.env_remove("HOME").current_dir(clone);
        command.envs(variables.iter().map(|(name, value)| (*name, value)));
        command
    }

    /// The same on GitHub Actions with one more commit in the clone than the change has.
    pub(crate) fn on_github(&self, args: &[&str], more: &[(&'static str, String)]) -> Output {
        let clone = self.world.path("clone");
        if !clone.exists() {
            self.clone_of(&self.merge, 1);
        }
        let variables = [self.variables("GitHub Actions"), more.to_vec()].concat();
        self.command(&clone, &variables, args).output().unwrap()
    }
}

pub(crate) const CODE: &[File<'static>] = &[("src/a.py", b"x = 1\n")];

fn secret() -> Vec<u8> {
    format!("t = \"ghp_{}\"\n", "a1B2c3D4e5".repeat(4)).into_bytes()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn short(id: &str) -> &str {
    &id[..12]
}

#[test]
fn pipeline_of_each_system_in_a_clone_of_one_commit_finds_the_right_range() {
    for (system, built, line) in [
        ("GitHub Actions", true, "with: {fetch-depth: 0}"),
        ("Gitea Actions", true, "with: {fetch-depth: 0}"),
        ("Forgejo Actions", true, "with: {fetch-depth: 0}"),
        ("GitLab CI", false, "variables: {GIT_DEPTH: \"0\"}"),
        ("Buildkite", false, "git fetch --unshallow origin"),
        (
            "Azure Pipelines",
            true,
            "- {checkout: self, fetchDepth: 0, persistCredentials: true}",
        ),
        ("Jenkins", false, "cloneOption(shallow: false"),
    ] {
        let Some(lab) = Lab::new(&[CODE, &[("src/b.py", b"y = 2\n")]]) else {
            return;
        };
        let clone = lab.clone_of(if built { &lab.merge } else { &lab.head }, 1);
        let variables = lab.variables(system);
        let refused = lab
            .command(&clone, &variables, &["--no-fetch"])
            .output()
            .unwrap();
        assert_eq!(code(&refused), 2, "{system}: {}", text(&refused));
        assert!(
            text(&refused).contains(line),
            "{system}: {}",
            text(&refused)
        );
        assert!(
            text(&refused).contains("this shallow clone lacks"),
            "{}",
            text(&refused)
        );
        let output = lab.command(&clone, &variables, &[]).output().unwrap();
        let said = stdout(&output);
        assert_eq!(code(&output), 0, "{system}: {}", text(&output));
        let mut lines = said.lines();
        assert_eq!(
            lines.next().unwrap(),
            "gate: findings, because no model is configured: rules decide, and a reviewer still approves"
        );
        let heading = lines.next().unwrap();
        let range = format!("{}..{}", short(&lab.fork), short(&lab.head));
        assert!(
            heading.starts_with(&format!("{system}, acme/app#7")),
            "{heading}"
        );
        assert!(heading.contains(&range), "{system}: {range}: {heading}");
        assert!(said.contains("files reviewed: 2 of 2"), "{system}: {said}");
    }
}

#[test]
fn blobless_clone_gets_the_contents_that_a_review_needs() {
    let Some(lab) = Lab::new(&[CODE]) else { return };
    let clone = lab.world.path("clone");
    let origin = format!("file://{}", lab.origin.display());
    let args = [
        "clone",
        "-q",
        "--filter=blob:none",
        "--no-checkout",
        &origin,
    ];
    git(
        &lab.world.path(""),
        &[args.as_slice(), &[clone.to_str().unwrap()]].concat(),
    )
    .unwrap();
    let variables = lab.variables("CircleCI");
    let refused = lab
        .command(&clone, &variables, &["--no-fetch"])
        .output()
        .unwrap();
    assert_eq!(code(&refused), 2, "{}", text(&refused));
    assert!(
        text(&refused).contains("this partial clone lacks contents of files"),
        "{}",
        text(&refused)
    );
    assert!(
        text(&refused).contains("- checkout: {method: full}"),
        "{}",
        text(&refused)
    );
    let output = lab.command(&clone, &variables, &[]).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
    // The base is the remote's default branch: CircleCI names none.
    let range = format!("{}..{}", short(&lab.fork), short(&lab.head));
    assert!(stdout(&output).contains(&range), "{}", text(&output));
}

#[test]
fn history_that_is_cut_within_the_change_is_fetched_before_anything_passes() {
    // The first commit brings a secret, the second takes it out, and the branch then takes main in.
    let Some(lab) = Lab::new(&[&[("a.py", &secret())], &[("a.py", b"t = 1\n")]]) else {
        return;
    };
    git(&lab.origin, &["checkout", "-q", "--detach", &lab.head]).unwrap();
    git(
        &lab.origin,
        &["merge", "-q", "--no-ff", "-m", "take main in", &lab.main],
    )
    .unwrap();
    let head = git(&lab.origin, &["rev-parse", "HEAD"]).unwrap();
    git(&lab.origin, &["update-ref", "refs/pull/7/head", &head]).unwrap();
    let clone = lab.clone_of(&head, 2);
    let args = ["--base", lab.main.as_str(), "--head", head.as_str()];
    let no_fetch = [args.as_slice(), &["--no-fetch"]].concat();
    let refused = lab.command(&clone, &[], &no_fetch).output().unwrap();
    assert_eq!(code(&refused), 2, "{}", text(&refused));
    assert!(text(&refused).contains("lacks"), "{}", text(&refused));
    let output = lab.command(&clone, &[], &args).output().unwrap();
    assert_eq!(code(&output), 30, "{}", text(&output));
    assert!(stdout(&output).contains("secrets/"), "{}", text(&output));
}

#[test]
fn nothing_detected_says_what_was_looked_for_and_how_to_name_the_commits() {
    let Some(lab) = Lab::new(&[CODE]) else { return };
    let clone = lab.clone_of(&lab.head, 0);
    let output = lab.command(&clone, &[], &[]).output().unwrap();
    assert_eq!(code(&output), 2, "{}", text(&output));
    for wanted in [
        "GITHUB_ACTIONS",
        "GITLAB_CI",
        "GITEA_ACTIONS",
        "FORGEJO_ACTIONS",
        "JENKINS_URL",
        "BUILDKITE",
        "TF_BUILD",
        "CIRCLECI",
        "bsm ci --base origin/main --head HEAD",
    ] {
        assert!(
            text(&output).contains(wanted),
            "{wanted}: {}",
            text(&output)
        );
    }
    let named = lab
        .command(&clone, &[], &["--base", "HEAD~1", "--head", "HEAD"])
        .output()
        .unwrap();
    assert_eq!(code(&named), 0, "{}", text(&named));
    let odd = lab
        .command(&clone, &[], &["--base", "--upload-pack=x"])
        .output()
        .unwrap();
    assert_eq!(code(&odd), 2, "{}", text(&odd));
}

#[test]
fn push_and_merge_queue_review_what_they_bring() {
    let Some(lab) = Lab::new(&[CODE]) else { return };
    let clone = lab.clone_of(&lab.merge, 1);
    let event = |value: serde_json::Value| {
        let path = lab.world.write("e.json", value.to_string());
        path.display().to_string()
    };
    let repository = serde_json::json!({"full_name": "acme/app", "default_branch": "main"});
    let run = |name: &str, reference: &str, sha: &str, event: String| {
        let variables = [
            ("GITHUB_ACTIONS", "true".to_owned()),
            ("GITHUB_EVENT_NAME", name.to_owned()),
            ("GITHUB_EVENT_PATH", event),
            ("GITHUB_REF", reference.to_owned()),
            ("GITHUB_SHA", sha.to_owned()),
        ];
        lab.command(&clone, &variables, &[]).output().unwrap()
    };
    let whole = format!("{}..{}", short(&lab.main), short(&lab.merge));
    // The default branch: what the push added.
    let pushed = event(
        serde_json::json!({"before": lab.main, "after": lab.merge, "repository": repository}),
    );
    let output = run("push", "refs/heads/main", &lab.merge, pushed);
    assert!(stdout(&output).contains(&whole), "{}", text(&output));
    // Another branch: all of it, not only what the newest push added.
    let pushed =
        event(serde_json::json!({"before": lab.head, "after": lab.head, "repository": repository}));
    let output = run("push", "refs/heads/feature", &lab.head, pushed);
    let branch = format!("{}..{}", short(&lab.fork), short(&lab.head));
    assert!(stdout(&output).contains(&branch), "{}", text(&output));
    let queued = event(serde_json::json!({
        "merge_group": {"head_sha": lab.merge, "base_sha": lab.main, "base_ref": "refs/heads/main"},
        "repository": repository,
    }));
    let output = run(
        "merge_group",
        "refs/heads/gh-readonly-queue/main/pr-7",
        &lab.merge,
        queued,
    );
    assert!(stdout(&output).contains(&whole), "{}", text(&output));
    // A branch of which the push says nothing new.
    let pushed =
        event(serde_json::json!({"before": lab.main, "after": lab.main, "repository": repository}));
    let output = run("push", "refs/heads/main", &lab.main, pushed);
    assert_eq!(code(&output), 2, "{}", text(&output));
    assert!(
        text(&output).contains("nothing to review"),
        "{}",
        text(&output)
    );
}

#[test]
fn gate_passes_by_the_words_of_its_table() {
    let blob: &[u8] = &[0, 159, 146, 150, 0, 1, 2, 3];
    let docs: &[File<'_>] = &[("README.md", b"# Words\n\nSome words stand here.\n")];
    let leak = secret();
    let leak: &[File<'_>] = &[("a.py", &leak)];
    let binary: &[File<'_>] = &[("src/a.py", b"x = 1\n"), ("a.bin", blob)];
    for (name, files, approval, findings) in [
        ("code", CODE, 10, 0),
        ("documentation", docs, 0, 0),
        ("secret", leak, 30, 30),
        ("unread file", binary, 10, 10),
    ] {
        let Some(lab) = Lab::new(&[files]) else {
            return;
        };
        for (gate, wanted) in [("approval", approval), ("findings", findings)] {
            let output = lab.on_github(&["--gate", gate], &[]);
            assert_eq!(code(&output), wanted, "{name}, {gate}: {}", text(&output));
            let first = format!("gate: {gate}, asked for by --gate");
            assert_eq!(stdout(&output).lines().next().unwrap(), first);
            let word = if wanted == 0 { "passed" } else { "failed" };
            let last = stdout(&output).lines().last().unwrap().to_owned();
            assert!(last.starts_with(&format!("gate {gate} {word}")), "{last}");
        }
    }
}

#[test]
fn model_that_does_not_answer_fails_both_gates() {
    let Some(lab) = Lab::new(&[CODE]) else { return };
    // A port that nobody listens on.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/v1", free.local_addr().unwrap());
    drop(free);
    let model = [
        ("OPENAI_API_KEY", "no-key-at-all".to_owned()),
        ("OPENAI_BASE_URL", url),
        ("BSM_RETRY_ATTEMPTS", "1".to_owned()),
    ];
    for args in [&[][..], &["--gate", "findings"]] {
        let output = lab.on_github(args, &model);
        assert_eq!(code(&output), 10, "{}", text(&output));
        assert!(
            stdout(&output).contains("evidence_partial"),
            "{}",
            text(&output)
        );
        if args.is_empty() {
            let first = "gate: approval, because a model is configured";
            assert_eq!(stdout(&output).lines().next().unwrap(), first);
        }
    }
    let offline = lab.world.path("clone");
    let variables = [lab.variables("GitHub Actions"), model.to_vec()].concat();
    let args = ["--offline", "ci", "--no-save"];
    let mut command = lab.world.command(&args);
    command.current_dir(offline).env_remove("HOME");
    let output = command
        .envs(variables.iter().map(|(n, v)| (*n, v)))
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
}

#[test]
fn policy_is_the_bases_and_only_its_hash_is_trusted() {
    let scratch = World::new();
    assert_eq!(code(&scratch.run(&["init", "ws"])), 0);
    let mut base: Vec<(String, Vec<u8>)> = Vec::new();
    let mut folders = vec![scratch.path("ws")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(scratch.path("ws")).unwrap();
                base.push((name.display().to_string(), std::fs::read(&path).unwrap()));
            }
        }
    }
    let base: Vec<File<'_>> = base
        .iter()
        .map(|(n, c)| (n.as_str(), c.as_slice()))
        .collect();
    let docs: &[File<'_>] = &[("README.md", b"# Words\n\nSome words stand here.\n")];
    let Some(lab) = Lab::over(&base, &[docs]) else {
        return;
    };
    let shown = text(&scratch.run(&["trust", "ws", "--show"]));
    let hash = shown
        .split("policy ")
        .nth(1)
        .and_then(|r| r.split(' ').next());
    let pinned = [("BSM_TRUST", hash.unwrap().to_owned())];
    let untrusted = lab.on_github(&[], &[]);
    assert_eq!(code(&untrusted), 10, "{}", text(&untrusted));
    assert!(
        stdout(&untrusted).contains("policy_untrusted"),
        "{}",
        text(&untrusted)
    );
    let trusted = lab.on_github(&["--gate", "approval"], &pinned);
    assert_eq!(code(&trusted), 0, "{}", text(&trusted));
    assert!(
        stdout(&trusted).contains("documentation_only"),
        "{}",
        text(&trusted)
    );

    // A change that switches its own rules off is judged by the rules that were there.
    let leak = secret();
    let weak: &[File<'_>] = &[
        ("bsm.yaml", b"review: {severities: {\"secrets/*\": off}}\n"),
        (".bsmignore", b"*\n"),
        ("a.py", &leak),
    ];
    let Some(lab) = Lab::over(&base, &[weak]) else {
        return;
    };
    let output = lab.on_github(&[], &pinned);
    assert_eq!(code(&output), 30, "{}", text(&output));
    assert!(
        stdout(&output).contains("governance/policy-file"),
        "{}",
        text(&output)
    );
}

/// Reads a file as GitHub's runner does.
fn github_outputs(text: &str) -> std::collections::BTreeMap<String, String> {
    let mut values = std::collections::BTreeMap::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let heredoc = line.find("<<");
        let equals = line.find('=');
        match (heredoc, equals) {
            (Some(at), equals) if equals.is_none_or(|e| at < e) => {
                let (name, delimiter) = (&line[..at], &line[at + 2..]);
                let value: Vec<&str> = lines.by_ref().take_while(|l| *l != delimiter).collect();
                values.insert(name.to_owned(), value.join("\n"));
            }
            (_, Some(at)) => {
                values.insert(line[..at].to_owned(), line[at + 1..].to_owned());
            }
            _ => panic!("no value: {line}"),
        }
    }
    values
}

/// A change whose every part tries to speak to a runner.
fn hostile() -> Option<Lab> {
    let leak = secret();
    Lab::new(&[&[
        ("::error::forged.py", &leak),
        ("###vso[task.setvariable variable=forged]x.py", &leak),
        ("a\u{1b}]0;forged\u{7}%0A::error::forged.py", &leak),
        (
            "<img src=x> [forged](http://forged.example) | forged.py",
            &leak,
        ),
        ("--- forged.py", &leak),
    ]])
}

#[test]
fn outputs_and_summary_are_read_back_and_nothing_in_a_change_forges_a_command() {
    let Some(lab) = hostile() else { return };
    let token = format!("ghp_{}", "a1B2c3D4e5".repeat(4));
    let title =
        format!("x\n::set-output name=a::b\n##[error]y |\u{202e} of a few words, then {token}");
    let (output_file, summary) = (
        lab.world.write("output", "before=1\n"),
        lab.world.write("summary.md", "before\n"),
    );
    let files = [
        ("GITHUB_OUTPUT", output_file.display().to_string()),
        ("GITHUB_STEP_SUMMARY", summary.display().to_string()),
        ("GITHUB_EVENT_PATH", lab.event("hostile.json", &title)),
    ];
    let output = lab.on_github(&[], &files);
    assert_eq!(code(&output), 30, "{}", text(&output));
    assert!(
        stdout(&output).contains("acme/app#7 \"x"),
        "{}",
        text(&output)
    );
    assert!(!text(&output).contains(&token[..12]), "{}", text(&output));
    let (mut groups, mut errors) = (0, 0);
    for line in stdout(&output)
        .lines()
        .chain(String::from_utf8_lossy(&output.stderr).lines())
    {
        assert!(!line.contains("##") && !line.contains('\u{1b}'), "{line}");
        assert!(
            !line.contains('\u{202e}') && !line.starts_with("--- "),
            "{line}"
        );
        let words = line.trim_start();
        if let Some(command) = words.strip_prefix("::") {
            groups += i32::from(words.starts_with("::group::"));
            groups -= i32::from(words == "::endgroup::");
            errors += i32::from(words.starts_with("::error file="));
            let kind = command.split(['=', ':', ' ']).next().unwrap();
            assert!(
                ["group", "endgroup", "error", "warning", "notice"].contains(&kind),
                "{line}"
            );
            // Properties are ours alone: nothing of a name begins another one.
            let properties = command.split("::").next().unwrap();
            let properties = properties.split_once(' ').map_or("", |(_, p)| p);
            for property in properties
                .split(',')
                .filter(|p| !p.is_empty() && kind != "group")
            {
                let key = property.split('=').next().unwrap();
                assert!(
                    ["file", "line", "endLine", "title"].contains(&key),
                    "{line}"
                );
            }
        }
    }
    assert_eq!(groups, 0, "{}", text(&output));
    assert!(errors >= 5, "{}", text(&output));
    let values = github_outputs(&std::fs::read_to_string(output_file).unwrap());
    let value = |name: &str| values[name].as_str();
    assert_eq!(value("before"), "1");
    assert_eq!((value("decision"), value("cause")), ("block_pr", "finding"));
    assert_eq!((value("gate"), value("passed")), ("findings", "false"));
    assert!(value("findings").parse::<u32>().unwrap() >= 5 && !value("reason").is_empty());
    let summary = std::fs::read_to_string(summary).unwrap();
    assert!(
        summary.starts_with("before\n**bsm: gate findings failed**"),
        "{summary}"
    );
    for forged in ["<img", "[forged](http", "\u{1b}", "\n::"] {
        assert!(!summary.contains(forged), "{forged}: {summary}");
    }
}

#[test]
fn azure_gets_issues_variables_and_a_summary_and_no_forged_command() {
    let Some(lab) = hostile() else { return };
    let clone = lab.clone_of(&lab.merge, 1);
    let folder = lab.world.path("agent");
    std::fs::create_dir(&folder).unwrap();
    let mut variables = lab.variables("Azure Pipelines");
    variables.push(("AGENT_TEMPDIRECTORY", folder.display().to_string()));
    let output = lab.command(&clone, &variables, &[]).output().unwrap();
    let said = stdout(&output);
    let mut summary = None;
    for line in said.lines().filter(|l| l.contains("##")) {
        assert!(line.starts_with("##"), "{line}");
        assert_eq!(line.matches("##").count(), 1, "{line}");
        if let Some(path) = line.strip_prefix("##vso[task.uploadsummary]") {
            summary = Some(std::fs::read_to_string(path).unwrap());
        }
    }
    assert!(
        said.contains("##vso[task.logissue type=error;sourcepath="),
        "{said}"
    );
    assert!(
        said.contains("##vso[task.setvariable variable=bsmDecision;isoutput=true]block_pr\n"),
        "{said}"
    );
    assert!(!said.contains("variable=forged;"), "{said}");
    assert!(summary.unwrap().contains("gate findings failed"));
}

#[test]
fn other_systems_get_what_they_read() {
    let commits: &[&[File<'_>]] = &[CODE, &[("b.py", b"y = 2\n"), ("c.py", b"z = 3\n")]];
    let Some(lab) = Lab::new(commits) else { return };
    let clone = lab.clone_of(&lab.head, 1);
    let dotenv = lab.world.path("bsm.env");
    let args = ["--dotenv", dotenv.to_str().unwrap()];
    let output = lab
        .command(&clone, &lab.variables("GitLab CI"), &args)
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
    let written = std::fs::read_to_string(&dotenv).unwrap();
    for line in [
        "BSM_CI_DECISION=manual_review",
        "BSM_CI_CAUSE=rules_only",
        "BSM_CI_PASSED=true",
    ] {
        assert!(written.lines().any(|l| l == line), "{line}: {written}");
    }
    let said = stdout(&output);
    let marks = |mark: &str| said.matches(mark).count();
    assert!(marks("\u{1b}[0Ksection_start:") > 0, "{said}");
    assert_eq!(marks("section_start:"), marks("section_end:"), "{said}");
    // What was written is no misspelt setting to the next call.
    let variables: Vec<(&str, String)> = lab.variables("CircleCI");
    let exports = lab.world.path("bash_env");
    let variables = [variables, vec![("BASH_ENV", exports.display().to_string())]].concat();
    let args = ["--base", "origin/main"];
    let output = lab.command(&clone, &variables, &args).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
    let exports = std::fs::read_to_string(exports).unwrap();
    assert!(
        exports.contains("export BSM_CI_PASSED='true'\n"),
        "{exports}"
    );
    let mut next = lab.world.command(&["config"]);
    let pairs = written.lines().filter_map(|l| l.split_once('='));
    let output = next.envs(pairs).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
    // Buildkite's agent, where there is one.
    let bin = lab.world.path("bin");
    let log = lab.world.path("agent.log");
    program(
        &bin,
        "buildkite-agent",
        &format!("echo \"$@\" >> {0}; cat >> {0}", log.display()),
    );
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let variables = [lab.variables("Buildkite"), vec![("PATH", path)]].concat();
    let output = lab.command(&clone, &variables, &[]).output().unwrap();
    assert_eq!(code(&output), 0, "{}", text(&output));
    let told = std::fs::read_to_string(log).unwrap();
    assert!(
        told.contains("annotate --context bsm --style success"),
        "{told}"
    );
    assert!(
        told.contains("meta-data set bsm-decision\nmanual_review"),
        "{told}"
    );
}

#[test]
fn files_for_other_tools_say_what_the_gate_says() {
    let Some(lab) = Lab::new(&[CODE]) else { return };
    let file = |name: &str| lab.world.path(name).display().to_string();
    let (sarif, junit, quality) = (file("b.sarif"), file("b.xml"), file("b.json"));
    let args = [
        "--sarif",
        &sarif,
        "--junit",
        &junit,
        "--code-quality",
        &quality,
    ];
    let output = lab.on_github(&args, &[]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    let log: serde_sarif::sarif::Sarif =
        serde_json::from_str(&std::fs::read_to_string(&sarif).unwrap()).unwrap();
    let invocation = &log.runs[0].invocations.as_ref().unwrap()[0];
    assert_eq!(invocation.exit_code, Some(0));
    crate::cli::valid_sarif(Path::new(&sarif));
    let xml = std::fs::read_to_string(&junit).unwrap();
    assert!(xml.contains("name=\"decision: manual_review\"/>"), "{xml}");
    let list: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&quality).unwrap()).unwrap();
    assert!(list.is_array());
    // One machine's form on standard output, and no command of a runner in it.
    let output = lab.on_github(&["--json"], &[]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["decision"]["cause"], "rules_only");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with("gate: findings, "), "{said}");
    let both = lab.on_github(&["--json", "--sarif", "-"], &[]);
    assert_eq!(code(&both), 2, "{}", text(&both));
}

fn program(bin: &Path, name: &str, script: &str) {
    std::fs::create_dir_all(bin).unwrap();
    let path = bin.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// SARIF with one finding.
fn finding(tool: &str, uri: &str, line: u32) -> String {
    serde_json::json!({
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": tool, "rules": [{"id": "r"}]}},
            "invocations": [{"executionSuccessful": true}],
            "results": [{
                "ruleId": "r", "level": "error", "message": {"text": "found"},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": uri}, "region": {"startLine": line},
                }}],
            }],
        }],
    })
    .to_string()
}

#[test]
fn scanners_run_over_the_changed_files_and_a_failed_one_is_missing_evidence() {
    let workflow: &[File<'_>] = &[
        ("src/a.py", b"x = 1\n"),
        (".github/workflows/w.yml", b"on: push\n"),
        (".gitleaks.toml", b"# weak\n"),
        ("link.yml", b"on: push\n"),
    ];
    let base: &[File<'_>] = &[
        (".gitleaks.toml", b"# base\n"),
        ("untouched.py", b"y = 2\n"),
    ];
    let Some(lab) = Lab::over(base, &[workflow]) else {
        return;
    };
    let bin = lab.world.path("bin");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let variables = [
        ("PATH", path),
        ("GITHUB_TOKEN", "not-for-scanners".to_owned()),
    ];
    let run = |args: &[&str]| lab.on_github(args, &variables);

    let missing = run(&["--with", "gitleaks,zizmor"]);
    assert_eq!(code(&missing), 2, "{}", text(&missing));
    let said = text(&missing);
    assert!(
        said.contains("gitleaks") && said.contains("Install it:"),
        "{said}"
    );

    // Each says what it was given, and fails where that is not what it should be.
    let found = lab
        .world
        .write("found.sarif", finding("Semgrep OSS", "src/a.py", 1));
    program(
        &bin,
        "semgrep",
        &format!(
            "test -z \"$GITHUB_TOKEN\" && test -z \"$OPENAI_API_KEY\" && test -f src/a.py && test ! -e untouched.py || exit 9\n\
             for a in \"$@\"; do case \"$a\" in --output=*) cp {} \"${{a#--output=}}\";; esac; done",
            found.display()
        ),
    );
    let none = lab.world.write(
        "none.sarif",
        r#"{"version": "2.1.0", "runs": [{"tool": {"driver": {"name": "x"}}, "results": []}]}"#,
    );
    program(
        &bin,
        "gitleaks",
        &format!(
            "grep -q base .gitleaks.toml || exit 8\n\
             for a in \"$@\"; do case \"$a\" in --report-path=*) cp {} \"${{a#--report-path=}}\";; esac; done",
            none.display()
        ),
    );
    program(
        &bin,
        "zizmor",
        &format!(
            "for a in \"$@\"; do case \"$a\" in ./*) echo \"$a\" >> {0}.args;; esac; done; cat {0}",
            none.display()
        ),
    );
    let output = run(&["--with", "semgrep,gitleaks,zizmor", "--json"]);
    let value: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let rules = value.to_string();
    assert!(rules.contains("lint:semgrep-oss/r"), "{}", text(&output));
    assert!(!rules.contains("it failed"), "{}", text(&output));
    let given = std::fs::read_to_string(format!("{}.args", none.display())).unwrap();
    assert_eq!(given, "./.github/workflows/w.yml\n");

    // Whatever goes wrong with one: the change counts as not wholly reviewed, under either gate.
    let workflow: &[File<'_>] = &[
        ("src/a.py", b"x = 1\n"),
        (".github/dependabot.yml", b"version: 2\n"),
    ];
    let Some(lab) = Lab::new(&[workflow]) else {
        return;
    };
    let run = |args: &[&str]| lab.on_github(args, &variables);
    let well = run(&["--with", "zizmor"]);
    assert_eq!(code(&well), 0, "{}", text(&well));
    for (script, why) in [
        (
            "echo broken >&2; exit 2",
            "it failed (exit status: 2): broken",
        ),
        ("echo '{'", "its report is not JSON"),
        ("echo '{}'", "its report is no SARIF"),
        (
            r#"echo '{"runs": [{"invocations": [{"executionSuccessful": false}]}]}'"#,
            "did not come to its end",
        ),
        ("exec sleep 60", "it took longer than 0 s"),
    ] {
        program(&bin, "zizmor", script);
        let limit = if script.contains("sleep") { "0" } else { "60" };
        let output = run(&[
            "--with",
            "zizmor",
            "--with-timeout",
            limit,
            "--gate",
            "findings",
        ]);
        assert_eq!(code(&output), 10, "{}", text(&output));
        assert!(stdout(&output).contains("coverage"), "{}", text(&output));
        assert!(stdout(&output).contains(why), "{why}: {}", text(&output));
    }
}

#[test]
fn clone_of_another_user_is_read_only_where_it_is_listed() {
    let Some(lab) = Lab::new(&[CODE]) else { return };
    let clone = lab.clone_of(&lab.head, 0);
    if std::os::unix::fs::chown(&clone, Some(12_345), None).is_err() {
        return; // Only root can give a folder away.
    }
    std::os::unix::fs::chown(clone.join(".git"), Some(12_345), None).unwrap();
    let args = ["--base", "HEAD~1", "--head", "HEAD"];
    let refused = lab.command(&clone, &[], &args).output().unwrap();
    assert_eq!(code(&refused), 2, "{}", text(&refused));
    assert!(
        text(&refused).contains("belongs to another user"),
        "{}",
        text(&refused)
    );
    assert!(
        text(&refused).contains("BSM_SAFE_DIRECTORIES"),
        "{}",
        text(&refused)
    );
    let listed = clone.canonicalize().unwrap().display().to_string();
    for listed in [listed, "*".to_owned()] {
        let variables = [("BSM_SAFE_DIRECTORIES", listed)];
        let output = lab.command(&clone, &variables, &args).output().unwrap();
        assert_eq!(code(&output), 0, "{}", text(&output));
    }
}

#[test]
fn kept_run_without_a_home_says_what_to_set() {
    let Some(lab) = Lab::new(&[CODE]) else { return };
    let clone = lab.clone_of(&lab.head, 0);
    let args = ["ci", "--base", "HEAD~1"];
    let mut command = lab.world.command(&args);
    let output = command
        .env_remove("HOME")
        .current_dir(&clone)
        .output()
        .unwrap();
    assert_eq!(code(&output), 1, "{}", text(&output));
    assert!(
        text(&output).contains("XDG_STATE_HOME"),
        "{}",
        text(&output)
    );
    let kept = lab
        .world
        .command(&args)
        .current_dir(&clone)
        .output()
        .unwrap();
    assert_eq!(code(&kept), 0, "{}", text(&kept));
}

/// Every fenced block of a kind in a document.
fn blocks(document: &str, kind: &str) -> Vec<String> {
    let text = std::fs::read_to_string(document).unwrap();
    let mut found = Vec::new();
    let mut block: Option<String> = None;
    for line in text.lines() {
        match &mut block {
            Some(_) if line.trim() == "```" => found.extend(block.take()),
            Some(lines) => lines.push_str(&format!("{line}\n")),
            None if line.trim() == format!("```{kind}") => block = Some(String::new()),
            None => {}
        }
    }
    found
}

#[test]
fn action_hooks_template_and_documented_blocks_are_yaml_of_their_kind() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| -> serde_yaml::Value {
        let text = std::fs::read_to_string(root.join(name)).unwrap();
        serde_yaml::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"))
    };
    let action = read("action.yml");
    assert_eq!(action["runs"]["using"], "composite");
    for step in action["runs"]["steps"].as_sequence().unwrap() {
        // Values reach a script through its variables, never by being pasted into it.
        let script = step["run"].as_str().unwrap();
        assert!(!script.contains("${{"), "{script}");
        assert_eq!(step["shell"], "bash");
    }
    for (_, output) in action["outputs"].as_mapping().unwrap() {
        assert!(
            output["value"]
                .as_str()
                .unwrap()
                .starts_with("${{ steps.review.outputs.")
        );
    }
    let hooks = read(".pre-commit-hooks.yaml");
    for hook in hooks.as_sequence().unwrap() {
        assert_eq!(hook["entry"], "bsm scan --staged");
        assert_eq!(hook["pass_filenames"], false);
    }
    let template = read("assets/ci/gitlab.yml");
    let job = template["bsm"].as_mapping().unwrap();
    let report = &job["artifacts"]["reports"]["codequality"];
    let script = job["script"].as_sequence().unwrap();
    let last = script.last().unwrap().as_str().unwrap();
    assert!(last.contains(report.as_str().unwrap()), "{last}");
    let documented = blocks(&root.join("docs/ci.md").display().to_string(), "yaml");
    assert!(documented.len() >= 5, "{}", documented.len());
    for block in documented {
        let parsed: Result<serde_yaml::Value, _> = serde_yaml::from_str(&block);
        assert!(parsed.is_ok(), "{block}: {parsed:?}");
    }
}
