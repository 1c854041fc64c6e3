//! The comment: verdict, what changed, what was found and what became of earlier findings, for an author.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::engine::code_host::standing::{Decided, Standing, findings_of, fingerprint, short};
use crate::engine::protocol::run::{Action, Evidence, RunResult};
use crate::engine::runs::report::place;
use crate::review::finding::{Finding, SuppressedBy};
use crate::review::verdict::Verdict;
use crate::text::{clean_block, cut, markdown, markdown_block};

/// By what the comment is found again.
pub const MARKER: &str = "<!-- bsm:decision -->";
/// Longest comment, bytes: GitHub takes 65,536 characters.
const LONGEST: usize = 60_000;
/// Longest text of a finding, characters.
const MESSAGE: usize = 1_500;
/// Dismissed findings that are listed.
const DISMISSED: usize = 50;
/// Groups of files in the walkthrough.
const GROUPS: usize = 12;

/// The comment's text, marker included.
pub fn text(standing: &Standing<'_>, decided: &Decided) -> String {
    let mut out = String::new();
    // Writing into a String cannot fail.
    let _ = write_all(&mut out, standing, decided);
    out
}

fn write_all(out: &mut String, standing: &Standing<'_>, decided: &Decided) -> std::fmt::Result {
    let run = &decided.run;
    writeln!(out, "{MARKER}")?;
    verdict(out, run, &standing.pull.head_sha)?;
    walkthrough(out, &decided.diff)?;
    since_last(out, standing, run)?;
    findings(out, standing, run)?;
    dismissed(out, run)?;
    how(out, run)
}

fn verdict(out: &mut String, run: &RunResult, head: &str) -> std::fmt::Result {
    let (action, reason) = run
        .decision
        .as_ref()
        .map_or(("no decision", ""), |d| (d.action.as_str(), d.reason.raw()));
    let title = match run.decision.as_ref().map(|d| d.action) {
        Some(Action::ApproveAndMerge | Action::Pass) => "Approved",
        Some(Action::ManualReview) => "A person must look",
        Some(Action::RequestChanges) => "Changes requested",
        Some(Action::BlockPr) => "Blocked",
        None => "No decision",
    };
    writeln!(
        out,
        "## {title}: `{action}`\n\n{}\n\nCommit `{}`, evidence **{}**{}.",
        markdown(reason, 400),
        cut(head, 12),
        evidence(run.evidence),
        if run.stale {
            ", some answers were stale"
        } else {
            ""
        }
    )
}

fn evidence(evidence: Evidence) -> &'static str {
    match evidence {
        Evidence::Full => "full: rules and models",
        Evidence::Offline => "offline: rules alone, no model reviewed it",
        Evidence::Partial => "partial: a model or the change could not be had",
        Evidence::Simulated => "simulated: no real model reviewed it",
    }
}

/// What changed, by group of files.
fn walkthrough(out: &mut String, diff: &str) -> std::fmt::Result {
    let groups = groups(diff);
    if groups.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n| changed | files | lines |\n|---|--:|--:|")?;
    for (name, group) in groups.iter().take(GROUPS) {
        writeln!(
            out,
            "| {} | {} | +{} −{} |",
            markdown(name, 120),
            group.files,
            group.added,
            group.removed
        )?;
    }
    if groups.len() > GROUPS {
        writeln!(out, "\n{} more folders changed.", groups.len() - GROUPS)?;
    }
    Ok(())
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Group {
    files: u32,
    added: u32,
    removed: u32,
}

/// The files of a kept diff by their first folder; files at the top stand alone.
fn groups(diff: &str) -> BTreeMap<String, Group> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    let mut at = String::new();
    let mut in_hunk = false;
    for line in diff.lines() {
        if let Some(names) = line.strip_prefix("diff --git ") {
            let file = names.rsplit(" b/").next().unwrap_or(names);
            at = match file.split_once('/') {
                Some((folder, _)) => format!("{folder}/"),
                None => file.to_owned(),
            };
            groups.entry(at.clone()).or_default().files += 1;
            in_hunk = false;
        } else if line.starts_with("@@ line ") {
            in_hunk = true;
        } else if in_hunk && let Some(group) = groups.get_mut(&at) {
            match line.as_bytes().first() {
                Some(b'+') => group.added += 1,
                Some(b'-') => group.removed += 1,
                _ => {}
            }
        }
    }
    groups
}

/// What became of the findings of the commit that was decided before this one.
fn since_last(out: &mut String, standing: &Standing<'_>, run: &RunResult) -> std::fmt::Result {
    let head = &standing.pull.head_sha;
    let earlier = standing.published.findings.iter().flatten();
    let Some(before) = earlier.into_iter().find(|f| f.commit != *head) else {
        return Ok(());
    };
    let now: BTreeSet<String> = findings_of(run).into_iter().map(fingerprint).collect();
    // What somebody dismissed is not resolved; it is listed below.
    let accepted: BTreeSet<String> = run
        .suppressed
        .iter()
        .map(|s| fingerprint(&s.finding))
        .collect();
    let resolved: Vec<&String> = before
        .found
        .iter()
        .filter(|(fingerprint, _)| !now.contains(*fingerprint) && !accepted.contains(*fingerprint))
        .map(|(_, line)| line)
        .collect();
    let remain = now.iter().filter(|f| before.found.contains_key(*f)).count();
    writeln!(
        out,
        "\nSince `{}`: {} resolved, {} new, {remain} remain.",
        cut(&before.commit, 12),
        resolved.len(),
        now.len() - remain
    )?;
    for line in resolved.iter().take(20) {
        writeln!(out, "- ~~{line}~~")?;
    }
    if resolved.len() > 20 {
        writeln!(out, "- {} more are resolved", resolved.len() - 20)?;
    }
    Ok(())
}

