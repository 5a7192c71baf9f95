//! The program's messages on standard error.

use std::collections::BTreeMap;

/// How often each message came; digits are replaced by `#`.
pub fn count(complaints: &str) -> BTreeMap<String, usize> {
    let mut messages = BTreeMap::new();
    for line in complaints.lines() {
        *messages.entry(normal(line)).or_insert(0) += 1;
    }
    messages
}

fn normal(line: &str) -> String {
    let mut text = String::new();
    for c in line.chars() {
        match c {
            '0'..='9' if text.ends_with('#') => {}
            '0'..='9' => text.push('#'),
            c => text.push(c),
        }
    }
    text.replace("# ticks", "# tick")
}

/// The line with which a runtime reports a crash.
pub fn crash(complaints: &str) -> Option<&str> {
    const WORDS: [&str; 5] = ["panicked", "fatal runtime", "memory allocation", "stack overflow", "Segmentation"];
    complaints.lines().find(|line| WORDS.iter().any(|word| line.contains(word)))
}

/// A message's meaning, in the words of the table; `None` if it also comes without a fault.
pub fn meaning(message: &str) -> Option<String> {
    const MEANINGS: [(&str, &str); 27] = [
        ("tcpmon: resolver: /etc/", ""),
        (" re-read, ", ""),
        ("it is written again with all its counts", ""),
        ("this report holds all that was kept", "report kept for the next"),
        ("can be written again, nothing is lost", "times or events kept for later"),
        ("its lines are kept and written", "times or events kept for later"),
        ("can be written again, its lines go on from here", "samples lost"),
        ("its lines are lost until it can be", "samples lost"),
        // There is no system log in the namespace.
        ("syslog: takes no events", ""),
        ("samples: less than a tenth", ""),
        ("samples: there is space again", ""),
        ("counts are kept", "report kept for the next"),
        ("cannot be made a link", "link left as it is"),
        ("tcpmon.conf: cannot be read (", ""),
        ("the configuration in force stays", "reload refused"),
        ("poll: ", "waits and polls again"),
        ("signals: ", "signals wait"),
        ("the limit is not known", "limit unknown"),
        ("it is tried again at the next lookup", ""),
        ("no free local port", "skipped (ports)"),
        ("the monitor was stopped or late", ""),
        ("it is tried again", "ledger made again later"),
        ("cannot be locked by name", "locked by file alone"),
        ("this run goes on without it", "no ledger"),
        ("this run's counts are not kept in it", "ledger left to others"),
        ("the last run (pid", ""),
        ("the run ends without its last report", "last report lost"),
    ];
    if let Some((_, meaning)) = MEANINGS.iter().find(|(words, _)| message.contains(words)) {
        return (!meaning.is_empty()).then(|| (*meaning).to_owned());
    }
    let (_, reason) = message.split_once("skipped (").unzip();
    match reason.and_then(|reason| reason.split_once(')')) {
        Some((reason, _)) => Some(format!("skipped ({reason})")),
        None => Some(format!("said: {message}")),
    }
}
