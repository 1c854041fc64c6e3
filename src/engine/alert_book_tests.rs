//! An alert from its first raise to its end.

use super::*;
use crate::engine::protocol::runbook;

#[test]
fn condition_that_holds_is_one_alert_with_the_text_of_the_moment() {
    let mut book = AlertBook::default();
    assert_eq!(
        book.raise("pool-full", "openai", "3 wait", 1_000),
        Raised::New
    );
    assert_eq!(
        book.raise("pool-full", "openai", "3 wait", 2_000),
        Raised::Same
    );
    assert_eq!(
        book.raise("pool-full", "openai", "9 wait", 3_000),
        Raised::Changed
    );
    assert_eq!(
        book.raise("pool-full", "gemini", "1 waits", 4_000),
        Raised::New
    );
    let all = book.list(20);
    let of = |text: &str| all.iter().find(|a| a.text == text).unwrap();
    let openai = of("9 wait");
    assert_eq!(all.len(), 2, "the newest first");
    assert_eq!(all[0].text, "1 waits");
    assert_eq!(
        (openai.at_ms, openai.first_ms, openai.changed_ms),
        (1_000, 1_000, 3_000)
    );
    assert_eq!(openai.runbook.as_deref(), Some("pool-full"));
    assert!(openai.needs_a_look());
}

#[test]
fn alert_that_comes_back_soon_is_the_same_one_and_needs_a_look_again() {
    let mut book = AlertBook::default();
    book.raise("breaker-open", "openai", "open", 0);
    let id = book.list(1)[0].id.clone();
    book.acknowledge(&id, "anas", 5).unwrap();
    assert!(book.resolve("breaker-open", "openai", 10));
    assert!(!book.resolve("breaker-open", "openai", 11), "it is over");
    assert_eq!(
        book.raise("breaker-open", "openai", "open again", 20),
        Raised::New
    );
    let back = book.list(1).remove(0);
    assert_eq!(
        (back.id.as_str(), back.count, back.first_ms, back.at_ms),
        (&*id, 2, 0, 20)
    );
    assert!(back.needs_a_look(), "an acknowledgement is of one occasion");
    book.resolve("breaker-open", "openai", 30);
    book.raise("breaker-open", "openai", "much later", 30 + AGAIN_MS + 1);
    assert_eq!(book.list(20).len(), 2, "much later it is another alert");
}

#[test]
fn bad_event_holds_until_it_is_acknowledged_or_an_hour_old_and_good_news_never() {
    let mut book = AlertBook::default();
    book.event(true, "a run cannot go on", 0);
    book.event(true, "a run cannot go on", 5);
    book.event(false, "workspace read again", 10);
    let all = book.list(20);
    assert_eq!(all.len(), 2, "the same twice in a row is one");
    assert_eq!(
        (all[0].text.as_str(), all[0].count),
        ("a run cannot go on", 2)
    );
    assert!(all[0].is_active() && !all[1].is_active());
    assert!(!book.expire(5 + EVENT_MS - 1));
    assert!(book.expire(5 + EVENT_MS));
    assert!(book.list(20).iter().all(|a| !a.is_active()));
    book.event(true, "another", 20);
    let id = book.list(1)[0].id.clone();
    let seen = book.acknowledge(&id, "anas", 30).unwrap();
    assert_eq!(
        (
            seen.acknowledged_by.as_deref(),
            seen.acknowledged_ms,
            seen.resolved_ms
        ),
        (Some("anas"), Some(30), Some(30))
    );
    let again = book.acknowledge(&id, "bo", 40).unwrap();
    assert_eq!(
        again.acknowledged_by.as_deref(),
        Some("anas"),
        "the first one stays"
    );
    assert_eq!(book.acknowledge("alr_nobody", "anas", 50), None);
}

#[test]
fn condition_that_is_acknowledged_still_holds() {
    let mut book = AlertBook::default();
    book.raise("disk-full", "disk", "full", 0);
    let id = book.list(1)[0].id.clone();
    let seen = book.acknowledge(&id, "anas", 1).unwrap();
    assert!(seen.is_active() && !seen.needs_a_look());
}

#[test]
fn alerts_beyond_the_bound_lose_what_is_over_first() {
    let mut book = AlertBook::default();
    book.raise("disk-full", "disk", "full", 0);
    for n in 0..1_000 {
        book.event(false, &format!("news {n}"), n);
    }
    let all = book.list(usize::MAX);
    assert_eq!(all.len(), KEPT);
    assert_eq!(all[0].code, "disk-full", "active ones come first and stay");
    assert_eq!(book.list(20).len(), 20);
}

#[test]
fn drill_is_kept_apart_and_never_active() {
    let mut book = AlertBook::default();
    book.drill(true, "drill outage: failed", 0);
    let drill = book.list(1).remove(0);
    assert!(drill.drill && drill.bad && !drill.is_active());
}

#[test]
fn every_code_has_a_page_inside_the_program() {
    let own = runbook::ALERT_CODES.iter().map(|(code, _)| *code);
    for code in own.chain(Code::ALL.into_iter().map(Code::as_str)) {
        let page = super::runbook(code).unwrap_or_else(|| panic!("{code} has no page"));
        assert!(runbook::text(&page).is_some(), "{code}: {page}");
    }
}
