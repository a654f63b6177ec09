//! One command on a connection of its own, in as much of the protocol as that takes.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use anyhow::{Context as _, Result, bail};

use super::connect;

/// The answer as text; the parts of a list on lines of their own. An error is an error.
pub(super) fn ask(address: SocketAddr, password: Option<&str>, parts: &[&str]) -> Result<String> {
    let mut stream = connect(address)?;
    let mut request = Vec::new();
    if let Some(password) = password {
        write(&mut request, &["AUTH", password])?;
    }
    write(&mut request, parts)?;
    stream.write_all(&request)?;
    let mut answers = BufReader::new(stream);
    if password.is_some() {
        read(&mut answers)?;
    }
    read(&mut answers)
}

fn write(request: &mut Vec<u8>, parts: &[&str]) -> Result<()> {
    write!(request, "*{}\r\n", parts.len())?;
    for part in parts {
        write!(request, "${}\r\n{part}\r\n", part.len())?;
    }
    Ok(())
}

fn read(answers: &mut BufReader<TcpStream>) -> Result<String> {
    let mut line = String::new();
    answers.read_line(&mut line)?;
    let line = line.trim_end();
    let (kind, rest) = line.split_at_checked(1).context("no answer")?;
    match kind {
        "+" | ":" => Ok(rest.to_owned()),
        "-" => bail!("{rest}"),
        "$" => {
            let Ok(length) = rest.parse::<usize>() else {
                return Ok(String::new());
            };
            let mut text = vec![0; length + 2];
            answers.read_exact(&mut text)?;
            text.truncate(length);
            Ok(String::from_utf8_lossy(&text).into_owned())
        }
        "*" => {
            let parts: Result<Vec<String>> = (0..rest.parse::<usize>().unwrap_or_default())
                .map(|_| read(answers))
                .collect();
            Ok(parts?.join("\n"))
        }
        _ => bail!("an answer of an unknown kind"),
    }
}
