//! The pool of helper processes that call getaddrinfo for the loop: one lookup each at a time.
//!
//! The pool starts with one helper, grows while all are busy, and shrinks again. A helper is killed if
//! its lookup is not needed any more, because getaddrinfo cannot be interrupted. The monitor decides
//! which probe gets a helper when, and how often a lookup is repeated.

use std::os::fd::{AsFd, OwnedFd};

use crate::base::limits;
use crate::base::time::{Instant, Nanos};
use crate::core::probe::{Input, ProbeId};
use crate::core::verdict::{self, Unasked};
use crate::model::message::{Answer, REPLY, REQUEST, Reply, Request};
use crate::model::reason::Shortage;
use crate::model::target::Target;
use crate::sys::poll::{Owner, PollSet};
use crate::sys::process::{self, Child};
use crate::sys::{Errno, clock, helper, lookup, net};

/// How long [`Resolver::end`] waits before it looks again.
const END_PAUSE: Nanos = Nanos::from_millis(2);

#[derive(Debug)]
struct Helper {
    child: Child,
    /// The child was reaped: its pid may belong to another process now.
    reaped: bool,
    socket: OwnedFd,
    work: Work,
    forked: Instant,
    /// The helper has answered at least once.
    proven: bool,
}

#[derive(Clone, Copy, Debug)]
enum Work {
    Idle { since: Instant },
    Busy { probe: ProbeId, token: u32 },
}

/// The pool.
#[derive(Debug)]
pub struct Resolver {
    /// The helpers by number, up to the highest number in use, within the memory reserved at the start.
    helpers: Vec<Option<Helper>>,
    most: usize,
    /// How many helpers there are.
    size: usize,
    /// The number of the last request. A reply carries the number of its request.
    token: u32,
    /// How many helpers died at once since the last reply.
    deaths: u32,
    /// No helper is forked before this.
    fork_from: Instant,
}

impl Resolver {
    /// An empty pool, with memory for `most` helpers.
    pub fn new(most: usize) -> Self {
        Self {
            helpers: Vec::with_capacity(most),
            most,
            size: 0,
            token: 0,
            deaths: 0,
            fork_from: Instant::from_nanos(0),
        }
    }

    /// Starts the first helper, so that the first lookup does not wait for its fork.
    pub fn warm_up(&mut self, now: Instant, polls: &mut PollSet) -> Result<(), Shortage> {
        if self.size == 0 {
            self.spawn(now, polls)?;
        }
        Ok(())
    }

    /// Sends a lookup to an idle helper, or to a new one. Returns whether a new one was forked.
    pub fn ask(
        &mut self,
        now: Instant,
        polls: &mut PollSet,
        probe: ProbeId,
        target: &Target,
    ) -> Result<bool, Shortage> {
        let idle = |helper: &Option<Helper>| matches!(helper, Some(Helper { work: Work::Idle { .. }, .. }));
        let (index, forked) = match self.helpers.iter().position(idle) {
            Some(index) => (index, false),
            None => (self.spawn(now, polls)?, true),
        };
        self.token = self.token.wrapping_add(1);
        let mut packet = [0; REQUEST];
        let length = Request { token: self.token, family: target.family, host: target.host }.encode(&mut packet);
        let Some(helper) = &mut self.helpers[index] else { return Err(verdict::unasked(Unasked::Full)) };
        helper.work = Work::Busy { probe, token: self.token };
        match net::send(&helper.socket, &packet[..length]) {
            Ok(_) => Ok(forked),
            // The helper has just died; if not, it is killed. The next read from it finds that, and the
            // lookup is repeated.
            Err(Errno::EPIPE | Errno::ECONNRESET) => {
                if !helper.reaped {
                    process::kill_child(helper.child);
                }
                Ok(forked)
            }
            Err(_) => {
                helper.work = Work::Idle { since: now };
                Err(verdict::unasked(Unasked::Send))
            }
        }
    }

