//! What a person or a program reads, as functions to a `fmt::Write`. Pure: times and the zone are passed in.

pub mod table;
