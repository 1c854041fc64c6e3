//! What an attempt is charged: what the provider reports, else what was sent and what came.

use std::sync::Mutex;
use std::sync::atomic::Ordering::Relaxed;

use bsm_wire::read::{Seen, Usage as WireUsage};

use super::context::{AGENT, ForwardContext};
use super::targets::Deployed;
use crate::model::request::Usage;
use crate::model::spend::{self, Line};
use crate::model::tokens::Tokens;
use crate::resilience::clock::lock;

/// What one attempt has used, and all of them together.
#[derive(Default)]
pub(super) struct Used {
    /// The attempt under way.
    pub(super) this: Usage,
    /// All that were.
    pub(super) all: WireUsage,
}

/// Books an attempt when it is dropped, also when a caller who leaves cuts it off.
pub(super) struct Booking<'a> {
    pub(super) context: &'a ForwardContext,
    pub(super) target: &'a Deployed,
    pub(super) used: &'a Mutex<Used>,
    /// The request reached the provider and was not refused.
    pub(super) is_due: bool,
    pub(super) usage: Option<WireUsage>,
    /// Bytes that came of the answer.
    pub(super) content_bytes: u64,
}

impl Booking<'_> {
    /// Takes in what was read of the answer so far.
    pub(super) fn note(&mut self, seen: &Seen) {
        self.is_due = true;
        self.usage = seen.usage;
        self.content_bytes = seen.content_bytes;
    }

    /// What is booked at this moment. What a provider does not report is estimated: four bytes a token.
    pub(super) fn figures(&self) -> WireUsage {
        if !self.is_due {
            return WireUsage::default();
        }
        let estimate = |bytes: u64| bytes.div_ceil(4);
        let reported = self.usage.unwrap_or_default();
        let sent = self.context.request.body.len() as u64;
        WireUsage {
            input: if reported.input > 0 {
                reported.input
            } else {
                estimate(sent)
            },
            // A stream's first report is of its beginning.
            output: reported.output.max(if reported.output <= 1 {
                estimate(self.content_bytes)
            } else {
                0
            }),
            ..reported
        }
    }
}

impl Drop for Booking<'_> {
    fn drop(&mut self) {
        let figures = self.figures();
        let tokens = Tokens {
            prompt: figures.input,
            completion: figures.output,
        };
        let context = self.context;
        let micro_usd = spend::cost(&self.target.model.prices, tokens);
        {
            let mut used = lock(self.used);
            used.this = Usage { tokens, micro_usd };
            used.all.input += figures.input;
            used.all.output += figures.output;
            used.all.cached_read += figures.cached_read;
            used.all.cache_write += figures.cache_write;
            used.all.reasoning += figures.reasoning;
        }
        context.meters.tokens.fetch_add(tokens.sum(), Relaxed);
        context.meters.cost_micro_usd.fetch_add(micro_usd, Relaxed);
        let line = Line {
            provider: self.target.endpoint.name.clone(),
            model: self.target.name.clone(),
            agent: AGENT.to_owned(),
            prompt: tokens.prompt,
            completion: tokens.completion,
            micro_usd,
            ..Line::default()
        };
        context.spend.settle("", line, context.clock.wall_ms());
    }
}
