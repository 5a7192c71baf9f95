//! What must hold after a life: nothing foreign has changed, was signalled or was shown.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::area::{self, Area, Look, Looks, NOTES, SECRET, STAGE, is_ours};
use crate::decoy::Decoy;
use crate::life::Lived;
use crate::plan::Case;
use crate::swapper::Variant;

/// The victims before a life.
pub struct Before {
    victims: Looks,
    notes: BTreeMap<PathBuf, (Look, Option<(u64, u64)>)>,
}

impl Before {
    pub fn of(area: &Area) -> Result<Self> {
        let mut notes = BTreeMap::new();
        for directory in ["", "log", "led"] {
            let path = area.here().join(directory).join(NOTES);
            if path.exists() {
                notes.insert(path.clone(), (Look::at(&path)?, area::identity(&path)?));
            }
        }
        Ok(Self { victims: Looks::below(&area.victims())?, notes })
    }
}

/// What was found wrong, each in a line.
pub fn check(
    area: &Area,
    case: Option<&Case>,
    before: &Before,
    lived: &Lived,
    decoys: &[Decoy],
) -> Result<Vec<String>> {
    let mut wrong = lived.wrong.clone();
    wrong.extend(decoys.iter().chain(&lived.taken).filter_map(Decoy::harm));
    victims(area, before, lived, &mut wrong)?;
    names(area, lived, &mut wrong)?;
    notes(before, lived, &mut wrong)?;
    planted(case, lived, &mut wrong)?;
    shown(area, before, lived, &mut wrong)?;
    Ok(wrong)
}

/// The victims: all as before, but that a log's directory which was exchanged before the sandbox was entered is where
/// the log is.
fn victims(area: &Area, before: &Before, lived: &Lived, wrong: &mut Vec<String>) -> Result {
    let after = Looks::below(&area.victims())?;
    let short = |path: &Path| path.strip_prefix(area.victims()).unwrap_or(path).display().to_string();
    for (path, look) in &before.victims.0 {
        match after.0.get(path) {
            None => wrong.push(format!("the foreign file {} is gone", short(path))),
            Some(found) => {
                let changes = look.changes(found);
                wrong.extend(changes.iter().map(|change| format!("the foreign file {}: {change}", short(path))));
            }
        }
    }
    let variant = lived.swap.as_ref().map(|swap| swap.variant);
    let may_be_log = variant == Some(Variant::SymlinkToDirectory) && !lived.confined;
    for path in after.0.keys().filter(|path| !before.victims.0.contains_key(*path)) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !(may_be_log && is_ours(&name)) {
            wrong.push(format!("a foreign directory has the new file {}", short(path)));
        }
    }
    // Hard links to the victims beside the one that was planted.
    for name in ["text", "empty", "other.ledger"] {
        let links = fs::symlink_metadata(area.victims().join(name)).map_or(1, |status| status.nlink());
        let planted = match variant {
            Some(Variant::OtherDirectory) => u64::MAX,
            Some(Variant::HardLink | Variant::HardLinkToEmpty | Variant::HardLinkToLedger | Variant::Directory) => 2,
            _ => 1,
        };
        if links > planted {
            wrong.push(format!("the foreign file {name} has got another name"));
        }
    }
    Ok(())
}

/// The names in the program's directories: only its own are new, and only its own are gone.
fn names(area: &Area, lived: &Lived, wrong: &mut Vec<String>) -> Result {
    let here = area.here();
    let swapped = lived.swap.as_ref().map(|swap| swap.path.clone());
    for directory in [here.clone(), here.join("log"), here.join("led")] {
        if swapped.as_ref() == Some(&directory) || !fs::symlink_metadata(&directory).is_ok_and(|status| status.is_dir())
        {
            continue;
        }
        for entry in fs::read_dir(&directory)? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let known = if directory == here {
                ["log", "led", "tcpmon.conf", NOTES, STAGE].contains(&name.as_str())
            } else {
                is_ours(&name) || [NOTES, STAGE].contains(&name.as_str())
            };
            if !known {
                let path = directory.strip_prefix(&here).unwrap_or(&directory).join(name);
                wrong.push(format!("a new file {}", path.display()));
            }
        }
    }
    Ok(())
}

