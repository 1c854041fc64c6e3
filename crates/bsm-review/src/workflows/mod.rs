//! CI workflows, read as YAML: what outsiders can make them run, and what they give away.
//!
//! [`WorkflowText`] collects what a diff shows of the new file; [`WorkflowText::remarks`] reads it and looks at it.
//! What each remark is called, how bad it is and what to do stand in `rules/security/ci.toml`.

mod actions;
mod caching;
mod conditions;
mod document;
mod expression;
mod flow;
mod injection;
mod lexical;
mod node;
mod remark;
mod secrets;
mod triggers;
mod yaml;

use std::collections::BTreeSet;

use super::diff::{Hunk, Side};
use document::{Document, Kind};
use node::SourceLine;
use remark::Remark;

/// Most lines and bytes of a file that are read.
const MOST_LINES: usize = 20_000;
const MOST_BYTES: usize = 4 << 20;

/// What a diff shows of a workflow's new text.
#[derive(Debug)]
pub(super) struct WorkflowText {
    kind: Kind,
    lines: Vec<SourceLine>,
    added: BTreeSet<u32>,
    bytes: usize,
    /// There was more than is read.
    pub(super) cut: bool,
}

impl WorkflowText {
    /// `None`: the file is no workflow.
    pub(super) fn of(path: &str) -> Option<Self> {
        let lower = path.to_ascii_lowercase();
        let yaml = lower.ends_with(".yml") || lower.ends_with(".yaml");
        let name = lower.rsplit('/').next().unwrap_or(&lower);
        let folder = |name: &str| lower.starts_with(name) || lower.contains(&format!("/{name}"));
        let workflow = [
            ".github/workflows/",
            ".gitea/workflows/",
            ".forgejo/workflows/",
        ];
        let kind = if yaml && workflow.iter().any(|f| folder(f)) {
            Kind::Workflow
        } else if matches!(name, "action.yml" | "action.yaml") {
            Kind::Action
        } else {
            return None;
        };
        Some(Self {
            kind,
            lines: Vec::new(),
            added: BTreeSet::new(),
            bytes: 0,
            cut: false,
        })
    }

    /// Takes the new side of a hunk.
    pub(super) fn hunk(&mut self, hunk: &Hunk) {
        for line in hunk.lines[hunk.repeated..]
            .iter()
            .filter(|l| l.side != Side::Removed)
        {
            self.bytes += line.text.len();
            if self.lines.len() >= MOST_LINES || self.bytes > MOST_BYTES {
                self.cut = true;
                return;
            }
            if line.side == Side::Added {
                self.added.insert(line.number);
            }
            self.lines.push(SourceLine {
                number: line.number,
                text: String::from_utf8_lossy(&line.text).into_owned(),
            });
        }
    }

    /// What is to be said of it; `only_added`: only where the change has a part in it.
    pub(super) fn remarks(&self, only_added: bool) -> Vec<Remark> {
        let roots = yaml::read(&self.lines);
        let document = Document::new(self.kind, &roots);
        let mut remarks = Vec::new();
        injection::look(&document, &mut remarks);
        triggers::look(&document, &mut remarks);
        conditions::look(&document, &mut remarks);
        caching::look(&document, &|line| self.comment(line), &mut remarks);
        actions::look(&document, &mut remarks);
        secrets::look(&document, &mut remarks);
        let mut seen = BTreeSet::new();
        remarks.retain(|r| {
            let touched =
                self.added.contains(&r.line) || r.also.iter().any(|l| self.added.contains(l));
            (!only_added || touched) && seen.insert((r.id, r.line, r.detail.clone()))
        });
        remarks
    }

    /// The comment at the end of a line.
    fn comment(&self, number: u32) -> String {
        let index = self.lines.partition_point(|l| l.number < number);
        let line = self.lines.get(index).filter(|l| l.number == number);
        line.and_then(|l| l.text.split_once(" #"))
            .map_or_else(String::new, |(_, comment)| comment.to_owned())
    }
}

#[cfg(test)]
mod tests;
