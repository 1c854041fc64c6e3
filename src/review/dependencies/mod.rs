//! What a change does to what a project depends on: new, other, older, from elsewhere, with another
//! checksum.
//!
//! Why from the hunks: the whole lock file is not at hand, only what the diff shows of it. [`formats`] reads
//! each side's entries; an entry that stands whole on neither side says nothing. What is found are ids of
//! the pack `supply-chain`, whose words are in `assets/rules/`.

mod formats;
mod names;

use std::collections::BTreeMap;

use super::checks::Noted;
use super::diff::{Hunk, Side};
use crate::text::Untrusted;
use formats::Format;

/// One dependency as one side of a hunk shows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Entry {
    name: String,
    version: Option<String>,
    /// Where it comes from, as it is written.
    source: Option<String>,
    checksum: Option<String>,
    /// It runs code when it is installed.
    installs: bool,
    /// Its line in the file, from 1.
    line: u32,
    /// Some of it stands only on this side.
    touched: bool,
}

/// Most dependencies of one file that are compared, and most remarks about one file.
const MOST_ENTRIES: usize = 20_000;
const MOST_REMARKS: usize = 100;

/// Reads the hunks of one manifest or lock file.
#[derive(Debug)]
pub(super) struct Dependencies {
    format: Format,
    old: Vec<Entry>,
    new: Vec<Entry>,
}

impl Dependencies {
    /// For the file at `path`, if it is one that names dependencies.
    pub(super) fn of(path: &str) -> Option<Self> {
        Format::of(path).map(|format| Self {
            format,
            old: Vec::new(),
            new: Vec::new(),
        })
    }

    /// Takes in what a hunk shows of both sides.
    pub(super) fn hunk(&mut self, hunk: &Hunk) {
        let lines = &hunk.lines[hunk.repeated..];
        for (list, own, other) in [
            (&mut self.old, Side::Removed, Side::Added),
            (&mut self.new, Side::Added, Side::Removed),
        ] {
            if list.len() > MOST_ENTRIES {
                continue;
            }
            let mut reader = formats::Reader::new(self.format);
            for line in lines.iter().filter(|l| l.side != other) {
                let text = String::from_utf8_lossy(&line.text);
                reader.line(&text, line.number, line.side == own);
            }
            list.extend(reader.finish());
        }
    }

    /// What the file's hunks together show.
    pub(super) fn remarks(&self, file: &Untrusted) -> Vec<Noted> {
        let mut before: BTreeMap<&str, Vec<&Entry>> = BTreeMap::new();
        for entry in &self.old {
            before.entry(&entry.name).or_default().push(entry);
        }
        let mut remarks = Vec::new();
        for entry in self.new.iter().filter(|e| e.touched) {
            let was = before.get(entry.name.as_str()).map_or(&[][..], |v| v);
            self.compare(entry, was, &mut |id, detail| {
                remarks.push(Noted {
                    id,
                    detail: Some(detail),
                    file: Some(file.clone()),
                    line: Some(entry.line),
                });
            });
            if remarks.len() > MOST_REMARKS {
                break;
            }
        }
        remarks
    }

    fn compare(&self, entry: &Entry, was: &[&Entry], note: &mut impl FnMut(&'static str, String)) {
        let name = shown(&entry.name);
        let version = entry.version.as_deref().map_or_else(String::new, |v| {
            format!(" {}", crate::text::clean_line(v, 60))
        });
        let source = entry.source.as_deref().map(|s| (s, kind(s)));
        let same_version = was
            .iter()
            .find(|old| old.version.is_some() && old.version == entry.version);
        if was.is_empty() {
            let id = if self.format.is_lock() {
                "supply-chain/new-package"
            } else {
                "supply-chain/new-dependency"
            };
            note(id, format!("{name}{version}."));
            if let Some(known) = names::looks_like(self.format.registry(), &entry.name) {
                note(
                    "supply-chain/look-alike-name",
                    format!("{name} is not {known}."),
                );
            }
        } else if same_version.is_none()
            && let [old] = was
            && let (Some(from), Some(to)) = (&old.version, &entry.version)
        {
            let change = format!("{name} {} →{version}.", crate::text::clean_line(from, 60));
            if order(from) > order(to) {
                note("supply-chain/downgrade", change);
            } else {
                note("supply-chain/changed-dependency", change);
            }
        }
        if let Some(old) = same_version {
            match (&old.checksum, &entry.checksum) {
                (Some(a), Some(b)) if a != b => {
                    note("supply-chain/checksum-changed", format!("{name}{version}."));
                }
                (Some(_), None) if self.format.keeps_checksums() => {
                    note("supply-chain/checksum-removed", format!("{name}{version}."));
                }
                _ => {}
            }
        }
        let before = was
            .iter()
            .find_map(|old| old.source.as_deref())
            .map(|s| (s, kind(s)));
        if let (Some((old, old_kind)), Some((new, new_kind))) = (before, source)
            && (old_kind != new_kind || host(old) != host(new))
        {
            let (old, new) = (shown(&place(old)), shown(&place(new)));
            note(
                "supply-chain/source-changed",
                format!("{name}: {old} → {new}."),
            );
        }
        let changed = before.is_none_or(|(old, _)| source.is_none_or(|(new, _)| old != new));
        if let Some((text, kind)) = source.filter(|_| changed) {
            let place = shown(&place(text));
            match kind {
                Kind::Git if !is_fixed(text) => {
                    note(
                        "supply-chain/moving-source",
                        format!("{name} from {place}."),
                    );
                }
                Kind::Git => note("supply-chain/git-source", format!("{name} from {place}.")),
                Kind::Address => {
                    note(
                        "supply-chain/address-source",
                        format!("{name} from {place}."),
                    );
                }
                Kind::Path => note("supply-chain/path-source", format!("{name} from {place}.")),
                Kind::Registry => {}
            }
            if text.contains("http://") {
                note("supply-chain/plain-http", format!("{name} from {place}."));
            }
        }
        if entry.installs && !was.iter().any(|old| old.installs) {
            note("supply-chain/install-script", format!("{name}{version}."));
        }
        let any = entry.version.as_deref().map(str::trim);
        if !self.format.is_lock()
            && matches!(any, Some("*" | "latest" | "x" | ">=0" | ""))
            && !was.iter().any(|old| old.version == entry.version)
        {
            note("supply-chain/any-version", format!("{name}."));
        }
    }
}

/// What a dependency's place is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Registry,
    Git,
    Address,
    Path,
}

