//! `--with semgrep,gitleaks,zizmor`: other scanners over the files that a change leaves behind, merged as
//! `--findings` would merge their SARIF.
//!
//! Why a folder of its own: the checkout may hold another commit than the reviewed one (a merge, the base), and a
//! scanner's settings in the change would let the change excuse itself. So the changed files are written out as
//! the head has them, with the scanners' own settings as the base has them. Symbolic links are left out. A scanner
//! that fails is missing evidence.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde_json::Value;

use crate::cli::change::failure;
use crate::cli::failure::Failure;
use crate::engine::protocol::blob::Blob;
use crate::engine::protocol::command::LinterReport;
use crate::review::git::{self, Ends};
use crate::settings::env::Env;
use crate::text::clean_line;

/// A scanner that can be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Tool {
    /// Code, by patterns
    Semgrep,
    /// Secrets
    Gitleaks,
    /// GitHub Actions workflows
    Zizmor,
}

/// Bytes of one file that scanners are given.
const LARGEST_FILE: u64 = 16 << 20;
/// Bytes of one scanner's findings.
const LARGEST_REPORT: u64 = 16 << 20;
/// Settings of scanners, which come from the base.
const SETTINGS: [&str; 4] = [
    ".gitleaks.toml",
    ".gitleaksignore",
    ".semgrepignore",
    ".gitignore",
];
/// Variables that reach a scanner.
const KEPT: [&str; 13] = [
    "PATH",
    "SEMGREP_RULES",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
];

impl Tool {
    fn as_str(self) -> &'static str {
        match self {
            Self::Semgrep => "semgrep",
            Self::Gitleaks => "gitleaks",
            Self::Zizmor => "zizmor",
        }
    }

    fn how_to_install(self) -> &'static str {
        match self {
            Self::Semgrep => {
                "Install it:  pipx install semgrep  (https://semgrep.dev/docs/getting-started)"
            }
            Self::Gitleaks => {
                "Install it:  brew install gitleaks, or a release of https://github.com/gitleaks/gitleaks"
            }
            Self::Zizmor => {
                "Install it:  pipx install zizmor  (https://docs.zizmor.sh/installation)"
            }
        }
    }

    /// The files that it reads, of those that changed; `None`: the whole folder.
    fn inputs(self, files: &[String]) -> Option<Vec<&str>> {
        let is_workflow = |path: &&str| {
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
            let yaml = name.ends_with(".yml") || name.ends_with(".yaml");
            let action = matches!(name, "action.yml" | "action.yaml");
            let dependabot = matches!(name, "dependabot.yml" | "dependabot.yaml");
            yaml && (folder.ends_with("/workflows")
                || action
                || (folder == ".github" && dependabot))
        };
        match self {
            Self::Semgrep | Self::Gitleaks => None,
            Self::Zizmor => Some(
                files
                    .iter()
                    .map(String::as_str)
                    .filter(is_workflow)
                    .collect(),
            ),
        }
    }

    /// Its arguments. `out`: the file for its SARIF; zizmor prints it.
    fn arguments(self, place: &Scratch, out: &Path, inputs: &[&str], env: &Env) -> Vec<String> {
        let owned = |args: &[&str]| args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>();
        let out = out.display();
        match self {
            Self::Semgrep => {
                let mut args = owned(&[
                    "scan",
                    "--sarif",
                    "--quiet",
                    "--metrics=off",
                    "--disable-version-check",
                    "--no-git-ignore",
                ]);
                args.push(format!("--output={out}"));
                if env.get("SEMGREP_RULES").is_none() {
                    args.push("--config=p/default".to_owned());
                }
                args.push(".".to_owned());
                args
            }
            Self::Gitleaks => {
                let mut args = owned(&[
                    "dir",
                    "--no-banner",
                    "--no-color",
                    "--redact",
                    "--exit-code=0",
                    "--ignore-gitleaks-allow",
                    "--report-format=sarif",
                ]);
                args.push(format!("--report-path={out}"));
                let config = place.files.join(".gitleaks.toml");
                if config.is_file() {
                    args.push(format!("--config={}", config.display()));
                }
                args.push(".".to_owned());
                args
            }
            Self::Zizmor => {
                let mut args = owned(&[
                    "--offline",
                    "--no-progress",
                    "--no-config",
                    "--no-ignores",
                    "--no-exit-codes",
                    "--strict-collection",
                    "--format=sarif",
                ]);
                args.extend(inputs.iter().map(|path| format!("./{path}")));
                args
            }
        }
    }
}

