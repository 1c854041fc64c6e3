//! A commit's message and author, read from `git log`, `git format-patch` and mail.

/// A commit's message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Commit {
    /// Its id, where it is known.
    pub id: String,
    /// The first line.
    pub subject: String,
    /// All the others.
    pub body: String,
    /// More than one parent: its form is git's.
    pub merge: bool,
    /// It is longer than what is kept of it.
    pub cut: bool,
}

/// Longest subject, characters.
pub(crate) const LONGEST: usize = 72;

/// Longest message that is kept, bytes.
pub(crate) const LONGEST_BODY: usize = 64 << 10;

/// Collects the head and message of a mail until its diff begins.
#[derive(Debug, Default)]
pub(crate) struct Mail {
    commit: Commit,
    part: Part,
    /// The header that a folded line goes on with.
    header: Header,
}

#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Part {
    /// No mail.
    #[default]
    None,
    Head,
    Message,
    /// After the message: a summary and the diff.
    Rest,
    /// The head of a commit as `git log` and `git show` print it.
    LogHead,
    /// Its message, indented by four blanks.
    LogMessage,
}

#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Header {
    #[default]
    Other,
    Subject,
    Encoding,
    ContentType,
}

/// What a line outside of a diff makes of a mail.
#[derive(Debug, Default)]
pub(crate) struct LineOutcome {
    /// A message is complete.
    pub(crate) commit: Option<Commit>,
    /// The mail's text (or a part's) is not written as it will be applied: why it cannot be read.
    pub(crate) unreadable: Option<&'static str>,
}

impl Mail {
    /// Takes a line that stands outside of a diff.
    pub(crate) fn line(&mut self, line: &[u8]) -> LineOutcome {
        let mut outcome = LineOutcome::default();
        let text = String::from_utf8_lossy(line);
        if let Some(id) = envelope(line) {
            outcome.commit = self.begin();
            self.commit.id = id;
            return outcome;
        }
        if let Some(id) = log_entry(line) {
            outcome.commit = self.take();
            *self = Self {
                part: Part::LogHead,
                ..Self::default()
            };
            self.commit.id = id;
            return outcome;
        }
        let lower = cut_to_boundary(&text, 1_000).to_ascii_lowercase();
        // A part of a mail has such lines, too, wherever it begins.
        for (name, header) in [
            ("content-transfer-encoding:", Header::Encoding),
            ("content-type:", Header::ContentType),
        ] {
            if let Some(value) = lower.strip_prefix(name) {
                self.header = header;
                outcome.unreadable = header.obstacle(value);
                return outcome;
            }
        }
        let begins = [
            "from: ",
            "subject: ",
            "message-id: ",
            "received: ",
            "mime-version: ",
        ];
        if matches!(self.part, Part::None | Part::Rest)
            && begins.iter().any(|b| lower.starts_with(b))
        {
            outcome.commit = self.begin();
        }
        match self.part {
            Part::Head if text.trim().is_empty() => {
                self.part = Part::Message;
                self.header = Header::Other;
                self.commit.subject = decoded_words(&self.commit.subject);
            }
            Part::Head if text.starts_with([' ', '\t']) => match self.header {
                Header::Subject => {
                    self.commit.subject.push(' ');
                    self.commit.subject.push_str(text.trim());
                }
                other => outcome.unreadable = other.obstacle(&lower),
            },
            Part::Head => {
                self.header = Header::Other;
                if lower.starts_with("subject:") {
                    self.header = Header::Subject;
                    // `[PATCH 1/2]` is the mail's, not the commit's.
                    let subject = text["subject:".len()..].trim_start();
                    let subject = match subject.strip_prefix('[').and_then(|s| s.split_once("] ")) {
                        Some((_, rest)) => rest,
                        None => subject,
                    };
                    subject.clone_into(&mut self.commit.subject);
                }
            }
            Part::Message if text.trim_end() == "---" => {
                self.part = Part::Rest;
                outcome.commit = Some(std::mem::take(&mut self.commit));
            }
            Part::Message if self.commit.body.len() < LONGEST_BODY => {
                self.commit.body.push_str(&text);
                self.commit.body.push('\n');
            }
            Part::Message => self.commit.cut = true,
            Part::LogHead if text.trim().is_empty() => self.part = Part::LogMessage,
            Part::LogHead => {}
            Part::LogMessage => {
                let text = text.strip_prefix("    ").unwrap_or(&text);
                if self.commit.subject.is_empty() {
                    text.clone_into(&mut self.commit.subject);
                } else if self.commit.body.len() < LONGEST_BODY {
                    self.commit.body.push_str(text);
                    self.commit.body.push('\n');
                } else {
                    self.commit.cut = true;
                }
            }
            Part::None | Part::Rest => {
                if text.starts_with([' ', '\t']) {
                    outcome.unreadable = self.header.obstacle(&lower);
                } else {
                    self.header = Header::Other;
                }
            }
        }
        outcome
    }

