//! What later steps of a pipeline read: variables and the summary, each in its system's own form.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::gate::Gate;
use super::log::Log;
use super::system::System;
use crate::cli::failure::Failure;
use crate::cli::output::note;
use crate::engine::exporters::Export;
use crate::engine::protocol::run::RunResult;
use crate::engine::runs::report;
use crate::settings::env::Env;
use crate::text::{clean_line, cut, markdown};

/// Bytes of a summary: GitHub and Buildkite take 1 MiB.
const LARGEST_SUMMARY: usize = 1_000_000;

/// A run as a pipeline is told of it.
pub(super) struct Outputs {
    /// Name and value; all but `reason` and `report` are words and numbers.
    values: Vec<(&'static str, String)>,
    /// In Markdown, every outside text escaped.
    summary: String,
    passed: bool,
}

impl Outputs {
    /// Of a run that ended. `report`: where its report lies.
    pub(super) fn of(result: &RunResult, gate: Gate, why: &str, report: Option<&Path>) -> Self {
        let decision = result.decision.as_ref();
        let passed = gate.passes(decision);
        let findings = Export::of_run(result).findings.len();
        let report = report.map(|p| clean_line(&p.display().to_string(), 1_000));
        let values = vec![
            (
                "decision",
                decision.map_or("none", |d| d.action.as_str()).to_owned(),
            ),
            (
                "cause",
                decision.map_or("none", |d| d.cause_word()).to_owned(),
            ),
            ("evidence", result.evidence.as_str().to_owned()),
            ("gate", gate.as_str().to_owned()),
            ("passed", passed.to_string()),
            ("findings", findings.to_string()),
            ("report", report.unwrap_or_default()),
            (
                "reason",
                decision.map_or_else(String::new, |d| d.reason.line(400)),
            ),
        ];
        Self {
            values,
            summary: summary(result, gate, why, passed),
            passed,
        }
    }

    /// Writes them where the system looks for them. What cannot be written is said; the gate stays.
    pub(super) fn publish(&self, system: Option<System>, env: &Env, log: &Log) {
        match system {
            Some(system) if system.has_workflow_commands() => {
                append(env, "GITHUB_OUTPUT", &self.delimited());
                append(env, "GITHUB_STEP_SUMMARY", &self.summary);
            }
            Some(System::Azure) => self.azure(env, log),
            Some(System::CircleCi) => append(env, "BASH_ENV", &self.exports()),
            Some(System::Buildkite) => self.buildkite(env),
            Some(_) | None => {}
        }
    }

    /// Lines `BSM_CI_DECISION=block_pr`, for GitLab's dotenv reports and whatever else reads such files.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write_dotenv(&self, path: &Path) -> Result<(), Failure> {
        let mut text = String::new();
        for (name, value) in self.words() {
            // Writing into a String cannot fail.
            let _ = writeln!(text, "{}={value}", variable(name));
        }
        std::fs::write(path, text).map_err(|e| {
            Failure::usage(
                format!("{}: {e}", crate::cli::context::shown(path)),
                "Name a file that can be written.",
            )
        })
    }

    /// The values that can be nothing but words: what a shell or a dotenv reader could take for something else
    /// is left out.
    fn words(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let plain = |value: &str| {
            let is_plain = |c: char| c.is_alphanumeric() || "_-./+:".contains(c);
            value.chars().all(is_plain)
        };
        self.values
            .iter()
            .filter(move |(name, value)| *name != "reason" && plain(value))
            .map(|(name, value)| (*name, value.as_str()))
    }

    /// The form of `GITHUB_OUTPUT`: a delimiter that nobody can guess, so that no value ends early.
    fn delimited(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.values {
            let random: String = std::iter::repeat_with(fastrand::alphanumeric)
                .take(32)
                .collect();
            let _ = writeln!(text, "{name}<<bsm_{random}\n{value}\nbsm_{random}");
        }
        text
    }

    fn exports(&self) -> String {
        let mut text = String::new();
        for (name, value) in self.words() {
            let _ = writeln!(text, "export {}='{value}'", variable(name));
        }
        text
    }

    fn azure(&self, env: &Env, log: &Log) {
        for (name, value) in &self.values {
            let (name, value) = (
                azure_name(name),
                crate::engine::exporters::azure_data(value),
            );
            log.command(&format!(
                "##vso[task.setvariable variable={name};isoutput=true]{value}"
            ));
        }
        let folder = env.get("AGENT_TEMPDIRECTORY").map(PathBuf::from);
        let folder = folder.unwrap_or_else(std::env::temp_dir);
        let random: String = std::iter::repeat_with(fastrand::alphanumeric)
            .take(8)
            .collect();
        let file = folder.join(format!("bsm-{random}.md"));
        match std::fs::write(&file, &self.summary) {
            Ok(()) => {
                let path = clean_line(&file.display().to_string(), 1_000);
                let path = crate::engine::exporters::azure_data(&path);
                log.command(&format!("##vso[task.uploadsummary]{path}"));
            }
            Err(error) => say_unwritten(&file.display().to_string(), &error),
        }
    }

