//! What credentials are made of, and what they show.

use super::*;

#[test]
fn volatile_headers_do_not_change_the_fingerprint() {
    let with = |trace: &str| {
        Credentials::builder()
            .volatile_header("x-trace-id", trace)
            .unwrap()
            .bearer("test-token")
            .unwrap()
            .build()
            .unwrap()
    };
    assert_eq!(with("1").fingerprint(), with("2").fingerprint());
    assert_eq!(with("1").headers().len(), 2);
    assert_eq!(
        with("1").fingerprint(),
        Credentials::bearer("test-token").unwrap().fingerprint()
    );
}

#[test]
fn what_travels_beside_the_headers_is_part_of_the_identity() {
    let with = |secrets: &[&str]| {
        let fingerprints = secrets
            .iter()
            .map(|secret| Fingerprint::of([secret.as_bytes()]));
        let builder = fingerprints.fold(Credentials::builder(), |builder, secret| {
            builder.beside(&secret)
        });
        builder.build().unwrap()
    };
    assert_eq!(
        with(&["a", "b"]).fingerprint(),
        with(&["a", "b"]).fingerprint()
    );
    assert_ne!(
        with(&["a", "b"]).fingerprint(),
        with(&["b", "a"]).fingerprint()
    );
    assert_ne!(with(&["a"]).fingerprint(), Fingerprint::anonymous());
    assert!(with(&["a"]).headers().is_empty());
    let merged = |secret| {
        let builder = Credentials::builder().merge(&with(&[secret])).unwrap();
        builder.build().unwrap().fingerprint()
    };
    assert_ne!(merged("a"), merged("b"));
}

#[test]
fn the_same_header_twice_is_a_conflict() {
    let error = Credentials::builder()
        .bearer("test-token")
        .unwrap()
        .header("authorization", "Basic eA==")
        .unwrap_err();
    assert_eq!(error.reason(), InvalidHeaderReason::Conflict);
}

#[test]
fn echoed_secrets_are_redacted() {
    let credentials = Credentials::builder()
        .bearer("canary-token")
        .unwrap()
        .header("x-api-key", "canary-key")
        .unwrap()
        .build()
        .unwrap();
    let echoed = "got `Bearer canary-token` and canary-key";
    assert_eq!(
        credentials.redact(echoed),
        "got `Bearer [redacted]` and [redacted]"
    );
    assert!(matches!(credentials.redact("nothing"), Cow::Borrowed(_)));
    let printed = format!("{credentials:?} {credentials:#?}");
    assert!(!printed.contains("canary"), "{printed}");
}

#[test]
fn a_password_is_redacted_as_its_user_typed_it() {
    // `user:canary-pass`
    let credentials = Credentials::builder()
        .authorization("Basic", "dXNlcjpjYW5hcnktcGFzcw==")
        .unwrap()
        .build()
        .unwrap();
    let echoed = "wrong password canary-pass of user (dXNlcjpjYW5hcnktcGFzcw==)";
    assert_eq!(
        credentials.redact(echoed),
        "wrong password [redacted] of user ([redacted])"
    );
}

#[test]
fn a_long_token_in_a_cut_body_is_redacted() {
    let token = "canary".repeat(700);
    let credentials = Credentials::bearer(token.as_str()).unwrap();
    let body = format!("no such token: {token}");
    assert_eq!(
        credentials.redact(&body[..2048]),
        "no such token: [redacted]"
    );
}
