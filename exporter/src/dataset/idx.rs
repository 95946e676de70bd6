//! IDX files as MNIST has them: images in one file, labels in another, each plain or gzip.
//!
//! All numbers are big-endian. A file starts with a magic number: two zero bytes, the element type
//! (8: unsigned byte) and the number of dimensions. The dimensions follow, `u32` each, then the
//! elements, the last dimension innermost. Read here are labels (one dimension), gray images
//! (count, rows, columns) and images with channels (count, rows, columns, channels).

use std::path::{Path, PathBuf};

use runtime_nostd::geometry::Shape;

use super::folder::{self, Folder, Role};
use super::source::Source;
use super::{Dataset, DatasetError, Images, check_classes, check_labels, digits};

/// What an IDX file holds, by its magic number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Labels,
    Gray,
    Channels,
}

impl Content {
    fn of(magic: [u8; 4]) -> Option<Self> {
        match magic {
            [0, 0, 8, 1] => Some(Content::Labels),
            [0, 0, 8, 3] => Some(Content::Gray),
            [0, 0, 8, 4] => Some(Content::Channels),
            _ => None,
        }
    }

    /// Reads what the file at `path` holds; `None` if neither its content nor its name is IDX.
    ///
    /// # Errors
    /// The name promises IDX and the content is something else.
    fn of_file(path: &Path) -> Result<Option<Self>, DatasetError> {
        let magic = Source::open(path).and_then(|mut source| read_magic(&mut source));
        let content = magic.and_then(|magic| {
            Content::of(magic).ok_or_else(|| DatasetError::Magic {
                path: path.to_owned(),
                found: magic,
            })
        });
        match content {
            Ok(content) => Ok(Some(content)),
            Err(error @ DatasetError::Read { .. }) => Err(error),
            Err(error) if folder::name(path).to_lowercase().contains("idx") => Err(error),
            Err(_) => Ok(None),
        }
    }
}

fn read_magic(source: &mut Source) -> Result<[u8; 4], DatasetError> {
    source.array("magic number")
}

/// The IDX files of a folder: what a data set of this format consists of.
#[derive(Debug, Default)]
pub(super) struct Files {
    train_images: Option<PathBuf>,
    train_labels: Option<PathBuf>,
    test_images: Option<PathBuf>,
    test_labels: Option<PathBuf>,
}

impl Files {
    /// Looks for IDX files; `None` if there is none.
    pub(super) fn find(folder: &Folder) -> Result<Option<Self>, DatasetError> {
        let mut found = None;
        for path in &folder.files {
            // Beside its unpacked copy, a gzip file says nothing new.
            let is_copy = path.extension().is_some_and(|extension| extension == "gz")
                && folder.files.contains(&path.with_extension(""));
            if is_copy {
                continue;
            }
            if let Some(content) = Content::of_file(path)? {
                found
                    .get_or_insert_with(Files::default)
                    .insert(path, content)?;
            }
        }
        Ok(found)
    }

    fn insert(&mut self, path: &Path, content: Content) -> Result<(), DatasetError> {
        let (slot, what) = match (Role::of(path), content) {
            (Role::Train, Content::Labels) => (&mut self.train_labels, "training labels"),
            (Role::Train, _) => (&mut self.train_images, "training images"),
            (Role::Test, Content::Labels) => (&mut self.test_labels, "test labels"),
            (Role::Test, _) => (&mut self.test_images, "test images"),
        };
        match slot.replace(path.to_owned()) {
            None => Ok(()),
            Some(first) => Err(DatasetError::Ambiguous {
                first,
                second: path.to_owned(),
                what,
            }),
        }
    }

