//! Money and tokens: set aside before a call, settled after it, summed by day, provider, model and agent.
//!
//! Why set aside: a hundred calls at once may each see the same last dollar. What a call could cost at
//! most is reserved first; what it did cost replaces it. Amounts are millionths of a dollar, whole
//! numbers, so that sums add up.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use crate::model::tokens::Tokens;
use crate::resilience::clock::lock;
use crate::settings::Budgets;
use crate::workspace::models::Prices;

/// Runs whose sums are kept; the oldest go first.
const RUNS: usize = 4_096;

const DAY_MS: i64 = 86_400_000;

/// One line of the sums.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Line {
    /// The day, UTC, as `2026-11-21`.
    pub day: String,
    /// The provider.
    pub provider: String,
    /// The model.
    pub model: String,
    /// The agent; empty for callers that are none.
    pub agent: String,
    /// Calls that cost something or used tokens.
    pub calls: u64,
    /// Tokens read.
    #[serde(rename = "promptTokens")]
    pub prompt: u64,
    /// Tokens written.
    #[serde(rename = "completionTokens")]
    pub completion: u64,
    /// Millionths of a dollar.
    pub micro_usd: u64,
}

impl Line {
    /// Takes the figures of another one in.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.prompt += other.prompt;
        self.completion += other.completion;
        self.micro_usd += other.micro_usd;
    }
}

type Place = (String, String, String, String);

#[derive(Default)]
struct Inner {
    /// Days since 1970, and as they are written.
    number: i64,
    day: String,
    settled_today: u64,
    reserved: u64,
    runs: BTreeMap<String, u64>,
    lines: HashMap<Place, Line>,
    unsaved: HashMap<Place, Line>,
    /// No call that costs something may begin.
    frozen: bool,
}

/// The sums.
#[derive(Default)]
pub struct Spend(Mutex<Inner>);

/// What is over: whose budget, what is left of it and what was wanted, millionths of a dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over {
    /// `run` or `day`.
    pub whose: &'static str,
    /// The budget.
    pub budget: u64,
    /// Left.
    pub left: u64,
    /// Wanted.
    pub wanted: u64,
    /// Not a budget: all spending is stopped.
    pub frozen: bool,
}

impl std::fmt::Display for Over {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.frozen {
            return f.write_str("spending is stopped until the recovered journal is acknowledged");
        }
        let usd = |micro: u64| micro as f64 / 1e6;
        write!(
            f,
            "the {0}'s budget of ${1:.4} (budgets.{0}Usd) has ${2:.4} left, this call could cost ${3:.4}",
            self.whose,
            usd(self.budget),
            usd(self.left),
            usd(self.wanted)
        )
    }
}

/// Money set aside; it comes back when this is dropped.
pub struct BudgetHold {
    spend: Arc<Spend>,
    run: String,
    micro: u64,
}

impl Drop for BudgetHold {
    fn drop(&mut self) {
        let mut inner = lock(&self.spend.0);
        inner.reserved = inner.reserved.saturating_sub(self.micro);
        if let Some(run) = inner.runs.get_mut(&self.run) {
            *run = run.saturating_sub(self.micro);
        }
    }
}

/// What a call costs, millionths of a dollar.
pub fn cost(prices: &Prices, tokens: Tokens) -> u64 {
    let micro = tokens.prompt as f64 * prices.input_per_m
        + tokens.completion as f64 * prices.output_per_m
        + if tokens.sum() > 0 {
            prices.per_request * 1e6
        } else {
            0.0
        };
    micro.round().max(0.0) as u64
}

/// The day of a wall time, UTC.
pub fn day_of(wall_ms: i64) -> String {
    let at = jiff::Timestamp::from_millisecond(wall_ms).unwrap_or_default();
    at.strftime("%Y-%m-%d").to_string()
}

fn micro(usd: f64) -> u64 {
    (usd * 1e6).round().max(0.0) as u64
}

impl Inner {
    fn turn(&mut self, wall_ms: i64) {
        let number = wall_ms.div_euclid(DAY_MS);
        if number != self.number || self.day.is_empty() {
            self.number = number;
            self.day = day_of(wall_ms);
            self.lines.retain(|place, _| place.0 == self.day);
            self.settled_today = self.lines.values().map(|l| l.micro_usd).sum();
        }
    }

