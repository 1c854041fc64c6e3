//! The report: what was decided and why, for a person, in Markdown. Every outside text is escaped.

use std::fmt::Write as _;
use std::path::Path;

use crate::engine::exporters::{Reported, findings_of};
use crate::engine::protocol::run::{Action, Cause, RunResult, Step, StepStatus};
use crate::files::{FileError, Root};
use crate::review::finding::{Finding, SuppressedBy};
use crate::review::quality;
use crate::state::StateDir;
use crate::text::{Untrusted, markdown};

/// `agents-summary-<UTC to the second>-<run id>.md`
pub fn file_name(run_id: &str, wall_ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(wall_ms).unwrap_or_default();
    format!(
        "agents-summary-{}-{run_id}.md",
        at.strftime("%Y-%m-%dT%H-%M-%SZ")
    )
}

/// The report's text.
pub fn render(run: &RunResult) -> String {
    let mut out = String::new();
    // Writing into a String cannot fail.
    let _ = write(&mut out, run);
    out
}

fn write(out: &mut String, run: &RunResult) -> std::fmt::Result {
    let event = markdown(&run.event, 120);
    writeln!(out, "# {}: {event}\n", title(run))?;
    let at = jiff::Timestamp::from_millisecond(run.created_at).unwrap_or_default();
    if let Some(decision) = &run.decision {
        writeln!(
            out,
            "- Decision: **{}** ({}): {}",
            decision.action.as_str(),
            decision.cause_word().replace('_', "\\_"),
            markdown(decision.reason.raw(), 400)
        )?;
    }
    let stale = if run.stale {
        ", some answers stale"
    } else {
        ""
    };
    writeln!(out, "- Evidence: {}{stale}", run.evidence.as_str())?;
    let c = &run.coverage;
    writeln!(
        out,
        "- Coverage: {}; +{} −{} lines",
        c.summary(),
        run.size.added,
        run.size.removed
    )?;
    if let Some(obstacle) = run
        .documentation
        .obstacle
        .as_ref()
        .filter(|_| c.files_total > 0)
    {
        writeln!(
            out,
            "- Not documentation alone: {}",
            markdown(obstacle.raw(), 300)
        )?;
    }
    writeln!(
        out,
        "- Run: `{}`, correlation `{}`",
        run.run_id, run.correlation_id
    )?;
    writeln!(out, "- Event: {event}")?;
    if let Some(requested) = &run.requested_event {
        writeln!(
            out,
            "- Requested event: {}, which has no rule of its own",
            markdown(requested.raw(), 120)
        )?;
    }
    writeln!(out, "- Time: {}", at.strftime("%Y-%m-%d %H:%M:%S UTC"))?;
    for note in &run.notes {
        writeln!(out, "- Note: {}", markdown(note, 300))?;
    }
    not_reviewed(out, run)?;
    let findings = findings_of(run);
    findings_table(out, &findings)?;
    agents(out, &run.agents)?;
    for step in &run.agents {
        details(out, step)?;
    }
    accepted(out, run)?;
    errors(out, &run.agents)?;
    quality(out)?;
    let tokens: u64 = run
        .agents
        .iter()
        .map(|s| s.tokens.prompt + s.tokens.completion)
        .sum();
    writeln!(out, "\n## Summary\n")?;
    writeln!(
        out,
        "{} agents, {} findings, {tokens} tokens, ${:.4}, {} ms.",
        run.agents.len(),
        findings.len(),
        run.cost_usd(),
        run.duration_ms.unwrap_or(0)
    )
}

/// What the first line must not leave unsaid: that no real model, or no model at all, stands behind it.
fn title(run: &RunResult) -> &'static str {
    let decision = run.decision.as_ref();
    let by_rules = decision
        .is_some_and(|d| d.action == Action::ApproveAndMerge && d.cause == Some(Cause::RulesOnly));
    match (run.simulated, by_rules) {
        (true, _) => "Agents summary (simulated)",
        (false, true) => {
            "Agents summary, approved by rules alone because review.offlineApproval is any"
        }
        (false, false) => "Agents summary",
    }
}

