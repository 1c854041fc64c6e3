//! How things are timed: contenders take turns in one run, many operations at a time; the median counts.

use std::hint::black_box;
use std::time::Instant;

/// Runs so many operations on the calling thread.
pub type Op = Box<dyn Fn(usize) + Send + Sync>;

/// One line of a table.
pub struct Contender {
    pub name: &'static str,
    pub op: Op,
}

pub fn contender(name: &'static str, op: impl Fn(usize) + Send + Sync + 'static) -> Contender {
    Contender { name, op: Box::new(op) }
}

/// A contender that needs a runtime: one on each thread, made outside the timing of all but the first
/// microseconds.
pub fn block_on<F: Future>(future: F) -> F::Output {
    thread_local! {
        static RUNTIME: tokio::runtime::Runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    }
    RUNTIME.with(|runtime| runtime.block_on(future))
}

const ROUNDS: usize = 15;

/// Nanoseconds an operation, median of the rounds, with one thread and with two on the same object.
pub fn table(title: &str, operations: usize, contenders: &[Contender]) {
    println!("\n{title}\n{:<44} {:>10} {:>10}", "", "1 thread", "2 threads");
    let mut times = vec![[const { Vec::new() }; 2]; contenders.len()];
    for round in 0..=ROUNDS {
        for (which, contender) in contenders.iter().enumerate() {
            for (column, threads) in [1, 2].into_iter().enumerate() {
                let nanos = time(&contender.op, operations, threads);
                if round > 0 {
                    times[which][column].push(nanos);
                }
            }
        }
    }
    for (contender, mut times) in contenders.iter().zip(times) {
        let [one, two] = &mut times;
        println!("{:<44} {:>7.1} ns {:>7.1} ns", contender.name, median(one), median(two));
    }
}

fn time(op: &Op, operations: usize, threads: usize) -> f64 {
    let began = Instant::now();
    if threads == 1 {
        op(black_box(operations));
    } else {
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| op(black_box(operations)));
            }
        });
    }
    began.elapsed().as_nanos() as f64 / operations as f64
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
