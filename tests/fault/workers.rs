//! Many runs at the same time: a run mostly waits.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::baseline::Baseline;
use crate::cases::Case;
use crate::run;
use crate::verdict::Verdict;

/// Runs at the same time, first and when failed runs are repeated: on a busy machine a run can be
/// late though the program is right.
const MANY: usize = 28;
const FEW: usize = 6;

/// A verdict on each case.
pub fn judge_all(cases: &[Case], baseline: &Baseline) -> Vec<Verdict> {
    let verdicts = judge(cases, baseline, MANY);
    let wrong: Vec<usize> = (0..cases.len()).filter(|index| !verdicts[*index].failures.is_empty()).collect();
    let again: Vec<Case> = wrong.iter().map(|index| cases[*index]).collect();
    let mut verdicts = verdicts;
    for (index, verdict) in wrong.into_iter().zip(judge(&again, baseline, FEW)) {
        verdicts[index] = verdict;
    }
    verdicts
}

fn judge(cases: &[Case], baseline: &Baseline, workers: usize) -> Vec<Verdict> {
    let next = AtomicUsize::new(0);
    let verdicts: Vec<Mutex<Option<Verdict>>> = cases.iter().map(|_| Mutex::new(None)).collect();
    thread::scope(|scope| {
        for _ in 0..workers.min(cases.len()) {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(index) else { break };
                    *verdicts[index].lock().expect("no run panics") = Some(judge_one(case, baseline));
                }
            });
        }
    });
    let verdicts = verdicts.into_iter().map(|verdict| verdict.into_inner().expect("no run panics"));
    verdicts.map(|verdict| verdict.expect("each case was made")).collect()
}

fn judge_one(case: &Case, baseline: &Baseline) -> Verdict {
    match run::make(Some(case), baseline) {
        Ok(seen) => Verdict::of(Some(case), &seen),
        Err(why) => Verdict::none(why),
    }
}
