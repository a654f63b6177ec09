//! A TCP connection as HTTP writes to it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How much is put together before it is written: a request as most are, head and body.
const SMALL: usize = 2 << 10;

/// A connection on which pieces that are small go out as one. To copy them costs less than to tell
/// the system of each.
#[derive(Debug)]
pub(crate) struct Socket(TokioIo<TcpStream>);

impl Socket {
    pub(super) fn new(stream: TokioIo<TcpStream>) -> Self {
        Self(stream)
    }

    fn stream(self: Pin<&mut Self>) -> Pin<&mut TokioIo<TcpStream>> {
        Pin::new(&mut self.get_mut().0)
    }
}

impl Read for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        room: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(context, room)
    }
}

impl Write for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.stream().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut room = [0; SMALL];
        match put_together(pieces, &mut room) {
            Some(bytes) => self.stream().poll_write(context, bytes),
            None => self.stream().poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(context)
    }
}

impl Connection for Socket {
    fn connected(&self) -> Connected {
        self.0.connected()
    }
}

/// The pieces as one, if there is room for them.
fn put_together<'r>(pieces: &[IoSlice<'_>], room: &'r mut [u8; SMALL]) -> Option<&'r [u8]> {
    let mut length = 0;
    for piece in pieces {
        let end = length + piece.len();
        room.get_mut(length..end)?.copy_from_slice(piece);
        length = end;
    }
    room.get(..length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_one_while_there_is_room() {
        let (head, body) = ([b'h'; SMALL - 100], [b'b'; 100]);
        let mut room = [0; SMALL];
        let pieces = [IoSlice::new(&head), IoSlice::new(&[]), IoSlice::new(&body)];
        let joined = put_together(&pieces, &mut room).unwrap();
        assert_eq!(joined, [&head[..], &body[..]].concat());
        let pieces = [IoSlice::new(&head), IoSlice::new(&body), IoSlice::new(b"!")];
        assert!(put_together(&pieces, &mut room).is_none());
    }

    #[tokio::test]
    async fn what_is_written_arrives_whole_and_in_order() {
        use std::future::poll_fn;
        use tokio::io::AsyncReadExt as _;

        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap());
        let mut socket = Socket::new(TokioIo::new(stream.await.unwrap()));
        let (mut peer, _) = listener.accept().await.unwrap();
        let long = vec![b'l'; 3 * SMALL];
        for body in [&b"short"[..], &long] {
            let pieces = [IoSlice::new(b"head;"), IoSlice::new(body)];
            let write =
                poll_fn(|context| Pin::new(&mut socket).poll_write_vectored(context, &pieces));
            assert_eq!(write.await.unwrap(), 5 + body.len());
            let mut read = vec![0; 5 + body.len()];
            peer.read_exact(&mut read).await.unwrap();
            assert_eq!(read, [b"head;", body].concat());
        }
    }
}
