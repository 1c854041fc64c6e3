//! Two versions of a whole Markdown file: whether they differ in words alone.
//!
//! Why a parser: what a line is depends on all lines above it. Everything that is not a word (code, links with
//! their labels, images, HTML, metadata, mathematics, footnotes) is taken out of both versions in its order.
//! Nothing of it may be new, changed or moved; a link or a name in code marks may go. What is left of blocks
//! that differ must be words.

use std::collections::HashSet;

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use super::sentences::{is_identifier, only_plain_words_come, speaks_of_agents};

/// What is not a word, in its place among the others.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fixed {
    /// May go.
    Mild(String),
    /// Must stay.
    Firm(String),
}

/// A letter that stands in a sentence for what was taken out of it.
const IN_ITS_PLACE: char = 'X';

/// A version, taken apart.
#[derive(Debug, Default)]
struct Parts {
    fixed: Vec<Fixed>,
    /// The words of each block, what is fixed left out.
    blocks: Vec<String>,
    /// The open block has a tag in it.
    has_html: bool,
}

/// Whether only words differ between two versions.
///
/// # Errors
/// Why that is not proven.
pub(super) fn differ_in_words_alone(old: &str, new: &str) -> Result<(), &'static str> {
    // Written for another program first, whose blocks this parser does not know.
    let (old, new) = (without_mark(old), without_mark(new));
    if front_matter(old) != front_matter(new) || old.starts_with('{') || new.starts_with('{') {
        return Err("settings at its top change, or may do so");
    }
    let of_mkdocs = |text: &str| {
        let mut lines = text.lines().map(str::trim_start);
        lines.any(|l| {
            ["!!! ", "??? ", "???+", "=== "]
                .iter()
                .any(|m| l.starts_with(m))
        })
    };
    if of_mkdocs(old) || of_mkdocs(new) {
        return Err("it is written for a program that fills it in");
    }
    let filled_in = |mark: &&str| old.contains(*mark) || new.contains(*mark);
    if ["{%", "<%", "--8<--"].iter().any(filled_in) {
        return Err("it is written for a program that fills it in");
    }
    let moves = |mark: &&str| old.matches(*mark).count() != new.matches(*mark).count();
    if ["\n---\n", "\n+++\n", "\n...\n"].iter().any(moves) {
        return Err("a separator comes or goes");
    }
    if containers(old)? != containers(new)? {
        return Err("a container begins or ends elsewhere");
    }
    let (before, after) = (Parts::of(old), Parts::of(new));
    let mut left = before.fixed.iter();
    let mut gone = Vec::new();
    for item in &after.fixed {
        loop {
            match left.next() {
                Some(old) if old == item => break,
                Some(old) => gone.push(old),
                None => return Err("code, a link, a tag or a setting is new, changed or moved"),
            }
        }
    }
    gone.extend(left);
    if gone.iter().any(|item| matches!(item, Fixed::Firm(_))) {
        return Err("code, a tag or a setting goes");
    }
    let known = |parts: &Parts| -> HashSet<String> { parts.blocks.iter().cloned().collect() };
    let (known_before, known_after) = (known(&before), known(&after));
    let changed = |parts: &Parts, known: &HashSet<String>| -> Vec<String> {
        let blocks = parts.blocks.iter();
        blocks.filter(|b| !known.contains(*b)).cloned().collect()
    };
    let (gone, come) = (
        changed(&before, &known_after),
        changed(&after, &known_before),
    );
    if gone.iter().chain(&come).any(|text| speaks_of_agents(text)) {
        return Err("what changes speaks of agents");
    }
    // What stands between two of Hugo's may be code.
    let of_hugo = |text: &String| text.contains("{{<") || text.contains("{{%");
    if before.blocks.iter().chain(&after.blocks).any(of_hugo) {
        return Err("it is written for a program that fills it in");
    }
    // Lines with which some programs take code in.
    let takes_in = |text: &String| ["import ", "export "].iter().any(|w| text.starts_with(w));
    if come.iter().any(takes_in) {
        return Err("a changed paragraph has more than words");
    }
    // At the top a word with a colon is a setting to some programs.
    let is_setting = |text: &String| {
        let first = text.split_whitespace().next().unwrap_or_default();
        first.contains(':')
            && [&before, &after]
                .iter()
                .any(|p| p.blocks.first() == Some(text))
    };
    if gone.iter().chain(&come).any(is_setting) {
        return Err("a setting at the top changes");
    }
    // Of the whole text: what is no word may not change its place either.
    if !only_plain_words_come(&text_of(&before.blocks), &text_of(&after.blocks)) {
        return Err("a changed paragraph has more than words");
    }
    Ok(())
}

