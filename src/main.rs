//! The `tcpmon` program: the library's `commands`, and nothing else.

#![no_main]
#![deny(unsafe_code)]

#[path = "sys/entry.rs"]
#[allow(unsafe_code)]
mod entry;
