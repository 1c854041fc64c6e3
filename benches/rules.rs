//! How fast the rules read a large diff, on one core. `cargo bench --bench rules`
//!
//! The diff adds this project's own sources again and again; `BSM_BENCH_DIFF=FILE` takes another, and
//! `BSM_GITLEAKS_TOML=FILE` adds gitleaks' published configuration to our rules. The last line reads 100 MB
//! from a pipe that is never whole in memory, and says by how much the process grew.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and fails by panicking"
)]

use std::fmt::Write as _;
use std::io::{BufReader, Write as _};
use std::path::Path;
use std::time::Instant;

use bsm::review::budget::Budget;
use bsm::review::diff::parse;
use bsm::review::packs;
use bsm::review::policy::{Policy, ReviewSettings};
use bsm::review::prepared_text::PreparedText;
use bsm::review::redact::Redactor;
use bsm::review::rules::{Looking, RuleSet};
use bsm::review::scan::{ScanLimits, Scanner};

fn main() {
    let began = Instant::now();
    let rules = packs::built_in();
    println!(
        "reading {} rules, their patterns not yet compiled: {:.1} ms",
        rules.rules().len(),
        began.elapsed().as_secs_f64() * 1_000.0
    );
    let redactor = Redactor::built_in(&[], [1; 32]);
    println!("grown by {:.0} MB for 100 MB of diff", streamed(&redactor));
    let with_gitleaks = std::env::var("BSM_GITLEAKS_TOML").ok().map(|path| {
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(path, dir.path().join(".gitleaks.toml")).unwrap();
        let policy = {
            let root = bsm::files::Root::open(dir.path()).unwrap();
            let files = bsm::workspace::policy_files::of_folder(&root);
            Policy::load(Some(&files), true, &ReviewSettings::default())
        };
        let redactor = Redactor::new(policy.rules(), &[], [1; 32]);
        let began = Instant::now();
        let count = redactor.rules().rules().len();
        println!(
            "compiling {count} rules, gitleaks' among them: {:.1} ms",
            began.elapsed().as_secs_f64() * 1_000.0
        );
        redactor
    });
    let own = own_sources();
    let clean = prose(32 << 20);
    slowest(rules, &own[..8 << 20]);
    let given = std::env::var("BSM_BENCH_DIFF")
        .ok()
        .map(|p| std::fs::read(p).unwrap());
    let (own, clean) = (own.into_bytes(), clean.into_bytes());
    let mut rounds = vec![
        ("own sources, 32 MB", &own, &redactor),
        ("text without hits, 32 MB", &clean, &redactor),
    ];
    if let Some(given) = &given {
        rounds.push(("given", given, &redactor));
    }
    if let Some(both) = &with_gitleaks {
        rounds.push(("own sources, with gitleaks' rules", &own, both));
        rounds.push(("text without hits, with gitleaks' rules", &clean, both));
    }
    for (name, diff, redactor) in rounds {
        let mut rates = Vec::new();
        let mut findings = 0;
        for _ in 0..5 {
            let mut scanner = Scanner::new(redactor, ScanLimits::default(), &|| false);
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

/// The rules that cost most on a text, each tried where its keywords stand, as in a scan.
fn slowest(rules: &RuleSet, text: &str) {
    let hunks: Vec<&[u8]> = text.as_bytes().chunks(16 << 10).collect();
    let prepared: Vec<PreparedText> = hunks.iter().map(|h| rules.prepare("a.rs", h)).collect();
    let mut costs: Vec<(f64, usize, &str)> = (0..rules.rules().len())
        .map(|index| {
            let began = Instant::now();
            let (mut tried, mut hits) = (0, Vec::new());
            for hunk in prepared.iter().filter(|p| p.tries(index)) {
                tried += 1;
                hunk.find_rule(index, Looking::Findings, &Budget::unlimited(), &mut hits);
            }
            std::hint::black_box(hits);
            let ms = began.elapsed().as_secs_f64() * 1_000.0;
            (ms, tried, rules.rules()[index].id.as_str())
        })
        .collect();
    costs.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (ms, tried, id) in costs.iter().take(12) {
        let share = 100.0 * *tried as f64 / hunks.len() as f64;
        println!("  {ms:>7.1} ms for 8 MB, tried on {share:>3.0} % of it: {id}");
    }
}

/// Megabytes by which the most memory this process ever had grows while a large diff is read.
fn streamed(redactor: &Redactor) -> f64 {
    let most = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
        let kb = line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<f64>().ok());
        kb.unwrap_or(0.0) / 1_024.0
    };
    redactor.text("warm");
    let before = most();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let feeder = std::thread::spawn(move || {
        // One file, one hunk: nothing but the parser itself cuts it.
        let line = format!("+{}\n", "a line of the file that never ends ".repeat(4));
        let lines = (100 << 20) / line.len();
        write!(
            writer,
            "--- /dev/null\n+++ b/a.txt\n@@ -0,0 +1,{lines} @@\n"
        )
        .unwrap();
        for _ in 0..lines {
            writer.write_all(line.as_bytes()).unwrap();
        }
    });
    let limits = ScanLimits {
        file_time: std::time::Duration::from_secs(600),
        ..ScanLimits::default()
    };
    let mut scanner = Scanner::new(redactor, limits, &|| false);
    parse(BufReader::with_capacity(64 * 1024, reader), &mut scanner).unwrap();
    feeder.join().unwrap();
    assert!(scanner.finish().coverage.is_complete());
    most() - before
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
