//! Paths of files of ours, built without the heap.

use crate::limits;
use crate::text::Text;

/// A path.
pub type Path = Text<{ limits::PATH }>;

/// The path of the file `name` in this directory.
pub fn within(directory: &str, name: &str) -> Path {
    match directory {
        "." | "" => Text::format(format_args!("{name}")),
        directory if directory.ends_with('/') => Text::format(format_args!("{directory}{name}")),
        directory => Text::format(format_args!("{directory}/{name}")),
    }
}

/// The directory that a path leads to, as far as it is written there.
pub fn parent(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some(("", _)) => "/",
        Some((directory, _)) => directory,
        None => ".",
    }
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
