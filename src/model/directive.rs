//! The words of a configuration, `target` apart.

use crate::base::limits;
use crate::base::time::Nanos;

/// A setting of the file that is also an option of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Directive {
    /// `interval`
    Interval,
    /// `timeout`
    Timeout,
    /// `slow`
    Slow,
    /// `report`
    Report,
    /// `log_dir`
    LogDir,
    /// `keep`
    Keep,
    /// `ledger`
    Ledger,
    /// `spread`
    Spread,
    /// `close`
    Close,
    /// `helpers`
    Helpers,
    /// `user`
    User,
    /// `sandbox`
    Sandbox,
}

impl Directive {
    /// Every directive but `target`, in the order of the usage text.
    pub const ALL: [Directive; 12] = [
        Directive::Interval,
        Directive::Timeout,
        Directive::Slow,
        Directive::Report,
        Directive::LogDir,
        Directive::Keep,
        Directive::Ledger,
        Directive::Spread,
        Directive::Close,
        Directive::Helpers,
        Directive::User,
        Directive::Sandbox,
    ];

    /// Its word in a file.
    pub fn name(self) -> &'static str {
        match self {
            Directive::Interval => "interval",
            Directive::Timeout => "timeout",
            Directive::Slow => "slow",
            Directive::Report => "report",
            Directive::LogDir => "log_dir",
            Directive::Keep => "keep",
            Directive::Ledger => "ledger",
            Directive::Spread => "spread",
            Directive::Close => "close",
            Directive::Helpers => "helpers",
            Directive::User => "user",
            Directive::Sandbox => "sandbox",
        }
    }

    /// Its word on the command line, behind two dashes.
    pub fn option(self) -> &'static str {
        match self {
            Directive::LogDir => "log-dir",
            Directive::Interval
            | Directive::Timeout
            | Directive::Slow
            | Directive::Report
            | Directive::Keep
            | Directive::Ledger
            | Directive::Spread
            | Directive::Close
            | Directive::Helpers
            | Directive::User
            | Directive::Sandbox => self.name(),
        }
    }

    /// Its shortest and longest value, where that is a duration.
    #[inline(never)]
    pub fn bounds(self) -> Option<&'static (Nanos, Nanos)> {
        match self {
            Directive::Interval => Some(&limits::INTERVAL),
            Directive::Timeout => Some(&limits::TIMEOUT),
            Directive::Slow => Some(&limits::SLOW),
            Directive::Report => Some(&limits::REPORT),
            Directive::LogDir
            | Directive::Keep
            | Directive::Ledger
            | Directive::Spread
            | Directive::Close
            | Directive::Helpers
            | Directive::User
            | Directive::Sandbox => None,
        }
    }
}
