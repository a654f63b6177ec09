//! The arguments of a call: from the command line, a file or standard input.

use std::io::Read;

use mcp_core::{ArgumentProblem, Error, Failure};
use serde_json::{Map, Value};

/// Reads `JSON`, `@FILE` or `-`; nothing is the empty object.
pub(crate) fn read(given: Option<&str>) -> Result<Map<String, Value>, Error> {
    let Some(given) = given else {
        return Ok(Map::new());
    };
    if given == "-" {
        let mut text = String::new();
        return match std::io::stdin().read_to_string(&mut text) {
            Ok(_) => parse(&text),
            Err(error) => Err(Error::config_because(
                "`--args -`: standard input cannot be read",
                error,
            )),
        };
    }
    if let Some(path) = given.strip_prefix('@') {
        return match std::fs::read_to_string(path) {
            Ok(text) => parse(&text),
            Err(error) => Err(Error::config_because(
                format!("`--args`: `{path}` cannot be read"),
                error,
            )),
        };
    }
    parse(given)
}

fn parse(text: &str) -> Result<Map<String, Value>, Error> {
    let wrong = |message: String| {
        Error::from(Failure::InvalidArguments(vec![ArgumentProblem::new(
            "", message,
        )]))
    };
    match serde_json::from_str(text) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        // What was written is not shown: it may hold what nobody should read.
        Ok(_) => Err(wrong("`--args` is not a JSON object".to_owned())),
        Err(error) => Err(wrong(format!("`--args` is not JSON: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_or_nothing() {
        assert!(read(None).unwrap().is_empty());
        assert_eq!(read(Some(r#"{"a":1}"#)).unwrap()["a"], 1);
        for wrong in ["", "[]", "\"canary\"", "{canary", "7"] {
            let error = read(Some(wrong)).unwrap_err();
            assert_eq!(error.kind(), mcp_core::ErrorKind::InvalidArguments);
            assert!(!error.to_string().contains("canary"), "{error}");
        }
        let missing = read(Some("@no/such/file")).unwrap_err();
        assert_eq!(missing.kind(), mcp_core::ErrorKind::Config);
    }
}
