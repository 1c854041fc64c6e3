//! Messages of commits: from a mail of `git format-patch`, or from the history of a range.
//!
//! Why here: a message is part of the change. Its form, its sign-off and what it gives away are looked at
//! like any other text.

use super::checks::Noted;
use super::redact::Redactor;

/// A commit's message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// Its id, where it is known.
    pub id: String,
    /// The first line.
    pub subject: String,
    /// All the others.
    pub body: String,
    /// More than one parent: its message is git's.
    pub merge: bool,
}

/// Longest subject, characters.
const LONGEST: usize = 72;

impl Commit {
    fn name(&self, redactor: &Redactor) -> String {
        let id = crate::text::cut(&self.id, 10);
        let subject = redactor.text(&self.subject);
        let subject = crate::text::clean_line(&subject, 60);
        if id.is_empty() {
            format!("“{subject}”")
        } else {
            format!("{} “{subject}”", crate::text::clean_line(id, 10))
        }
    }
}

/// What their messages lack. `sign_off`: the project asks for one.
pub(super) fn check(commits: &[Commit], sign_off: bool, redactor: &Redactor) -> Vec<Noted> {
    let mut notes = Vec::new();
    for commit in commits.iter().filter(|c| !c.merge) {
        let subject = commit.subject.trim();
        let lower = subject.to_ascii_lowercase();
        let temporary = ["fixup!", "squash!", "amend!"]
            .iter()
            .any(|mark| lower.starts_with(mark))
            || lower
                .strip_prefix("wip")
                .is_some_and(|rest| !rest.starts_with(char::is_alphanumeric));
        let name = commit.name(redactor);
        if temporary {
            notes.push(Noted::whole(
                "governance/unfinished-commit",
                format!("{name}."),
            ));
        } else if subject.is_empty() {
            notes.push(Noted::whole(
                "governance/commit-form",
                format!("{name} has no subject."),
            ));
        } else if subject.chars().count() > LONGEST {
            let detail = format!("{name}: {} characters.", subject.chars().count());
            notes.push(Noted::whole("governance/commit-form", detail));
        }
        let signed = commit.body.lines().any(|line| {
            line.strip_prefix("Signed-off-by: ")
                .is_some_and(|who| who.contains('<') && who.contains('@') && who.contains('>'))
        });
        if sign_off && !signed {
            notes.push(Noted::whole("governance/sign-off", format!("{name}.")));
        }
        let text = format!("{}\n{}", commit.subject, commit.body);
        let rules = redactor.rules();
        for hit in rules.find("", text.as_bytes(), false) {
            if rules.rules()[hit.rule].secret {
                notes.push(Noted::whole(
                    "secrets/in-commit-message",
                    format!("{name}."),
                ));
                break;
            }
        }
    }
    notes
}

/// Collects the head and message of a mail until its diff begins.
#[derive(Debug, Default)]
pub(super) struct Mail {
    commit: Commit,
    part: Part,
    /// The body is not written as it is: what follows cannot be read.
    pub(super) encoded: bool,
}

#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
enum Part {
    /// No mail.
    #[default]
    None,
    Head,
    /// In the head, in the lines of the subject.
    Subject,
    Message,
    /// After the message: a summary and the diff.
    Rest,
}

impl Mail {
    /// Takes a line that stands outside of a diff; a finished message comes back once.
    pub(super) fn line(&mut self, line: &[u8]) -> Option<Commit> {
        if let Some(id) = envelope(line) {
            let begun = Self {
                part: Part::Head,
                ..Self::default()
            };
            let before = std::mem::replace(self, begun).take();
            self.commit.id = id;
            return before;
        }
        if self.part == Part::None {
            return None;
        }
        let text = String::from_utf8_lossy(line);
        match self.part {
            Part::Head | Part::Subject if text.trim().is_empty() => self.part = Part::Message,
            Part::Subject if text.starts_with([' ', '\t']) => {
                self.commit.subject.push(' ');
                self.commit.subject.push_str(text.trim());
            }
            Part::Head | Part::Subject => {
                self.part = Part::Head;
                let lower = text.to_ascii_lowercase();
                if let Some(subject) = text.strip_prefix("Subject: ") {
                    // `[PATCH 1/2]` is the mail's, not the commit's.
                    let subject = match subject.strip_prefix('[').and_then(|s| s.split_once("] ")) {
                        Some((_, rest)) => rest,
                        None => subject,
                    };
                    subject.clone_into(&mut self.commit.subject);
                    self.part = Part::Subject;
                } else if lower.starts_with("content-transfer-encoding:") {
                    self.encoded = lower.contains("quoted-printable") || lower.contains("base64");
                }
            }
            Part::Message if text.trim_end() == "---" => {
                self.part = Part::Rest;
                return Some(self.commit.clone());
            }
            Part::Message => {
                self.commit.body.push_str(&text);
                self.commit.body.push('\n');
            }
            Part::None | Part::Rest => {}
        }
        None
    }

    /// In the head or the message of a mail.
    pub(super) fn is_open(&self) -> bool {
        matches!(self.part, Part::Head | Part::Subject | Part::Message)
    }

    /// The diff begins (or the input ends): what is there of the message.
    pub(super) fn take(&mut self) -> Option<Commit> {
        if !self.is_open() {
            return None;
        }
        self.part = Part::Rest;
        Some(self.commit.clone())
    }
}

/// `From <40 hex> …`, the line that begins a mail.
fn envelope(line: &[u8]) -> Option<String> {
    let rest = line.strip_prefix(b"From ")?;
    let id = rest.get(..40)?;
    (id.iter().all(u8::is_ascii_hexdigit) && rest.get(40) == Some(&b' '))
        .then(|| String::from_utf8_lossy(id).into_owned())
}
