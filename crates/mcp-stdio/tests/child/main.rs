//! A server in a child process: what it is given, what it says, how it ends.
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

#[cfg(test)]
mod environment;
#[cfg(test)]
mod failure;
#[cfg(test)]
mod life;
#[cfg(test)]
mod places;
#[cfg(test)]
mod principals;
#[cfg(test)]
mod protocol;
#[cfg(test)]
mod questions;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tools;
