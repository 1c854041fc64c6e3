//! The exact nearest by words beside its rivals, over a corpus whose words are spread as the research page
//! measured them: a scan with a hash set an item, a plain inverted index that counts (ScanCount), and
//! tantivy made exact. One process, one thread, the same queries; every answer compared before any is timed.
//! `cargo run --release --bin memory -- 10000 100000 1000000`

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use bsm_similarity::{Index, Scratch, Seed, Word, words};
use hdrhistogram::Histogram;
use tantivy::collector::TopDocs;
use tantivy::query::{BooleanQuery, ConstScoreQuery, Occur, Query, TermQuery};
use tantivy::schema::{FAST, Field, INDEXED, IndexRecordOption, STORED, STRING, Schema};
use tantivy::{Searcher, TantivyDocument, Term};

const K: usize = 5;
const QUERIES: usize = 2_000;

/// Words by rank: a few are everywhere, most are nearly nowhere, and new ones keep coming.
struct Corpus {
    random: fastrand::Rng,
    fresh: u64,
}

impl Corpus {
    /// 15 to 80 words for nine items of ten, 44 in the middle, at most 196.
    fn size(&mut self) -> usize {
        let normal: f64 = (0..12).map(|_| self.random.f64()).sum::<f64>() - 6.0;
        ((44.0 * (normal * 0.47).exp() * 0.92) as usize).clamp(3, 196)
    }

    fn word(&mut self) -> u64 {
        // About 1.8 new words an item of 44: source code keeps inventing names.
        if self.random.f64() < 0.042 {
            self.fresh += 1;
            return 1 << 40 | self.fresh;
        }
        // Ranks by a power law over 200,000 words.
        let r = self.random.f64();
        (200_000_f64.powf(r.powf(0.75)) - 1.0) as u64
    }

    fn item(&mut self) -> Vec<u64> {
        let size = self.size();
        let mut set = HashSet::with_capacity(size);
        while set.len() < size {
            set.insert(self.word());
        }
        set.into_iter().collect()
    }

    /// Half are near-duplicates with a fifth of their words changed, half are new.
    fn query(&mut self, items: &[Vec<u64>]) -> Vec<u64> {
        if self.random.bool() {
            return self.item();
        }
        let mut near = items[self.random.usize(..items.len())].clone();
        let share = 0.1 + 0.2 * self.random.f64();
        for word in &mut near {
            if self.random.f64() < share {
                *word = 1 << 50 | self.random.u64(..1 << 40);
            }
        }
        near
    }
}

fn text(set: &[u64]) -> String {
    set.iter().map(|w| format!("{w:x} ")).collect()
}

type Answer = Vec<(u64, u64)>;

/// Best first, as fractions.
fn top(mut all: Vec<(u64, u64)>) -> Answer {
    all.sort_by(|a, b| (b.0 * a.1).cmp(&(a.0 * b.1)).then(b.0.cmp(&a.0)));
    all.truncate(K);
    all
}

/// The same score in lowest terms: ties may be other items.
fn scores(answer: &Answer) -> Vec<(u64, u64)> {
    fn gcd(a: u64, b: u64) -> u64 {
        if b == 0 { a } else { gcd(b, a % b) }
    }
    answer.iter().map(|(o, u)| (o / gcd(*o, *u), u / gcd(*o, *u))).collect()
}

/// The documents' system: every item's set looked at.
fn scan(sets: &[HashSet<u64>], asked: &[u64]) -> Answer {
    let hits = sets.iter().filter_map(|set| {
        let overlap = asked.iter().filter(|w| set.contains(w)).count() as u64;
        (overlap > 0).then(|| (overlap, (set.len() + asked.len()) as u64 - overlap))
    });
    top(hits.collect())
}

/// An inverted index that counts, and then looks at what it counted.
#[derive(Default)]
struct ScanCount {
    numbers: HashMap<u64, u32>,
    having: Vec<Vec<u32>>,
    sizes: Vec<u32>,
    counts: Vec<u8>,
}