fn not_reviewed(out: &mut String, run: &RunResult) -> std::fmt::Result {
    let c = &run.coverage;
    if c.skipped.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Not reviewed\n\n| file | reason |\n|---|---|")?;
    for skipped in &c.skipped {
        writeln!(
            out,
            "| {} | {} |",
            markdown(skipped.path.raw(), 200),
            markdown(&skipped.reason, 200)
        )?;
    }
    if c.skipped_more > 0 {
        writeln!(out, "| … | {} more |", c.skipped_more)?;
    }
    Ok(())
}

/// Every finding once, with the agents that decide by it.
fn findings_table(out: &mut String, findings: &[Reported<'_>]) -> std::fmt::Result {
    writeln!(out, "\n## Findings\n")?;
    if findings.is_empty() {
        return writeln!(out, "No findings.");
    }
    writeln!(
        out,
        "| severity | rule | place | finding | source | agents |\n|---|---|---|---|---|---|"
    )?;
    for reported in findings {
        let f = reported.finding;
        let excerpt = f
            .excerpt
            .as_ref()
            .map_or_else(String::new, |e| format!(" — {}", markdown(e.raw(), 160)));
        let source = match f.source {
            crate::review::finding::Source::Rule => "rule",
            crate::review::finding::Source::Model => "model",
        };
        writeln!(
            out,
            "| {} | {} | {} | {}{excerpt} | {source} | {} |",
            f.severity.as_str(),
            markdown(&f.rule, 80),
            place(f),
            markdown(f.message.raw(), 500),
            reported.agents.join(", ")
        )?;
    }
    Ok(())
}

fn agents(out: &mut String, steps: &[Step]) -> std::fmt::Result {
    writeln!(
        out,
        "\n## Agents\n\n| agent | verdict | status | model | tokens | cost | time |\n|---|---|---|---|---|---|---|"
    )?;
    for step in steps {
        let verdict = step
            .verdict
            .map_or("none", crate::review::verdict::Verdict::as_str);
        // What the rules say is no model's approval.
        let whose = if step.status == StepStatus::Degraded {
            "rules alone: "
        } else {
            ""
        };
        let model = match &step.model {
            None => "rules alone".to_owned(),
            Some(model) => {
                let source = step.source.as_deref().unwrap_or("loaded");
                let substitute = step
                    .substitute_for
                    .as_ref()
                    .map_or_else(String::new, |w| format!(", instead of {}", markdown(w, 80)));
                format!("{} ({source}{substitute})", markdown(model, 80))
            }
        };
        writeln!(
            out,
            "| {} | {whose}{verdict} | {} | {model} | {} + {} | ${:.4} | {} ms |",
            step.agent_id,
            step.status.as_str(),
            step.tokens.prompt,
            step.tokens.completion,
            step.cost_usd,
            step.duration_ms.unwrap_or(0)
        )?;
    }
    Ok(())
}

/// Models that were not asked, and sources that a model names.
fn details(out: &mut String, step: &Step) -> std::fmt::Result {
    if step.skipped.is_empty() && step.citations.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n### {}\n", step.agent_id)?;
    for skip in &step.skipped {
        let (model, reason) = (markdown(&skip.model, 80), markdown(&skip.reason, 200));
        writeln!(out, "- Not asked: {model}: {reason}")?;
    }
    for citation in &step.citations {
        let title = citation.title.as_ref().map_or("", |t| t.raw());
        writeln!(
            out,
            "- Source: {} {}",
            markdown(title, 120),
            markdown(citation.url.raw(), 300)
        )?;
    }
    Ok(())
}

/// Findings that somebody accepted, so that a person sees what was silenced.
fn accepted(out: &mut String, run: &RunResult) -> std::fmt::Result {
    if run.suppressed.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n## Accepted findings\n\n| by | rule | place | reason |\n|---|---|---|---|"
    )?;
    for s in &run.suppressed {
        let by = match s.by {
            SuppressedBy::Inline => "inline ignore",
            SuppressedBy::Standing => "standing ignore",
            SuppressedBy::Baseline => "baseline",
            SuppressedBy::Dismissed => "dismissal",
        };
        let reason = s
            .reason
            .as_ref()
            .map_or_else(String::new, |r| markdown(r.raw(), 200));
        writeln!(
            out,
            "| {by} | {} | {} | {reason} |",
            markdown(&s.finding.rule, 80),
            place(&s.finding)
        )?;
    }
    Ok(())
}

