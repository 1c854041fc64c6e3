//! What the engine remembers: an agent's review when its step has ended, a run's decision; and what it is
//! asked of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::core::Core;
use super::types::memory::{MemoryItem, MemoryStats, PatternGroup, Patterns, Similar, SimilarHit};
use super::types::run::{Action, Input, RunResult, Step};
use crate::journal::{JournalError, MemoryKind, MemoryRow, NewMemory, Remembered, Retention};
use crate::memory::{Hit, Memory, Word, cut, words};
use crate::review::redact::Redactor;
use crate::text::{Untrusted, clean_block, clean_line};
use crate::workspace::knowledge::Document;

/// Characters of what was said that are kept.
const REVIEW: usize = 4_000;
/// Items prepared before they go into the index together.
const BATCH: usize = 2_048;
/// Groups of each kind that are listed.
const GROUPS: usize = 20;

/// What a step leaves. Without a diff there is nothing to find it by.
pub(super) fn of_step(
    run: &str,
    event: &str,
    input: &Input,
    diff: &str,
    step: &Step,
) -> Option<NewMemory> {
    let code = added(diff);
    if code.is_empty() {
        return None;
    }
    let verdict = step.verdict?;
    let mut review = verdict.word().to_owned();
    for finding in &step.findings {
        review.push_str(&format!(
            "\n{} {}: {}",
            finding.severity.word(),
            finding.rule,
            finding.message.raw()
        ));
    }
    let rules: Vec<&str> = step.findings.iter().map(|f| f.rule.as_str()).collect();
    Some(NewMemory {
        id: format!("{run}/{}", step.agent_id),
        kind: MemoryKind::CodeReview,
        code,
        review: crate::text::cut(&review, REVIEW).to_owned(),
        metadata: serde_json::json!({
            "agent": step.agent_id,
            "event": event,
            "repository": repository(input),
            "verdict": verdict.word(),
            "rules": rules,
            "model": step.model,
        }),
        created_ms: step.started_at.unwrap_or(0),
        run: Some(run.to_owned()),
    })
}

/// What a run leaves.
pub(super) fn of_run(view: &RunResult, input: &Input, at_ms: i64) -> Option<NewMemory> {
    let decision = view.decision.as_ref().filter(|_| !view.simulated)?;
    let rejecting: Vec<&str> = view
        .agents
        .iter()
        .filter(|s| {
            s.verdict
                .is_some_and(|v| v >= crate::review::verdict::Verdict::RequestChanges)
        })
        .map(|s| s.agent_id.as_str())
        .collect();
    let mut rules: Vec<&str> = view
        .agents
        .iter()
        .flat_map(|s| &s.findings)
        .filter(|f| f.severity >= crate::review::finding::Severity::Medium)
        .map(|f| f.rule.as_str())
        .collect();
    rules.sort_unstable();
    rules.dedup();
    let reason = crate::text::cut(decision.reason.raw(), 1_000).to_owned();
    Some(NewMemory {
        id: view.run_id.clone(),
        kind: MemoryKind::OrchestrationDecision,
        code: reason,
        review: decision.action.word().to_owned(),
        metadata: serde_json::json!({
            "event": view.event,
            "repository": repository(input),
            "action": decision.action.word(),
            "rule": decision.rule,
            "evidence": view.evidence.word(),
            "agents": rejecting,
            "rules": rules,
        }),
        created_ms: at_ms,
        run: Some(view.run_id.clone()),
    })
}

/// The added lines of a diff, as far as they count.
pub(super) fn added(diff: &str) -> String {
    let mut code = String::new();
    let lines = diff
        .lines()
        .filter(|l| l.starts_with('+') && !l.starts_with("+++"));
    for line in lines {
        code.push_str(&line[1..]);
        code.push('\n');
        if code.len() > 4 * crate::memory::CUT {
            break;
        }
    }
    cut(code.trim()).to_owned()
}

fn repository(input: &Input) -> Option<String> {
    let place = input.payload.pointer("/repository/full_name")?.as_str()?;
    Some(clean_line(place, 120))
}

/// What was written down goes into the index.
pub(super) fn index(memory: &Memory, item: &NewMemory, (seq, replaced): Remembered) {
    if let Some(old) = replaced {
        memory.remove(old);
    }
    memory.insert(seq, item.created_ms, &item.code);
}

