//! Which language a file is in, by its name, and where a comment begins on a line of it.
//!
//! Why: a rule about Python has nothing to say of a Dockerfile, and a call in a comment is not a call.

/// A language or a configuration format, as rules name it in `languages`.
pub(super) type Language = &'static str;

/// Endings of file names, with the language that they stand for.
const ENDINGS: &[(&str, Language)] = &[
    ("py", "python"),
    ("pyi", "python"),
    ("pyw", "python"),
    ("pth", "python"),
    ("js", "javascript"),
    ("map", "sourcemap"),
    ("mjs", "javascript"),
    ("cjs", "javascript"),
    ("jsx", "javascript"),
    ("ts", "javascript"),
    ("tsx", "javascript"),
    ("mts", "javascript"),
    ("cts", "javascript"),
    ("vue", "javascript"),
    ("svelte", "javascript"),
    ("java", "java"),
    ("kt", "kotlin"),
    ("kts", "kotlin"),
    ("scala", "scala"),
    ("groovy", "groovy"),
    ("gradle", "groovy"),
    ("go", "go"),
    ("rs", "rust"),
    ("rb", "ruby"),
    ("erb", "ruby"),
    ("rake", "ruby"),
    ("gemspec", "ruby"),
    ("php", "php"),
    ("phtml", "php"),
    ("cs", "csharp"),
    ("cshtml", "csharp"),
    ("c", "c"),
    ("h", "c"),
    ("cc", "cpp"),
    ("cpp", "cpp"),
    ("cxx", "cpp"),
    ("hpp", "cpp"),
    ("hh", "cpp"),
    ("m", "objectivec"),
    ("mm", "objectivec"),
    ("swift", "swift"),
    ("dart", "dart"),
    ("lua", "lua"),
    ("pl", "perl"),
    ("pm", "perl"),
    ("r", "r"),
    ("jl", "julia"),
    ("ex", "elixir"),
    ("exs", "elixir"),
    ("erl", "erlang"),
    ("hs", "haskell"),
    ("clj", "clojure"),
    ("sol", "solidity"),
    ("zig", "zig"),
    ("sh", "shell"),
    ("bash", "shell"),
    ("zsh", "shell"),
    ("ksh", "shell"),
    ("fish", "shell"),
    ("ps1", "powershell"),
    ("psm1", "powershell"),
    ("psd1", "powershell"),
    ("bat", "batch"),
    ("cmd", "batch"),
    ("sql", "sql"),
    ("html", "html"),
    ("htm", "html"),
    ("xml", "xml"),
    ("xsd", "xml"),
    ("csproj", "xml"),
    ("props", "xml"),
    ("targets", "xml"),
    ("config", "xml"),
    ("plist", "xml"),
    ("pom", "xml"),
    ("yml", "yaml"),
    ("yaml", "yaml"),
    ("json", "json"),
    ("jsonc", "json"),
    ("json5", "json"),
    ("ipynb", "json"),
    ("webmanifest", "json"),
    ("toml", "toml"),
    ("ini", "ini"),
    ("cfg", "ini"),
    ("conf", "ini"),
    ("cnf", "ini"),
    ("properties", "properties"),
    ("env", "env"),
    ("tf", "terraform"),
    ("tfvars", "terraform"),
    ("hcl", "terraform"),
    ("nix", "nix"),
    ("cmake", "cmake"),
    ("mk", "make"),
    ("md", "markdown"),
    ("markdown", "markdown"),
    ("rst", "text"),
    ("txt", "text"),
    ("adoc", "text"),
    ("css", "css"),
    ("scss", "css"),
    ("less", "css"),
    ("proto", "protobuf"),
    ("graphql", "graphql"),
    ("bicep", "bicep"),
    ("jinja", "template"),
    ("j2", "template"),
    ("tmpl", "template"),
    ("tpl", "template"),
];

/// Whole file names.
const NAMES: &[(&str, Language)] = &[
    ("dockerfile", "dockerfile"),
    ("containerfile", "dockerfile"),
    ("makefile", "make"),
    ("gnumakefile", "make"),
    ("jenkinsfile", "groovy"),
    ("vagrantfile", "ruby"),
    ("gemfile", "ruby"),
    ("rakefile", "ruby"),
    ("podfile", "ruby"),
    ("cmakelists.txt", "cmake"),
    (".bashrc", "shell"),
    (".bash_profile", "shell"),
    (".profile", "shell"),
    (".zshrc", "shell"),
    (".envrc", "shell"),
    (".npmrc", "ini"),
    (".netrc", "ini"),
    (".pypirc", "ini"),
    (".gitconfig", "ini"),
    (".editorconfig", "ini"),
    ("pipfile", "toml"),
    ("cargo.lock", "toml"),
];

