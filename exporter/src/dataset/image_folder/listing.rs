//! The classes and files of a folder of images, before any file is opened.

use std::fs::{self, Metadata};
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::super::folder::{self, Role};
use super::super::{DatasetError, SkipReason, Skipped};

/// A label is one byte.
const MAX_CLASSES: usize = 256;

/// What a folder of images consists of: one sub-folder per class, perhaps in `train` and `test`.
#[derive(Debug)]
pub(super) struct Listing {
    /// Names of the classes, sorted.
    pub(super) classes: Vec<String>,
    /// The files of all classes: training files first, then class by class, then by path, so that
    /// the order depends on names only.
    pub(super) files: Vec<ImageFile>,
    /// What is no part of the data set.
    pub(super) skipped: Vec<Skipped>,
}

/// A file that may be an image.
#[derive(Debug)]
pub(super) struct ImageFile {
    /// Path inside the data set's folder.
    pub(super) path: PathBuf,
    pub(super) role: Role,
    /// Index of the class.
    pub(super) class: u8,
    pub(super) bytes: u64,
    /// When it was written, in nanoseconds since 1970.
    pub(super) modified: u128,
}

impl Listing {
    /// Lists the folder at `root`; `None` if it has no sub-folders.
    pub(super) fn find(root: &Path) -> Result<Option<Self>, DatasetError> {
        let parts = folders(root)?;
        if parts.is_empty() {
            return Ok(None);
        }
        let mut listing = Self {
            classes: Vec::new(),
            files: Vec::new(),
            skipped: Vec::new(),
        };
        let mut walk = Walk {
            root,
            listing: &mut listing,
        };
        // With folders in it, `train` is no class.
        if parts.iter().any(|part| part == Path::new("train"))
            && !folders(&root.join("train"))?.is_empty()
        {
            walk.part(Role::Train, Path::new("train"))?;
            for part in parts {
                match part.to_str() {
                    Some("train") => {}
                    Some("test") => walk.part(Role::Test, &part)?,
                    _ => walk.skip(part, SkipReason::OtherPart),
                }
            }
        } else {
            walk.part(Role::Train, Path::new(""))?;
        }
        Ok(Some(listing))
    }

    /// Leaves files out, of which the indices ascend.
    pub(super) fn leave_out(&mut self, files: Vec<(usize, SkipReason)>) {
        let mut left_out = files.into_iter().peekable();
        for (index, file) in mem::take(&mut self.files).into_iter().enumerate() {
            match left_out.next_if(|(left_out, _)| *left_out == index) {
                None => self.files.push(file),
                Some((_, reason)) => self.skipped.push(Skipped {
                    path: file.path,
                    reason,
                }),
            }
        }
        self.skipped.sort();
    }
}

/// Lists one folder after the other.
struct Walk<'a> {
    root: &'a Path,
    listing: &'a mut Listing,
}

impl Walk<'_> {
    /// Lists the class folders in `part`. The training part says which classes there are.
    fn part(&mut self, role: Role, part: &Path) -> Result<(), DatasetError> {
        for folder in folders(&self.root.join(part))? {
            let path = part.join(&folder);
            let name = class_name(&folder).ok_or_else(|| DatasetError::ClassFolder {
                path: self.root.join(&path),
            })?;
            let classes = &mut self.listing.classes;
            let class = match (role, classes.iter().position(|class| class == name)) {
                (_, Some(class)) => class,
                (Role::Train, None) => {
                    classes.push(name.to_owned());
                    classes.len() - 1
                }
                (Role::Test, None) => {
                    return Err(DatasetError::UnknownClass {
                        path: self.root.join(&path),
                    });
                }
            };
            let class = u8::try_from(class).map_err(|_| DatasetError::TooManyClasses {
                path: self.root.to_owned(),
                limit: MAX_CLASSES,
            })?;
            // A class may be a link to its images, but not to a folder that it is in.
            if is_link(&self.root.join(&path)) && self.is_around(&path) {
                self.skip(path, SkipReason::FolderLink);
            } else {
                self.folder(role, class, &path);
            }
        }
        Ok(())
    }

    /// Lists the files in `folder` and in the folders in it.
    fn folder(&mut self, role: Role, class: u8, folder: &Path) {
        let names = match names(&self.root.join(folder)) {
            Ok(names) => names,
            Err(reason) => return self.skip_unreadable(folder.to_owned(), &reason),
        };
        for name in names {
            let path = folder.join(name);
            let full = self.root.join(&path);
            match fs::metadata(&full) {
                // It could lead in a circle, or to the images of another class.
                Ok(metadata) if metadata.is_dir() && is_link(&full) => {
                    self.skip(path, SkipReason::FolderLink);
                }
                Ok(metadata) if metadata.is_dir() => self.folder(role, class, &path),
                Ok(metadata) if metadata.is_file() => self.listing.files.push(ImageFile {
                    path,
                    role,
                    class,
                    bytes: metadata.len(),
                    modified: modified(&metadata),
                }),
                // Opening a pipe or a device could wait forever.
                Ok(_) => self.skip(path, SkipReason::Special),
                Err(reason) => self.skip_unreadable(path, &reason),
            }
        }
    }

    /// Whether the data set is in the folder at `path`.
    fn is_around(&self, path: &Path) -> bool {
        let real = (
            self.root.canonicalize(),
            self.root.join(path).canonicalize(),
        );
        matches!(real, (Ok(root), Ok(folder)) if root.starts_with(&folder))
    }

    fn skip(&mut self, path: PathBuf, reason: SkipReason) {
        self.listing.skipped.push(Skipped { path, reason });
    }

    fn skip_unreadable(&mut self, path: PathBuf, reason: &io::Error) {
        self.skip(path, SkipReason::Unreadable(reason.to_string()));
    }
}

/// The name of a class, if it is one that can be printed on one line.
fn class_name(folder: &Path) -> Option<&str> {
    let name = folder.to_str()?;
    (!name.contains(char::is_control)).then_some(name)
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
}

fn modified(metadata: &Metadata) -> u128 {
    let since = metadata.modified().ok();
    let since = since.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |time| time.as_nanos())
}

/// The names of the folders directly in `path`, without hidden ones, sorted.
fn folders(path: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let mut names = names(path).map_err(|reason| DatasetError::Read {
        path: path.to_owned(),
        reason,
    })?;
    names.retain(|name| path.join(name).is_dir());
    Ok(names)
}

/// The names of what is directly in `path`, without what is hidden, sorted.
fn names(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        let name = PathBuf::from(entry?.file_name());
        if !folder::name(&name).starts_with('.') {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
