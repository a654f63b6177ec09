//! What may reach a terminal, and how it looks there.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal, Write as _};

use anstyle::{AnsiColor, Style};

/// How to write for whoever reads a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    /// Whether a person sees it.
    pub(crate) terminal: bool,
    /// Whether it has colours.
    pub(crate) colours: bool,
    /// Its columns, if it is a terminal.
    pub(crate) width: Option<u16>,
}

/// What a piece of text is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    Heading,
    Quiet,
    Warning,
    Failure,
}

impl Look {
    /// No terminal: text as it is.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self {
        terminal: false,
        colours: false,
        width: None,
    };

    pub(crate) fn of_stdout() -> Self {
        Self::new(io::stdout().is_terminal(), width())
    }

    pub(crate) fn of_stderr() -> Self {
        Self::new(io::stderr().is_terminal(), None)
    }

    fn new(terminal: bool, width: Option<u16>) -> Self {
        // https://no-color.org: any value that is not empty.
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self {
            terminal,
            colours: terminal && !refused && !dumb,
            width: width.filter(|_| terminal),
        }
    }

    /// The text in the colours of its role.
    pub(crate) fn paint<T: fmt::Display>(self, role: Role, text: T) -> Painted<T> {
        let style = match role {
            Role::Heading => Style::new().bold(),
            Role::Quiet => Style::new().dimmed(),
            Role::Warning => AnsiColor::Yellow.on_default(),
            Role::Failure => AnsiColor::Red.on_default().bold(),
        };
        Painted(self.colours.then_some(style), text)
    }
}

/// The terminal's columns: `COLUMNS` where the user set it, else what the terminal says.
fn width() -> Option<u16> {
    let wanted = std::env::var("COLUMNS").ok();
    let wanted = wanted.and_then(|text| text.parse().ok());
    let told = || terminal_size::terminal_size().map(|(width, _)| width.0);
    wanted.filter(|width| *width > 0).or_else(told)
}

/// Text in colours.
pub(crate) struct Painted<T>(Option<Style>, T);

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(style) => write!(f, "{style}{}{style:#}", self.1),
            None => self.1.fmt(f),
        }
    }
}

/// Foreign text without what a terminal would obey: control characters, and those that turn the
/// direction of writing. Line breaks and tabs stay.
pub(crate) fn clean(text: &str) -> Cow<'_, str> {
    let stays = |c: char| matches!(c, '\n' | '\t') || !obeyed(c);
    if text.chars().all(stays) {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.chars().filter(|c| stays(*c)).collect())
    }
}

/// Foreign text on one line.
pub(crate) fn clean_line(text: &str) -> String {
    let words = text.split(|c: char| c.is_whitespace() || c.is_control());
    let words = words.map(clean).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

/// A JSON document in which characters that a terminal obeys are escaped. They can stand within
/// strings only, so it means the same.
pub(crate) fn escape_json(document: &str) -> Cow<'_, str> {
    let stays = |c: char| matches!(c, '\n' | '\t' | '\r') || !obeyed(c);
    if document.chars().all(stays) {
        return Cow::Borrowed(document);
    }
    let mut escaped = String::with_capacity(document.len() + 64);
    for c in document.chars() {
        if stays(c) {
            escaped.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _written = write!(escaped, "\\u{unit:04x}");
            }
        }
    }
    Cow::Owned(escaped)
}

fn obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' | '\u{fff9}'..='\u{fffb}' | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}')
}

/// Writes to standard output. A reader that has gone away is no failure of ours.
pub(crate) fn print(text: &str) {
    let mut stdout = io::stdout().lock();
    let _reader_may_be_gone = stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush());
}

/// Writes a line to standard error.
pub(crate) fn complain(role: Role, word: &str, message: &str) {
    let look = Look::of_stderr();
    let text = format!("{}: {}\n", look.paint(role, word), clean(message));
    let _nobody_may_listen = io::stderr().lock().write_all(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_taken_out() {
        let hostile = "a\u{1b}[31mb\u{9b}2J\u{7}c\r\nd\te\u{202e}f\0";
        assert_eq!(clean(hostile), "a[31mb2Jc\nd\tef");
        assert_eq!(clean_line(" a\n\t b\u{1b}[2J \u{202e}"), "a b [2J");
        assert!(matches!(clean("naïve 日本\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn escaped_documents_mean_the_same() {
        let value = serde_json::json!({ "k\u{9b}": "\u{1b}[0m \u{202e} \u{7f} \u{e0041} é" });
        let document = value.to_string();
        let escaped = escape_json(&document);
        assert!(!escaped.chars().any(obeyed), "{escaped}");
        let read: serde_json::Value = serde_json::from_str(&escaped).unwrap();
        assert_eq!(read, value);
    }

    #[test]
    fn only_terminals_have_colours() {
        assert_eq!(Look::PLAIN.paint(Role::Failure, "x").to_string(), "x");
        let look = Look {
            colours: true,
            ..Look::PLAIN
        };
        assert_ne!(look.paint(Role::Failure, "x").to_string(), "x");
    }
}