/// Fills the index from what is kept, on a thread of its own; it is asked meanwhile.
pub(super) fn fill(core: &Arc<Core>) {
    let core = Arc::clone(core);
    let work = move || {
        let began = Instant::now();
        let filled = fill_from(&core);
        match filled {
            Ok(items) => {
                core.memory.filled();
                let ms = began.elapsed().as_millis() as u64;
                tracing::info!(items, ms, "memory is ready");
            }
            Err(error) => core.alert(true, format!("memory could not be read: {error}")),
        }
        core.dirty.notify_one();
    };
    let _ = std::thread::Builder::new()
        .name("bsm-memory".into())
        .spawn(work);
}

fn fill_from(core: &Core) -> Result<u64, JournalError> {
    let seed = core.memory.seed();
    // One thread reads and takes apart, another enters: twice as soon ready where there are two processors.
    let (sender, receiver) = std::sync::mpsc::sync_channel::<Vec<(i64, i64, Vec<Word>)>>(4);
    std::thread::scope(|scope| {
        let enter = scope.spawn(|| {
            let mut items = 0;
            for batch in receiver {
                items += batch.len() as u64;
                core.memory.fill(&batch);
            }
            items
        });
        let mut batch = Vec::with_capacity(BATCH);
        let read = core.journal.scan_memory(|seq, created_ms, text| {
            let mut found = Vec::new();
            words(text, seed, &mut found);
            batch.push((seq, created_ms, found));
            if batch.len() == BATCH {
                let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
                return sender.send(full).is_ok() && !core.stopping.is_cancelled();
            }
            true
        });
        let _ = sender.send(batch);
        drop(sender);
        let items = enter.join().unwrap_or(0);
        read.map(|()| items)
    })
}

/// What is most like a text.
pub(super) async fn similar(
    core: &Core,
    text: &str,
    k: u32,
    least: f64,
) -> Result<Similar, JournalError> {
    let began = Instant::now();
    let hits = core.memory.nearest(text, k.clamp(1, 100) as usize, least);
    let took_us = began.elapsed().as_micros() as u64;
    let rows = core
        .journal
        .memories(hits.iter().map(|h| h.key).collect())
        .await?;
    let progress = core.memory.progress();
    Ok(Similar {
        hits: shown(&hits, rows),
        total: progress.items,
        took_us,
        ready: progress.ready,
    })
}

/// Past reviews most like a change, as documents for a prompt; none of the run itself.
pub(super) async fn past(core: &Core, run: &str, input: &Input, diff: &str) -> Vec<Document> {
    const MOST: usize = 3;
    let code = added(diff);
    let found = similar(core, &code, 100, 0.1).await;
    let hits = match found {
        Ok(found) => found.hits,
        Err(error) => {
            tracing::warn!(run, "past reviews cannot be read: {error}");
            return Vec::new();
        }
    };
    // What was written for another repository is nobody's business here.
    let here = serde_json::json!(repository(input));
    // The agents of one run looked at the same code: its first review stands for all.
    let mut runs = std::collections::BTreeSet::new();
    hits.into_iter()
        .filter(|h| h.run_id.as_deref() != Some(run) && h.kind == MemoryKind::CodeReview)
        .filter(|h| h.metadata["repository"] == here)
        .filter(|h| h.run_id.is_none() || runs.insert(h.run_id.clone()))
        .take(MOST)
        .map(|h| Document {
            name: Untrusted::new(format!("past review {}", h.id)),
            text: Untrusted::new(format!("{}\n\nof:\n{}", h.review.raw(), h.code.raw())),
        })
        .collect()
}

/// Hits with what is kept of them.
pub fn shown(hits: &[Hit], rows: Vec<MemoryRow>) -> Vec<SimilarHit> {
    let mut by_seq: BTreeMap<i64, MemoryRow> = rows.into_iter().map(|r| (r.seq, r)).collect();
    hits.iter()
        .filter_map(|hit| {
            let item = by_seq.remove(&hit.key)?.item;
            Some(SimilarHit {
                id: item.id,
                score: hit.score(),
                overlap: hit.overlap,
                union: hit.union,
                kind: item.kind,
                code: Untrusted::new(item.code),
                review: Untrusted::new(item.review),
                metadata: item.metadata,
                created_at: item.created_ms,
                run_id: item.run,
            })
        })
        .collect()
}

