//! The thin shell around the core: descriptors, files, the console and the event loop.

pub mod bounds;
pub mod change_user;
pub mod config_file;
pub mod console;
pub mod daily_files;
pub mod event_loop;
pub mod families;
pub mod ledger_file;
pub mod ledger_trouble;
pub mod locks;
pub mod log_files;
pub mod old_files;
pub mod output;
pub mod place;
pub mod recovery;
pub mod resolver;
pub mod sandbox;
pub mod snapshot;
pub mod surroundings;
pub mod time_zone;
