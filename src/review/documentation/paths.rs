//! Which files are prose for readers, by their names.

/// Endings of markup for prose.
const MARKUP: [&str; 5] = [".md", ".markdown", ".rst", ".adoc", ".asciidoc"];

/// Plain text that is prose by its name. Any other `.txt` may be a program's input.
const PLAIN_TEXT: [&str; 13] = [
    "readme",
    "changelog",
    "changes",
    "history",
    "news",
    "authors",
    "contributors",
    "contributing",
    "thanks",
    "todo",
    "install",
    "faq",
    "releasing",
];

/// Folders whose files programs read, or whose text is a model's orders.
const INPUTS: [&str; 30] = [
    "src",
    "lib",
    "app",
    "test",
    "tests",
    "__tests__",
    "spec",
    "specs",
    "testdata",
    "test-data",
    "fixture",
    "fixtures",
    "snapshots",
    "template",
    "templates",
    "prompt",
    "prompts",
    "skill",
    "skills",
    "agents",
    "knowledge",
    "commands",
    "rules",
    "i18n",
    "locale",
    "locales",
    "translations",
    "_includes",
    "_layouts",
    "_data",
];

/// A file whose text an agent takes as its orders.
pub fn is_agent_instructions(path: &str) -> bool {
    const NAMES: [&str; 16] = [
        "agents.md",
        "agent.md",
        "claude.md",
        "claude.local.md",
        "gemini.md",
        "codex.md",
        "warp.md",
        "skill.md",
        "conventions.md",
        "instructions.md",
        "copilot-instructions.md",
        "llms.txt",
        "llms-full.txt",
        ".cursorrules",
        ".windsurfrules",
        ".clinerules",
    ];
    const ENDINGS: [&str; 6] = [
        ".instructions.md",
        ".prompt.md",
        ".chatmode.md",
        ".agent.md",
        ".mdc",
        "prompt.md",
    ];
    let lower = path.to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or(&lower);
    NAMES.contains(&name)
        || ENDINGS.iter().any(|end| name.ends_with(end))
        || name.starts_with("agents.") && name.ends_with(".md")
        || name.starts_with("claude.") && name.ends_with(".md")
}

/// Whether a file is prose for readers.
///
/// # Errors
/// Why it is not.
pub fn is_prose(path: &str) -> Result<(), &'static str> {
    if !path.bytes().all(|b| (b' '..0x7f).contains(&b)) {
        return Err("its name has characters beyond ASCII");
    }
    let lower = path.to_ascii_lowercase();
    let (folders, name) = lower.rsplit_once('/').unwrap_or(("", &lower));
    if is_agent_instructions(path) {
        return Err("it instructs agents");
    }
    let stem = name.split('.').next().unwrap_or(name);
    if [
        "license",
        "licence",
        "copying",
        "notice",
        "unlicense",
        "patents",
    ]
    .iter()
    .any(|word| stem.starts_with(word))
    {
        return Err("it is a licence");
    }
    if stem.starts_with("security") || stem.starts_with("codeowners") {
        return Err("it says whom to trust");
    }
    let text = name.strip_suffix(".txt");
    let markup = MARKUP.iter().any(|end| name.ends_with(end));
    if !markup && !text.is_some_and(|stem| PLAIN_TEXT.contains(&stem)) {
        return Err("it is not prose by its name");
    }
    if text.is_some() && !folders.is_empty() {
        return Err("a text file below the top may be a program's input");
    }
    for folder in folders.split('/').filter(|f| !f.is_empty()) {
        if folder.starts_with('.') {
            return Err("it lies in a hidden folder");
        }
        if INPUTS.contains(&folder) {
            return Err("it lies in a folder that programs read");
        }
    }
    Ok(())
}

/// A line of a source or build file that mentions a document's name reads the document, as far as a line
/// can tell.
pub fn is_read_by(source: &str, line: &str) -> bool {
    const READS: [&str; 22] = [
        "include_str!",
        "include_bytes!",
        "include!",
        "#include",
        "go:embed",
        "open(",
        "read_text(",
        "read_to_string",
        "readfile",
        "read_file",
        "file(read",
        "configure_file",
        "file.read",
        "file_get_contents",
        "get-content",
        "require(",
        "import ",
        "testfile(",
        "doctest",
        "literalinclude",
        "mdinclude",
        "load(",
    ];
    if is_prose(source).is_ok() {
        return false;
    }
    let line = line.to_ascii_lowercase();
    READS.iter().any(|mark| line.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_known_by_name_and_place() {
        for path in [
            "README.md",
            "docs/guide/start.md",
            "CHANGELOG.rst",
            "doc/intro.adoc",
            "packages/core/README.md",
            "NEWS.txt",
        ] {
            assert_eq!(is_prose(path), Ok(()), "{path}");
        }
        for path in [
            "AGENTS.md",
            "docs/CLAUDE.md",
            "skills/x/SKILL.md",
            ".github/copilot-instructions.md",
            ".github/PULL_REQUEST_TEMPLATE.md",
            "review.prompt.md",
            "LICENSE.md",
            "COPYING.rst",
            "SECURITY.md",
            "requirements.txt",
            "docs/requirements.txt",
            "docs/README.txt",
            "CMakeLists.txt",
            "robots.txt",
            "src/intro.md",
            "tests/data/a.md",
            "prompts/review.md",
            "data/agents/x.md",
            "page.mdx",
            "a.py",
            "README",
            "R\u{415}ADME.md",
        ] {
            assert!(is_prose(path).is_err(), "{path}");
        }
    }
}
