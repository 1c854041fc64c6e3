//! Which files are prose for readers, by their names and by what names them.

use std::sync::LazyLock;

use regex::Regex;

use super::super::pattern::constant;

/// Endings of markup for prose.
const MARKUP: [&str; 5] = [".md", ".markdown", ".rst", ".adoc", ".asciidoc"];

/// Names of documents that stand anywhere.
const DOCUMENTS: [&str; 27] = [
    "readme",
    "changelog",
    "changes",
    "history",
    "news",
    "releases",
    "release-notes",
    "authors",
    "contributors",
    "contributing",
    "code_of_conduct",
    "thanks",
    "credits",
    "faq",
    "roadmap",
    "guide",
    "tutorial",
    "glossary",
    "migration",
    "migrating",
    "upgrading",
    "troubleshooting",
    "charter",
    "releasing",
    "release-checklist",
    "development",
    "architecture",
];

/// Last words of such names.
const KINDS: [&str; 9] = [
    "guide",
    "process",
    "tutorial",
    "faq",
    "notes",
    "overview",
    "manual",
    "completions",
    "docs",
];

/// Plain text that is prose by its name, at the top. Any other `.txt` may be a program's input.
const PLAIN_TEXT: [&str; 7] = [
    "readme",
    "changelog",
    "changes",
    "history",
    "news",
    "authors",
    "contributors",
];

/// Folders of documents: what lies beneath them is prose, if nothing else speaks against it.
const FOLDERS: [&str; 7] = [
    "docs",
    "doc",
    "documentation",
    "site",
    "website",
    "guides",
    "manual",
];

/// Parts of names by which programs and agents find their input.
const INPUTS: [&str; 52] = [
    "src",
    "lib",
    "app",
    "test",
    "tests",
    "spec",
    "specs",
    "testdata",
    "fixture",
    "fixtures",
    "snapshot",
    "snapshots",
    "template",
    "templates",
    "prompt",
    "prompts",
    "skill",
    "skills",
    "agent",
    "agents",
    "subagents",
    "knowledge",
    "command",
    "commands",
    "rule",
    "rules",
    "instruction",
    "instructions",
    "steering",
    "memory",
    "chatmode",
    "chatmodes",
    "system",
    "locale",
    "locales",
    "i18n",
    "translations",
    "includes",
    "layouts",
    "data",
    "llm",
    "llms",
    "ai",
    "bot",
    "claude",
    "gemini",
    "copilot",
    "cursor",
    "qwen",
    "codex",
    "soul",
    "crush",
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

/// Whether a file is prose for readers: a document by its name, or one in a folder of documents.
///
/// # Errors
/// Why it is not.
pub fn is_prose(path: &str) -> Result<(), &'static str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._- ".contains(&b);
    if !path.bytes().all(plain) {
        return Err("its name has unusual characters");
    }
    let lower = path.to_ascii_lowercase();
    let (folders, name) = lower.rsplit_once('/').unwrap_or(("", &lower));
    let folders: Vec<&str> = folders.split('/').filter(|f| !f.is_empty()).collect();
    if is_agent_instructions(path) {
        return Err("it instructs agents");
    }
    if folders.iter().any(|f| f.starts_with('.')) {
        return Err("it lies in a hidden folder");
    }
    let parts = |text: &str| -> Vec<String> {
        text.split(['.', '-', '_', ' '])
            .map(str::to_owned)
            .collect()
    };
    let (stem, ending) = name.rsplit_once('.').unwrap_or((name, ""));
    let input = |text: &str| parts(text).iter().any(|p| INPUTS.contains(&p.as_str()));
    let documents = folders.first().is_some_and(|f| FOLDERS.contains(f));
    if folders.iter().any(|f| input(f)) || input(stem) {
        return Err("by its name a program or an agent may read it");
    }
    let forbidden = [
        "license",
        "licence",
        "copying",
        "notice",
        "unlicense",
        "patents",
    ];
    if forbidden.iter().any(|word| stem.starts_with(word)) {
        return Err("it is a licence");
    }
    let trusted = [
        "security",
        "codeowners",
        "owners",
        "maintainers",
        "governance",
    ];
    if trusted.iter().any(|word| stem.starts_with(word)) {
        return Err("it says whom to trust");
    }
    if ending == "txt" {
        return if folders.is_empty() && PLAIN_TEXT.contains(&stem) {
            Ok(())
        } else {
            Err("a text file may be a program's input")
        };
    }
    if !MARKUP.iter().any(|end| name.ends_with(end)) {
        return Err("it is not prose by its name");
    }
    let kind = stem.rsplit(['-', '_', ' ']).next().unwrap_or(stem);
    if documents || DOCUMENTS.contains(&stem) || KINDS.contains(&kind) {
        Ok(())
    } else {
        Err("it is no document by its name, and lies in no folder of documents")
    }
}