    fn begin(&mut self) -> Option<Commit> {
        let before = self.take();
        *self = Self {
            part: Part::Head,
            ..Self::default()
        };
        before
    }

    /// In a mail, before its diff: what stands there is no line of a change.
    pub(crate) fn is_open(&self) -> bool {
        self.part != Part::None
    }

    /// The diff begins (or the input ends): what is there of the message.
    pub(crate) fn take(&mut self) -> Option<Commit> {
        if matches!(self.part, Part::None | Part::Rest) {
            return None;
        }
        self.part = Part::Rest;
        Some(std::mem::take(&mut self.commit))
    }

    /// A file of the diff has begun: what follows it is no longer the mail's own text.
    pub(crate) fn close(&mut self) {
        self.part = Part::None;
    }
}

impl Header {
    /// What the value of a header says against reading the text below it as it stands.
    fn obstacle(self, value: &str) -> Option<&'static str> {
        let value = value.trim();
        match self {
            Self::Other | Self::Subject => None,
            Self::Encoding => {
                // git looks for the words anywhere in the value.
                let plain = value
                    .split([';', ' ', '\t', '"'])
                    .all(|word| matches!(word, "" | "7bit" | "8bit" | "binary"));
                (!plain).then_some("a mail is encoded (quoted-printable, base64 or the like)")
            }
            Self::ContentType => {
                let parameter = |name: &str| {
                    let mut parts = value.split(';').map(str::trim);
                    parts.find_map(|part| {
                        let rest = part.strip_prefix(name)?.trim_start();
                        Some(rest.strip_prefix('=')?.trim().trim_matches('"'))
                    })
                };
                // git looks for the word anywhere in the value.
                if value.contains("flowed") || parameter("format").is_some_and(|f| f != "fixed") {
                    return Some("a mail in format=flowed, whose lines are not the lines applied");
                }
                let read = ["utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1"];
                match parameter("charset") {
                    Some(charset) if !read.contains(&charset) => {
                        Some("a mail in a character set that is not read")
                    }
                    _ => None,
                }
            }
        }
    }
}

pub(crate) fn cut_to_boundary(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len()))
        .rev()
        .find(|at| text.is_char_boundary(*at));
    &text[..end.unwrap_or(0)]
}

/// `commit <id>`, the line that begins a commit in the output of `git log` and `git show`; its id.
pub(crate) fn log_entry(line: &[u8]) -> Option<String> {
    let rest = std::str::from_utf8(line.strip_prefix(b"commit ")?).ok()?;
    let (id, rest) = rest.split_at_checked(rest.find(' ').unwrap_or(rest.len()))?;
    let is_id = matches!(id.len(), 40 | 64) && id.bytes().all(|b| b.is_ascii_hexdigit());
    let decorated = rest.is_empty() || rest.starts_with(" (");
    (is_id && decorated).then(|| id.to_owned())
}

/// `From <id or address> <date>`, the line that begins a mail in a box; the commit's id where it has one.
pub(crate) fn envelope(line: &[u8]) -> Option<String> {
    let rest = std::str::from_utf8(line.strip_prefix(b"From ")?).ok()?;
    let (who, date) = rest.split_once(' ')?;
    // A date has a time of day; a sentence that begins with this word hardly ever.
    let timed = date
        .split([' ', '\t'])
        .any(|part| part.len() == 8 && part.bytes().filter(|b| *b == b':').count() == 2);
    let is_id = matches!(who.len(), 40 | 64) && who.bytes().all(|b| b.is_ascii_hexdigit());
    timed.then(|| if is_id { who.to_owned() } else { String::new() })
}

/// Undoes the encoding of headers (`=?utf-8?q?…?=`), where it is in UTF-8.
pub(crate) fn decoded_words(text: &str) -> String {
    use base64::Engine as _;
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("=?") {
        let mut parts = after.splitn(4, '?');
        let (charset, kind, word) = (parts.next(), parts.next(), parts.next());
        let end = parts.next().and_then(|r| r.strip_prefix('='));
        let decoded = match (charset, kind, word, end) {
            (Some(charset), Some(kind), Some(word), Some(_))
                if charset.eq_ignore_ascii_case("utf-8")
                    || charset.eq_ignore_ascii_case("us-ascii") =>
            {
                let bytes = if kind.eq_ignore_ascii_case("b") {
                    base64::engine::general_purpose::STANDARD.decode(word).ok()
                } else {
                    Some(crate::percent::unescaped(&word.replace('_', " "), b'='))
                };
                bytes.map(|b| String::from_utf8_lossy(&b).into_owned())
            }
            _ => None,
        };
        match (decoded, end) {
            (Some(decoded), Some(next)) => {
                // White space between two encoded words belongs to neither.
                if !before.trim().is_empty() || out.is_empty() {
                    out.push_str(before);
                }
                out.push_str(&decoded);
                rest = next;
            }
            _ => {
                out.push_str(before);
                out.push_str("=?");
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}
