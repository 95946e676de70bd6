//! Training networks to convergence: the last touch for chosen ones, and baselines.
//!
//! Evolution trains as the paper does, one plain epoch per generation. What follows is modern
//! practice: stochastic gradient descent with momentum and weight decay, a learning rate that rises
//! and falls once, smoothed labels, and images that are shifted and mirrored anew in every epoch.

use std::num::NonZeroUsize;

use exporter::dataset::Images;
use exporter::network::Network;
use rand::RngExt;
use rand::seq::SliceRandom as _;
use rand_core::Rng;
use serde::{Deserialize, Serialize};

use crate::population::Rejection;
use crate::settings::{Flip, Polish};
use crate::streams::{Purpose, stream};
use crate::train::{Backend, Momentum, Sgd, TrainError};

/// The highest learning rate, per image of a batch: 0.1 for the usual batch of 128.
const PEAK_RATE_PER_IMAGE: f32 = 0.1 / 128.0;
/// The part of all steps in which the learning rate rises.
const RISE: f32 = 0.1;
const MOMENTUM: f32 = 0.9;
const WEIGHT_DECAY: f32 = 5e-4;
const LABEL_SMOOTHING: f32 = 0.05;
/// Images that are varied at a time, about: they take memory for a second time.
const VARIED_IMAGES: usize = 1024;

/// A network that was trained to convergence.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Polished {
    /// The individual.
    pub id: u64,
    /// Its network; as before if training diverged.
    pub network: Network,
    /// Its accuracy on Dtest, 0 to 1; 0 if it was rejected.
    pub accuracy: f64,
    /// Why it cannot be used.
    pub rejection: Option<Rejection>,
}

/// A course of training.
#[derive(Clone, Copy, Debug)]
pub struct Course<'a, B> {
    /// The CNN implementation.
    pub backend: &'a B,
    /// Dtrain.
    pub images: &'a Images,
    /// How long, and how images are varied.
    pub polish: Polish,
    /// Images per step.
    pub batch_size: NonZeroUsize,
    /// Where all random numbers come from.
    pub seed: u64,
}

impl<B: Backend> Course<'_, B> {
    /// Trains the network of individual `id`; `on_epoch` is told the mean loss of each epoch.
    ///
    /// # Errors
    /// Any [`TrainError`]; the network is of no use then.
    pub fn train(
        &self,
        id: u64,
        network: &mut Network,
        mut on_epoch: impl FnMut(u32, f64),
    ) -> Result<(), TrainError> {
        let batch_size = self.batch_size.get();
        let steps = self.images.len().div_ceil(batch_size) * self.polish.epochs as usize;
        let peak = PEAK_RATE_PER_IMAGE * batch_size as f32;
        let rate = |step: usize| peak * cycle(step as f32 / steps as f32);
        let mut momentum = Momentum::new(network, MOMENTUM, WEIGHT_DECAY, rate);
        let sgd = Sgd {
            learning_rate: peak,
            batch_size: self.batch_size,
            label_smoothing: LABEL_SMOOTHING,
        };
        let mut order: Vec<u32> = (0..self.images.len() as u32).collect();
        for epoch in 0..self.polish.epochs {
            let mut rng = stream(self.seed, Purpose::Polishing { id, epoch });
            order.shuffle(&mut rng);
            let mut loss = 0.0;
            // Whole batches: where the parts end makes no difference.
            let part = VARIED_IMAGES.next_multiple_of(batch_size);
            for indices in order.chunks(part) {
                let images = self.varied(indices, &network.input.zero, &mut rng);
                let indices: Vec<u32> = (0..images.len() as u32).collect();
                let passed =
                    self.backend
                        .train_at(&mut momentum, network, &images, &indices, &sgd)?;
                loss += passed.mean_loss * images.len() as f64;
            }
            on_epoch(epoch, loss / order.len() as f64);
        }
        Ok(())
    }

    /// The images at `indices`, each shifted and mirrored at random; `zero` fills what comes in.
    fn varied<R: Rng + ?Sized>(&self, indices: &[u32], zero: &[u8], rng: &mut R) -> Images {
        let shape = self.images.shape();
        let reach = i32::from(self.polish.shift);
        let mut pixels = Vec::with_capacity(indices.len() * shape.elements());
        let mut labels = Vec::with_capacity(indices.len());
        for &index in indices {
            let variation = View {
                down: rng.random_range(-reach..=reach),
                right: rng.random_range(-reach..=reach),
                is_mirrored: self.polish.flip == Flip::Horizontal && rng.random(),
            };
            variation.append(
                self.images.pixels(index as usize),
                shape.width,
                zero,
                &mut pixels,
            );
            labels.push(self.images.labels()[index as usize]);
        }
        Images::new(shape, pixels, labels)
    }
}