fn kind(source: &str) -> Kind {
    let source = source.trim();
    let is_git = source.starts_with("git")
        || source.contains("git+")
        || source.starts_with("ssh://")
        || source
            .split(['#', '?'])
            .next()
            .is_some_and(|s| s.ends_with(".git"));
    if source.starts_with("registry") || source.starts_with("npm:") {
        Kind::Registry
    } else if is_git {
        Kind::Git
    } else if ["path:", "file:", "link:", "./", "../", "/"]
        .iter()
        .any(|p| source.starts_with(p))
    {
        Kind::Path
    } else if source.starts_with("http") {
        let known = [
            "registry.npmjs.org",
            "registry.yarnpkg.com",
            "files.pythonhosted.org",
            "pypi.org",
            "static.crates.io",
            "rubygems.org",
            "proxy.golang.org",
            "api.github.com",
        ];
        if host(source).is_some_and(|h| known.contains(&h)) {
            Kind::Registry
        } else {
            Kind::Address
        }
    } else {
        Kind::Registry
    }
}

fn host(source: &str) -> Option<&str> {
    let after = source.split_once("://")?.1;
    let host = after.split(['/', '?', '#']).next()?;
    Some(host.rsplit('@').next().unwrap_or(host))
}

/// A git source that names a commit, or a tag.
fn is_fixed(source: &str) -> bool {
    let after = source
        .rsplit_once('#')
        .or_else(|| source.rsplit_once('@'))
        .map_or("", |(_, after)| after);
    let is_commit = (7..=64).contains(&after.len()) && after.bytes().all(|b| b.is_ascii_hexdigit());
    is_commit || source.contains("rev=") || source.contains("tag=")
}

/// Without a query, and without who logs in.
fn place(source: &str) -> String {
    let short = source.split(['?', '#']).next().unwrap_or(source);
    match (short.split_once("://"), host(short)) {
        (Some((scheme, rest)), Some(host)) => {
            let path = rest.find('/').map_or("", |at| &rest[at..]);
            format!("{scheme}://{host}{path}")
        }
        _ => short.to_owned(),
    }
}

fn shown(text: &str) -> String {
    crate::text::clean_line(text, 120)
}

/// Numbers of a version, for comparing; what comes before a release counts as less.
fn order(version: &str) -> (Vec<u64>, bool) {
    let version = version.trim_start_matches(['v', '^', '~', '=', '>', '<', ' ', '"']);
    let (release, rest) = version.split_once(['-', '+']).unwrap_or((version, ""));
    let numbers = release
        .split('.')
        .map_while(|part| part.parse::<u64>().ok())
        .collect();
    (numbers, rest.is_empty() || version.contains('+'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert!(order("1.10.0") > order("1.9.9"));
        assert!(order("^2.0.0") > order("1.0.0"));
        assert!(order("1.0.0") > order("1.0.0-rc.1"));
    }

    #[test]
    fn places_are_told_apart() {
        assert_eq!(
            kind("registry+https://github.com/rust-lang/crates.io-index"),
            Kind::Registry
        );
        assert_eq!(kind("git+https://example.com/a?rev=12#34"), Kind::Git);
        assert_eq!(
            kind("https://registry.npmjs.org/a/-/a-1.0.0.tgz"),
            Kind::Registry
        );
        assert_eq!(kind("https://example.com/a.tgz"), Kind::Address);
        assert_eq!(kind("file:../a"), Kind::Path);
        assert!(!is_fixed("git+https://example.com/a?branch=main"));
        assert!(is_fixed("git+ssh://git@example.com/a#0123456789abcdef"));
        assert_eq!(
            place("https://who:word@example.com/a?x=1"),
            "https://example.com/a"
        );
    }
}
