//! What `--help` and the manual page say besides the options.

use std::fmt::Write as _;

pub(crate) const AFTER: &str = "Options stand before or after the command's words. Everything after \
    `--` is the child's.";

/// A heading, and what stands under it: a word and what it means.
struct Section(&'static str, &'static [(&'static str, &'static str)]);

const SECTIONS: &[Section] = &[
    Section(
        "Examples",
        &[
            ("mcpt tools", "what the servers of ./mcp.json offer"),
            (
                "mcpt call github search --args '{\"query\":\"rust\"}'",
                "call a tool of the server `github`",
            ),
            (
                "mcpt tools --url https://mcp.example.com/mcp",
                "a server that stands in no file",
            ),
            (
                "mcpt tools --stdio -- npx -y server-everything",
                "one that is a program",
            ),
            ("mcpt login github", "log in, where a server wants that"),
            ("mcpt doctor github", "find out why it does not work"),
        ],
    ),
    Section(
        "Exit status",
        &[
            ("0", "all asked for worked"),
            ("1", "the tool answered with `isError`"),
            ("2", "the command line or the file is wrong"),
            (
                "3",
                "authentication or authorization is missing or refused, or no credential could be had",
            ),
            (
                "4",
                "a server could not be reached, broke the protocol, or took too long",
            ),
            ("5", "a call's outcome is unknown"),
        ],
    ),
    Section(
        "Environment",
        &[
            (
                "MCPT_TOKEN_STORE",
                "where logins are kept: `file:DIR`, `keyring`, `memory` or `redis://HOST`",
            ),
            (
                "MCPT_TOKEN_KEY",
                "the key that logins in Redis are encrypted with",
            ),
            (
                "MCPT_TOKEN_KEY_BEFORE",
                "the key before that, which still opens what it closed",
            ),
            ("MCPT_REDIS_PASSWORD", "the password of that Redis"),
            ("BROWSER", "what `login` opens the page with"),
            (
                "SSL_CERT_FILE",
                "certificates of authorities to believe in place of the system's",
            ),
            ("NO_COLOR", "no colours"),
            ("COLUMNS", "how wide tables are on a terminal"),
            (
                "RUST_LOG",
                "what is logged, on standard error; nothing unless it is set",
            ),
        ],
    ),
    Section(
        "Files",
        &[
            (
                "./mcp.json",
                "the servers: `{\"mcpServers\": {\"github\": {\"url\": \"https://…\"}}}`, or `\"command\"` and \
                 `\"args\"` for a program",
            ),
            (
                "$XDG_CONFIG_HOME/mcpt/mcp.json",
                "the servers, where there is no `./mcp.json`",
            ),
            (
                "$XDG_DATA_HOME/mcpt",
                "logins, unless they are to be kept elsewhere",
            ),
        ],
    ),
    Section(
        "For packagers",
        &[
            (
                "mcpt completions SHELL",
                "completions for bash, elvish, fish, powershell or zsh",
            ),
            (
                "mcpt man [--out DIR]",
                "the manual pages, one for each command",
            ),
            ("mcpt schema", "the JSON Schema of the file, for editors"),
        ],
    ),
];

/// For `--help`.
pub(crate) fn text() -> String {
    let mut text = AFTER.to_owned();
    for Section(heading, rows) in SECTIONS {
        let _written = write!(text, "\n\n{heading}:");
        let width = rows.iter().map(|(word, _)| word.len()).max();
        let width = width.unwrap_or_default();
        for (word, meaning) in *rows {
            let _written = write!(text, "\n  {word:width$}  {meaning}");
        }
    }
    text
}

/// For the manual page.
pub(crate) fn roff() -> String {
    let mut roff = String::new();
    for Section(heading, rows) in SECTIONS {
        let _written = writeln!(roff, ".SH \"{}\"", heading.to_uppercase());
        for (word, meaning) in *rows {
            // Words that begin with a dot would be requests.
            let _written = writeln!(roff, ".TP\n\\&{}\n\\&{}", escaped(word), escaped(meaning));
        }
    }
    roff
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}
