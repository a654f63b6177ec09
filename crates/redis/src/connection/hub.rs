//! One connection that listens, for everybody here who wants to hear of something.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::aio::{AsyncPushSender, SendError};
use redis::{PushInfo, PushKind, Value};
use tokio::runtime::Handle;
use tokio::sync::{Notify, broadcast};
use tokio::time::{sleep, timeout};

use super::dial::{AbortOnDrop, Dialer, Link};
use super::line::pause;

/// How many notes wait for a listener that is slow; what is beyond is a gap.
const BACKLOG: usize = 1024;
/// How often a connection that only listens is asked whether it is still there.
const HEARTBEAT: Duration = Duration::from_secs(5);

pub(super) struct Hub {
    dialer: Arc<Dialer>,
    shared: Arc<Shared>,
    task: Mutex<Option<AbortOnDrop>>,
}

#[derive(Default)]
struct Shared {
    channels: Mutex<HashMap<String, Channel>>,
    /// Somebody wants to hear of something new, or the connection is gone.
    changed: Notify,
}

struct Channel {
    sender: broadcast::Sender<Note>,
    /// The connection that has subscribed to it, by its number.
    heard_by: Option<u64>,
}

/// Something that a listener is told.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    /// Somebody published this.
    Message(Arc<[u8]>),
    /// What was published until now may not have been told; from here on it is.
    Gap,
}

/// What is published on one channel.
#[derive(Debug)]
pub(crate) struct Subscription(broadcast::Receiver<Note>);

impl Subscription {
    /// The next note. Waits without end while nothing is published; never fails: what cannot be
    /// told shows as a gap afterwards. Dropping the future loses nothing.
    pub(crate) async fn next(&mut self) -> Note {
        match self.0.recv().await {
            Ok(note) => note,
            Err(broadcast::error::RecvError::Lagged(_)) => Note::Gap,
            // The hub is gone, and with it every handle to Redis.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Hub {
    pub(super) fn new(dialer: Arc<Dialer>) -> Self {
        Self {
            dialer,
            shared: Arc::default(),
            task: Mutex::new(None),
        }
    }

    pub(super) fn subscribe(&self, channel: &str) -> Subscription {
        let receiver = {
            let mut channels = self.shared.channels();
            let channel = channels
                .entry(channel.to_owned())
                .or_insert_with(|| Channel {
                    sender: broadcast::channel(BACKLOG).0,
                    heard_by: None,
                });
            channel.sender.subscribe()
        };
        self.start();
        self.shared.changed.notify_one();
        Subscription(receiver)
    }

    fn start(&self) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if task.as_ref().is_some_and(AbortOnDrop::is_running) {
            return;
        }
        if let Ok(runtime) = Handle::try_current() {
            let work = listen(Arc::clone(&self.dialer), Arc::clone(&self.shared));
            *task = Some(AbortOnDrop::new(runtime.spawn(work)));
        }
    }
}

/// Keeps a connection as long as anybody listens.
async fn listen(dialer: Arc<Dialer>, shared: Arc<Shared>) {
    let mut failures = 0;
    let mut number = 0_u64;
    loop {
        while shared.is_idle() {
            shared.changed.notified().await;
        }
        let ear = Arc::new(Ear {
            shared: Arc::clone(&shared),
            deaf: AtomicBool::new(false),
        });
        let listener = Arc::<Ear>::clone(&ear) as Arc<dyn AsyncPushSender>;
        match dialer.subscriber(Some(listener)).await {
            Ok(link) => {
                failures = 0;
                number += 1;
                hear(&dialer, &shared, &link, &ear, number).await;
            }
            Err(error) => {
                tracing::debug!(failures, kind = ?error.kind(), "redis_subscription_unreachable");
            }
        }
        sleep(pause(failures)).await;
        failures = failures.saturating_add(1);
    }
}

/// Listens until the connection breaks or nobody is interested any more.
async fn hear(dialer: &Dialer, shared: &Shared, link: &Link, ear: &Ear, number: u64) {
    while link.is_open() && !ear.deaf.load(Ordering::Relaxed) {
        if shared.is_idle() {
            return;
        }
        for channel in shared.unheard(number) {
            let mut subscribe = redis::cmd("SUBSCRIBE");
            subscribe.arg(&channel);
            if !answers(dialer, link, &subscribe).await {
                return;
            }
            shared.heard(&channel, number);
        }
        for channel in shared.deserted() {
            let mut unsubscribe = redis::cmd("UNSUBSCRIBE");
            unsubscribe.arg(&channel);
            if !answers(dialer, link, &unsubscribe).await {
                return;
            }
        }
        // A connection that is dead without having been closed shows only when it is asked.
        if timeout(HEARTBEAT, shared.changed.notified()).await.is_err()
            && !answers(dialer, link, &redis::cmd("PING")).await
        {
            return;
        }
    }
}

async fn answers(dialer: &Dialer, link: &Link, command: &redis::Cmd) -> bool {
    let answer = timeout(dialer.config.response_deadline, link.ask(command)).await;
    match answer {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => {
            tracing::debug!(code = error.code(), "redis_subscription_lost");
            false
        }
        Err(_) => false,
    }
}

impl Shared {
    fn channels(&self) -> MutexGuard<'_, HashMap<String, Channel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_idle(&self) -> bool {
        let channels = self.channels();
        channels
            .values()
            .all(|channel| channel.sender.receiver_count() == 0)
    }

    /// Channels that this connection has not subscribed to.
    fn unheard(&self, number: u64) -> Vec<String> {
        let channels = self.channels();
        let unheard = channels.iter().filter(|(_, channel)| {
            channel.heard_by != Some(number) && channel.sender.receiver_count() > 0
        });
        unheard.map(|(name, _)| name.clone()).collect()
    }

    fn heard(&self, name: &str, number: u64) {
        if let Some(channel) = self.channels().get_mut(name) {
            channel.heard_by = Some(number);
            let _nobody = channel.sender.send(Note::Gap);
        }
    }

    /// Channels that nobody listens to any more.
    fn deserted(&self) -> Vec<String> {
        let mut gone = Vec::new();
        self.channels().retain(|name, channel| {
            let deserted = channel.sender.receiver_count() == 0;
            if deserted {
                gone.push(name.clone());
            }
            !deserted
        });
        gone
    }
}

/// Hands on what is published, without waiting.
struct Ear {
    shared: Arc<Shared>,
    /// The connection is gone; told before the task behind it has ended.
    deaf: AtomicBool,
}

impl AsyncPushSender for Ear {
    fn send(&self, push: PushInfo) -> Result<(), SendError> {
        match push.kind {
            PushKind::Disconnection => {
                self.deaf.store(true, Ordering::Relaxed);
                self.shared.changed.notify_one();
            }
            PushKind::Message => {
                let mut data = push.data.into_iter();
                let (Some(Value::BulkString(channel)), Some(Value::BulkString(message))) =
                    (data.next(), data.next())
                else {
                    return Ok(());
                };
                let channels = self.shared.channels();
                let name = std::str::from_utf8(&channel).unwrap_or_default();
                if let Some(channel) = channels.get(name) {
                    let _nobody = channel.sender.send(Note::Message(message.into()));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
