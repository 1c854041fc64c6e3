//! Values by time slot over a sliding window: a slot is made when something happens in it, and dropped when
//! the window has passed it. An idle window is empty.

use std::collections::VecDeque;
use std::time::Instant;

/// A sliding window.
pub struct Slots<T> {
    origin: Instant,
    slot_s: u64,
    kept: u64,
    held: VecDeque<(u64, T)>,
}

impl<T: Default> Slots<T> {
    /// `kept` slots of `slot_s` seconds, counted from `origin`.
    pub fn new(origin: Instant, slot_s: u64, kept: u64) -> Self {
        Self {
            origin,
            slot_s,
            kept,
            held: VecDeque::new(),
        }
    }

    /// The number of the slot that runs at `now`.
    pub fn number(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.origin).as_secs() / self.slot_s
    }

    /// The slot of `now`.
    pub fn at(&mut self, now: Instant) -> &mut T {
        let number = self.number(now);
        // Two threads may come in the other order: the older one counts in the newer slot.
        if self.held.back().is_none_or(|(at, _)| *at < number) {
            while self
                .held
                .front()
                .is_some_and(|(at, _)| at + self.kept < number)
            {
                self.held.pop_front();
            }
            self.held.push_back((number, T::default()));
        }
        let last = self.held.len() - 1;
        &mut self.held[last].1
    }

    /// All slots but the newest.
    pub fn past_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let past = self.held.len().saturating_sub(1);
        self.held.iter_mut().take(past).map(|(_, slot)| slot)
    }

    /// Slots with a number from `from` on and below `to`, oldest first.
    pub fn between(&self, from: u64, to: u64) -> impl Iterator<Item = &(u64, T)> {
        self.held
            .iter()
            .filter(move |(at, _)| (from..to).contains(at))
    }

    /// The whole slots of the window that ends where the slot of `now` begins.
    pub fn whole(&self, now: Instant) -> impl Iterator<Item = &(u64, T)> {
        let number = self.number(now);
        self.between(number.saturating_sub(self.kept), number)
    }

    /// The window's slots, the one that runs among them.
    pub fn running(&self, now: Instant) -> impl Iterator<Item = &(u64, T)> {
        let number = self.number(now);
        self.between((number + 1).saturating_sub(self.kept), number + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn slots_of_the_past_leave_the_window_and_the_memory() {
        let start = Instant::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let mut slots: Slots<u32> = Slots::new(start, 5, 3);
        *slots.at(at(0)) += 1;
        *slots.at(at(4)) += 1;
        *slots.at(at(11)) += 1;
        let whole = |slots: &Slots<u32>, s| slots.whole(at(s)).copied().collect::<Vec<_>>();
        assert_eq!(whole(&slots, 12), [(0, 2)], "the running slot is not whole");
        assert_eq!(whole(&slots, 15), [(0, 2), (2, 1)]);
        assert_eq!(whole(&slots, 20), [(2, 1)]);
        assert_eq!(slots.running(at(12)).count(), 2);
        assert_eq!(whole(&slots, 100), []);
        *slots.at(at(100)) += 1;
        assert_eq!(slots.held.len(), 1);
    }
}
