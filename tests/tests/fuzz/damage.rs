//! Makes inputs that are nearly right out of right ones.

use fastrand::Rng;

/// Nothing grows past this.
const LONGEST: usize = 8 * 1024;

/// Pieces that mean something to one of the readers.
const PIECES: &[&[u8]] = &[
    b"\r\n",
    b"\r",
    b"\n\n",
    b"\xef\xbb\xbf",
    b"data:",
    b"data: ",
    b"id: ",
    b"retry: 5",
    b"event: ",
    b":",
    b"\"",
    b"\\\"",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"{}",
    b"[]",
    b"[",
    b"{",
    b"}",
    b"]",
    b"-1",
    b"1e400",
    b"18446744073709551616",
    b"\"id\":1,",
    b"\"result\":{},",
    b"\"error\":{},",
    b"\"method\":\"x\",",
    b"=",
    b",",
    b" ",
    b"Bearer ",
    b"error=\"x\"",
    b"\0",
    b"\xff",
    b"\xc3",
    b"\"inputSchema\":{},",
    b"\"name\":\"a\",",
    b"\"nextCursor\":\"\",",
];

/// One input of the corpus with up to eight things wrong with it.
pub(crate) fn damaged(corpus: &[&[u8]], rng: &mut Rng) -> Vec<u8> {
    let mut input = rng.choice(corpus).unwrap().to_vec();
    for _ in 0..rng.usize(0..=8) {
        let at = rng.usize(0..=input.len());
        let to = rng.usize(at..=input.len().min(at + 64));
        match rng.u8(0..7) {
            0 => drop(input.splice(at..at, [rng.u8(..)])),
            1 => drop(input.splice(at..at, rng.choice(PIECES).unwrap().iter().copied())),
            2 => drop(input.drain(at..to)),
            3 => input.extend_from_within(at..to),
            4 => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << rng.u8(0..8);
                }
            }
            5 => {
                let other = rng.choice(corpus).unwrap();
                let from = rng.usize(0..=other.len());
                input.splice(at..to, other[from..].iter().copied());
            }
            _ => {
                let again = input[at..to].repeat(rng.usize(1..5));
                input.splice(at..at, again);
            }
        }
        input.truncate(LONGEST);
    }
    input
}
