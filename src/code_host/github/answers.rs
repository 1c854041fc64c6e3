//! Answers that may be asked for again: GitHub says "unchanged" for free, and a repository that was renamed is
//! asked by its new address at once.

use std::collections::HashMap;
use std::sync::Mutex;

use serde_json::Value;
use url::Url;

use crate::resilience::clock::lock;

/// Answers that are kept.
const KEPT: usize = 256;
/// Largest answer that is kept, bytes.
const LARGEST: usize = 128 << 10;

/// One per client, so that no answer is shown to another token.
#[derive(Default)]
pub(super) struct Answers {
    by_path: Mutex<HashMap<String, Answer>>,
    /// `repos/acme/old` → `repositories/99`.
    moved: Mutex<HashMap<String, String>>,
}

/// An answer and its ETag.
#[derive(Clone)]
pub(super) struct Answer {
    /// Its ETag.
    pub(super) tag: String,
    /// It.
    pub(super) value: Value,
}

impl Answers {
    /// The answer that is kept for a path.
    pub(super) fn kept(&self, path: &str) -> Option<Answer> {
        lock(&self.by_path).get(path).cloned()
    }

    /// Keeps an answer of `size` bytes, unless it is large. All go when there are too many.
    pub(super) fn keep(&self, path: &str, tag: &str, value: &Value, size: usize) {
        if size > LARGEST {
            return;
        }
        let mut kept = lock(&self.by_path);
        if kept.len() >= KEPT && !kept.contains_key(path) {
            kept.clear();
        }
        let answer = Answer {
            tag: tag.to_owned(),
            value: value.clone(),
        };
        kept.insert(path.to_owned(), answer);
    }

    /// An answer came from another address than it was asked at: the repository has it from now on.
    pub(super) fn note_move(&self, api: &Url, path: &str, from: &Url) {
        let Some(repository) = repository_of(path) else {
            return;
        };
        let old = format!("repos/{repository}");
        let rest = &path.split('?').next().unwrap_or_default()[old.len()..];
        let prefix = api.path().trim_end_matches('/');
        let new = from.path().strip_prefix(prefix);
        let new = new.and_then(|new| new.strip_suffix(rest));
        let Some(new) = new.map(|new| new.trim_matches('/')) else {
            return;
        };
        if new != old && is_place(new) {
            let mut moved = lock(&self.moved);
            if moved.len() >= KEPT {
                moved.clear();
            }
            moved.insert(old, new.to_owned());
        }
    }

    /// A path as it is asked now.
    pub(super) fn current(&self, path: &str) -> String {
        let new = repository_of(path).and_then(|repository| {
            let old = format!("repos/{repository}");
            let new = lock(&self.moved).get(&old).cloned()?;
            Some(format!("{new}{}", &path[old.len()..]))
        });
        new.unwrap_or_else(|| path.to_owned())
    }
}

/// The repository that a path is about: `owner/name`.
pub(super) fn repository_of(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("repos/")?;
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let mut slashes = rest[..end].match_indices('/').map(|(at, _)| at);
    let first = slashes.next()?;
    let second = slashes.next().unwrap_or(end);
    (second > first + 1).then(|| &rest[..second])
}

/// `repositories/99` or `repos/owner/name`.
fn is_place(path: &str) -> bool {
    let number = path.strip_prefix("repositories/");
    let is_number = number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    is_number || repository_of(path).is_some_and(|r| path.len() == "repos/".len() + r.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn renamed_repository_is_asked_by_its_number() {
        let answers = Answers::default();
        let api = Url::parse("http://h/api/v3").unwrap();
        let path = "repos/acme/old/pulls/7";
        assert_eq!(answers.current(path), path);
        let from = Url::parse("http://h/api/v3/repositories/99/pulls/7").unwrap();
        answers.note_move(&api, path, &from);
        assert_eq!(answers.current(path), "repositories/99/pulls/7");
        assert_eq!(
            answers.current("repos/acme/old/compare/a...b?x=1"),
            "repositories/99/compare/a...b?x=1"
        );
        assert_eq!(answers.current("repos/acme/other"), "repos/acme/other");
        // What does not end as the question did moves nothing.
        let odd = Url::parse("http://h/api/v3/login").unwrap();
        answers.note_move(&api, "repos/acme/other/pulls/7", &odd);
        assert_eq!(answers.current("repos/acme/other/x"), "repos/acme/other/x");
    }

    #[test]
    fn answers_are_kept_by_path_and_bounded() {
        let answers = Answers::default();
        for n in 0..=KEPT {
            answers.keep(&format!("p{n}"), "t", &json!(n), 10);
        }
        let value = |path: &str| answers.kept(path).map(|a| a.value);
        assert_eq!(value(&format!("p{KEPT}")), Some(json!(KEPT)));
        assert_eq!(value("p0"), None, "all went when there were too many");
        answers.keep("large", "t", &json!(1), LARGEST + 1);
        assert_eq!(value("large"), None);
    }

    #[test]
    fn repository_is_the_first_two_parts_of_its_path() {
        assert_eq!(repository_of("repos/a/b/pulls/7?x=/y/z"), Some("a/b"));
        assert_eq!(repository_of("repos/a/b?x"), Some("a/b"));
        assert_eq!(repository_of("repos/a"), None);
        assert_eq!(repository_of("user"), None);
    }
}
