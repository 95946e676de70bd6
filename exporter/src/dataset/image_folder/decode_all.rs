//! All files of a listing, decoded by all threads.

use std::path::Path;

use rayon::prelude::*;
use runtime_nostd::geometry::Shape;

use super::super::{DatasetError, LoadObserver, SkipReason, Skipped, SkippedFiles};
use super::decode::{self, Header};
use super::listing::{ImageFile, Listing};
use super::options::ImageOptions;

/// The images of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) shape: Shape,
    /// Indices into the listing's files, ascending, of those that could not be decoded.
    pub(super) skipped: Vec<(usize, SkipReason)>,
    /// The images of all other files, in the order of the listing, HWC.
    pub(super) pixels: Vec<u8>,
}

/// A file whose header could be read.
struct Candidate<'a> {
    /// Index into the listing's files.
    index: usize,
    file: &'a ImageFile,
    header: Header,
}

/// Decodes the files of `listing`, which is of the folder at `root`.
pub(super) fn decode_all(
    root: &Path,
    listing: &Listing,
    options: &ImageOptions,
    observer: &dyn LoadObserver,
) -> Result<Decoded, DatasetError> {
    // Every file is opened twice: only all headers together tell the shape of the images.
    observer.decoding_starts(2 * listing.files.len());
    let headers: Vec<_> = listing
        .files
        .par_iter()
        .map(|file| {
            let header = decode::header(&root.join(&file.path));
            observer.decoding_steps();
            header
        })
        .collect();
    let mut candidates = Vec::new();
    let mut skipped = Vec::new();
    for (index, (file, header)) in listing.files.iter().zip(headers).enumerate() {
        match header {
            Ok(header) => candidates.push(Candidate {
                index,
                file,
                header,
            }),
            Err(reason) => skipped.push((index, reason)),
        }
    }
    let Some(first) = candidates.first() else {
        let files = listing.skipped.iter().cloned();
        let unread = skipped.into_iter().map(|(index, reason)| Skipped {
            path: listing.files[index].path.clone(),
            reason,
        });
        return Err(DatasetError::NoImageFiles {
            path: root.to_owned(),
            files: SkippedFiles(files.chain(unread).collect()),
        });
    };
    let shape = shape(root, first, &candidates, options)?;
    let mut pixels = reserve(root, &candidates, shape)?;
    let size = shape.elements();
    let failures: Vec<_> = pixels
        .par_chunks_exact_mut(size)
        .zip(&candidates)
        .map(|(pixels, candidate)| {
            let decoded = decode::decode(&root.join(&candidate.file.path), shape, pixels);
            observer.decoding_steps();
            decoded.err().map(|reason| (candidate.index, reason))
        })
        .collect();
    observer.decoding_done();

    let mut kept = 0;
    for (image, failure) in failures.into_iter().enumerate() {
        match failure {
            Some(failure) => skipped.push(failure),
            None => {
                pixels.copy_within(image * size..(image + 1) * size, kept);
                kept += size;
            }
        }
    }
    pixels.truncate(kept);
    skipped.sort_by_key(|(index, _)| *index);
    Ok(Decoded {
        shape,
        skipped,
        pixels,
    })
}

/// The shape of all images: `options`, where they say it, else the size that all files have.
fn shape(
    root: &Path,
    first: &Candidate<'_>,
    candidates: &[Candidate<'_>],
    options: &ImageOptions,
) -> Result<Shape, DatasetError> {
    let size = |candidate: &Candidate<'_>| (candidate.header.width, candidate.header.height);
    let (width, height) = match options.size {
        Some(chosen) => (chosen.width(), chosen.height()),
        None => size(first),
    };
    let other = candidates.iter().find(|other| size(other) != size(first));
    if let (None, Some(other)) = (options.size, other) {
        return Err(DatasetError::Sizes {
            first: root.join(&first.file.path),
            first_size: size(first),
            other: root.join(&other.file.path),
            other_size: size(other),
        });
    }
    let is_gray = options.gray || candidates.iter().all(|candidate| candidate.header.is_gray);
    let shape = Shape::new(height, width, if is_gray { 1 } else { 3 });
    shape.check().map_err(|reason| DatasetError::Shape {
        path: root.join(&first.file.path),
        shape,
        reason,
    })
}

/// Memory for all images of `shape`.
fn reserve(
    root: &Path,
    candidates: &[Candidate<'_>],
    shape: Shape,
) -> Result<Vec<u8>, DatasetError> {
    let mut pixels = Vec::new();
    let bytes = candidates.len().saturating_mul(shape.elements());
    pixels
        .try_reserve_exact(bytes)
        .map_err(|_| DatasetError::Memory {
            path: root.to_owned(),
            images: candidates.len(),
            shape,
        })?;
    pixels.resize(bytes, 0);
    Ok(pixels)
}
