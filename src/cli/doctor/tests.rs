//! Faults that are planted, and the sentence that each must give.

use std::os::unix::fs::PermissionsExt as _;

use super::host::Host;
use super::report::Line;
use super::{code_host, engine, host, network, providers, settings_lines, storage};
use crate::cli::local_engine::LocalEngine;
use crate::engine::observe::health::facts::Disk;
use crate::engine::protocol::health::Level;
use crate::settings::env::Env;
use crate::settings::{Environment, NamedToken, Settings};
use crate::state::StateDir;
use crate::telemetry::disk_space::DiskSpace;
use crate::workspace::models::ModelTable;

fn sound_host() -> Host {
    Host {
        is_terminal: true,
        is_root: false,
        open_files: Some(65_536),
        file_size: None,
        time_zone: Ok("Europe/Berlin".into()),
        now_ms: 1_800_000_000_000,
    }
}

/// Something was found: its level, and words that its sentence and its help must have.
fn gives(line: &Line, level: Level, sentence: &str, help: &str) {
    assert_eq!(
        (line.level, line.sentence.as_str()),
        (level, sentence),
        "{line:?}"
    );
    let said = line.help.as_deref().unwrap_or_default();
    assert!(said.contains(help), "{line:?}");
    let text = line.text();
    let start = format!("{}  {}", level.as_str(), line.name);
    assert!(text.starts_with(&start) && text.contains(" -> "), "{text}");
}

fn warns(line: &Line, sentence: &str, help: &str) {
    gives(line, Level::Warn, sentence, help);
}

fn fails(line: &Line, sentence: &str, help: &str) {
    gives(line, Level::Fail, sentence, help);
}

fn passes(line: &Line) {
    assert_eq!((line.level, &line.help), (Level::Pass, &None), "{line:?}");
}

#[test]
fn host_faults_have_their_sentences() {
    let utf8 = [("TERM", "xterm"), ("LANG", "C.UTF-8")];
    passes(&host::terminal(&sound_host(), &Env::of(utf8)));
    warns(
        &host::terminal(
            &sound_host(),
            &Env::of([("TERM", "dumb"), ("LANG", "C.UTF-8")]),
        ),
        "TERM is unset or dumb: the console does not start, commands do",
        "xterm-256color",
    );
    warns(
        &host::terminal(&sound_host(), &Env::of([("TERM", "xterm"), ("LANG", "C")])),
        "the locale is not UTF-8: the console draws in ASCII",
        "C.UTF-8",
    );
    let files = |open_files| {
        host::open_files(
            &Host {
                open_files,
                ..sound_host()
            },
            1_024,
        )
    };
    passes(&files(Some(65_536)));
    fails(
        &files(Some(64)),
        "at most 64 open files are allowed, 256 are needed",
        "LimitNOFILE",
    );
    warns(
        &files(Some(1_024)),
        "at most 1024 open files are allowed, api.maxConnections may need 2304",
        "ulimit -n",
    );
    warns(
        &host::file_size(&Host {
            file_size: Some(8 << 20),
            ..sound_host()
        }),
        "a file may have at most 8 MiB: the journal stops growing there",
        "LimitFSIZE",
    );
    passes(&host::file_size(&sound_host()));
    warns(
        &host::user(&Host {
            is_root: true,
            ..sound_host()
        }),
        "this is root; an engine of models and webhooks should not be",
        "a user of its own",
    );
    warns(
        &host::time_zone(&Host {
            time_zone: Err("no tzdata".into()),
            ..sound_host()
        }),
        "the time zone is not known, times are shown in UTC: no tzdata",
        "TZ",
    );
    fails(
        &host::clock(
            &Host {
                now_ms: 0,
                ..sound_host()
            },
            None,
        ),
        "the wall clock is before 2026: certificates and ages will be judged wrongly",
        "time service",
    );
    warns(
        &host::clock(&sound_host(), Some(sound_host().now_ms + 600_001)),
        "the wall clock is behind the newest run of the journal: it was set back",
        "time service",
    );
    passes(&host::clock(&sound_host(), Some(sound_host().now_ms)));
}

