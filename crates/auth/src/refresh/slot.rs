//! One value that many read and few replace.

#[cfg(not(loom))]
mod imp {
    use std::sync::Arc;

    /// Readers take no lock and allocate nothing.
    #[derive(Debug)]
    pub(crate) struct Slot<T>(arc_swap::ArcSwapOption<T>);

    impl<T> Slot<T> {
        pub(crate) fn empty() -> Self {
            Self(arc_swap::ArcSwapOption::empty())
        }

        /// Looks at the value without cloning the pointer to it.
        pub(crate) fn with<R>(&self, look: impl FnOnce(Option<&T>) -> R) -> R {
            look(self.0.load().as_deref())
        }

        pub(crate) fn get(&self) -> Option<T>
        where
            T: Clone,
        {
            self.0.load().as_deref().cloned()
        }

        pub(crate) fn set(&self, value: Option<T>) {
            self.0.store(value.map(Arc::new));
        }
    }
}

/// For model checking, a lock that loom knows in place of the lock-free pointer.
#[cfg(loom)]
mod imp {
    #[derive(Debug)]
    pub(crate) struct Slot<T>(loom::sync::RwLock<Option<T>>);

    impl<T> Slot<T> {
        pub(crate) fn empty() -> Self {
            Self(loom::sync::RwLock::new(None))
        }

        pub(crate) fn with<R>(&self, look: impl FnOnce(Option<&T>) -> R) -> R {
            look(self.0.read().unwrap().as_ref())
        }

        pub(crate) fn get(&self) -> Option<T>
        where
            T: Clone,
        {
            self.0.read().unwrap().clone()
        }

        pub(crate) fn set(&self, value: Option<T>) {
            *self.0.write().unwrap() = value;
        }
    }
}

pub(crate) use imp::Slot;
