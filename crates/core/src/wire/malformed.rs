//! What is wrong with JSON, without the JSON.

/// Why JSON cannot be read, and where: what `serde_json` says, less the values that it quotes. A
/// server may echo in any field what was sent to it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{problem}")]
pub struct Malformed {
    problem: String,
    cut_off: bool,
}

impl Malformed {
    /// Whether the JSON broke off before its end.
    pub fn is_cut_off(&self) -> bool {
        self.cut_off
    }
}

impl From<&serde_json::Error> for Malformed {
    fn from(error: &serde_json::Error) -> Self {
        Self {
            problem: without_values(&error.to_string()),
            cut_off: error.is_eof(),
        }
    }
}

/// `invalid type: string "…", expected a map at line 1 column 7` without what is quoted. What was
/// expected is ours, and comes last.
fn without_values(problem: &str) -> String {
    for kind in ["invalid type: ", "invalid value: "] {
        if let Some(rest) = problem.strip_prefix(kind) {
            let found = rest.split(['"', '`', ',']).next().unwrap_or_default();
            let expected = rest.rfind(", expected ").and_then(|at| rest.get(at..));
            return format!("{kind}{}{}", found.trim_end(), expected.unwrap_or_default());
        }
    }
    for kind in ["unknown variant ", "unknown field "] {
        if let Some(rest) = problem.strip_prefix(kind) {
            let expected = rest.rfind("`, ").and_then(|at| rest.get(at + 1..));
            return format!("{}{}", kind.trim_end(), expected.unwrap_or_default());
        }
    }
    problem.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;
    use std::fmt::Debug;

    fn problem<'a, T: Deserialize<'a> + Debug>(json: &'a str) -> String {
        let error = serde_json::from_str::<T>(json).unwrap_err();
        Malformed::from(&error).to_string()
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "lowercase")]
    enum Level {
        Low,
        High,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Known {
        #[expect(dead_code, reason = "only read")]
        name: String,
    }

    #[test]
    fn what_is_wrong_is_said_and_what_stands_there_is_not() {
        for (said, expected) in [
            (
                problem::<i64>(r#"" canary, expected `canary\" ""#),
                "invalid type: string, expected i64 at line 1 column 30",
            ),
            (
                problem::<u8>("4711"),
                "invalid value: integer, expected u8 at line 1 column 4",
            ),
            (
                problem::<Known>(r#"{"name":["canary"]}"#),
                "invalid type: sequence, expected a string at line 1 column 8",
            ),
            (
                problem::<Known>("{}"),
                "missing field `name` at line 1 column 2",
            ),
            (
                problem::<Known>(r#"{"canary`, expected":1}"#),
                "unknown field, expected `name` at line 1 column 20",
            ),
            (
                problem::<Level>(r#""canary""#),
                "unknown variant, expected `low` or `high` at line 1 column 8",
            ),
            (
                problem::<Known>(r#"{"name": canary"#),
                "expected value at line 1 column 10",
            ),
        ] {
            assert_eq!(said, expected);
        }
        let torn = serde_json::from_str::<Known>(r#"{"name": "#).unwrap_err();
        assert!(Malformed::from(&torn).is_cut_off());
    }
}
