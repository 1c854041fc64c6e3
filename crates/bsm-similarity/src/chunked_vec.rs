//! A list that grows in steps: what is in it is never copied, so that no insert waits for a copy of millions.

/// Entries in a step.
const STEP: usize = 1 << 14;

pub(super) struct Chunked<T> {
    steps: Vec<Vec<T>>,
}

impl<T> Default for Chunked<T> {
    fn default() -> Self {
        Self { steps: Vec::new() }
    }
}

impl<T> Chunked<T> {
    pub(super) fn len(&self) -> usize {
        match self.steps.last() {
            Some(last) => (self.steps.len() - 1) * STEP + last.len(),
            None => 0,
        }
    }

    pub(super) fn push(&mut self, entry: T) {
        if self.steps.last().is_none_or(|last| last.len() == STEP) {
            self.steps.push(Vec::with_capacity(STEP));
        }
        if let Some(last) = self.steps.last_mut() {
            last.push(entry);
        }
    }

    pub(super) fn get(&self, at: usize) -> &T {
        &self.steps[at / STEP][at % STEP]
    }

    pub(super) fn get_mut(&mut self, at: usize) -> &mut T {
        &mut self.steps[at / STEP][at % STEP]
    }

    /// Runs of neighbours, with the number of the first.
    pub(super) fn runs(&self) -> impl Iterator<Item = (usize, &[T])> {
        let numbered = self.steps.iter().enumerate();
        numbered.map(|(n, step)| (n * STEP, step.as_slice()))
    }

    pub(super) fn bytes(&self) -> usize {
        self.steps.len() * STEP * size_of::<T>()
    }
}
