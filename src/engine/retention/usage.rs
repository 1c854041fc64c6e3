//! What takes how much of the disk, what its bound is, what goes next, and when it is full at the present rate.
//! What is not known is `None`.

use std::io;
use std::path::Path;

use crate::engine::audit;
use crate::engine::protocol::retention::Store;
pub use crate::engine::protocol::storage::{Full, Part, Usage};
use crate::engine::retention::bounds::{Bound, bounds};
use crate::engine::retention::files::{
    BACKUPS, StateFile, is_backup, is_migration_backup, is_set_aside, plain_files,
};
use crate::engine::retention::reports::own_reports;
use crate::engine::runs::report::ReportFolder;
use crate::journal::{Journal, TableUsage};
use crate::settings::Settings;
use crate::state::StateDir;
use crate::telemetry::log_folder;

const DAY_MS: i64 = 86_400_000;
/// A rate is measured over so many days.
const RATE_DAYS: i64 = 7;
/// From a shorter time no rate is computed.
const SHORTEST_MS: i64 = 3_600_000;
/// A part without a known rate that is smaller does not make the sum unknown.
const SMALL: u64 = 1 << 20;

/// Measures a workspace's state directory and reports. Only reads.
pub fn measure(state: &StateDir, folder: &ReportFolder, settings: &Settings, now_ms: i64) -> Usage {
    let all = bounds(settings);
    let mut problems = Vec::new();
    let mut journal = Vec::new();
    let mut named = Vec::new();
    match journal_tables(state, now_ms) {
        Ok((tables, names)) => {
            journal = journal_parts(&tables, &all, now_ms);
            named = names;
        }
        Err(error) => problems.push(format!("the journal: {error}")),
    }
    let mut files = Vec::new();
    let mut add = |name: &str, store: Option<Store>, found: Result<Vec<Aged>, String>| match found {
        Ok(found) => {
            let bound = store
                .and_then(|s| all.iter().find(|b| b.store == s))
                .cloned();
            files.push(file_part(name, bound, &found, now_ms));
        }
        Err(error) => problems.push(format!("{name}: {error}")),
    };
    let in_state = |fits: fn(&str) -> bool| aged(plain_files(state.path(), fits));
    add(
        "journal",
        None,
        in_state(|n| ["bsm.db", "bsm.db.head", "bsm.db.stops"].contains(&n)),
    );
    add(
        "write-ahead log",
        None,
        in_state(|n| n == "bsm.db-wal" || n == "bsm.db-shm"),
    );
    add(
        "reports",
        Some(Store::Reports),
        report_files(folder, state, named),
    );
    add("audit", Some(Store::Audit), audit_files(state));
    add("logs", Some(Store::Logs), log_files(state));
    add(
        "migration backups",
        Some(Store::MigrationBackups),
        in_state(is_migration_backup),
    );
    let backups = plain_files(&state.path().join(BACKUPS), is_backup);
    add("backups", Some(Store::Backups), aged(backups));
    add(
        "damaged journals",
        Some(Store::DamagedJournals),
        in_state(is_set_aside),
    );
    add("other", None, in_state(is_other));
    let total_bytes = files.iter().map(|f| f.bytes).sum();
    let disk_free_bytes = free_bytes(state.path());
    Usage {
        state: state.path().display().to_string(),
        reports: folder.base.join(&folder.relative).display().to_string(),
        at_ms: now_ms,
        total_bytes,
        disk_full_days: disk_free_bytes
            .zip(growth(&files, &journal))
            .map(|(free, per_day)| free as f64 / per_day),
        disk_free_bytes,
        files,
        journal,
        problems,
    }
}

fn journal_tables(
    state: &StateDir,
    now_ms: i64,
) -> Result<(Vec<TableUsage>, Vec<String>), crate::journal::JournalError> {
    match Journal::read_only(&state.journal())? {
        Some(journal) => Ok((journal.usage(now_ms)?, journal.report_names()?)),
        None => Ok((Vec::new(), Vec::new())),
    }
}

/// The stores that are tables, and the table's name. Steps belong to runs.
const TABLES: &[(Store, &[&str])] = &[
    (Store::Runs, &["runs", "steps", "pull_decisions"]),
    (Store::Memory, &["memory"]),
    (Store::History, &["history"]),
    (Store::Deliveries, &["deliveries", "comment_tasks"]),
    (Store::DeliveryKeys, &["delivery_keys"]),
    (Store::Approvals, &["approvals", "dismissals"]),
    (Store::Outbox, &["outbox", "pulls"]),
    (Store::Spend, &["spend"]),
];

