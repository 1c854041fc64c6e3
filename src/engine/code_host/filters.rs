//! Which filter of the settings leaves a pull request out. Pure: what it says stands in the inbox.

use crate::code_host::github::Delivery;
use crate::journal::{Journal, JournalError};
use crate::settings::{Filters, matches_pattern};

/// The filter that leaves a webhook's pull request out, as a note; `None`: it is reviewed.
pub(super) fn filtered(delivery: &Delivery, filters: &Filters) -> Option<String> {
    let by = |list: &[String], text: &str| list.iter().find(|p| matches_pattern(p, text)).cloned();
    if delivery.draft && !filters.drafts {
        return Some("a draft (github.filters.drafts)".into());
    }
    if delivery.author_is_bot && !filters.bots {
        return Some("its author is a bot (github.filters.bots)".into());
    }
    let author = delivery.author.as_deref().unwrap_or_default();
    if let Some(pattern) = by(&filters.ignore_authors, author) {
        return Some(format!(
            "its author is {pattern} (github.filters.ignoreAuthors)"
        ));
    }
    let title = delivery.title.as_deref().unwrap_or_default();
    if let Some(pattern) = by(&filters.ignore_titles, title) {
        return Some(format!(
            "its title is {pattern} (github.filters.ignoreTitles)"
        ));
    }
    let mut labels = delivery.labels.iter();
    if let Some(pattern) = labels.find_map(|label| by(&filters.ignore_labels, label)) {
        return Some(format!(
            "it has the label {pattern} (github.filters.ignoreLabels)"
        ));
    }
    let base = delivery.pull.as_ref().and_then(|pull| pull.base.as_deref());
    if let Some(base) = base.filter(|_| !filters.only_bases.is_empty())
        && by(&filters.only_bases, base).is_none()
    {
        return Some("its base branch is none of github.filters.onlyBases".into());
    }
    None
}

/// What keeps a pull request's next review from its cost's bound; `None`: it stays within.
///
/// # Errors
/// The journal cannot be read.
pub(super) async fn over_cost(
    journal: &Journal,
    filters: &Filters,
    (repository, number): (&str, u64),
) -> Result<Option<String>, JournalError> {
    let most = filters.pull_usd;
    if most <= 0.0 {
        return Ok(None);
    }
    let cost = journal.pull_cost(repository, number).await?;
    Ok((cost >= most).then(|| {
        format!("its reviews have cost ${cost:.2} of ${most:.2} (github.filters.pullUsd)")
    }))
}

/// Whether a change has paths and all of them are ones that are left out. A path that cannot be read is none.
pub(super) fn is_ignored(diff: &[u8], ignored: &[String]) -> bool {
    if ignored.is_empty() {
        return false;
    }
    let mut paths = paths(diff).peekable();
    paths.peek().is_some()
        && paths.all(|path| {
            std::str::from_utf8(path)
                .is_ok_and(|path| ignored.iter().any(|p| matches_pattern(p, path)))
        })
}

/// Old and new paths. Lines of the change itself that look like a header count as paths too: then more is
/// reviewed, never less.
fn paths(diff: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = diff.split(|b| *b == b'\n');
    lines.filter_map(|line| {
        if let Some(rest) = line.strip_prefix(b"diff --git ") {
            // Both are the same but for their first letter, or other lines name them.
            let half = rest.len() / 2;
            return Some(rest.get(half + 3..).unwrap_or(rest));
        }
        let sides = [b"--- a/", b"+++ b/"];
        let side = sides.iter().find_map(|side| line.strip_prefix(*side));
        let renamed = [
            &b"rename from "[..],
            b"rename to ",
            b"copy from ",
            b"copy to ",
        ];
        let other = || renamed.iter().find_map(|word| line.strip_prefix(*word));
        side.or_else(other)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code_host::Pull;

    fn delivery() -> Delivery {
        Delivery {
            title: Some("[WIP] words".into()),
            author: Some("renovate[bot]".into()),
            author_is_bot: true,
            labels: vec!["skip-review".into()],
            pull: Some(Pull {
                base: Some("develop".into()),
                ..Pull::default()
            }),
            ..Delivery::default()
        }
    }

    #[test]
    fn each_filter_leaves_out_and_names_itself() {
        let with = |change: &dyn Fn(&mut Filters)| {
            let mut filters = Filters::default();
            change(&mut filters);
            filtered(&delivery(), &filters)
        };
        assert_eq!(with(&|_| ()), None);
        type Change<'a> = (&'a str, &'a dyn Fn(&mut Filters));
        let changes: [Change<'_>; 5] = [
            ("bots", &|f| f.bots = false),
            ("ignoreAuthors", &|f| {
                f.ignore_authors = vec!["renovate*".into()];
            }),
            ("ignoreTitles", &|f| f.ignore_titles = vec!["*wip*".into()]),
            ("ignoreLabels", &|f| f.ignore_labels = vec!["skip-*".into()]),
            ("onlyBases", &|f| f.only_bases = vec!["main".into()]),
        ];
        for (name, change) in changes {
            let note = with(change).unwrap_or_default();
            assert!(
                note.contains(&format!("github.filters.{name}")),
                "{name}: {note}"
            );
        }
        let draft = Delivery {
            draft: true,
            ..delivery()
        };
        assert!(filtered(&draft, &Filters::default()).is_some());
    }

    #[test]
    fn change_is_ignored_only_where_every_path_is() {
        let ignored = ["docs/*".to_owned()];
        let docs = b"diff --git a/docs/x.md b/docs/x.md\n--- a/docs/x.md\n+++ b/docs/x.md\n@@ -1 +1 @@\n-a\n+b\n";
        assert!(is_ignored(docs, &ignored));
        let both = [
            &docs[..],
            b"diff --git a/src/x.rs b/src/x.rs\n--- a/src/x.rs\n+++ b/src/x.rs\n",
        ]
        .concat();
        assert!(!is_ignored(&both, &ignored));
        let moved = b"diff --git a/src/x b/docs/x\nrename from src/x\nrename to docs/x\n";
        assert!(!is_ignored(moved, &ignored));
        assert!(!is_ignored(b"", &ignored));
        assert!(!is_ignored(docs, &[]));
    }
}
