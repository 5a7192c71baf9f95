//! The table of call, errno and behaviour.

use crate::cases::Case;
use crate::verdict::Verdict;

/// Width of the column of errnos.
const ERRNOS: usize = 60;

/// Prints a row for each behaviour of a call, with its errnos.
pub fn print(cases: &[Case], verdicts: &[Verdict]) {
    println!("{:<16} {:<10} {:<ERRNOS$} behaviour", "call", "where", "errno");
    let mut rows: Vec<(&Case, Vec<&str>, &Verdict)> = Vec::new();
    for (case, verdict) in cases.iter().zip(verdicts) {
        let same = |row: &&mut (&Case, Vec<&str>, &Verdict)| {
            row.0.heading() == case.heading()
                && row.0.moment() == case.moment()
                && row.2.behaviour == verdict.behaviour
                && row.2.failures.is_empty() == verdict.failures.is_empty()
        };
        match rows.iter_mut().find(same) {
            Some(row) => row.1.push(case.errno),
            None => rows.push((case, vec![case.errno], verdict)),
        }
    }
    for (case, errnos, verdict) in rows {
        let mark = if verdict.failures.is_empty() { "" } else { "WRONG: " };
        let moment = case.moment().to_string();
        let mut lines = lines(&errnos).into_iter();
        let first = lines.next().unwrap_or_default();
        println!("{:<16} {moment:<10} {first:<ERRNOS$} {mark}{}", case.heading(), verdict.behaviour);
        lines.for_each(|line| println!("{:<27} {line}", ""));
    }
}

/// The errnos, in lines of at most that width.
fn lines(errnos: &[&str]) -> Vec<String> {
    let mut lines = vec![String::new()];
    for errno in errnos {
        let line = lines.last_mut().expect("lines is never empty");
        if line.is_empty() {
            line.push_str(errno);
        } else if line.len() + 1 + errno.len() > ERRNOS {
            lines.push((*errno).to_owned());
        } else {
            line.push(' ');
            line.push_str(errno);
        }
    }
    lines
}