fn journal_parts(tables: &[TableUsage], all: &[Bound], now_ms: i64) -> Vec<Part> {
    let mut parts: Vec<Part> = TABLES
        .iter()
        .map(|(store, names)| {
            let own: Vec<&TableUsage> = tables
                .iter()
                .filter(|t| names.contains(&t.table.as_str()))
                .collect();
            let first = own.iter().find(|t| t.table == names[0]);
            let bound = all.iter().find(|b| b.store == *store).cloned();
            let oldest_ms = first.and_then(|t| t.oldest_ms);
            let next = oldest_ms.zip(bound.as_ref()).map(|(at, b)| {
                format!("{}, of {}", b.first_to_go, crate::model::spend::day_of(at))
            });
            // A table without a known rate leaves the sum unknown, unless it is empty.
            let rates: Option<Vec<f64>> = own
                .iter()
                .filter(|t| t.rows != Some(0))
                .map(|t| t.bytes_per_day)
                .collect();
            let mut part = Part {
                name: store.as_str().to_owned(),
                bytes: own.iter().map(|t| t.bytes).sum(),
                items: first.and_then(|t| t.rows),
                oldest_ms,
                bound,
                next,
                bytes_per_day: rates.filter(|r| !r.is_empty()).map(|r| r.iter().sum()),
                items_per_day: first.and_then(|t| t.rows_per_day),
                full: Full::Unknown,
            };
            part.full = full(&part, now_ms);
            part
        })
        .collect();
    let known = |table: &str| TABLES.iter().any(|(_, names)| names.contains(&table));
    let rest = tables.iter().filter(|t| !known(&t.table));
    let (free, other): (Vec<_>, Vec<_>) = rest.partition(|t| t.table == "free pages");
    for (name, tables) in [("other tables", other), ("free pages", free)] {
        parts.push(Part {
            name: name.to_owned(),
            bytes: tables.iter().map(|t| t.bytes).sum(),
            items: None,
            oldest_ms: None,
            bound: None,
            next: None,
            bytes_per_day: None,
            items_per_day: None,
            full: Full::NoBound,
        });
    }
    parts
}

/// A file, and the time from which its bytes are.
struct Aged {
    name: String,
    bytes: u64,
    began_ms: i64,
    changed_ms: i64,
}

fn aged(files: io::Result<Vec<StateFile>>) -> Result<Vec<Aged>, String> {
    let whole = |f: StateFile| Aged {
        name: f.name,
        bytes: f.bytes,
        began_ms: f.changed_ms,
        changed_ms: f.changed_ms,
    };
    match files {
        Ok(files) => Ok(files.into_iter().map(whole).collect()),
        Err(error) => Err(error.to_string()),
    }
}

fn report_files(
    folder: &ReportFolder,
    state: &StateDir,
    named: Vec<String>,
) -> Result<Vec<Aged>, String> {
    if !state.path().is_dir() || !folder.base.is_dir() {
        return Ok(Vec::new());
    }
    let found = own_reports(folder, state, &named).map_err(|e| e.to_string())?;
    let each = found.into_iter().map(|r| Aged {
        name: r.name,
        bytes: r.bytes,
        began_ms: r.made_ms,
        changed_ms: r.made_ms,
    });
    Ok(each.collect())
}

fn audit_files(state: &StateDir) -> Result<Vec<Aged>, String> {
    if !state.path().is_dir() {
        return Ok(Vec::new());
    }
    let names = audit::files(&state.audit()).map_err(|e| e.to_string())?;
    let is_named = |name: &str| {
        let named = |p: &std::path::PathBuf| p.file_name().is_some_and(|n| n == name);
        names.iter().any(named)
    };
    let mut found = aged(plain_files(state.path(), is_named))?;
    for file in &mut found {
        let began = audit::first_at(&state.path().join(&file.name));
        file.began_ms = began.unwrap_or(file.began_ms);
    }
    found.sort_by_key(|f| f.began_ms);
    Ok(found)
}