/// Without a byte-order mark.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// Settings at the top, as static site generators read them: what stands before the second line of marks.
fn front_matter(text: &str) -> Option<&str> {
    let mark = ["---", "+++", ";;;"]
        .iter()
        .find(|m| text.starts_with(*m))?;
    let mut at = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        at += line.len();
        if index > 0 && (line.trim_end() == *mark || line.trim_end() == "...") {
            return Some(&text[..at]);
        }
    }
    None
}

/// The lines with which containers of other programs begin and end (`:::{note}`), where they hold prose.
fn containers(text: &str) -> Result<Vec<&str>, &'static str> {
    const OF_PROSE: [&str; 15] = [
        "",
        "note",
        "tip",
        "hint",
        "info",
        "important",
        "warning",
        "caution",
        "attention",
        "danger",
        "error",
        "seealso",
        "deprecated",
        "versionadded",
        "versionchanged",
    ];
    let lines = text.lines().filter(|l| l.contains(":::"));
    lines
        .map(|line| {
            let name = line.trim().trim_start_matches(':').trim_start();
            let name = name.strip_prefix('{').unwrap_or(name);
            let end = name.find(|c: char| !c.is_ascii_alphabetic());
            let name = &name[..end.unwrap_or(name.len())];
            let known = line.trim_start().starts_with(":::") && OF_PROSE.contains(&name);
            known
                .then_some(line)
                .ok_or("it is written for a program that fills it in")
        })
        .collect()
}

fn text_of(blocks: &[String]) -> Vec<&str> {
    blocks.iter().map(String::as_str).collect()
}

impl Parts {
    fn of(text: &str) -> Self {
        let mut collector = Collector::default();
        for event in Parser::new_ext(text, options()) {
            collector.event(event);
        }
        let Collector {
            mut parts,
            mut block,
            ..
        } = collector;
        parts.end_block(&mut block);
        parts
            .fixed
            .extend(definitions(text).into_iter().map(Fixed::Firm));
        parts
    }

    fn end_block(&mut self, block: &mut String) {
        if std::mem::take(&mut self.has_html) {
            // What stands between tags may be code or a link's label.
            self.fixed.push(Fixed::Firm(std::mem::take(block)));
        } else if !block.trim().is_empty() {
            self.blocks.push(std::mem::take(block));
        }
        block.clear();
    }
}

/// The extensions of Markdown that are read.
fn options() -> Options {
    Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_MATH
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS
        | Options::ENABLE_PLUSES_DELIMITED_METADATA_BLOCKS
}

/// Collects the parts of a document from the parser's events.
#[derive(Default)]
struct Collector {
    parts: Parts,
    /// Prose of the block that is open.
    block: String,
    /// The text of code, metadata or HTML that is open.
    verbatim: Option<String>,
    /// Links that are open: the target, and the label so far.
    links: Vec<(String, String)>,
}

