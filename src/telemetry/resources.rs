//! What the process itself takes: CPU, resident memory, and the disk its state fills.
//!
//! Whole percent and whole megabytes, sampled every two seconds, so that a quiet engine's snapshot
//! stays still and an idle screen writes nothing. The system counts processor time in hundredths of a second: of
//! two seconds one of them is half a percent. So a figure keeps its value until it is off by `OFF`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};

/// The resources' section of the snapshot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceStats {
    /// CPU of this process, percent of one core, over the last two seconds.
    pub cpu_percent: u32,
    /// Resident memory, MB (10⁶ bytes).
    pub memory_mb: u32,
    /// State directory on disk, MB.
    pub disk_mb: u32,
}

/// How far what is measured may be from what is shown.
const OFF: f64 = 0.75;

/// What is shown of a figure that was shown as `last`.
fn steady(last: u32, exact: f64) -> u32 {
    if (exact - f64::from(last)).abs() < OFF {
        return last;
    }
    exact.round().clamp(0.0, f64::from(u32::MAX)) as u32
}

/// Samples this process.
pub struct Resources {
    last: ResourceStats,
    system: Option<System>,
    pid: Option<Pid>,
    state: PathBuf,
}

impl Resources {
    /// A sampler for this process and the given state directory.
    pub fn new(state: PathBuf) -> Self {
        Self {
            last: ResourceStats::default(),
            system: System::new().ok(),
            pid: sysinfo::get_current_pid().ok(),
            state,
        }
    }

    /// One sample; CPU is measured since the one before.
    pub fn sample(&mut self) -> ResourceStats {
        let mut stats = ResourceStats {
            disk_mb: megabytes(folder_bytes(&self.state)),
            ..ResourceStats::default()
        };
        if let (Some(pid), Some(system)) = (self.pid, &mut self.system) {
            let kind = ProcessRefreshKind::nothing()
                .with_cpu()
                .with_memory()
                .without_tasks();
            system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, kind);
            if let Some(process) = system.process(pid) {
                stats.cpu_percent = steady(self.last.cpu_percent, process.cpu_usage().into());
                let megabytes = process.memory() as f64 / 1e6;
                stats.memory_mb = steady(self.last.memory_mb, megabytes);
            }
        }
        self.last = stats;
        stats
    }
}

fn megabytes(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

/// Bytes of the files in a folder and one level below it (journal, logs, reports).
pub fn folder_bytes(path: &std::path::Path) -> u64 {
    let files = |dir: &std::path::Path| {
        std::fs::read_dir(dir)
            .into_iter()
            .flatten()
            .flatten()
            .collect::<Vec<_>>()
    };
    files(path)
        .iter()
        .map(|entry| match entry.metadata() {
            Ok(meta) if meta.is_file() => meta.len(),
            Ok(meta) if meta.is_dir() => files(&entry.path())
                .iter()
                .filter_map(|e| e.metadata().ok())
                .filter(std::fs::Metadata::is_file)
                .map(|m| m.len())
                .sum(),
            _ => 0,
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figure_that_wavers_between_two_values_stands_still_and_follows_when_it_moves() {
        let ticks = [0.0, 0.5, 0.0, 0.5, 0.7].map(|exact| steady(0, exact));
        assert_eq!(ticks, [0; 5]);
        assert_eq!(steady(0, 0.75), 1);
        assert_eq!((steady(1, 0.5), steady(1, 0.2)), (1, 0));
        assert_eq!((steady(22, 22.7), steady(22, 31.4)), (22, 31));
    }

    #[test]
    fn measures_this_process() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("f"), vec![0; 1_500_000]).unwrap();
        let stats = Resources::new(dir.path().into()).sample();
        assert!(stats.memory_mb > 0);
        assert_eq!(stats.disk_mb, 2);
    }
}
