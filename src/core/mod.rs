//! The decisions. Pure: time and facts come in, actions and deadlines come out; no clock, no descriptor.

pub mod boundaries;
pub mod clock_trust;
pub mod due;
pub mod grid;
pub mod health;
pub mod ledger;
pub mod monitor;
pub mod probe;
pub mod report;
pub mod steps;
pub mod verdict;
