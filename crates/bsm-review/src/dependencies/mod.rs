//! What a change does to what a project depends on: new, other, older, from elsewhere, with another
//! checksum.
//!
//! Why from the hunks: the whole lock file is not at hand, only what the diff shows of it. [`formats`] reads
//! each side's entries; an entry that stands whole on neither side says nothing. What is found are ids of
//! the pack `supply-chain`, whose words are in `crates/bsm-review/rules/`.

mod entry;
mod format;
mod formats;
mod line_formats;
mod line_reader;
mod manifests;
pub(crate) mod names;
mod registry;
mod versions;

use std::collections::{HashMap, HashSet};

use super::diff::{Hunk, Side};
use crate::dependencies::entry::Entry;
use crate::dependencies::format::Format;
use crate::dependencies::line_reader::LineReader;
use crate::dependencies::registry::Registry;
use crate::remark::Noted;
use bsm_base::text::Untrusted;

/// Most entries of one side of one file that are compared.
const MOST_ENTRIES: usize = 200_000;
/// Most remarks of little weight about one file; those of weight are all made.
const MOST_MILD: usize = 100;
/// Most remarks of weight about one file.
const MOST_GRAVE: usize = 2_000;
/// Remarks that are left out when there are many.
const MILD: [&str; 4] = [
    "supply-chain/new-package",
    "supply-chain/changed-dependency",
    "supply-chain/path-source",
    "supply-chain/git-source",
];

/// Reads the hunks of one manifest or lock file.
#[derive(Debug)]
pub(super) struct Dependencies {
    format: Format,
    old: Vec<Entry>,
    new: Vec<Entry>,
    /// There was more than is compared.
    pub(super) cut: bool,
    /// Lines change that say something.
    changes: bool,
}

/// What the file showed of one name before.
#[derive(Default)]
struct Before<'a> {
    by_version: HashMap<&'a str, &'a Entry>,
    /// Those whose version the new side does not have.
    gone: Option<&'a Entry>,
    source: Option<&'a str>,
    installs: bool,
}

impl Dependencies {
    /// For the file at `path`, if it is one that names dependencies.
    pub(super) fn of(path: &str) -> Option<Self> {
        Format::of(path).map(|format| Self {
            format,
            old: Vec::new(),
            new: Vec::new(),
            cut: false,
            changes: false,
        })
    }

    /// Takes in what a hunk shows of both sides.
    pub(super) fn hunk(&mut self, hunk: &Hunk) {
        let lines = &hunk.lines[hunk.repeated..];
        self.changes |= lines.iter().any(|line| {
            line.side != Side::Context && line.text.iter().any(u8::is_ascii_alphanumeric)
        });
        for (list, own, other) in [
            (&mut self.old, Side::Removed, Side::Added),
            (&mut self.new, Side::Added, Side::Removed),
        ] {
            if list.len() > MOST_ENTRIES {
                self.cut = true;
                continue;
            }
            let lines = lines.iter().filter(|l| l.side != other).map(|line| {
                let text = String::from_utf8_lossy(&line.text);
                (text, line.number, line.side == own)
            });
            if let Format::ByLines(format) = self.format {
                let mut reader = LineReader::new(format);
                lines.for_each(|(text, number, touched)| reader.line(&text, number, touched));
                list.extend(reader.finish());
            } else {
                let mut reader = formats::Reader::new(self.format);
                lines.for_each(|(text, number, touched)| reader.line(&text, number, touched));
                list.extend(reader.finish());
            }
        }
    }

    /// The file changes, but no changed line is a dependency in its format: the change is not understood.
    pub(super) fn is_unread(&self) -> bool {
        let is_read = |entries: &[Entry]| entries.iter().any(|entry| entry.touched);
        matches!(self.format, Format::ByLines(_))
            && self.changes
            && !is_read(&self.old)
            && !is_read(&self.new)
    }

