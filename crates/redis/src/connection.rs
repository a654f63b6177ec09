//! Talking to Redis: a few connections that mend themselves, and one for subscriptions.

mod dial;
mod hub;
mod line;
mod script;
#[cfg(feature = "tls")]
mod tls;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use redis::{Cmd, FromRedisValue, Value};

pub(crate) use hub::{Note, Subscription};
pub(crate) use line::pause;
pub(crate) use script::Script;

use self::dial::Dialer;
use self::hub::Hub;
use self::line::Line;
use crate::{RedisConfig, RedisError};

/// Redis or Valkey, at whatever address. Cloning copies a pointer; clones share the connections,
/// which are made when they are needed and made anew when they break.
///
/// Every request has a deadline, and every queue a bound. Nothing here retries for long: whoever
/// asks decides whether to ask again.
#[derive(Clone)]
pub struct Redis(Arc<Inner>);

struct Inner {
    config: Arc<RedisConfig>,
    lines: Vec<Line>,
    next: AtomicUsize,
    hub: Hub,
}

/// Whether a request whose answer was lost may be made once more: whether doing it twice is the
/// same as doing it once.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Repeat {
    Once,
    Never,
}

impl Redis {
    pub(crate) fn new(config: RedisConfig) -> Result<Self, RedisError> {
        let config = Arc::new(config);
        let dialer = Arc::new(Dialer::new(Arc::clone(&config))?);
        Ok(Self(Arc::new(Inner {
            lines: (0..config.connections)
                .map(|_| Line::new(Arc::clone(&dialer)))
                .collect(),
            next: AtomicUsize::new(0),
            hub: Hub::new(dialer),
            config,
        })))
    }

    /// Asks whether Redis answers; gives its version. In a cluster one node is asked, another each
    /// time: one that is away does not make the others useless.
    ///
    /// # Errors
    /// When it does not, or refuses this client.
    pub async fn version(&self) -> Result<String, RedisError> {
        // The command by itself would go to all nodes of a cluster, and be answered by a table.
        let info = Script::new("return redis.call('INFO', 'server')");
        let text: String = self.call(&info, &[], &[], Repeat::Once).await?;
        let version = text.lines().find_map(|line| {
            // Valkey says both, the first for those who know only Redis.
            line.strip_prefix("valkey_version:")
                .or_else(|| line.strip_prefix("redis_version:"))
        });
        version
            .map(|version| version.trim().to_owned())
            .ok_or_else(|| RedisError::unexpected("Redis does not say its version"))
    }

    /// What the name of every key and channel begins with.
    pub fn prefix(&self) -> &str {
        &self.0.config.prefix
    }

    /// The name of a key. What stands in braces decides where in a cluster it lies: the keys of one
    /// script have it in common.
    pub(crate) fn key(&self, kind: &str, place: &str) -> String {
        format!("{}:{kind}:{{{place}}}", self.prefix())
    }

    /// The name of a channel.
    pub(crate) fn channel(&self, name: &str) -> String {
        format!("{}:{name}", self.prefix())
    }

    /// Runs a command.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        command: &Cmd,
        repeat: Repeat,
    ) -> Result<T, RedisError> {
        read(self.line().run(command, repeat).await?)
    }

    /// Runs a script; all keys have the same part in braces.
    pub(crate) async fn call<T: FromRedisValue>(
        &self,
        script: &Script,
        keys: &[&str],
        arguments: &[&[u8]],
        repeat: Repeat,
    ) -> Result<T, RedisError> {
        let line = self.line();
        let answer = match line.run(&script.short(keys, arguments), repeat).await {
            // Redis has been started anew, or this server has never seen it.
            Ok(None) => line.run(&script.whole(keys, arguments), repeat).await?,
            answer => answer?,
        };
        read(answer)
    }

    /// Hears what is published on a channel, from the first [`Note::Gap`] on.
    pub(crate) fn subscribe(&self, channel: &str) -> Subscription {
        self.0.hub.subscribe(channel)
    }

    fn line(&self) -> &Line {
        let next = self.0.next.fetch_add(1, Ordering::Relaxed);
        let lines = &self.0.lines;
        // There is at least one: the configuration sees to it.
        &lines[next % lines.len()]
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Redis").field(&self.0.config).finish()
    }
}

fn read<T: FromRedisValue>(answer: Option<Value>) -> Result<T, RedisError> {
    let answer = answer.ok_or_else(|| RedisError::unexpected("Redis does not keep scripts"))?;
    // The library's error would show the answer.
    T::from_redis_value(answer).map_err(|_| RedisError::unexpected("Redis answered something else"))
}
