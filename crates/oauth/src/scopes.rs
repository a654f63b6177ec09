//! Which scopes to ask for (specification 2026-07-28, authorization, scope selection).

/// What is known when a token is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Known<'a> {
    /// Configured: asked for at least.
    pub(crate) configured: &'a [String],
    /// Asked for before by this principal.
    pub(crate) requested: &'a [String],
    /// Of the latest challenge.
    pub(crate) challenged: &'a [String],
    /// Listed in the resource's metadata.
    pub(crate) supported: Option<&'a [String]>,
    /// Whether `offline_access` makes sense and the authorization server lists it.
    pub(crate) offline: bool,
}

/// The union of what was asked for before, what the challenge demands and what is configured; where
/// that is nothing, all that the resource lists. May be empty: then no scope is sent.
pub(crate) fn wanted(known: Known<'_>) -> Vec<String> {
    let mut wanted = Vec::new();
    let mut add = |scopes: &[String]| {
        for scope in scopes {
            if is_scope(scope) && !wanted.contains(scope) {
                wanted.push(scope.clone());
            }
        }
    };
    add(known.requested);
    add(known.challenged);
    add(known.configured);
    let nothing =
        known.requested.is_empty() && known.challenged.is_empty() && known.configured.is_empty();
    if nothing && let Some(supported) = known.supported {
        add(supported);
    }
    if known.offline {
        add(&["offline_access".to_owned()]);
    }
    wanted.truncate(MAX_SCOPES);
    wanted
}

/// More than any server has; a hostile one could make the URL too long to open.
const MAX_SCOPES: usize = 128;

/// RFC 6749, section 3.3: visible characters without quote and backslash.
fn is_scope(scope: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    !scope.is_empty() && scope.len() <= 256 && scope.bytes().all(fine)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(scopes: &[&str]) -> Vec<String> {
        scopes.iter().map(|&scope| scope.to_owned()).collect()
    }

    #[test]
    fn the_challenge_comes_first_then_the_list_then_nothing() {
        let (challenged, supported) = (strings(&["a"]), strings(&["x", "y"]));
        let known = Known {
            challenged: &challenged,
            supported: Some(&supported),
            ..Known::default()
        };
        assert_eq!(wanted(known), ["a"]);
        let known = Known {
            challenged: &[],
            ..known
        };
        assert_eq!(wanted(known), ["x", "y"]);
        assert!(wanted(Known::default()).is_empty());
    }

    #[test]
    fn a_step_up_is_a_union() {
        let (requested, challenged) = (strings(&["a", "b"]), strings(&["b", "c"]));
        let configured = strings(&["d"]);
        let known = Known {
            requested: &requested,
            challenged: &challenged,
            configured: &configured,
            ..Known::default()
        };
        assert_eq!(wanted(known), ["a", "b", "c", "d"]);
    }

    #[test]
    fn offline_access_is_added_and_nonsense_left_out() {
        let challenged = strings(&["a\"", "", "b\u{7f}", "fine"]);
        let known = Known {
            challenged: &challenged,
            offline: true,
            ..Known::default()
        };
        assert_eq!(wanted(known), ["fine", "offline_access"]);
    }
}
