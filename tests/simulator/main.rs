//! The simulator: drives the monitor through virtual time, in scripted worlds and in random ones,
//! and asserts its promises at every step.
//!
//! A random world is made of one number, its seed, and is the same each time:
//! `TCPMON_SEED=N cargo test --test simulator` lives through one of them alone and shows its last
//! steps where it fails; `TCPMON_SEEDS=COUNT` makes it as many as wanted.

mod book;
mod bounds;
mod calendar;
mod clock;
mod driver;
mod endings;
mod hands;
mod life;
mod outages;
mod promises;
mod queue;
mod random;
mod reloads;
mod scenario;
mod seeds;
mod stage;
mod trace;
mod wall_clock;
mod weather;
mod world;
