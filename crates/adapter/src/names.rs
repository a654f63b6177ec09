//! The names under which a model sees tools: `[A-Za-z0-9_-]{1,64}`, unique, the same every time.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use mcp_core::{Error, ServerId};

/// The longest name that model providers take.
pub(crate) const MAX_NAME: usize = 64;

/// Hexadecimal digits of the suffix that keeps names apart.
const SUFFIX: usize = 8;

/// A tool that wants a name.
pub(crate) struct Wanted<'a> {
    /// Its server and its name there; together they identify it.
    pub(crate) server: &'a ServerId,
    pub(crate) remote: &'a str,
    /// The name it would like: any text.
    pub(crate) name: &'a str,
    /// Whether it may keep the name, where it is a good one, against others who want it.
    pub(crate) keeps: bool,
}

/// Checks a prefix that somebody configured.
pub(crate) fn check_prefix(prefix: &str) -> Result<(), Error> {
    if prefix.len() <= MAX_NAME / 2 && prefix.chars().all(allowed) {
        return Ok(());
    }
    Err(Error::config(
        "a prefix of tool names has at most 32 letters, digits, `_` and `-`",
    ))
}

/// Checks a whole name that somebody chose.
pub(crate) fn check(name: &str) -> Result<(), Error> {
    if !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(allowed) {
        return Ok(());
    }
    Err(Error::config(
        "a tool's name has 1 to 64 letters, digits, `_` and `-`",
    ))
}

/// Gives everybody a name.
///
/// A good name that only one tool wants stays as it is, and so does one that only one tool has as
/// its very own. All others get a suffix made of the server's name here and the tool's name there,
/// so the order of a list, or a server that comes and goes, renames nobody else's tools.
pub(crate) fn assign(wanted: &[Wanted<'_>]) -> Vec<Box<str>> {
    let bases: Vec<Cow<'_, str>> = wanted.iter().map(|want| sanitised(want.name)).collect();
    let mut distinct = HashSet::with_capacity(wanted.len());
    let fits = |base: &Cow<'_, str>| base.len() <= MAX_NAME;
    if bases
        .iter()
        .all(|base| fits(base) && distinct.insert(&**base))
    {
        // Almost always: nothing to tell apart.
        drop(distinct);
        return bases
            .into_iter()
            .map(|base| base.into_owned().into())
            .collect();
    }
    let mut wants: HashMap<&str, usize> = HashMap::with_capacity(wanted.len());
    for base in &bases {
        count(&mut wants, &**base);
    }
    // Those whose own name it is, word for word.
    let mut owners: HashMap<&str, usize> = HashMap::new();
    for (want, base) in wanted.iter().zip(&bases) {
        if want.keeps && want.name == *base {
            count(&mut owners, &**base);
        }
    }
    let stays = |want: &Wanted<'_>, base: &str| {
        let alone = wants.get(base) == Some(&1);
        let owner = want.keeps && want.name == base && owners.get(base) == Some(&1);
        base.len() <= MAX_NAME && (alone || owner)
    };
    let mut taken: HashSet<Box<str>> = HashSet::with_capacity(wanted.len());
    let mut names: Vec<Option<Box<str>>> = Vec::with_capacity(wanted.len());
    for (want, base) in wanted.iter().zip(&bases) {
        let name = stays(want, base).then(|| Box::<str>::from(&**base));
        taken.extend(name.clone());
        names.push(name);
    }
    // In an order of their own, so that the order of the list changes nothing.
    let mut rest: Vec<usize> = (0..wanted.len())
        .filter(|&index| names.get(index).is_some_and(Option::is_none))
        .collect();
    rest.sort_by_key(|&index| wanted.get(index).map(|want| (want.server, want.remote)));
    for index in rest {
        let (Some(want), Some(base)) = (wanted.get(index), bases.get(index)) else {
            continue;
        };
        let name = (0..=u32::MAX)
            .map(|salt| suffixed(base, want, salt))
            .find(|name| !taken.contains(name.as_str()))
            .unwrap_or_default();
        taken.insert(name.as_str().into());
        if let Some(slot) = names.get_mut(index) {
            *slot = Some(name.into());
        }
    }
    names.into_iter().map(Option::unwrap_or_default).collect()
}

