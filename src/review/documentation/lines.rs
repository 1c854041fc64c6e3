//! What in a line of documentation is more than words: code, commands, links, checksums, directives, tags.
//!
//! Why by lines: only the hunk is at hand. Where it does not show whether a line stands in a code block, the
//! line must look like a sentence.

use std::sync::LazyLock;

use regex::Regex;

use super::super::diff::{Line, Side};

/// The form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Markup {
    Markdown,
    ReStructuredText,
    AsciiDoc,
    Plain,
}

/// What is known of the place where a line stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// The hunk does not show it.
    Unknown,
    /// In no code block.
    Text,
    /// In a code block that ends with such a fence.
    Code { fence: char, length: usize },
    /// In the settings at the top of the file.
    FrontMatter(&'static str),
}

type Obstacle = (u32, &'static str);

impl Markup {
    pub(super) fn of(path: &str) -> Self {
        let lower = path.to_ascii_lowercase();
        if lower.ends_with(".md") || lower.ends_with(".markdown") {
            Self::Markdown
        } else if lower.ends_with(".rst") {
            Self::ReStructuredText
        } else if lower.ends_with(".adoc") || lower.ends_with(".asciidoc") {
            Self::AsciiDoc
        } else {
            Self::Plain
        }
    }

    /// Reads one side of a hunk: its lines of context and those that change. What is more than words in
    /// changed lines goes into `items`.
    pub(super) fn read(
        self,
        side: &[&Line],
        changed: Side,
        items: &mut Vec<String>,
    ) -> Result<(), Obstacle> {
        let texts: Vec<&str> = side
            .iter()
            .map(|l| {
                std::str::from_utf8(&l.text).map_err(|_| (l.number, "a line that is not UTF-8"))
            })
            .collect::<Result<_, _>>()?;
        let mut state = self.first_state(side, &texts);
        for (index, (line, text)) in side.iter().zip(&texts).enumerate() {
            let next = self.after(&state, text, line.number);
            if line.side == changed {
                let inside = matches!(state, State::Code { .. });
                if inside || self.is_fence(text).is_some() {
                    return Err((line.number, "a code block changes"));
                }
                if matches!(state, State::FrontMatter(_)) || matches!(next, State::FrontMatter(_)) {
                    return Err((line.number, "the file's settings change"));
                }
                let alone = || {
                    let near = |at: Option<usize>| {
                        at.and_then(|i| texts.get(i))
                            .is_some_and(|t| is_sentence(t))
                    };
                    !near(index.checked_sub(1)) && !near(Some(index + 1))
                };
                let known = state == State::Text;
                self.changed_line(text, known, alone, items)
                    .map_err(|why| (line.number, why))?;
            }
            state = next;
        }
        Ok(())
    }

    /// Where the first line stands. A fence that names a language opens a block, so that what is above it
    /// is text.
    fn first_state(self, side: &[&Line], texts: &[&str]) -> State {
        if side.first().is_some_and(|l| l.number == 1) || self == Self::Plain {
            return State::Text;
        }
        let mut fences = texts.iter().filter_map(|t| self.is_fence(t));
        match fences.next() {
            Some((_, _, named)) if named && self == Self::Markdown => State::Text,
            _ => State::Unknown,
        }
    }

    fn after(self, state: &State, text: &str, number: u32) -> State {
        let fence = self.is_fence(text);
        match (state, fence) {
            (
                State::Code {
                    fence: f,
                    length: l,
                },
                Some((fence, length, named)),
            ) if fence == *f && length >= *l && !named => State::Text,
            (State::Code { .. }, _) => state.clone(),
            (State::FrontMatter(end), _) if text.trim_end() == *end => State::Text,
            (State::FrontMatter(_), _) => state.clone(),
            (State::Text, _)
                if self == Self::Markdown && number == 1 && text.trim_end() == "---" =>
            {
                State::FrontMatter("---")
            }
            (State::Text, _)
                if self == Self::Markdown && number == 1 && text.trim_end() == "+++" =>
            {
                State::FrontMatter("+++")
            }
            (State::Text, Some((fence, length, _))) => State::Code { fence, length },
            (State::Unknown, Some((fence, length, true))) if self == Self::Markdown => {
                State::Code { fence, length }
            }
            _ => state.clone(),
        }
    }

    /// A line that begins or ends a code block: its character, its length, and whether it names a language.
    fn is_fence(self, text: &str) -> Option<(char, usize, bool)> {
        let trimmed = text.trim_start_matches([' ', '>', '\t']);
        let marks: &[char] = match self {
            Self::Markdown => &['`', '~'],
            Self::AsciiDoc => &['-', '.', '+', '`', '=', '*', '_', '/'],
            Self::ReStructuredText | Self::Plain => return None,
        };
        let mark = trimmed.chars().next().filter(|c| marks.contains(c))?;
        let length = trimmed.chars().take_while(|c| *c == mark).count();
        let rest = trimmed[length..].trim();
        let fence = match self {
            Self::Markdown => length >= 3 && !rest.contains('`'),
            // Four or more of one character and nothing else delimit a block.
            _ => length >= if mark == '`' { 3 } else { 4 } && rest.is_empty(),
        };
        fence.then_some((mark, length, !rest.is_empty()))
    }

    fn changed_line(
        self,
        text: &str,
        known: bool,
        alone: impl Fn() -> bool,
        items: &mut Vec<String>,
    ) -> Result<(), &'static str> {
        let text = text.trim_end();
        if text.is_empty() {
            return Ok(());
        }
        if text.chars().any(|c| c.is_control() && c != '\t') {
            return Err("a control character");
        }
        if self.is_directive(text) {
            items.push(text.trim().to_owned());
            return Ok(());
        }
        let body = without_markers(text.trim_start());
        let indented = text.starts_with('\t')
            || text.len() - text.trim_start_matches(' ').len() >= self.code_indent();
        let listed = body.len() < text.trim_start().len();
        let bare = self.items(body, items);
        if (!known || (indented && !listed)) && !is_prose_shaped(&bare, text, alone) {
            return Err(if known {
                "an indented line may be code"
            } else {
                "the diff does not show whether a line stands in a code block"
            });
        }
        Ok(())
    }

    /// Blanks at a line's start that may make it code.
    fn code_indent(self) -> usize {
        match self {
            Self::Markdown => 4,
            Self::ReStructuredText | Self::AsciiDoc => 1,
            Self::Plain => usize::MAX,
        }
    }

    /// A line that tells the program that renders the file what to do.
    fn is_directive(self, text: &str) -> bool {
        let trimmed = text.trim_start();
        let begins = |marks: &[&str]| marks.iter().any(|m| trimmed.starts_with(m));
        match self {
            Self::Markdown => {
                begins(&[
                    ":::", "!!!", "???", "{%", "{{", "{:", "<!--", "%%", "--8<--", "@import", "$$",
                    "=== \"",
                ]) || (trimmed.starts_with('[') && trimmed.contains("]:"))
                    || trimmed.eq_ignore_ascii_case("[toc]")
                    || trimmed.eq_ignore_ascii_case("[[_toc_]]")
            }
            Self::ReStructuredText => {
                begins(&[".. ", "__ ", ">>>", "|"])
                    || trimmed == ".."
                    || text.ends_with("::")
                    || (trimmed.starts_with(':') && trimmed[1..].contains(':'))
            }
            Self::AsciiDoc => {
                begins(&["[", "//", "|==="])
                    || (trimmed.starts_with(':') && trimmed[1..].contains(':'))
                    || trimmed.contains("::")
            }
            Self::Plain => false,
        }
    }

    /// Takes what is more than words out of a line: links, tags, commands, checksums. The words are left.
    fn items(self, text: &str, items: &mut Vec<String>) -> String {
        // What stands in code marks first: a command there is that, not its sentence.
        let role = self == Self::ReStructuredText;
        let text = CODE_SPAN.replace_all(text, |span: &regex::Captures<'_>| {
            let whole = &span[0];
            let before = span.get(0).map_or(0, |m| m.start());
            let named = role && (text[..before].ends_with(':') || whole.contains('<'));
            if named || is_command_like(whole.trim_matches('`').trim()) {
                items.push(whole.to_owned());
            }
            "name"
        });
        let text = text.as_ref();
        let mut found: Vec<(usize, usize)> = Vec::new();
        for pattern in ITEMS.iter() {
            found.extend(pattern.find_iter(text).map(|m| (m.start(), m.end())));
        }
        found.sort_unstable();
        let mut bare = String::with_capacity(text.len());
        let mut at = 0;
        for (start, end) in found {
            if end <= at {
                continue;
            }
            items.push(text[start.max(at)..end].to_owned());
            bare.push_str(&text[at..start.max(at)]);
            bare.push(' ');
            at = end;
        }
        bare.push_str(&text[at..]);
        bare
    }
}

