//! What replicas share of what a cache holds, see [`SharedCatalog`](crate::catalog::SharedCatalog).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mcp_adapter::ToolSetBuilder;
use mcp_core::auth::Credentials;
use mcp_core::replicas::CatalogEntry;
use mcp_core::{ServerId, ToolListing};

use super::Store;
use crate::entry::PublicList;
use crate::flights::Validity;
use crate::stats::count;

impl Store {
    /// A list that another replica asked for, as if it had been asked for here.
    pub(super) async fn find_elsewhere(
        &self,
        builder: &ToolSetBuilder,
        validity: &Validity,
    ) -> Option<PublicList> {
        let entry = self.catalog.as_ref()?.find(&**builder.server()).await?;
        let (now, today) = (self.clock.now(), self.clock.wall());
        let age = today.duration_since(entry.given).unwrap_or_default();
        let left = entry.until.duration_since(today).unwrap_or_default();
        let left = left.min(self.ttl.saturating_sub(age));
        if left.is_zero() || !validity.holds() {
            return None;
        }
        count(&self.counters.found);
        let list = PublicList {
            listing: Arc::new(entry.listing),
            until: self.life(now, Some(left), &Credentials::anonymous()).until,
            validity: validity.clone(),
        };
        let server = builder.server().id().clone();
        self.public.insert(server, list.clone()).await;
        Some(list)
    }

    /// Puts a list where other replicas find it, unless it is invalidated meanwhile.
    pub(super) async fn keep_elsewhere(
        &self,
        builder: &ToolSetBuilder,
        listing: &ToolListing,
        (given, life): (SystemTime, Duration),
        validity: &Validity,
    ) {
        let (Some(catalog), Some(until)) = (&self.catalog, given.checked_add(life)) else {
            return;
        };
        let server = &**builder.server();
        let entry = CatalogEntry::new(listing.clone(), given, until);
        catalog.keep(server, &entry).await;
        if !validity.holds() {
            catalog.forget(server.id()).await;
        }
    }

    /// Takes the list of a server from where replicas share it.
    pub(crate) async fn forget_found(&self, server: &ServerId) {
        if let Some(catalog) = &self.catalog {
            catalog.forget(server).await;
        }
    }

    /// As [`forget_found`](Self::forget_found), unless it could not be reached a moment ago.
    pub(crate) async fn forget_found_if_near(&self, server: &ServerId) {
        if let Some(catalog) = &self.catalog
            && !catalog.is_paused()
        {
            catalog.forget(server).await;
        }
    }

    /// Does not believe what replicas share of a server if it is from before then.
    pub(crate) fn doubt(&self, server: &ServerId, since: SystemTime) {
        if let Some(catalog) = &self.catalog {
            catalog.doubt(server, since);
        }
    }

    /// The servers whose public lists are here, where replicas share them.
    pub(crate) fn public_servers(&self) -> Vec<Arc<ServerId>> {
        match &self.catalog {
            Some(_) => self.public.iter().map(|(server, _)| server).collect(),
            None => Vec::new(),
        }
    }
}