    /// What the file's hunks together show.
    pub(super) fn remarks(&self, file: &Untrusted) -> Vec<Noted> {
        let key = |name: &str| self.format.folded(name);
        let versions: HashSet<(String, &str)> = self
            .new
            .iter()
            .filter_map(|e| Some((key(&e.name), e.version.as_deref()?)))
            .collect();
        let mut before: HashMap<String, Before<'_>> = HashMap::new();
        for entry in &self.old {
            let known = before.entry(key(&entry.name)).or_default();
            known.installs |= entry.installs;
            if let Some(source) = &entry.source {
                known.source.get_or_insert(source);
            }
            if let Some(version) = entry.version.as_deref() {
                known.by_version.entry(version).or_insert(entry);
                if entry.touched && !versions.contains(&(key(&entry.name), version)) {
                    known.gone = Some(entry);
                }
            } else if entry.touched {
                known.gone.get_or_insert(entry);
            }
        }
        let mut remarks = Vec::new();
        let (mut mild, mut grave) = (0, 0);
        let mut more = 0;
        for entry in self.new.iter().filter(|e| e.touched) {
            let was = before.get(&key(&entry.name));
            self.compare(entry, was, &mut |id, detail| {
                let (count, most) = if MILD.contains(&id) {
                    (&mut mild, MOST_MILD)
                } else {
                    (&mut grave, MOST_GRAVE)
                };
                *count += 1;
                if *count > most {
                    more += 1;
                    return;
                }
                remarks.push(Noted {
                    id,
                    detail: Some(detail),
                    file: Some(file.clone()),
                    line: Some(entry.line),
                });
            });
        }
        if more > 0 {
            remarks.push(Noted {
                detail: Some(format!("{more} more of this kind are not listed.")),
                ..Noted::file("supply-chain/changed-dependency", file)
            });
        }
        remarks
    }

