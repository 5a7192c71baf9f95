//! Paths of our files, built without the heap.

use crate::base::limits;
use crate::base::text::Text;

/// A path.
pub type Path = Text<{ limits::PATH }>;

/// The path of the file `name` in this directory.
pub fn within(directory: &str, name: &str) -> Path {
    let mut path = Path::new();
    if !matches!(directory, "." | "") {
        path.push(directory);
        if !directory.ends_with('/') {
            path.push("/");
        }
    }
    path.push(name);
    path
}

/// What is wrong with a path for which [`is_for_shells`] holds, and what is right.
pub const FOR_SHELLS: &str = "begins with a quote, ~ or $, which only a shell knows; write the path itself";

/// Whether a path begins with a character that a shell would have replaced.
pub fn is_for_shells(path: &str) -> bool {
    matches!(path.as_bytes(), [b'"' | b'\'' | b'~' | b'$', ..])
}

/// The directory part of a path: `.` if it has none. The file system is not asked.
pub fn parent(path: &str) -> &str {
    match last_slash(path) {
        Some(0) => "/",
        Some(at) => &path[..at],
        None => ".",
    }
}

/// The directory above one that [`trim`] returned; `None` if the path names none.
pub fn above(directory: &str) -> Option<&str> {
    let above = trim(parent(directory));
    (above != directory).then_some(above)
}

/// The last name of a path.
pub fn name(path: &str) -> &str {
    &path[last_slash(path).map_or(0, |at| at + 1)..]
}

/// The path without slashes at its end; `/` stays.
pub fn trim(mut path: &str) -> &str {
    while let Some(shorter) = path.strip_suffix('/').filter(|shorter| !shorter.is_empty()) {
        path = shorter;
    }
    path
}

/// The end of the name that begins at `begin`.
pub fn name_end(path: &str, begin: usize) -> usize {
    (begin..path.len()).find(|at| path.as_bytes()[*at] == b'/').unwrap_or(path.len())
}

fn last_slash(path: &str) -> Option<usize> {
    path.bytes().rposition(|byte| byte == b'/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_lies_within_its_directory() {
        for (directory, path) in [(".", "f"), ("/", "/f"), ("/a", "/a/f"), ("a/", "a/f"), ("a/b", "a/b/f")] {
            assert_eq!(within(directory, "f").as_str(), path);
        }
        for (path, directory) in [("f", "."), ("/f", "/"), ("/a/f", "/a"), ("a/b/f", "a/b")] {
            assert_eq!(parent(path), directory);
        }
    }
}