/// What is more than words, wherever it stands.
static ITEMS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    [
        // Targets of links and images, their labels, and addresses.
        r"\]\([^)]*\)",
        r"\]\[[^\]]*\]",
        r"(?i)\b(?:https?|ftps?|mailto|git|ssh|file|data|javascript|vscode|tel):[^\s<>)\]`]*[^\s<>)\]`.,;:!?]",
        r"(?i)\bwww\.[^\s<>)\]`]+",
        r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+",
        r"\b(?:link|xref|image|include|video|audio|icon|menu|footnote|pass):[^\s\[]*",
        r"<<[^>]*>>",
        r"\b[\w-]+_(?:\s|$|[.,;)])",
        // Tags and what a renderer replaces.
        r"<[A-Za-z/!?][^>]*>?",
        r"\{[^}]*\}?",
        r"\$[^\s$][^$]*\$",
        r"&(?:#\w+|\w+);",
        // Checksums and keys.
        r"\b[0-9a-fA-F]{32,}\b",
        r"\bsha(?:1|256|384|512)[-:][A-Za-z0-9+/=]+",
        r"\b[A-Za-z0-9+/]{40,}={0,2}",
        // Commands that are not marked as such.
        r"^\s*(?:\$|%|#|>>>|PS>|C:\\>)\s+\S.*",
        r"(?i)\b(?:curl|wget)\s+(?:-|https?:|ftp:|\S+\.\S).*",
        r"(?i)\bsudo\s+\w.*",
        r"(?i)\b(?:pip3?|pipx|uv|uvx|npm|npx|yarn|pnpm|bun|gem|brew|apt|apt-get|dnf|yum|apk|pacman|cargo|go|conda|choco|winget|scoop|snap|flatpak|composer|dotnet|nuget|luarocks|opam|cabal|stack)\s+(?:install|i|add|get|ci|exec|run|update|upgrade|tool|global|dlx|require)\s+\S.*",
        r"(?i)\|\s*(?:ba|z|da|fi|k)?sh\b.*",
        r"(?i)\b(?:rm|cp|mv|chmod|chown|dd|mkfs|kill|tar|unzip|ssh|scp|rsync|nc|bash|sh|zsh|python3?|node|perl|ruby|php|powershell|pwsh|cmd|iex|irm|iwr)\s+(?:-|/|~|\.|\+|[0-7]{3}).*",
        r"(?i)\b(?:docker|podman|nerdctl)\s+(?:run|pull|exec|compose|build|load)\b.*",
        r"(?i)\b(?:kubectl|helm|terraform|ansible-playbook)\s+(?:apply|create|exec|delete|install|upgrade|init|run|\S+\.ya?ml)\b.*",
        r"(?i)\bgit\s+(?:clone|push|reset|config|remote|checkout|pull|submodule|apply|am)\s+\S.*",
        r"(?i)\b(?:set|export|setx|env)\s+[A-Z_]+=.*",
    ]
    .iter()
    .filter_map(|pattern| Regex::new(pattern).ok())
    .collect()
});