    /// Kills the helper that is busy with this lookup.
    pub fn drop_lookup(&mut self, polls: &mut PollSet, probe: ProbeId) {
        let has = |helper: &Option<Helper>| {
            helper.as_ref().is_some_and(|helper| matches!(helper.work, Work::Busy { probe: p, .. } if p == probe))
        };
        if let Some(index) = self.helpers.iter().position(has) {
            self.remove(index, polls);
        }
    }

    /// Reads from the helper of this number, which poll has reported as ready. Returns the input that this is
    /// for a probe, if it is one. Addresses are in `reply`.
    pub fn receive<'a>(
        &mut self,
        now: Instant,
        polls: &mut PollSet,
        number: u16,
        reply: &'a mut Option<Reply>,
    ) -> Option<(ProbeId, Input<'a>)> {
        let index = usize::from(number);
        let helper = self.helpers.get_mut(index)?.as_mut()?;
        let mut packet = [0; REPLY + 1];
        *reply = match net::receive_packet(&helper.socket, &mut packet) {
            Ok(length) => packet.get(..length).and_then(Reply::decode),
            Err(Errno::EINTR) => return None,
            Err(_) => None,
        };
        let work = helper.work;
        match (&*reply, work) {
            (Some(Reply { token: answered, elapsed, answer }), Work::Busy { probe, token }) if *answered == token => {
                helper.work = Work::Idle { since: now };
                helper.proven = true;
                self.deaths = 0;
                let input = match answer {
                    Answer::Found(addresses) => Input::Answered(*elapsed, addresses.as_slice()),
                    Answer::Failed(reason) => Input::LookupFailed(*elapsed, *reason),
                    Answer::Short(shortage) => Input::FellShort(*shortage),
                };
                return Some((probe, input));
            }
            _ => {}
        }
        // The helper is dead, or its reply has another number than its request: it is not used any more.
        if !helper.proven && now.since(helper.forked) < limits::FORK_PAUSE {
            self.deaths = self.deaths.saturating_add(1);
        }
        if self.deaths >= limits::DEATHS_IN_A_ROW {
            self.fork_from = now + limits::FORK_PAUSE;
        }
        self.remove(index, polls);
        match work {
            Work::Busy { probe, .. } => Some((probe, Input::LookupLost)),
            Work::Idle { .. } => None,
        }
    }

    /// Reaps every child that has ended.
    pub fn reap(&mut self) {
        while let Some(child) = process::reap() {
            for helper in self.helpers.iter_mut().flatten().filter(|helper| helper.child == child) {
                // The helper stays until its last reply, if any, has been read.
                helper.reaped = true;
            }
        }
    }

    /// When [`Resolver::shrink`] must be called next.
    pub fn next_deadline(&self) -> Instant {
        if self.size <= 1 {
            return Instant::NEVER;
        }
        let idle = self.helpers.iter().flatten().map(Helper::idle_since);
        idle.fold(Instant::NEVER, Instant::min) + limits::HELPER_IDLE
    }

    /// Ends helpers that have been idle for [`limits::HELPER_IDLE`], but keeps one.
    pub fn shrink(&mut self, now: Instant, polls: &mut PollSet) {
        let mut index = self.helpers.len();
        while self.size > 1 && index > 0 {
            index -= 1;
            let since = self.helper(index).map_or(Instant::NEVER, Helper::idle_since);
            if now >= since + limits::HELPER_IDLE {
                self.remove(index, polls);
            }
        }
    }

    /// Ends all helpers and waits until they have ended, at most [`limits::HELPERS_END`]: one that waits for a device
    /// that does not answer ends only when the device does.
    pub fn end(&mut self, polls: &mut PollSet) {
        for index in (0..self.helpers.len()).rev() {
            self.remove(index, polls);
        }
        let end = clock::monotonic() + limits::HELPERS_END;
        while process::has_children() && clock::monotonic() < end {
            clock::rest(END_PAUSE);
        }
    }

    fn spawn(&mut self, now: Instant, polls: &mut PollSet) -> Result<usize, Shortage> {
        let free = self.helpers.iter().position(Option::is_none).unwrap_or(self.helpers.len());
        if free == self.most {
            return Err(verdict::unasked(Unasked::Full));
        }
        if now < self.fork_from {
            return Err(verdict::unasked(Unasked::Paused));
        }
        let (child, socket) = helper::spawn(serve).map_err(|errno| verdict::unasked(Unasked::Fork(errno.into())))?;
        polls.insert(Owner::Helper(free as u16), socket.as_fd());
        if free == self.helpers.len() {
            self.helpers.push(None);
        }
        let work = Work::Idle { since: now };
        self.size += 1;
        self.helpers[free] = Some(Helper { child, reaped: false, socket, work, forked: now, proven: false });
        Ok(free)
    }

    /// The numbers of helpers are below this.
    pub fn numbers(&self) -> u16 {
        self.helpers.len() as u16
    }

    fn helper(&self, index: usize) -> Option<&Helper> {
        self.helpers.get(index)?.as_ref()
    }

    /// Removes a helper and ends its process. Every helper leaves the pool here.
    fn remove(&mut self, index: usize, polls: &mut PollSet) {
        polls.remove(Owner::Helper(index as u16));
        if let Some(helper) = self.helpers.get_mut(index).and_then(Option::take) {
            self.size -= 1;
            if !helper.reaped {
                process::kill_child(helper.child);
            }
        }
        while let Some(None) = self.helpers.last() {
            self.helpers.pop();
        }
    }
}

