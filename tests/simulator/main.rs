//! The simulator: drives the monitor through virtual time, in scripted and in random worlds, and
//! checks the monitor's promises after every wake-up. The simulated process is killed at any kill
//! point, between two operations or during one, and started again with its ledger.
//!
//! A random world depends on one number only, its seed, so a failure can be repeated:
//! `TCPMON_SEED=N cargo test --test simulator` runs one seed alone and shows the last lines of its
//! trace if it fails; `TCPMON_SEEDS=COUNT` sets the number of seeds.

#![allow(clippy::too_many_arguments, reason = "a table of cases is read more easily as calls")]

mod actions;
mod answer;
mod book;
mod bounds;
mod calendar;
mod clock;
mod clock_wait;
mod clockless;
mod clockless_events;
mod continuation;
mod daily_file;
mod driver;
mod endings;
mod event_reading;
mod events;
mod events_kept;
mod health;
mod ids;
mod kill_chain;
mod kill_plan;
mod killed;
mod ledger_words;
mod life;
mod lines;
mod log;
mod log_directory;
mod outages;
mod page;
mod promises;
mod queue;
mod random;
mod random_world;
mod reading;
mod reloads;
mod restart;
mod scenario;
mod season;
mod seeds;
mod shares;
mod simulation;
mod states;
mod store_order;
mod trace;
mod untold;
mod wall_clock;
mod world;
