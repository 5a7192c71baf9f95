//! The parts that everything else is made of: text and paths in fixed buffers, time, bounds, and the tables of
//! the loop. Imports nothing.

pub mod calendar;
pub mod histogram;
pub mod limits;
pub mod line;
pub mod order;
pub mod path;
pub mod ring;
pub mod said;
pub mod text;
pub mod time;
pub mod timers;
pub mod width;
pub mod words;
