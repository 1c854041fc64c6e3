//! Reads one side of a hunk of a file whose format is a few patterns (`line_formats.rs`).

use std::sync::OnceLock;

use regex::{Captures, Regex};

use crate::dependencies::entry::Entry;
use crate::dependencies::line_formats::{FORMATS, LineFormat};
use crate::dependencies::registry::Registry;
use crate::pattern::constant;

/// Reads one side of a hunk by the patterns of a format.
#[derive(Debug)]
pub(super) struct LineReader {
    format: &'static LineFormat,
    patterns: &'static [Regex],
    current: Entry,
    /// Of the current one, only what stands before its name is known.
    group_only: bool,
    git: Option<String>,
    rev: Option<String>,
    skips: bool,
    out: Vec<Entry>,
}

impl LineReader {
    pub(super) fn new(format: usize) -> Self {
        static COMPILED: [OnceLock<Vec<Regex>>; FORMATS.len()] =
            [const { OnceLock::new() }; FORMATS.len()];
        let patterns = COMPILED[format].get_or_init(|| {
            let patterns = FORMATS[format].patterns.iter();
            patterns.map(|pattern| constant(pattern)).collect()
        });
        Self {
            format: &FORMATS[format],
            patterns,
            current: Entry::default(),
            group_only: false,
            git: None,
            rev: None,
            skips: false,
            out: Vec::new(),
        }
    }

    /// `touched`: the line stands only on this side.
    pub(super) fn line(&mut self, text: &str, number: u32, touched: bool) {
        let trimmed = text.trim_start();
        if ["//", "#", "<!--", ";", "--"]
            .iter()
            .any(|mark| trimmed.starts_with(mark))
        {
            return;
        }
        let patterns = self.patterns;
        for captures in patterns
            .iter()
            .flat_map(|pattern| pattern.captures_iter(text))
        {
            let get = |name: &str| captures.name(name).map(|m| m.as_str().trim());
            if get("skip").is_some() {
                self.skips = true;
            }
            if get("resume").is_some() {
                self.skips = false;
            }
            if self.skips {
                continue;
            }
            // Another pattern may have read the same line: then its name is known.
            let own = Some(&self.current.name).filter(|_| self.current.line == number);
            let is_known = |group: &str| {
                own.is_some_and(|o| o == group || o.starts_with(&format!("{group}:")))
            };
            if let Some(group) = get("group").filter(|group| !is_known(group)) {
                self.begin(group, number, touched);
                self.group_only = true;
            }
            if let Some(name) = get("name") {
                let own = &self.current.name;
                let is_known = self.current.line == number
                    && (own == name || own.ends_with(&format!(":{name}")));
                if self.format.no_names.contains(&name) {
                    self.flush();
                } else if self.group_only {
                    self.current.name.push(':');
                    self.current.name.push_str(name);
                    self.group_only = false;
                } else if !is_known {
                    self.begin(name, number, touched);
                }
            }
            let about_another = self.format.one_line && self.current.line != number;
            if !self.current.name.is_empty() && !about_another {
                self.take(&captures, touched);
            }
        }
    }

    /// Adds what a pattern found to the current dependency; what is known already stays.
    fn take(&mut self, captures: &Captures, touched: bool) {
        let get = |name: &str| captures.name(name).map(|m| m.as_str().trim().to_owned());
        let path = || get("path").map(|path| format!("path:{path}"));
        let github = || get("github").map(|name| format!("https://github.com/{name}"));
        let fields = [
            (&mut self.current.version, get("version")),
            (&mut self.current.checksum, get("sum")),
            (&mut self.current.source, get("source").or_else(path)),
            (&mut self.git, get("git").or_else(github)),
            (&mut self.rev, get("rev")),
        ];
        let mut some = false;
        for (field, value) in fields {
            some |= value.is_some();
            if field.is_none() {
                *field = value;
            }
        }
        self.current.touched |= some && touched;
    }

    fn begin(&mut self, name: &str, number: u32, touched: bool) {
        self.flush();
        self.current = Entry {
            name: name.to_owned(),
            line: number,
            touched,
            ..Entry::default()
        };
    }

    fn flush(&mut self) {
        let mut entry = std::mem::take(&mut self.current);
        let (git, rev) = (self.git.take(), self.rev.take());
        self.group_only = false;
        if entry.name.is_empty() {
            return;
        }
        let is_address = |text: &str| text.contains("://") || text.starts_with("git@");
        // A package that is named by its repository.
        let own = is_address(&entry.name) && self.format.registry == Registry::Other;
        if let Some(git) = git.or_else(|| own.then(|| entry.name.clone())) {
            let at = rev.as_ref().or(entry.version.as_ref());
            entry.source = Some(format!("git+{git}#{}", at.map_or("", String::as_str)));
        } else if let Some(address) = entry.version.take_if(|version| is_address(version)) {
            entry.source = Some(address);
        }
        let has_body =
            entry.version.is_some() || entry.source.is_some() || entry.checksum.is_some();
        if has_body || !self.format.needs_body {
            self.out.push(entry);
        }
    }

    pub(super) fn finish(mut self) -> Vec<Entry> {
        self.flush();
        self.out
    }
}

#[cfg(test)]
#[path = "line_reader_tests.rs"]
mod tests;
