//! The simulated daily log, also as a killed process leaves it. A report is appended in the same
//! operations as in the program, each journalled in the ledger.

use tcpmon::base::path::Path;
use tcpmon::base::text::Text;
use tcpmon::base::time::WallTime;
use tcpmon::core::ledger::{Journal, Ledger, Progress};
use tcpmon::model::log_names::Kind;
use tcpmon::model::outcome::Columns;
use tcpmon::render::table::Form;

use crate::kill_plan::{KillPlan, KillPoint, Owed};
use crate::random::Random;

/// Rows, each with its service.
pub type Rows = Vec<(String, Columns)>;

/// A report in the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Its stamp, to the second.
    pub stamp: WallTime,
    /// The form of its table.
    pub form: Form,
    /// Its rows.
    pub rows: Rows,
}

/// The log, and what the next run must do for it.
#[derive(Debug)]
pub struct Log {
    /// The complete reports.
    pub reports: Vec<Report>,
    /// A partly written report at the end: its first rows.
    part: Option<Report>,
    /// When the process is killed.
    pub kill_plan: KillPlan,
    /// What the next run must do: one of these. After a kill during an operation there are several, as
    /// it is not known how far that operation came.
    pub owed: Vec<Owed>,
}

impl Log {
    /// An empty log.
    pub fn new(owed: Owed) -> Self {
        Self { reports: Vec::new(), part: None, kill_plan: KillPlan::new(), owed: vec![owed] }
    }

    /// The process reaches this kill point.
    pub fn reach(&mut self, point: KillPoint, ledger: &Ledger) {
        self.kill_plan.reach(point, ledger, &self.owed);
    }

    /// Changes what the next run must do.
    pub fn owe(&mut self, change: impl Fn(&mut Owed)) {
        self.owed.iter_mut().for_each(change);
    }

    /// Appends a report; fails if the log is not `writable`. `on_written` is called once the log has
    /// the report. Returns whether it was written.
    pub fn append(
        &mut self,
        ledger: &Ledger,
        report: Report,
        writable: bool,
        random: &mut Random,
        on_written: impl FnOnce(),
    ) -> bool {
        let stamp = report.stamp;
        self.reach(KillPoint::BeginReport, ledger);
        if !writable && self.part.is_some() {
            return false;
        }
        self.part = None;
        let (offset, bytes) = (self.reports.len() as u64, vec![0; report.rows.len()]);
        ledger.begin_write(Kind::Stats, &file(), offset, &bytes, stamp, false, 0);
        self.owe(|owed| owed.writing = Some(stamp.unix));
        self.reach(KillPoint::Write, ledger);
        let mut part = report.clone();
        part.rows.truncate(random.below(report.rows.len() as u64) as usize);
        self.part = Some(part);
        if !writable {
            self.reach(KillPoint::CutOff, ledger);
            if random.one_in(2) {
                ledger.tear(Kind::Stats, self.reports.len() as u64, 1);
            } else {
                self.part = None;
                ledger.end_report();
            }
            self.owe(|owed| owed.writing = None);
            return false;
        }
        self.reach(KillPoint::WriteRest, ledger);
        self.part = None;
        self.reports.push(report);
        on_written();
        self.owe(|owed| owed.writing = None);
        self.reach(KillPoint::Written, ledger);
        ledger.set_progress(Kind::Stats, Progress::Written);
        true
    }

    /// Whether the log has the whole report of the journal; a part of it is cut off. Checks that the
    /// report is the same as the journal says.
    pub fn has(&mut self, journal: &Journal, ledger: &Ledger) -> bool {
        assert_eq!(journal.file, file());
        let whole = self.reports.get(journal.offset as usize);
        if journal.progress == Progress::Written {
            let found = whole.map(|report| (report.stamp, report.rows.len() as u32));
            assert_eq!(found, Some((journal.stamp, journal.length)), "a report that was journalled as written");
            return true;
        }
        let pending = ledger.pending_rows().into_iter().map(|(service, row)| (service.to_string(), row));
        let expected = Report { stamp: journal.stamp, form: Form::of(ledger), rows: pending.collect() };
        if let (Progress::Writing, Some(whole)) = (journal.progress, whole) {
            assert_eq!(*whole, expected, "a report in the log differs from the journal");
            return true;
        }
        if let (Some(part), Progress::Writing) = (self.part.take(), journal.progress) {
            assert_eq!((part.stamp, part.form), (expected.stamp, expected.form), "a part of a report");
            assert_eq!(part.rows, expected.rows[..part.rows.len()], "a part of a report");
        }
        false
    }

    /// The sum of this service's rows.
    pub fn total(&self, service: &str) -> Columns {
        let mut sum = Columns::default();
        let rows = self.reports.iter().flat_map(|report| &report.rows);
        rows.filter(|(of, _)| of == service).for_each(|(_, row)| crate::page::add(&mut sum, *row));
        sum
    }
}

/// The ledger's unreported rows.
pub fn rows(ledger: &Ledger) -> Rows {
    ledger.rows().into_iter().map(|(service, columns)| (service.to_string(), columns)).collect()
}

fn file() -> Path {
    Text::format(format_args!("tcp_stats_20251009.log"))
}
