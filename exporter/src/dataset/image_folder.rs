//! Folders of image files: one sub-folder per class, perhaps in `train` and `test`.

use std::path::Path;

use self::cache::Cache;
use self::decode_all::{Decoded, decode_all};
use self::listing::{ImageFile, Listing};
use self::options::ImageOptions;
use super::folder::{Folder, Role};
use super::{
    Dataset, DatasetError, FEW_IMAGES, Images, LoadObserver, Notice, SkipReason, Skipped,
    SkippedFiles,
};

mod cache;
mod decode;
mod decode_all;
mod listing;
pub(super) mod options;
#[cfg(test)]
mod tests;

/// Reads the data set in `folder`; `None` if it has no sub-folders.
pub(super) fn load(
    folder: &Folder,
    options: &ImageOptions,
    observer: &dyn LoadObserver,
) -> Result<Option<Dataset>, DatasetError> {
    let root = &folder.path;
    let Some(mut listing) = Listing::find(root)? else {
        return Ok(None);
    };
    let cache = Cache::of(root, &listing, options);
    let Decoded {
        shape,
        skipped,
        pixels,
    } = match cache.read() {
        Some(decoded) => decoded,
        None => decode_and_keep(root, &listing, options, cache, observer)?,
    };
    listing.leave_out(skipped);
    let Listing {
        classes,
        files,
        skipped: left_out,
    } = listing;
    if options.strict && !left_out.is_empty() {
        return Err(DatasetError::Strict {
            path: root.clone(),
            files: SkippedFiles(left_out),
        });
    }
    let labels = files.iter().map(|file| file.class).collect();
    let is_test = |file: &ImageFile| usize::from(file.role == Role::Test);
    let part_of: Vec<usize> = files.iter().map(is_test).collect();
    let [train, test] = Images::new(shape, pixels, labels).divide(&part_of);
    let dataset = Dataset {
        name: folder.name(),
        train,
        test,
        classes,
    };
    check_classes(&dataset, root, &left_out)?;
    tell(&dataset, left_out, observer);
    Ok(Some(dataset))
}

fn decode_and_keep(
    root: &Path,
    listing: &Listing,
    options: &ImageOptions,
    cache: Cache,
    observer: &dyn LoadObserver,
) -> Result<Decoded, DatasetError> {
    let decoded = decode_all(root, listing, options, observer)?;
    let path = cache.path.clone();
    // What could not be read may be readable the next time, of which its length and time say nothing.
    let is_unread = |(_, reason): &(usize, SkipReason)| matches!(reason, SkipReason::Unreadable(_));
    if decoded.skipped.iter().any(is_unread) {
        return Ok(decoded);
    }
    if let Err(reason) = cache.write(&decoded) {
        observer.tell(&Notice::CacheNotWritten { path, reason });
    }
    Ok(decoded)
}

/// Refuses a class without training images, and a single class.
fn check_classes(dataset: &Dataset, root: &Path, left_out: &[Skipped]) -> Result<(), DatasetError> {
    let counts = dataset.train.per_class(dataset.classes.len());
    if let Some(empty) = counts.iter().position(|&count| count == 0) {
        return Err(DatasetError::EmptyClassFolder {
            path: root.to_owned(),
            class: dataset.classes[empty].clone(),
            files: SkippedFiles(left_out.to_vec()),
        });
    }
    match dataset.classes.as_slice() {
        [class] => Err(DatasetError::OneClassFolder {
            path: root.to_owned(),
            class: class.clone(),
        }),
        _ => Ok(()),
    }
}

/// Tells what the user should know of the data set.
fn tell(dataset: &Dataset, left_out: Vec<Skipped>, observer: &dyn LoadObserver) {
    if !left_out.is_empty() {
        observer.tell(&Notice::Skipped(SkippedFiles(left_out)));
    }
    let classes = dataset.classes.len();
    let train = dataset.train.per_class(classes);
    let test = dataset.test.per_class(classes);
    for ((class, train), test) in dataset.classes.iter().zip(train).zip(test) {
        let images = train + test;
        if images < FEW_IMAGES {
            let class = class.clone();
            observer.tell(&Notice::FewImages { class, images });
        }
    }
}
