//! Words that `docs/glossary.md` retires: phrases in documents, messages and comments, names in code.
//!
//! Why a check: a retired word that comes back once is copied.

use std::path::{Path, PathBuf};

use crate::source;

/// Where words are searched; the glossary itself and recorded figures are not.
const FOLDERS: [&str; 5] = ["src", "crates", "docs", "tests", "xtask"];
/// Files at the root.
const FILES: [&str; 4] = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "RELEASE.md"];
/// Files that list the words, or quote them.
const EXEMPT: [&str; 2] = ["docs/glossary.md", "xtask/src/words.rs"];

/// One line per fault.
pub fn check(root: &Path) -> Vec<String> {
    let glossary = std::fs::read_to_string(root.join("docs/glossary.md")).unwrap_or_default();
    let phrases = table(&glossary, "| retired |");
    let names = table(&glossary, "| retired name |");
    if phrases.is_empty() || names.is_empty() {
        return vec!["docs/glossary.md has no tables of retired words".to_owned()];
    }
    let mut files: Vec<PathBuf> = FILES.iter().map(|f| root.join(f)).collect();
    for folder in FOLDERS {
        source::walk(&root.join(folder), "rs md", &mut files);
    }
    files.sort();
    let mut faults = Vec::new();
    for path in files {
        let file = path
            .strip_prefix(root)
            .unwrap_or(&path)
            .display()
            .to_string();
        if EXEMPT.contains(&file.as_str()) || file.contains("/corpora/") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        faults.extend(search(&file, &text, &phrases));
        if file.ends_with(".rs") {
            faults.extend(search_names(&file, &source::code(&text), &names));
        }
    }
    faults
}

/// The first two columns of the table whose head begins so.
fn table(text: &str, head: &str) -> Vec<(String, String)> {
    text.lines()
        .skip_while(|l| !l.starts_with(head))
        .skip(2)
        .take_while(|l| l.starts_with('|'))
        .filter_map(|l| {
            let mut cells = l.trim_matches('|').split('|').map(|c| c.trim().to_owned());
            Some((cells.next()?, cells.next()?))
        })
        .collect()
}

fn search(file: &str, text: &str, phrases: &[(String, String)]) -> Vec<String> {
    let mut faults = Vec::new();
    for (n, line) in text.lines().enumerate() {
        let lower = line.to_lowercase();
        for (phrase, instead) in phrases {
            if words(&lower, phrase) {
                faults.push(format!("{file}:{}: \"{phrase}\"; write: {instead}", n + 1));
            }
        }
    }
    faults
}

fn search_names(file: &str, code: &str, names: &[(String, String)]) -> Vec<String> {
    let mut faults = Vec::new();
    for (n, line) in code.lines().enumerate() {
        for (name, instead) in names {
            if words(line, name) {
                faults.push(format!("{file}:{}: {name}; write: {instead}", n + 1));
            }
        }
    }
    faults
}

/// Whether the phrase stands in the line as whole words.
fn words(line: &str, phrase: &str) -> bool {
    line.match_indices(phrase).any(|(at, found)| {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        !line[..at].ends_with(is_name) && !line[at + found.len()..].starts_with(is_name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whole_and_tables_are_read() {
        let text = "| retired | write |\n|---|---|\n| in need | stale |\n\nmore";
        let table = table(text, "| retired |");
        assert_eq!(table, [("in need".to_owned(), "stale".to_owned())]);
        assert_eq!(
            search("a", "It is In Need of it\nin needle", &table).len(),
            1
        );
        let names = [("Sky".to_owned(), "Loads".to_owned())];
        assert_eq!(search_names("a", "let x: Sky = Skyline;", &names).len(), 1);
    }
}
