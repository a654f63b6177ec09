//! Which variables a child speaks of when it fails.

/// Names in a child's last words that look like environment variables: in capitals, with an
/// underscore, as people write them.
pub(crate) fn named(words: &str) -> Vec<&str> {
    let mut found: Vec<&str> = Vec::new();
    let names = words.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    for name in names {
        let capitals = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let is_name = name.len() >= 4
            && name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.trim_matches('_').contains('_')
            && name.chars().all(capitals);
        if is_name && !found.contains(&name) {
            found.push(name);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_told_from_other_words() {
        let words = "Error: GITHUB_TOKEN is required (see $API_KEY_2), ERR_ x A_b HTTP 404";
        assert_eq!(named(words), ["GITHUB_TOKEN", "API_KEY_2"]);
    }
}
