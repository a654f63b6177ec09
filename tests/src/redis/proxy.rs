//! Bad weather between a client and Redis.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What happens to what passes.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Weather {
    /// It passes at once.
    #[default]
    Fair,
    /// It is late by so much, each way.
    Slow(Duration),
    /// Nothing passes, and nothing is lost; connections stay.
    Held,
    /// Connections are cut, and new ones too.
    Cut,
}

/// A proxy on loopback. Dropping it cuts every connection.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    weather: watch::Sender<Weather>,
    seen: Arc<AtomicU64>,
    _accepting: JoinSet<()>,
}

impl Proxy {
    /// Starts one in front of a port on loopback.
    ///
    /// # Panics
    /// When no port can be had.
    pub async fn start(to: u16) -> Self {
        #[expect(clippy::panic, reason = "there is no test without a port")]
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap_or_else(|error| panic!("no port: {error}"));
        let port = listener
            .local_addr()
            .map(|address| address.port())
            .unwrap_or_default();
        let (weather, forecast) = watch::channel(Weather::Fair);
        let seen = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&seen);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((client, _)) = listener.accept().await else {
                    return;
                };
                let (forecast, counter) = (forecast.clone(), Arc::clone(&counter));
                connections.spawn(pass(client, to, forecast, counter));
                while connections.try_join_next().is_some() {}
            }
        });
        Self {
            port,
            weather,
            seen,
            _accepting: accepting,
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address, without user and password.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Changes the weather for all connections.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// How many bytes clients have sent.
    pub fn bytes_sent(&self) -> u64 {
        self.seen.load(Ordering::SeqCst)
    }
}

async fn pass(
    client: TcpStream,
    to: u16,
    mut forecast: watch::Receiver<Weather>,
    seen: Arc<AtomicU64>,
) {
    if *forecast.borrow() == Weather::Cut {
        return;
    }
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, to));
    let Ok(server) = TcpStream::connect(address).await else {
        return;
    };
    let _slower = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let there = carry(from_client, to_server, forecast.clone(), Some(seen));
    let back = carry(from_server, to_client, forecast.clone(), None);
    let cut = forecast.wait_for(|weather| *weather == Weather::Cut);
    tokio::select! {
        () = there => {}
        () = back => {}
        _ = cut => {}
    }
}

async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut forecast: watch::Receiver<Weather>,
    seen: Option<Arc<AtomicU64>>,
) {
    let mut piece = vec![0; 16 * 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut piece).await else {
            return;
        };
        if let Some(seen) = &seen {
            seen.fetch_add(read as u64, Ordering::SeqCst);
        }
        let weather = *forecast.borrow_and_update();
        match weather {
            Weather::Slow(delay) => tokio::time::sleep(delay).await,
            Weather::Held => {
                let over = forecast.wait_for(|weather| *weather != Weather::Held);
                if over.await.is_err() {
                    return;
                }
            }
            Weather::Fair | Weather::Cut => {}
        }
        let Some(piece) = piece.get(..read) else {
            return;
        };
        if to.write_all(piece).await.is_err() {
            return;
        }
    }
}
