//! Intake: the rules look at the raw change once; what is kept is redacted; then it is acknowledged.
//!
//! Why before the acknowledgement: a run that was accepted must end in the same decision whatever
//! happens to this process, and the raw change is never written down.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use sha2::{Digest as _, Sha256};

use super::core::Core;
use super::failpoint;
use super::report;
use super::types::command::{LinterReport, Refused, Reply, Subject, Trigger};
use super::types::event::Event;
use super::types::github::Change;
use super::types::run::{Input, Plan};
use crate::github::Pull;
use crate::journal::{JournalError, NewRun};
use crate::resilience::clock::lock;
use crate::review::commit_scan::{self, CommitScanError};
use crate::review::diff::{DiffError, Sink as _, parse};
use crate::review::documentation::{Documentation, DocumentationCheck};
use crate::review::finding::Finding;
use crate::review::linters::FilterMode;
use crate::review::policy::Policy;
use crate::review::redact::Redactor;
use crate::review::scan::{ScanLimits, Scanned, Scanner};
use crate::review::{folder, git, images};
use crate::text::{Untrusted, clean_line};
use crate::workspace::{Workspace, built_in, policy_files};

/// Most commits of a range whose messages are looked at.
const MOST_COMMITS: usize = 1_000;

/// What the rules made of the subject.
pub(super) struct Looked {
    pub(super) scanned: Scanned,
    pub(super) has_diff: bool,
    /// Hash of the policy files in the commit that a range begins with, where the workspace lies in that
    /// repository.
    pub(super) base_policy: Option<String>,
}

/// What of the policy a reader of the run should know.
fn policy_notes(workspace: &Workspace, other_policy: bool) -> Vec<String> {
    let mut notes = Vec::new();
    if !workspace.trust.is_trusted() {
        let ignored = workspace
            .problems
            .iter()
            .filter(|p| p.message.raw().contains("not trusted"));
        notes.push("the workspace is not trusted: its settings, agents and rules take nothing away from the built-in policy, and nothing is approved (bsm trust)".into());
        notes.extend(ignored.take(20).map(crate::workspace::Problem::line_text));
    }
    if other_policy {
        notes.push("the policy files of the base commit differ from the ones in effect, so nothing is approved; run it without a resident engine, or check the base out".into());
    }
    notes
}

/// A run that can be taken in.
pub(super) struct Prepared {
    /// What is kept.
    pub(super) new: NewRun,
    /// Agents, strategy, policy.
    pub(super) plan: Plan,
    /// What the rules saw.
    pub(super) input: Input,
}

/// Takes a run in: on disk when this returns.
pub async fn take_in(
    core: &Arc<Core>,
    trigger: Trigger,
    actor: &str,
    correlation: &str,
) -> Result<Reply, Refused> {
    let Prepared { new, plan, input } = prepare(core, trigger, None, actor, correlation).await?;
    let defaulted = !plan.own_rule && new.requested_event != "default";
    match core.journal.intake(new.clone()).await {
        Ok(()) => failpoint::reached("intake-kept"),
        Err(JournalError::Duplicate(first)) => {
            // The first one may have been cut off by a crash: it goes on now.
            super::resume::take_up(core, &first)
                .await
                .map_err(journal)?;
            return Ok(Reply::Accepted {
                run: first,
                correlation: correlation.to_owned(),
                defaulted: false,
            });
        }
        Err(error) => return Err(journal(error)),
    }
    begin(core, &new, &plan, &input);
    Ok(Reply::Accepted {
        run: new.id,
        correlation: correlation.to_owned(),
        defaulted,
    })
}

/// Sends a run that is on disk on its way.
pub(super) fn begin(core: &Arc<Core>, new: &NewRun, plan: &Plan, input: &Input) {
    tracing::info!(
        run = new.id,
        corr = new.correlation,
        event = %clean_line(&new.requested_event, 80),
        actor = new.actor,
        "run taken in"
    );
    super::run::launch(core, new, plan, input, false);
    core.tell(Event::RunQueued {
        run: new.id.clone(),
    });
}

pub(super) fn journal(error: JournalError) -> Refused {
    Refused::Journal {
        reason: error.to_string(),
    }
}

fn json(error: serde_json::Error) -> Refused {
    Refused::Journal {
        reason: error.to_string(),
    }
}