    /// The sum of a run. Of too many runs the oldest is forgotten; their ids begin with their time.
    fn of_run(&mut self, run: &str) -> &mut u64 {
        if self.runs.len() >= RUNS && !self.runs.contains_key(run) {
            self.runs.pop_first();
        }
        self.runs.entry(run.to_owned()).or_default()
    }
}

impl Spend {
    /// Takes in what was spent before this start.
    pub fn seed(&self, lines: Vec<Line>, wall_ms: i64) {
        let mut inner = lock(&self.0);
        for line in lines {
            inner.lines.insert(place(&line), line);
        }
        inner.day.clear();
        inner.turn(wall_ms);
    }

    /// What a run had spent before this start.
    pub fn seed_run(&self, run: &str, usd: f64) {
        *lock(&self.0).of_run(run) = micro(usd);
    }

    /// Stops all spending, or allows it again.
    pub fn set_frozen(&self, frozen: bool) {
        lock(&self.0).frozen = frozen;
    }

    /// Sets money aside for one call.
    ///
    /// # Errors
    /// When a budget has less left.
    pub fn reserve(
        self: &Arc<Self>,
        run: &str,
        micro_usd: u64,
        budgets: &Budgets,
        wall_ms: i64,
    ) -> Result<BudgetHold, Over> {
        let mut inner = lock(&self.0);
        inner.turn(wall_ms);
        if inner.frozen && micro_usd > 0 {
            return Err(Over {
                whose: "day",
                budget: 0,
                left: 0,
                wanted: micro_usd,
                frozen: true,
            });
        }
        let spent_by_run = inner.runs.get(run).copied().unwrap_or(0);
        let today = inner.settled_today.saturating_add(inner.reserved);
        for (whose, budget, spent, counts) in [
            ("run", budgets.run_usd, spent_by_run, !run.is_empty()),
            ("day", budgets.day_usd, today, true),
        ] {
            let left = micro(budget).saturating_sub(spent);
            if budget > 0.0 && counts && micro_usd > left {
                return Err(Over {
                    whose,
                    budget: micro(budget),
                    left,
                    wanted: micro_usd,
                    frozen: false,
                });
            }
        }
        inner.reserved = inner.reserved.saturating_add(micro_usd);
        if !run.is_empty() {
            *inner.of_run(run) += micro_usd;
        }
        Ok(BudgetHold {
            spend: Arc::clone(self),
            run: run.to_owned(),
            micro: micro_usd,
        })
    }

    /// Writes down what a call used. Nothing used, nothing written.
    pub fn settle(&self, run: &str, used: Line, wall_ms: i64) {
        if used.prompt == 0 && used.completion == 0 && used.micro_usd == 0 {
            return;
        }
        let mut inner = lock(&self.0);
        inner.turn(wall_ms);
        let used = Line {
            day: inner.day.clone(),
            calls: 1,
            ..used
        };
        inner.settled_today += used.micro_usd;
        if !run.is_empty() {
            *inner.of_run(run) += used.micro_usd;
        }
        add(&mut inner.lines, used.clone());
        add(&mut inner.unsaved, used);
    }

    /// Spent today, and set aside at this moment; millionths of a dollar.
    pub fn today(&self, wall_ms: i64) -> (u64, u64) {
        let mut inner = lock(&self.0);
        inner.turn(wall_ms);
        (inner.settled_today, inner.reserved)
    }

    /// Today's lines, the dearest first.
    pub fn lines(&self, wall_ms: i64) -> Vec<Line> {
        let mut inner = lock(&self.0);
        inner.turn(wall_ms);
        let mut lines: Vec<Line> = inner.lines.values().cloned().collect();
        lines.sort_by(|a, b| {
            (b.micro_usd, b.prompt, &a.model, &a.agent).cmp(&(
                a.micro_usd,
                a.prompt,
                &b.model,
                &b.agent,
            ))
        });
        lines
    }

    /// What has been added since it was last asked for: to be added to what is kept.
    pub fn take_unsaved(&self) -> Vec<Line> {
        lock(&self.0).unsaved.drain().map(|(_, l)| l).collect()
    }

