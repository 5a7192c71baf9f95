//! Which swaps are made: of those that are possible, all, or a few at each call.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::swapper::{Target, Variant};

/// Whether the name is swapped before the call takes effect or when it has been made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Moment {
    Before,
    After,
}

/// A call that names something which can be swapped.
pub struct Seen {
    /// Which process made it.
    pub role: String,
    /// It was this process's call of this number, from 1.
    pub nth: u32,
    /// The call, with its names.
    pub label: String,
    pub targets: Vec<Target>,
}

/// A swap to be made.
#[derive(Clone, Debug)]
pub struct Case {
    pub role: String,
    pub nth: u32,
    pub label: String,
    /// Which of the call's targets.
    pub target: usize,
    /// Its last name.
    pub name: String,
    pub moment: Moment,
    pub variant: Variant,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = match self.moment {
            Moment::Before => "before",
            Moment::After => "after",
        };
        let Self { role, nth, label, name, variant, .. } = self;
        write!(f, "{moment} call {nth} of {role} ({label}), {name}: {variant}")
    }
}

/// How many things are put in the place of each name in the short form: so it takes less than a minute.
const SAMPLE: usize = 4;

/// One worker's share of the swaps.
pub struct Share {
    pub seed: u64,
    pub all: bool,
    pub worker: u64,
    pub workers: u64,
}

impl Share {
    /// This worker's cases of a scene.
    pub fn cases(&self, scene: &str, seen: &[Seen]) -> Vec<Case> {
        let mut cases = Vec::new();
        for call in seen {
            for (index, target) in call.targets.iter().enumerate() {
                for moment in [Moment::Before, Moment::After] {
                    let variants = target.variants();
                    // By a hash, not by a count: the calls of a life differ a little.
                    let place = hash(&(scene, &call.role, call.nth, index, moment));
                    let first = hash(&(place, self.seed)) as usize % variants.len();
                    for (number, variant) in variants.iter().enumerate() {
                        let is_mine = hash(&(place, number)) % self.workers == self.worker;
                        if is_mine && (self.all || (number + variants.len() - first) % variants.len() < SAMPLE) {
                            let name = match target {
                                Target::File(path) | Target::Directory(path) => path.file_name(),
                                Target::Process => None,
                            };
                            let name = name.map_or("its process".to_owned(), |name| name.to_string_lossy().into());
                            let (role, label) = (call.role.clone(), call.label.clone());
                            let (nth, variant) = (call.nth, *variant);
                            cases.push(Case { role, nth, label, target: index, name, moment, variant });
                        }
                    }
                }
            }
        }
        cases
    }
}

fn hash(what: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}
