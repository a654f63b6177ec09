//! The user's browser, started without a shell.

use std::path::Path;
use std::process::{Command, Stdio};

/// Opens a page; says whether a program was started for it. `$BROWSER` goes before the system's
/// opener: a list of commands, in which `%s` stands for the URL.
pub(crate) fn open(url: &str) -> bool {
    let wanted = std::env::var("BROWSER").unwrap_or_default();
    let wanted = commands(&wanted, url);
    let mut all = if wanted.is_empty() {
        openers(url)
    } else {
        wanted
    }
    .into_iter();
    all.any(|words| started(&words))
}

fn started(words: &[String]) -> bool {
    let Some((program, arguments)) = words.split_first() else {
        return false;
    };
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // Interrupting the login does not close the browser.
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    command.spawn().is_ok()
}

/// The commands of `$BROWSER`, the URL filled in.
fn commands(wanted: &str, url: &str) -> Vec<Vec<String>> {
    if Path::new(wanted).is_file() {
        // A path as a whole, whatever is in it.
        return vec![vec![wanted.to_owned(), url.to_owned()]];
    }
    let separator = if cfg!(windows) { ';' } else { ':' };
    wanted
        .split(separator)
        .filter_map(|command| {
            let words = shlex::split(command).filter(|words| !words.is_empty())?;
            if !words.iter().any(|word| word.contains("%s")) {
                return Some([words, vec![url.to_owned()]].concat());
            }
            Some(words.iter().map(|word| word.replace("%s", url)).collect())
        })
        .collect()
}

fn openers(url: &str) -> Vec<Vec<String>> {
    let known: &[&[&str]] = if cfg!(target_os = "macos") {
        &[&["open"]]
    } else if cfg!(windows) {
        &[&["rundll32", "url.dll,FileProtocolHandler"]]
    } else {
        &[&["xdg-open"], &["gio", "open"], &["wslview"]]
    };
    let with_url = |words: &&[&str]| {
        let words = words.iter().copied().chain([url]);
        words.map(str::to_owned).collect()
    };
    known.iter().map(with_url).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_is_one_argument_wherever_it_stands() {
        let url = "http://h/?a=1&b='$(x)'";
        for (wanted, meant) in [
            ("firefox", vec![vec!["firefox", url]]),
            (
                "a --new %s:b 'x y'",
                vec![vec!["a", "--new", url], vec!["b", "x y", url]],
            ),
            ("", vec![]),
            (":", vec![]),
            ("'unclosed", vec![]),
        ] {
            assert_eq!(commands(wanted, url), meant, "{wanted}");
        }
    }
}
