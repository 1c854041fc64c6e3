//! What a hook is told while a call waits, is sent, fails and is made again.

use super::super::bulkhead::{Bulkhead, PoolSettings};
use super::tests::{call, fault, target};
use super::*;
use bsm_base::clock::SystemClock;
use std::cell::{Cell, RefCell};

/// Notes each stage as `number word`.
#[derive(Default)]
struct Notes(RefCell<Vec<String>>);

impl AttemptHook<&'static str> for &Notes {
    fn stage(&mut self, what: &&'static str, attempt: u32, stage: Stage) {
        let word = match stage {
            Stage::RateLimit => "limit",
            Stage::Pool => "pool",
            Stage::Sent => "sent",
            Stage::Backoff(_) => "backoff",
        };
        self.0.borrow_mut().push(format!("{what}{attempt} {word}"));
    }
}

#[tokio::test(start_paused = true)]
async fn hook_is_told_each_stage_with_the_number_of_its_attempt() {
    let policy = Policy::new(Arc::new(SystemClock));
    let targets = [target("a"), target("b")];
    let (sent, notes) = (Cell::new(0), Notes::default());
    let outcome = policy
        .run_watched(
            call(),
            &targets,
            |what| {
                sent.set(sent.get() + 1);
                let fails = *what == "a";
                let retry = sent.get() == 1;
                async move {
                    if fails {
                        Err(fault("http_503", retry, true, false))
                    } else {
                        Ok(((), 0))
                    }
                }
            },
            &mut &notes,
        )
        .await;
    assert!(outcome.result.is_ok());
    let told = notes.0.borrow();
    assert_eq!(*told, ["a1 sent", "a2 backoff", "a2 sent", "b1 sent"]);
}

#[tokio::test(start_paused = true)]
async fn hook_is_told_what_a_call_waits_for_before_it_is_sent() {
    let policy = Policy::new(Arc::new(SystemClock));
    let mut one = target("a");
    let settings = PoolSettings {
        limit: 1,
        ..PoolSettings::default()
    };
    one.guards.pool = Bulkhead::new("a", settings, Arc::new(SystemClock));
    let targets = [one];
    let place = targets[0].guards.pool.try_acquire();
    assert!(place.is_some());
    let notes = Notes::default();
    let waits = async {
        let answer = |_: &&'static str| async { Ok::<_, super::tests::Fault>(((), 0)) };
        policy
            .run_watched(call(), &targets, answer, &mut &notes)
            .await
    };
    let frees = async {
        // Until the call waits in the queue.
        while notes.0.borrow().is_empty() {
            tokio::task::yield_now().await;
        }
        // A 429 of somebody else's meanwhile.
        targets[0].guards.limiter.pause(Duration::from_secs(1));
        drop(place);
    };
    let (outcome, ()) = tokio::join!(waits, frees);
    assert!(outcome.result.is_ok());
    let told = notes.0.borrow();
    assert_eq!(*told, ["a1 pool", "a1 limit", "a1 pool", "a1 sent"]);
}