#[test]
fn network_faults_have_their_sentences_and_show_no_password() {
    let proxy = |pairs: &[(&str, &str)]| network::proxy(&Env::of(pairs.iter().copied()));
    passes(&proxy(&[]));
    passes(&proxy(&[(
        "https_proxy",
        "http://u:hunter2@proxy.example:3128",
    )]));
    fails(
        &proxy(&[("HTTPS_PROXY", "socks5://u:hunter2@proxy.example")]),
        "HTTPS_PROXY names a proxy of the kind 'socks5'",
        "http://HOST:PORT",
    );
    fails(
        &proxy(&[("ALL_PROXY", "http://")]),
        "ALL_PROXY is not a valid address",
        "unset it",
    );
    warns(
        &proxy(&[("HTTP_PROXY", "http://proxy.example")]),
        "HTTP_PROXY is set and not used: providers are asked over https",
        "HTTPS_PROXY",
    );
    let shown = proxy(&[("HTTPS_PROXY", "http://u:hunter2@proxy.example:3128")]);
    assert!(!shown.text().contains("hunter2"), "{shown:?}");

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ca.pem");
    let at = file.to_str().unwrap();
    let read = || network::certificates(&Env::of([("SSL_CERT_FILE", at)]));
    let gone = read();
    assert!(
        gone.level == Level::Fail && gone.sentence.contains("cannot be read"),
        "{gone:?}"
    );
    std::fs::write(&file, "nothing").unwrap();
    fails(
        &read(),
        &format!("SSL_CERT_FILE ({at}) holds no certificate"),
        "PEM",
    );
    std::fs::write(&file, "-----BEGIN CERTIFICATE-----\n").unwrap();
    passes(&read());
    fails(
        &network::certificates(&Env::of([("SSL_CERT_DIR", "/nonexistent")])),
        "SSL_CERT_DIR (/nonexistent) cannot be read",
        "SSL_CERT_DIR",
    );
}

#[test]
fn key_and_model_faults_have_their_sentences() {
    let table = ModelTable::built_in();
    let keys = |pairs: &[(&str, &str)]| providers::keys(&table, &Env::of(pairs.iter().copied()));
    let none = keys(&[]);
    assert_eq!(none.len(), 1);
    warns(
        &none[0],
        "no provider has a key: rules decide alone",
        "OPENAI_BSM_KEY",
    );
    for (value, sentence) in [
        (
            "sk-abcdefgh ijkl",
            "OPENAI_API_KEY holds white space or a control character",
        ),
        (
            "sk-abcdefgh…ijkl",
            "OPENAI_API_KEY holds characters that no key has",
        ),
        ("your-key-here", "OPENAI_API_KEY holds a placeholder"),
        ("sk-1", "OPENAI_API_KEY is too short for a key"),
    ] {
        let lines = keys(&[("OPENAI_API_KEY", value)]);
        fails(&lines[0], sentence, "set OPENAI_API_KEY");
        assert!(!lines[0].text().contains(value), "no value is shown");
    }
    passes(&keys(&[("OPENAI_API_KEY", "sk-abcdefghijkl")])[0]);

    let mut settings = Settings::default();
    passes(&providers::models(&table, &settings)[0]);
    settings.default_model = Some("gpt-99".into());
    fails(
        &providers::models(&table, &settings)[0],
        "defaultModel names the model 'gpt-99', which agents/models.yaml does not list",
        "list it under models",
    );
    let mut table = table.clone();
    table.providers.remove("openai");
    let lines = providers::models(&table, &Settings::default());
    let of_openai = lines
        .iter()
        .find(|l| l.sentence.contains("'openai'"))
        .unwrap();
    assert_eq!(of_openai.level, Level::Fail);
    assert!(
        of_openai
            .sentence
            .ends_with("names the provider 'openai', which is not listed")
    );
}