    fn compare(
        &self,
        entry: &Entry,
        was: Option<&Before<'_>>,
        note: &mut impl FnMut(&'static str, String),
    ) {
        let same = was
            .zip(entry.version.as_deref())
            .and_then(|(w, v)| w.by_version.get(v).copied());
        // What it takes the place of: itself, or a version that goes.
        let old = same.or_else(|| was.and_then(|w| w.gone));
        if !entry.part {
            self.compare_version(entry, was, same, old, note);
        }
        if let Some(old) = old {
            self.compare_checksum(entry, old, same.is_some(), note);
        }
        let before = old
            .and_then(|o| o.source.as_deref())
            .or_else(|| was.and_then(|w| w.source));
        self.compare_source(entry, before, note);
        if entry.installs && !was.is_some_and(|w| w.installs) {
            let what = format!("{}{}.", clean(&entry.name), version_of(entry));
            note("supply-chain/install-script", what);
        }
        let any = entry.version.as_deref().map(str::trim);
        if !self.format.is_lock()
            && same.is_none()
            && matches!(any, Some("*" | "latest" | "x" | "next" | ">=0" | ""))
        {
            note(
                "supply-chain/any-version",
                format!("{}.", clean(&entry.name)),
            );
        }
    }

    /// New, changed, older, or beside another version of itself.
    fn compare_version(
        &self,
        entry: &Entry,
        was: Option<&Before<'_>>,
        same: Option<&Entry>,
        old: Option<&Entry>,
        note: &mut impl FnMut(&'static str, String),
    ) {
        let (name, version) = (clean(&entry.name), version_of(entry));
        let own = entry.source.as_deref().map(kind) == Some(Kind::Path);
        if was.is_none() && !own {
            let id = if self.format.is_lock() {
                "supply-chain/new-package"
            } else {
                "supply-chain/new-dependency"
            };
            note(id, format!("{name}{version}."));
            if let Some(known) = names::looks_like(self.format.registry(), &entry.name) {
                let what = format!("{name} is not {known}.");
                note("supply-chain/look-alike-name", what);
            }
        } else if let (None, Some(old)) = (same, old) {
            if let (Some(from), Some(to)) = (&old.version, &entry.version) {
                let id = if versions::is_older(to, from) {
                    "supply-chain/downgrade"
                } else {
                    "supply-chain/changed-dependency"
                };
                note(id, format!("{name} {} →{version}.", clean(from)));
            }
        } else if same.is_none() && old.is_none() && was.is_some() && self.format.is_lock() {
            note(
                "supply-chain/new-package",
                format!("{name}{version}, beside another version of it."),
            );
        }
    }

    fn compare_checksum(
        &self,
        entry: &Entry,
        old: &Entry,
        same: bool,
        note: &mut impl FnMut(&'static str, String),
    ) {
        let what = || format!("{}{}.", clean(&entry.name), version_of(entry));
        let changed = match (&old.checksum, &entry.checksum) {
            (Some(a), Some(b)) => same && versions::is_other_checksum(a, b),
            _ => false,
        };
        if changed {
            note("supply-chain/checksum-changed", what());
        }
        if old.checksum.is_some() && entry.checksum.is_none() && self.format.keeps_checksums() {
            note("supply-chain/checksum-removed", what());
        }
    }

    /// Where it comes from now, and where it came from.
    fn compare_source(
        &self,
        entry: &Entry,
        before: Option<&str>,
        note: &mut impl FnMut(&'static str, String),
    ) {
        let Some(text) = entry.source.as_deref() else {
            return;
        };
        let (name, kind_now) = (clean(&entry.name), kind(text));
        if let Some(old) = before
            && (kind(old) != kind_now || host(old) != host(text))
        {
            note(
                "supply-chain/source-changed",
                format!("{name}: {} → {}.", clean(&place(old)), clean(&place(text))),
            );
        }
        if before == Some(text) {
            return;
        }
        let from = format!("{name} from {}.", clean(&place(text)));
        let known_host = before.is_some_and(|old| host(old) == host(text));
        match kind_now {
            Kind::Git if !is_fixed(text) => note("supply-chain/moving-source", from.clone()),
            Kind::Git => note("supply-chain/git-source", from.clone()),
            Kind::Address if !known_host => note("supply-chain/address-source", from.clone()),
            Kind::Path => note("supply-chain/path-source", from.clone()),
            Kind::Registry | Kind::Address => {}
        }
        if text.contains("http://") {
            note("supply-chain/plain-http", from.clone());
        }
        if !entry.alias
            && self.format.registry() == Registry::Npm
            && is_of_another(text, &entry.name)
        {
            note("supply-chain/other-package", from);
        }
    }
}

/// ` 1.2.3`, or nothing.
fn version_of(entry: &Entry) -> String {
    entry
        .version
        .as_deref()
        .map_or_else(String::new, |v| format!(" {}", clean(v)))
}

/// A registry's address (`…/NAME/-/NAME-1.0.0.tgz`) that names another package.
fn is_of_another(source: &str, name: &str) -> bool {
    let plain = source.replace("%2f", "/").replace("%2F", "/");
    plain.contains("/-/") && !plain.contains(&format!("/{name}/-/"))
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
            "pub.dev",
            "pub.dartlang.org",
            "conda.anaconda.org",
            "repo.anaconda.com",
            "jsr.io",
            "deno.land",
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

/// A git source that names a commit, or a tag or version.
fn is_fixed(source: &str) -> bool {
    let after = source
        .rsplit_once('#')
        .or_else(|| source.rsplit_once('@'))
        .map_or("", |(_, after)| after);
    let after = after.strip_prefix("semver:").unwrap_or(after);
    let is_commit = (7..=64).contains(&after.len()) && after.bytes().all(|b| b.is_ascii_hexdigit());
    let fixed = ["rev=", "tag=", "commit="];
    is_commit || versions::is_single(after) || fixed.iter().any(|f| source.contains(f))
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

/// On one line; not cut, since what is cut may be half a secret that no rule knows any more.
fn clean(text: &str) -> String {
    bsm_base::text::clean_line(text, usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(is_fixed("git+https://example.com/a#v1.2.3"));
        assert!(is_of_another(
            "https://registry.npmjs.org/evil/-/evil-1.0.0.tgz",
            "good"
        ));
        assert!(!is_of_another(
            "https://registry.npmjs.org/@a/b/-/b-1.0.0.tgz",
            "@a/b"
        ));
        assert!(is_fixed("git+ssh://git@example.com/a#0123456789abcdef"));
        assert_eq!(
            place("https://who:word@example.com/a?x=1"),
            "https://example.com/a"
        );
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod hunks;
