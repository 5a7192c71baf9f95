//! The layout of a ledger as it describes itself: another one for the same fields, and changed words.

use super::{Bytes, CAPACITY};

/// Word positions in the preface, see `core/ledger/layout.rs`.
pub const SIZE: usize = 2;
const CHECKSUM: usize = 3;
const HEAD_FIELDS: usize = 4;
const RECORD_FIELDS: usize = 5;
const HEAD: usize = 6;
const RECORD: usize = 7;
const FIELDS: usize = 8;
const ENTRY: usize = 4;

/// A field in the ledger's description of its own layout.
#[derive(Clone, Copy)]
pub struct Field {
    name: [u32; 2],
    at: usize,
    words: usize,
}

impl Field {
    pub fn is(&self, name: &str) -> bool {
        let [low, high] = self.name.map(u32::to_le_bytes);
        let mut padded = [0; 8];
        padded[..name.len()].copy_from_slice(name.as_bytes());
        padded == [low, high].concat()[..]
    }
}

/// The fields of the head and of a record, if the words are long enough for what they say.
pub fn fields(words: &[u32]) -> Option<(Vec<Field>, Vec<Field>)> {
    let entries = words.get(FIELDS..head_at(words)?)?.chunks_exact(ENTRY);
    let field = |entry: &[u32]| Field { name: [entry[0], entry[1]], at: entry[2] as usize, words: entry[3] as usize };
    let mut all: Vec<Field> = entries.map(field).collect();
    let records = all.split_off(words[HEAD_FIELDS] as usize);
    Some((all, records))
}

/// Where the head begins.
fn head_at(words: &[u32]) -> Option<usize> {
    let fields = words.get(HEAD_FIELDS)?.checked_add(*words.get(RECORD_FIELDS)?)?;
    Some(FIELDS + ENTRY * fields as usize).filter(|at| *at <= words.len())
}

/// The words with the same head, and in each record `own` new words before these fields.
pub fn laid_anew(ours: &[u32], heads: &[Field], kept: &[Field], own: usize) -> Vec<u32> {
    let head_at = head_at(ours).expect("it describes itself");
    let (head, record) = (ours[HEAD] as usize, ours[RECORD] as usize);
    let mut words = ours[..FIELDS].to_vec();
    words[RECORD_FIELDS] = kept.len() as u32 + 1;
    for field in heads {
        words.extend([field.name[0], field.name[1], field.at as u32, field.words as u32]);
    }
    words.extend([1, 2, 0, own as u32]);
    let mut at = own;
    for field in kept {
        words.extend([field.name[0], field.name[1], at as u32, field.words as u32]);
        at += field.words;
    }
    // A record of no words would be refused.
    words[RECORD] = at.max(1) as u32;
    words.extend(&ours[head_at..head_at + head]);
    for number in 0..CAPACITY {
        let from = head_at + head + number * record;
        let start = words.len();
        words.extend((0..own).map(|_| 9));
        for field in kept {
            words.extend(&ours[from + field.at..from + field.at + field.words]);
        }
        words.resize(start + at.max(1), 0);
    }
    words[SIZE] = words.len() as u32;
    seal(&mut words);
    // The ring of events.
    words.extend(&ours[ours[SIZE] as usize..]);
    words
}

/// Corrects the checksum of a changed description.
fn seal(words: &mut [u32]) {
    let sealed = (0..head_at(words).unwrap_or_default()).filter(|at| *at != SIZE && *at != CHECKSUM);
    words[CHECKSUM] = checksum(sealed.map(|at| words[at]));
}

/// FNV-1a, 32 bits.
fn checksum(words: impl Iterator<Item = u32>) -> u32 {
    words.flat_map(u32::to_le_bytes).fold(0x811c_9dc5, |sum, byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// One change to the words of a ledger.
pub fn change(words: &mut Vec<u32>, bytes: &mut Bytes<'_>) {
    let kind = bytes.byte() % 8;
    // An earlier change may have hit the description: then its fields are not where it says.
    let (Some(head_at), Some((heads, records))) = (head_at(words), fields(words)) else { return };
    let records_at = head_at.saturating_add(words[HEAD] as usize);
    let record = (words[RECORD] as usize).min(words.len());
    match kind {
        // Any word.
        0 => {
            let at = usize::from(u16::from_le_bytes(bytes.array())) % words.len();
            words[at] = u32::from_le_bytes(bytes.array());
        }
        // A word of the preface and table, with the right checksum.
        1 => {
            let at = usize::from(bytes.byte()) % head_at;
            if [HEAD_FIELDS, RECORD_FIELDS].contains(&at) {
                return;
            }
            words[at] = u32::from_le_bytes(bytes.array());
            seal(words);
        }
        // A word of the head, by its field.
        2 if !heads.is_empty() => {
            let field = heads[usize::from(bytes.byte()) % heads.len()];
            let at = head_at.saturating_add(field.at) + usize::from(bytes.byte()) % field.words.max(1);
            put(words, at, u32::from_le_bytes(bytes.array()));
        }
        // A word of a record, by its field; with the right seal, or not.
        3 | 4 if !records.is_empty() => {
            let from = records_at.saturating_add(usize::from(bytes.byte()) % CAPACITY * record);
            let field = records[usize::from(bytes.byte()) % records.len()];
            let at = from.saturating_add(field.at).saturating_add(usize::from(bytes.byte()) % field.words.max(1));
            put(words, at, u32::from_le_bytes(bytes.array()));
            if kind == 4 {
                seal_record(words, from, &records);
            }
        }
        // A text of a record, with the right seal.
        5 if !records.is_empty() => {
            let from = records_at.saturating_add(usize::from(bytes.byte()) % CAPACITY * record);
            let text = records.iter().filter(|field| ["service", "host", "zone"].iter().any(|name| field.is(name)));
            let text: Vec<Field> = text.copied().collect();
            let Some(field) = text.get(usize::from(bytes.byte() % 3)) else { return };
            let length = usize::from(bytes.byte());
            let content = bytes.slice(length);
            let at = from.saturating_add(field.at);
            put(words, at, content.len() as u32);
            for (i, piece) in content.chunks(4).enumerate() {
                let mut word = [0; 4];
                word[..piece.len()].copy_from_slice(piece);
                put(words, at.saturating_add(1 + i), u32::from_le_bytes(word));
            }
            seal_record(words, from, &records);
        }
        // Another size, and fewer or more words.
        6 => words[SIZE] = words[SIZE].wrapping_sub(u32::from(bytes.byte() % 3).wrapping_mul(words[RECORD])),
        _ => {
            let length = usize::from(u16::from_le_bytes(bytes.array()));
            words.resize(length.min(2 * words.len()), 0x5a5a_5a5a);
        }
    }
}

fn put(words: &mut [u32], at: usize, value: u32) {
    if let Some(word) = words.get_mut(at) {
        *word = value;
    }
}

/// Corrects the seal of the record that begins here.
fn seal_record(words: &mut [u32], from: usize, records: &[Field]) {
    let at = |name: &str| records.iter().find(|field| field.is(name)).map(|field| from.saturating_add(field.at));
    let (Some(port), Some(seal)) = (at("port"), at("seal")) else { return };
    if port <= seal && seal < words.len() {
        words[seal] = checksum(words[port..seal].iter().copied());
    }
}