/// How one image is varied.
#[derive(Clone, Copy)]
struct View {
    down: i32,
    right: i32,
    is_mirrored: bool,
}

impl View {
    /// Appends the varied `image` of `width` columns to `pixels`.
    fn append(self, image: &[u8], width: u16, zero: &[u8], pixels: &mut Vec<u8>) {
        let (width, channels) = (i32::from(width), zero.len());
        let height = (image.len() / channels) as i32 / width;
        for y in 0..height {
            for x in 0..width {
                let from_y = y - self.down;
                let shifted = x - self.right;
                let from_x = if self.is_mirrored {
                    width - 1 - shifted
                } else {
                    shifted
                };
                if (0..height).contains(&from_y) && (0..width).contains(&from_x) {
                    let at = (from_y * width + from_x) as usize * channels;
                    pixels.extend(&image[at..][..channels]);
                } else {
                    pixels.extend(zero);
                }
            }
        }
    }
}

/// The learning rate at `done` of all steps (0 to 1), in parts of its peak: up in a line, and down
/// along the cubic that is a cosine but for one hundredth, and the same bits on every machine.
fn cycle(done: f32) -> f32 {
    if done < RISE {
        return (done + RISE / 10.0) / (RISE * 1.1);
    }
    let t = (done - RISE) / (1.0 - RISE);
    1.0 - t * t * (3.0 - 2.0 * t)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn viewed(down: i32, right: i32, is_mirrored: bool) -> Vec<u8> {
        let mut pixels = Vec::new();
        let view = View {
            down,
            right,
            is_mirrored,
        };
        // Two rows of three columns, two channels.
        let image = [1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16];
        view.append(&image, 3, &[8, 9], &mut pixels);
        pixels
    }

    #[test]
    fn images_are_shifted_and_mirrored() {
        assert_eq!(
            viewed(0, 0, false),
            [1, 2, 3, 4, 5, 6, 11, 12, 13, 14, 15, 16]
        );
        assert_eq!(viewed(1, 0, false), [8, 9, 8, 9, 8, 9, 1, 2, 3, 4, 5, 6]);
        assert_eq!(
            viewed(0, -1, false),
            [3, 4, 5, 6, 8, 9, 13, 14, 15, 16, 8, 9]
        );
        assert_eq!(
            viewed(0, 0, true),
            [5, 6, 3, 4, 1, 2, 15, 16, 13, 14, 11, 12]
        );
        assert_eq!(viewed(0, 1, true), [8, 9, 5, 6, 3, 4, 8, 9, 15, 16, 13, 14]);
    }

    #[test]
    fn the_rate_rises_and_falls_once() {
        let rates: Vec<f32> = (0..=100)
            .map(|percent| cycle(percent as f32 / 100.0))
            .collect();
        assert!(rates[0] > 0.0 && rates[0] < 0.2);
        assert!(rates[..=10].is_sorted());
        assert!((rates[10] - 1.0).abs() < 1e-6);
        assert!(rates[10..].iter().rev().is_sorted());
        assert_eq!(rates[100], 0.0);
    }
}
