//! A provider's keys: which one is used, and which ones it has refused.
//!
//! Why a rest and not an end: an account gets topped up, a permission granted, and nobody wants to
//! restart for it. Why by reference: a key's value is read from the environment once, lives here, and
//! leaves only as a header marked sensitive; what is shown is the variable's name.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::header::HeaderValue;
use serde::{Deserialize, Serialize};

use crate::resilience::clock::lock;

/// A key. Neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Arc<str>);

impl Key {
    /// Takes a value in.
    pub fn new(value: &str) -> Self {
        // A line's end that came with it from a file is no part of it.
        Self(Arc::from(value.trim()))
    }

    /// As a header's value, marked sensitive; `None` where it has characters that no header may have.
    pub(super) fn header(&self, before: &str) -> Option<HeaderValue> {
        let mut value = HeaderValue::from_str(&format!("{before}{}", self.0)).ok()?;
        value.set_sensitive(true);
        Some(value)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

/// A key's line in the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KeyStats {
    /// The variable it is in.
    pub variable: String,
    /// Why it is not used, while it is not.
    pub refused: Option<String>,
    /// Minutes until it is tried again.
    pub rests_min: Option<u64>,
}

/// Models that a key keeps pauses and refusals for; where there are more, the ones that end first go.
const MOST_MODELS: usize = 64;

#[derive(Debug)]
struct Slot {
    variable: String,
    key: Key,
    refused: Option<(&'static str, Instant)>,
    /// Models that the key may not be used for, and until when.
    refused_for: BTreeMap<String, Instant>,
    /// Models whose quota is used up with this key, and until when.
    quiet: BTreeMap<String, Instant>,
}

impl Slot {
    /// True when it may be used for the model now, whatever its quota.
    fn may_be_used(&self, model: &str, now: Instant) -> bool {
        self.refused.is_none_or(|(_, until)| now >= until)
            && self
                .refused_for
                .get(model)
                .is_none_or(|until| now >= *until)
    }

    fn is_quiet(&self, model: &str, now: Instant) -> bool {
        self.quiet.get(model).is_some_and(|until| now < *until)
    }
}

fn note(all: &mut BTreeMap<String, Instant>, model: &str, until: Instant, now: Instant) {
    all.retain(|_, end| now < *end);
    if all.len() >= MOST_MODELS
        && let Some(first) = all.iter().min_by_key(|(_, end)| **end)
    {
        let first = first.0.clone();
        all.remove(&first);
    }
    all.insert(model.to_owned(), until);
}

/// How a provider refused a key.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyRefused<'a> {
    /// The provider's name.
    pub(super) provider: &'a str,
    /// What it said, in words.
    pub(super) why: &'static str,
    /// How long the key is not used.
    pub(super) rest: Duration,
    /// The model that was asked.
    pub(super) model: &'a str,
    /// For other models it may be used still.
    pub(super) only: bool,
}

/// The keys of one provider, the preferred first.
#[derive(Debug, Default)]
pub struct Keys {
    slots: Mutex<Vec<Slot>>,
    news: Mutex<Vec<String>>,
}

impl Keys {
    /// Keys as they are now; what `old` knows of the same key is kept.
    pub fn new(found: Vec<(String, Key)>, old: Option<&Self>) -> Self {
        let old = old.map(|o| lock(&o.slots));
        let slots = found
            .into_iter()
            .map(|(variable, key)| Slot {
                refused: old
                    .iter()
                    .flat_map(|o| o.iter())
                    .find(|s| s.key == key)
                    .and_then(|s| s.refused),
                refused_for: BTreeMap::new(),
                quiet: BTreeMap::new(),
                variable,
                key,
            })
            .collect();
        Self {
            slots: Mutex::new(slots),
            news: Mutex::default(),
        }
    }

    /// Text of the provider without any of its keys, before it is cut anywhere.
    pub(super) fn scrub(&self, text: &str) -> String {
        let slots = lock(&self.slots);
        let keys = slots.iter().map(|s| &s.key.0).filter(|k| k.len() >= 8);
        keys.fold(text.to_owned(), |text, key| {
            if text.contains(&**key) {
                text.replace(&**key, "[key]")
            } else {
                text
            }
        })
    }

    /// True where no key is configured at all.
    pub fn none(&self) -> bool {
        lock(&self.slots).is_empty()
    }

    /// True when one of the keys may be used, for some model at least.
    pub(super) fn any_is_left(&self, now: Instant) -> bool {
        lock(&self.slots)
            .iter()
            .any(|s| s.refused.is_none_or(|(_, until)| now >= until))
    }

    /// The first key that may be used for the model and whose quota is not used up. Where all quotas
    /// are, the one that is used up for the shortest time.
    pub(super) fn pick(&self, model: &str, now: Instant) -> Option<Key> {
        let slots = lock(&self.slots);
        let usable = || slots.iter().filter(|s| s.may_be_used(model, now));
        let ready = usable().find(|s| !s.is_quiet(model, now));
        let soonest = || usable().min_by_key(|s| s.quiet.get(model).copied());
        ready.or_else(soonest).map(|s| s.key.clone())
    }

    /// Another key could be used for the model at once.
    fn another_is_ready(slots: &[Slot], model: &str, now: Instant) -> bool {
        slots
            .iter()
            .any(|s| s.may_be_used(model, now) && !s.is_quiet(model, now))
    }