    /// Its agent takes annotations and meta-data. Where there is none (a container), there is nothing to tell.
    fn buildkite(&self, env: &Env) {
        let style = if self.passed { "success" } else { "error" };
        let annotate = ["annotate", "--context", "bsm", "--style", style];
        let mut calls = vec![(annotate.map(str::to_owned).to_vec(), self.summary.as_str())];
        for (name, value) in self.words() {
            let set = ["meta-data", "set"].map(str::to_owned).to_vec();
            calls.push(([set, vec![format!("bsm-{name}")]].concat(), value));
        }
        for (args, input) in calls {
            if let Err(error) = buildkite_agent(env, &args, input) {
                if error.kind() != std::io::ErrorKind::NotFound {
                    say_unwritten("buildkite-agent", &error);
                }
                return;
            }
        }
    }
}

/// Runs Buildkite's agent with a text on its standard input.
fn buildkite_agent(env: &Env, args: &[String], input: &str) -> std::io::Result<()> {
    let mut command = Command::new("buildkite-agent");
    command.args(args).env_clear();
    for name in env.names("BUILDKITE_").chain(["PATH", "HOME"]) {
        if let Some(value) = env.get(name) {
            command.env(name, value);
        }
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let status = child.wait()?;
    if status.success() {
        return Ok(());
    }
    Err(std::io::Error::other(format!(
        "{} failed: {status}",
        args[0]
    )))
}

/// `BSM_CI_DECISION`.
fn variable(name: &str) -> String {
    format!("BSM_CI_{}", name.to_ascii_uppercase())
}

/// `bsmDecision`.
fn azure_name(name: &str) -> String {
    let (first, rest) = name.split_at(1);
    format!("bsm{}{rest}", first.to_ascii_uppercase())
}

/// Appends to the file that a variable names, if it is set.
fn append(env: &Env, name: &str, text: &str) {
    let Some(path) = env.get(name) else {
        return;
    };
    let file = std::fs::OpenOptions::new()
        .append(true)
        .create(true)
        .open(path);
    if let Err(error) = file.and_then(|mut file| file.write_all(text.as_bytes())) {
        say_unwritten(&format!("{name} {path}"), &error);
    }
}

fn say_unwritten(what: &str, error: &std::io::Error) {
    note(super::log::harmless(&format!(
        "bsm: {}: {error}; the pipeline is not told",
        clean_line(what, 300)
    )));
}

/// The gate, and the report beneath it.
fn summary(result: &RunResult, gate: Gate, why: &str, passed: bool) -> String {
    let word = if passed { "passed" } else { "failed" };
    let mut text = format!(
        "**bsm: gate {} {word}** ({})\n\n",
        gate.as_str(),
        markdown(why, 200)
    );
    text.push_str(&report::render(result));
    if text.len() > LARGEST_SUMMARY {
        let mut end = LARGEST_SUMMARY;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        // Whole lines: a table that is cut within a row would take in what follows.
        let end = text[..end].rfind('\n').unwrap_or(0);
        text.truncate(end);
        text.push_str("\n\nThe rest is left out here: it is more than this page takes.\n");
    }
    text
}

/// The first lines of a list, and how many more there are.
pub(super) fn first(mut lines: Vec<String>, most: usize) -> Vec<String> {
    let more = lines.len().saturating_sub(most);
    lines.truncate(most);
    if more > 0 {
        lines.push(format!("and {more} more lines"));
    }
    lines.iter().map(|line| cut(line, 600).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outputs(values: Vec<(&'static str, &str)>) -> Outputs {
        Outputs {
            values: values.into_iter().map(|(n, v)| (n, v.to_owned())).collect(),
            summary: String::new(),
            passed: false,
        }
    }

    #[test]
    fn value_that_a_shell_would_read_is_in_no_exported_line() {
        let outputs = outputs(vec![
            ("decision", "block_pr"),
            ("report", "/a'; rm -rf ~; '"),
            ("reason", "block_pr"),
        ]);
        assert_eq!(outputs.exports(), "export BSM_CI_DECISION='block_pr'\n");
    }

    #[test]
    fn delimiter_is_another_each_time() {
        let outputs = outputs(vec![("reason", "a\nb"), ("cause", "finding")]);
        let text = outputs.delimited();
        let lines: Vec<&str> = text.lines().collect();
        let delimiter = lines[0].strip_prefix("reason<<").unwrap();
        assert_eq!((lines[1], lines[2], lines[3]), ("a", "b", delimiter));
        assert_ne!(lines[4].strip_prefix("cause<<").unwrap(), delimiter);
        assert!(!outputs.delimited().contains(delimiter));
    }
}