fn count<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K) {
    *counts.entry(key).or_insert(0) += 1;
}

fn allowed(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == '-'
}

/// One `_` for every character that is not allowed; one more than fits, to show what overflows.
fn sanitised(name: &str) -> Cow<'_, str> {
    if !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(allowed) {
        return Cow::Borrowed(name);
    }
    let clean = |character| if allowed(character) { character } else { '_' };
    let name: String = name.chars().take(MAX_NAME + 1).map(clean).collect();
    if name.is_empty() {
        return Cow::Borrowed("tool");
    }
    Cow::Owned(name)
}

fn suffixed(base: &str, want: &Wanted<'_>, salt: u32) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [want.server.as_str(), want.remote] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.update(&salt.to_le_bytes());
    let digest = hasher.finalize().to_hex();
    let kept = base.len().min(MAX_NAME - SUFFIX - 1);
    let (kept, digits) = (base.get(..kept), digest.get(..SUFFIX));
    format!(
        "{}_{}",
        kept.unwrap_or_default(),
        digits.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_of(remote: &[&str]) -> Vec<String> {
        let server = ServerId::new("s").unwrap();
        let wanted: Vec<_> = remote
            .iter()
            .map(|remote| Wanted {
                server: &server,
                remote,
                name: remote,
                keeps: true,
            })
            .collect();
        assign(&wanted).into_iter().map(String::from).collect()
    }

    fn assert_fit(names: &[String]) {
        for name in names {
            assert!(!name.is_empty() && name.len() <= MAX_NAME, "{name}");
            assert!(name.chars().all(allowed), "{name}");
        }
        let distinct: HashSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
    }

    #[test]
    fn good_names_stay() {
        let exact = "x".repeat(64);
        assert_eq!(
            names_of(&["echo", "get-Sum_2", &exact]),
            ["echo", "get-Sum_2", exact.as_str()]
        );
        assert_eq!(
            names_of(&["files.read", "a/b", ""]),
            ["files_read", "a_b", "tool"]
        );
    }

    #[test]
    fn hostile_names_fit() {
        let long = "n".repeat(10 * 1024);
        let longer = "n".repeat(10 * 1024 + 1);
        let names = names_of(&[
            &long,
            &longer,
            "../../etc",
            "..\\..\\etc",
            "\u{1b}[31m",
            "ехо",
            "echo",
            "e\0",
            "é",
            "ç",
            "",
            "tool",
            "日本語",
        ]);
        assert_fit(&names);
        assert_eq!(names[6], "echo");
        assert_eq!(names[11], "tool");
    }

    #[test]
    fn a_collision_renames_only_who_has_no_right_to_the_name() {
        let names = names_of(&["a.b", "a_b", "a/b"]);
        assert_fit(&names);
        assert_eq!(names[1], "a_b");
        assert!(names[0].starts_with("a_b_") && names[2].starts_with("a_b_"));
        // Somebody who guesses the suffix does not take it over unnoticed.
        let guessed = names_of(&["a.b", "a_b", "a/b", &names[0]]);
        assert_fit(&guessed);
        assert_eq!(guessed[3], names[0]);
    }

    #[test]
    fn the_order_of_the_list_changes_no_name() {
        let long = "y".repeat(70);
        let mut remote = vec!["a.b", "a/b", "a:b", "c", &long, "d d", "d_d"];
        let before: HashMap<_, _> = remote.iter().copied().zip(names_of(&remote)).collect();
        remote.reverse();
        remote.swap(0, 3);
        let after: HashMap<_, _> = remote.iter().copied().zip(names_of(&remote)).collect();
        assert_eq!(before, after);
    }

    #[test]
    fn prefixes_are_checked() {
        assert!(check_prefix("gh_").is_ok());
        assert!(check_prefix("").is_ok());
        for bad in ["gh.", "ü", &"x".repeat(33)] {
            assert!(check_prefix(bad).is_err(), "{bad}");
        }
    }
}
