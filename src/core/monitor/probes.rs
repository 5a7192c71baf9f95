//! The probes of a run: starts one at each tick or skips the tick, does what each one needs next, and counts its end.

use super::{Action, AttemptEnd, Ended, Monitor, TARGET_TIMERS, TargetId};
use crate::base::time::Instant;
use crate::core::probe::{End, Input, Next, Probe, ProbeId};
use crate::core::verdict::{Details, Verdict};
use crate::model::reason::{Ending, Shortage};

impl Monitor {
    /// Passes an answer to the probe that waits for it. An answer that comes late or twice is dropped.
    pub(super) fn answer(&mut self, now: Instant, id: ProbeId, input: Input<'_>) {
        if self.slots.is_current(id) {
            self.advance(now, id.slot, input);
        }
    }

    /// Notes how an attempt has ended, before its probe goes on.
    #[inline(never)] // Few attempts need it.
    pub(super) fn note_end(&mut self, at: Instant, id: ProbeId, verdict: Verdict, details: Details) {
        if !self.slots.is_current(id) {
            return;
        }
        let slot = &mut self.slots[id.slot];
        let Some(probe) = &mut slot.probe else { return };
        probe.note(details.resent.unwrap_or(0), details.slow);
        if let Some(address) = probe.address().copied() {
            self.attempts.push(slot.target, AttemptEnd { address, verdict, time: probe.attempt_time(at), details });
        }
    }

    /// Passes an input to a probe and does what it needs next.
    fn advance(&mut self, now: Instant, index: u16, input: Input<'_>) {
        let Some(probe) = &mut self.slots[index].probe else { return };
        let was_looking_up = probe.is_looking_up();
        let next = probe.handle(now, &self.settings.thresholds, input);
        if was_looking_up && !matches!(next, Next::Wait(_)) {
            self.looking_up -= 1;
        }
        self.follow(now, index, next);
    }

    /// Does what a probe needs next.
    fn follow(&mut self, now: Instant, index: u16, next: Next) {
        match next {
            Next::Wait(deadline) => return self.timers.set(index, deadline),
            Next::Connect => {
                let is_queued = self.to_connect.push(index);
                debug_assert!(is_queued, "a probe is in the queue once");
            }
            Next::Ask => {
                let entry = &mut self.table[self.slots[index].target];
                entry.waiting += 1;
                entry.last_to_wait = index;
                let is_queued = self.to_look_up.push(index);
                debug_assert!(is_queued, "a probe is in the queue once");
            }
            Next::End(end) => self.finish(now, index, &end),
        }
        self.slots[index].invalidate();
        self.timers.set(index, Instant::NEVER);
    }

    /// Counts a probe and frees its slot. Every probe ends here.
    fn finish(&mut self, now: Instant, index: u16, end: &End) {
        let (target, tick) = self.slots.release(index);
        if let Ending::Skipped(shortage) = end.ending {
            self.count_skips(target, 1, shortage);
        }
        let ended = Ended { target: TargetId(target), tick, ticks: 1, end: *end };
        self.ends.push(ended);
        self.run_times.add(target, end);
        let hysteresis = self.settings.hysteresis_of(&self.table[target].target);
        if let Some(change) = self.table.end(&ended, now, hysteresis, &self.due) {
            self.note_change(now, target, change, end);
        }
    }

    /// Counts ticks, from `tick` on, that become no probe.
    fn skip(&mut self, target: u16, tick: Instant, ticks: u64, shortage: Shortage) {
        self.count_skips(target, ticks, shortage);
        self.note_skip(target, tick, ticks, shortage);
    }

    fn count_skips(&mut self, target: u16, ticks: u64, shortage: Shortage) {
        self.table.skip(target, ticks);
        self.skips.add(ticks, shortage);
    }

    /// The next attempt or lookup that can start.
    pub(super) fn next_in_queue(&mut self, now: Instant) -> Option<Action> {
        if let Some(index) = self.to_connect.pop() {
            let slot = &self.slots[index];
            let address = *slot.probe.as_ref()?.address()?;
            return Some(Action::Connect(self.slots.id(index), TargetId(slot.target), address));
        }
        if self.looking_up >= self.helpers {
            return None;
        }
        let index = self.to_look_up.pop()?;
        self.looking_up += 1;
        self.table.ledger().note_busy(self.looking_up);
        let (id, target) = (self.slots.id(index), self.slots[index].target);
        self.table[target].waiting -= 1;
        self.advance(now, index, Input::LookupStarted);
        Some(Action::Lookup(id, TargetId(target)))
    }

    /// A target's tick: starts a probe, or skips the tick for a shortage.
    pub(super) fn tick(&mut self, now: Instant, index: u16) {
        let entry = &mut self.table[index];
        let first = entry.grid.next();
        let missed = entry.grid.advance(now);
        let tick = first + entry.grid.interval().times(missed);
        entry.ticks = entry.ticks.saturating_add(u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1));
        if missed > 0 {
            self.skip(index, first, missed, Shortage::Late);
        }
        let entry = &self.table[index];
        if entry.waiting > 0 {
            // The last tick still waits for a helper. It is skipped, and this one takes its slot and its position in the
            // queue.
            let waited = core::mem::replace(&mut self.slots[entry.last_to_wait].tick, tick);
            self.skip(index, waited, 1, Shortage::Helpers);
        } else if self.slots.is_full() {
            self.skip(index, tick, 1, Shortage::Probes);
        } else {
            self.start(now, tick, index);
        }
        self.round |= index == self.pacemaker;
        self.arm(index);
    }

    fn start(&mut self, now: Instant, tick: Instant, index: u16) {
        let entry = &mut self.table[index];
        entry.in_flight += 1;
        let slot = self.slots.allocate(index, tick);
        let probe = self.slots[slot].probe.insert(Probe::new());
        let next = probe.begin(entry.target.literal);
        self.follow(now, slot, next);
    }

    /// A probe's deadline has passed. The action releases its helper or socket. A lookup has ended; an attempt goes on
    /// being the probe's until the answer to the action.
    pub(super) fn expire(&mut self, now: Instant, index: u16) -> Action {
        let slot = &self.slots[index];
        let (id, is_looking_up) = (self.slots.id(index), slot.probe.as_ref().is_some_and(Probe::is_looking_up));
        if is_looking_up {
            self.advance(now, index, Input::Expired);
            return Action::DropLookup(id);
        }
        debug_assert!(self.dropping.is_none(), "the answer to the last DropConnect is missing");
        self.dropping = Some((id, now));
        self.timers.set(index, Instant::NEVER);
        Action::DropConnect(id)
    }

    /// Sets the timer of a target's next tick, if it has one.
    pub(super) fn arm(&mut self, index: u16) {
        let entry = &self.table[index];
        let next = entry.grid.next();
        let done = self.span.rounds.is_some_and(|rounds| entry.ticks >= rounds) || next >= self.end || !entry.is_live();
        self.timers.set(TARGET_TIMERS + index, if done { Instant::NEVER } else { next });
    }
}
