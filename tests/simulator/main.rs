//! The simulator: drives the monitor through virtual time, in scripted worlds and in random ones,
//! and asserts its promises at every step. Processes are killed between any two steps and in the
//! midst of one, and started again with what their ledger has kept.
//!
//! A random world is made of one number, its seed, and is the same each time:
//! `TCPMON_SEED=N cargo test --test simulator` lives through one of them alone and shows its last
//! steps where it fails; `TCPMON_SEEDS=COUNT` makes it as many as wanted.

mod book;
mod bounds;
mod calendar;
mod clock;
mod clockless;
mod driver;
mod endings;
mod fuse;
mod hands;
mod killed;
mod kills;
mod life;
mod log;
mod onlooker;
mod outages;
mod patience;
mod promises;
mod queue;
mod random;
mod reloads;
mod remains;
mod restart;
mod scenario;
mod seeds;
mod stage;
mod succession;
mod trace;
mod wall_clock;
mod weather;
mod world;