/// Looks at what a run is about; nothing is kept yet. `pull`: its change is fetched later.
pub(super) async fn prepare(
    core: &Arc<Core>,
    trigger: Trigger,
    pull: Option<Pull>,
    actor: &str,
    correlation: &str,
) -> Result<Prepared, Refused> {
    refuse_when_full(core)?;
    let settings = core.settings.load_full();
    let mut trigger = trigger;
    if let Some(path) = trigger.payload_file.take() {
        let read = tokio::task::spawn_blocking(move || read_payload(&path)).await;
        trigger.payload = read.unwrap_or_else(|_| Err(Refused::input("reading it failed")))?;
    }
    if !trigger.payload.is_null() && !trigger.payload.is_object() {
        return Err(Refused::input("the payload is not a JSON object"));
    }
    let requested = crate::text::cut(trigger.event.trim(), 120).to_owned();
    if requested.is_empty() {
        return Err(Refused::input("the event has no name"));
    }
    let workspace = core.workspace.load_full();
    let (rule, own_rule) = workspace
        .events
        .rule(&requested)
        .ok_or_else(|| Refused::NoAgent {
            reason: format!(
                "event {} selects no agent and there is no default",
                clean_line(&requested, 80)
            ),
        })?;
    if rule.agents.is_empty() {
        return Err(Refused::NoAgent {
            reason: format!("event {} selects no agent", clean_line(&requested, 80)),
        });
    }
    let event = if workspace.events.events.contains_key(&requested) {
        requested.clone()
    } else {
        "default".to_owned()
    };
    let redactor = core.redactor.load_full();
    let looks_at_folder =
        rule.outcome == crate::workspace::events::OutcomeKind::Health && trigger.subject.is_none();
    let subject = match trigger.subject {
        None if looks_at_folder => core.root.clone().map(|dir| Subject::Folder { dir }),
        other => other,
    };
    let limits = ScanLimits {
        kept_bytes: settings.engine.diff_kept_bytes,
        ..ScanLimits::default()
    };
    let stop = core.stopping.clone();
    let policy = core.policy.load_full();
    let filter = trigger.filter.unwrap_or(policy.filter);
    let linters = std::mem::take(&mut trigger.linters);
    let looked = {
        let (redactor, policy) = (Arc::clone(&redactor), Arc::clone(&policy));
        let root = core.root.clone();
        tokio::task::spawn_blocking(move || {
            let looking = Looking {
                redactor: &redactor,
                policy: &policy,
                filter,
                limits,
                linters: &linters,
                workspace: root.as_deref(),
            };
            look(subject, &looking, &|| stop.is_cancelled())
        })
        .await
        .map_err(|_| {
            Refused::input("looking at the change failed; this is a defect, please report it")
        })??
    };
    let Looked {
        scanned,
        has_diff,
        base_policy,
    } = looked;
    // A change in the workspace's own repository is judged by the policy of the commit it is based on.
    let other_policy = base_policy.is_some_and(|hash| hash != workspace.policy_hash);
    let lost = policy.lost().chain(redactor.rules().lost());
    let lost: Vec<String> = lost
        .take(20)
        .map(|w| {
            let (rule, what) = (clean_line(&w.rule, 120), clean_line(&w.what, 200));
            format!("left out: {rule}: {what}")
        })
        .collect();
    let plan = Plan {
        strategy: rule.strategy,
        outcome: rule.outcome,
        agents: rule.agents.clone(),
        step_timeout_ms: rule
            .step_timeout_ms
            .unwrap_or(settings.engine.step_timeout_ms),
        own_rule,
        offline: core.mode.offline || trigger.offline,
        models_wanted: !core.mode.offline && !trigger.offline && core.models.wanted(),
        simulated: core.mode.simulated,
        policy_hash: workspace.policy_hash.clone(),
        rules_hash: policy.hash.clone(),
        rules_complete: lost.is_empty(),
        coverage_floor: settings.review.coverage_floor,
        policy_trusted: workspace.trust.is_trusted() && !other_policy,
        offline_approval: settings.review.offline_approval,
    };
    let input = Input {
        payload: redactor.json(&trigger.payload),
        findings: scanned.findings,
        coverage: scanned.coverage,
        size: scanned.size,
        suppressed: scanned.suppressed,
        notes: [scanned.notes, lost, policy_notes(&workspace, other_policy)].concat(),
        documentation: scanned.documentation,
        head_sha: head_sha(&trigger.payload),
        has_diff,
        nothing_to_review: rule.needs_diff && !has_diff && pull.is_none(),
        missing: None,
        not_kept: scanned.not_kept,
        change: pull.map(|pull| Change {
            pull,
            to_fetch: rule.needs_diff,
            needs_diff: rule.needs_diff,
        }),
    };
    let now_ms = core.clock.wall_ms();
    let id = format!("job_{now_ms}_{}", random());
    let new = NewRun {
        report_name: report::file_name(&id, now_ms),
        id: id.clone(),
        created_ms: now_ms,
        event,
        requested_event: redactor.text(&requested),
        correlation: correlation.to_owned(),
        actor: actor.to_owned(),
        // Only its hash is kept: a key may be anything, a token too.
        idempotency: trigger
            .idempotency_key
            .map(|key| crate::state::hex(&Sha256::digest(key))),
        plan: serde_json::to_string(&plan).map_err(json)?,
        input: serde_json::to_string(&input).map_err(json)?,
        diff: scanned.redacted,
    };
    failpoint::reached("intake-scanned");
    // Looking at it may have taken seconds.
    refuse_when_full(core)?;
    Ok(Prepared { new, plan, input })
}

