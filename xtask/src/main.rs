//! `cargo xtask NAME`: checks of this repository's own source that rustc and clippy do not make.
//!
//! Why a program and not a script: it needs nothing but cargo, and it is tested like the rest.

mod graph;
mod layers;
mod sizes;
mod source;
mod words;

use std::process::ExitCode;

const HELP: &str = "\
usage: cargo xtask CHECK

  graph [--print]  which file uses which; fails on circles of files and on arrows upward
  sizes            fails on functions above 100 lines and files above 500
  words            fails on words that docs/glossary.md retires
  all              all of them
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = source::repository();
    let print = arguments.iter().any(|a| a == "--print");
    let faults = match arguments.first().map(String::as_str) {
        Some("graph") => graph::check(&root, print),
        Some("sizes") => sizes::check(&root),
        Some("words") => words::check(&root),
        Some("all") => [
            graph::check(&root, print),
            sizes::check(&root),
            words::check(&root),
        ]
        .concat(),
        _ => {
            eprint!("{HELP}");
            return ExitCode::from(2);
        }
    };
    for fault in &faults {
        eprintln!("{fault}");
    }
    if faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        eprintln!("{} faults", faults.len());
        ExitCode::FAILURE
    }
}