fn errors(out: &mut String, steps: &[Step]) -> std::fmt::Result {
    let failed: Vec<(&str, &Untrusted)> = steps
        .iter()
        .filter_map(|s| Some((s.agent_id.as_str(), s.error.as_ref()?)))
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n## Errors\n")?;
    for (agent, error) in failed {
        writeln!(out, "- {agent}: {}", markdown(error.raw(), 400))?;
    }
    Ok(())
}

/// How much the rules find: no finding of a class is no proof that there is none.
fn quality(out: &mut String) -> std::fmt::Result {
    writeln!(
        out,
        "\n## What the rules find\n\nMeasured on public corpora; `docs/benchmarks.md` says how.\n\n| class | found | of |\n|---|---|---|"
    )?;
    for measured in quality::measured() {
        writeln!(
            out,
            "| {} | {} % | {} |",
            measured.class, measured.found_percent, measured.corpus
        )?;
    }
    Ok(())
}

/// Where a finding is, in Markdown.
pub fn place(finding: &Finding) -> String {
    match (&finding.file, finding.line) {
        (Some(file), Some(line)) => format!("{}:{line}", markdown(file.raw(), 200)),
        (Some(file), None) => markdown(file.raw(), 200),
        _ => "the change".into(),
    }
}

/// Writes the report beneath its folder: the old file or the new one, never half of one.
///
/// # Errors
/// When the folder is a link, or cannot be written.
pub fn save(folder: &ReportFolder, name: &str, text: &str) -> Result<String, FileError> {
    let root = Root::open(&folder.base)?;
    root.create_folder(Path::new(&folder.relative), folder.mode.0)?;
    let relative = Path::new(&folder.relative).join(name);
    keep_other(&root, folder, &relative, text)?;
    root.write_atomic(&relative, text.as_bytes(), folder.mode.1)?;
    Ok(folder.base.join(relative).display().to_string())
}

/// Ends the name of a report whose run was decided anew after its journal was recovered; a number may follow.
pub const BEFORE_RECOVERY: &str = ".before-recovery";
/// A larger report is not kept.
const LARGEST_KEPT: u64 = 64 << 20;
/// Reports of one name that are kept.
const MOST_KEPT: u32 = 100;

/// A report of that name with another text is kept beside it: what it says was decided once.
fn keep_other(
    root: &Root,
    folder: &ReportFolder,
    relative: &Path,
    text: &str,
) -> Result<(), FileError> {
    let Ok(old) = root.read(relative, LARGEST_KEPT) else {
        return Ok(()); // There is none, or it is no plain file of ours.
    };
    if old == text.as_bytes() {
        return Ok(());
    }
    for number in 1..=MOST_KEPT {
        let number = if number == 1 {
            String::new()
        } else {
            format!("-{number}")
        };
        let name = format!("{}{BEFORE_RECOVERY}{number}", relative.display());
        let beside = Path::new(&name);
        match root.read(beside, LARGEST_KEPT) {
            Ok(kept) if kept == old => return Ok(()),
            Err(error) if error.is_missing() => {
                return root.write_atomic(beside, &old, folder.mode.1);
            }
            _ => {}
        }
    }
    Err(FileError::NotAFile(relative.to_path_buf()))
}

/// Where reports go.
#[derive(Debug, Clone)]
pub struct ReportFolder {
    /// The workspace, or the state directory.
    pub base: std::path::PathBuf,
    /// `reports`.
    pub relative: String,
    /// Modes of folder and files.
    pub mode: (u32, u32),
}

impl ReportFolder {
    /// Beside the workspace, or in the state directory where there is none.
    pub fn for_workspace(root: Option<&Path>, state: &StateDir) -> Self {
        let (base, mode) = match root {
            Some(root) => (root, (0o755, 0o644)),
            None => (state.path(), (0o700, 0o600)),
        };
        Self {
            base: base.to_path_buf(),
            relative: "reports".into(),
            mode,
        }
    }

    /// Where a report of that name is.
    pub fn path_of(&self, name: &str) -> std::path::PathBuf {
        self.base.join(&self.relative).join(name)
    }
}
