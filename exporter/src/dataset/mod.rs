//! Labelled images, and the loaders that read them from files.

mod cifar;
mod error;
#[cfg(test)]
mod fixture;
mod folder;
mod idx;
mod image_folder;
mod notice;
mod source;

use std::path::Path;

use runtime_nostd::geometry::Shape;

pub use self::error::DatasetError;
use self::folder::Folder;
pub use self::image_folder::options::{ImageOptions, ImageSize, NoImageSize};
pub use self::notice::{FEW_IMAGES, LoadObserver, Notice, SkipReason, Skipped, SkippedFiles};
use self::source::Source;

/// A data set as its official files divide it.
///
/// There are two or more classes; training and test images have one shape and labels below the
/// number of classes, and every class has a training image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// What people call it: the folder's name.
    pub name: String,
    /// The images of the training files.
    pub train: Images,
    /// The images of the test files; none where a folder of image files has no `test`.
    pub test: Images,
    /// Names of the classes, in label order.
    pub classes: Vec<String>,
}

impl Dataset {
    /// Reads the data set in `folder`, of whichever format the files prove to be.
    ///
    /// - **IDX**, as MNIST and its relatives are published: images and labels, each plain or gzip,
    ///   recognized by their magic number; 8-bit gray images or, with a fourth dimension, images with
    ///   channels, of any size and with any number of classes. The classes are named by their
    ///   labels.
    /// - **CIFAR-10's binary version**: `.bin` files of 3073-byte records, recognized by their length
    ///   or name. `batches.meta.txt` names the classes; without it their labels do.
    ///
    /// - **Image files**: a sub-folder of PNG, JPEG or BMP files for each class, of which it bears the
    ///   name; with or without the folders `train` and `test` above them. The content of a file
    ///   decides, not its name; folders in a class's folder belong to it, and hidden ones to nothing.
    ///   An image is turned upright as its Exif data says, reduced to 8 bits, put on white where it
    ///   is transparent, and scaled if [`ImageOptions::size`] says so. Of an animation, the image is
    ///   read that a viewer without animations shows. What cannot be used is left out, which
    ///   `observer` is told. The decoded images are kept in the folder, in the hidden file
    ///   `.ea4cnn-cache`, which is used as long as files and options are the same.
    ///
    /// In the first two formats, test files have `test` or `t10k` in their names; all others are
    /// training files. Both must be there: a set that lost its test files is refused, since no
    /// result on it could be compared.
    ///
    /// # Errors
    /// Anything that a file should not be. No more memory is reserved than the files prove to need.
    pub fn load_with(
        folder: &Path,
        options: &ImageOptions,
        observer: &dyn LoadObserver,
    ) -> Result<Self, DatasetError> {
        let folder = Folder::open(folder)?;
        match (idx::Files::find(&folder)?, cifar::Files::find(&folder)?) {
            (Some(files), None) => {
                options.require_none(&folder.path, "IDX")?;
                files.load(&folder)
            }
            (None, Some(files)) => {
                options.require_none(&folder.path, "CIFAR-10")?;
                files.load(&folder)
            }
            (Some(_), Some(_)) => Err(DatasetError::TwoFormats { path: folder.path }),
            (None, None) => {
                let images = image_folder::load(&folder, options, observer)?;
                images.ok_or_else(|| folder.unknown())
            }
        }
    }

    /// Reads the data set in `folder` as [`Dataset::load_with`] does, without options, and tells
    /// nobody.
    ///
    /// # Errors
    /// Anything that a file should not be.
    pub fn load(folder: &Path) -> Result<Self, DatasetError> {
        Self::load_with(folder, &ImageOptions::default(), &())
    }

    /// The data set in `folder`, read as by [`Dataset::load_with`], or the bundled one without.
    ///
    /// # Errors
    /// Anything that a file should not be, or `options` for the bundled set, which has no files.
    pub fn load_or_bundled(
        folder: Option<&Path>,
        options: &ImageOptions,
        observer: &dyn LoadObserver,
    ) -> Result<Self, DatasetError> {
        match folder {
            Some(folder) => Self::load_with(folder, options, observer),
            None => {
                options.require_none(Path::new("the bundled MNIST subset"), "IDX")?;
                Ok(Self::bundled())
            }
        }
    }

    /// The images for a network to be compared or checked with: those of the test files, or all where
    /// there are none.
    pub fn test_or_all(&self) -> &Images {
        if self.test.is_empty() {
            &self.train
        } else {
            &self.test
        }
    }

    /// The first 5,000 training and 1,000 test images of MNIST, which are part of the program.
    ///
    /// For trying things out: an accuracy on it is no result on MNIST. Origin and license are in
    /// `exporter/data/mnist-subset/README.md`.
    pub fn bundled() -> Self {
        read_bundled().expect("a test reads the same bytes")
    }
}

