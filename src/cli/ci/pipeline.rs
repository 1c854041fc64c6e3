//! What a pipeline says of the change that it is about: two commits, and what people call it.
//!
//! Why names and not ranges here: a name may have to be fetched before it is a commit. Everything in it was
//! written by others; names are checked before git sees them.

use serde_json::{Value, json};

use super::system::System;
use crate::settings::env::Env;

/// A commit as a pipeline names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Named {
    /// By its id. `reference`: where the remote has it, should it refuse ids.
    Commit {
        /// 40 or 64 hexadecimal digits.
        id: String,
        /// For example `refs/pull/7/head`.
        reference: Option<String>,
    },
    /// The newest commit of a branch of the remote.
    Branch(String),
    /// A revision of the clone as it is.
    Local(String),
}

impl Named {
    /// A commit by its id; `None` where it is none.
    pub(super) fn commit(id: Option<&str>) -> Option<Self> {
        Self::at(id, None)
    }

    /// The same, and where the remote has it.
    pub(super) fn at(id: Option<&str>, reference: Option<String>) -> Option<Self> {
        let id = id.filter(|id| is_id(id))?.to_ascii_lowercase();
        Some(Self::Commit { id, reference })
    }

    /// A branch by its name, with or without `refs/heads/`; `None` where git would not take it.
    pub(super) fn branch(name: Option<&str>) -> Option<Self> {
        let name = name?;
        let name = name.strip_prefix("refs/heads/").unwrap_or(name);
        is_branch(name).then(|| Self::Branch(name.to_owned()))
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Commit { id, .. } => crate::text::cut(id, 12).to_owned(),
            Self::Branch(name) | Self::Local(name) => crate::text::clean_line(name, 80),
        }
    }
}

fn is_id(id: &str) -> bool {
    matches!(id.len(), 40 | 64)
        && id.bytes().all(|b| b.is_ascii_hexdigit())
        // What systems say where there was no commit before.
        && id.bytes().any(|b| b != b'0')
}

/// As strict as git's own rule for names (git-check-ref-format), a little stricter where nobody needs it.
fn is_branch(name: &str) -> bool {
    let bad = |c: char| c.is_control() || " ~^:?*[\\\"'".contains(c);
    !name.is_empty()
        && name.len() <= 250
        && !name.starts_with(['-', '/', '+'])
        && !name.ends_with(['/', '.'])
        && !name.contains("..")
        && !name.contains("@{")
        && !name.contains("//")
        && !name.chars().any(bad)
        && name != "@"
        && name
            .split('/')
            .all(|part| !part.starts_with('.') && !part.ends_with(".lock"))
}

/// What people call the change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct About {
    /// `owner/name`.
    pub(super) repository: Option<String>,
    /// Of the pull or merge request.
    pub(super) number: Option<u64>,
    /// Its title.
    pub(super) title: Option<String>,
    /// Its text.
    pub(super) body: Option<String>,
    /// Who opened it.
    pub(super) author: Option<String>,
    /// Its labels.
    pub(super) labels: Vec<String>,
    /// The branch it goes into.
    pub(super) base_branch: Option<String>,
    /// The branch it comes from.
    pub(super) head_branch: Option<String>,
}

/// What a pipeline is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pipeline {
    /// `None`: both commits were named by hand.
    pub(super) system: Option<System>,
    /// The newest commit of the change.
    pub(super) head: Named,
    /// Where it left from, the best word first; none: the system does not say.
    pub(super) bases: Vec<Named>,
    /// What people call it.
    pub(super) about: About,
}

impl Pipeline {
    /// The change as a webhook would describe it, which is what agents are shown. `head`: its commit.
    pub(super) fn payload(&self, head: &str) -> Value {
        let about = &self.about;
        let mut pull = json!({
            "head": {"sha": head, "ref": about.head_branch},
            "base": {"ref": about.base_branch},
        });
        if let Some(title) = &about.title {
            pull["title"] = json!(title);
        }
        if let Some(body) = &about.body {
            pull["body"] = json!(body);
        }
        if let Some(author) = &about.author {
            pull["user"] = json!({"login": author});
        }
        if !about.labels.is_empty() {
            let labels = about.labels.iter().map(|name| json!({"name": name}));
            pull["labels"] = labels.collect();
        }
        let mut payload = json!({});
        if let Some(number) = about.number {
            pull["number"] = json!(number);
            payload["number"] = json!(number);
        }
        payload["pull_request"] = pull;
        if let Some(repository) = &about.repository {
            payload["repository"] = json!({"full_name": repository});
        }
        payload
    }

    /// `GitHub Actions, acme/app#7`: where it runs, and about what.
    pub(super) fn shown(&self) -> String {
        let system = self.system.map_or("commits named by hand", System::as_str);
        let number = self.about.number.map(|n| format!("#{n}"));
        let place = match (&self.about.repository, number) {
            (Some(repository), number) => {
                let repository = crate::text::clean_line(repository, 100);
                format!(", {repository}{}", number.unwrap_or_default())
            }
            (None, Some(number)) => format!(", {number}"),
            (None, None) => String::new(),
        };
        format!("{system}{place}")
    }
}

/// A variable's value as text of a change.
pub(super) fn text(env: &Env, name: &str) -> Option<String> {
    env.get(name).map(str::to_owned)
}

/// A variable's value as a number.
pub(super) fn number(env: &Env, name: &str) -> Option<u64> {
    env.get(name)?.trim().parse().ok()
}

/// `owner/name` of a repository's address, without the host and `.git`.
pub(super) fn repository_of(address: &str) -> Option<String> {
    let rest = match address.split_once("://") {
        Some((_, rest)) => rest.split_once('/')?.1,
        // git@host:owner/name
        None => address.split_once(':')?.1,
    };
    let path = rest.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    (!path.is_empty()).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_that_git_would_read_as_something_else_is_no_branch() {
        for name in [
            "",
            "-x",
            "--upload-pack=x",
            "a b",
            "a:b",
            "+a",
            "a..b",
            "a~1",
            "a^",
            "@",
            "a@{1}",
            "a\nb",
            "a.lock",
            ".a",
            "a/.b",
            "a//b",
            "/a",
            "a/",
            "a*",
            "\u{1b}[2J",
        ] {
            assert_eq!(Named::branch(Some(name)), None, "{name:?}");
        }
        for name in [
            "main",
            "feature/a-b_c.1",
            "größe",
            "dependabot/npm_and_yarn/x-1.2",
        ] {
            assert_eq!(
                Named::branch(Some(name)),
                Some(Named::Branch(name.to_owned()))
            );
        }
        let whole = Named::branch(Some("refs/heads/main"));
        assert_eq!(whole, Some(Named::Branch("main".to_owned())));
    }

    #[test]
    fn id_of_zeros_is_no_commit() {
        assert_eq!(Named::commit(Some(&"0".repeat(40))), None);
        assert_eq!(Named::commit(Some("abc")), None);
        assert!(Named::commit(Some(&"aB".repeat(20))).is_some());
    }

    #[test]
    fn address_of_a_repository_gives_its_name() {
        for address in [
            "https://host.example/acme/app.git",
            "git@host.example:acme/app.git",
            "ssh://git@host.example:22/acme/app",
        ] {
            assert_eq!(
                repository_of(address).as_deref(),
                Some("acme/app"),
                "{address}"
            );
        }
    }
}
