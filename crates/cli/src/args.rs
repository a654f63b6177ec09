//! The command line as a typed value.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::reference;
use crate::tokens::TokenPlace;

/// List and call the tools of MCP servers.
#[derive(Debug, Parser)]
#[command(
    name = "mcpt",
    version,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(
    override_usage = "mcpt [--config FILE]... [--user ID] [--tenant ID] [--json] COMMAND",
    after_help = reference::AFTER,
    after_long_help = reference::text()
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List what each server offers.
    Tools(ToolsArgs),
    /// Call a tool, once or many times.
    Call(CallArgs),
    /// Tell, step by step, why a server does or does not work.
    Doctor(DoctorArgs),
    /// Log in to a server, in the browser.
    Login(LoginArgs),
    /// Log out of a server: revoke and forget.
    Logout(LogoutArgs),
    /// Print completions for a shell.
    #[command(hide = true)]
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the manual pages, or write each to a file of its own.
    #[command(hide = true)]
    Man {
        /// The folder for `mcpt.1`, `mcpt-tools.1` and so on.
        #[arg(long, value_name = "DIR")]
        out: Option<PathBuf>,
    },
    /// Print the JSON Schema of the configuration file.
    #[command(hide = true)]
    Schema,
}

#[derive(Args, Debug)]
#[command(override_usage = "mcpt tools [OPTIONS] [SERVER]...
       mcpt tools [OPTIONS] --url URL
       mcpt tools [OPTIONS] --stdio -- COMMAND [ARGS]...")]
pub(crate) struct ToolsArgs {
    /// Servers of the file; all that are not disabled when none is named.
    #[arg(value_name = "SERVER", conflicts_with_all = ["url", "stdio"])]
    pub(crate) servers: Vec<String>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

#[derive(Args, Debug)]
#[command(override_usage = "mcpt call [OPTIONS] SERVER TOOL
       mcpt call [OPTIONS] TOOL --url URL
       mcpt call [OPTIONS] TOOL --stdio -- COMMAND [ARGS]...")]
pub(crate) struct CallArgs {
    /// The server and the tool; the tool alone with `--url` or `--stdio`.
    #[arg(value_names = ["SERVER", "TOOL"], num_args = 1..=2, required = true)]
    pub(crate) words: Vec<String>,
    /// The arguments: a JSON object, `@FILE`, or `-` for standard input.
    #[arg(long, value_name = "JSON|@FILE|-", allow_hyphen_values = true)]
    pub(crate) args: Option<String>,
    /// Time for the whole call, discovery and refresh included.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) timeout: Option<Duration>,
    /// Call so many times, and tell how long it took.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) repeat: Option<u32>,
    /// Calls at the same time.
    #[arg(long, value_name = "M", requires = "repeat", default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub(crate) concurrency: u16,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

#[derive(Args, Debug)]
#[command(override_usage = "mcpt doctor [OPTIONS] [SERVER]...
       mcpt doctor [OPTIONS] --url URL
       mcpt doctor [OPTIONS] --stdio -- COMMAND [ARGS]...")]
pub(crate) struct DoctorArgs {
    /// Servers of the file; all that are not disabled when none is named.
    #[arg(value_name = "SERVER", conflicts_with_all = ["url", "stdio"])]
    pub(crate) servers: Vec<String>,
    /// Time for each step.
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "10s")]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

#[derive(Args, Debug)]
#[command(override_usage = "mcpt login [OPTIONS] SERVER
       mcpt login [OPTIONS] --url URL")]
pub(crate) struct LoginArgs {
    /// The server.
    #[arg(value_name = "SERVER", required_unless_present_any = ["url", "stdio"],
        conflicts_with_all = ["url", "stdio"])]
    pub(crate) server: Option<String>,
    /// Open no browser here: print the URL, and read the callback URL from standard input.
    #[arg(long)]
    pub(crate) headless: bool,
    /// Time to come back from the browser.
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "5m")]
    pub(crate) timeout: Duration,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

#[derive(Args, Debug)]
#[command(override_usage = "mcpt logout [OPTIONS] SERVER
       mcpt logout [OPTIONS] --url URL")]
pub(crate) struct LogoutArgs {
    /// The server.
    #[arg(value_name = "SERVER", required_unless_present_any = ["url", "stdio"],
        conflicts_with_all = ["url", "stdio"])]
    pub(crate) server: Option<String>,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
    #[command(flatten)]
    pub(crate) target: TargetArgs,
}

/// What every command takes.
#[derive(Args, Debug)]
pub(crate) struct CommonArgs {
    /// Files with servers, later ones win [default: ./mcp.json, then mcpt/mcp.json in the
    /// configuration folder].
    #[arg(long = "config", value_name = "FILE")]
    pub(crate) configs: Vec<PathBuf>,
    /// On whose behalf [default: local].
    #[arg(long, value_name = "ID")]
    pub(crate) user: Option<String>,
    /// The tenant that the user belongs to.
    #[arg(long, value_name = "ID")]
    pub(crate) tenant: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    pub(crate) json: bool,
    /// Where logins are kept [default: what `MCPT_TOKEN_STORE` says, then mcpt in
    /// the data folder]. Redis needs `MCPT_TOKEN_KEY`, and has its password from
    /// `MCPT_REDIS_PASSWORD`.
    #[arg(
        long,
        value_name = "file:DIR|keyring|memory|redis://[USER@]HOST[:PORT][/DB]"
    )]
    pub(crate) token_store: Option<TokenPlace>,
}