#[test]
fn token_faults_have_their_sentences() {
    let mut settings = Settings::default();
    passes(&code_host::token(&settings, &Env::default()));
    let good = "ghp_0123456789012345678901234567890123456";
    let token = |settings: &Settings, value: &str| {
        code_host::token(settings, &Env::of([("GITHUB_BSU_TOKEN", value)]))
    };
    warns(
        &token(&settings, good),
        "GITHUB_BSU_TOKEN is set, and github.repositories is empty: it is used for none",
        "github.repositories",
    );
    settings.github.repositories = vec!["acme/shop".into()];
    passes(&token(&settings, good));
    assert_eq!(code_host::repositories(&settings), None);
    warns(
        &code_host::token(&settings, &Env::default()),
        "GITHUB_BSU_TOKEN is not set: nothing is published for github.repositories",
        "pull requests",
    );
    fails(
        &token(&settings, &format!("{good}\n")),
        "GITHUB_BSU_TOKEN holds white space",
        "line break",
    );
    warns(
        &token(&settings, "hunter2"),
        "GITHUB_BSU_TOKEN does not look like a token of GitHub",
        "github_pat_",
    );
    settings.github.repositories = vec!["https://github.com/acme/shop".into()];
    fails(
        &code_host::repositories(&settings).unwrap(),
        "github.repositories has 'https://github.com/acme/shop', which is not owner/name",
        "owner/name",
    );
    warns(
        &code_host::webhook_secret(&settings, &Env::default()),
        "GITHUB_WEBHOOK_SECRET is not set: webhooks are refused",
        "openssl",
    );
    warns(
        &code_host::webhook_secret(&settings, &Env::of([("GITHUB_WEBHOOK_SECRET", "short")])),
        "GITHUB_WEBHOOK_SECRET has fewer than 16 characters",
        "longer",
    );
    let admin = |settings: &Settings, pairs: &[(&str, &str)]| {
        code_host::admin_token(settings, &Env::of(pairs.iter().copied()))
    };
    passes(&admin(&settings, &[]));
    warns(
        &admin(&settings, &[("ADMIN_TOKEN", "short")]),
        "ADMIN_TOKEN has fewer than 16 characters",
        "openssl",
    );
    settings.environment = Environment::Production;
    fails(
        &admin(&settings, &[("ADMIN_TOKEN", "short")]),
        "ADMIN_TOKEN has fewer than 16 characters; in production `bsm serve` refuses it",
        "openssl",
    );
    settings.api.listen = "0.0.0.0:3000".into();
    fails(
        &admin(&settings, &[]),
        "api.listen is 0.0.0.0:3000, beyond this machine, and ADMIN_TOKEN is not set",
        "127.0.0.1",
    );
    settings.api.listen = "here".into();
    fails(
        &admin(&settings, &[]),
        "api.listen: 'here' is not a valid listen address",
        "127.0.0.1:3000",
    );
    settings.approvers = vec![NamedToken {
        name: "ada".into(),
        token_env: "ADA_TOKEN".into(),
    }];
    warns(
        &code_host::approvers(&settings, &Env::default())[0],
        "ada's token in ADA_TOKEN is missing or has fewer than 16 characters: nothing can be approved with it",
        "take the approver out",
    );
    warns(
        &settings_lines(&["logs.days is 0".into()])[0],
        "logs.days is 0",
        "bsm config",
    );
}

