//! How many children there may be at once, and who makes way when there are no more places.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mcp_core::Error;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The places of all children of a server. A child has its place until it is gone, not only until
/// it was told to leave: one that is slow to leave counts.
pub(crate) struct Places {
    free: Arc<Semaphore>,
    max: usize,
    /// Who waits for a place.
    waiting: AtomicUsize,
    /// Children that nobody uses any more and that were told to leave.
    leaving: AtomicUsize,
    /// A child may have become idle.
    news: Notify,
}

/// A child's place, free again when this is dropped.
pub(crate) struct Place {
    departure: Arc<Departure>,
    _permit: OwnedSemaphorePermit,
}

/// Whether the child of a place is leaving it.
pub(crate) struct Departure {
    places: Arc<Places>,
    told: AtomicBool,
}

impl Places {
    pub(crate) fn new(max: usize) -> Arc<Self> {
        let max = max.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            free: Arc::new(Semaphore::new(max)),
            max,
            waiting: AtomicUsize::new(0),
            leaving: AtomicUsize::new(0),
            news: Notify::new(),
        })
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// Waits for a place, in the order of coming. While fewer children are leaving than callers
    /// wait, `evict` is to send an idle one away, and says whether there was one.
    pub(crate) async fn take(
        self: &Arc<Self>,
        mut evict: impl FnMut() -> bool,
    ) -> Result<Place, Error> {
        if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
            return Ok(self.place(permit));
        }
        let _counted = Waiting::begin(self);
        let mut permit = std::pin::pin!(Arc::clone(&self.free).acquire_owned());
        loop {
            let news = self.news.notified();
            while self.are_short() && evict() {}
            tokio::select! {
                biased;
                permit = &mut permit => {
                    // Never closed.
                    return permit.map(|permit| self.place(permit)).map_err(|_| self.none_left());
                }
                () = news => {}
            }
        }
    }

    /// A child may have become idle, which somebody who waits wants to know.
    pub(crate) fn look_again(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.news.notify_one();
        }
    }

    /// The error of whoever waited in vain.
    pub(crate) fn none_left(&self) -> Error {
        Error::limit("max_children", self.max, "children of one server in use")
    }

    fn are_short(&self) -> bool {
        self.waiting.load(Ordering::SeqCst) > self.leaving.load(Ordering::SeqCst)
    }

    fn place(self: &Arc<Self>, permit: OwnedSemaphorePermit) -> Place {
        Place {
            departure: Arc::new(Departure {
                places: Arc::clone(self),
                told: AtomicBool::new(false),
            }),
            _permit: permit,
        }
    }
}

impl Place {
    pub(crate) fn departure(&self) -> Arc<Departure> {
        Arc::clone(&self.departure)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.departure.told.swap(true, Ordering::SeqCst) {
            let leaving = &self.departure.places.leaving;
            leaving.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

impl Departure {
    /// Nobody uses the child any more, and it was told to leave.
    pub(crate) fn begin(&self) {
        if !self.told.swap(true, Ordering::SeqCst) {
            self.places.leaving.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Nobody uses the child right now.
    pub(crate) fn idle(&self) {
        self.places.look_again();
    }
}

/// Counts one who waits.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(places: &'a Places) -> Self {
        places.waiting.fetch_add(1, Ordering::SeqCst);
        Self(&places.waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use super::*;

    /// Polls once.
    async fn waits<T>(future: Pin<&mut impl Future<Output = T>>) -> bool {
        tokio::select! {
            biased;
            _ = future => false,
            () = std::future::ready(()) => true,
        }
    }

    #[tokio::test]
    async fn one_child_leaves_for_each_who_waits() {
        let places = Places::new(2);
        let first = places.take(|| false).await.unwrap();
        let second = places.take(|| false).await.unwrap();
        let idle = [&first, &second].map(Place::departure);
        let mut asked = 0;
        let evict = || {
            let next = idle.get(asked);
            asked += 1;
            next.is_some_and(|it| {
                it.begin();
                true
            })
        };
        let mut third = Box::pin(places.take(evict));
        assert!(waits(third.as_mut()).await);
        places.look_again();
        assert!(waits(third.as_mut()).await);
        drop(first);
        let third = third.await.unwrap();
        assert_eq!(asked, 1, "the second was sent away for nobody");
        assert_eq!(places.leaving.load(Ordering::SeqCst), 0);
        assert_eq!(places.waiting.load(Ordering::SeqCst), 0);
        drop((second, third));
    }

    #[tokio::test]
    async fn who_gives_up_is_not_waited_for() {
        let places = Places::new(1);
        let place = places.take(|| false).await.unwrap();
        assert!(waits(Box::pin(places.take(|| false)).as_mut()).await);
        assert_eq!(places.waiting.load(Ordering::SeqCst), 0);
        drop(place);
        places.take(|| false).await.unwrap();
    }
}
