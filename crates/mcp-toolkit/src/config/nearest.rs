//! The name that was probably meant.

/// Below this, two names have nothing to do with each other.
const SIMILAR: f64 = 0.6;

/// The known name that is most like the given one, if any is.
///
/// ```
/// use mcp_toolkit::config::nearest;
///
/// assert_eq!(nearest("enviroment", ["args", "environment"]), Some("environment"));
/// assert_eq!(nearest("xyz", ["args", "environment"]), None);
/// ```
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let name = name.to_ascii_lowercase();
    known
        .into_iter()
        .map(|known| (likeness(&name, &known.to_ascii_lowercase()), known))
        .filter(|(likeness, _)| *likeness >= SIMILAR)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}

/// Swapped letters count once, and a common beginning counts more.
fn likeness(one: &str, other: &str) -> f64 {
    let edits = strsim::normalized_damerau_levenshtein(one, other);
    let beginning = strsim::jaro_winkler(one, other);
    f64::midpoint(edits, beginning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_finger_are_understood() {
        let known = [
            "command",
            "args",
            "env",
            "envFrom",
            "disabledTools",
            "url",
            "headers",
        ];
        for (given, meant) in [
            ("comand", "command"),
            ("disabled_tools", "disabledTools"),
            ("header", "headers"),
            ("evn", "env"),
            ("URL", "url"),
            ("env_from", "envFrom"),
        ] {
            assert_eq!(nearest(given, known), Some(meant), "{given}");
        }
        for foreign in ["autoApprove", "x", ""] {
            assert_eq!(nearest(foreign, known), None, "{foreign}");
        }
    }
}
