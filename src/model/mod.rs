//! The nouns: what is watched, what is counted, what the configuration and the command line say. Plain
//! values and their readers; the decisions are in `core`.

/// Adds to an enum a list of its variants, and `index`. A variant that is missing in the list does not compile. A
/// variant with a value cannot be in the list; it stands behind `else`.
macro_rules! listed {
    ($(#[$doc:meta])+ $name:ident::$list:ident = [$($variant:ident),+ $(,)?] $(else $other:ident)?;) => {
        impl $name {
            $(#[$doc])+
            pub const $list: [$name; [$(stringify!($variant)),+].len()] = [$($name::$variant),+];

            /// Its position in the list, from 0. A variant that is not in the list has the length of the list.
            pub const fn index(self) -> usize {
                enum Position { $($variant),+ }
                match self {
                    $($name::$variant => Position::$variant as usize,)+
                    $($name::$other(_) => $name::$list.len(),)?
                }
            }
        }
    };
}

pub mod cause;
pub mod cli;
pub mod command;
pub mod directive;
pub mod event;
pub mod facts;
pub mod keep;
pub mod log_line;
pub mod log_names;
pub mod message;
pub mod outcome;
pub mod passwd;
pub mod process_id;
pub mod reader;
pub mod reason;
pub mod request;
pub mod run;
pub mod service;
pub mod settings;
pub mod target;
pub mod time_zone;
