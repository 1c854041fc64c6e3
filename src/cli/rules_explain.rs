//! `bsm rules test --line` and `bsm rules list --gitleaks`: why a rule matches or not, and which rule stands for
//! which of gitleaks'.

use crate::cli::failure::Failure;
use crate::cli::output::say;
use crate::review::explain::Outcome;
use crate::review::packs;
use crate::review::redact::Redactor;
use crate::review::rule::Rule;
use crate::review::rules::RuleSet;
use crate::text::{clean_line, json_pretty};

/// A rule by its `pack/id`, its id alone or another name of it.
pub(super) fn rule_called<'r>(rules: &'r RuleSet, id: &str) -> Result<&'r Rule, Failure> {
    let found = rules
        .rule(id)
        .or_else(|| rules.rules().iter().find(|r| is_called(r, id)));
    found.ok_or_else(|| {
        Failure::usage(
            format!("there is no rule '{}'", clean_line(id, 80)),
            "`bsm rules` lists them.",
        )
    })
}

fn is_called(rule: &Rule, id: &str) -> bool {
    rule.id.split_once('/').is_some_and(|(_, bare)| bare == id)
        || rule.docs.aliases.iter().any(|a| a == id)
}

/// Says what becomes of the rules on a line: of one, or of all that look at it closely enough to say something.
/// The line itself is not repeated: it may hold a secret.
pub(super) fn explain(
    redactor: &Redactor,
    line: &str,
    path: &str,
    rule: Option<&str>,
    json: bool,
) -> Result<u8, Failure> {
    let rules = redactor.rules();
    let ids: Vec<String> = match rule {
        Some(id) => vec![rule_called(rules, id)?.id.clone()],
        None => rules.rules().iter().map(|r| r.id.clone()).collect(),
    };
    let outcomes: Vec<(String, Outcome)> = ids
        .into_iter()
        .filter_map(|id| rules.explain(&id, path, line).map(|outcome| (id, outcome)))
        .filter(|(_, outcome)| rule.is_some() || is_close(outcome))
        .collect();
    let matches = outcomes
        .iter()
        .any(|(_, o)| matches!(o, Outcome::Matches { .. }));
    if json {
        let list: Vec<_> = outcomes
            .iter()
            .map(|(id, outcome)| {
                let matched = matches!(outcome, Outcome::Matches { .. });
                serde_json::json!({ "rule": id, "matches": matched, "explanation": outcome.summary() })
            })
            .collect();
        say(json_pretty(&list).map_err(Failure::engine)?);
    } else if outcomes.is_empty() {
        say("no rule looks at this line closely; name one with --rule to see why");
    } else {
        for (id, outcome) in &outcomes {
            say(format!("{:<44} {}", clean_line(id, 60), outcome.summary()));
        }
    }
    Ok(if matches { 10 } else { 0 })
}

/// The pattern was held against the line and came near, or matched.
fn is_close(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Matches { start, end } => end > start,
        Outcome::LowEntropy { .. } | Outcome::Placeholder | Outcome::Allowed | Outcome::Comment => {
            true
        }
        _ => false,
    }
}

/// Each identifier of gitleaks with the rules that cover it.
pub(super) fn print_gitleaks(redactor: &Redactor, json: bool) -> Result<u8, Failure> {
    let rules = redactor.rules().rules();
    let covered = |id: &str| -> Vec<&str> {
        let by_name = rules.iter().filter(|r| r.secret && is_called(r, id));
        by_name.map(|r| r.id.as_str()).collect()
    };
    if json {
        let map: serde_json::Map<String, serde_json::Value> = packs::gitleaks_ids()
            .map(|id| (id.to_owned(), covered(id).into()))
            .collect();
        say(json_pretty(&map).map_err(Failure::engine)?);
        return Ok(0);
    }
    for id in packs::gitleaks_ids() {
        let by = covered(id);
        let by = if by.is_empty() {
            "not covered".to_owned()
        } else {
            by.join(", ")
        };
        say(format!("{id:<48} {}", clean_line(&by, 160)));
    }
    Ok(0)
}
