//! The end of every session.

use std::time::Duration;

use mcp_core::{CallContext, ToolServer};
use tokio::task::JoinSet;

use super::HttpServer;

/// Sessions that are ended at a time.
const AT_A_TIME: usize = 64;

impl HttpServer {
    /// Says goodbye for every principal: ends all sessions and streams, within `limit`. What is not
    /// done by then is left to the server's own patience. Further calls begin anew.
    pub async fn close_all(&self, limit: Duration) {
        let mut principals = self.0.sessions.principals();
        principals.extend(self.0.streams.principals());
        principals.extend(self.0.subscriptions.principals());
        // Dropped at the limit, and the tasks with it.
        let mut goodbyes = JoinSet::new();
        let all = async {
            for principal in principals {
                if goodbyes.len() >= AT_A_TIME {
                    goodbyes.join_next().await;
                }
                let server = self.clone();
                goodbyes.spawn(async move {
                    let context = CallContext::new(principal).with_timeout(limit);
                    server.close(&context).await;
                });
            }
            while goodbyes.join_next().await.is_some() {}
        };
        let _ = tokio::time::timeout(limit, all).await;
    }
}