/// Remembers what is imported. Everything is redacted on its way in.
pub(super) async fn import(core: &Core, items: Vec<MemoryItem>) -> Result<usize, String> {
    let redactor = core.redactor.load_full();
    let now_ms = core.clock.wall_ms();
    let mut new = Vec::with_capacity(items.len());
    for item in items {
        new.push(read(item, now_ms, Some(&redactor))?);
    }
    let numbers = core
        .journal
        .remember(new.clone())
        .await
        .map_err(|e| e.to_string())?;
    for (item, number) in new.iter().zip(&numbers) {
        index(&core.memory, item, *number);
    }
    core.dirty.notify_one();
    Ok(numbers.len())
}

/// An imported item as it is kept.
///
/// # Errors
/// A sentence.
pub fn read(
    item: MemoryItem,
    now_ms: i64,
    redactor: Option<&Redactor>,
) -> Result<NewMemory, String> {
    // The whole of it first, and then its part: half a secret looks like none.
    let redact = |text: &str| redactor.map_or_else(|| text.to_owned(), |r| r.text(text));
    let created_ms = match &item.created_at {
        None | Some(serde_json::Value::Null) => now_ms,
        Some(serde_json::Value::Number(n)) => n.as_i64().ok_or("createdAt is no whole number")?,
        Some(serde_json::Value::String(text)) => text
            .parse::<jiff::Timestamp>()
            .map_err(|_| "createdAt is no time (RFC 3339)")?
            .as_millisecond(),
        Some(_) => return Err("createdAt is a time or milliseconds".into()),
    };
    let metadata = match item.metadata {
        serde_json::Value::Null => serde_json::json!({}),
        object @ serde_json::Value::Object(_) => match redactor {
            Some(redactor) => redactor.json(&object),
            None => object,
        },
        _ => return Err("metadata is no object".into()),
    };
    let id = match item.id {
        Some(id) if (1..=200).contains(&id.len()) => clean_line(&id, 200),
        Some(_) => return Err("an id has 1 to 200 bytes".into()),
        // Those that come together lie together: at random every one would touch another page.
        None => format!("mem_{now_ms:011x}{:013x}", fastrand::u64(..) >> 12),
    };
    Ok(NewMemory {
        id,
        kind: item.kind,
        code: cut(&redact(item.code.raw())).to_owned(),
        review: clean_block(crate::text::cut(&redact(item.review.raw()), REVIEW), REVIEW),
        metadata,
        created_ms,
        run: None,
    })
}

/// An item as it is exported.
pub fn exported(row: MemoryRow) -> MemoryItem {
    MemoryItem {
        kind: row.item.kind,
        id: Some(row.item.id),
        code: Untrusted::new(row.item.code),
        review: Untrusted::new(row.item.review),
        metadata: row.item.metadata,
        created_at: Some(row.item.created_ms.into()),
    }
}

/// How much is remembered.
pub(super) async fn stats(core: &Core) -> Result<MemoryStats, JournalError> {
    let counts = core.journal.memory_counts().await?;
    let progress = core.memory.progress();
    Ok(MemoryStats {
        reviews: counts.reviews,
        decisions: counts.decisions,
        text_bytes: counts.bytes,
        indexed: progress.items,
        index_bytes: core.memory.bytes(),
        ready: progress.ready,
    })
}

/// Why changes are rejected, from decisions.
pub fn patterns(decisions: &[MemoryRow]) -> Patterns {
    let rejects =
        |action: &str| action == Action::BlockPr.word() || action == Action::RequestChanges.word();
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

/// Lets go of what is too old or too much.
pub(super) async fn retain(core: &Core) -> Result<(), JournalError> {
    let settings = core.settings.load().memory;
    let days = i64::from(settings.days);
    // A clock that was set wrong must not cost what is remembered.
    let clock_is_sound = core.clock_is_sound();
    let keep = Retention {
        older_than_ms: if days == 0 || !clock_is_sound {
            0
        } else {
            core.clock.wall_ms() - days * 86_400_000
        },
        items: settings.items,
        bytes: settings.bytes,
    };
    if keep == Retention::default() {
        return Ok(());
    }
    let gone = core.journal.retain_memory(keep).await?;
    for seq in &gone {
        core.memory.remove(*seq);
    }
    if !gone.is_empty() {
        tracing::info!(items = gone.len(), "forgotten by age, number or size");
        core.dirty.notify_one();
    }
    Ok(())
}

/// Builds the index anew where most of it is of items that went.
pub(super) fn renew(core: &Arc<Core>) {
    if core.memory.is_wasteful() && core.memory.begin_again() {
        fill(core);
    }
}
