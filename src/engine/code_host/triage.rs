//! What becomes of a webhook, and why it starts no run. A pure function, so that the table in
//! `docs/forges.md` can be made of it.

use crate::code_host::PullState;
use crate::code_host::github::Delivery;
use crate::engine::code_host::comments::kind_of;
use crate::engine::code_host::filters::filtered;
use crate::journal::Outcome;
use crate::settings::GithubSettings;
use crate::text::clean_line;
use crate::workspace::event_match::Match;
use crate::workspace::events::EventTable;

/// The outcome, and a note where it is no run.
pub(super) fn triage(
    named: &str,
    delivery: &Delivery,
    settings: &GithubSettings,
    events: &EventTable,
) -> (Outcome, String) {
    let skipped = |note: &str| (Outcome::Skipped, note.to_owned());
    let unmapped = |note: String| (Outcome::Unmapped, note);
    let event = clean_line(&delivery.event, 80);
    if let Some(repository) = &delivery.repository
        && !settings.repositories.is_empty()
        && !settings.lists(repository)
    {
        let note = "its repository is not listed under github.repositories";
        return (Outcome::Refused, note.to_owned());
    }
    if named == "ping" {
        return skipped("a ping");
    }
    if delivery.odd {
        return unmapped(format!(
            "X-GitHub-Event says {event}, and the body has the shape of another event"
        ));
    }
    if let (Some(comment), Some(repository)) = (&delivery.comment, &delivery.repository)
        && let Some(kind) = kind_of(comment, settings)
    {
        match kind {
            Ok(_) if settings.lists(repository) => return (Outcome::Comment, String::new()),
            Ok("command") => {
                return skipped("commands are for repositories that github.repositories lists");
            }
            Ok(_) => {}
            Err(why) => return skipped(why),
        }
    }
    let Some(found) = events.find(&delivery.event) else {
        return unmapped(format!("no rule is for {event}"));
    };
    if delivery.repository.is_none() && !settings.repositories.is_empty() {
        return unmapped(format!("{event} names no repository"));
    }
    let filters = settings.filters_of(delivery.repository.as_deref().unwrap_or_default());
    if let Some(note) = filtered(delivery, &filters) {
        return (Outcome::Skipped, note);
    }
    if found.how != Match::Exact {
        if delivery.state != PullState::Open {
            return skipped("the pull request is closed");
        }
        if delivery.action.as_deref() == Some("edited") && !delivery.base_changed {
            return skipped("the branch that it goes into is the same");
        }
        let is_wish = matches!(named, "check_run" | "check_suite");
        if is_wish && delivery.pull.is_none() {
            return skipped("it names no pull request (GitHub names none of a fork)");
        }
    }
    (Outcome::Run, String::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code_host::github::read;
    use serde_json::{Value, json};

    fn judge(named: &str, body: &Value, settings: &GithubSettings) -> (Outcome, String) {
        let delivery = read(named, body).unwrap();
        triage(named, &delivery, settings, &EventTable::built_in())
    }

    fn pull(action: &str) -> Value {
        json!({
            "action": action,
            "pull_request": {
                "number": 7, "draft": false, "state": "open", "head": {"sha": "a".repeat(40)},
                "base": {"ref": "main", "sha": "b".repeat(40)},
            },
            "repository": {"full_name": "acme/shop"},
        })
    }

    #[test]
    fn pull_requests_that_begin_again_are_reviewed_and_those_that_end_are_not() {
        let none = GithubSettings::default();
        let mut retargeted = pull("edited");
        retargeted["changes"] = json!({"base": {"ref": {"from": "develop"}}});
        for body in [
            pull("opened"),
            pull("synchronize"),
            pull("reopened"),
            pull("ready_for_review"),
            retargeted,
        ] {
            let judged = judge("pull_request", &body, &none);
            assert_eq!(judged.0, Outcome::Run, "{} {judged:?}", body["action"]);
        }
        let mut closed = pull("reopened");
        closed["pull_request"]["state"] = json!("closed");
        for (body, outcome) in [
            (pull("edited"), Outcome::Skipped),
            (closed, Outcome::Skipped),
            (pull("closed"), Outcome::Unmapped),
            (pull("converted_to_draft"), Outcome::Unmapped),
            (pull("labeled"), Outcome::Unmapped),
        ] {
            let judged = judge("pull_request", &body, &none);
            assert_eq!(judged.0, outcome, "{} {judged:?}", body["action"]);
        }
    }

    #[test]
    fn checks_that_are_asked_for_again_are_reviewed_where_they_name_a_pull_request() {
        let none = GithubSettings::default();
        let of = |key: &str, action: &str, pulls: Value| {
            json!({
                "action": action,
                key: {"head_sha": "a".repeat(40), "pull_requests": pulls},
                "repository": {"full_name": "acme/shop"},
            })
        };
        for (named, action) in [
            ("check_run", "rerequested"),
            ("check_run", "requested_action"),
            ("check_suite", "rerequested"),
        ] {
            let with = of(named, action, json!([{"number": 7}]));
            assert_eq!(
                judge(named, &with, &none).0,
                Outcome::Run,
                "{named}.{action}"
            );
            let without = of(named, action, json!([]));
            assert_eq!(judge(named, &without, &none).0, Outcome::Skipped);
        }
        let group = json!({
            "action": "checks_requested",
            "merge_group": {"head_sha": "a".repeat(40), "base_ref": "refs/heads/main"},
            "repository": {"full_name": "acme/shop"},
        });
        assert_eq!(judge("merge_group", &group, &none).0, Outcome::Run);
    }

    #[test]
    fn comment_asks_for_something_only_of_a_person_in_a_listed_repository() {
        let listed = GithubSettings {
            repositories: vec!["acme/shop".into()],
            ..GithubSettings::default()
        };
        let off = GithubSettings {
            commands: false,
            ..listed.clone()
        };
        let comment = |text: &str, kind: &str| {
            json!({
                "action": "created", "repository": {"full_name": "acme/shop"},
                "issue": {"number": 7, "pull_request": {}},
                "comment": {"id": 1, "body": text, "user": {"login": "ana", "type": kind}},
            })
        };
        let command = comment("/bsm review", "User");
        for (body, settings, outcome) in [
            (&command, &listed, Outcome::Comment),
            (&command, &off, Outcome::Skipped),
            (&command, &GithubSettings::default(), Outcome::Skipped),
            (&comment("/bsm review", "Bot"), &listed, Outcome::Skipped),
            (&comment("looks good", "User"), &listed, Outcome::Unmapped),
        ] {
            let judged = judge("issue_comment", body, settings);
            assert_eq!(judged.0, outcome, "{body} {judged:?}");
        }
    }

    #[test]
    fn event_without_a_repository_is_counted_and_one_of_another_repository_refused() {
        let listed = GithubSettings {
            repositories: vec!["acme/shop".into()],
            ..GithubSettings::default()
        };
        let organization = json!({"action": "member_added", "organization": {}});
        assert_eq!(
            judge("organization", &organization, &listed).0,
            Outcome::Unmapped
        );
        let mut foreign = pull("opened");
        foreign["repository"]["full_name"] = json!("evil/shop");
        assert_eq!(judge("pull_request", &foreign, &listed).0, Outcome::Refused);
    }
}
