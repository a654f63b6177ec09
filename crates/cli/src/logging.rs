//! Logs, on standard error, where `RUST_LOG` asks for them.

use tracing_subscriber::EnvFilter;

use crate::terminal::Look;

/// Starts logging if `RUST_LOG` is set.
pub(crate) fn start() {
    let Some(filter) = std::env::var_os(EnvFilter::DEFAULT_ENV) else {
        return;
    };
    let filter = EnvFilter::builder().parse_lossy(filter.to_string_lossy());
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(Look::of_stderr().colours)
        .with_writer(std::io::stderr);
    // Fails only where a subscriber is set already, and then that one logs.
    let _already_logging = subscriber.try_init();
}
