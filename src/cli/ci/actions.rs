//! GitHub Actions, and Gitea's and Forgejo's, which take over its variables and the form of its events.
//!
//! Why the event's file: the variables name the commit that the runner made of base and head, and neither of
//! the two. Documented: <https://docs.github.com/en/actions/reference/workflows-and-actions/variables>,
//! <https://docs.github.com/en/webhooks/webhook-events-and-payloads>, <https://forgejo.org/docs/latest/user/actions/reference/>.

use std::io::Read as _;

use serde_json::Value;

use super::pipeline::{About, Named, Pipeline, text};
use super::system::System;
use crate::cli::failure::Failure;
use crate::settings::env::Env;
use crate::text::clean_line;

/// Bytes of an event; GitHub sends no larger ones.
const LARGEST_EVENT: u64 = 25 << 20;

/// What the event and the variables say.
pub(super) fn read(env: &Env, system: System) -> Result<Pipeline, Failure> {
    let event = event(env)?;
    let name = env.get("GITHUB_EVENT_NAME").unwrap_or_default();
    let text_at = |at: &str| event.pointer(at).and_then(Value::as_str);
    let repository = text_at("/repository/full_name").map(str::to_owned);
    let mut about = About {
        repository: text(env, "GITHUB_REPOSITORY").or(repository),
        ..About::default()
    };
    let default_branch = Named::branch(text_at("/repository/default_branch"));
    let built = Named::commit(env.get("GITHUB_SHA"));
    let (head, bases) = if event["pull_request"].is_object() {
        about = of_pull_request(&event, about);
        let reference = about.number.map(|n| format!("refs/pull/{n}/head"));
        (
            Named::at(text_at("/pull_request/head/sha"), reference),
            vec![
                Named::commit(text_at("/pull_request/base/sha")),
                Named::branch(text_at("/pull_request/base/ref")),
            ],
        )
    } else if event["merge_group"].is_object() {
        about.base_branch = text_at("/merge_group/base_ref").map(str::to_owned);
        (
            Named::commit(text_at("/merge_group/head_sha")),
            vec![Named::commit(text_at("/merge_group/base_sha"))],
        )
    } else if let Some(target) = env.get("GITHUB_BASE_REF") {
        // A pull request whose event cannot be had: what was built is base and head together.
        about.base_branch = Some(target.to_owned());
        (built.clone(), vec![Named::branch(Some(target))])
    } else {
        let pushed = env.get("GITHUB_REF").or(text_at("/ref"));
        let pushed = Named::branch(pushed.filter(|r| r.starts_with("refs/heads/")));
        let before = Named::commit(text_at("/before"));
        about.title = text_at("/head_commit/message")
            .and_then(|m| m.lines().next())
            .map(str::to_owned);
        about.author = text(env, "GITHUB_ACTOR");
        let bases = match (name, &pushed, &default_branch) {
            // The default branch itself: what this push added.
            ("push", Some(own), Some(main)) if own == main => vec![before],
            ("push", Some(_), None) => vec![before],
            _ => vec![default_branch.clone()],
        };
        (built.clone(), bases)
    };
    Ok(Pipeline {
        system: Some(system),
        head: head.or(built).unwrap_or(Named::Local("HEAD".to_owned())),
        bases: bases.into_iter().flatten().collect(),
        about,
    })
}

fn of_pull_request(event: &Value, about: About) -> About {
    let pull = &event["pull_request"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let labels = pull["labels"].as_array().into_iter().flatten();
    About {
        number: pull["number"].as_u64().or(event["number"].as_u64()),
        title: text(&pull["title"]),
        body: text(&pull["body"]),
        author: text(&pull["user"]["login"]),
        labels: labels.filter_map(|label| text(&label["name"])).collect(),
        base_branch: text(&pull["base"]["ref"]),
        head_branch: text(&pull["head"]["ref"]),
        ..about
    }
}

/// The event's payload; null where there is none.
fn event(env: &Env) -> Result<Value, Failure> {
    let Some(path) = env.get("GITHUB_EVENT_PATH") else {
        return Ok(Value::Null);
    };
    let wrong = |what: String| {
        Failure::usage(
            format!("GITHUB_EVENT_PATH {}: {what}", clean_line(path, 200)),
            "The runner writes this file. Run this command in the job itself, or name the commits: --base and --head.",
        )
    };
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| wrong(e.to_string()))?;
    file.take(LARGEST_EVENT + 1)
        .read_to_end(&mut bytes)
        .map_err(|e| wrong(e.to_string()))?;
    if bytes.len() as u64 > LARGEST_EVENT {
        return Err(wrong(format!("more than {} MiB", LARGEST_EVENT >> 20)));
    }
    serde_json::from_slice(&bytes).map_err(|e| wrong(format!("not JSON: {e}")))
}
