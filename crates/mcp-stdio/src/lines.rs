//! Lines out of a stream of bytes, within a bound.

use memchr::memchr;
use tokio::io::{AsyncRead, AsyncReadExt};

/// How much is read at a time.
const CHUNK: usize = 64 * 1024;

/// A buffer that grew beyond this for one long line is given back after it.
const KEPT: usize = 1024 * 1024;

/// How reading ended.
#[derive(Debug)]
pub(crate) enum End {
    /// The other side closed it, or reading failed.
    Closed,
    /// A line was longer than the bound.
    TooLong,
}

/// Reads until the end and gives each whole line, without its line feed.
pub(crate) async fn read_lines(
    mut stream: impl AsyncRead + Unpin,
    limit: usize,
    mut each: impl FnMut(&[u8]),
) -> End {
    let mut buffer = Vec::with_capacity(CHUNK / 8);
    loop {
        let searched = buffer.len();
        if buffer.capacity() - searched < CHUNK / 8 {
            buffer.reserve(CHUNK);
        }
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => {
                if !buffer.is_empty() {
                    each(&buffer);
                }
                return End::Closed;
            }
            Ok(_) => {}
        }
        let mut start = 0;
        let mut from = searched;
        while let Some(found) = buffer.get(from..).and_then(|rest| memchr(b'\n', rest)) {
            let end = from + found;
            each(buffer.get(start..end).unwrap_or_default());
            start = end + 1;
            from = start;
        }
        buffer.drain(..start);
        if buffer.len() > limit {
            return End::TooLong;
        }
        if buffer.is_empty() && buffer.capacity() > KEPT {
            buffer = Vec::with_capacity(CHUNK / 8);
        }
    }
}

/// Takes pieces of text and gives lines of at most `limit` bytes; the rest of a longer one is
/// left out.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    line: Vec<u8>,
    cut: bool,
}

impl Splitter {
    pub(crate) fn push(
        &mut self,
        mut piece: &[u8],
        limit: usize,
        mut each: impl FnMut(&[u8], bool),
    ) {
        while !piece.is_empty() {
            let end = memchr(b'\n', piece);
            let (head, rest) = piece.split_at(end.unwrap_or(piece.len()));
            let room = limit.saturating_sub(self.line.len());
            self.cut |= head.len() > room;
            self.line
                .extend_from_slice(head.get(..room.min(head.len())).unwrap_or_default());
            if end.is_none() {
                return;
            }
            each(&self.line, self.cut);
            self.line.clear();
            self.cut = false;
            piece = rest.get(1..).unwrap_or_default();
        }
    }

    /// The last line, if it did not end.
    pub(crate) fn finish(&mut self, mut each: impl FnMut(&[u8], bool)) {
        if !self.line.is_empty() {
            each(&self.line, self.cut);
            self.line.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &[u8], limit: usize) -> (Vec<String>, End) {
        let mut seen = Vec::new();
        let end = read_lines(text, limit, |line| {
            seen.push(String::from_utf8_lossy(line).into_owned());
        })
        .await;
        (seen, end)
    }

    #[tokio::test]
    async fn lines_are_whole() {
        let (seen, end) = lines(b"a\n\nbc\nd", 10).await;
        assert_eq!(seen, ["a", "", "bc", "d"]);
        assert!(matches!(end, End::Closed));
        let long = [vec![b'x'; 300_000], vec![b'\n'], vec![b'y'; 10]].concat();
        let (seen, _) = lines(&long, 1 << 20).await;
        assert_eq!(
            seen.iter().map(String::len).collect::<Vec<_>>(),
            [300_000, 10]
        );
    }

    #[tokio::test]
    async fn a_line_without_an_end_is_an_end() {
        let (seen, end) = lines(&b"x".repeat(500_000), 100_000).await;
        assert!(seen.is_empty());
        assert!(matches!(end, End::TooLong));
    }

    #[test]
    fn long_lines_are_cut_not_split() {
        let mut splitter = Splitter::default();
        let mut seen = Vec::new();
        for piece in [&b"ab"[..], b"cdef", b"gh\nxy\nz"] {
            splitter.push(piece, 4, |line, cut| seen.push((line.to_vec(), cut)));
        }
        splitter.finish(|line, cut| seen.push((line.to_vec(), cut)));
        let expected: [(&[u8], bool); 3] = [(b"abcd", true), (b"xy", false), (b"z", false)];
        assert!(
            seen.iter()
                .map(|(line, cut)| (&line[..], *cut))
                .eq(expected)
        );
    }
}
