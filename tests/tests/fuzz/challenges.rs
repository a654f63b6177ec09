//! The reader of `WWW-Authenticate`.

use fastrand::Rng;
use http::HeaderValue;
use mcp_core::auth::{Challenge, Credentials};

use crate::fuzz;

const TOKEN: &str = "test-token-canary";

const CORPUS: &[&[u8]] = &[
    b"Bearer",
    b"Bearer realm=\"a\", error=\"invalid_token\", scope=\"read write\"",
    b"DPoP algs=\"ES256\", error=\"use_dpop_nonce\", Bearer resource_metadata=\"https://a.example/x\"",
    b"Negotiate dGVzdA==, Basic realm=\"a \\\"quoted\\\" realm\"",
    b"Bearer error_description=\"the token test-token-canary has expired\"",
];

fn written(rng: &mut Rng) -> (String, String, String) {
    let name: String = (0..rng.usize(1..12)).map(|_| rng.lowercase()).collect();
    let value: String = (0..rng.usize(0..40))
        .map(|_| char::from(rng.u8(0x20..0x7f)))
        .collect();
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
    (format!("Bearer {name}=\"{escaped}\""), name, value)
}

#[test]
fn no_header_hides_another_or_shows_what_was_sent() {
    let sent = Credentials::bearer(TOKEN).unwrap();
    fuzz("challenges", CORPUS, |input, rng| {
        let Ok(value) = HeaderValue::from_bytes(input) else {
            return;
        };
        let found = Challenge::parse([&value], &sent);
        assert!(found.len() <= 16, "{}", found.len());
        assert!(found.iter().all(|it| it.scheme().len() <= input.len()));
        // An escape within the token makes it another text.
        if !input.contains(&b'\\') {
            let shown = format!("{found:?}");
            let told = found.iter().flat_map(Challenge::scopes);
            assert!(!shown.contains(TOKEN), "{shown}");
            assert!(told.into_iter().all(|scope| !scope.contains(TOKEN)));
        }
        // Past the bound nothing more is read, whatever it is.
        let alone = Challenge::parse([&value], &Credentials::anonymous());
        if alone.len() < 16 {
            let (text, name, expected) = written(rng);
            let right = HeaderValue::from_str(&text).unwrap();
            let both = Challenge::parse([&value, &right], &Credentials::anonymous());
            let last = both.last().unwrap();
            assert!(last.is("bearer"));
            assert_eq!(last.parameter(&name), Some(expected.as_str()), "{text}");
        }
    });
}
