//! Every command that a message, a help text or a document names exists, with the options that it names.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory as _};

/// Words after `bsm` that are prose about the program.
const PROSE: [&str; 5] = ["is", "keeps", "shows", "with", "wrote"];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs" || e == "md") {
            found.push(path);
        }
    }
}

/// What stands after each `bsm ` of a line, to the end of its quotation.
fn named(line: &str) -> Vec<&str> {
    let starts = line.match_indices("bsm ").filter(|(at, _)| {
        let before = &line[..*at];
        let character = before.chars().next_back();
        let whole = character.is_none_or(|c| !c.is_alphanumeric() && !"-_/.".contains(c));
        // The name of a systemd unit.
        whole && !before.ends_with("-u ")
    });
    starts
        .map(|(at, word)| {
            let rest = &line[at + word.len()..];
            let end = rest.find(['`', '"', '|', ')', '&', '(', ';', '#']);
            let rest = &rest[..end.unwrap_or(rest.len())];
            &rest[..rest.find("  ").unwrap_or(rest.len())]
        })
        .collect()
}

/// Why the words are not a command line of this program, as far as they can be followed.
fn fault(root: &Command, text: &str) -> Option<String> {
    let mut command = root;
    let mut words = text.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let plain = word.trim_end_matches([',', '.', ':', '\'']);
        let (of_command, of_root) = (command.get_arguments(), root.get_arguments());
        let mut options = of_command.chain(of_root);
        if let Some(long) = plain.strip_prefix("--") {
            let name = long.split('=').next().unwrap();
            let known = ["help", "version"].contains(&name);
            if !known && !options.any(|a| a.get_long() == Some(name)) {
                return Some(format!("{} has no option --{name}", command.get_name()));
            }
        } else if plain.len() == 2 && plain.starts_with('-') {
            let option = options.find(|a| a.get_short() == plain.chars().nth(1));
            let Some(option) = option else {
                return Some(format!("{} has no option {plain}", command.get_name()));
            };
            if option.get_action().takes_values() {
                words.next();
            }
        } else if plain.starts_with(|c: char| c.is_ascii_lowercase()) {
            match command.find_subcommand(plain) {
                Some(found) => command = found,
                None if std::ptr::eq(command, root) => {
                    return Some(format!("there is no command {plain}"));
                }
                None => {}
            }
        }
        if plain.len() < word.len() {
            break;
        }
    }
    None
}

#[test]
fn commands_named_in_messages_and_documents_exist() {
    let root = bsm::cli::Cli::command();
    let at = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "crates", "docs"] {
        files(&at.join(folder), &mut found);
    }
    found.extend(["README.md", "CONTRIBUTING.md", "RELEASE.md", "SECURITY.md"].map(|f| at.join(f)));
    let (mut faults, mut count) = (Vec::new(), 0);
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        for (n, line) in text.lines().enumerate() {
            for words in named(line) {
                let first = words.split(' ').next().unwrap_or_default();
                if PROSE.contains(&first) {
                    continue;
                }
                count += 1;
                if let Some(fault) = fault(&root, words) {
                    let path = path.strip_prefix(at).unwrap().display();
                    faults.push(format!("{path}:{}: bsm {words}: {fault}", n + 1));
                }
            }
        }
    }
    assert!(count > 150, "only {count} commands were found");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn commands_that_do_not_exist_are_found() {
    let root = bsm::cli::Cli::command();
    assert_eq!(
        named("see `bsm runs show X` and (bsm status)."),
        ["runs show X", "status"]
    );
    for good in [
        "runs show ID --report",
        "-C ws config check",
        "stop, then reload",
        "rules test -",
    ] {
        assert_eq!(fault(&root, good), None, "{good}");
    }
    for bad in ["settings", "runs --reprot", "-C ws chekc", "status -z"] {
        assert!(fault(&root, bad).is_some(), "{bad}");
    }
}
