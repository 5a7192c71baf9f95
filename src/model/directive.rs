//! The table of directives: every word of a configuration except `target`, and the kind of its value.

use crate::base::time::Nanos;
use crate::base::{limits, words};

/// The kind of a directive's value. Bounds are the least and the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A duration.
    Duration(&'static (Nanos, Nanos)),
    /// A duration in whole seconds.
    Seconds(&'static (Nanos, Nanos)),
    /// The path of a directory.
    Directory,
    /// The path of a file, or the name of one in the log's directory.
    File,
    /// How many daily files are kept, and how many bytes.
    Keep,
    /// `on` or `off`.
    Switch,
    /// How a connection is closed.
    Close,
    /// A number from 1 to this.
    Count(u16),
    /// The name of a user.
    User,
}

/// Makes the enum and its tables from one list: variant, word, kind.
macro_rules! directives {
    ($($variant:ident $name:literal $kind:expr;)+) => {
        /// A setting of the file that is also an option of the command line.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Directive {
            $(#[doc = concat!("`", $name, "`")] $variant,)+
        }

        impl Directive {
            /// Every directive except `target`, in the order of the usage text.
            pub const ALL: [Directive; [$($name),+].len()] = [$(Directive::$variant),+];

            /// The first words that a line can have.
            pub const WORDS: &'static [&'static str] = &[$($name,)+ "target"];

            const TABLE: [(&'static str, Kind); Self::ALL.len()] = [$(($name, $kind)),+];
        }
    };
}

directives! {
    Interval "interval" Kind::Duration(&limits::INTERVAL);
    Timeout "timeout" Kind::Duration(&limits::TIMEOUT);
    Slow "slow" Kind::Duration(&limits::SLOW);
    Report "report" Kind::Seconds(&limits::REPORT);
    LogDir "log_dir" Kind::Directory;
    Keep "keep" Kind::Keep;
    Ledger "ledger" Kind::File;
    Times "times" Kind::Switch;
    Events "events" Kind::Switch;
    Samples "samples" Kind::Switch;
    Syslog "syslog" Kind::Switch;
    DownAfter "down_after" Kind::Count(limits::IN_A_ROW);
    UpAfter "up_after" Kind::Count(limits::IN_A_ROW);
    Spread "spread" Kind::Switch;
    Close "close" Kind::Close;
    Helpers "helpers" Kind::Count(limits::HELPERS as u16);
    User "user" Kind::User;
    Sandbox "sandbox" Kind::Switch;
}

impl Directive {
    /// Its word in a file.
    pub fn name(self) -> &'static str {
        Self::TABLE[self as usize].0
    }

    /// The kind of its value.
    pub fn kind(self) -> Kind {
        Self::TABLE[self as usize].1
    }

    /// Whether a run cannot change it: it counts at the start alone.
    pub fn is_lasting(self) -> bool {
        match self {
            Directive::User | Directive::Sandbox => true,
            Directive::Interval
            | Directive::Timeout
            | Directive::Slow
            | Directive::Report
            | Directive::LogDir
            | Directive::Keep
            | Directive::Ledger
            | Directive::Times
            | Directive::Events
            | Directive::Samples
            | Directive::Syslog
            | Directive::DownAfter
            | Directive::UpAfter
            | Directive::Spread
            | Directive::Close
            | Directive::Helpers => false,
        }
    }

    /// The directive with this word.
    pub fn of_name(name: &str) -> Option<Directive> {
        Self::ALL.into_iter().find(|directive| directive.name() == name)
    }

    /// The directive of an option of the command line: two dashes and its word, with `-` or `_`.
    pub fn of_option(option: &str) -> Option<Directive> {
        let word = option.strip_prefix("--")?.as_bytes();
        Self::ALL.into_iter().find(|directive| words::is_within(word, directive.name().as_bytes(), 0))
    }
}

impl Kind {
    /// The value that an option of this kind needs, for a message.
    pub fn noun(self) -> &'static str {
        match self {
            Kind::Duration(_) | Kind::Seconds(_) => "a duration",
            Kind::Directory => "a directory",
            Kind::File => "a file name",
            Kind::Keep => "days, bytes, both or all",
            Kind::Switch => "on or off",
            Kind::Close => "fin or rst",
            Kind::Count(_) => "a number",
            Kind::User => "a user name",
        }
    }
}