fn read_bundled() -> Result<Dataset, DatasetError> {
    let train = idx::read_images(
        Source::bundled(include_bytes!(
            "../../data/mnist-subset/train-images-idx3-ubyte.gz"
        ))?,
        Source::bundled(include_bytes!(
            "../../data/mnist-subset/train-labels-idx1-ubyte.gz"
        ))?,
    )?;
    let test = idx::read_images(
        Source::bundled(include_bytes!(
            "../../data/mnist-subset/t10k-images-idx3-ubyte.gz"
        ))?,
        Source::bundled(include_bytes!(
            "../../data/mnist-subset/t10k-labels-idx1-ubyte.gz"
        ))?,
    )?;
    Ok(Dataset {
        name: "mnist-subset".to_owned(),
        classes: digits(train.labels()),
        train,
        test,
    })
}

/// Names for classes that have none: the labels, from 0 to the highest.
fn digits(labels: &[u8]) -> Vec<String> {
    let highest = labels.iter().max();
    highest.map_or_else(Vec::new, |&highest| {
        (0..=highest).map(|label| label.to_string()).collect()
    })
}

/// Refuses training labels, read from `path`, that leave one of `classes` classes empty, or that
/// are all of one class.
fn check_classes(labels: &[u8], classes: usize, path: &Path) -> Result<(), DatasetError> {
    let mut has_image = vec![false; classes];
    for &label in labels {
        has_image[usize::from(label)] = true;
    }
    let path = path.to_owned();
    match has_image.iter().position(|&has_image| !has_image) {
        Some(class) => Err(DatasetError::EmptyClass {
            path,
            class,
            classes,
        }),
        None if classes < 2 => Err(DatasetError::OneClass { path }),
        None => Ok(()),
    }
}

/// Refuses labels, read from `path`, that are not below `classes`.
fn check_labels(labels: &[u8], classes: usize, path: &Path) -> Result<(), DatasetError> {
    match labels
        .iter()
        .position(|&label| usize::from(label) >= classes)
    {
        None => Ok(()),
        Some(index) => Err(DatasetError::Label {
            path: path.to_owned(),
            index,
            label: labels[index],
            classes,
        }),
    }
}

/// Labelled images of one shape, in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Images {
    shape: Shape,
    pixels: Vec<u8>,
    labels: Vec<u8>,
}

impl Images {
    /// Images of `shape`: `pixels` holds them one after the other, HWC; `labels` one byte each.
    ///
    /// # Panics
    /// If `pixels` is not `labels.len()` images long. Loaders check what they read before.
    pub fn new(shape: Shape, pixels: Vec<u8>, labels: Vec<u8>) -> Self {
        assert_eq!(pixels.len(), labels.len() * shape.elements());
        Self {
            shape,
            pixels,
            labels,
        }
    }

    /// Rows, columns and channels of every image.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels of image `index`, HWC.
    pub fn pixels(&self, index: usize) -> &[u8] {
        let size = self.shape.elements();
        &self.pixels[index * size..][..size]
    }

