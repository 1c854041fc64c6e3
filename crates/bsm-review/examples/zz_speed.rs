//! temp
#![allow(warnings)]
use std::time::Instant;
use bsm_review::{budget::Budget, diff::parse, packs, prepared_text::PreparedText, redact::Redactor, rules::Looking, scan::{ScanLimits, Scanner}};
fn main() {
    let began = Instant::now();
    let rules = packs::built_in();
    println!("load {:.1} ms {} rules", began.elapsed().as_secs_f64()*1e3, rules.rules().len());
    let redactor = Redactor::built_in(&[], [1; 32]);
    for path in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&path).map(|t| t.into_bytes()).unwrap_or_else(|_| std::fs::read(&path).unwrap());
        let mut best = f64::MAX;
        for _ in 0..3 {
            let began = Instant::now();
            for h in text.chunks(64<<10) { std::hint::black_box(rules.prepare("a.rs", h)); }
            best = best.min(began.elapsed().as_secs_f64());
        }
        println!("{path}: prepare {:.0} MB/s", text.len() as f64/1e6/best);
        let mut diff = Vec::new();
        for (n, chunk) in text.chunks(64<<10).enumerate() {
            let body = String::from_utf8_lossy(chunk);
            diff.extend_from_slice(format!("diff --git a/f{n}.rs b/f{n}.rs\nnew file mode 100644\n--- /dev/null\n+++ b/f{n}.rs\n@@ -0,0 +1,{} @@\n", body.lines().count()).as_bytes());
            for l in body.lines() { diff.extend_from_slice(b"+"); diff.extend_from_slice(l.as_bytes()); diff.push(b'\n'); }
        }
        let mut best = f64::MAX; let mut n = 0;
        for _ in 0..3 {
            let mut scanner = Scanner::new(&redactor, ScanLimits::default(), &|| false);
            let began = Instant::now();
            parse(diff.as_slice(), &mut scanner).unwrap();
            n = scanner.finish().findings.len();
            best = best.min(began.elapsed().as_secs_f64());
        }
        println!("{path}: scan {:.0} MB/s {n} findings", diff.len() as f64/1e6/best);
        let hunks: Vec<&[u8]> = text[..text.len().min(8<<20)].chunks(16 << 10).collect();
        let prepared: Vec<PreparedText> = hunks.iter().map(|h| rules.prepare("a.rs", h)).collect();
        let mut costs: Vec<(f64, usize, &str)> = (0..rules.rules().len()).map(|index| {
            let began = Instant::now();
            let (mut tried, mut hits) = (0, Vec::new());
            for hunk in prepared.iter().filter(|p| p.tries(index)) { tried += 1; hunk.find_rule(index, Looking::Findings, &Budget::unlimited(), &mut hits); }
            (began.elapsed().as_secs_f64()*1e3, tried, rules.rules()[index].id.as_str())
        }).collect();
        costs.sort_by(|a, b| b.0.total_cmp(&a.0));
        let sum: f64 = costs.iter().map(|c| c.0).sum();
        println!("all rules {sum:.0} ms for 8 MB");
        for (ms, tried, id) in costs.iter().take(25) { println!("  {ms:>7.1} ms tried {:>3.0} % {id}", 100.0 * *tried as f64 / hunks.len() as f64); }
    }
}