/// Findings by file, the file with the worst one first.
fn findings(out: &mut String, standing: &Standing<'_>, run: &RunResult) -> std::fmt::Result {
    let all = findings_of(run);
    let mut files: Vec<(&str, Vec<&Finding>)> = Vec::new();
    for finding in &all {
        let file = finding.file.as_ref().map_or("", |f| f.raw());
        match files.iter_mut().find(|(name, _)| *name == file) {
            Some((_, list)) => list.push(finding),
            None => files.push((file, vec![finding])),
        }
    }
    let mut shown = 0;
    for (file, list) in files {
        let name = match file {
            "" => "The change as a whole".to_owned(),
            file => markdown(file, 200),
        };
        let before = out.len();
        writeln!(out, "\n### {name}\n")?;
        for finding in list {
            let mut text = String::new();
            one(&mut text, standing, finding)?;
            if out.len() + text.len() > LONGEST {
                if out.len() == before {
                    out.truncate(before);
                }
                return writeln!(
                    out,
                    "\n{} more findings are in the report of run `{}`.",
                    all.len() - shown,
                    run.run_id
                );
            }
            out.push_str(&text);
            shown += 1;
        }
    }
    Ok(())
}

fn one(out: &mut String, standing: &Standing<'_>, finding: &Finding) -> std::fmt::Result {
    let line = match (finding.line, &finding.file, standing.web) {
        (Some(line), Some(file), Some(web)) => format!(
            " [line {line}]({web}/{}/blob/{}/{}#L{line})",
            standing.pull.repository,
            standing.pull.head_sha,
            url_path(file.raw())
        ),
        (Some(line), ..) => format!(" line {line}"),
        _ => String::new(),
    };
    let message = markdown_block(finding.message.raw(), MESSAGE).replace('\n', "\n  ");
    writeln!(
        out,
        "- **{}** `{}`{line} (`{}`): {message}",
        finding.severity.as_str(),
        finding.rule.replace('`', ""),
        short(&fingerprint(finding))
    )?;
    if let Some(excerpt) = finding
        .excerpt
        .as_ref()
        .filter(|e| !e.raw().trim().is_empty())
    {
        let code = clean_block(excerpt.raw(), 300).replace("~~~", "~ ~ ~");
        writeln!(out, "  ~~~~~~\n  {}\n  ~~~~~~", code.replace('\n', "\n  "))?;
    }
    Ok(())
}

/// Findings that somebody dismissed: never hidden, and with whose word.
fn dismissed(out: &mut String, run: &RunResult) -> std::fmt::Result {
    let all = run.suppressed.iter();
    let all: Vec<_> = all.filter(|s| s.by == SuppressedBy::Dismissed).collect();
    if all.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n### Dismissed ({})\n", all.len())?;
    for dismissed in all.iter().take(DISMISSED) {
        let reason = dismissed.reason.as_ref();
        writeln!(
            out,
            "- `{}` {} (`{}`): {}",
            dismissed.finding.rule.replace('`', ""),
            place(&dismissed.finding),
            short(&fingerprint(&dismissed.finding)),
            reason.map_or_else(String::new, |r| markdown(r.raw(), 400))
        )?;
    }
    if all.len() > DISMISSED {
        writeln!(out, "- {} more are dismissed", all.len() - DISMISSED)?;
    }
    Ok(())
}

/// A path inside an address.
fn url_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing into a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Coverage, agents, models, cost, and what an operator can do next.
fn how(out: &mut String, run: &RunResult) -> std::fmt::Result {
    writeln!(out, "\n<details><summary>How this was decided</summary>\n")?;
    writeln!(
        out,
        "- {}; +{} −{} lines",
        run.coverage.summary(),
        run.size.added,
        run.size.removed
    )?;
    for skipped in run.coverage.skipped.iter().take(20) {
        writeln!(
            out,
            "- not reviewed: {} ({})",
            markdown(skipped.path.raw(), 200),
            markdown(&skipped.reason, 200)
        )?;
    }
    writeln!(
        out,
        "\n| agent | verdict | model | cost |\n|---|---|---|--:|"
    )?;
    for step in &run.agents {
        let verdict = step.verdict.map_or("none", Verdict::as_str);
        let model = match (&step.model, &step.error) {
            (Some(model), _) => markdown(model, 80),
            (None, Some(error)) => markdown(&format!("none: {}", error.raw()), 160),
            (None, None) => "rules alone".into(),
        };
        writeln!(
            out,
            "| {} | {verdict} | {model} | ${:.4} |",
            markdown(&step.agent_id, 80),
            step.cost_usd
        )?;
    }
    writeln!(
        out,
        "\nWhy: `/bsm why`, or `bsm runs show {id}`. Again: `/bsm review`, or `bsm runs rerun {id}`. Commands: `/bsm help`.\n\n</details>\n\n<sub>run `{id}`</sub>",
        id = run.run_id
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_a_kept_diff_count_files_and_lines() {
        let diff = "diff --git a/src/a.rs b/src/a.rs\n@@ line 1 @@\n one\n-two\n+2\n+3\n\
                    diff --git a/src/b.rs b/src/b.rs\n@@ line 9 @@\n+x\n\
                    diff --git a/README.md b/README.md\n@@ line 1 @@\n-y\n";
        let groups = groups(diff);
        let figures = |name: &str| {
            let g = &groups[name];
            (g.files, g.added, g.removed)
        };
        assert_eq!(figures("src/"), (2, 3, 1));
        assert_eq!(figures("README.md"), (1, 0, 1));
        assert_eq!(groups.len(), 2);
    }
}