    /// Reads the four files.
    pub(super) fn load(self, folder: &Folder) -> Result<Dataset, DatasetError> {
        let require = |file: Option<PathBuf>, what, expected| {
            file.ok_or_else(|| DatasetError::MissingFile {
                path: folder.path.clone(),
                what,
                expected,
            })
        };
        let train_images = require(
            self.train_images,
            "training images",
            "train-images-idx3-ubyte[.gz]",
        )?;
        let train_labels = require(
            self.train_labels,
            "training labels",
            "train-labels-idx1-ubyte[.gz]",
        )?;
        let test_images = require(
            self.test_images,
            "test images",
            "t10k-images-idx3-ubyte[.gz]",
        )?;
        let test_labels = require(
            self.test_labels,
            "test labels",
            "t10k-labels-idx1-ubyte[.gz]",
        )?;

        let train = read_images(Source::open(&train_images)?, Source::open(&train_labels)?)?;
        let test = read_images(Source::open(&test_images)?, Source::open(&test_labels)?)?;
        if test.shape() != train.shape() {
            return Err(DatasetError::ShapeMismatch {
                path: folder.path.clone(),
                test: test.shape(),
                train: train.shape(),
            });
        }
        let classes = digits(train.labels());
        check_classes(train.labels(), classes.len(), &train_labels)?;
        check_labels(test.labels(), classes.len(), &test_labels)?;
        Ok(Dataset {
            name: folder.name(),
            train,
            test,
            classes,
        })
    }
}

/// Reads a file of images and the file of their labels.
pub(super) fn read_images(mut images: Source, mut labels: Source) -> Result<Images, DatasetError> {
    let (image_count, shape) = read_image_header(&mut images)?;
    let label_count = read_label_header(&mut labels)?;
    // Before any image is read, so that a wrong header costs nothing.
    if image_count != label_count {
        return Err(DatasetError::CountMismatch {
            images: images.path().to_owned(),
            labels: labels.path().to_owned(),
            image_count,
            label_count,
        });
    }
    let labels = labels.rest("labels", u64::from(label_count))?;
    // At most 2^32 images of 2^24 elements: no overflow.
    let pixels = images.rest("pixels", u64::from(image_count) * shape.elements() as u64)?;
    Ok(Images::new(shape, pixels, labels))
}

/// The number of labels.
fn read_label_header(source: &mut Source) -> Result<u32, DatasetError> {
    let magic = read_magic(source)?;
    match Content::of(magic) {
        Some(Content::Labels) => read_count(source),
        _ => Err(wrong_magic(source, magic)),
    }
}

/// The number of images, and the shape of each.
fn read_image_header(source: &mut Source) -> Result<(u32, Shape), DatasetError> {
    let magic = read_magic(source)?;
    let Some(content @ (Content::Gray | Content::Channels)) = Content::of(magic) else {
        return Err(wrong_magic(source, magic));
    };
    let count = read_count(source)?;
    let height = read_dimension(source, "number of rows")?;
    let width = read_dimension(source, "number of columns")?;
    let channels = match content {
        Content::Channels => read_dimension(source, "number of channels")?,
        Content::Labels | Content::Gray => 1,
    };
    let shape = Shape::new(height, width, channels);
    let shape = shape.check().map_err(|reason| DatasetError::Shape {
        path: source.path().to_owned(),
        shape,
        reason,
    })?;
    Ok((count, shape))
}

fn wrong_magic(source: &Source, found: [u8; 4]) -> DatasetError {
    DatasetError::Magic {
        path: source.path().to_owned(),
        found,
    }
}

fn read_count(source: &mut Source) -> Result<u32, DatasetError> {
    match u32::from_be_bytes(source.array("count")?) {
        0 => Err(DatasetError::NoImages {
            path: source.path().to_owned(),
        }),
        count => Ok(count),
    }
}

fn read_dimension(source: &mut Source, field: &'static str) -> Result<u16, DatasetError> {
    let value = u32::from_be_bytes(source.array(field)?);
    match u16::try_from(value) {
        Ok(dimension @ 1..) => Ok(dimension),
        _ => Err(DatasetError::Dimension {
            path: source.path().to_owned(),
            field,
            value,
        }),
    }
}

#[cfg(test)]
mod tests;
