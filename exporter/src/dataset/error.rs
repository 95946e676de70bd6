//! Why a folder is not a data set.

use std::io;
use std::path::PathBuf;

use runtime_nostd::geometry::{GeometryError, Shape};

use super::SkippedFiles;

/// Why a data set cannot be loaded. Every message names the file or folder, what is wrong in it, and
/// what to do. Images and records are counted from 0.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatasetError {
    /// The operating system refuses to read a file or folder.
    #[error("{path}: cannot be read ({reason}); check the path and its permissions")]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system says.
        reason: io::Error,
    },
    /// The path is a file.
    #[error("{path}: is not a folder; name the folder that holds the data set's files")]
    NotAFolder {
        /// The path.
        path: PathBuf,
    },
    /// The folder has neither files nor folders.
    #[error("{path}: the folder is empty; put the data set's files or class folders into it")]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
    },
    /// No file is of a known format.
    #[error(
        "{path}: no file here is of a known format (the first is {first}); expected MNIST-style IDX \
         files (train-images-idx3-ubyte and so on, plain or .gz), CIFAR-10's binary version \
         (data_batch_1.bin and so on), or a sub-folder of PNG, JPEG or BMP files for each class"
    )]
    UnknownFormat {
        /// The folder.
        path: PathBuf,
        /// Name of the folder's first file.
        first: String,
    },
    /// Files of two formats.
    #[error("{path}: holds both IDX and CIFAR-10 files; give each data set its own folder")]
    TwoFormats {
        /// The folder.
        path: PathBuf,
    },
    /// A file that the format demands is not there.
    #[error("{path}: no {what} found; add {expected}")]
    MissingFile {
        /// The folder.
        path: PathBuf,
        /// What the file would hold.
        what: &'static str,
        /// Its usual name.
        expected: &'static str,
    },
    /// Two files for one purpose.
    #[error("{first} and {second}: both hold {what}; keep one and move the other away")]
    Ambiguous {
        /// The first file.
        first: PathBuf,
        /// The second file.
        second: PathBuf,
        /// What both hold.
        what: &'static str,
    },
    /// An IDX file's magic number is none of those read here.
    #[error(
        "{path}: the magic number is {found:02x?}, which is not IDX of unsigned bytes: expected \
         [00, 00, 08, 01] for labels, [00, 00, 08, 03] for gray or [00, 00, 08, 04] for color \
         images; replace the file"
    )]
    Magic {
        /// The file.
        path: PathBuf,
        /// Its first four bytes.
        found: [u8; 4],
    },
    /// A header promises no images or labels.
    #[error("{path}: the header's count is 0; a data set needs images")]
    NoImages {
        /// The file.
        path: PathBuf,
    },
    /// An image dimension is 0 or too large.
    #[error("{path}: the header's {field} is {value}; it must be from 1 to 65535")]
    Dimension {
        /// The file.
        path: PathBuf,
        /// The dimension.
        field: &'static str,
        /// Its value.
        value: u32,
    },
    /// The dimensions together are impossible.
    #[error("{path}: images of {shape} cannot be used: {reason}; scale them down")]
    Shape {
        /// The file.
        path: PathBuf,
        /// What the header says.
        shape: Shape,
        /// What is wrong with it.
        reason: GeometryError,
    },
    /// The file ends too early.
    #[error(
        "{path}: truncated: {expected} bytes of {field} expected, {found} found; fetch the file again"
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What the missing bytes belong to.
        field: &'static str,
        /// How many bytes the format or the header promises.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// The file goes on where it should end.
    #[error(
        "{path}: more data than the {expected} bytes of {field} expected; the file is damaged: fetch \
         it again"
    )]
    Trailing {
        /// The file.
        path: PathBuf,
        /// What the file should end with.
        field: &'static str,
        /// How many bytes of it the format or the header promises.
        expected: u64,
    },
    /// A gzip file's header promises more than is unpacked in memory.
    #[error(
        "{path}: the header promises {expected} bytes of {field}, and more than {limit} are not \
         unpacked from a gzip file; if the file is genuine, unpack it with gunzip"
    )]
    UnpackedTooLarge {
        /// The file.
        path: PathBuf,
        /// What the header speaks of.
        field: &'static str,
        /// How many bytes it promises.
        expected: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A gzip stream is damaged or cut off.
    #[error("{path}: damaged gzip data ({reason}); fetch the file again")]
    Gzip {
        /// The file.
        path: PathBuf,
        /// What the decoder says.
        reason: io::Error,
    },
    /// Images and labels do not belong together.
    #[error(
        "{images} holds {image_count} images but {labels} holds {label_count} labels; use two files \
         of the same set"
    )]
    CountMismatch {
        /// The image file.
        images: PathBuf,
        /// The label file.
        labels: PathBuf,
        /// Images in it.
        image_count: u32,
        /// Labels in it.
        label_count: u32,
    },
    /// Test images are of another shape than training images.
    #[error(
        "{path}: the test images are {test} but the training images {train} (rows x columns x \
         channels); use files of the same set"
    )]
    ShapeMismatch {
        /// The folder.
        path: PathBuf,
        /// The test images' shape.
        test: Shape,
        /// The training images' shape.
        train: Shape,
    },
    /// A CIFAR-10 batch is not a whole number of records.
    #[error(
        "{path}: {bytes} bytes are not one or more records of {record_bytes} bytes (one label, \
         32x32 pixels in red, green and blue, as in CIFAR-10's binary version); fetch the file again"
    )]
    Records {
        /// The file.
        path: PathBuf,
        /// Its length.
        bytes: u64,
        /// The length of a record.
        record_bytes: usize,
    },
    /// A line of `batches.meta.txt` is no class name.
    #[error(
        "{path}: line {line} is empty or not UTF-8; every line names one class, in label order"
    )]
    ClassName {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
    },
    /// A label without a class.
    #[error(
        "{path}: image {index} has label {label}, but with {classes} classes a label must be below \
         {classes}; correct it, or add the class to the training images and to the names, if there \
         are names"
    )]
    Label {
        /// The file.
        path: PathBuf,
        /// The image.
        index: usize,
        /// Its label.
        label: u8,
        /// Number of classes.
        classes: usize,
    },
    /// A class without images.
    #[error(
        "{path}: no training image has label {class}, though there are {classes} classes; number the \
         classes from 0 without a gap"
    )]
    EmptyClass {
        /// The file or folder of the training labels.
        path: PathBuf,
        /// The class.
        class: usize,
        /// Number of classes.
        classes: usize,
    },
    /// Nothing to classify.
    #[error("{path}: all training images have label 0; a classifier needs two or more classes")]
    OneClass {
        /// The file or folder of the training labels.
        path: PathBuf,
    },
    /// Options for image files, with a data set of another format.
    #[error(
        "{path}: holds {format} files, whose images are used as they are; leave --size and --gray out"
    )]
    ImageOptions {
        /// The folder.
        path: PathBuf,
        /// Its format.
        format: &'static str,
    },
    /// A class folder whose name cannot be printed.
    #[error("{path}: its name names a class, and is not UTF-8 or not one line; rename the folder")]
    ClassFolder {
        /// The folder.
        path: PathBuf,
    },
    /// More classes than a label can count.
    #[error("{path}: more than {limit} class folders; merge some, or leave some out")]
    TooManyClasses {
        /// The folder of class folders.
        path: PathBuf,
        /// The most classes.
        limit: usize,
    },
    /// A class in `test` that is not in `train`.
    #[error("{path}: train/ has no folder of this name; add training images of the class")]
    UnknownClass {
        /// The class's folder.
        path: PathBuf,
    },
    /// A class folder without a usable image.
    #[error(
        "{path}: no image of class {class} to train with; put PNG, JPEG or BMP files into its folder, \
         or remove it (left out: {files})"
    )]
    EmptyClassFolder {
        /// The data set's folder.
        path: PathBuf,
        /// The class.
        class: String,
        /// What was left out of the data set.
        files: SkippedFiles,
    },
    /// Nothing to classify.
    #[error(
        "{path}: {class} is the only class folder; a classifier needs two or more, each with the \
         images of one class"
    )]
    OneClassFolder {
        /// The data set's folder.
        path: PathBuf,
        /// The class.
        class: String,
    },
    /// Sub-folders without images.
    #[error(
        "{path}: no PNG, JPEG or BMP file in its sub-folders can be used; name the folder that holds \
         a data set's files, or a sub-folder of images for each class (left out: {files})"
    )]
    NoImageFiles {
        /// The folder.
        path: PathBuf,
        /// What was left out.
        files: SkippedFiles,
    },
    /// Image files of different sizes.
    #[error(
        "{first} is {}x{} pixels, but {other} is {}x{}: scale all to one size with --size, as \
         --size {}x{}",
        first_size.0, first_size.1, other_size.0, other_size.1, first_size.0, first_size.1
    )]
    Sizes {
        /// A file.
        first: PathBuf,
        /// Its width and height.
        first_size: (u16, u16),
        /// Another file.
        other: PathBuf,
        /// Its width and height.
        other_size: (u16, u16),
    },
    /// Files that cannot be used, where all must be.
    #[error("{path}: --strict refuses {files}")]
    Strict {
        /// The data set's folder.
        path: PathBuf,
        /// The files.
        files: SkippedFiles,
    },
    /// More images than fit the memory.
    #[error("{path}: {images} images of {shape} do not fit the memory; choose a smaller --size")]
    Memory {
        /// The data set's folder.
        path: PathBuf,
        /// Number of images.
        images: usize,
        /// What each would be.
        shape: Shape,
    },
}
