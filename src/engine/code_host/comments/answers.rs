//! What is answered to a command: Markdown, everything of others in it cleaned.

use std::fmt::Write as _;

use crate::engine::code_host::dismissals::why_it_stays;
use crate::engine::code_host::standing::{Decided, findings_of, fingerprint, short};
use crate::engine::protocol::run::RunResult;
use crate::engine::runs::report::place;
use crate::review::finding::{Finding, Source};
use crate::review::packs;
use crate::review::verdict::Verdict;
use crate::text::{markdown, markdown_block};

/// What there is.
pub(super) const HELP: &str = "| comment | what it does |\n|---|---|\n\
| `/bsm review` | reviews the newest commit again, now |\n\
| `/bsm why` | says how the decision came about |\n\
| `/bsm why FINGERPRINT` | says what a finding rests on |\n\
| `/bsm ignore FINGERPRINT reason` | dismisses a finding in this repository; `for 30d` makes it end |\n\
| `/bsm help` | this |\n\n\
Commands are taken from people who may write to this repository. A fingerprint stands beside each finding; its first \
8 digits are enough, and in the thread of a remark it can be left out.";

/// To somebody without the right.
pub(super) const NO_RIGHT: &str =
    "Commands are taken from people who may write to this repository.";

/// The findings of a run whose fingerprint begins so.
pub(super) fn beginning<'a>(run: &'a RunResult, with: &str) -> Vec<&'a Finding> {
    let all = findings_of(run).into_iter();
    all.filter(|f| fingerprint(f).starts_with(with)).collect()
}

/// How a decision came about.
pub(super) fn why(decided: &Decided) -> String {
    let run = &decided.run;
    let mut out = String::new();
    // Writing into a String cannot fail.
    let _ = write_why(&mut out, run);
    out
}

fn write_why(out: &mut String, run: &RunResult) -> std::fmt::Result {
    let Some(decision) = &run.decision else {
        return writeln!(out, "There is no decision about this commit yet.");
    };
    writeln!(
        out,
        "**`{}`**, because rule {} of 6 applies ({}): {}\n",
        decision.action.as_str(),
        decision.rule,
        decision.cause_word(),
        markdown(decision.reason.raw(), 400)
    )?;
    writeln!(
        out,
        "Evidence: {}; {}.\n\n| agent | verdict | findings | model |\n|---|---|--:|---|",
        run.evidence.as_str(),
        run.coverage.summary()
    )?;
    for step in &run.agents {
        let model = step.model.as_deref().map_or_else(
            || {
                let error = step.error.as_ref();
                error.map_or("rules alone".into(), |e| {
                    format!("none: {}", markdown(e.raw(), 120))
                })
            },
            |model| markdown(model, 80),
        );
        writeln!(
            out,
            "| {} | {} | {} | {model} |",
            markdown(&step.agent_id, 80),
            step.verdict.map_or("none", Verdict::as_str),
            step.findings.len()
        )?;
    }
    if !run.suppressed.is_empty() {
        writeln!(
            out,
            "\n{} findings are accepted and decide nothing.",
            run.suppressed.len()
        )?;
    }
    writeln!(out, "\n<sub>run `{}`</sub>", run.run_id)
}

/// What one finding rests on.
pub(super) fn why_finding(run: &RunResult, finding: &Finding, kept: &[String]) -> String {
    let id = fingerprint(finding);
    let by: Vec<String> = run
        .agents
        .iter()
        .filter(|step| step.findings.iter().any(|f| fingerprint(f) == id))
        .map(|step| markdown(&step.agent_id, 80))
        .collect();
    let who = match finding.source {
        Source::Rule => "a rule found it",
        Source::Model => "a model says so",
    };
    let mut out = format!(
        "**{}** `{}` {}: {who}; it counts for {}.\n\n{}",
        finding.severity.as_str(),
        finding.rule.replace('`', ""),
        place(finding),
        by.join(", "),
        markdown_block(finding.message.raw(), 1_000)
    );
    if let Some(rule) = packs::built_in().rule(&finding.rule) {
        for (name, text) in [("Why", &rule.docs.why), ("What to do", &rule.docs.help)] {
            if !text.is_empty() {
                // Writing into a String cannot fail.
                let _ = write!(out, "\n\n{name}: {}", markdown(text, 500));
            }
        }
    }
    let end = match why_it_stays(finding, kept) {
        Some(why) => markdown(&why, 300),
        None => format!("To dismiss it: `/bsm ignore {} reason`", short(&id)),
    };
    out.push_str("\n\n");
    out.push_str(&end);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::code_host::test_decisions::decided_run;
    use crate::engine::protocol::run::{Action, Evidence};

    #[test]
    fn answer_names_rule_and_agents_and_mentions_nobody() {
        let decided = decided_run(Action::BlockPr, Evidence::Full, 1, 2);
        let text = why(&decided);
        for part in ["block_pr", "rule 5 of 6", "security-agent", "job_1"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(
            !text.contains("@everybody") && !text.contains("<b>"),
            "{text}"
        );
        let run = &decided.run;
        let one = beginning(run, "finding-1");
        assert_eq!(one.len(), 1);
        assert_eq!(beginning(run, "finding").len(), 2);
        let text = why_finding(run, one[0], &[]);
        assert!(
            text.contains("a rule found it") && text.contains("/bsm ignore"),
            "{text}"
        );
        let text = why_finding(run, one[0], &["security/*".into()]);
        assert!(!text.contains("/bsm ignore"), "{text}");
    }
}
