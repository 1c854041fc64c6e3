//! Whether work can be kept: journal, files, intake, disks, logs.

use super::code::Code;
use super::facts::{Disk, Facts, Probe};
use super::finding::Findings;
use crate::telemetry::disk_space::DiskSpace;
use crate::text::clean_line;

/// A disk with less left than one of these is low.
const LOW_PERCENT: u64 = 10;
const LOW_BYTES: u64 = 1 << 30;
/// One with less than these is full: a write may fail at any moment.
const FULL_BYTES: u64 = 64 << 20;
const FULL_INODES: u64 = 1_000;
/// A refused run or webhook is a reason for this long.
const REFUSED_MS: i64 = 60_000;

pub(super) fn judge(facts: &Facts, found: &mut Findings) {
    for file in &facts.lost_files {
        let code = if file.replaced {
            Code::FileReplaced
        } else {
            Code::FileGone
        };
        found.fail(code, file.sentence());
    }
    journal(facts, found);
    if let Some((at_ms, why)) = &facts.intake_refused
        && (0..REFUSED_MS).contains(&facts.now_ms.saturating_sub(*at_ms))
    {
        let why = clean_line(why, 160);
        found.fail(
            Code::IntakeRefused,
            format!("a run was refused because it could not be kept: {why}"),
        );
    }
    for disk in &facts.disks {
        judge_disk(disk, found);
    }
    if facts.log_lines_lost {
        found.warn(Code::LogLinesLost, "log lines are lost");
    }
    if facts.audit_lines_lost {
        found.warn(Code::AuditLinesLost, "lines of the audit trail are lost");
    }
}

fn journal(facts: &Facts, found: &mut Findings) {
    match &facts.probe {
        Probe::NotYetKnown => found.warn(
            Code::JournalNotKnown,
            "not yet known whether the journal can be written",
        ),
        // The error says already that it is the journal.
        Probe::Failed(why) => found.fail(Code::JournalNotWritable, clean_line(why, 240)),
        Probe::Pending(seconds) => found.fail(
            Code::JournalSlow,
            format!("the journal has not answered a write for {seconds} s or more"),
        ),
        Probe::Written | Probe::NotNeeded if facts.writes_failing => {
            found.fail(Code::JournalNotWritable, "the journal cannot be written");
        }
        Probe::Written | Probe::NotNeeded => {}
    }
    if let Some(damage) = &facts.journal_damage {
        let damage = clean_line(damage, 200);
        found.fail(
            Code::JournalDamaged,
            format!("the journal is damaged: {damage}; runs are refused until it is repaired"),
        );
    }
    if let Some(notice) = &facts.journal_notice {
        found.fail(
            Code::JournalNotAcknowledged,
            format!("{}; not acknowledged yet", clean_line(notice, 300)),
        );
    }
}

/// Sentences hold still while the disk fills: a snapshot is published when one changes.
pub(super) fn judge_disk(disk: &Disk, found: &mut Findings) {
    let holds = disk.holds;
    let space = match &disk.space {
        Ok(space) => space,
        Err(why) => {
            let why = clean_line(why, 120);
            return found.warn(
                Code::DiskNotKnown,
                format!("not known how full the disk of {holds} is: {why}"),
            );
        }
    };
    if space.total_bytes > 0 && space.free_bytes < FULL_BYTES {
        found.fail(
            Code::DiskFull,
            format!("the disk of {holds} is full: less than 64 MiB left"),
        );
    } else if let Some(left) = low(space) {
        found.warn(
            Code::DiskLow,
            format!("the disk of {holds} is nearly full: {left}"),
        );
    }
    if space.total_inodes > 0 && space.free_inodes < FULL_INODES {
        found.fail(
            Code::InodesFull,
            format!("the disk of {holds} has less than 1,000 inodes left"),
        );
    }
}

fn low(space: &DiskSpace) -> Option<String> {
    if space.total_bytes == 0 {
        // A pseudo file system that does not count.
        return None;
    }
    if space.free_bytes < LOW_BYTES {
        return Some("less than 1 GiB left".into());
    }
    let percent = space.free_percent();
    (percent < LOW_PERCENT).then(|| format!("{percent} % left"))
}
