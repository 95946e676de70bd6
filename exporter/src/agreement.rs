//! A device against this machine: every raw logit of every image.

use std::fmt::{self, Display, Formatter};

use serde::Serialize;
use thiserror::Error;

use crate::verify::argmax;

/// What a device computed, compared with this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// Images that the device classifies correctly.
    pub correct: usize,
    /// Logits compared.
    pub logits: usize,
    /// Those that differ.
    pub differing: usize,
    /// The first of these.
    pub first_mismatch: Option<Mismatch>,
}

/// A logit that device and host disagree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// Number of the image.
    pub image: usize,
    /// The logit's class.
    pub class: usize,
    /// What this machine computes, raw.
    pub host: i32,
    /// What the device computes, raw.
    pub device: i32,
}

impl Display for Mismatch {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self {
            image,
            class,
            host,
            device,
        } = self;
        write!(
            f,
            "image {image}, logit {class}: this machine {host}, the device {device}"
        )
    }
}

/// The device did not answer for every image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the device gave {device} logits where this machine gives {host}: its output is incomplete"
)]
pub struct Incomplete {
    /// Logits of this machine.
    pub host: usize,
    /// Logits of the device.
    pub device: usize,
}

impl Agreement {
    /// Compares raw logits, `[images, classes]`, of images with these `labels`.
    ///
    /// # Errors
    /// The two are not equally many.
    pub fn of(host: &[i32], device: &[i32], labels: &[u8]) -> Result<Self, Incomplete> {
        if host.len() != device.len() {
            return Err(Incomplete {
                host: host.len(),
                device: device.len(),
            });
        }
        let classes = (host.len() / labels.len().max(1)).max(1);
        let answers = device.chunks(classes).map(argmax).zip(labels);
        let differs = |&index: &usize| host[index] != device[index];
        let mut differing = (0..host.len()).filter(differs);
        let first = differing.next();
        Ok(Self {
            correct: answers
                .filter(|&(class, &label)| class == usize::from(label))
                .count(),
            logits: host.len(),
            differing: usize::from(first.is_some()) + differing.count(),
            first_mismatch: first.map(|index| Mismatch {
                image: index / classes,
                class: index % classes,
                host: host[index],
                device: device[index],
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_all_differences_is_found() {
        let host = [5, 3, 7, 8];
        let same = Agreement::of(&host, &host, &[0, 0]).expect("equally many");
        assert_eq!((same.correct, same.differing), (1, 0));
        assert_eq!(same.first_mismatch, None);
        let other = Agreement::of(&host, &[5, 3, 9, 7], &[0, 0]).expect("equally many");
        let mismatch = Mismatch {
            image: 1,
            class: 0,
            host: 7,
            device: 9,
        };
        assert_eq!((other.correct, other.differing), (2, 2));
        assert_eq!(other.first_mismatch, Some(mismatch));
    }

    #[test]
    fn too_few_logits_are_refused() {
        assert!(Agreement::of(&[1, 2, 3, 4], &[1, 2], &[0, 0]).is_err());
    }
}
