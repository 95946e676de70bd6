//! Labelled images, and the loaders that read them from files.

use runtime_nostd::geometry::Shape;

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

    /// The class of image `index`.
    pub fn label(&self, index: usize) -> usize {
        usize::from(self.labels[index])
    }
}
