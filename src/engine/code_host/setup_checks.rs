//! What is missing at GitHub: it is asked what the token or app may do, which events come and whether our gate is
//! required. It reads and changes nothing.
//!
//! Why here: `bsm doctor --forge` prints it, and the engine tells its operator the same.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::code_host::HostError;
use crate::code_host::github::{Credentials, Github};
use crate::engine::protocol::health::Level;
use crate::outbound::egress::Lookup;
use crate::settings::Settings;
use crate::settings::env::Env;
use crate::text::clean_line;

use self::SetupCheck as Line;

/// Events that begin, repeat or end a review.
const EVENTS: [&str; 6] = [
    "pull_request",
    "check_run",
    "check_suite",
    "merge_group",
    "issue_comment",
    "pull_request_review_comment",
];
/// Rights of an app, each with the least that is needed.
const RIGHTS: [(&str, &str); 5] = [
    ("contents", "read"),
    ("metadata", "read"),
    ("pull_requests", "write"),
    ("checks", "write"),
    ("statuses", "write"),
];
/// The beginning of the gate's context; the base branch follows in brackets.
const GATE: &str = "bsm/review";
/// Repositories that are asked about.
const MOST: usize = 20;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetupCheck {
    /// How it stands.
    pub level: Level,
    /// What was looked at: stable.
    pub name: String,
    /// What was found.
    pub sentence: String,
    /// What to do; none where nothing is wrong.
    pub help: Option<String>,
}

impl SetupCheck {
    fn new(level: Level, name: &str, sentence: &str, help: Option<&str>) -> Self {
        Self {
            level,
            name: clean_line(name, 60),
            sentence: clean_line(sentence, 300),
            help: help.map(|help| clean_line(help, 300)),
        }
    }

    fn pass(name: &str, sentence: impl AsRef<str>) -> Self {
        Self::new(Level::Pass, name, sentence.as_ref(), None)
    }

    fn warn(name: &str, sentence: impl AsRef<str>, help: impl AsRef<str>) -> Self {
        Self::new(Level::Warn, name, sentence.as_ref(), Some(help.as_ref()))
    }

    fn fail(name: &str, sentence: impl AsRef<str>, help: impl AsRef<str>) -> Self {
        Self::new(Level::Fail, name, sentence.as_ref(), Some(help.as_ref()))
    }
}

/// Asks GitHub, as the settings say.
pub async fn checks(settings: &Settings, env: &Env, lookup: &Lookup) -> Vec<Line> {
    const NAME: &str = "forge";
    let credentials = match Credentials::read(&settings.github, env) {
        Ok(credentials) => credentials,
        Err(error) => {
            let help = "set them, then ask again";
            return vec![Line::fail(NAME, error, help)];
        }
    };
    if !credentials.are_some() {
        let help = "set a token or an app, as docs/forges.md says; then ask again";
        return vec![
            events_line(),
            Line::warn(NAME, "there are no credentials", help),
        ];
    }
    let github = match Github::new(settings, env, lookup, credentials) {
        Ok(github) => github,
        Err(error) => {
            return vec![Line::fail(NAME, error.to_string(), "see `bsm config`")];
        }
    };
    ask(&github, settings).await
}

async fn ask(github: &Github, settings: &Settings) -> Vec<Line> {
    let mut lines = vec![events_line()];
    match github.app_itself().await {
        Ok(Some(app)) => lines.extend(of_app(&app)),
        Ok(None) => lines.push(of_token(github.look("user").await)),
        Err(error) => lines.push(unasked("forge-app", &error)),
    }
    let listed = &settings.github.repositories;
    if listed.is_empty() {
        lines.push(Line::warn(
            "forge-repository",
            "github.repositories is empty: the credentials are used for none",
            "list owner/name or owner/* in your own settings",
        ));
    }
    let patterns: Vec<&str> = listed
        .iter()
        .filter(|r| r.ends_with("/*"))
        .map(String::as_str)
        .collect();
    if !patterns.is_empty() {
        let sentence = format!("{}: not asked one by one", patterns.join(", "));
        lines.push(Line::pass("forge-repository", sentence));
    }
    let named = listed.iter().filter(|r| !r.ends_with("/*"));
    for repository in named.take(MOST) {
        lines.extend(of_repository(github, repository).await);
    }
    lines
}

/// What to tick at GitHub.
fn events_line() -> Line {
    let events = EVENTS.join(", ");
    Line::pass(
        "forge-events",
        format!(
            "tick these events at GitHub: {events} (the boxes Pull requests, Check runs, Check suites, Merge groups; for commands in comments Issue comments and Pull request review comments)"
        ),
    )
}

