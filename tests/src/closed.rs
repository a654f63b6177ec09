//! A port at which nobody listens.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::TcpSocket;

/// A port on loopback that refuses whoever connects. It is held as long as this lives, so that
/// nobody else comes to listen there.
#[derive(Debug)]
pub struct ClosedPort {
    port: u16,
    _held: TcpSocket,
}

impl ClosedPort {
    /// Takes a free port.
    ///
    /// # Panics
    /// When there is none.
    #[expect(clippy::new_without_default, reason = "it takes something")]
    #[expect(clippy::expect_used, reason = "there is no test without a port")]
    pub fn new() -> Self {
        let held = TcpSocket::new_v4().expect("a socket");
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        held.bind(any).expect("a free port");
        let port = held.local_addr().expect("its number").port();
        Self { port, _held: held }
    }

    /// The URL that a client is given.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/mcp", self.port)
    }
}