impl Helper {
    /// Since when the helper is idle; [`Instant::NEVER`] while it is busy.
    fn idle_since(&self) -> Instant {
        match self.work {
            Work::Idle { since } => since,
            Work::Busy { .. } => Instant::NEVER,
        }
    }
}

/// The main function of a helper: answers one request after the other until the monitor has ended.
fn serve(socket: &OwnedFd) {
    let mut packet = [0; REQUEST + 1];
    while let Ok(length @ 1..) = net::await_packet(socket, &mut packet) {
        let Some(request) = packet.get(..length).and_then(Request::decode) else { return };
        // This look is no part of the lookup's time.
        let is_forbidden = lookup::forbidden_file().is_some();
        let begin = clock::monotonic();
        let answer = if is_forbidden {
            Answer::Short(Shortage::ResolverFile)
        } else {
            verdict::lookup(lookup::addresses(request.host.as_str(), request.family))
        };
        let elapsed = clock::monotonic().since(begin);
        let mut reply = [0; REPLY];
        let length = Reply { token: request.token, elapsed, answer }.encode(&mut reply);
        // glibc notes for its process that an answer did not come in time, and asks in another way from then on: one
        // question after the other, and none about IPv6 after a failure. A new helper has forgotten that.
        let is_changed = cfg!(target_env = "gnu") && elapsed >= limits::LOST_ANSWER;
        if net::send(socket, &reply[..length]).is_err() || is_changed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// A reap is for the children of the whole process, so only one test at a time may have children.
    static LOCK: Mutex<()> = Mutex::new(());

    /// What was read from a helper.
    enum Received {
        Reply,
        Lost(ProbeId),
        Nothing,
    }

    /// A pool and its poll set. The tests pass in the time.
    struct Pool {
        resolver: Resolver,
        polls: PollSet,
        _guard: MutexGuard<'static, ()>,
    }

    impl Pool {
        fn new() -> Self {
            let guard = LOCK.lock().unwrap_or_else(PoisonError::into_inner);
            let polls = PollSet::new();
            Self { resolver: Resolver::new(limits::HELPERS), polls, _guard: guard }
        }

        fn ask(&mut self, now: Instant, slot: u16) -> Result<bool, Shortage> {
            let target = Target::new("s", "localhost", 1).expect("a target");
            self.resolver.ask(now, &mut self.polls, ProbeId::new(slot, 0), &target)
        }

        /// Waits until a helper is ready, and reads from all that are.
        fn receive(&mut self, now: Instant) -> Vec<Received> {
            assert!(self.polls.wait(Some(Nanos::from_secs(20))).unwrap() > 0, "a helper is ready");
            let numbers = 0..self.resolver.numbers();
            let ready: Vec<_> = numbers.filter(|number| self.polls.is_ready(Owner::Helper(*number))).collect();
            ready.into_iter().map(|number| self.receive_one(now, number)).collect()
        }

        fn receive_one(&mut self, now: Instant, number: u16) -> Received {
            match self.resolver.receive(now, &mut self.polls, number, &mut None) {
                Some((probe, Input::LookupLost)) => Received::Lost(probe),
                Some(_) => Received::Reply,
                None => Received::Nothing,
            }
        }

        fn size(&self) -> usize {
            assert_eq!(self.resolver.helpers.iter().flatten().count(), self.resolver.size);
            self.resolver.size
        }

        /// Kills all helpers.
        fn kill(&mut self) {
            for helper in self.resolver.helpers.iter().flatten() {
                process::kill_child(helper.child);
            }
        }
    }

    impl Drop for Pool {
        fn drop(&mut self) {
            self.resolver.end(&mut self.polls);
        }
    }

    fn second(n: u64) -> Instant {
        Instant::from_nanos(0) + Nanos::from_secs(n)
    }

    #[test]
    fn the_pool_grows_while_all_are_busy_and_shrinks_to_one_when_idle() {
        let mut pool = Pool::new();
        pool.resolver.warm_up(second(1), &mut pool.polls).unwrap();
        assert_eq!(pool.size(), 1);
        let forked: Vec<_> = (0..3).map(|slot| pool.ask(second(1), slot).unwrap()).collect();
        assert_eq!((forked, pool.size()), (vec![false, true, true], 3));
        let mut replies = 0;
        while replies < 3 {
            replies += pool.receive(second(2)).iter().filter(|received| matches!(received, Received::Reply)).count();
        }
        assert!(!pool.ask(second(3), 0).unwrap(), "a helper is idle");
        while !matches!(pool.receive(second(4))[..], [Received::Reply]) {}

        let idle = second(2) + limits::HELPER_IDLE;
        assert_eq!(pool.resolver.next_deadline(), idle);
        pool.resolver.shrink(idle.before(Nanos::new(1)), &mut pool.polls);
        assert_eq!(pool.size(), 3, "one nanosecond earlier no helper ends");
        pool.resolver.shrink(idle, &mut pool.polls);
        assert_eq!(pool.size(), 1, "the two that were idle for that long end");
        pool.resolver.shrink(second(1000), &mut pool.polls);
        assert_eq!((pool.size(), pool.resolver.next_deadline()), (1, Instant::NEVER), "the last one stays");
    }

    #[test]
    fn helpers_that_die_at_once_cause_no_fork_storm() {
        let mut pool = Pool::new();
        for death in 1..=limits::DEATHS_IN_A_ROW {
            pool.resolver.warm_up(second(5), &mut pool.polls).unwrap();
            pool.kill();
            // The request may fail because the helper is dead, or be sent before it is.
            assert_eq!(pool.ask(second(5), 7), Ok(false), "death {death}");
            assert!(matches!(pool.receive(second(5))[..], [Received::Lost(probe)] if probe == ProbeId::new(7, 0)));
            pool.resolver.reap();
        }
        assert_eq!(pool.ask(second(5), 7), Err(Shortage::Processes), "forking pauses");
        assert_eq!(pool.ask(second(6), 7), Ok(true), "the pause is over");
        while !matches!(pool.receive(second(6))[..], [Received::Reply]) {}
        pool.kill();
        assert!(matches!(pool.receive(second(6))[..], [Received::Nothing]), "an idle helper had no lookup to lose");
        assert_eq!(pool.ask(second(6), 7), Ok(true), "the death of a helper that has answered does not count");
    }

    #[test]
    fn as_many_helpers_as_fit_are_forked_and_one_more_is_refused() {
        let mut pool = Pool::new();
        for slot in 0..limits::HELPERS as u16 {
            assert_eq!(pool.ask(second(1), slot), Ok(true));
        }
        assert_eq!(pool.ask(second(1), 99), Err(Shortage::Helpers));
        pool.resolver.drop_lookup(&mut pool.polls, ProbeId::new(5, 0));
        assert_eq!(pool.size(), limits::HELPERS - 1, "a dropped lookup ends its helper");
        assert_eq!(pool.ask(second(1), 99), Ok(true));
    }
}
