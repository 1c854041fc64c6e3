//! `bsm doctor`: everything that may be wrong, one line each with what to do. It starts and changes nothing.
//!
//! Why beside `status`: status says how the engine is; the doctor looks at what surrounds it too, and works when
//! nothing else does, with settings that cannot be read included.

mod code_host;
mod engine;
mod forge;
mod host;
mod network;
mod providers;
mod report;
mod storage;
#[cfg(test)]
mod tests;

use clap::Args;

use self::host::Host;
use self::report::Line;
use crate::cli::context::Setup;
use crate::cli::failure::Failure;
use crate::cli::global::Global;
use crate::cli::local_engine::look;
use crate::cli::output::say;
use crate::engine::protocol::health::Level;
use crate::settings::env::Env;
use crate::text::json_pretty;
use crate::workspace::trust::Trust;
use crate::workspace::{Level as Severity, Workspace};

/// Look for what is wrong: engine, files, disk, settings, keys, host; one line each.
///
/// Nothing is started or changed, and nothing is sent but questions to GitHub with --forge. Exit: 0 without a fail (warnings are none), 1 with.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Ask GitHub too: events, rights, whether our gate is required
    #[arg(long)]
    forge: bool,
}

pub(super) fn run(global: &Global, args: &DoctorArgs) -> Result<u8, Failure> {
    let host = Host::of_process();
    let lines = match Setup::read(global) {
        Ok(setup) => {
            let mut lines = examine(&host, &setup)?;
            if args.forge {
                lines.extend(forge::lines(&setup.loaded.settings, &setup.env)?);
            }
            lines
        }
        Err(failure) => {
            let mut lines = vec![unreadable(&failure)];
            lines.extend(surroundings(&host, &Env::process()));
            lines
        }
    };
    let count = |level| lines.iter().filter(|l| l.level == level).count();
    let (passed, warned, failed) = (count(Level::Pass), count(Level::Warn), count(Level::Fail));
    if args.json {
        let worst = lines.iter().map(|l| l.level).max().unwrap_or_default();
        let body = serde_json::json!({"status": worst, "checks": lines});
        say(json_pretty(&body).map_err(Failure::engine)?);
    } else {
        for line in &lines {
            say(line.text());
        }
        say(format!("{passed} pass, {warned} warn, {failed} fail"));
    }
    Ok(u8::from(failed > 0))
}

/// Settings or workspace cannot be read: what the other commands would say.
fn unreadable(failure: &Failure) -> Line {
    use miette::Diagnostic as _;
    let help = failure.help().map_or_else(
        || "`bsm config` says more".to_owned(),
        |help| help.to_string(),
    );
    Line::fail("settings", &failure.message, help)
}

/// Everything, with settings that were read.
fn examine(host: &Host, setup: &Setup) -> Result<Vec<Line>, Failure> {
    let (settings, env, state) = (&setup.loaded.settings, &setup.env, &setup.state);
    let workspace = setup.workspace();
    let mut lines = engine::lines(&look(setup)?);
    lines.push(storage::directory(state));
    lines.extend(storage::socket(state));
    let reports = setup
        .root
        .as_ref()
        .map_or_else(|| state.reports(), |root| root.join("reports"));
    lines.extend(storage::disks(&[
        ("the state directory", state.path()),
        ("the reports", &reports),
    ]));
    let (journal, newest_ms) = storage::journal(state);
    lines.push(journal);
    lines.push(storage::logs(state, &settings.logs));
    lines.extend(settings_lines(&setup.loaded.warnings));
    lines.extend(workspace_lines(&workspace));
    lines.extend(providers::keys(&workspace.models, env));
    lines.extend(providers::models(&workspace.models, settings));
    lines.push(code_host::token(settings, env));
    lines.extend(code_host::repositories(settings));
    lines.push(code_host::webhook_secret(settings, env));
    lines.push(code_host::admin_token(settings, env));
    lines.extend(code_host::approvers(settings, env));
    lines.push(host::open_files(host, settings.api.max_connections));
    lines.push(host::clock(host, newest_ms));
    lines.extend(surroundings(host, env));
    Ok(lines)
}

/// What needs no settings.
fn surroundings(host: &Host, env: &Env) -> Vec<Line> {
    vec![
        network::proxy(env),
        network::certificates(env),
        host::terminal(host, env),
        host::file_size(host),
        host::user(host),
        host::time_zone(host),
    ]
}

fn settings_lines(warnings: &[String]) -> Vec<Line> {
    if warnings.is_empty() {
        return vec![Line::pass("settings", "they can be read")];
    }
    let line = |warning: &String| Line::warn("settings", warning, "`bsm config` lists every key");
    warnings.iter().map(line).collect()
}

fn workspace_lines(workspace: &Workspace) -> Vec<Line> {
    const NAME: &str = "workspace";
    let mut lines: Vec<Line> = workspace
        .problems
        .iter()
        .map(|problem| match problem.severity {
            Severity::Error => Line::fail(NAME, problem.line_text(), &problem.help),
            Severity::Warning => Line::warn(NAME, problem.line_text(), &problem.help),
        })
        .collect();
    match workspace.trust {
        Trust::BuiltIn | Trust::Trusted => {}
        Trust::Untrusted => lines.push(Line::warn(
            NAME,
            "it is not trusted: it only tightens a review",
            "look at its files, then `bsm trust`",
        )),
        Trust::Changed => lines.push(Line::warn(
            NAME,
            "it changed since it was trusted: it only tightens a review",
            "look at what changed, then `bsm trust`",
        )),
    }
    if lines.is_empty() {
        let agents = workspace.agents.len();
        lines.push(Line::pass(NAME, format!("{agents} agents, no problem")));
    }
    lines
}