#[test]
fn state_directory_faults_have_their_sentences() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::at(dir.path().join("s"));
    passes(&storage::directory(&state));
    passes(&storage::journal(&state).0);
    assert!(!state.path().exists(), "nothing is created");
    state.prepare().unwrap();
    passes(&storage::directory(&state));
    let mode = |mode| {
        std::fs::set_permissions(state.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        storage::directory(&state)
    };
    let path = state.path().display();
    fails(
        &mode(0o755),
        &format!(
            "{path}: its mode is 0755, so others can read it; bsm keeps private state there and will not use it (want your own folder, mode 0700)"
        ),
        "chmod 700",
    );
    fails(
        &mode(0o500),
        &format!("{path}: its own user may not use it (mode 0500)"),
        "chmod 700",
    );
    mode(0o700);
    let journal = state.journal();
    std::fs::write(&journal, "").unwrap();
    fails(
        &storage::journal(&state).0,
        &format!("{} is empty", journal.display()),
        "docs/runbooks/journal.md",
    );
    std::fs::write(&journal, "not a database, whatever its name says").unwrap();
    std::fs::set_permissions(&journal, std::fs::Permissions::from_mode(0o644)).unwrap();
    fails(
        &storage::journal(&state).0,
        &format!("{} can be read by others (mode 0644)", journal.display()),
        "chmod 600",
    );
    std::fs::set_permissions(&journal, std::fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(storage::journal(&state).0.level, Level::Fail);
    std::fs::create_dir(state.logs()).unwrap();
    std::fs::write(state.logs().join("bsm.2026-11-25.jsonl"), "x".repeat(300)).unwrap();
    let settings = crate::telemetry::log_files::LogSettings {
        max_bytes: 200,
        ..Default::default()
    };
    warns(
        &storage::logs(&state, &settings),
        "the log files take 300 bytes, logs.maxBytes allows 200",
        "logs.maxBytes",
    );
    let long = StateDir::at(dir.path().join("x".repeat(120)));
    assert_eq!(
        storage::socket(&long),
        None,
        "a shorter path may be chosen yet"
    );
    std::fs::create_dir(long.path()).unwrap();
    let length = long.socket().as_os_str().len();
    fails(
        &storage::socket(&long).unwrap(),
        &format!("the socket's path has {length} bytes, 107 are allowed"),
        "XDG_STATE_HOME",
    );
    let file = StateDir::at(dir.path().join("f"));
    std::fs::write(file.path(), "").unwrap();
    assert_eq!(storage::directory(&file).level, Level::Fail);
}

#[test]
fn disk_faults_have_the_judges_sentences_and_engines_that_do_not_answer_fail() {
    let full = Disk {
        holds: "the reports",
        space: Ok(DiskSpace {
            device: 1,
            total_bytes: 1 << 40,
            free_bytes: 1 << 20,
            total_inodes: 1_000_000,
            free_inodes: 10,
        }),
    };
    let lines = storage::disk_lines(&[full]);
    fails(
        &lines[0],
        "the disk of the reports is full: less than 64 MiB left",
        "docs/runbooks/disk-full.md",
    );
    fails(
        &lines[1],
        "the disk of the reports has less than 1,000 inodes left",
        "docs/runbooks/disk-full.md",
    );
    passes(&storage::disk_lines(&[])[0]);
    passes(&engine::lines(&LocalEngine::Stopped)[0]);
    let silent = LocalEngine::Running {
        pid: Some(12),
        snapshot: Err("no answer within 3 s".into()),
    };
    fails(
        &engine::lines(&silent)[0],
        "it runs and does not answer, process 12: no answer within 3 s",
        "docs/runbooks/engine-down.md",
    );
}

#[tokio::test]
async fn journal_that_lost_records_or_is_gone_fails() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::at(dir.path().join("s"));
    state.prepare().unwrap();
    let path = state.journal();
    let journal = crate::journal::Journal::open(&path).unwrap();
    journal.set_stopped("legal-agent", true).await.unwrap();
    let early = dir.path().join("early.db");
    crate::journal::backup::create(&path, &early).unwrap();
    journal.set_stopped("legal-agent", false).await.unwrap();
    journal.close();
    passes(&storage::journal(&state).0);
    // An old copy in its place: SQLite finds nothing wrong with it.
    std::fs::copy(&early, &path).unwrap();
    fails(
        &storage::journal(&state).0,
        &format!(
            "{} is damaged: it ends at record 1, but record 2 was written",
            path.display()
        ),
        "bsm state repair",
    );
    std::fs::remove_file(&path).unwrap();
    let gone = storage::journal(&state).0;
    assert_eq!(gone.level, Level::Fail);
    assert!(
        gone.sentence.contains("is gone: it held 2 records"),
        "{gone:?}"
    );
}
