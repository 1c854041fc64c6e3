//! The machine: terminal, limits, user, time zone and clock.

use super::report::Line;
use crate::settings::env::Env;

/// What is known of this process and its machine; `None`: no limit, or not known.
#[derive(Debug, Clone)]
pub(super) struct Host {
    /// Standard output is a terminal.
    pub(super) is_terminal: bool,
    /// The user is root.
    pub(super) is_root: bool,
    /// Open files, at most.
    pub(super) open_files: Option<u64>,
    /// Bytes of a file, at most.
    pub(super) file_size: Option<u64>,
    /// Why the time zone is not known.
    pub(super) time_zone: Result<String, String>,
    /// Wall time, milliseconds.
    pub(super) now_ms: i64,
}

impl Host {
    /// This process.
    pub(super) fn of_process() -> Self {
        use rustix::process::{Resource, getrlimit};
        use std::io::IsTerminal as _;
        let zone = jiff::tz::TimeZone::try_system();
        Self {
            is_terminal: std::io::stdout().is_terminal(),
            is_root: rustix::process::geteuid().is_root(),
            open_files: getrlimit(Resource::Nofile).current,
            file_size: getrlimit(Resource::Fsize).current,
            time_zone: match zone {
                Ok(zone) => Ok(zone.iana_name().unwrap_or("without a name").to_owned()),
                Err(error) => Err(error.to_string()),
            },
            now_ms: jiff::Timestamp::now().as_millisecond(),
        }
    }
}

/// A connection of the API is a file; so is each of an engine's own.
const FILES_BESIDE_CONNECTIONS: u64 = 256;
/// A journal, a log or a report may need as much.
const FILE_SIZE: u64 = 1 << 30;
/// This program did not exist before, milliseconds (2026-01-01).
const EARLIEST_MS: i64 = 1_767_225_600_000;
/// A run may be this much newer than the clock, milliseconds.
const AHEAD_MS: i64 = 600_000;

pub(super) fn terminal(host: &Host, env: &Env) -> Line {
    const NAME: &str = "terminal";
    if !host.is_terminal {
        return Line::pass(NAME, "the output is not a terminal; nothing is drawn");
    }
    match env.get("TERM") {
        None | Some("dumb") => {
            return Line::warn(
                NAME,
                "TERM is unset or dumb: the console does not start, commands do",
                "set TERM, for example to xterm-256color",
            );
        }
        Some(_) => {}
    }
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|n| env.get(n));
    let locale = locale.unwrap_or_default().to_lowercase();
    if locale.contains("utf-8") || locale.contains("utf8") {
        Line::pass(NAME, "colour and UTF-8")
    } else {
        Line::warn(
            NAME,
            "the locale is not UTF-8: the console draws in ASCII",
            "set LANG, for example to C.UTF-8",
        )
    }
}

pub(super) fn open_files(host: &Host, connections: usize) -> Line {
    const NAME: &str = "open-files";
    let needed = 2 * connections as u64 + FILES_BESIDE_CONNECTIONS;
    match host.open_files {
        Some(limit) if limit < FILES_BESIDE_CONNECTIONS => Line::fail(
            NAME,
            format!(
                "at most {limit} open files are allowed, {FILES_BESIDE_CONNECTIONS} are needed"
            ),
            "raise it: `ulimit -n 65536`, or LimitNOFILE in the unit",
        ),
        Some(limit) if limit < needed => Line::warn(
            NAME,
            format!("at most {limit} open files are allowed, api.maxConnections may need {needed}"),
            "raise it (`ulimit -n 65536`, LimitNOFILE), or lower api.maxConnections",
        ),
        Some(limit) => Line::pass(NAME, format!("at most {limit}")),
        None => Line::pass(NAME, "no limit"),
    }
}

pub(super) fn file_size(host: &Host) -> Line {
    const NAME: &str = "file-size";
    match host.file_size {
        Some(limit) if limit < FILE_SIZE => Line::warn(
            NAME,
            format!(
                "a file may have at most {} MiB: the journal stops growing there",
                limit >> 20
            ),
            "raise it: `ulimit -f unlimited`, or LimitFSIZE in the unit",
        ),
        _ => Line::pass(NAME, "no limit that matters"),
    }
}

pub(super) fn user(host: &Host) -> Line {
    if host.is_root {
        return Line::warn(
            "user",
            "this is root; an engine of models and webhooks should not be",
            "use a user of its own",
        );
    }
    Line::pass("user", "not root")
}

pub(super) fn time_zone(host: &Host) -> Line {
    match &host.time_zone {
        Ok(zone) => Line::pass("time-zone", zone),
        Err(why) => Line::warn(
            "time-zone",
            format!("the time zone is not known, times are shown in UTC: {why}"),
            "set TZ, for example to Europe/Berlin, and install tzdata",
        ),
    }
}

/// `newest_ms`: when the newest run of the journal was accepted.
pub(super) fn clock(host: &Host, newest_ms: Option<i64>) -> Line {
    const NAME: &str = "clock";
    if host.now_ms < EARLIEST_MS {
        return Line::fail(
            NAME,
            "the wall clock is before 2026: certificates and ages will be judged wrongly",
            "set the clock; keep it right with a time service",
        );
    }
    if newest_ms.is_some_and(|newest| newest > host.now_ms + AHEAD_MS) {
        return Line::warn(
            NAME,
            "the wall clock is behind the newest run of the journal: it was set back",
            "set the clock; keep it right with a time service",
        );
    }
    Line::pass(NAME, "plausible")
}
