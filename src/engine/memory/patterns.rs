//! Why changes are rejected: remembered decisions, counted.

use std::collections::BTreeMap;

use crate::engine::protocol::memory::{PatternGroup, Patterns};
use crate::engine::protocol::run::Action;
use crate::journal::MemoryRow;
use crate::text::{Untrusted, clean_line};

/// Groups of each kind that are listed.
const GROUPS: usize = 20;

/// Why changes are rejected, from decisions.
pub fn patterns(decisions: &[MemoryRow]) -> Patterns {
    let rejects = |action: &str| {
        action == Action::BlockPr.as_str() || action == Action::RequestChanges.as_str()
    };
    let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
    let mut groups: BTreeMap<(&'static str, String), (u64, u64)> = BTreeMap::new();
    let (mut total, mut rejections) = (0, 0);
    for row in decisions {
        let item = &row.item;
        let rejected = rejects(&item.review);
        total += 1;
        rejections += u64::from(rejected);
        let mut count = |by: &'static str, name: &str, all: bool| {
            let entry = groups.entry((by, clean_line(name, 120))).or_default();
            entry.0 += 1;
            entry.1 += u64::from(rejected && all);
        };
        let names = |key: &str| {
            let list = item.metadata.get(key).and_then(serde_json::Value::as_array);
            list.into_iter()
                .flatten()
                .filter_map(|v| v.as_str())
                .collect::<Vec<_>>()
        };
        if let Some(repository) = item.metadata["repository"].as_str() {
            count("repository", repository, true);
        }
        let at = jiff::Timestamp::from_millisecond(item.created_ms).unwrap_or_default();
        let week = at.to_zoned(jiff::tz::TimeZone::UTC).date().iso_week_date();
        count(
            "week",
            &format!("{}-W{:02}", week.year(), week.week()),
            true,
        );
        // Agents and rules are named by those decisions that they rejected.
        for agent in names("agents") {
            count("agent", agent, true);
        }
        for rule in names("rules") {
            count("rule", rule, true);
        }
        if rejected {
            // What was decided, not where: `… detected: rule at file:12` is one reason.
            let reason = item.code.split(": ").next().unwrap_or_default();
            *reasons.entry(clean_line(reason, 160)).or_default() += 1;
        }
    }
    let mut reasons: Vec<(Untrusted, u64)> = reasons
        .into_iter()
        .map(|(text, count)| (Untrusted::new(text), count))
        .collect();
    reasons.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    reasons.truncate(GROUPS);
    let mut groups: Vec<PatternGroup> = groups
        .into_iter()
        .map(|((by, name), (total, rejections))| PatternGroup {
            by: by.to_owned(),
            name,
            total,
            rejections,
        })
        .collect();
    groups.sort_by(|a, b| {
        a.by.cmp(&b.by).then_with(|| match a.by.as_str() {
            "week" => b.name.cmp(&a.name),
            _ => b.rejections.cmp(&a.rejections),
        })
    });
    let mut of: BTreeMap<String, usize> = BTreeMap::new();
    groups.retain(|g| {
        let seen = of.entry(g.by.clone()).or_default();
        *seen += 1;
        *seen <= GROUPS
    });
    Patterns {
        total,
        rejections,
        rate: if total == 0 {
            0.0
        } else {
            rejections as f64 / total as f64
        },
        reasons,
        groups,
    }
}