    /// What could not be kept after all.
    pub fn put_back(&self, lines: Vec<Line>) {
        let mut inner = lock(&self.0);
        for line in lines {
            add(&mut inner.unsaved, line);
        }
    }
}

fn place(line: &Line) -> Place {
    (
        line.day.clone(),
        line.provider.clone(),
        line.model.clone(),
        line.agent.clone(),
    )
}

/// Adds a line to those of its place.
fn add(lines: &mut HashMap<Place, Line>, line: Line) {
    match lines.entry(place(&line)) {
        Entry::Occupied(mut sum) => sum.get_mut().add(&line),
        Entry::Vacant(empty) => drop(empty.insert(line)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;
    const BUDGETS: Budgets = Budgets {
        run_usd: 0.001,
        day_usd: 0.0015,
    };

    fn used(micro_usd: u64) -> Line {
        Line {
            provider: "p".into(),
            model: "m".into(),
            agent: "a".into(),
            prompt: 10,
            micro_usd,
            ..Line::default()
        }
    }

    #[test]
    fn what_is_set_aside_counts_until_it_is_settled() {
        let spend = Arc::new(Spend::default());
        let first = spend.reserve("r1", 800, &BUDGETS, 0).ok().unwrap();
        let over = spend.reserve("r1", 300, &BUDGETS, 0).err().unwrap();
        assert_eq!((over.whose, over.left), ("run", 200));
        let over = spend.reserve("r2", 800, &BUDGETS, 0).err().unwrap();
        assert_eq!((over.whose, over.left), ("day", 700));
        drop(first);
        spend.settle("r1", used(100), 0);
        assert!(spend.reserve("r1", 900, &BUDGETS, 0).is_ok());
        assert!(spend.reserve("r1", 901, &BUDGETS, 0).is_err());
        assert_eq!(spend.today(0), (100, 0));
        // Another day, another budget; a run's own goes on.
        assert_eq!(spend.today(DAY), (0, 0));
        assert!(spend.reserve("r1", 901, &BUDGETS, DAY).is_err());
        let none = Budgets::default();
        assert!(spend.reserve("r1", u64::MAX / 4, &none, DAY).is_ok());
    }

    #[test]
    fn sums_of_runs_are_bounded_however_they_come() {
        let spend = Arc::new(Spend::default());
        for n in 0..2 * RUNS {
            let run = format!("job_{n:08}");
            match n % 3 {
                0 => drop(spend.reserve(&run, 1, &BUDGETS, 0)),
                1 => spend.settle(&run, used(1), 0),
                _ => spend.seed_run(&run, 1.0),
            }
        }
        let inner = lock(&spend.0);
        assert_eq!(inner.runs.len(), RUNS);
        let newest = format!("job_{:08}", 2 * RUNS - 1);
        assert!(inner.runs.contains_key(&newest), "the oldest went");
    }

    #[test]
    fn lines_add_up_and_are_handed_out_once() {
        let spend = Arc::new(Spend::default());
        spend.seed(
            vec![Line {
                day: day_of(0),
                calls: 2,
                ..used(50)
            }],
            0,
        );
        spend.settle("r", used(7), 0);
        spend.settle("r", Line::default(), 0);
        let lines = spend.lines(0);
        assert_eq!(
            (lines.len(), lines[0].calls, lines[0].micro_usd),
            (1, 3, 57)
        );
        let unsaved = spend.take_unsaved();
        assert_eq!((unsaved.len(), unsaved[0].micro_usd), (1, 7));
        assert!(spend.take_unsaved().is_empty());
        spend.put_back(unsaved.clone());
        assert_eq!(spend.take_unsaved(), unsaved);
        assert_eq!(spend.today(0).0, 57);
    }

    #[test]
    fn a_request_has_its_own_price_and_an_unanswered_one_none() {
        let prices = Prices {
            input_per_m: 3.0,
            output_per_m: 15.0,
            per_request: 0.006,
        };
        let tokens = Tokens {
            prompt: 1_000,
            completion: 100,
        };
        assert_eq!(cost(&prices, tokens), 3_000 + 1_500 + 6_000);
        assert_eq!(cost(&prices, Tokens::default()), 0);
    }
}
