//! A stream on its way to the client: untouched, or from the provider's wire into the client's.

use bsm_wire::stream::{WholeEvents, without_usage};
use bsm_wire::translate::StreamTranslator;
use bytes::Bytes;

/// A stream on its way to the client's wire.
pub(super) enum Output {
    /// The wires are the same.
    Untouched(WholeEvents),
    /// The same, without the usage that the client did not ask for.
    WithoutUsage(WholeEvents),
    /// From the provider's wire into the client's.
    Translated(Box<StreamTranslator>),
}

impl Output {
    /// For a client that speaks the provider's own wire.
    pub(super) fn untouched(drops_usage: bool) -> Self {
        if drops_usage {
            Self::WithoutUsage(WholeEvents::default())
        } else {
            Self::Untouched(WholeEvents::default())
        }
    }

    pub(super) fn push(&mut self, bytes: Bytes) -> Option<Bytes> {
        match self {
            Self::Untouched(events) => events.push(bytes),
            Self::WithoutUsage(events) => events.push(bytes).and_then(without_usage),
            Self::Translated(translator) => {
                let mut out = Vec::new();
                translator.push(&bytes, &mut out);
                (!out.is_empty()).then(|| out.into())
            }
        }
    }

    pub(super) fn finish(&mut self) -> Option<Bytes> {
        match self {
            Self::Untouched(events) => events.finish(),
            Self::WithoutUsage(events) => events.finish().and_then(without_usage),
            Self::Translated(translator) => {
                let mut out = Vec::new();
                translator.finish(&mut out);
                (!out.is_empty()).then(|| out.into())
            }
        }
    }
}
