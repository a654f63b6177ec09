//! The command line as a typed value.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

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

/// Options of a child, to which nobody logs in.
const OF_A_CHILD: [&str; 6] = ["stdio", "env", "env_from", "inherit_env", "cwd", "child"];
/// Options that give the token which a login is to get.
const OF_A_TOKEN: [&str; 2] = ["bearer_env", "bearer_command"];

impl Cli {
    /// The commands and their options. What makes no sense for one is not shown there; who gives it
    /// all the same is told why.
    pub(crate) fn tree() -> clap::Command {
        let hide = |command: clap::Command| {
            let names = OF_A_CHILD.iter().chain(&OF_A_TOKEN);
            names.fold(command, |command, name| {
                command.mut_arg(name, |argument| argument.hide(true))
            })
        };
        let tree = Self::command();
        tree.mut_subcommand("login", hide)
            .mut_subcommand("logout", hide)
    }
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
    /// Servers of the file; where none is named, all that are not `disabled`.
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
    /// How long the whole call may take, such as `30s`; finding the server and refreshing a token
    /// included [default: what the file says, then 30s].
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) timeout: Option<Duration>,
    /// Call the tool N times, and print how long the calls took instead of what they gave.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) repeat: Option<u32>,
    /// With `--repeat`: how many calls are under way at the same time.
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
    /// Servers of the file; where none is named, all that are not `disabled`.
    #[arg(value_name = "SERVER", conflicts_with_all = ["url", "stdio"])]
    pub(crate) servers: Vec<String>,
    /// How long each step may take.
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
    /// The server, by its name in the file.
    #[arg(value_name = "SERVER", required_unless_present_any = ["url", "stdio"],
        conflicts_with_all = ["url", "stdio"])]
    pub(crate) server: Option<String>,
    /// Open no browser here: print the URL, and read the callback URL from standard input.
    #[arg(long)]
    pub(crate) headless: bool,
    /// How long to wait for the browser to come back.
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
    /// The server, by its name in the file.
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
    /// A file with servers; may be given again, and later files win [default: ./mcp.json, then
    /// `$XDG_CONFIG_HOME/mcpt/mcp.json`].
    #[arg(long = "config", value_name = "FILE")]
    pub(crate) configs: Vec<PathBuf>,
    /// The user whose login is used; logins of different users are kept apart [default: local].
    #[arg(long, value_name = "ID")]
    pub(crate) user: Option<String>,
    /// The tenant that the user belongs to, where several have users of the same name.
    #[arg(long, value_name = "ID")]
    pub(crate) tenant: Option<String>,
    /// Print one JSON document for programs, instead of text for people.
    #[arg(long)]
    pub(crate) json: bool,
    /// Where logins are kept [default: what `MCPT_TOKEN_STORE` says, then the folder
    /// `$XDG_DATA_HOME/mcpt`]. Redis needs `MCPT_TOKEN_KEY`, and takes its password from
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
    /// Which transport the server speaks [default: auto].
    #[arg(long, value_enum, requires = "url")]
    pub(crate) transport: Option<TransportArg>,
    /// A header for every request; may be given again. `${VAR}` in the value is replaced.
    #[arg(long = "header", value_name = "K: V", requires = "url")]
    pub(crate) headers: Vec<String>,
    /// The environment variable that holds a bearer token.
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
    /// A program that is run here and spoken to on its standard input and output: the words after
    /// `--`.
    #[arg(long, requires = "child")]
    pub(crate) stdio: bool,
    /// An environment variable for the program; may be given again. `${VAR}` in the value is
    /// replaced.
    #[arg(long = "env", value_name = "K=V", requires = "stdio")]
    pub(crate) env: Vec<String>,
    /// An environment variable to pass on to the program; may be given again.
    #[arg(long, value_name = "VAR", requires = "stdio")]
    pub(crate) env_from: Vec<String>,
    /// Pass on all environment variables, secrets included [default: HOME, LOGNAME, PATH, SHELL,
    /// TERM and USER].
    #[arg(long, requires = "stdio")]
    pub(crate) inherit_env: bool,
    /// The folder that the program runs in.
    #[arg(long, value_name = "DIR", requires = "stdio")]
    pub(crate) cwd: Option<PathBuf>,
    /// The program and its arguments.
    #[arg(last = true, value_name = "COMMAND ARGS", requires = "stdio")]
    pub(crate) child: Vec<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum TransportArg {
    /// Streamable HTTP, or HTTP+SSE where the server knows nothing newer.
    Auto,
    /// Streamable HTTP.
    Http,
    /// HTTP+SSE, the transport of 2024.
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

    fn parse(words: &[&str]) -> Result<Command, clap::Error> {
        let argv = std::iter::once(&"mcpt").chain(words);
        Cli::try_parse_from(argv).map(|cli| cli.command)
    }

    #[test]
    fn the_tree_is_sound() {
        Cli::tree().debug_assert();
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
