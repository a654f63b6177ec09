//! Event streams, read in pieces as they come (WHATWG HTML, section 9.2).

use std::time::Duration;

use mcp_core::Error;

/// What a server may ask a client to wait before it reconnects; longer is taken for this.
const MAX_RETRY: Duration = Duration::from_secs(60);

/// Ids are echoed in a header; longer ones are not remembered.
const MAX_ID_BYTES: usize = 1024;

/// Reads events out of chunks that may end anywhere: within a line, a character, a line end.
///
/// Holds one event at a time, never longer than its limit. Data of one line that lies whole in its
/// chunk, as most do, is not copied.
#[derive(Debug)]
pub(crate) struct SseDecoder {
    limit: usize,
    /// The beginning of a line whose end has not come yet.
    line: Vec<u8>,
    /// The event's data, as far as it had to be kept.
    data: Vec<u8>,
    has_data: bool,
    kind: Vec<u8>,
    last_id: Option<Box<str>>,
    /// The id of the event that is being read; it counts once the event is whole, or what comes again
    /// after a reconnection would begin behind an event that nobody got.
    next_id: NextId,
    retry: Option<Duration>,
    /// Bytes seen of the stream, up to a few: a byte order mark may begin it.
    begun: Begun,
    /// A line feed after a carriage return ends no second line.
    after_return: bool,
    /// Whether the event was handed out, so that the next one begins.
    is_told: bool,
}

/// An event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SseEvent<'a> {
    /// Its type; empty for `message`.
    pub(crate) kind: &'a [u8],
    pub(crate) data: &'a [u8],
}

impl SseEvent<'_> {
    /// Whether it carries a message of the protocol's.
    pub(crate) fn is_message(&self) -> bool {
        self.kind.is_empty() && !self.data.is_empty()
    }
}

