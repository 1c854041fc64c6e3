//! A host that is not asked: in a dry run, and where nothing may be sent (safe mode, the simulator).

use crate::code_host::{CodeHost, HostError, Publication, Pull, PullNow, StandingReview, Written};
use crate::journal::PullRow;

/// Stands in for the host of one pull request.
pub(super) struct UnaskedHost<'a> {
    row: &'a PullRow,
    /// Why nothing may be sent; `None`: everything is shown as if it were.
    error: Option<HostError>,
}

impl<'a> UnaskedHost<'a> {
    /// Takes the pull request for what its webhook said.
    pub(super) fn dry(row: &'a PullRow) -> Self {
        Self { row, error: None }
    }

    /// Answers everything with this.
    pub(super) fn closed(row: &'a PullRow, error: HostError) -> Self {
        Self {
            row,
            error: Some(error),
        }
    }

    fn answer<T>(&self, answer: T) -> Result<T, HostError> {
        match &self.error {
            None => Ok(answer),
            Some(error) => Err(error.clone()),
        }
    }
}

impl CodeHost for UnaskedHost<'_> {
    async fn now(&self, _: &Pull) -> Result<PullNow, HostError> {
        let pull = &self.row.pull;
        self.answer(PullNow {
            head_sha: pull.head.clone(),
            base: (!pull.base.is_empty()).then(|| pull.base.clone()),
            open: true,
            ..PullNow::default()
        })
    }

    async fn standing_reviews(&self, _: &Pull) -> Result<Vec<StandingReview>, HostError> {
        self.answer(Vec::new())
    }

    async fn find_review(&self, _: &Pull, _: &str) -> Result<Option<u64>, HostError> {
        self.answer(None)
    }

    async fn can_dismiss(&self, _: &Pull) -> Result<bool, HostError> {
        self.answer(true)
    }

    async fn publish(&self, _: &Pull, _: &Publication) -> Result<Written, HostError> {
        self.answer(Written::note("shown, not sent"))
    }
}