/// The language of a file; `None` where its name does not tell.
pub(super) fn language(path: &str) -> Option<Language> {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    let named = |wanted: &str| NAMES.iter().find(|(n, _)| *n == wanted).map(|(_, l)| *l);
    if let Some(language) = named(&name) {
        return Some(language);
    }
    if name.starts_with("dockerfile") || name.ends_with(".dockerfile") {
        return Some("dockerfile");
    }
    if name == ".env" || name.starts_with(".env.") || name.ends_with(".env") {
        return Some("env");
    }
    let (_, ending) = name.rsplit_once('.')?;
    ENDINGS.iter().find(|(e, _)| *e == ending).map(|(_, l)| *l)
}

/// Where unquoted text after a name is a value, not an identifier or a call.
pub(super) fn is_configuration(language: Option<Language>) -> bool {
    !matches!(
        language,
        Some(
            "python"
                | "javascript"
                | "sourcemap"
                | "java"
                | "kotlin"
                | "scala"
                | "groovy"
                | "go"
                | "rust"
                | "ruby"
                | "php"
                | "csharp"
                | "c"
                | "cpp"
                | "objectivec"
                | "swift"
                | "dart"
                | "lua"
                | "perl"
                | "r"
                | "julia"
                | "elixir"
                | "erlang"
                | "haskell"
                | "clojure"
                | "solidity"
                | "zig"
                | "css"
                | "protobuf"
                | "graphql"
                | "powershell"
                | "nix"
                | "bicep"
                | "sql"
                | "terraform"
        )
    )
}

/// What begins a comment that goes to the end of the line.
fn line_marks(language: Option<Language>) -> &'static [&'static str] {
    match language {
        Some(
            "python" | "ruby" | "shell" | "yaml" | "toml" | "dockerfile" | "make" | "perl" | "r"
            | "julia" | "elixir" | "powershell" | "env" | "properties" | "nix" | "cmake"
            | "graphql",
        ) => &["#"],
        Some("terraform" | "php") => &["#", "//"],
        Some("ini") => &["#", ";"],
        Some("sql" | "lua" | "haskell") => &["--"],
        Some("erlang") => &["%"],
        Some("clojure") => &[";"],
        Some("html" | "xml" | "markdown") => &["<!--"],
        Some("batch") => &["rem ", "REM ", "::"],
        Some("json" | "text" | "template") | None => &[],
        Some(_) => &["//"],
    }
}

/// Where a comment begins on a line of a file in this language: its offset in bytes. A line that continues a
/// block comment in the usual form (`* text`) is one from its first character on.
pub(super) fn comment_start(language: Option<Language>, line: &[u8]) -> Option<usize> {
    let marks = line_marks(language);
    let slashes = marks.contains(&"//");
    let first = line.iter().position(|b| !b.is_ascii_whitespace())?;
    let text = &line[first..];
    if slashes
        && (text.starts_with(b"/*")
            || text.starts_with(b"* ")
            || text == b"*"
            || text.starts_with(b"*/"))
    {
        // After the comment's end the line is code again.
        return memchr::memmem::find(text, b"*/")
            .is_none_or(|end| end + 2 == text.trim_ascii_end().len())
            .then_some(first);
    }
    let mut quote = None;
    let mut at = first;
    while at < line.len() {
        let byte = line[at];
        match quote {
            Some(open) => {
                if byte == b'\\' {
                    at += 1;
                } else if byte == open {
                    quote = None;
                }
            }
            None => {
                let begins = |mark: &&str| {
                    let word_border = at == first
                        || line[at - 1].is_ascii_whitespace()
                        || !["#", ";", "rem ", "REM ", "::"].contains(mark);
                    line[at..].starts_with(mark.as_bytes())
                        && word_border
                        && !(**mark == *"//" && at > 0 && line[at - 1] == b':')
                };
                if marks.iter().any(begins) {
                    return Some(at);
                }
                if matches!(byte, b'"' | b'\'' | b'`') {
                    // An apostrophe inside a word opens nothing.
                    let inside = byte == b'\'' && at > 0 && line[at - 1].is_ascii_alphanumeric();
                    if !inside {
                        quote = Some(byte);
                    }
                }
            }
        }
        at += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn language_of_a_path_is_told_by_name_or_ending() {
        for (path, expected) in [
            ("src/a.py", Some("python")),
            ("deploy/Dockerfile.prod", Some("dockerfile")),
            (".env.local", Some("env")),
            ("web/App.TSX", Some("javascript")),
            ("LICENSE", None),
        ] {
            assert_eq!(language(path), expected, "{path}");
        }
    }

    #[test]
    fn comment_start_ignores_marks_in_strings_and_addresses() {
        let at = |language, line: &str| comment_start(Some(language), line.as_bytes());
        assert_eq!(at("python", "x = '#' # note"), Some(8));
        assert_eq!(at("javascript", "fetch('http://x') // why"), Some(18));
        assert_eq!(at("javascript", "   * eval(x) is bad"), Some(3));
        assert_eq!(at("javascript", "/* note */ eval(x)"), None);
        assert_eq!(at("shell", "echo $#"), None);
        assert_eq!(at("go", "url := http://x"), None);
        assert_eq!(at("json", "\"a\": 1 // b"), None);
    }
}
