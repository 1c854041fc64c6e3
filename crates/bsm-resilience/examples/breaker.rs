//! A circuit breaker that opens after five failures in a row.
#![allow(clippy::allow_attributes, clippy::print_stdout, reason = "an example")]

use bsm_resilience::breaker::{Breaker, BreakerSettings};
use bsm_resilience::clock::{Clock as _, SystemClock};

fn main() {
    let breaker = Breaker::new("upstream", BreakerSettings::default(), &SystemClock);
    for call in 1..=6 {
        let now = SystemClock.now();
        match breaker.admit(now) {
            Ok(permit) => {
                permit.failure("http_503", None, now);
                println!("call {call}: sent, answered 503");
            }
            Err(refusal) => println!("call {call}: not sent, again in {:?}", refusal.retry_in),
        }
    }
}
