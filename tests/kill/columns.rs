//! The seven numbers of a row.

use std::ops::{Add, AddAssign};

/// Conn<1s, Conn1-5s, DNS<1s, DNS1-5s, DNSFail, ConnFailed, Total.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Columns(pub [u64; 7]);

impl Columns {
    /// The names of the columns in `tcpmon status --json`.
    pub const KEYS: [&str; 7] = ["conn_fast", "conn_slow", "dns_fast", "dns_slow", "dns_fail", "conn_failed", "total"];

    /// The last column.
    pub fn total(self) -> u64 {
        self.0[6]
    }

    /// Whether the connects and the lookups each add up to the total.
    pub fn adds_up(self) -> bool {
        let [conn_fast, conn_slow, dns_fast, dns_slow, dns_fail, conn_failed, total] = self.0;
        conn_fast + conn_slow + conn_failed + dns_fail == total && dns_fast + dns_slow + dns_fail == total
    }
}

impl Add for Columns {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + other.0[i]))
    }
}

impl AddAssign for Columns {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}
