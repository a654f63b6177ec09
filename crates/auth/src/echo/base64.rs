//! Base64 of something that holds a secret.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use memchr::memmem;
use secrecy::SecretString;
use zeroize::Zeroizing;

use super::torn;

/// What stands in the Base64 of every text that holds the secret: a sign stands for six bits, so that
/// there are three ways, by what comes before; and two alphabets.
pub(super) fn within(secret: &[u8]) -> Vec<SecretString> {
    let mut found: Vec<SecretString> = Vec::with_capacity(6);
    for before in 0..3 {
        let mut bytes = Zeroizing::new(Vec::with_capacity(secret.len() + 5));
        bytes.resize(before, 0);
        bytes.extend_from_slice(secret);
        // Signs that only bits of the secret make.
        let first = (before * 8).div_ceil(6);
        let end = bytes.len() * 8 / 6;
        bytes.extend_from_slice(&[0; 3]);
        let [standard, url_safe] =
            [STANDARD_NO_PAD, URL_SAFE_NO_PAD].map(|it| Zeroizing::new(it.encode(&*bytes)));
        let own = |encoded: &str| encoded.get(first..end).unwrap_or_default().into();
        found.push(own(&standard));
        if *standard != *url_safe {
            found.push(own(&url_safe));
        }
    }
    found
}

/// The words of Base64 that hold this; the signs beside it hold the secret's first and last bits.
pub(super) fn find(text: &str, encoded: &[u8]) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let whole = memmem::find_iter(bytes, encoded).map(|at| at..at + encoded.len());
    let end = torn(bytes, encoded).map(|at| at..bytes.len());
    let is_sign =
        |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_');
    let word = |range: Range<usize>| {
        let before = bytes.get(..range.start).unwrap_or_default();
        let begun = before.iter().rev().take_while(|byte| is_sign(byte)).count();
        let behind = bytes.get(range.end..).unwrap_or_default();
        let goes_on = |byte: &&u8| is_sign(byte) || **byte == b'=';
        let ended = behind.iter().take_while(goes_on).count();
        range.start - begun..range.end + ended
    };
    whole.chain(end).map(word).collect()
}