    /// A 429 with this key: it is not used for the model for `wait`. True when another one can be at once.
    pub(super) fn pause(&self, key: &Key, model: &str, wait: Duration, now: Instant) -> bool {
        let mut slots = lock(&self.slots);
        if let Some(slot) = slots.iter_mut().find(|s| s.key == *key) {
            let until = now.checked_add(wait).unwrap_or(now);
            note(&mut slot.quiet, model, until, now);
        }
        Self::another_is_ready(&slots, model, now)
    }

    /// Takes a refusal in; true when another key can be used at once. `only`: it is refused for that
    /// model alone (a 403), and may be used for others.
    pub(super) fn refuse(&self, key: &Key, refusal: &KeyRefused<'_>, now: Instant) -> bool {
        let KeyRefused {
            provider,
            why,
            rest,
            model,
            only,
        } = *refusal;
        let until = now.checked_add(rest).unwrap_or(now);
        let mut slots = lock(&self.slots);
        if let Some(slot) = slots.iter_mut().find(|s| s.key == *key) {
            // Others were on their way with the same key: one word about it is enough.
            let known = !slot.may_be_used(model, now);
            if only {
                note(&mut slot.refused_for, model, until, now);
            } else {
                slot.refused = Some((why, until));
            }
            if !known {
                let mut news = lock(&self.news);
                news.truncate(15);
                let of = if only {
                    format!(" for {model}")
                } else {
                    String::new()
                };
                news.push(format!("{provider} {why}{of}: {}", slot.variable));
            }
        }
        Self::another_is_ready(&slots, model, now)
    }

    /// An answer with this key: whatever was said of it is over.
    pub(super) fn accepted(&self, key: &Key, model: &str) {
        for slot in lock(&self.slots).iter_mut().filter(|s| s.key == *key) {
            slot.refused = None;
            slot.refused_for.remove(model);
        }
    }

    /// Every key may be tried again.
    pub fn forgive(&self) {
        lock(&self.slots).iter_mut().for_each(|s| {
            s.refused = None;
            s.refused_for.clear();
            s.quiet.clear();
        });
    }

    /// What became known since it was last asked for.
    pub fn take_news(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.news))
    }

    /// Every key's line.
    pub fn stats(&self, now: Instant) -> Vec<KeyStats> {
        lock(&self.slots)
            .iter()
            .map(|s| {
                let refused = s.refused.filter(|(_, until)| now < *until);
                KeyStats {
                    variable: s.variable.clone(),
                    refused: refused.map(|(why, _)| why.to_owned()),
                    rests_min: refused.map(|(_, until)| (until - now).as_secs().div_ceil(60)),
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_key_is_used_while_a_refused_one_rests() {
        let now = Instant::now();
        let (a, b) = (Key::new("k-a"), Key::new("k-b"));
        let both = || vec![("A".to_owned(), a.clone()), ("B".to_owned(), b.clone())];
        let keys = Keys::new(both(), None);
        let rest = Duration::from_secs(60);
        let refused = |why, only| KeyRefused {
            provider: "openai",
            why,
            rest,
            model: "m",
            only,
        };
        let by_401 = refused("refuses the key (401)", false);
        assert_eq!(keys.pick("m", now), Some(a.clone()));
        assert!(keys.refuse(&a, &by_401, now));
        assert_eq!(keys.pick("m", now), Some(b.clone()));
        assert!(keys.refuse(&a, &by_401, now));
        assert_eq!(keys.take_news(), ["openai refuses the key (401): A"]);
        // A new table with the same keys knows it still.
        let again = Keys::new(both(), Some(&keys));
        assert!(!again.refuse(&b, &refused("quota", false), now));
        assert_eq!(again.pick("m", now), None);
        assert_eq!(again.pick("m", now + rest), Some(a.clone()));
        assert_eq!(again.stats(now)[1].rests_min, Some(1));
        again.forgive();
        assert_eq!(again.pick("m", now), Some(a.clone()));
        again.refuse(&a, &refused("quota", false), now);
        again.accepted(&a, "m");
        assert_eq!(again.pick("m", now), Some(a));
    }

    #[test]
    fn key_refused_for_one_model_is_used_for_others() {
        let now = Instant::now();
        let (a, b) = (Key::new("k-a"), Key::new("k-b"));
        let keys = Keys::new(vec![("A".into(), a.clone()), ("B".into(), b.clone())], None);
        let refused = KeyRefused {
            provider: "openai",
            why: "refuses the key (403)",
            rest: Duration::from_secs(60),
            model: "big",
            only: true,
        };
        assert!(keys.refuse(&a, &refused, now));
        assert_eq!(keys.pick("big", now), Some(b.clone()));
        assert_eq!(keys.pick("small", now), Some(a.clone()));
        assert_eq!(
            keys.take_news(),
            ["openai refuses the key (403) for big: A"]
        );
        // A 429 is one model's with one key.
        assert!(!keys.pause(&b, "big", Duration::from_secs(9), now));
        assert!(keys.pause(&b, "small", Duration::from_secs(9), now));
        assert_eq!(keys.pick("big", now), Some(b), "it is all there is");
    }

    #[test]
    fn debug_shows_no_key() {
        let key = Key::new("k-very-secret");
        assert_eq!(format!("{key:?}"), "Key(…)");
        let header = key.header("Bearer ").unwrap();
        assert!(!format!("{header:?}").contains("secret"));
        assert!(Key::new("k\nx").header("").is_none());
        let keys = Keys::new(vec![("A".into(), key)], None);
        assert!(!format!("{keys:?}").contains("secret"));
    }
}
