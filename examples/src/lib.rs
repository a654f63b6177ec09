//! Runnable programs, one per task of a user.