static CODE_SPAN: LazyLock<Regex> =
    LazyLock::new(|| Regex::new("``[^\n]+?``|`[^`\n]+`").unwrap_or_else(|_| unreachable!()));

/// More than a name: something to type. A sign, or one option by its name, is none.
fn is_command_like(code: &str) -> bool {
    let option = code.trim_start_matches('-');
    let is_option = option.len() < code.len()
        && !option.is_empty()
        && option
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if is_option || code.chars().count() == 1 {
        return false;
    }
    code.contains(|c: char| c.is_whitespace() || "/\\|&;=$(){}<>\"'@:!".contains(c))
        || code.starts_with(['-', '.', '~', '%'])
        || [".sh", ".ps1", ".bat", ".cmd", ".py", ".exe"]
            .iter()
            .any(|end| code.ends_with(end))
}

/// A line without marks of lists, quotes and headings.
fn without_markers(text: &str) -> &str {
    let mut text = text;
    loop {
        let rest = text.trim_start_matches(['>', ' ', '\t']);
        let rest = [
            "- ", "* ", "+ ", "# ", "## ", "### ", "#### ", "##### ", "###### ", "= ", "== ",
            "=== ", ". ",
        ]
        .iter()
        .find_map(|mark| rest.strip_prefix(mark))
        .unwrap_or(rest);
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let rest = rest
            .get(digits..)
            .filter(|_| (1..=3).contains(&digits))
            .and_then(|r| r.strip_prefix(". ").or_else(|| r.strip_prefix(") ")))
            .unwrap_or(rest);
        if rest.len() == text.len() {
            return text;
        }
        text = rest;
    }
}

