//! References give what they name, and their errors name them and nothing else.

use std::error::Error;
use std::ffi::OsString;

use secrecy::ExposeSecret;

use super::{SecretError, SecretErrorKind, SecretRef, SecretScope};

fn scope() -> SecretScope {
    SecretScope::new().with_lookup(|name| match name {
        "SET" => Some(OsString::from("canary-value")),
        "EMPTY" => Some(OsString::new()),
        _ => None,
    })
}

async fn value(reference: &SecretRef) -> Result<String, SecretError> {
    let secret = reference.resolve_in(&scope()).await?;
    Ok(secret.expose_secret().to_owned())
}

async fn template(text: &str) -> Result<String, SecretError> {
    value(&SecretRef::template(text)?).await
}

#[tokio::test]
async fn variables_defaults_and_text_around_them() {
    assert_eq!(template("${SET}").await.unwrap(), "canary-value");
    assert_eq!(template("${SET:-x}").await.unwrap(), "canary-value");
    assert_eq!(template("${UNSET:-x:-y}").await.unwrap(), "x:-y");
    assert_eq!(template("${EMPTY:-x}").await.unwrap(), "x");
    assert_eq!(template("${UNSET:-}").await.unwrap(), "");
    assert_eq!(
        template("Bearer ${SET}/${UNSET:-z}!").await.unwrap(),
        "Bearer canary-value/z!"
    );
    assert_eq!(template("$SET $").await.unwrap(), "$SET $");
    assert!(SecretRef::template("plain").unwrap().is_literal());
    let both = SecretRef::template("${A}${B:-x}").unwrap();
    assert_eq!(both.variables().collect::<Vec<_>>(), ["A", "B"]);
}

#[tokio::test]
async fn an_unset_variable_is_named() {
    let error = template("canary ${MISSING}").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "environment variable `MISSING` is not set"
    );
    assert!(matches!(error.kind(), SecretErrorKind::Unset));
}

#[test]
fn malformed_references_are_refused_unseen() {
    for text in [
        "${canary",
        "${}",
        "${canary value}",
        "${1canary}",
        "${:-canary}",
    ] {
        let error = SecretRef::template(text).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
    }
    assert!(SecretRef::env("A=B").is_err());
}

#[tokio::test]
async fn a_file_is_read_anew() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("token"), "canary-1\n").unwrap();
    let scope = SecretScope::new().with_directory(directory.path());
    let reference = SecretRef::file("token");
    let read = async || {
        let secret = reference.resolve_in(&scope).await?;
        Ok::<_, SecretError>(secret.expose_secret().to_owned())
    };
    assert_eq!(read().await.unwrap(), "canary-1");
    std::fs::write(directory.path().join("token"), "canary-2\r\n").unwrap();
    assert_eq!(read().await.unwrap(), "canary-2");
    std::fs::write(directory.path().join("token"), "\n").unwrap();
    let error = read().await.unwrap_err();
    assert!(matches!(error.kind(), SecretErrorKind::Empty));
    std::fs::write(directory.path().join("token"), "x".repeat(65 * 1024)).unwrap();
    let error = read().await.unwrap_err();
    assert!(matches!(error.kind(), SecretErrorKind::TooLarge));
    std::fs::remove_file(directory.path().join("token")).unwrap();
    let error = read().await.unwrap_err();
    assert!(
        error.to_string().contains("token` cannot be read"),
        "{error}"
    );
    assert!(error.source().is_some());
}

#[test]
fn references_print_without_values() {
    let shown = [
        SecretRef::literal("canary"),
        SecretRef::template("canary ${VAR} ${OTHER:-canary}").unwrap(),
        SecretRef::file("/run/secrets/x"),
    ]
    .map(|reference| format!("{reference} {reference:?}"));
    assert!(shown.iter().all(|shown| !shown.contains("canary")));
    assert!(shown[1].contains("${VAR}"), "{shown:?}");
    assert!(shown[2].contains("/run/secrets/x"));
}

#[cfg(feature = "command")]
mod commands {
    use std::time::Duration;

    use super::*;

    fn sh(script: &str) -> SecretRef {
        SecretRef::command("sh", ["-c", script])
    }

    #[tokio::test]
    async fn what_a_command_prints() {
        assert_eq!(value(&sh("echo canary-out")).await.unwrap(), "canary-out");
        let scope = SecretScope::new().with_variable("MCPT_USER", "alice");
        let secret = sh("echo $MCPT_USER").resolve_in(&scope).await.unwrap();
        assert_eq!(secret.expose_secret(), "alice");
        // No shell: the metacharacters are the program's argument.
        let plain = SecretRef::command("echo", ["$(id); true"]);
        assert_eq!(value(&plain).await.unwrap(), "$(id); true");
    }

    #[tokio::test]
    async fn a_failing_command_shows_its_stderr_without_secrets() {
        let script =
            "echo canary-secret; echo 'no session for canary-secret, token=canary2' >&2; exit 3";
        let error = value(&sh(script)).await.unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("canary"), "{shown}");
        assert!(shown.contains("no session for [redacted]"), "{shown}");
        assert!(shown.contains("exit status: 3"), "{shown}");
        let missing = SecretRef::command("/nonexistent/helper", ["canary"]);
        let error = value(&missing).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "command `/nonexistent/helper` cannot be read"
        );
    }

    #[tokio::test]
    async fn endless_output_and_endless_waiting_end() {
        let error = value(&sh("yes canary | head -c 2000000"))
            .await
            .unwrap_err();
        assert!(matches!(error.kind(), SecretErrorKind::TooLarge));
        let scope = SecretScope::new().with_deadline(Duration::from_millis(50));
        let error = sh("sleep 600 & echo canary; wait")
            .resolve_in(&scope)
            .await
            .unwrap_err();
        assert!(
            matches!(error.kind(), SecretErrorKind::TimedOut(_)),
            "{error}"
        );
    }
}

#[cfg(feature = "serde")]
mod configuration {
    use super::*;
    use crate::SecretKind;

    fn parse(json: &str) -> Result<SecretRef, serde_json::Error> {
        serde_json::from_str(json)
    }

    #[test]
    fn every_form() {
        let kind = |json| parse(json).unwrap().kind();
        assert_eq!(kind(r#""plain""#), SecretKind::Literal);
        assert_eq!(kind(r#""${VAR}""#), SecretKind::Environment);
        assert_eq!(kind(r#"{"env":"VAR"}"#), SecretKind::Environment);
        assert_eq!(
            kind(r#"{"env":"VAR","default":"x"}"#),
            SecretKind::Environment
        );
        assert_eq!(kind(r#"{"file":"/run/secrets/x"}"#), SecretKind::File);
        #[cfg(feature = "command")]
        assert_eq!(kind(r#"{"command":["prog","arg"]}"#), SecretKind::Command);
    }

    #[test]
    fn mistakes_are_told_unseen() {
        for json in [
            "31337",
            "31337.5",
            "-31337",
            "true",
            "null",
            r#"["canary"]"#,
            r#"{"canary":"x"}"#,
            r#"{"env":31337}"#,
            r#"{"env":"A","file":"B"}"#,
            r#"{"env":["canary"]}"#,
            r#"{"file":"canary","default":"canary"}"#,
            r#"{"command":"canary"}"#,
            r#"{"command":[]}"#,
            r#"{"command":[31337]}"#,
            "{}",
            r#""${canary""#,
        ] {
            let error = parse(json).unwrap_err().to_string();
            assert!(
                !error.contains("canary") && !error.contains("31337"),
                "{error}"
            );
        }
    }
}
