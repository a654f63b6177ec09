//! `mcpt logout`: revoked there, forgotten here.

use mcp_core::Error;
use mcp_toolkit::oauth::LoggedOut;

use crate::args::LogoutArgs;
use crate::exit::Exit;
use crate::runtime::Work;
use crate::terminal::{self, Look};
use crate::{failure, login, render, servers, wait};

pub(crate) fn run(args: &LogoutArgs) -> Exit {
    let name = args.server.as_deref().unwrap_or(servers::ADHOC);
    let outcome = match Work::new(1) {
        Ok(work) => {
            let outcome = work.run(wait::with_spinner("revoking", log_out(args, name)));
            work.end([]);
            outcome
        }
        Err(error) => Err(error),
    };
    let look = Look::of_stdout();
    if args.common.json {
        terminal::print(&render::logout::json(name, outcome.as_ref(), look));
    }
    match outcome {
        Ok(outcome) => {
            if !args.common.json {
                terminal::print(&render::logout::human(name, outcome));
            }
            Exit::Done
        }
        Err(error) => {
            failure::complain(&error);
            error.kind().into()
        }
    }
}

async fn log_out(args: &LogoutArgs, name: &str) -> Result<LoggedOut, Error> {
    let principal = servers::principal(&args.common)?;
    let (oauth, _) = login::provider(name, &args.common, &args.target).await?;
    Ok(oauth.logout(&principal).await?)
}