impl ScanCount {
    fn insert(&mut self, set: &[u64]) {
        let item = self.sizes.len() as u32;
        for word in set {
            let next = self.having.len() as u32;
            let number = *self.numbers.entry(*word).or_insert(next);
            if number == next {
                self.having.push(Vec::new());
            }
            self.having[number as usize].push(item);
        }
        self.sizes.push(set.len() as u32);
    }

    fn nearest(&mut self, asked: &[u64]) -> Answer {
        self.counts.clear();
        self.counts.resize(self.sizes.len(), 0);
        for number in asked.iter().filter_map(|w| self.numbers.get(w)) {
            for item in &self.having[*number as usize] {
                self.counts[*item as usize] += 1;
            }
        }
        let mut best: Vec<(u64, u64)> = Vec::new();
        let chunks = self.counts.chunks(8).zip(self.sizes.chunks(8));
        for (counts, sizes) in chunks {
            if counts.iter().all(|c| *c == 0) {
                continue;
            }
            for (count, size) in counts.iter().zip(sizes).filter(|(c, _)| **c > 0) {
                let overlap = u64::from(*count);
                let hit = (overlap, u64::from(*size) + asked.len() as u64 - overlap);
                let better = |worst: &(u64, u64)| hit.0 * worst.1 > worst.0 * hit.1;
                if best.len() < K || best.last().is_some_and(better) {
                    let at = best.partition_point(|b| b.0 * hit.1 >= hit.0 * b.1);
                    best.insert(at, hit);
                    best.truncate(K);
                }
            }
        }
        best
    }
}

/// tantivy, exact: each shared word scores one, a tweak turns the sum into the share.
struct Tantivy {
    searcher: Searcher,
    word: Field,
}

impl Tantivy {
    fn build(items: &[Vec<u64>]) -> (Self, Duration) {
        let mut schema = Schema::builder();
        let word = schema.add_text_field("word", STRING);
        let size = schema.add_u64_field("size", FAST | INDEXED | STORED);
        let index = tantivy::Index::create_in_ram(schema.build());
        let began = Instant::now();
        let mut writer = index.writer_with_num_threads(1, 200 << 20).unwrap();
        for item in items {
            let mut document = TantivyDocument::default();
            for w in item {
                document.add_text(word, format!("{w:x}"));
            }
            document.add_u64(size, item.len() as u64);
            writer.add_document(document).unwrap();
        }
        writer.commit().unwrap();
        let took = began.elapsed();
        writer.wait_merging_threads().unwrap();
        let searcher = index.reader().unwrap().searcher();
        (Self { searcher, word }, took)
    }

    fn nearest(&self, asked: &[u64]) -> Answer {
        let one = |w: &u64| -> (Occur, Box<dyn Query>) {
            let term = Term::from_field_text(self.word, &format!("{w:x}"));
            let query = TermQuery::new(term, IndexRecordOption::Basic);
            (Occur::Should, Box::new(ConstScoreQuery::new(Box::new(query), 1.0)))
        };
        let query = BooleanQuery::new(asked.iter().map(one).collect());
        let words = asked.len() as u64;
        let top = TopDocs::with_limit(K).tweak_score(move |segment: &tantivy::SegmentReader| {
            let sizes = segment.fast_fields().u64("size").unwrap();
            move |document: u32, score: f32| {
                let overlap = score.round() as u64;
                let size = sizes.first(document).unwrap_or(0);
                (overlap as f64 / (size + words - overlap) as f64, overlap)
            }
        });
        let found = self.searcher.search(&query, &top).unwrap();
        let share = |((share, overlap), _): ((f64, u64), _)| (overlap, (overlap as f64 / share).round() as u64);
        found.into_iter().map(share).collect()
    }
}

fn ours(index: &Index, seed: Seed, asked: &str, scratch: &mut Scratch, found: &mut Vec<Word>) -> Answer {
    words(asked, seed, found);
    let hits = index.nearest(found, K, 0.0, scratch);
    hits.iter().map(|h| (u64::from(h.overlap), u64::from(h.union))).collect()
}

