//! What the objects of the file may hold, as tables: the reader knows the names from them, and the
//! JSON Schema is made of them.

/// One field of an object.
#[derive(Debug)]
#[cfg_attr(
    not(any(test, feature = "schema")),
    expect(dead_code, reason = "only the schema says more than the name")
)]
pub(crate) struct Known {
    pub(crate) name: &'static str,
    pub(crate) form: Form,
    pub(crate) about: &'static str,
}

/// What a field's value looks like.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(any(test, feature = "schema")),
    expect(dead_code, reason = "only the schema looks inside")
)]
pub(crate) enum Form {
    /// A string with something in it, and no reference.
    Text,
    /// Any string.
    AnyText,
    Url,
    Boolean,
    /// `30s`
    Time,
    /// A whole number from 1.
    Count,
    Texts,
    /// Strings without references.
    Arguments,
    /// One string with spaces between, or a list.
    Scopes,
    /// A program and its arguments, as a list or as one string.
    CommandLine,
    /// Host names.
    Hosts,
    Secret,
    /// Secrets by name.
    Secrets,
    /// One of these words.
    Words(fn() -> Vec<&'static str>),
    Dpop,
    Auth,
    IdentityProvider,
    /// Servers by name.
    Servers,
}

/// A row of a table.
pub(crate) const fn field(name: &'static str, form: Form, about: &'static str) -> Known {
    Known { name, form, about }
}

/// The words of a choice.
pub(crate) fn words<T>(choices: &'static [(&'static str, T)]) -> Vec<&'static str> {
    choices.iter().map(|(word, _)| *word).collect()
}

/// Fields of other programs' files, and what to do instead.
pub(crate) fn foreign(name: &str) -> Option<&'static str> {
    Some(match name {
        "inputs" => {
            "VS Code asks for these values when a server starts; here nobody is asked: write \
             `${VARIABLE}` or another reference where `${input:…}` stands"
        }
        "envFile" => {
            "is VS Code's, and the file is not read: pass variables on with `envFrom`, or write them \
             in `env`"
        }
        _ => return None,
    })
}

/// What is wrong with a reference that is spelled as VS Code spells it.
pub(crate) fn foreign_reference(text: &str) -> Option<&'static str> {
    if text.contains("${input:") {
        return Some(
            "`${input:…}` is a question that VS Code asks; here nobody is asked: write `${VARIABLE}` \
             or another reference",
        );
    }
    let is_env = text.contains("${env:");
    is_env.then_some("`${env:VARIABLE}` is VS Code's spelling; write `${VARIABLE}`")
}