/// Finds every program before any is run.
///
/// # Errors
/// One is not installed, or its rules cannot be had.
pub(super) fn find(
    tools: &[Tool],
    env: &Env,
    offline: bool,
) -> Result<Vec<(Tool, PathBuf)>, Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path)
        // What lies in the working folder came with the change.
        .filter(|folder| folder.is_absolute())
        .collect();
    let mut found: Vec<(Tool, PathBuf)> = Vec::new();
    for tool in tools {
        if found.iter().any(|(known, _)| known == tool) {
            continue;
        }
        let name = tool.as_str();
        let program = folders.iter().map(|f| f.join(name)).find(|p| is_program(p));
        let Some(program) = program else {
            return Err(Failure::usage(
                format!("--with {name}: it is not installed (no such program in PATH)"),
                tool.how_to_install(),
            ));
        };
        if *tool == Tool::Semgrep && offline && env.get("SEMGREP_RULES").is_none() {
            return Err(Failure::usage(
                "--with semgrep: its default rules come from semgrep.dev, and the settings let nothing leave \
                 this machine",
                "Set SEMGREP_RULES to a file of rules.",
            ));
        }
        found.push((*tool, program));
    }
    Ok(found)
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

/// Runs each over the files that the range changes, for at most `limit` each.
///
/// # Errors
/// The changed files cannot be written out.
pub(super) fn run(
    tools: &[(Tool, PathBuf)],
    repository: &Path,
    ends: &Ends,
    env: &Env,
    limit: Duration,
) -> Result<Vec<LinterReport>, Failure> {
    if tools.is_empty() {
        return Ok(Vec::new());
    }
    let place = Scratch::new(repository, ends)?;
    let mut reports = Vec::new();
    if place.left_out > 0 {
        reports.push(failed(
            "scanners",
            format!(
                "{} changed files were not given to them: larger than {} MiB, or with a name that cannot be \
                 written",
                place.left_out,
                LARGEST_FILE >> 20
            ),
        ));
    }
    for (tool, program) in tools {
        let name = tool.as_str();
        match one(*tool, program, &place, env, limit) {
            Ok(Some(sarif)) => reports.push(LinterReport {
                name: name.to_owned(),
                content: Blob(sarif),
                failure: None,
            }),
            Ok(None) => {}
            Err(why) => reports.push(failed(name, why)),
        }
    }
    Ok(reports)
}

fn failed(name: &str, why: String) -> LinterReport {
    LinterReport {
        name: name.to_owned(),
        content: Blob(Vec::new()),
        failure: Some(why),
    }
}

/// One scanner's SARIF; `None`: nothing that changed is for it.
fn one(
    tool: Tool,
    program: &Path,
    place: &Scratch,
    env: &Env,
    limit: Duration,
) -> Result<Option<Vec<u8>>, String> {
    let inputs = tool.inputs(&place.names);
    if place.names.is_empty() || inputs.as_ref().is_some_and(Vec::is_empty) {
        return Ok(None);
    }
    let inputs = inputs.unwrap_or_default();
    let out = place.root.join(format!("{}.sarif", tool.as_str()));
    let errors = place.root.join(format!("{}.err", tool.as_str()));
    let create = |path: &Path| File::create(path).map_err(|e| e.to_string());
    let mut command = Command::new(program);
    command
        .args(tool.arguments(place, &out, &inputs, env))
        .current_dir(&place.files)
        .env_clear()
        .env("HOME", &place.home)
        .env("TMPDIR", &place.home)
        .env("LANG", "C.UTF-8")
        .stdin(Stdio::null())
        .stderr(create(&errors)?)
        .process_group(0);
    for name in KEPT {
        if let Some(value) = env.get(name) {
            command.env(name, value);
        }
    }
    if tool == Tool::Zizmor {
        command.stdout(create(&out)?);
    } else {
        command.stdout(Stdio::null());
    }
    let status = within(command, limit)?;
    if !status.success() {
        let said = std::fs::read(&errors).unwrap_or_default();
        let said = String::from_utf8_lossy(&said);
        let last = said.lines().rev().find(|l| !l.trim().is_empty());
        let last = clean_line(last.unwrap_or("it said nothing"), 160);
        return Err(format!("it failed ({status}): {last}"));
    }
    read(&out).map(Some)
}

