//! `mcpt tools`: what each server offers.

use futures_util::{StreamExt, stream};
use mcp_adapter::ToolSet;
use mcp_auth::Principal;
use mcp_core::Error;

use crate::args::ToolsArgs;
use crate::exit::Exit;
use crate::runtime::Work;
use crate::servers::{self, Chosen};
use crate::terminal::{self, Look};
use crate::tokens::TokenPlace;
use crate::{connect, failure, render, wait};

/// Servers that are asked at the same time.
const AT_ONCE: usize = 8;

/// What came of asking a server.
#[derive(Debug)]
pub(crate) struct ServerReport {
    pub(crate) name: String,
    pub(crate) outcome: Result<ToolSet, Error>,
}

pub(crate) fn run(args: &ToolsArgs) -> Exit {
    let work = Work::new(1);
    let outcome = work.as_ref().map_err(Error::clone);
    let outcome = outcome.and_then(|work| list(args, work));
    let exit = print(outcome.as_deref(), args.common.json);
    if let (Ok(work), Ok(reports)) = (work, &outcome) {
        work.end(
            reports
                .iter()
                .filter_map(|report| report.outcome.as_ref().ok()),
        );
    }
    exit
}

/// Prints the reports, or why there are none; gives the exit code.
fn print(outcome: Result<&[ServerReport], &Error>, json: bool) -> Exit {
    let look = Look::of_stdout();
    if json {
        terminal::print(&render::tools::json(outcome, look));
    }
    match outcome {
        Err(error) => {
            failure::complain(error);
            error.kind().into()
        }
        Ok(reports) => {
            let mut failures = reports
                .iter()
                .filter_map(|report| report.outcome.as_ref().err());
            if json {
                failures.clone().for_each(failure::complain);
            } else {
                terminal::print(&render::tools::human(reports, look));
            }
            let first = failures.next();
            first.map_or(Exit::Done, |error| error.kind().into())
        }
    }
}

fn list(args: &ToolsArgs, work: &Work) -> Result<Vec<ServerReport>, Error> {
    let principal = servers::principal(&args.common)?;
    let chosen = servers::to_list(&args.servers, &args.common, &args.target)?;
    let asking = match chosen.as_slice() {
        [one] => format!("asking {}", terminal::clean_line(&one.name)),
        all => format!("asking {} servers", all.len()),
    };
    work.run(async {
        let asked = stream::iter(chosen)
            .map(|chosen| ask(chosen, &principal, args.common.token_store.as_ref()))
            .buffered(AT_ONCE)
            .collect();
        Ok(wait::with_spinner(&asking, asked).await)
    })
}

async fn ask(chosen: Chosen, principal: &Principal, tokens: Option<&TokenPlace>) -> ServerReport {
    let outcome = match chosen.server {
        Ok(server) => connect::tools(&server, principal, None, tokens).await,
        Err(error) => Err(error),
    };
    ServerReport {
        name: chosen.name,
        outcome,
    }
}