fn timed(name: &str, times: usize, mut one: impl FnMut(usize)) -> f64 {
    let mut histogram = Histogram::<u64>::new(3).unwrap();
    for n in 0..times {
        let began = Instant::now();
        one(n);
        histogram.record(began.elapsed().as_nanos() as u64).unwrap();
    }
    let us = |q| histogram.value_at_quantile(q) as f64 / 1e3;
    println!("  {name:<22} p50 {:>10.1} us  p99 {:>10.1} us  ({times} queries)", us(0.5), us(0.99));
    us(0.5)
}

fn main() {
    let sizes: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let sizes = if sizes.is_empty() { vec![10_000, 100_000] } else { sizes };
    for size in sizes {
        let mut corpus = Corpus {
            random: fastrand::Rng::with_seed(size as u64),
            fresh: 0,
        };
        let items: Vec<Vec<u64>> = (0..size).map(|_| corpus.item()).collect();
        let queries: Vec<Vec<u64>> = (0..QUERIES).map(|_| corpus.query(&items)).collect();
        let texts: Vec<String> = queries.iter().map(|q| text(q)).collect();
        let mean = items.iter().map(Vec::len).sum::<usize>() as f64 / size as f64;
        println!("{size} items, {mean:.1} words each in the mean");

        let seed = Seed(7);
        let mut index = Index::default();
        let (mut found, mut worst, mut total) = (Vec::new(), Duration::ZERO, Duration::ZERO);
        for (key, item) in items.iter().enumerate() {
            let text = text(item);
            let began = Instant::now();
            words(&text, seed, &mut found);
            index.insert(key as i64, key as i64, &found);
            let took = began.elapsed();
            total += took;
            worst = worst.max(took);
        }
        println!(
            "  ours: {:.0} inserts/s, worst pause {:.2} ms, {:.0} bytes an item",
            size as f64 / total.as_secs_f64(),
            worst.as_secs_f64() * 1e3,
            index.bytes() as f64 / size as f64
        );
        let mut count = ScanCount::default();
        items.iter().for_each(|item| count.insert(item));
        let (tantivy, took) = Tantivy::build(&items);
        println!("  tantivy: {:.0} inserts/s in bulk", size as f64 / took.as_secs_f64());

        // First whether they are right.
        let mut scratch = Scratch::default();
        let sets: Vec<HashSet<u64>> = items.iter().take(20_000).map(|i| i.iter().copied().collect()).collect();
        for (n, query) in queries.iter().enumerate().take(200) {
            let text_query = &texts[n];
            let mine = scores(&ours(&index, seed, text_query, &mut scratch, &mut found));
            assert_eq!(mine, scores(&count.nearest(query)), "query {n}");
            if sets.len() == items.len() && n < 20 {
                assert_eq!(mine, scores(&scan(&sets, query)), "query {n}");
            }
            if n < 50 {
                assert_eq!(mine, scores(&tantivy.nearest(query)), "tantivy, query {n}");
            }
        }
        let mine = timed("ours", QUERIES, |n| {
            ours(&index, seed, &texts[n], &mut scratch, &mut found);
        });
        let theirs = timed("ScanCount", QUERIES.min(20_000_000 / size.max(1)).max(200), |n| {
            count.nearest(&queries[n]);
        });
        let engine = timed("tantivy, exact", QUERIES.min(4_000_000 / size.max(1)).max(50), |n| {
            tantivy.nearest(&queries[n]);
        });
        let plain = timed("hash sets, 20k at most", 20, |n| {
            scan(&sets, &queries[n]);
        });
        println!(
            "  ratios: ScanCount {:.1}, tantivy {:.1}, hash sets {:.0} (scaled to all items)",
            theirs / mine,
            engine / mine,
            plain / mine * size as f64 / sets.len() as f64
        );
    }
}
