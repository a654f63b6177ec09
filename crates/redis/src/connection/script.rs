//! Lua that Redis runs in one step.

use redis::Cmd;

/// A script, sent by its digest where the server knows it.
#[derive(Debug)]
pub(crate) struct Script {
    code: &'static str,
    digest: String,
}

impl Script {
    pub(crate) fn new(code: &'static str) -> Self {
        Self {
            code,
            digest: redis::Script::new(code).get_hash().to_owned(),
        }
    }

    pub(super) fn short(&self, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
        call("EVALSHA", &self.digest, keys, arguments)
    }

    /// With its text, which the server keeps from then on.
    pub(super) fn whole(&self, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
        call("EVAL", self.code, keys, arguments)
    }
}

fn call(command: &str, script: &str, keys: &[&str], arguments: &[&[u8]]) -> Cmd {
    let mut cmd = redis::cmd(command);
    cmd.arg(script).arg(keys.len()).arg(keys).arg(arguments);
    cmd
}
