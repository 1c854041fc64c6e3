//! Server-sent events, as model servers really send them.
//!
//! Why our own: the parsers at hand assume whole characters in each read or lose an event that has no
//! empty line behind it. Lines may end in LF, CR or CRLF, code points may be split between reads,
//! comments keep a connection alive and mean nothing, and nothing grows beyond its bound. Source: the
//! HTML standard, "Server-sent events", section "Interpreting an event stream".

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Its type; empty where the server named none.
    pub name: String,
    /// Its data; several lines are joined by LF.
    pub data: String,
    /// Its id, where it names one.
    pub id: String,
}

/// Largest event, bytes, where no other limit is named.
pub const LARGEST_EVENT: usize = 1 << 20;

/// An event is larger than its parser's limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

/// Reads events out of bytes, however they are cut.
#[derive(Debug)]
pub struct Parser {
    limit: usize,
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    after_cr: bool,
    begun: bool,
}

impl Default for Parser {
    fn default() -> Self {
        Self::up_to(LARGEST_EVENT)
    }
}

impl Parser {
    /// For events of at most so many bytes.
    pub fn up_to(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            event: Event::default(),
            has_data: false,
            after_cr: false,
            begun: false,
        }
    }

    /// Takes bytes in and hands out what they complete.
    ///
    /// # Errors
    /// [`TooLarge`]; the parser is then of no more use.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Event)) -> Result<(), TooLarge> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            let (part, tail) = rest.split_at(end);
            if !part.is_empty() {
                self.after_cr = false;
                if self.line.len() + part.len() > self.limit {
                    return Err(TooLarge);
                }
                self.line.extend_from_slice(part);
            }
            let Some((&byte, later)) = tail.split_first() else {
                break;
            };
            let lf_of_crlf = byte == b'\n' && self.after_cr;
            self.after_cr = byte == b'\r';
            if !lf_of_crlf {
                self.end_of_line(&mut each)?;
            }
            rest = later;
        }
        Ok(())
    }

    /// What the end of the stream completes: some servers leave out the last line's end.
    ///
    /// # Errors
    /// [`TooLarge`].
    pub fn finish(&mut self, mut each: impl FnMut(Event)) -> Result<(), TooLarge> {
        if !self.line.is_empty() {
            self.end_of_line(&mut each)?;
        }
        self.dispatch(&mut each);
        Ok(())
    }

    fn end_of_line(&mut self, each: &mut impl FnMut(Event)) -> Result<(), TooLarge> {
        let mut line = std::mem::take(&mut self.line);
        if !std::mem::replace(&mut self.begun, true) && line.starts_with(b"\xef\xbb\xbf") {
            line.drain(..3);
        }
        if line.is_empty() {
            self.dispatch(each);
        } else {
            self.field(&line)?;
        }
        line.clear();
        self.line = line;
        Ok(())
    }

    fn field(&mut self, line: &[u8]) -> Result<(), TooLarge> {
        let (name, value) = match line.iter().position(|b| *b == b':') {
            Some(at) => (&line[..at], &line[at + 1..]),
            None => (line, &line[line.len()..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match name {
            b"data" => {
                if self.event.data.len() + value.len() > self.limit {
                    return Err(TooLarge);
                }
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(&String::from_utf8_lossy(value));
            }
            b"event" => self.event.name = String::from_utf8_lossy(value).into_owned(),
            b"id" => self.event.id = String::from_utf8_lossy(value).into_owned(),
            // `retry` is for browsers; an empty name is a comment.
            _ => {}
        }
        Ok(())
    }

    fn dispatch(&mut self, each: &mut impl FnMut(Event)) {
        let event = std::mem::take(&mut self.event);
        if std::mem::take(&mut self.has_data) {
            each(event);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(chunks: &[&[u8]]) -> Vec<(String, String)> {
        let (mut parser, mut found) = (Parser::default(), Vec::new());
        for chunk in chunks {
            parser
                .push(chunk, |e| found.push((e.name, e.data)))
                .unwrap();
        }
        parser.finish(|e| found.push((e.name, e.data))).unwrap();
        found
    }

    fn one(name: &str, data: &str) -> (String, String) {
        (name.into(), data.into())
    }

    #[test]
    fn every_line_end_comments_and_fields() {
        let text = b"\xef\xbb\xbf: keep-alive\r\n\r\nevent: ping\rdata: {}\r\rdata: a\ndata:b\ndata\n\nid: 1\nretry: 5\n\ndata: last";
        assert_eq!(
            read(&[text]),
            [one("ping", "{}"), one("", "a\nb\n"), one("", "last")]
        );
        assert_eq!(read(&[b""]), []);
    }

    #[test]
    fn an_event_has_a_largest_size() {
        let mut parser = Parser::default();
        let long = vec![b'x'; LARGEST_EVENT + 1];
        assert_eq!(parser.push(&long, |_| ()), Err(TooLarge));
        let mut parser = Parser::default();
        let line = [b"data: ".as_slice(), &vec![b'x'; LARGEST_EVENT / 2], b"\n"].concat();
        assert_eq!(parser.push(&line, |_| ()), Ok(()));
        assert_eq!(parser.push(&line, |_| ()), Ok(()));
        assert_eq!(parser.push(&line, |_| ()), Err(TooLarge));
    }

    proptest! {
        /// However it is cut, code points in the middle too, the same comes out.
        #[test]
        fn cuts_change_nothing(
            events in prop::collection::vec(("[a-z]{0,6}", "[^\r\n]{0,12}"), 0..6),
            end in prop::sample::select(vec!["\n", "\r\n", "\r"]),
            cuts in prop::collection::vec(0..200usize, 0..20),
        ) {
            let text: String = events
                .iter()
                .map(|(name, data)| format!(":c{end}event: {name}{end}data: {data}{end}{end}"))
                .collect();
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            let wanted: Vec<_> = events.iter().map(|(n, d)| one(n, d)).collect();
            prop_assert_eq!(read(&chunks), wanted);
        }

        #[test]
        fn rubbish_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&[&bytes]);
        }
    }
}
