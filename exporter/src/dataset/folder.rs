//! The files of a folder, and what their names say.

use std::fs;
use std::path::{Path, PathBuf};

use super::DatasetError;

/// A folder and the regular files directly in it.
pub(super) struct Folder {
    pub(super) path: PathBuf,
    /// Sorted by name, so that results do not depend on the file system. Hidden files are left
    /// out.
    pub(super) files: Vec<PathBuf>,
}

impl Folder {
    /// Lists the folder at `path`.
    pub(super) fn open(path: &Path) -> Result<Self, DatasetError> {
        let unreadable = |path: &Path| {
            let path = path.to_owned();
            |reason| DatasetError::Read { path, reason }
        };
        let path = path.to_owned();
        if !fs::metadata(&path).map_err(unreadable(&path))?.is_dir() {
            return Err(DatasetError::NotAFolder { path });
        }
        let mut files = Vec::new();
        for entry in fs::read_dir(&path).map_err(unreadable(&path))? {
            let file = entry.map_err(unreadable(&path))?.path();
            // Before anything is asked of it: editors leave hidden links that lead nowhere.
            if name(&file).starts_with('.') {
                continue;
            }
            // Opening a pipe or a device could wait forever.
            if fs::metadata(&file).map_err(unreadable(&file))?.is_file() {
                files.push(file);
            }
        }
        files.sort();
        Ok(Self { path, files })
    }

    /// Why there is no data set in the folder, in which nothing is of a known format.
    pub(super) fn unknown(self) -> DatasetError {
        let path = self.path;
        match self.files.first() {
            Some(first) => DatasetError::UnknownFormat {
                first: name(first),
                path,
            },
            None => DatasetError::EmptyFolder { path },
        }
    }

    /// The folder's own name, without the folders that it is in.
    pub(super) fn name(&self) -> String {
        // A path such as `..` has a name only once it is resolved.
        self.path
            .canonicalize()
            .as_deref()
            .map_or_else(|_| name(&self.path), name)
    }
}

/// The last component of a path.
pub(super) fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Train,
    Test,
}

impl Role {
    /// The role of the file at `path`. No format says it in the content; the usual names say
    /// `train`, `test` or, in MNIST, `t10k`, and CIFAR-10's training files say none of these.
    pub(super) fn of(path: &Path) -> Self {
        let name = name(path).to_lowercase();
        // `train` first: it decides for names such as `latest-train`.
        if !name.contains("train") && (name.contains("test") || name.contains("t10k")) {
            Role::Test
        } else {
            Role::Train
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_role() {
        for (name, role) in [
            ("train-images-idx3-ubyte.gz", Role::Train),
            ("t10k-images-idx3-ubyte", Role::Test),
            ("emnist-digits-test-images-idx3-ubyte.gz", Role::Test),
            ("latest-train.idx3-ubyte", Role::Train),
            ("data_batch_1.bin", Role::Train),
            ("test_batch.bin", Role::Test),
        ] {
            assert_eq!(Role::of(&Path::new("test").join(name)), role, "{name}");
        }
    }
}