fn unasked(name: &str, error: &HostError) -> Line {
    Line::fail(
        name,
        error.to_string(),
        "look at the credentials, github.apiUrl and the egress policy",
    )
}

fn of_token(user: Result<Value, HostError>) -> Line {
    const NAME: &str = "forge-token";
    match user {
        Ok(user) => {
            let login = clean_line(user["login"].as_str().unwrap_or("?"), 80);
            Line::pass(NAME, format!("it is {login}'s"))
        }
        // An installation's token, as in Actions, has no user.
        Err(HostError::Refused { status: 403, .. }) => Line::pass(NAME, "it is an installation's"),
        Err(error) => unasked(NAME, &error),
    }
}

/// An app's rights and events.
fn of_app(app: &Value) -> Vec<Line> {
    const NAME: &str = "forge-app";
    let lacks: Vec<String> = RIGHTS
        .iter()
        .filter(|(right, least)| {
            let has = app["permissions"][*right].as_str().unwrap_or("none");
            has != "admin" && has != "write" && has != *least
        })
        .map(|(right, least)| format!("{right}: {least}"))
        .collect();
    let rights = if lacks.is_empty() {
        Line::pass(NAME, "it has the rights that it needs")
    } else {
        Line::fail(
            NAME,
            format!("it lacks the rights {}", lacks.join(", ")),
            "give them under the app's Permissions, then let its owners accept them",
        )
    };
    let events = app["events"].as_array().into_iter().flatten();
    vec![
        rights,
        heard(NAME, &events.filter_map(Value::as_str).collect()),
    ]
}

/// Which of the events come. Check runs and suites of its own come to an app by themselves.
fn heard(name: &str, events: &BTreeSet<&str>) -> Line {
    let all = events.contains("*");
    let missing: Vec<&str> = EVENTS
        .into_iter()
        .filter(|event| !all && !events.contains(event))
        .collect();
    if missing.is_empty() {
        return Line::pass(name, "every event comes that is needed");
    }
    let sentence = format!("these events do not come: {}", missing.join(", "));
    let help = "tick them at GitHub (an app's under Permissions and events)";
    if missing.contains(&"pull_request") {
        Line::fail(name, sentence, help)
    } else {
        Line::warn(name, sentence, help)
    }
}

async fn of_repository(github: &Github, repository: &str) -> Vec<Line> {
    let name = format!("forge {}", clean_line(repository, 50));
    let path = format!("repos/{repository}");
    let about = match github.look(&path).await {
        Ok(about) => about,
        Err(error) => return vec![unasked(&name, &error)],
    };
    let mut lines = vec![may_write(&name, &about)];
    if let Ok(hooks) = github.look(&format!("{path}/hooks?per_page=100")).await {
        lines.push(of_hooks(&name, &hooks));
    }
    let branch = about["default_branch"].as_str().unwrap_or("main");
    // A branch may have a slash in its name, and other signs too.
    let quoted: String = url::form_urlencoded::byte_serialize(branch.as_bytes()).collect();
    let rules = github
        .look(&format!("{path}/rules/branches/{quoted}?per_page=100"))
        .await;
    let protection = github
        .look(&format!(
            "{path}/branches/{quoted}/protection/required_status_checks"
        ))
        .await;
    lines.push(of_gate(&name, branch, rules.ok(), protection.ok()));
    lines
}

/// Whether the credentials may write there, as far as GitHub says.
fn may_write(name: &str, about: &Value) -> Line {
    match about["permissions"]["push"].as_bool() {
        Some(false) => Line::fail(
            name,
            "the credentials may only read it: no status, comment or label is left",
            "give write access to pull requests, statuses (or checks) and contents",
        ),
        Some(true) => Line::pass(name, "it can be read and written"),
        None => Line::pass(
            name,
            "it can be read; whether it can be written is not said",
        ),
    }
}

/// The webhook of the repository, where the credentials may see it.
fn of_hooks(name: &str, hooks: &Value) -> Line {
    let hooks = hooks.as_array().into_iter().flatten();
    let mut ours = hooks.filter(|hook| {
        let url = hook.pointer("/config/url").and_then(Value::as_str);
        url.is_some_and(|url| {
            let path = url
                .split('?')
                .next()
                .unwrap_or_default()
                .trim_end_matches('/');
            path.ends_with("/webhook/github") || path.ends_with("/api/webhooks/github")
        })
    });
    let Some(hook) = ours.next() else {
        return Line::warn(
            name,
            "it has no webhook of its own that ends in /webhook/github",
            "make one (docs/forges.md), unless an app or the organization has it",
        );
    };
    if hook["active"] == false {
        return Line::fail(name, "its webhook is switched off", "tick Active at GitHub");
    }
    let events = hook["events"].as_array().into_iter().flatten();
    heard(name, &events.filter_map(Value::as_str).collect())
}