/// What it wrote, when it is whole.
fn read(path: &Path) -> Result<Vec<u8>, String> {
    let size = std::fs::metadata(path).map_or(0, |m| m.len());
    if size > LARGEST_REPORT {
        return Err(format!(
            "its report has more than {} MiB",
            LARGEST_REPORT >> 20
        ));
    }
    let bytes = std::fs::read(path).map_err(|e| format!("it wrote no report: {e}"))?;
    let log: Value =
        serde_json::from_slice(&bytes).map_err(|e| format!("its report is not JSON: {e}"))?;
    let Some(runs) = log["runs"].as_array().filter(|runs| !runs.is_empty()) else {
        return Err("its report is no SARIF: it has no runs".to_owned());
    };
    let unsuccessful = |run: &Value| {
        let invocations = run["invocations"].as_array().into_iter().flatten();
        let mut told = invocations.map(|i| i["executionSuccessful"].as_bool());
        told.any(|well| well == Some(false))
    };
    if runs.iter().any(unsuccessful) {
        return Err("its report says that it did not come to its end".to_owned());
    }
    Ok(bytes)
}

/// Runs a command, and ends it and what it started when it takes too long.
fn within(mut command: Command, limit: Duration) -> Result<std::process::ExitStatus, String> {
    let until = Instant::now() + limit;
    let mut child = command.spawn().map_err(|e| e.to_string())?;
    loop {
        if let Some(status) = child.try_wait().map_err(|e| e.to_string())? {
            return Ok(status);
        }
        if Instant::now() >= until {
            if let Some(group) = i32::try_from(child.id())
                .ok()
                .and_then(rustix::process::Pid::from_raw)
            {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            let _ = child.wait();
            return Err(format!("it took longer than {} s", limit.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A private folder that goes when it is no more needed.
struct Scratch {
    root: PathBuf,
    /// The changed files.
    files: PathBuf,
    /// A scanner's home.
    home: PathBuf,
    /// The names of the changed files that were written.
    names: Vec<String>,
    /// How many were not.
    left_out: usize,
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

impl Scratch {
    fn new(repository: &Path, ends: &Ends) -> Result<Self, Failure> {
        let random: String = std::iter::repeat_with(fastrand::alphanumeric)
            .take(16)
            .collect();
        let root = std::env::temp_dir().join(format!("bsm-ci-{random}"));
        let mut scratch = Self {
            files: root.join("files"),
            home: root.join("home"),
            root,
            names: Vec::new(),
            left_out: 0,
        };
        let unwritable = |e: std::io::Error| {
            Failure::usage(
                format!("{}: {e}", crate::cli::context::shown(&scratch.root)),
                "--with needs a folder for temporary files: set TMPDIR to one that can be written.",
            )
        };
        for folder in [&scratch.root, &scratch.files, &scratch.home] {
            std::fs::create_dir(folder).map_err(unwritable)?;
        }
        scratch.write(repository, ends)?;
        Ok(scratch)
    }

    /// The changed files as the head has them, the scanners' settings as the base has them.
    fn write(&mut self, repository: &Path, ends: &Ends) -> Result<(), Failure> {
        let changed: std::collections::HashSet<String> = git::changed_files(repository, ends)
            .map_err(failure)?
            .into_iter()
            .filter(|path| !is_setting(path))
            .collect();
        git::contents(
            repository,
            &ends.to,
            LARGEST_FILE,
            |path| changed.contains(path),
            |blob| {
                let written = blob.bytes.is_some_and(|bytes| self.put(&blob.path, &bytes));
                if written {
                    self.names.push(blob.path);
                } else {
                    self.left_out += 1;
                }
                true
            },
        )
        .map_err(failure)?;
        let settings: Vec<String> = SETTINGS.map(str::to_owned).to_vec();
        for blob in
            git::files_at(repository, &ends.from, &settings, LARGEST_FILE).map_err(failure)?
        {
            self.put(&blob.path, &blob.bytes.unwrap_or_default());
        }
        Ok(())
    }

    /// Writes a file beneath the folder; false where it cannot be.
    fn put(&self, path: &str, bytes: &[u8]) -> bool {
        let path = Path::new(path);
        if !path.components().all(|c| matches!(c, Component::Normal(_))) {
            return false;
        }
        let whole = self.files.join(path);
        let folder = whole.parent().unwrap_or(&self.files);
        std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&whole, bytes))
            .is_ok()
    }
}

fn is_setting(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    SETTINGS.contains(&name)
}