/// One server that stands in no file.
#[derive(Args, Debug)]
#[command(next_help_heading = "Instead of a server of the file")]
pub(crate) struct TargetArgs {
    /// A server behind this URL.
    #[arg(long, conflicts_with = "stdio")]
    pub(crate) url: Option<String>,
    /// How the URL is spoken to.
    #[arg(long, value_enum, requires = "url")]
    pub(crate) transport: Option<TransportArg>,
    /// A header of every request; `${VAR}` in the value is replaced.
    #[arg(long = "header", value_name = "K: V", requires = "url")]
    pub(crate) headers: Vec<String>,
    /// The variable that holds a bearer token.
    #[arg(
        long,
        value_name = "VAR",
        requires = "url",
        conflicts_with = "bearer_command"
    )]
    pub(crate) bearer_env: Option<String>,
    /// A command that prints a bearer token.
    #[arg(
        long,
        value_name = "CMD ARGS",
        requires = "url",
        allow_hyphen_values = true
    )]
    pub(crate) bearer_command: Option<String>,
    /// A child process, given after `--`.
    #[arg(long, requires = "child")]
    pub(crate) stdio: bool,
    /// A variable for the child; `${VAR}` in the value is replaced.
    #[arg(long = "env", value_name = "K=V", requires = "stdio")]
    pub(crate) env: Vec<String>,
    /// A variable of this process to pass on.
    #[arg(long, value_name = "VAR", requires = "stdio")]
    pub(crate) env_from: Vec<String>,
    /// Pass on all variables of this process.
    #[arg(long, requires = "stdio")]
    pub(crate) inherit_env: bool,
    /// Where the child runs.
    #[arg(long, value_name = "DIR", requires = "stdio")]
    pub(crate) cwd: Option<PathBuf>,
    /// The child's program and arguments.
    #[arg(last = true, value_name = "COMMAND ARGS", requires = "stdio")]
    pub(crate) child: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TransportArg {
    /// Streamable HTTP, and HTTP+SSE where the server turns out to be of that time.
    Auto,
    /// Streamable HTTP.
    Http,
    /// HTTP+SSE.
    Sse,
}

impl TargetArgs {
    pub(crate) fn is_given(&self) -> bool {
        self.url.is_some() || self.stdio
    }
}

fn time(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err("not a time such as `30s` or `500ms`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(words: &[&str]) -> Result<Command, clap::Error> {
        let argv = std::iter::once(&"mcpt").chain(words);
        Cli::try_parse_from(argv).map(|cli| cli.command)
    }

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_belongs_together_is_checked() {
        for right in [
            &["tools"][..],
            &[
                "tools", "a", "b", "--json", "--config", "x", "--config", "y",
            ],
            &[
                "tools",
                "--url",
                "http://h/",
                "--header",
                "A: b",
                "--header",
                "C: d",
            ],
            &["call", "s", "t", "--args", "-"],
            &["doctor"],
            &["doctor", "a", "b", "--timeout", "1s"],
            &["login", "s", "--headless", "--token-store", "memory"],
            &["login", "--url", "http://h/"],
            &["logout", "s", "--token-store", "file:/tmp/x"],
            &[
                "call", "t", "--stdio", "--env", "A=b", "--", "prog", "--url", "-x",
            ],
            &[
                "call",
                "s",
                "t",
                "--repeat",
                "10",
                "--concurrency",
                "4",
                "--timeout",
                "1m 30s",
            ],
        ] {
            assert!(parse(right).is_ok(), "{right:?}: {:?}", parse(right).err());
        }
        for wrong in [
            &[][..],
            &["tool"],
            &["call"],
            &["call", "a", "b", "c"],
            &["tools", "a", "--url", "http://h/"],
            &["tools", "--url", "http://h/", "--stdio", "--", "x"],
            &["tools", "--stdio"],
            &["tools", "--", "x"],
            &["tools", "--header", "A: b"],
            &["tools", "--url", "http://h/", "--env", "A=b"],
            &[
                "tools",
                "--url",
                "http://h/",
                "--bearer-env",
                "A",
                "--bearer-command",
                "b",
            ],
            &["call", "s", "t", "--concurrency", "4"],
            &["login"],
            &["login", "a", "b"],
            &["logout", "a", "--url", "http://h/"],
            &["tools", "--token-store", "disk"],
            &["tools", "--token-store", "file:"],
            &["call", "s", "t", "--timeout", "0s"],
            &["call", "s", "t", "--repeat", "0"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
