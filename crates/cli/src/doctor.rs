//! `mcpt doctor`: why a server does or does not work, step by step.

mod advice;
mod certificate;
mod child;
mod contact;
mod diagnosis;
mod network;
mod remote;
mod settings;
mod token;
mod variables;
mod watch;

use futures_util::{StreamExt, stream};
use mcp_auth::Principal;
use mcp_core::{Error, Limits};
use mcp_toolkit::config::Endpoint;

pub(crate) use self::diagnosis::{Diagnosis, Step, Verdict};

use crate::args::DoctorArgs;
use crate::exit::Exit;
use crate::runtime::Work;
use crate::servers::{self, Chosen};
use crate::terminal::{self, Look};
use crate::{failure, render, wait};

/// Servers that are examined at the same time.
const AT_ONCE: usize = 4;

pub(crate) fn run(args: &DoctorArgs) -> Exit {
    let outcome = match Work::new(1) {
        Ok(work) => {
            let outcome = examine_all(args, &work);
            work.end([]);
            outcome
        }
        Err(error) => Err(error),
    };
    let look = Look::of_stdout();
    if args.common.json {
        terminal::print(&render::doctor::json(outcome.as_deref(), look));
    } else if let Ok(diagnoses) = &outcome {
        terminal::print(&render::doctor::human(diagnoses, look));
    }
    match outcome {
        Ok(diagnoses) => {
            let mut failures = diagnoses.iter().filter_map(Diagnosis::error);
            failures
                .next()
                .map_or(Exit::Done, |error| error.kind().into())
        }
        Err(error) => {
            failure::complain(&error);
            error.kind().into()
        }
    }
}

fn examine_all(args: &DoctorArgs, work: &Work) -> Result<Vec<Diagnosis>, Error> {
    let principal = servers::principal(&args.common)?;
    let chosen = servers::to_examine(&args.servers, &args.common, &args.target)?;
    let saying = match chosen.as_slice() {
        [one] => format!("examining {}", terminal::clean_line(&one.name)),
        all => format!("examining {} servers", all.len()),
    };
    work.run(async {
        let examined = stream::iter(chosen)
            .map(|chosen| examine(args, chosen, &principal))
            .buffered(AT_ONCE)
            .collect();
        Ok(wait::with_spinner(&saying, examined).await)
    })
}

async fn examine(args: &DoctorArgs, chosen: Chosen, principal: &Principal) -> Diagnosis {
    let mut diagnosis = Diagnosis::new(&chosen.name);
    let mut limits = Limits::default();
    limits.connect_timeout = args.timeout;
    limits.startup_timeout = args.timeout;
    limits.call_timeout = args.timeout;
    let patient = settings::Patient {
        principal,
        limits,
        tokens: args.common.token_store.as_ref(),
    };
    let Some(server) = settings::read(&mut diagnosis, chosen) else {
        return diagnosis;
    };
    match &server.endpoint {
        Endpoint::Http(http) => remote::examine(&mut diagnosis, &server, http, &patient).await,
        Endpoint::Stdio(stdio) => child::examine(&mut diagnosis, &server, stdio, &patient).await,
        _ => {}
    }
    diagnosis
}