/// Whether the gate is required for the default branch, and only from whom it comes.
fn of_gate(name: &str, branch: &str, rules: Option<Value>, protection: Option<Value>) -> Line {
    let branch = clean_line(branch, 60);
    let gate = format!("{GATE} ({branch})");
    if rules.is_none() && protection.is_none() {
        return Line::warn(
            name,
            format!("whether {branch} requires {gate} is not to be seen with these credentials"),
            "look at the branch's rules at GitHub",
        );
    }
    let of_rules = rules.iter().filter_map(Value::as_array).flatten();
    let of_rules = of_rules
        .filter(|rule| rule["type"] == "required_status_checks")
        .filter_map(|rule| {
            rule.pointer("/parameters/required_status_checks")?
                .as_array()
        })
        .flatten()
        .map(|check| (check, "integration_id"));
    let of_protection = protection.iter().filter_map(|p| p["checks"].as_array());
    let of_protection = of_protection.flatten().map(|check| (check, "app_id"));
    let required: Vec<bool> = of_rules
        .chain(of_protection)
        .filter(|(check, _)| check["context"] == gate.as_str())
        .map(|(check, key)| check[key].as_i64().is_some_and(|id| id > 0))
        .collect();
    match (required.is_empty(), required.contains(&true)) {
        (true, _) => Line::warn(
            name,
            format!(
                "{branch} does not require {gate}: a pull request can be merged without a decision"
            ),
            "require it under the branch's rules, from our app alone",
        ),
        (false, false) => Line::warn(
            name,
            format!("{branch} requires {gate} from anybody: whoever may write statuses can set it"),
            "choose our app as its source under the branch's rules",
        ),
        (false, true) => Line::pass(name, format!("{branch} requires {gate} from one app")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn gate(rules: Option<Value>, protection: Option<Value>) -> (Level, String) {
        let line = of_gate("forge acme/shop", "main", rules, protection);
        (line.level, line.sentence)
    }

    #[test]
    fn gate_that_is_not_required_or_not_pinned_is_a_warning() {
        let rule = |context: &str, app: Value| {
            json!([{"type": "required_status_checks", "parameters": {"required_status_checks": [
                {"context": context, "integration_id": app},
            ]}}])
        };
        let (level, text) = gate(Some(json!([])), None);
        assert!(
            level == Level::Warn && text.contains("does not require"),
            "{text}"
        );
        let (level, text) = gate(Some(rule("bsm/review (dev)", json!(1))), None);
        assert!(
            level == Level::Warn && text.contains("does not require"),
            "{text}"
        );
        let (level, text) = gate(Some(rule("bsm/review (main)", Value::Null)), None);
        assert!(
            level == Level::Warn && text.contains("from anybody"),
            "{text}"
        );
        assert_eq!(
            gate(Some(rule("bsm/review (main)", json!(7))), None).0,
            Level::Pass
        );
        let protection = json!({"checks": [{"context": "bsm/review (main)", "app_id": 7}]});
        assert_eq!(gate(None, Some(protection)).0, Level::Pass);
        assert!(gate(None, None).1.contains("not to be seen"));
    }

    #[test]
    fn rights_and_events_that_are_missing_are_named() {
        let app = json!({
            "permissions": {"contents": "read", "metadata": "read", "pull_requests": "read", "checks": "write"},
            "events": ["pull_request", "check_run"],
        });
        let lines = of_app(&app);
        assert_eq!(lines[0].level, Level::Fail);
        assert!(
            lines[0]
                .sentence
                .ends_with("pull_requests: write, statuses: write"),
            "{lines:?}"
        );
        assert_eq!(lines[1].level, Level::Warn);
        assert!(
            lines[1]
                .sentence
                .contains("check_suite, merge_group, issue_comment"),
            "{lines:?}"
        );
        let hook = json!([{"active": true, "config": {"url": "https://x/webhook/github"}, "events": ["push"]}]);
        assert_eq!(
            of_hooks("forge", &hook).level,
            Level::Fail,
            "no pull request comes"
        );
        let all = json!([{"active": true, "config": {"url": "https://x/webhook/github?a"}, "events": ["*"]}]);
        assert_eq!(of_hooks("forge", &all).level, Level::Pass);
        assert_eq!(of_hooks("forge", &json!([])).level, Level::Warn);
    }

    #[test]
    fn repository_that_may_only_be_read_fails() {
        let about = |push: Value| json!({"permissions": {"push": push}});
        assert_eq!(may_write("forge", &about(json!(false))).level, Level::Fail);
        assert_eq!(may_write("forge", &about(json!(true))).level, Level::Pass);
        assert_eq!(may_write("forge", &json!({})).level, Level::Pass);
    }
}
