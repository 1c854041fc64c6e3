//! Lines in a pipeline's log, which its runner reads too.
//!
//! Why a printer of its own: runners take commands from the log (`::set-output`, `##vso[...]`, `section_start:`,
//! `--- header`). Nothing that a change holds may be one. Commands of ours go through [`Log::command`] alone.

use std::time::{SystemTime, UNIX_EPOCH};

use super::system::System;
use crate::cli::output::{note, say};
use crate::engine::exporters::apart;

/// Where lines go, and in whose form groups are written.
pub(super) struct Log {
    system: Option<System>,
    /// Standard output holds a machine's form, so people's lines go to standard error, and no command is written.
    aside: bool,
}

impl Log {
    /// `aside`: standard output is taken.
    pub(super) fn new(system: Option<System>, aside: bool) -> Self {
        Self { system, aside }
    }

    /// A line for people.
    pub(super) fn line(&self, text: &str) {
        self.put(&harmless(text));
    }

    /// A command for the runner, all of whose outside parts are escaped.
    pub(super) fn command(&self, text: &str) {
        if !self.aside {
            say(text);
        }
    }

    /// Lines that a reader may fold away.
    pub(super) fn group(&self, title: &str, lines: &[String]) {
        if lines.is_empty() {
            return;
        }
        let (start, end) = match self.system {
            _ if self.aside => (format!("{title}:"), None),
            Some(system) if system.has_workflow_commands() => {
                (format!("::group::{title}"), Some("::endgroup::".to_owned()))
            }
            Some(System::Azure) => (format!("##[group]{title}"), Some("##[endgroup]".to_owned())),
            Some(System::GitLab) => {
                let seconds = SystemTime::now().duration_since(UNIX_EPOCH);
                let now = seconds.map_or(0, |d| d.as_secs());
                let name = section_name(title);
                (
                    format!("\x1b[0Ksection_start:{now}:{name}\r\x1b[0K{title}"),
                    Some(format!("\x1b[0Ksection_end:{now}:{name}\r\x1b[0K")),
                )
            }
            Some(System::Buildkite) => (format!("--- {title}"), None),
            _ => (format!("{title}:"), None),
        };
        self.put(&start);
        for line in lines {
            self.line(&format!("  {line}"));
        }
        if let Some(end) = end {
            self.put(&end);
        }
    }

    fn put(&self, text: &str) {
        if self.aside {
            note(text);
        } else {
            say(text);
        }
    }
}

fn section_name(title: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    title.chars().map(plain).collect()
}

/// Text in which no runner finds a command: GitHub's stand at the start of a line or are `##[...]`, Azure's are
/// `##vso[...]` anywhere, Buildkite's headers stand at the start of a line.
pub(super) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for (n, line) in text.lines().enumerate() {
        if n > 0 {
            out.push('\n');
        }
        let line = apart(line);
        let words = line.trim_start();
        let indent = &line[..line.len() - words.len()];
        out.push_str(indent);
        if words.starts_with("::") {
            out.push_str(": ");
            out.push_str(&words[1..]);
        } else if ["---", "+++", "~~~", "^^^"]
            .iter()
            .any(|h| words.starts_with(h))
        {
            out.push_str("· ");
            out.push_str(words);
        } else {
            out.push_str(words);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_holds_a_command_of_a_runner() {
        for text in [
            "::error file=a::b",
            "   ::set-output name=a::b",
            "x ##[error]y",
            "x ##vso[task.setvariable variable=a]b",
            "###vso[task.complete]",
            "first\n::stop-commands::x\n--- header",
            "\u{3000}::warning::x",
        ] {
            let clean = harmless(text);
            assert!(!clean.contains("##"), "{clean}");
            for line in clean.lines() {
                let words = line.trim_start();
                assert!(
                    !words.starts_with("::") && !words.starts_with("--- "),
                    "{clean}"
                );
            }
        }
        assert_eq!(harmless("a::b # c"), "a::b # c");
    }
}