/// Files that may name a document without reading its text: what packages and tools list.
pub fn may_be_mentioned_by(path: &str) -> bool {
    const LISTS: [&str; 19] = [
        "cargo.toml",
        "setup.cfg",
        "composer.json",
        "mkdocs.yml",
        "mkdocs.yaml",
        "manifest.in",
        "codeowners",
        "labeler.yml",
        ".gitignore",
        ".gitattributes",
        ".npmignore",
        ".dockerignore",
        ".prettierignore",
        ".editorconfig",
        ".pre-commit-config.yaml",
        ".codespellrc",
        ".markdownlintignore",
        "cargo.lock",
        "package-lock.json",
    ];
    let lower = path.to_ascii_lowercase();
    let name = lower.rsplit('/').next().unwrap_or(&lower);
    let prose = MARKUP.iter().any(|end| name.ends_with(end)) && !is_agent_instructions(path);
    let harmless = [".svg", ".gemspec", ".nuspec", ".1"];
    let form = lower.contains("/issue_template/");
    prose || form || LISTS.contains(&name) || harmless.iter().any(|end| name.ends_with(end))
}

/// A line that names a document without reading it: a comment, an address of a code host's page, a command
/// that copies it into a package, an entry in a workflow's list of paths.
pub fn is_harmless_mention(source: &str, line: &str) -> bool {
    static HARMLESS: LazyLock<Regex> = LazyLock::new(|| {
        let pattern = concat!(
            r"^\s*(?:",
            r"(?:\#|//[/!]?|\*|--|;;?)\s.*",
            r"|(?:-\s*)?(?:cp|install|gzip|zip|tar|sed\s+-i)\s[^|;&<>`(]*",
            r"|[^<>`]*https?://\S+/blob/[^<>`]*",
            r#"|"?readme"?\s*[:=]\s*["']?[\w./-]+["']?,?"#,
            r")$"
        );
        constant(pattern)
    });
    static LISTED: LazyLock<Regex> = LazyLock::new(|| {
        constant(
            r#"^\s*(?:(?:paths|paths-ignore|files|body_path):[^|>]*|-\s*["']?!?[\w./*-]+["']?\s*)$"#,
        )
    });
    static PACKED: LazyLock<Regex> = LazyLock::new(|| {
        let list = r#"\[?(?:\s*["'][!\w./*-]+["']\s*,?)*\s*\]?,?"#;
        let pattern = format!(r#"^\s*(?:"?(?:files|include|exclude)"?\s*[:=]\s*)?{list}\s*$"#);
        constant(&pattern)
    });
    let name = source.rsplit('/').next().unwrap_or(source);
    let lists = matches!(name, "package.json" | "pyproject.toml") && PACKED.is_match(line);
    if lists || (source.starts_with(".github/workflows/") && LISTED.is_match(line)) {
        return true;
    }
    // In a text for readers: "see GUIDE.md".
    static IN_A_SENTENCE: LazyLock<Regex> = LazyLock::new(|| {
        constant(r"\b(?:[Ss]ee|in|the)\s(?:\\{1,2}f[BI])?[\w./-]+\.(?:md|rst|adoc|txt)\b")
    });
    static DOCUMENT: LazyLock<Regex> =
        LazyLock::new(|| constant(r"\.(?:md|markdown|rst|adoc|asciidoc|txt)\b(=?)"));
    // In a table of patterns (`*README.md=0;38`) what follows makes it no path.
    let (mut names, mut in_table) = (0, 0);
    for found in DOCUMENT.captures_iter(line) {
        names += 1;
        in_table += usize::from(!found[1].is_empty());
    }
    HARMLESS.is_match(line)
        || (names > 0 && names == in_table)
        || (names == 1 && IN_A_SENTENCE.is_match(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mention_is_harmless_where_it_reads_nothing() {
        for line in [
            "  # see README.md",
            "//! README.md tells more",
            "        cp {README.md,COPYING} \"$ARCHIVE\"/",
            "install -Dm644 \"README.md\" \"${DIR}/README.md\"",
            "      - 'docs/README.md'",
            "    let help = \"For more see \\fBGUIDE.md\\fP.\";",
            "\"*.bat=1;38;5;203:*README.md=0;38;5;16:*TODO.md=1:*.mdown=2\"",
            "  url: https://example.com/o/r/blob/main/README.md",
        ] {
            assert!(
                is_harmless_mention(".github/workflows/a.yml", line),
                "{line}"
            );
        }
        for line in [
            "  \"x\": \"llm -f docs/a.md\",",
            "#![doc = include_str!(\"README.md\")]",
            "#include \"README.md\"",
            "cat README.md | sh",
            "cp README.md x; sh x",
            "with open('README.md') as f:",
            "prompt-file: docs/README.md",
            "  path: docs/README.md",
            "curl https://example.com/README.md",
            "sh README.md",
            "open(\"README.md\") // see GUIDE.md",
            "x README.md=0;38 y README.md",
        ] {
            assert!(
                !is_harmless_mention(".github/workflows/a.yml", line),
                "{line}"
            );
        }
    }

    #[test]
    fn list_of_files_is_harmless_in_a_workflow_alone() {
        for (source, line) in [
            ("pyproject.toml", "include = [\"docs/**\", \"CHANGES.rst\"]"),
            ("package.json", "    \"History.md\","),
        ] {
            assert!(is_harmless_mention(source, line), "{line}");
        }
        assert!(!is_harmless_mention(
            "package.json",
            "  \"x\": \"cat docs/*.md\","
        ));
        assert!(!is_harmless_mention(".aider.conf.yml", "  - docs/style.md"));
        assert!(is_harmless_mention(
            "package.json",
            "  \"readme\": \"README.md\","
        ));
        assert!(is_harmless_mention(
            "pyproject.toml",
            "readme = \"README.md\""
        ));
    }

    #[test]
    fn prose_is_known_by_name_and_place() {
        for path in [
            "README.md",
            "docs/guide/start.md",
            "CHANGELOG.rst",
            "doc/intro.adoc",
            "packages/core/README.md",
            "NEWS.txt",
            "user_guide.md",
        ] {
            assert!(!is_agent_instructions(path));
            assert_eq!(is_prose(path), Ok(()), "{path}");
        }
        for path in [
            "AGENTS.md",
            "AGENTS.rst",
            "GEMINI.local.md",
            "CLAUDE-rules.md",
            "QWEN.md",
            "MEMORY.md",
            "SOUL.md",
            "replit.md",
            "docs/memory-bank/a.md",
            "docs/steering/a.md",
            "docs/system_prompts.md",
            "docs/llms.md",
            "MAINTAINERS.md",
            "INSTALL.txt",
            "INSTALL.md",
            "words.md",
            "agent-guide.md",
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