/// Takes a kept run in again, with what it looked at as it was kept.
pub async fn again(
    core: &Arc<Core>,
    id: &str,
    actor: &str,
    correlation: &str,
) -> Result<Reply, Refused> {
    let row = core
        .journal
        .run(id)
        .await
        .map_err(journal)?
        .ok_or_else(|| Refused::not_found("run", id))?;
    let mut plan: Plan = serde_json::from_str(&row.new.plan).map_err(json)?;
    let mut input: Input = serde_json::from_str(&row.new.input).map_err(json)?;
    if input.change.as_ref().is_some_and(|c| c.to_fetch) {
        // It could not be had then; it may be had now.
        input.missing = None;
    }
    let workspace = core.workspace.load_full();
    let (rule, own_rule) = workspace
        .events
        .rule(&row.new.event)
        .ok_or_else(|| Refused::not_found("event", &row.new.event))?;
    plan.agents.clone_from(&rule.agents);
    (plan.strategy, plan.outcome, plan.own_rule) = (
        rule.strategy,
        rule.outcome,
        own_rule && row.new.event != "default",
    );
    plan.policy_hash.clone_from(&workspace.policy_hash);
    plan.policy_trusted &= workspace.trust.is_trusted();
    let review = &core.settings.load().review;
    (plan.coverage_floor, plan.offline_approval) = (review.coverage_floor, review.offline_approval);
    plan.offline |= core.mode.offline;
    plan.simulated = core.mode.simulated;
    plan.models_wanted = !plan.offline && core.models.wanted();
    refuse_when_full(core)?;
    let now_ms = core.clock.wall_ms();
    let new_id = format!("job_{now_ms}_{}", random());
    let new = NewRun {
        report_name: report::file_name(&new_id, now_ms),
        id: new_id.clone(),
        created_ms: now_ms,
        correlation: correlation.to_owned(),
        actor: actor.to_owned(),
        idempotency: None,
        plan: serde_json::to_string(&plan).map_err(json)?,
        input: serde_json::to_string(&input).map_err(json)?,
        ..row.new
    };
    core.journal.intake(new.clone()).await.map_err(journal)?;
    begin(core, &new, &plan, &input);
    Ok(Reply::Accepted {
        run: new_id,
        correlation: correlation.to_owned(),
        defaulted: false,
    })
}

/// A drained engine takes nothing; the queue is bounded, and what does not fit into it is refused before
/// any work is done for it.
pub(super) fn refuse_when_full(core: &Core) -> Result<(), Refused> {
    if core.drained.load(Relaxed) {
        core.counters.refused.fetch_add(1, Relaxed);
        return Err(Refused::Drained);
    }
    let waiting = lock(&core.live).len() as u32;
    let engine = &core.settings.load().engine;
    if waiting < engine.queue.saturating_add(engine.max_concurrent_runs) {
        return Ok(());
    }
    core.counters.refused.fetch_add(1, Relaxed);
    Err(Refused::Busy { waiting })
}

/// The commit that the payload is about.
fn head_sha(payload: &serde_json::Value) -> Option<String> {
    let places = [
        "/pull_request/head/sha",
        "/check_suite/head_sha",
        "/head_sha",
    ];
    let sha = places.iter().find_map(|p| payload.pointer(p)?.as_str())?;
    crate::github::is_sha(sha).then(|| sha.to_ascii_lowercase())
}