/// Words and nothing that only code has; and a sentence's beginning or end, or a sentence beside it.
fn is_prose_shaped(bare: &str, whole: &str, alone: impl Fn() -> bool) -> bool {
    has_only_words(bare) && (is_sentence(whole) || !alone())
}

fn has_only_words(text: &str) -> bool {
    let letters = text.chars().filter(|c| c.is_alphabetic()).count();
    let visible = text.chars().filter(|c| !c.is_whitespace()).count();
    let code = |c: char| "{}$\\;=<>|&^~@%".contains(c);
    let odd_word = |word: &str| {
        let begins = word.starts_with(['/', '~', '$', '%'])
            || word.starts_with("./")
            || word.starts_with("../");
        let option = word
            .strip_prefix('-')
            .is_some_and(|w| w.starts_with(|c: char| c.is_alphanumeric() || c == '-'));
        begins || option || word.contains("::") || word.contains("->") || word.contains("()")
    };
    letters >= 2
        && letters * 10 >= visible * 6
        && !text.contains(code)
        && !text.split_whitespace().any(odd_word)
}

/// It begins or ends as a sentence, a heading or an item does.
fn is_sentence(text: &str) -> bool {
    let text = CODE_SPAN.replace_all(text, "name");
    let trimmed = text.trim();
    let body = without_markers(trimmed);
    let words = body.split_whitespace().count();
    let begins = body.chars().next().is_some_and(char::is_uppercase)
        || body
            .chars()
            .next()
            .is_some_and(|c| c.is_alphabetic() && !c.is_lowercase() && !c.is_uppercase())
        || body.len() < trimmed.len();
    let ends = body.ends_with(['.', ':', '!', '?', ',', ')', '。', '؟', '，']);
    has_only_words(body.trim_end_matches(['`', '*', '_']))
        && (words >= 2 || !body.is_ascii())
        && (begins || ends)
}