/// What a line does to its event.
enum Line<'a> {
    Ends,
    AddsData(&'a [u8]),
    IsSeenTo,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Begun {
    No,
    Yes,
}

/// What an event says of its id.
#[derive(Debug, Default)]
enum NextId {
    /// Nothing: the id is still that of the one before.
    #[default]
    Same,
    /// It is this, or none from here on.
    Is(Option<Box<str>>),
}

impl SseDecoder {
    /// A reader of events up to `limit` bytes (`Limits::message_bytes`).
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            line: Vec::new(),
            data: Vec::new(),
            has_data: false,
            kind: Vec::new(),
            last_id: None,
            next_id: NextId::Same,
            retry: None,
            begun: Begun::No,
            after_return: false,
            is_told: false,
        }
    }

    /// Begins another stream of the same conversation: what was incomplete is forgotten, the last
    /// id and the retry time stay.
    pub(crate) fn restart(&mut self) {
        self.line.clear();
        self.clear_event();
        self.next_id = NextId::Same;
        self.begun = Begun::No;
        self.after_return = false;
    }

    /// Reads from the chunk up to the end of an event. What was read is cut off the chunk; call again
    /// until there is none.
    ///
    /// # Errors
    /// [`Failure::LimitExceeded`](mcp_core::Failure) for an event past the limit.
    pub(crate) fn read<'a, 'c: 'a>(
        &'a mut self,
        chunk: &mut &'c [u8],
    ) -> Result<Option<SseEvent<'a>>, Error> {
        if self.is_told {
            self.clear_event();
        }
        // The event's data, while one line of this chunk is all of it.
        let mut only: Option<&'c [u8]> = None;
        while !chunk.is_empty() {
            if std::mem::take(&mut self.after_return)
                && let Some(rest) = chunk.strip_prefix(b"\n")
            {
                *chunk = rest;
                continue;
            }
            let Some(end) = memchr::memchr2(b'\n', b'\r', chunk) else {
                self.keep(chunk)?;
                *chunk = &[];
                break;
            };
            let (line, rest) = chunk.split_at(end);
            self.after_return = rest.first() == Some(&b'\r');
            *chunk = rest.get(1..).unwrap_or_default();
            match self.whole_line(line)? {
                Line::Ends if self.has_data || only.is_some() => {
                    self.is_told = true;
                    let (kind, data) = (&self.kind, only.unwrap_or(&self.data));
                    return Ok(Some(SseEvent { kind, data }));
                }
                Line::Ends => self.kind.clear(),
                Line::AddsData(value) if only.is_none() && !self.has_data => {
                    self.check(value.len())?;
                    only = Some(value);
                }
                Line::AddsData(value) => {
                    if let Some(first) = only.take() {
                        self.add(first)?;
                    }
                    self.add(value)?;
                }
                Line::IsSeenTo => {}
            }
        }
        if let Some(first) = only {
            self.add(first)?;
        }
        Ok(None)
    }

    /// The id of the last whole event that had one.
    pub(crate) fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// How long the server wants to be left alone before a reconnection.
    pub(crate) fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Whether the stream has ended in the middle of an event.
    pub(crate) fn is_amid_event(&self) -> bool {
        !self.line.is_empty() || (self.has_data && !self.is_told)
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), Error> {
        self.check(self.line.len() + part.len())?;
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn check(&self, more: usize) -> Result<(), Error> {
        if self.data.len() + more > self.limit {
            return Err(Error::limit(
                "message_bytes",
                self.limit,
                "bytes in one event",
            ));
        }
        Ok(())
    }

    /// Adds a line of data behind those that are kept.
    fn add(&mut self, value: &[u8]) -> Result<(), Error> {
        let is_next = std::mem::replace(&mut self.has_data, true);
        self.check(usize::from(is_next) + value.len())?;
        if is_next {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
        Ok(())
    }

    /// Reads a line whose end is here, and its beginning here or in chunks before.
    fn whole_line<'l>(&mut self, end: &'l [u8]) -> Result<Line<'l>, Error> {
        if self.line.is_empty() {
            return self.read_line(end);
        }
        self.keep(end)?;
        let whole = std::mem::take(&mut self.line);
        let does = match self.read_line(&whole)? {
            Line::AddsData(value) => {
                self.add(value)?;
                Line::IsSeenTo
            }
            Line::Ends => Line::Ends,
            Line::IsSeenTo => Line::IsSeenTo,
        };
        self.line = whole;
        self.line.clear();
        Ok(does)
    }

    fn read_line<'l>(&mut self, mut line: &'l [u8]) -> Result<Line<'l>, Error> {
        if self.begun == Begun::No {
            self.begun = Begun::Yes;
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
            if matches!(line.trim_ascii_start().first(), Some(b'{' | b'[')) {
                return Err(Error::protocol(
                    "the answer says `text/event-stream` and holds plain JSON",
                ));
            }
        }
        if line.is_empty() {
            // An event without data is not dispatched, but its id counts.
            if let NextId::Is(id) = std::mem::take(&mut self.next_id) {
                self.last_id = id;
            }
            return Ok(Line::Ends);
        }
        let (field, value) = match memchr::memchr(b':', line) {
            Some(colon) => {
                let (field, value) = line.split_at(colon);
                let value = value.get(1..).unwrap_or_default();
                (field, value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &[][..]),
        };
        match field {
            b"data" => return Ok(Line::AddsData(value)),
            b"event" => {
                self.check(value.len())?;
                self.kind.clear();
                if value != b"message" {
                    self.kind.extend_from_slice(value);
                }
            }
            b"id" if !value.contains(&0) && value.len() <= MAX_ID_BYTES => {
                let id = std::str::from_utf8(value).ok();
                self.next_id = NextId::Is(id.filter(|id| !id.is_empty()).map(Into::into));
            }
            b"retry" => {
                let digits = std::str::from_utf8(value)
                    .ok()
                    .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
                if let Some(digits) = digits.filter(|digits| !digits.is_empty()) {
                    let asked = digits.parse().map_or(MAX_RETRY, Duration::from_millis);
                    self.retry = Some(asked.min(MAX_RETRY));
                }
            }
            // Comments (an empty field name) and fields that nobody knows.
            _ => {}
        }
        Ok(Line::IsSeenTo)
    }

    fn clear_event(&mut self) {
        self.data.clear();
        self.has_data = false;
        self.kind.clear();
        self.is_told = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcp_core::ErrorKind;

    fn events(decoder: &mut SseDecoder, chunks: &[&[u8]]) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut found = Vec::new();
        for mut chunk in chunks.iter().copied() {
            while let Some(event) = decoder.read(&mut chunk).unwrap() {
                found.push((text(event.kind), text(event.data)));
            }
        }
        found
    }

    fn data_of(stream: &[u8], pieces: usize) -> Vec<String> {
        let chunks: Vec<_> = stream.chunks(pieces).collect();
        let found = events(&mut SseDecoder::new(1024), &chunks);
        found.into_iter().map(|(_, data)| data).collect()
    }

    #[test]
    fn every_way_of_cutting_and_ending_lines_reads_alike() {
        let stream = "\u{feff}: hello\nevent: message\ndata: \"zür\n\ndata:a\ndata: b\ndata\n\n\
                      id: 7\nother: x\n\ndata:  c\n\n";
        let expected = ["\"zür", "a\nb\n", " c"];
        for ending in ["\n", "\r", "\r\n"] {
            let stream = stream.replace('\n', ending);
            for pieces in 1..stream.len() {
                assert_eq!(
                    data_of(stream.as_bytes(), pieces),
                    expected,
                    "{ending:?} {pieces}"
                );
            }
        }
    }

    #[test]
    fn ids_retry_times_and_types_are_kept() {
        let mut decoder = SseDecoder::new(1024);
        let found = events(
            &mut decoder,
            &[b"id: 1\nevent: message\ndata:\n\nevent: endpoint\ndata: x\n\n"],
        );
        assert_eq!(
            found,
            [
                (String::new(), String::new()),
                ("endpoint".to_owned(), "x".to_owned())
            ]
        );
        assert_eq!(decoder.last_id(), Some("1"));
        assert!(events(&mut decoder, &[b"retry: 500\nid: 2\n\nid: a\0b\n\n"]).is_empty());
        assert_eq!(decoder.last_id(), Some("2"));
        assert_eq!(decoder.retry(), Some(Duration::from_millis(500)));
        events(
            &mut decoder,
            &[b"retry: 99999999999999999999\nretry: -1\nretry:\n"],
        );
        assert_eq!(decoder.retry(), Some(MAX_RETRY));
        events(&mut decoder, &[b"id\n\n"]);
        assert_eq!(decoder.last_id(), None);
    }

    #[test]
    fn events_and_lines_without_an_end_meet_the_limit() {
        let limit = |chunk: &[u8]| {
            let mut decoder = SseDecoder::new(64);
            for _ in 0..100 {
                let mut rest = chunk;
                while !rest.is_empty() {
                    if let Err(error) = decoder.read(&mut rest) {
                        return error.kind();
                    }
                }
            }
            panic!("no limit for {chunk:?}");
        };
        assert_eq!(limit(b"data: x\n"), ErrorKind::LimitExceeded);
        assert_eq!(limit(b"xxxxxxxx"), ErrorKind::LimitExceeded);
        assert_eq!(limit(b"data: x"), ErrorKind::LimitExceeded);
    }

    #[test]
    fn plain_json_is_named() {
        let mut decoder = SseDecoder::new(64);
        let error = decoder.read(&mut &b"{\"id\":1}\n"[..]).unwrap_err();
        assert!(error.to_string().contains("text/event-stream"), "{error}");
    }

    #[test]
    fn an_event_that_breaks_off_is_seen() {
        let mut decoder = SseDecoder::new(64);
        let torn = b"id: 1\ndata: x\n\nid: 2\ndata: y\n";
        assert!(events(&mut decoder, &[torn]).len() == 1);
        assert!(decoder.is_amid_event());
        // The second one never came: it is to come again.
        assert_eq!(decoder.last_id(), Some("1"));
        decoder.restart();
        assert!(!decoder.is_amid_event());
        assert!(events(&mut decoder, &[b"data: y\n\n"]).len() == 1);
        assert_eq!(decoder.last_id(), Some("1"));
    }
}