    /// The pixels of every image, HWC.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|index| self.pixels(index))
    }

    /// The classes of all images.
    pub fn labels(&self) -> &[u8] {
        &self.labels
    }

    /// The class of image `index`.
    pub fn label(&self, index: usize) -> usize {
        usize::from(self.labels[index])
    }

    /// The number of images of each of `classes` classes.
    ///
    /// # Panics
    /// If an image has a label that is not below `classes`. In a [`Dataset`] none has.
    pub fn per_class(&self, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        for &label in &self.labels {
            counts[usize::from(label)] += 1;
        }
        counts
    }

    /// Adds the images of `other` after these.
    ///
    /// # Panics
    /// If `other` has images of another shape. In a [`Dataset`] all are of one shape.
    pub fn append(&mut self, mut other: Self) {
        assert_eq!(self.shape, other.shape);
        // Exact, since a data set fills much of the memory and does not grow again.
        self.pixels.reserve_exact(other.pixels.len());
        self.pixels.append(&mut other.pixels);
        self.labels.append(&mut other.labels);
    }

    /// Divides the images into `PARTS` sets, image `i` into set `part_of[i]`, each in the order that
    /// the images had.
    ///
    /// The first set keeps the memory of `self`, so that no more than the images of the other sets
    /// are in memory twice. Make it the largest.
    ///
    /// # Panics
    /// If `part_of` is not one part per image, each below `PARTS`.
    pub fn divide<const PARTS: usize>(mut self, part_of: &[usize]) -> [Self; PARTS] {
        assert_eq!(part_of.len(), self.len());
        let size = self.shape.elements();
        let mut counts = [0; PARTS];
        for &part in part_of {
            counts[part] += 1;
        }
        let mut parts = counts.map(|count| Self {
            shape: self.shape,
            pixels: Vec::new(),
            labels: Vec::with_capacity(count),
        });
        for (part, count) in parts.iter_mut().zip(counts).skip(1) {
            part.pixels.reserve_exact(count * size);
        }
        let mut kept = 0;
        for (index, &part) in part_of.iter().enumerate() {
            let image = index * size..(index + 1) * size;
            parts[part].labels.push(self.labels[index]);
            if part == 0 {
                self.pixels.copy_within(image, kept);
                kept += size;
            } else {
                parts[part].pixels.extend_from_slice(&self.pixels[image]);
            }
        }
        self.pixels.truncate(kept);
        self.pixels.shrink_to_fit();
        parts[0].pixels = self.pixels;
        parts
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::env;
    use std::path::PathBuf;

    use super::fixture::Packing;
    use super::*;

    #[test]
    fn bundled_subset_is_what_its_readme_says() {
        let dataset = Dataset::bundled();
        fixture::assert_sound(&dataset);
        assert_eq!(dataset.train.shape(), Shape::new(28, 28, 1));
        assert_eq!((dataset.train.len(), dataset.test.len()), (5000, 1000));
        assert_eq!(dataset.classes.len(), 10);
        // The first labels of MNIST, as everyone knows them.
        assert_eq!(dataset.train.labels()[..5], [5, 0, 4, 1, 9]);
        assert_eq!(dataset.test.labels()[..5], [7, 2, 1, 0, 4]);
    }

    #[test]
    fn bundled_subset_begins_the_full_set() {
        let Some(data) = env::var_os("EA4CNN_DATA") else {
            eprintln!("skipped: set EA4CNN_DATA to a folder that holds the full set in mnist/");
            return;
        };
        let full = Dataset::load(&PathBuf::from(data).join("mnist")).expect("the full set loads");
        let bundled = Dataset::bundled();
        for (bundled, full) in [(&bundled.train, &full.train), (&bundled.test, &full.test)] {
            assert_eq!(bundled.shape(), full.shape());
            assert!(full.pixels.starts_with(&bundled.pixels));
            assert!(full.labels.starts_with(&bundled.labels));
        }
    }

    #[test]
    fn folders_of_something_else_are_refused() {
        let empty = fixture::folder::<&str>(&[], Packing::Plain);
        assert_eq!(
            fixture::refusal(&empty),
            "the folder: the folder is empty; put the data set's files or class folders into it"
        );
        let photos = [("b.png", b"png".to_vec()), ("a.bin", vec![0; 100])];
        assert_eq!(
            fixture::refusal(&fixture::folder(&photos, Packing::Plain)),
            "the folder: no file here is of a known format (the first is a.bin); expected MNIST-style \
             IDX files (train-images-idx3-ubyte and so on, plain or .gz), CIFAR-10's binary version \
             (data_batch_1.bin and so on), or a sub-folder of PNG, JPEG or BMP files for each class"
        );
        let both = [("data_batch_1.bin", vec![0; 3073]), ("x", vec![0, 0, 8, 1])];
        assert_eq!(
            fixture::refusal(&fixture::folder(&both, Packing::Plain)),
            "the folder: holds both IDX and CIFAR-10 files; give each data set its own folder"
        );
    }

    #[test]
    fn paths_that_are_no_folder_are_refused() {
        let folder = fixture::folder(&[("file", vec![1])], Packing::Plain);
        let file = folder.path().join("file");
        let error = Dataset::load(&file).expect_err("is a file");
        assert_eq!(
            error.to_string(),
            format!(
                "{}: is not a folder; name the folder that holds the data set's files",
                file.display()
            )
        );
        let nothing = folder.path().join("nothing");
        let error = Dataset::load(&nothing)
            .expect_err("does not exist")
            .to_string();
        assert!(error.starts_with(&format!("{}: cannot be read (", nothing.display())));
        assert!(error.ends_with("); check the path and its permissions"));
    }

    #[cfg(unix)]
    #[test]
    fn an_unreadable_file_is_named() {
        let folder = fixture::folder(&[("file", vec![1])], Packing::Plain);
        let link = folder.path().join("train-images-idx3-ubyte");
        std::os::unix::fs::symlink("gone", link).expect("makes a link");
        let message = fixture::refusal(&folder);
        assert!(
            message.starts_with("train-images-idx3-ubyte: cannot be read ("),
            "{message}"
        );
    }

    #[test]
    fn dividing_and_appending_keep_every_image() {
        let shape = Shape::new(1, 2, 1);
        let images = Images::new(shape, (0..10).collect(), vec![0, 1, 2, 3, 4]);
        let [mut first, second, empty] = images.divide([1, 0, 1, 0, 0].as_slice());
        assert_eq!(
            first,
            Images::new(shape, vec![2, 3, 6, 7, 8, 9], vec![1, 3, 4])
        );
        assert_eq!(second, Images::new(shape, vec![0, 1, 4, 5], vec![0, 2]));
        assert!(empty.is_empty());
        first.append(second);
        let labels: HashSet<_> = first.labels().iter().collect();
        assert_eq!(labels.len(), 5);
        assert_eq!(first.pixels(3), [0, 1]);
    }
}
