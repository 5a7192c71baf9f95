//! The nouns: what is watched, what is counted, what the configuration and the command line say. Plain
//! values and their readers; nothing here decides what happens next.

pub mod cli;
pub mod directive;
pub mod facts;
pub mod keep;
pub mod log_names;
pub mod message;
pub mod outcome;
pub mod passwd;
pub mod process_id;
pub mod reader;
pub mod reason;
pub mod settings;
pub mod target;
pub mod time_zone;