fn read_payload(path: &Path) -> Result<serde_json::Value, Refused> {
    use std::io::Read as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    const LARGEST: u64 = 16 << 20;
    let fail = |e: &dyn std::fmt::Display| Refused::input(format!("{}: {e}", path.display()));
    // Without waiting: a pipe that nobody writes into would hold us for ever.
    let mut file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .map_err(|e| fail(&e))?;
    if !file.metadata().map_err(|e| fail(&e))?.is_file() {
        return Err(fail(&"not a file"));
    }
    let mut bytes = Vec::new();
    file.by_ref()
        .take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| fail(&e))?;
    if bytes.len() as u64 > LARGEST {
        return Err(fail(&"a payload is at most 16 MiB"));
    }
    serde_json::from_slice(&bytes).map_err(|e| fail(&format!("not JSON: {e}")))
}

fn random() -> String {
    std::iter::repeat_with(fastrand::alphanumeric)
        .take(6)
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// How a subject is looked at.
pub(super) struct Looking<'a> {
    pub(super) redactor: &'a Redactor,
    pub(super) policy: &'a Policy,
    pub(super) filter: FilterMode,
    pub(super) limits: ScanLimits,
    pub(super) linters: &'a [LinterReport],
    /// The workspace's folder.
    pub(super) workspace: Option<&'a Path>,
}

/// Runs the rules over the subject. Blocking: on a thread of its own.
pub(super) fn look(
    subject: Option<Subject>,
    looking: &Looking<'_>,
    cancelled: &dyn Fn() -> bool,
) -> Result<Looked, Refused> {
    let range = match &subject {
        Some(Subject::Range { repo, range }) => Some((repo.clone(), git::ends(repo, range)?)),
        _ => None,
    };
    let content = |path: &str| {
        let (repo, ends) = range.as_ref()?;
        let files = git::files_at(repo, &ends.to, &[path.to_owned()], images::LARGEST).ok()?;
        files.into_iter().find(|f| f.path == path)?.bytes
    };
    let fresh = || {
        Scanner::new(looking.redactor, looking.limits, cancelled)
            .under(looking.policy)
            .filtering(looking.filter)
            .reading(&content)
    };
    let scanner = fresh();
    let of_diff = |reader: &mut dyn BufRead, scanner| of_diff(reader, scanner, looking.linters);
    match subject {
        None => Ok(Looked {
            scanned: Scanned::default(),
            has_diff: false,
            base_policy: None,
        }),
        Some(Subject::Diff { diff }) => of_diff(&mut diff.0.as_slice(), scanner),
        Some(Subject::Sample { name }) => {
            let text = built_in::SAMPLES
                .iter()
                .find(|(n, _)| *n == name)
                .ok_or_else(|| Refused::not_found("sample", &name))?
                .1;
            of_diff(&mut text.as_bytes(), scanner)
        }
        Some(Subject::DiffFile { path }) => {
            let file = std::fs::File::open(&path)
                .map_err(|e| Refused::input(format!("{}: {e}", path.display())))?;
            let mut reader = BufReader::with_capacity(64 * 1024, file);
            of_diff(&mut reader, scanner)
        }
        Some(Subject::Range { repo, .. }) => {
            let Some((_, ends)) = range.clone() else {
                return Err(Refused::input("the range has no ends"));
            };
            let mut diff = git::diff(&repo, &ends)?;
            let reader = diff
                .reader()
                .ok_or_else(|| Refused::input("git gave no output"))?;
            let mut scanner = scanner;
            let parsed = parse(reader, &mut scanner);
            diff.finish()?;
            let files = parsed.map_err(refusal)?;
            let commits = git::commits(&repo, &ends, MOST_COMMITS + 1)?;
            for commit in &commits {
                scanner.commit(commit);
            }
            if looking.filter != FilterMode::Added {
                let all = looking.filter == FilterMode::All;
                let wanted = |path: &str| all || scanner.touches(path);
                let (whole, count) = folder::scan_commit(&repo, &ends.to, wanted, fresh())?;
                scanner.beside(whole, count);
            }
            let prose = scanner.is_about_prose();
            let mut looked = ended(scanner, files, looking.linters)?;
            if commits.len() > 1 {
                let found = &mut looked.scanned.findings;
                let (more, all) = secrets_in_history(&repo, &ends, fresh, looking.redactor, found)?;
                found.extend(more);
                found.sort_by_key(|f| std::cmp::Reverse(f.severity));
                if !all {
                    let place = Untrusted::new("(commits of the range)");
                    let why = "they hold more findings than are looked through".to_owned();
                    looked.scanned.coverage.skip(&place, why);
                    looked.scanned.coverage.files_total += 1;
                }
            }
            if prose {
                let proof = documentation(&repo, &ends, cancelled)?;
                looked.scanned.documentation = proof.redacted(looking.redactor);
            }
            if let Some(root) = looking.workspace {
                looked.base_policy =
                    policy_files::of_base(root, &repo, &ends.from)?.map(|f| f.hash());
            }
            Ok(looked)
        }
        Some(Subject::Folder { dir }) => {
            check_folder(&dir)?;
            let scanned = folder::scan(&dir, scanner).map_err(Refused::input)?;
            // A listing of files is no diff to show to a model; findings and coverage are.
            Ok(Looked {
                scanned: Scanned {
                    redacted: String::new(),
                    not_kept: Vec::new(),
                    ..scanned
                },
                has_diff: false,
                base_policy: None,
            })
        }
    }
}

