//! Texts with escapes, as JSON, URLs and HTML have them.

use std::ops::Range;

use memchr::memmem;

use super::torn;

/// The longest character reference of HTML that is looked at.
const REFERENCE: usize = 10;

/// A way of escaping, by the sign that begins an escape.
#[derive(Clone, Copy, Debug)]
pub(super) enum Escape {
    Json,
    Url,
    Html,
}

/// All of them.
pub(super) const ALL: [Escape; 3] = [Escape::Json, Escape::Url, Escape::Html];

/// What stands behind the sign.
enum Escaped {
    /// A character, and the bytes that it takes with its sign.
    Character(char, usize),
    /// A byte, likewise.
    Byte(u8, usize),
    /// An escape whose end was cut off.
    CutOff,
    /// No escape.
    Nothing,
}

/// Where the secret stands, escaped, in a text that has such escapes.
pub(super) fn find(text: &str, secret: &[u8], escape: Escape) -> Vec<Range<usize>> {
    let sign = escape.sign();
    if memchr::memchr(sign, text.as_bytes()).is_none() {
        return Vec::new();
    }
    // The text as it was meant, and where each byte of it comes from.
    let mut meant = Vec::with_capacity(text.len());
    let mut from = Vec::with_capacity(text.len() + 1);
    let mut at = 0;
    while let Some(&byte) = text.as_bytes().get(at) {
        let read = match text.get(at..) {
            Some(rest) if byte == sign => escape.read(rest),
            _ => Escaped::Nothing,
        };
        let before = meant.len();
        let taken = match read {
            Escaped::Character(character, taken) => {
                let mut buffer = [0; 4];
                meant.extend_from_slice(character.encode_utf8(&mut buffer).as_bytes());
                taken
            }
            Escaped::Byte(byte, taken) => {
                meant.push(byte);
                taken
            }
            Escaped::CutOff => break,
            Escaped::Nothing => {
                meant.push(byte);
                1
            }
        };
        from.resize(from.len() + (meant.len() - before), at);
        at += taken;
    }
    // Where the next one would begin: the end, or the escape that was cut off.
    from.push(at);
    let whole = memmem::find_iter(&meant, secret).map(|start| start..start + secret.len());
    let end = torn(&meant, secret).map(|start| start..meant.len());
    let place = |range: Range<usize>| {
        // What was cut off belongs to the secret that it ends.
        let end = if range.end == meant.len() && range.len() < secret.len() {
            text.len()
        } else {
            from.get(range.end).copied()?
        };
        Some(from.get(range.start).copied()?..end)
    };
    whole.chain(end).filter_map(place).collect()
}

impl Escape {
    fn sign(self) -> u8 {
        match self {
            Self::Json => b'\\',
            Self::Url => b'%',
            Self::Html => b'&',
        }
    }

    fn read(self, rest: &str) -> Escaped {
        match self {
            Self::Json => json(rest),
            Self::Url => url(rest),
            Self::Html => html(rest),
        }
    }
}

/// RFC 8259, section 7.
fn json(rest: &str) -> Escaped {
    let character = match rest.as_bytes().get(1) {
        None => return Escaped::CutOff,
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(&sign @ (b'"' | b'\\' | b'/')) => char::from(sign),
        Some(b'u') => {
            return match hex(rest.get(2..).unwrap_or_default(), 4) {
                Ok(code) => {
                    // Half of a pair is no character that a secret has.
                    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                    Escaped::Character(character, 6)
                }
                Err(escaped) => escaped,
            };
        }
        Some(_) => return Escaped::Nothing,
    };
    Escaped::Character(character, 2)
}

/// RFC 3986, section 2.1.
fn url(rest: &str) -> Escaped {
    match hex(rest.get(1..).unwrap_or_default(), 2) {
        Ok(code) => u8::try_from(code).map_or(Escaped::Nothing, |byte| Escaped::Byte(byte, 3)),
        Err(escaped) => escaped,
    }
}

/// Numeric references, and the named ones that writers use for ASCII.
fn html(rest: &str) -> Escaped {
    let bytes = rest.as_bytes();
    let end = bytes.iter().take(REFERENCE).position(|&byte| byte == b';');
    let Some(end) = end else {
        let open = |&byte: &u8| byte.is_ascii_alphanumeric() || byte == b'#';
        let is_cut_off = bytes.len() < REFERENCE && bytes.iter().skip(1).all(open);
        return if is_cut_off {
            Escaped::CutOff
        } else {
            Escaped::Nothing
        };
    };
    let name = rest.get(1..end).unwrap_or_default();
    let character = match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "sol" => Some('/'),
        "plus" => Some('+'),
        "equals" => Some('='),
        "colon" => Some(':'),
        _ => name.strip_prefix('#').and_then(|number| {
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)
        }),
    };
    character.map_or(Escaped::Nothing, |it| Escaped::Character(it, end + 1))
}

/// So many hexadecimal digits.
fn hex(rest: &str, digits: usize) -> Result<u32, Escaped> {
    let found = rest.bytes().take(digits).take_while(u8::is_ascii_hexdigit);
    let found = found.count();
    match rest.get(..digits) {
        Some(all) if found == digits => u32::from_str_radix(all, 16).map_err(|_| Escaped::Nothing),
        None if found == rest.len() => Err(Escaped::CutOff),
        _ => Err(Escaped::Nothing),
    }
}
