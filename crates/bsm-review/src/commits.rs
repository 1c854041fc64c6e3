//! Messages of commits: from a mail of `git format-patch`, or from the history of a range.
//!
//! Why here: a message is part of the change. Its form, its sign-off and what it gives away are looked at
//! like any other text.

use super::redact::Redactor;
use super::rules::Looking;
use crate::commit_message::{Commit, LONGEST};
use crate::remark::Noted;

/// What their messages lack. `sign_off`: the project asks for one.
pub(super) fn check(commits: &[Commit], sign_off: bool, redactor: &Redactor) -> Vec<Noted> {
    let mut notes = Vec::new();
    for commit in commits {
        let subject = commit.subject.trim();
        let lower = subject.to_ascii_lowercase();
        let temporary = ["fixup!", "squash!", "amend!"]
            .iter()
            .any(|mark| lower.starts_with(mark))
            || lower
                .strip_prefix("wip")
                .is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
        let name = name_of(commit, redactor);
        let own = !commit.merge;
        if own && temporary {
            notes.push(Noted::whole(
                "governance/unfinished-commit",
                format!("{name}."),
            ));
        } else if own && subject.is_empty() {
            notes.push(Noted::whole(
                "governance/commit-form",
                format!("{name} has no subject."),
            ));
        } else if own && subject.chars().count() > LONGEST {
            let detail = format!("{name}: {} characters.", subject.chars().count());
            notes.push(Noted::whole("governance/commit-form", detail));
        }
        let signed = commit.body.lines().any(|line| {
            line.strip_prefix("Signed-off-by: ")
                .is_some_and(|who| who.contains('<') && who.contains('@') && who.contains('>'))
        });
        if own && sign_off && !signed {
            notes.push(Noted::whole("governance/sign-off", format!("{name}.")));
        }
        let text = format!("{}\n{}", commit.subject, commit.body);
        let rules = redactor.rules();
        let hits = rules.find("", text.as_bytes(), Looking::Findings);
        let mut hits = hits.iter().map(|h| &rules.rules()[h.rule]);
        if hits.clone().any(|rule| rule.secret) {
            notes.push(Noted::whole(
                "secrets/in-commit-message",
                format!("{name}."),
            ));
        }
        if let Some(rule) = hits.find(|rule| rule.id.starts_with("hidden-text/")) {
            let detail = format!("{name}: {}", rule.docs.what);
            notes.push(Noted::whole("hidden-text/in-commit-message", detail));
        }
    }
    notes
}

/// A commit's id and subject, safe to show.
fn name_of(commit: &Commit, redactor: &Redactor) -> String {
    let id = bsm_base::text::cut(&commit.id, 10);
    let subject = redactor.text(&commit.subject);
    let subject = bsm_base::text::clean_line(&subject, 60);
    if id.is_empty() {
        format!("“{subject}”")
    } else {
        format!("{} “{subject}”", bsm_base::text::clean_line(id, 10))
    }
}
