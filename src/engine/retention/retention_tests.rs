//! When the clock is believed.

use super::*;

#[test]
fn clock_far_from_the_newest_record_is_in_doubt() {
    let now = 1_790_000_000_000;
    for (newest, doubted) in [
        (now, false),
        (now - 20 * DAY_MS, false),
        (now - 365 * DAY_MS, true),
        (now + 60_000, false),
        (now + 3_600_000, true),
        (now + 365 * DAY_MS, true),
    ] {
        assert_eq!(doubt(newest, now).is_some(), doubted, "{}", newest - now);
    }
    let said = doubt(now - 365 * DAY_MS, now).unwrap();
    assert!(said.starts_with("the clock is 365 days after"), "{said}");
}
