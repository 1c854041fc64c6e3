//! The report: what was decided and why, for a person, in Markdown. Every outside text is escaped.

use std::fmt::Write as _;
use std::path::Path;

use super::types::run::{RunResult, Step, StepStatus};
use crate::files::{FileError, Root};
use crate::review::finding::{Finding, SuppressedBy};
use crate::text::markdown;

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
    let simulated = if run.simulated { " (simulated)" } else { "" };
    let event = markdown(&run.event, 120);
    writeln!(out, "# Agents summary{simulated}: {event}\n")?;
    let at = jiff::Timestamp::from_millisecond(run.created_at).unwrap_or_default();
    writeln!(
        out,
        "- Run: `{}`, correlation `{}`",
        run.run_id, run.correlation_id
    )?;
    writeln!(out, "- Event: {event}")?;
    if let Some(requested) = &run.requested_event {
        writeln!(
            out,
            "- Asked for: {}, which has no rule of its own",
            markdown(requested.raw(), 120)
        )?;
    }
    writeln!(out, "- Time: {}", at.strftime("%Y-%m-%d %H:%M:%S UTC"))?;
    if let Some(decision) = &run.decision {
        writeln!(
            out,
            "- Decision: **{}** (rule {}): {}",
            decision.action.word(),
            decision.rule,
            markdown(decision.reason.raw(), 400)
        )?;
    }
    let stale = if run.stale {
        ", some answers stale"
    } else {
        ""
    };
    writeln!(out, "- Evidence: {}{stale}", run.evidence.word())?;
    let c = &run.coverage;
    writeln!(
        out,
        "- Coverage: {}; +{} −{} lines",
        c.words(),
        run.size.added,
        run.size.removed
    )?;
    for note in &run.notes {
        writeln!(out, "- Note: {}", markdown(note, 300))?;
    }
    if !c.skipped.is_empty() {
        writeln!(out, "\n## Not looked at\n\n| file | why |\n|---|---|")?;
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
    }
    for step in &run.agents {
        agent(out, step)?;
    }
    not_minded(out, run)?;
    let errors: Vec<&Step> = run.agents.iter().filter(|s| s.error.is_some()).collect();
    if !errors.is_empty() {
        writeln!(out, "\n## Errors\n")?;
        for step in errors {
            let error = step
                .error
                .as_ref()
                .map_or_else(String::new, |e| markdown(e.raw(), 400));
            writeln!(out, "- {}: {error}", step.agent_id)?;
        }
    }
    let total: usize = run.agents.iter().map(|s| s.findings.len()).sum();
    let tokens: u64 = run
        .agents
        .iter()
        .map(|s| s.tokens.prompt + s.tokens.completion)
        .sum();
    writeln!(out, "\n## Summary\n")?;
    writeln!(
        out,
        "{} agents, {total} findings, {tokens} tokens, ${:.4}, {} ms.",
        run.agents.len(),
        run.cost_usd(),
        run.duration_ms.unwrap_or(0)
    )
}

/// Findings that somebody said not to mind, so that a person sees what was silenced.
fn not_minded(out: &mut String, run: &RunResult) -> std::fmt::Result {
    if run.suppressed.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "\n## Not minded\n\n| by | rule | place | reason |\n|---|---|---|---|"
    )?;
    for s in &run.suppressed {
        let by = match s.by {
            SuppressedBy::Inline => "inline ignore",
            SuppressedBy::Standing => "standing ignore",
            SuppressedBy::Baseline => "baseline",
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

fn agent(out: &mut String, step: &Step) -> std::fmt::Result {
    writeln!(out, "\n## {}\n", step.agent_id)?;
    let verdict = step
        .verdict
        .map_or("none", super::super::review::verdict::Verdict::word);
    // What the rules say is no model's approval.
    let whose = if step.status == StepStatus::Degraded {
        "rules alone say"
    } else {
        "verdict"
    };
    writeln!(
        out,
        "- Status: {}; {whose}: **{verdict}**",
        step.status.word()
    )?;
    if let Some(model) = &step.model {
        let source = step.source.as_deref().unwrap_or("loaded");
        writeln!(
            out,
            "- Model: {} ({source}), {} attempts, {} + {} tokens, ${:.4}",
            markdown(model, 80),
            step.attempts,
            step.tokens.prompt,
            step.tokens.completion,
            step.cost_usd
        )?;
    }
    writeln!(out, "- Time: {} ms", step.duration_ms.unwrap_or(0))?;
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
    if step.findings.is_empty() {
        return writeln!(out, "\nNo findings.");
    }
    writeln!(
        out,
        "\n| severity | rule | place | finding | source |\n|---|---|---|---|---|"
    )?;
    for f in &step.findings {
        let place = place(f);
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
            "| {} | {} | {place} | {}{excerpt} | {source} |",
            f.severity.word(),
            markdown(&f.rule, 80),
            markdown(f.message.raw(), 500)
        )?;
    }
    Ok(())
}

/// Where a finding is, in Markdown.
pub(super) fn place(finding: &Finding) -> String {
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
    root.write_atomic(&relative, text.as_bytes(), folder.mode.1)?;
    Ok(folder.base.join(relative).display().to_string())
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
