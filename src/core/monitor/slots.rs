//! The table of probes in flight.

use core::ops::{Index, IndexMut};

use crate::base::limits;
use crate::base::time::Instant;
use crate::core::probe::{Probe, ProbeId};

/// A slot for one probe at a time.
#[derive(Debug)]
pub(super) struct Slot {
    generation: u32,
    /// The entry of the latest probe's target.
    pub target: u16,
    /// `None`: the slot is free.
    pub probe: Option<Probe>,
    /// The tick of the latest probe here.
    pub tick: Instant,
}

impl Slot {
    /// The lookup or attempt that the probe waited for is over: its id is no longer valid.
    pub fn invalidate(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }
}

/// All slots. The table grows to the most probes that were in flight at a time, within the memory reserved here.
#[derive(Debug)]
pub(super) struct Slots {
    slots: Vec<Slot>,
    free: Vec<u16>,
}

impl Slots {
    /// An empty table.
    pub fn new() -> Self {
        Self { slots: Vec::with_capacity(limits::PROBES), free: Vec::with_capacity(limits::PROBES) }
    }

    /// Whether there is no room for another probe.
    pub fn is_full(&self) -> bool {
        self.free.is_empty() && self.slots.len() == limits::PROBES
    }

    /// Probes that started and have not ended.
    pub fn in_flight(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// The index of every slot, free ones included.
    pub fn indices(&self) -> core::ops::Range<u16> {
        0..self.slots.len() as u16
    }

    /// A free slot for a probe of this target and tick; [`Slots::is_full`] was asked before.
    pub fn allocate(&mut self, target: u16, tick: Instant) -> u16 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { generation: 0, target, probe: None, tick });
            self.slots.len() as u16 - 1
        });
        let slot = &mut self[index];
        (slot.target, slot.tick) = (target, tick);
        index
    }

    /// Frees a slot whose probe has ended. Returns the probe's target, and its tick.
    pub fn release(&mut self, index: u16) -> (u16, Instant) {
        self.free.push(index);
        let slot = &mut self[index];
        slot.probe = None;
        (slot.target, slot.tick)
    }

    /// The id of the lookup or attempt that this slot's probe waits for.
    pub fn id(&self, index: u16) -> ProbeId {
        ProbeId::new(index, self[index].generation)
    }

    /// Whether a probe waits for this lookup or attempt.
    pub fn is_current(&self, id: ProbeId) -> bool {
        usize::from(id.slot) < self.slots.len() && self.id(id.slot) == id
    }
}

impl Index<u16> for Slots {
    type Output = Slot;

    fn index(&self, index: u16) -> &Slot {
        &self.slots[usize::from(index)]
    }
}

impl IndexMut<u16> for Slots {
    fn index_mut(&mut self, index: u16) -> &mut Slot {
        &mut self.slots[usize::from(index)]
    }
}