/// The files beside those of the program, unless they were exchanged.
fn notes(before: &Before, lived: &Lived, wrong: &mut Vec<String>) -> Result {
    let exchanged = lived.swap.as_ref().is_some_and(|swap| swap.variant == Variant::Exchange);
    for (path, (look, identity)) in &before.notes {
        if area::identity(path)? == *identity {
            wrong.extend(
                look.changes(&Look::at(path)?).iter().map(|change| format!("{NOTES} beside the log: {change}")),
            );
        } else if !exchanged && path.parent().is_some_and(Path::is_dir) && !is_under_swap(path, lived) {
            wrong.push(format!("{NOTES} beside the log is gone"));
        }
    }
    Ok(())
}

/// Whether a directory above was swapped.
fn is_under_swap(path: &Path, lived: &Lived) -> bool {
    lived.swap.as_ref().is_some_and(|swap| path.starts_with(&swap.path))
}

/// What was put in the name's place. A regular file with a log's name may get rows: nothing tells that it is no log.
fn planted(case: Option<&Case>, lived: &Lived, wrong: &mut Vec<String>) -> Result {
    let Some(swap) = &lived.swap else { return Ok(()) };
    let Some((file, before)) = &swap.planted else { return Ok(()) };
    let after = Look::of(file)?;
    let name = swap.path.file_name().unwrap_or_default().to_string_lossy();
    let changes = if swap.variant == Variant::Exchange && name.starts_with("tcp_stats_") {
        before.changes_beside_appended(&after)
    } else {
        before.changes(&after)
    };
    wrong.extend(changes.iter().map(|change| format!("what was put there: {change}")));
    // Whoever can make a name can remove it, so a name of ours that such a call
    // replaces or removes is no harm: no call of the kernel does that by descriptor.
    if swap.variant == Variant::Exchange && name.ends_with(".ledger") {
        let by_name = ["rename", "link", "unlink"];
        let replaces = case.is_some_and(|case| by_name.iter().any(|call| case.label.starts_with(call)));
        let links = file.metadata()?.nlink();
        if links > 0 && area::identity(&swap.path)? != swap.identity {
            let place = other_name(&swap.path, swap.identity)?;
            wrong.push(format!("the file that is no ledger was moved to {place}"));
        } else if links == 0 && !replaces {
            wrong.push("the file that is no ledger was removed".to_owned());
        } else if links > 1 {
            wrong.push("the file that is no ledger has got another name".to_owned());
        }
    }
    Ok(())
}

fn other_name(path: &Path, wanted: Option<(u64, u64)>) -> Result<String> {
    let Some(directory) = path.parent() else { return Ok(String::new()) };
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if area::identity(&path)? == wanted {
            return Ok(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    Ok("another directory".to_owned())
}

/// The output and the logs.
fn shown(area: &Area, before: &Before, lived: &Lived, wrong: &mut Vec<String>) -> Result {
    for name in ["out", "err"] {
        let output = fs::read(area.output(name)).unwrap_or_default();
        wrong.extend(secret_in(&output).map(|line| format!("std{name} shows foreign bytes: {line}")));
    }
    let planted = lived.swap.as_ref().and_then(|swap| swap.identity);
    let mut foreign: Vec<_> = before.notes.values().filter_map(|(_, identity)| *identity).chain(planted).collect();
    for path in before.victims.0.keys() {
        foreign.extend(area::identity(path)?);
    }
    for directory in [area.here(), area.here().join("log"), area.victims().join("directory")] {
        let Ok(entries) = fs::read_dir(&directory) else { continue };
        for entry in entries {
            let entry = entry?;
            let path = entry.path();
            let is_log = entry.file_name().to_string_lossy().starts_with("tcp_stats_") && entry.file_type()?.is_file();
            if is_log && !area::identity(&path)?.is_some_and(|identity| foreign.contains(&identity)) {
                let content = fs::read(&path)?;
                wrong.extend(secret_in(&content).map(|line| format!("the daily log shows foreign bytes: {line}")));
            }
        }
    }
    Ok(())
}

/// The first line with a secret word.
pub fn secret_in(text: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(text);
    text.lines().find(|line| line.contains(SECRET)).map(str::to_owned)
}
