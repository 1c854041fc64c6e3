//! The table of everything that grows: how much of it is kept, by which setting, and what goes first. Retention
//! enforces it, `bsm state usage` prints it.

use serde::{Deserialize, Serialize};

use crate::engine::protocol::retention::Store;
use crate::journal::{HISTORY_BYTES, HISTORY_MS, KEYS_DAYS, LISTED, SENT, SPEND_DAYS};
use crate::settings::Settings;

/// How much of one store is kept. Of several bounds the first one reached counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bound {
    /// Of what.
    pub store: Store,
    /// Older ones go, days.
    pub days: Option<u64>,
    /// The first to go do so until no more bytes are taken.
    pub bytes: Option<u64>,
    /// All but so many go.
    pub items: Option<u64>,
    /// The settings that say so; empty: fixed.
    pub settings: Vec<String>,
    /// What goes first.
    pub first_to_go: String,
}

impl Bound {
    /// In words: `90 days, 1.0 GiB`.
    pub fn summary(&self) -> String {
        let mut parts = Vec::new();
        if let Some(days) = self.days {
            parts.push(format!("{days} {}", if days == 1 { "day" } else { "days" }));
        }
        if let Some(items) = self.items {
            parts.push(format!("{items} items"));
        }
        if let Some(bytes) = self.bytes {
            parts.push(human_bytes(bytes));
        }
        if parts.is_empty() {
            return "none".into();
        }
        parts.join(", ")
    }
}

/// Bytes in the largest unit that leaves at least 1.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{bytes} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// Each store with the settings that bound it, and what goes first.
const TABLE: &[(Store, &[&str], &str)] = &[
    (Store::Runs, &["engine.runsKept"], "the oldest ended run"),
    (
        Store::Memory,
        &["memory.days", "memory.items", "memory.bytes"],
        "the oldest item",
    ),
    (Store::History, &[], "the oldest snapshot"),
    (Store::Deliveries, &[], "the oldest webhook"),
    (Store::DeliveryKeys, &[], "the oldest key"),
    (Store::Approvals, &[], "the oldest decided approval"),
    (Store::Outbox, &[], "the oldest ended publication"),
    (Store::Spend, &[], "the oldest day"),
    (
        Store::Reports,
        &["reports.days", "reports.maxBytes"],
        "the oldest report",
    ),
    (
        Store::Audit,
        &["audit.days", "audit.maxBytes"],
        "the oldest closed file",
    ),
    (
        Store::Logs,
        &["logs.days", "logs.maxBytes"],
        "the oldest file",
    ),
    (
        Store::MigrationBackups,
        &["backups.keep"],
        "the oldest copy",
    ),
    (Store::Backups, &["backups.keep"], "the oldest copy"),
    (
        Store::DamagedJournals,
        &["backups.keep"],
        "the oldest, once the repair is acknowledged",
    ),
];

/// Days, bytes and items of one store; 0: no bound for that reason.
fn limits(store: Store, settings: &Settings) -> (u64, u64, u64) {
    let (memory, reports) = (settings.memory, settings.reports);
    let fixed = |n: i64| n.max(0).cast_unsigned();
    match store {
        Store::Runs => (0, 0, settings.engine.runs_kept.into()),
        Store::Memory => (memory.days.into(), memory.bytes, memory.items),
        Store::History => (fixed(HISTORY_MS / 86_400_000), fixed(HISTORY_BYTES), 0),
        Store::Deliveries | Store::Approvals => (0, 0, LISTED.into()),
        Store::DeliveryKeys => (fixed(KEYS_DAYS), 0, 0),
        Store::Outbox => (0, 0, SENT.into()),
        Store::Spend => (fixed(SPEND_DAYS), 0, 0),
        Store::Reports => (reports.days.into(), reports.max_bytes, 0),
        Store::Audit => (settings.audit.days.into(), 0, 0),
        Store::Logs => (settings.logs.days.into(), settings.logs.max_bytes, 0),
        Store::MigrationBackups | Store::Backups => (0, 0, settings.backups.keep.into()),
        // The newest always stays.
        Store::DamagedJournals => (0, 0, settings.backups.keep.max(1).into()),
    }
}

/// The bounds under these settings, one for each store.
pub fn bounds(settings: &Settings) -> Vec<Bound> {
    let some = |n: u64| (n > 0).then_some(n);
    let bound = |(store, keys, first_to_go): &(Store, &[&str], &str)| {
        let (days, bytes, items) = limits(*store, settings);
        Bound {
            store: *store,
            days: some(days),
            bytes: some(bytes),
            items: some(items),
            settings: keys.iter().map(|s| (*s).to_owned()).collect(),
            first_to_go: (*first_to_go).to_owned(),
        }
    };
    TABLE.iter().map(bound).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_store_has_a_bound_by_default() {
        for bound in bounds(&Settings::default()) {
            assert!(
                bound.days.is_some() || bound.bytes.is_some() || bound.items.is_some(),
                "{:?}",
                bound.store
            );
        }
    }

    #[test]
    fn settings_of_zero_mean_no_bound_for_that_reason() {
        let mut settings = Settings::default();
        settings.reports.days = 0;
        settings.memory.days = 0;
        settings.memory.items = 0;
        let all = bounds(&settings);
        let of = |store| all.iter().find(|b| b.store == store).unwrap().summary();
        assert_eq!(of(Store::Reports), "1.0 GiB");
        assert_eq!(of(Store::Memory), "none");
        assert_eq!(of(Store::Runs), "10000 items");
        assert_eq!(of(Store::History), "1 day, 64.0 MiB");
    }

    #[test]
    fn named_settings_exist() {
        let settings = serde_json::to_value(Settings::default()).unwrap();
        for bound in bounds(&Settings::default()) {
            for key in bound.settings {
                let pointer = format!("/{}", key.replace('.', "/"));
                assert!(settings.pointer(&pointer).is_some(), "{key}");
            }
        }
    }
}
