//! The thin shell around the core: descriptors, files, the console and the loop over them.

pub mod config_file;
pub mod confinement;
pub mod console;
pub mod daily_log;
pub mod event_loop;
pub mod ledger_file;
pub mod recovery;
pub mod resolver;
