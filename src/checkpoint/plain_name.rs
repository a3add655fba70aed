//! File names that another file gives.
//!
//! Indices and programs name the files that belong to them. Whoever made them may not choose among all files of the
//! machine, so only names without any directory in them are followed.

use std::path::{Component, Path};

/// Whether `name` is one plain file name: no separator, not `.` or `..`, not empty.
pub(super) fn is_plain(name: &str) -> bool {
    // With anything else in the name, a trailing separator for instance, its first component is shorter.
    !name.contains('\0') && matches!(Path::new(name).components().next(), Some(Component::Normal(part)) if part == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_without_a_directory_are_plain() {
        for name in ["model-00001-of-00005.safetensors", "word_embedding", "@LR_DECAY_COUNTER@", "..a", "词"] {
            assert!(is_plain(name), "{name:?}");
        }
        for name in ["", ".", "..", "a/b", "a/", "a/.", "./a", "/a", "/", "../a", "a/../b", "a\0b"] {
            assert!(!is_plain(name), "{name:?}");
        }
    }
}
