//! The nouns: what is watched, what is counted, what the configuration and the command line say. Plain
//! values and their readers; nothing here decides what happens next.

pub mod cli;
pub mod config;
pub mod keep;
pub mod message;
pub mod process_id;
pub mod tally;
pub mod target;
pub mod user;
pub mod zone;
