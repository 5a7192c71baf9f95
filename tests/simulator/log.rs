//! The daily log as a killed process leaves it, and how a report gets there: step by step, each
//! noted in the ledger as the program notes it.

use tcpmon::base::path::Path;
use tcpmon::base::text::Text;
use tcpmon::base::time::WallTime;
use tcpmon::core::ledger::{Journal, Ledger, Progress};
use tcpmon::model::outcome::Columns;
use tcpmon::render::table::Form;

use crate::fuse::{Fuse, Owed, Step};
use crate::random::Random;

/// Rows with their service.
pub type Rows = Vec<(String, Columns)>;

/// A report in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Its stamp, to the second.
    pub stamp: WallTime,
    /// How it is written.
    pub form: Form,
    /// Its rows.
    pub rows: Rows,
}

/// The log, and what else matters to a new run.
#[derive(Debug)]
pub struct Log {
    /// The reports that are there as a whole.
    pub reports: Vec<Report>,
    /// The first rows of one that is there in part, at the end.
    part: Option<Report>,
    /// When the process is killed.
    pub fuse: Fuse,
    /// What is owed: one of these. They are more than one after a kill in the midst of a step.
    pub owed: Vec<Owed>,
}

impl Log {
    /// An empty log of a run that owes this.
    pub fn new(owed: Owed) -> Self {
        Self { reports: Vec::new(), part: None, fuse: Fuse::new(), owed: vec![owed] }
    }

    /// The process is about to do this.
    pub fn step(&mut self, step: Step, ledger: &Ledger) {
        self.fuse.step(step, ledger, &self.owed);
    }

    /// Something else is owed now.
    pub fn owe(&mut self, change: impl Fn(&mut Owed)) {
        self.owed.iter_mut().for_each(change);
    }

    /// Appends a report, or fails to where the disk does not take it. `landed` is called when the
    /// log has it.
    pub fn append(
        &mut self,
        ledger: &Ledger,
        report: Report,
        takes: bool,
        random: &mut Random,
        landed: impl FnOnce(),
    ) -> bool {
        let stamp = report.stamp;
        self.step(Step::Begin, ledger);
        if !takes && self.part.is_some() {
            return false;
        }
        self.part = None;
        ledger.begin_report(&file(), self.reports.len() as u64, &vec![0; report.rows.len()], stamp, false);
        self.owe(|owed| owed.writing = Some(stamp.unix));
        self.step(Step::Write, ledger);
        let mut part = report.clone();
        part.rows.truncate(random.below(report.rows.len() as u64) as usize);
        self.part = Some(part);
        if !takes {
            self.step(Step::TakeBack, ledger);
            if random.one_in(2) {
                ledger.tear_report(self.reports.len() as u64, 1);
            } else {
                self.part = None;
                ledger.end_report();
            }
            self.owe(|owed| owed.writing = None);
            return false;
        }
        self.step(Step::Rest, ledger);
        self.part = None;
        self.reports.push(report);
        landed();
        self.owe(|owed| owed.writing = None);
        self.step(Step::Note, ledger);
        ledger.set_progress(Progress::Written);
        true
    }

    /// Whether the whole report is here; a part of it is cut off. It must be what the journal says, or
    /// it would not be known again.
    pub fn has(&mut self, journal: &Journal, ledger: &Ledger) -> bool {
        assert_eq!(journal.file, file());
        let whole = self.reports.get(journal.offset as usize);
        if journal.progress == Progress::Written {
            let found = whole.map(|report| (report.stamp, report.rows.len() as u32));
            assert_eq!(found, Some((journal.stamp, journal.length)), "a report that was noted as written");
            return true;
        }
        let pending = ledger.pending_rows().into_iter().map(|(service, row)| (service.to_string(), row));
        let told = Report { stamp: journal.stamp, form: Form::of(&ledger), rows: pending.collect() };
        if let (Progress::Writing, Some(whole)) = (journal.progress, whole) {
            assert_eq!(*whole, told, "a report in the log, and what the journal says");
            return true;
        }
        if let (Some(part), Progress::Writing) = (self.part.take(), journal.progress) {
            assert_eq!((part.stamp, part.form), (told.stamp, told.form), "a part of a report");
            assert_eq!(part.rows, told.rows[..part.rows.len()], "a part of a report");
        }
        false
    }

    /// What the rows of this service add up to.
    pub fn total(&self, service: &str) -> Columns {
        let mut sum = Columns::default();
        let rows = self.reports.iter().flat_map(|report| &report.rows);
        rows.filter(|(of, _)| of == service).for_each(|(_, row)| crate::book::add(&mut sum, *row));
        sum
    }
}

/// The rows that the ledger has for the log.
pub fn rows(ledger: &Ledger) -> Rows {
    ledger.rows().into_iter().map(|(service, columns)| (service.to_string(), columns)).collect()
}

fn file() -> Path {
    Text::format(format_args!("tcp_stats_20251009.log"))
}