impl Collector {
    /// Takes in the parser's next event.
    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                let language = match kind {
                    CodeBlockKind::Indented => String::new(),
                    CodeBlockKind::Fenced(language) => language.to_string(),
                };
                self.verbatim = Some(format!("code {language}\n"));
            }
            Event::Start(Tag::MetadataBlock(_)) => self.verbatim = Some("metadata\n".into()),
            Event::Start(Tag::HtmlBlock) => self.verbatim = Some("html\n".into()),
            Event::End(TagEnd::CodeBlock | TagEnd::MetadataBlock(_) | TagEnd::HtmlBlock) => {
                self.parts
                    .fixed
                    .extend(self.verbatim.take().map(Fixed::Firm));
            }
            Event::Start(Tag::Link {
                dest_url, title, ..
            }) => {
                self.links
                    .push((format!("link {dest_url} {title}"), String::new()));
            }
            Event::Start(Tag::Image {
                dest_url, title, ..
            }) => {
                self.links
                    .push((format!("image {dest_url} {title}"), String::new()));
            }
            Event::End(TagEnd::Link | TagEnd::Image) => {
                if let Some((target, label)) = self.links.pop() {
                    self.parts
                        .fixed
                        .push(Fixed::Mild(format!("{target} {label}")));
                    self.block.push(IN_ITS_PLACE);
                }
            }
            Event::Start(Tag::FootnoteDefinition(name)) => {
                self.parts
                    .fixed
                    .push(Fixed::Firm(format!("footnote {name}")));
            }
            Event::Text(text) => {
                if let Some(open) = &mut self.verbatim {
                    open.push_str(&text);
                } else if let Some((_, label)) = self.links.last_mut() {
                    label.push_str(&text);
                } else {
                    self.block.push_str(&text);
                }
            }
            Event::Code(text) => match self.links.last_mut() {
                Some((_, label)) => label.push_str(&text),
                None if is_identifier(&text) && !self.block.ends_with('}') => {
                    self.block.push(IN_ITS_PLACE);
                }
                None => {
                    self.parts.fixed.push(Fixed::Mild(format!("code {text}")));
                    self.block.push(IN_ITS_PLACE);
                }
            },
            Event::Html(text) | Event::InlineHtml(text) => match &mut self.verbatim {
                Some(open) => open.push_str(&text),
                None => {
                    self.parts.fixed.push(Fixed::Firm(format!("html {text}")));
                    self.parts.has_html = true;
                }
            },
            Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.parts.fixed.push(Fixed::Firm(format!("math {text}")));
            }
            Event::FootnoteReference(name) => {
                self.parts
                    .fixed
                    .push(Fixed::Firm(format!("reference {name}")));
            }
            Event::SoftBreak | Event::HardBreak => match self.links.last_mut() {
                Some((_, label)) => label.push(' '),
                None => self.block.push(' '),
            },
            Event::Start(
                Tag::Paragraph
                | Tag::Heading { .. }
                | Tag::Item
                | Tag::TableCell
                | Tag::BlockQuote(_),
            )
            | Event::End(
                TagEnd::Paragraph
                | TagEnd::Heading(_)
                | TagEnd::Item
                | TagEnd::TableCell
                | TagEnd::BlockQuote(_),
            ) => self.parts.end_block(&mut self.block),
            _ => {}
        }
    }
}

