//! A worker: makes its share of the swaps, in namespaces of its own, and prints what it found for [`crate::tally`].

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};

use crate::Result;
use crate::area::Area;
use crate::checks::{self, Before};
use crate::decoy::Decoy;
use crate::life::{Life, Lived};
use crate::namespace;
use crate::plan::{Case, Share};
use crate::remains::{self, Remains};
use crate::scene::{self, NOBODY, OTHER, ROOT, Scene, USER};
use crate::tally::{self, Line};

/// Works as its arguments say: number, workers, seed, `all` or `some`, the binary, and the scenes.
pub fn work(words: &[String]) -> Result {
    let [worker, workers, seed, all, binary, scenes @ ..] = words else { return Err("a worker has no order".into()) };
    let share = Share { seed: seed.parse()?, all: all == "all", worker: worker.parse()?, workers: workers.parse()? };
    // It is waited for in the tracer.
    let mut child = SigSet::empty();
    child.add(Signal::SIGCHLD);
    child.thread_block()?;
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    prctl::set_child_subreaper(true)?;

    let dir = tempfile::tempdir()?;
    let log = namespace::set_up(dir.path())?;
    // Every user must be able to execute it.
    let copy = dir.path().join("tcpmon");
    fs::copy(binary, &copy)?;
    let remains = Remains::make(&copy, dir.path())?;
    let decoys = [ROOT, USER, OTHER, NOBODY].map(Decoy::new).into_iter().collect::<Result<Vec<_>>>()?;
    let mut worker = Worker { root: dir.path().to_owned(), binary: copy, remains, decoys, log, lives: 0 };
    for scene in scene::ALL.iter().filter(|scene| scenes.is_empty() || scenes.iter().any(|name| name == scene.name)) {
        worker.play(scene, &share).map_err(|why| format!("{}: {why}", scene.name))?;
    }
    Ok(())
}

struct Worker {
    root: PathBuf,
    binary: PathBuf,
    remains: Remains,
    decoys: Vec<Decoy>,
    /// The system log.
    log: UnixDatagram,
    lives: u32,
}

impl Worker {
    /// Lives a scene without a swap to see its calls, then with each swap of the share.
    fn play(&mut self, scene: &Scene, share: &Share) -> Result {
        let (lived, wrong) = self.live(scene, None)?;
        if !wrong.is_empty() {
            return Err(format!("without a swap: {}", wrong.join("; ")).into());
        }
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        if share.worker == 0 {
            counts.insert(tally::CALLS, lived.seen.len() as u64);
        }
        for case in share.cases(scene.name, &lived.seen) {
            let (lived, wrong) = self.live(scene, Some(&case)).map_err(|why| format!("{case}: {why}"))?;
            let key = match (lived.reached, &lived.swap) {
                (_, Some(_)) => tally::SWAPS,
                (true, None) => tally::IMPOSSIBLE,
                (false, None) => tally::NOT_REACHED,
            };
            *counts.entry(key).or_default() += 1;
            for what in wrong {
                Line::Wrong(scene.name.to_owned(), format!("{case}: {what}")).print();
            }
        }
        for (key, count) in counts {
            Line::Count(scene.name.to_owned(), key.to_owned(), count).print();
        }
        Ok(())
    }

    fn live(&mut self, scene: &Scene, case: Option<&Case>) -> Result<(Lived, Vec<String>)> {
        self.lives += 1;
        let root = self.root.join(format!("life-{}", self.lives));
        let decoy = self.decoys.iter().find(|decoy| decoy.user == scene.user).ok_or("no decoy of that user")?;
        let [victim, ledger] = [&self.remains.secret, &self.remains.public]
            .map(|ledger| remains::forge(ledger, decoy.pid.as_raw(), decoy.born));
        let (victim, ledger) = (victim?, ledger?);
        let area = Area::make(&root, scene, &self.remains, [&victim, &ledger])?;
        let before = Before::of(&area)?;
        let (binary, decoys): (&Path, &[Decoy]) = (&self.binary, &self.decoys);
        let lived = Life { binary, scene, area: &area, decoys, ledger: &ledger, case }.live()?;
        let mut wrong = checks::check(&area, case, &before, &lived, &self.decoys)?;
        let mut packet = [0; 4096];
        while let Ok(length) = self.log.recv(&mut packet) {
            let shown = checks::secret_in(&packet[..length]);
            wrong.extend(shown.map(|line| format!("the system log shows foreign bytes: {line}")));
        }
        for decoy in &mut self.decoys {
            if decoy.harm().is_some() {
                *decoy = Decoy::new(decoy.user)?;
            }
        }
        Ok((lived, wrong))
    }
}