/// Secrets that a commit of a range adds and a later one takes out: merged, they stay in the history. And
/// whether every commit was looked through.
fn secrets_in_history<'a>(
    repo: &Path,
    ends: &git::Ends,
    scanner: impl Fn() -> Scanner<'a>,
    redactor: &Redactor,
    known: &[Finding],
) -> Result<(Vec<Finding>, bool), Refused> {
    /// Most findings of a range's commits that are looked through.
    const MOST: usize = 10_000;
    let scanned = commit_scan::scan(repo, ends, scanner, MOST).map_err(|error| match error {
        CommitScanError::Diff(DiffError::Cancelled) => Refused::Stopping,
        other => Refused::input(other),
    })?;
    let prints = |f: &Finding| [f.fingerprint.clone(), f.identity.clone()];
    let mut seen: HashSet<String> = known.iter().flat_map(prints).flatten().collect();
    let is_secret = |f: &Finding| redactor.rules().rule(&f.rule).is_some_and(|r| r.secret);
    let secrets = scanned.findings.into_iter().filter(is_secret);
    let new = secrets.filter(|f| {
        let known = prints(f).iter().flatten().any(|print| seen.contains(print));
        seen.extend(prints(f).into_iter().flatten());
        !known
    });
    let found = new
        .map(|finding| {
            let commit = finding.commit.as_deref().unwrap_or_default();
            let message = format!(
                "{} Commit {} of this range adds it, and it stays in the history.",
                finding.message.raw(),
                crate::text::cut(commit, 10)
            );
            // Its line is that commit's, not one of the change.
            Finding {
                message: Untrusted::new(message),
                line: None,
                column: None,
                end_line: None,
                end_column: None,
                utf16_columns: None,
                ..finding
            }
        })
        .collect();
    Ok((found, scanned.notes.is_empty()))
}

/// The proof that a range is documentation, with the whole of each file in sight.
fn documentation(
    repo: &Path,
    ends: &git::Ends,
    cancelled: &dyn Fn() -> bool,
) -> Result<Documentation, Refused> {
    if cancelled() {
        return Err(Refused::Stopping);
    }
    let mut diff = git::diff_in_full(repo, ends)?;
    let reader = diff
        .reader()
        .ok_or_else(|| Refused::input("git gave no output"))?;
    let mut check = DocumentationCheck::of_whole_files();
    let parsed = parse(reader, &mut check);
    diff.finish()?;
    parsed.map_err(refusal)?;
    let proof = check.finish();
    if !proof.proven {
        return Ok(proof);
    }
    Ok(match git::included_by(repo, ends)? {
        Some((file, by)) => Documentation::refuted(format!("{file}: it is read by {by}")),
        None => proof,
    })
}

fn of_diff(
    reader: &mut dyn BufRead,
    mut scanner: Scanner<'_>,
    linters: &[LinterReport],
) -> Result<Looked, Refused> {
    let files = parse(reader, &mut scanner).map_err(refusal)?;
    ended(scanner, files, linters)
}

fn refusal(error: DiffError) -> Refused {
    match error {
        DiffError::Cancelled => Refused::Stopping,
        other => Refused::input(other),
    }
}

/// The diff is read; what other linters found comes last, since it is held against what the diff adds.
fn ended(
    mut scanner: Scanner<'_>,
    files: u32,
    linters: &[LinterReport],
) -> Result<Looked, Refused> {
    for report in linters {
        scanner
            .linter(&report.name, &report.content.0)
            .map_err(|e| Refused::input(format!("{}: {e}", clean_line(&report.name, 80))))?;
    }
    Ok(Looked {
        scanned: scanner.finish(),
        has_diff: files > 0,
        base_policy: None,
    })
}

fn check_folder(dir: &Path) -> Result<(), Refused> {
    if dir.is_dir() {
        Ok(())
    } else {
        Err(Refused::input(format!("{}: no such folder", dir.display())))
    }
}