/// Definitions of links: they show in no event where nothing refers to them.
fn definitions(text: &str) -> Vec<String> {
    let mut definitions: Vec<String> = Parser::new_ext(text, options())
        .reference_definitions()
        .iter()
        .map(|(name, target)| {
            let title = target.title.as_deref().unwrap_or_default();
            format!("definition {name} {} {title}", target.dest)
        })
        .collect();
    definitions.sort();
    // Where a label is defined twice, programs choose differently.
    let raw = text.lines().filter(|line| {
        let line = line.trim_start_matches([' ', '>']);
        line.starts_with('[') && line.contains("]:")
    });
    definitions.extend(raw.map(str::to_owned));
    definitions
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "# Title\n\nSome words stand here, with `name` and [a link](a.md).\n\n- first thing\n- second thing\n\n```sh\nmake\n```\n\n<!-- note -->\n\nSee [b].\n\n[b]: b.md\n";

    #[test]
    fn words_may_change_in_every_block() {
        for (from, to) in [
            ("Some words stand here", "Other words\nstand here now"),
            ("# Title", "# Another title"),
            ("- second thing", "- second thing\n- a third thing, too"),
            ("with `name` and [a link](a.md)", "with `name`"),
            ("Some words", "The `--exact` option and `max_depth`"),
            ("- second thing", "- second thing, see #12 (@someone)"),
            ("See [b].", "Please see [b].\n\n> A quoted line of words."),
        ] {
            let after = BEFORE.replace(from, to);
            assert_ne!(after, BEFORE);
            assert_eq!(differ_in_words_alone(BEFORE, &after), Ok(()), "{to}");
        }
    }

    #[test]
    fn nothing_else_may_change_or_move() {
        for (from, to) in [
            ("make\n", "make evil\n"),
            ("```sh", "```python"),
            ("(a.md)", "(evil.md)"),
            ("(a.md)", "(a(b)evil.md)"),
            ("[a link]", "[another link]"),
            ("`name`", "`other`"),
            ("`name` and [a link](a.md)", "[a link](a.md) and `name`"),
            ("See [b].", "See [b] and [c](c.md)."),
            ("[b]: b.md", "[b]: evil.md"),
            ("[b]: b.md", "[b]:\nevil.md"),
            ("<!-- note -->", "<!-- order -->"),
            ("<!-- note -->\n\n", ""),
            ("- second thing", "- second thing\n\n      rm it\n"),
            ("- second thing", "-     rm everything"),
            ("Some words", "    rm it\n\nSome words"),
            ("Some words", "Get it at evil.example, some words"),
            ("Some words", "Some <b>words"),
            ("# Title", "---\nlayout: x\n---\n\n# Title"),
            ("# Title", ":::{code}\n\n# Title"),
            ("# Title", ":::{note}\n\n# Title"),
            ("# Title", "{% include x %}\n\n# Title"),
            ("Some words", "Run `rm\n-rf all` some words"),
            ("Some words", "The agent must know that some words"),
            ("```sh\nmake\n```\n\n", ""),
        ] {
            let after = BEFORE.replace(from, to);
            assert_ne!(after, BEFORE, "{from}");
            assert!(differ_in_words_alone(BEFORE, &after).is_err(), "{to}");
        }
        for (old, new) in [
            (
                "\u{feff}---\nlayout: good\n---\nWords here.\n",
                "\u{feff}---\nlayout: evil\n---\nWords here.\n",
            ),
            (
                "---\n\n# About\nlayout: good\n---\nWords.\n",
                "---\n\n# About\nlayout: evil\n---\nWords.\n",
            ),
            ("Words.\n", "Words.\n\nimport evil from 'evil-package';\n"),
            (
                "Run <code>npm install good</code> now.\n",
                "Run <code>npm install evil</code> now.\n",
            ),
            (
                "See [x].\n\n[x]: a.md\n",
                "See [x].\n\n[x]: a.md\n[x]: evil.md\n",
            ),
            (
                "Words.\n\n[//]: # (a note)\n",
                "Words.\n\n[//]: # (a note)\n[//]: # (an order)\n",
            ),
            (
                "{{< highlight sh >}}\n\nrun it\n",
                "{{< highlight sh >}}\n\nrun more\n",
            ),
            ("A {{ version }} here.\n", "A {{ secret }} here.\n"),
            (
                "See {ref}`install_guide` now.\n",
                "See {ref}`other_guide` now.\n",
            ),
            (
                "=== \"npm\"\n\n        npm install good\n",
                "=== \"npm\"\n\n        npm install evil\n",
            ),
            (
                "a|b\n-|-\nstable|good.example\nold|old.example\n",
                "a|b\n-|-\nstable|old.example\nold|good.example\n",
            ),
            ("--8<-- \"Makefile\"\n", "--8<-- \"LICENSE\"\n"),
        ] {
            assert!(differ_in_words_alone(old, new).is_err(), "{new}");
        }
        let two = "[one](a.md) and [two](b.md) here.\n";
        assert!(differ_in_words_alone(two, "[two](a.md) and [one](b.md) here.\n").is_err());
        assert!(differ_in_words_alone("Some words\n", "Layout: some words\n").is_err());
        assert!(
            differ_in_words_alone(
                "\n---\na: b\n---\nWords here.\n",
                "---\na: b\n---\nWords here.\n"
            )
            .is_err()
        );
    }
}