fn log_files(state: &StateDir) -> Result<Vec<Aged>, String> {
    let mut found = aged(plain_files(&state.logs(), log_folder::is_log))?;
    for file in &mut found {
        let day = file
            .name
            .get(4..14)
            .and_then(|d| d.parse::<jiff::civil::Date>().ok());
        let began = day.and_then(|d| d.to_zoned(jiff::tz::TimeZone::UTC).ok());
        file.began_ms = began.map_or(file.began_ms, |z| z.timestamp().as_millisecond());
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// What is in the state directory and has no line of its own.
fn is_other(name: &str) -> bool {
    let own = [
        "bsm.db",
        "bsm.db.head",
        "bsm.db.stops",
        "bsm.db-wal",
        "bsm.db-shm",
        "audit.jsonl",
    ];
    !own.contains(&name)
        && !is_migration_backup(name)
        && !is_set_aside(name)
        && !name.starts_with("audit-")
}

/// `files`: the first to go first.
fn file_part(name: &str, bound: Option<Bound>, files: &[Aged], now_ms: i64) -> Part {
    let since = now_ms - RATE_DAYS * DAY_MS;
    let newer = files.iter().filter(|f| f.changed_ms >= since);
    let first = newer.clone().map(|f| f.began_ms).min();
    let span = first.map_or(0, |first| now_ms - first);
    let per_day = |sum: f64| (span >= SHORTEST_MS).then(|| sum * DAY_MS as f64 / span as f64);
    let came: u64 = newer.clone().map(|f| f.bytes).sum();
    let is_set = bound.is_some();
    let mut part = Part {
        name: name.to_owned(),
        bytes: files.iter().map(|f| f.bytes).sum(),
        items: Some(files.len() as u64),
        oldest_ms: files.iter().map(|f| f.began_ms).min(),
        bound,
        next: files
            .first()
            .filter(|f| is_set && !is_written(&f.name, files.len()))
            .map(|f| f.name.clone()),
        // Files that are written over say nothing about a rate.
        bytes_per_day: if is_set { per_day(came as f64) } else { None },
        items_per_day: if is_set {
            per_day(newer.count() as f64)
        } else {
            None
        },
        full: Full::NoBound,
    };
    part.full = full(&part, now_ms);
    part
}

/// Whether a file is the one of the trail or of the logs that is written now: it does not go.
fn is_written(name: &str, files: usize) -> bool {
    name == "audit.jsonl" || (files == 1 && log_folder::is_log(name))
}

fn full(part: &Part, now_ms: i64) -> Full {
    let Some(bound) = &part.bound else {
        return Full::NoBound;
    };
    let by_bytes = bound
        .bytes
        .map(|most| (part.bytes as f64, most as f64, part.bytes_per_day));
    let by_items = bound
        .items
        .zip(part.items)
        .map(|(most, items)| (items as f64, most as f64, part.items_per_day));
    let parts = [by_bytes, by_items];
    let mut soonest: Option<f64> = None;
    for (now, most, per_day) in parts.into_iter().flatten() {
        if now >= most {
            return Full::Now;
        }
        match per_day {
            Some(per_day) if per_day > 0.0 => {
                let days = (most - now) / per_day;
                soonest = Some(soonest.map_or(days, |s: f64| s.min(days)));
            }
            Some(_) => {}
            // Nothing is there: nothing is known of what will come.
            None => return Full::Unknown,
        }
    }
    let age = part.oldest_ms.map_or(0, |oldest| now_ms - oldest);
    let by_age = bound
        .days
        .map(|days| days as f64 - age as f64 / DAY_MS as f64);
    match (soonest, by_age) {
        (_, Some(left)) if left <= 0.0 => Full::Now,
        (Some(days), Some(left)) if days > left => Full::ByAge,
        (Some(days), _) => Full::Days(days),
        (None, _) => Full::ByAge,
    }
}

/// Bytes that all parts together grow by a day; `None`: not known, or nothing grows.
fn growth(files: &[Part], journal: &[Part]) -> Option<f64> {
    let mut sum = 0.0;
    let within = ["journal", "write-ahead log"];
    let each = files.iter().filter(|p| !within.contains(&p.name.as_str()));
    for part in each.chain(journal).filter(|p| p.bound.is_some()) {
        match (part.full, part.bytes_per_day) {
            (Full::Now, _) => {}
            (_, Some(per_day)) => sum += per_day,
            (_, None) if part.bytes < SMALL => {}
            (_, None) => return None,
        }
    }
    (sum > 0.0).then_some(sum)
}

fn free_bytes(path: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(path).ok()?;
    found.f_bavail.checked_mul(found.f_frsize)
}

#[cfg(test)]
#[path = "usage_tests.rs"]
mod tests;
