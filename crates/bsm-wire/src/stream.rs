//! A stream of events, passed on whole events at a time.
//!
//! Why whole: when the provider breaks off in the middle of an event, what comes next (an error, a
//! keep-alive) must not be glued to the half of it.

use bytes::{Bytes, BytesMut};

/// Most that is held back while an event is not complete, bytes.
const MOST_HELD: usize = 8 << 20;

/// Holds back the beginning of an event until its end is there.
#[derive(Debug, Default)]
pub struct WholeEvents {
    held: BytesMut,
}

impl WholeEvents {
    /// Takes bytes in; what is complete comes out. Bytes are never changed.
    pub fn push(&mut self, bytes: Bytes) -> Option<Bytes> {
        // The usual case: the provider sends whole events.
        if self.held.is_empty() && ends_event(&bytes) {
            return (!bytes.is_empty()).then_some(bytes);
        }
        self.held.extend_from_slice(&bytes);
        let end = if self.held.len() > MOST_HELD {
            self.held.len()
        } else {
            end_of_last(&self.held)
        };
        (end > 0).then(|| self.held.split_to(end).freeze())
    }

    /// What is left when the stream ended well: some servers leave out the last empty line.
    pub fn finish(&mut self) -> Option<Bytes> {
        (!self.held.is_empty()).then(|| self.held.split().freeze())
    }

    /// True while the beginning of an event is held back.
    pub fn is_within(&self) -> bool {
        !self.held.is_empty()
    }
}

/// Whole events of a chat stream without the one that reports the usage alone: the client did not ask for it.
pub fn without_usage(events: Bytes) -> Option<Bytes> {
    if memchr::memmem::find(&events, b"\"usage\"").is_none() {
        return Some(events);
    }
    let mut kept = BytesMut::with_capacity(events.len());
    let mut rest = &events[..];
    while !rest.is_empty() {
        let end = first_end(rest);
        let (event, later) = rest.split_at(end);
        if !is_usage_alone(event) {
            kept.extend_from_slice(event);
        }
        rest = later;
    }
    (!kept.is_empty()).then(|| kept.freeze())
}

fn first_end(bytes: &[u8]) -> usize {
    let ends = [b"\n\n".as_slice(), b"\r\n\r\n", b"\r\r"].into_iter();
    let found = ends.filter_map(|end| Some(memchr::memmem::find(bytes, end)? + end.len()));
    found.min().unwrap_or(bytes.len())
}

fn is_usage_alone(event: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Chunk {
        choices: Vec<serde::de::IgnoredAny>,
        usage: Option<serde::de::IgnoredAny>,
    }
    let text = String::from_utf8_lossy(event);
    let data = text
        .split(['\n', '\r'])
        .find_map(|line| line.strip_prefix("data:"));
    let chunk = data.and_then(|data| serde_json::from_str::<Chunk>(data).ok());
    chunk.is_some_and(|chunk| chunk.choices.is_empty() && chunk.usage.is_some())
}

fn ends_event(bytes: &[u8]) -> bool {
    bytes.ends_with(b"\n\n") || bytes.ends_with(b"\r\n\r\n") || bytes.ends_with(b"\r\r")
}

/// The place behind the last complete event; 0: there is none.
fn end_of_last(bytes: &[u8]) -> usize {
    let mut ends = [b"\n\n".as_slice(), b"\r\n\r\n", b"\r\r"].map(|end| {
        let found = memchr::memmem::rfind(bytes, end);
        found.map_or(0, |at| at + end.len())
    });
    ends.sort_unstable();
    ends[2]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn half_an_event_waits_for_its_end() {
        let mut events = WholeEvents::default();
        assert_eq!(
            events.push(Bytes::from_static(b"data: a\n\ndata")),
            Some(Bytes::from_static(b"data: a\n\n"))
        );
        assert!(events.is_within());
        assert_eq!(events.push(Bytes::from_static(b": b\n")), None);
        assert_eq!(
            events.push(Bytes::from_static(b"\n")),
            Some(Bytes::from_static(b"data: b\n\n"))
        );
        assert_eq!(events.push(Bytes::from_static(b"data: c")), None);
        assert_eq!(events.finish(), Some(Bytes::from_static(b"data: c")));
        assert_eq!(events.finish(), None);
    }

    #[test]
    fn usage_alone_is_left_out_and_nothing_else() {
        let text = "data: {\"choices\":[{\"delta\":{}}],\"usage\":null}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n";
        let left = without_usage(Bytes::from(text)).unwrap();
        let wanted = "data: {\"choices\":[{\"delta\":{}}],\"usage\":null}\n\ndata: [DONE]\n\n";
        assert_eq!(left, wanted.as_bytes());
        let alone = Bytes::from_static(b"data: {\"choices\":[],\"usage\":{}}\n\n");
        assert_eq!(without_usage(alone), None);
    }

    proptest! {
        #[test]
        fn bytes_come_out_as_they_went_in(chunks in prop::collection::vec("[a-b\r\n]{0,6}", 0..12)) {
            let mut events = WholeEvents::default();
            let mut out = Vec::new();
            for chunk in &chunks {
                if let Some(bytes) = events.push(Bytes::from(chunk.clone())) {
                    out.extend_from_slice(&bytes);
                }
            }
            if let Some(bytes) = events.finish() {
                out.extend_from_slice(&bytes);
            }
            prop_assert_eq!(out, chunks.concat().into_bytes());
        }
    }
}
