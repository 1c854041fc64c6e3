//! How fast the rules read a large diff, on one core. `cargo bench --bench rules`
//!
//! The diff adds this project's own sources again and again; `BSM_BENCH_DIFF=FILE` takes another.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and fails by panicking"
)]

use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

use bsm::review::diff::parse;
use bsm::review::packs;
use bsm::review::redact::Redactor;
use bsm::review::scan::{ScanLimits, Scanner};

fn main() {
    let began = Instant::now();
    let rules = packs::built_in();
    println!(
        "compiling {} rules: {:.1} ms",
        rules.rules().len(),
        began.elapsed().as_secs_f64() * 1_000.0
    );
    let redactor = Redactor::built_in(&[], [1; 32]);
    let own = own_sources();
    let clean = prose(32 << 20);
    let given = std::env::var("BSM_BENCH_DIFF")
        .ok()
        .map(|p| std::fs::read(p).unwrap());
    for (name, diff) in [
        ("own sources, 32 MB", Some(own.into_bytes())),
        ("text without hits, 32 MB", Some(clean.into_bytes())),
        ("given", given),
    ] {
        let Some(diff) = diff else { continue };
        let mut rates = Vec::new();
        let mut findings = 0;
        for _ in 0..5 {
            let mut scanner = Scanner::new(&redactor, ScanLimits::default(), &|| false);
            let began = Instant::now();
            parse(diff.as_slice(), &mut scanner).unwrap();
            findings = scanner.finish().findings.len();
            rates.push(diff.len() as f64 / 1e6 / began.elapsed().as_secs_f64());
        }
        rates.sort_by(f64::total_cmp);
        println!(
            "{name}: median {:.0} MB/s (min {:.0}, max {:.0}), {findings} findings",
            rates[2], rates[0], rates[4]
        );
    }
}

fn own_sources() -> String {
    let mut files = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else if let Ok(text) = std::fs::read_to_string(entry.path()) {
                files.push(text);
            }
        }
    }
    files.sort();
    let mut diff = String::new();
    for n in 0.. {
        for (i, text) in files.iter().enumerate() {
            add(&mut diff, &format!("copy{n}/file{i}.rs"), text);
            if diff.len() > 32 << 20 {
                return diff;
            }
        }
    }
    diff
}

fn prose(bytes: usize) -> String {
    let words = [
        "river", "window", "seven", "morning", "paper", "count", "yellow", "engine", "table",
        "light",
    ];
    let mut random = fastrand::Rng::with_seed(7);
    let mut diff = String::new();
    for n in 0.. {
        let mut text = String::new();
        for _ in 0..500 {
            let line: Vec<&str> = (0..12)
                .map(|_| words[random.usize(..words.len())])
                .collect();
            writeln!(text, "{}", line.join(" ")).unwrap();
        }
        add(&mut diff, &format!("text{n}.adoc"), &text);
        if diff.len() > bytes {
            break;
        }
    }
    diff
}

fn add(diff: &mut String, name: &str, text: &str) {
    writeln!(diff, "diff --git a/{name} b/{name}\nnew file mode 100644\n--- /dev/null\n+++ b/{name}\n@@ -0,0 +1,{} @@", text.lines().count()).unwrap();
    for line in text.lines() {
        writeln!(diff, "+{line}").unwrap();
    }
}
