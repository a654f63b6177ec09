//! `mcpt tools`: what each server offers.

use futures_util::{StreamExt, stream};
use mcp_adapter::ToolSet;
use mcp_auth::Principal;
use mcp_core::Error;

use crate::args::ToolsArgs;
use crate::exit::Exit;
use crate::servers::{self, Chosen};
use crate::terminal::{self, Look};
use crate::{connect, failure, render, runtime, wait};

/// Servers that are asked at the same time.
const AT_ONCE: usize = 8;

/// What came of asking a server.
#[derive(Debug)]
pub(crate) struct ServerReport {
    pub(crate) name: String,
    pub(crate) outcome: Result<ToolSet, Error>,
}

pub(crate) fn run(args: &ToolsArgs) -> Exit {
    let outcome = list(args);
    if args.common.json {
        terminal::print(&render::tools::json(outcome.as_deref(), Look::of_stdout()));
    }
    match outcome {
        Err(error) => {
            failure::complain(&error);
            error.kind().into()
        }
        Ok(reports) => {
            let failures = || {
                reports
                    .iter()
                    .filter_map(|report| report.outcome.as_ref().err())
            };
            if args.common.json {
                failures().for_each(failure::complain);
            } else {
                terminal::print(&render::tools::human(&reports, Look::of_stdout()));
            }
            failures()
                .next()
                .map_or(Exit::Done, |error| error.kind().into())
        }
    }
}

fn list(args: &ToolsArgs) -> Result<Vec<ServerReport>, Error> {
    let principal = servers::principal(&args.common)?;
    let chosen = servers::to_list(&args.servers, &args.common, &args.target)?;
    let asking = format!("asking {} servers", chosen.len());
    runtime::run(1, async {
        let asked = stream::iter(chosen)
            .map(|chosen| ask(chosen, &principal))
            .buffered(AT_ONCE)
            .collect();
        Ok(wait::with_spinner(&asking, asked).await)
    })
}

async fn ask(chosen: Chosen, principal: &Principal) -> ServerReport {
    let outcome = match chosen.server {
        Ok(server) => connect::tools(&server, principal, None).await,
        Err(error) => Err(error),
    };
    ServerReport {
        name: chosen.name,
        outcome,
    }
}
