//! Where the weights and activations of a network lie within their 16 bits.

use std::fmt::{self, Display, Formatter};

use runtime_nostd::{InferError, Layer, Model, Observer, Row};
use serde::Serialize;

/// Bars of a [`Histogram`].
pub const BARS: usize = 17;

/// How many raw 16-bit numbers are how large.
///
/// The first bar counts zeros, bar b numbers whose magnitude has b bits (in Q8.8, from 2^(b - 9) on),
/// the last those at an end of the range: they were saturated, or might as well have been.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Histogram {
    /// Numbers in each bar.
    pub bars: [u64; BARS],
    /// The largest magnitude, raw.
    pub largest: u16,
}

impl Histogram {
    /// The histogram of some numbers.
    pub fn of(numbers: &[i16]) -> Self {
        let mut histogram = Self::default();
        histogram.count(numbers);
        histogram
    }

    /// Counts more numbers.
    pub fn count(&mut self, numbers: &[i16]) {
        for &raw in numbers {
            let magnitude = raw.unsigned_abs();
            let bits = (u16::BITS - magnitude.leading_zeros()) as usize;
            let is_end = raw == i16::MIN || raw == i16::MAX;
            self.bars[if is_end { BARS - 1 } else { bits }] += 1;
            self.largest = self.largest.max(magnitude);
        }
    }

    /// All numbers counted.
    pub fn total(&self) -> u64 {
        self.bars.iter().sum()
    }

    /// Those at an end of the range.
    pub fn saturated(&self) -> u64 {
        self.bars[BARS - 1]
    }
}

/// One character for each bar, as high as its share of the highest.
impl Display for Histogram {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let highest = self.bars.iter().max().copied().unwrap_or(0).max(1);
        self.bars.iter().try_for_each(|&bar| {
            let level = (bar * 7 / highest) as usize;
            write!(f, "{}", if bar == 0 { '·' } else { LEVELS[level] })
        })
    }
}

/// The weights of a layer, without what fills rows up; `None` if it has none.
pub fn weights(layer: &Layer<'_>) -> Option<Histogram> {
    let stored: Vec<i16> = layer.parameters()?.weights().collect();
    let real = layer.op().filters(layer.input()) * layer.op().fan_in(layer.input());
    let mut histogram = Histogram::of(&stored);
    histogram.bars[0] -= (stored.len() - real) as u64;
    Some(histogram)
}

/// Counts what every layer but the last stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stores(Vec<Histogram>);

impl Stores {
    /// Nothing stored yet.
    pub fn new(model: &Model<'_>) -> Self {
        Self(vec![
            Histogram::default();
            model.layers().len().saturating_sub(1)
        ])
    }

    /// What the layers of `model` store for all of `images`, each HWC.
    ///
    /// # Errors
    /// The images are not of the shape that the model reads.
    pub fn measure<'i>(
        model: &Model<'_>,
        images: impl IntoIterator<Item = &'i [u8]>,
    ) -> Result<Self, InferError> {
        let mut stores = Self::new(model);
        let mut scratch = vec![0; model.arena_bytes() / 4];
        for pixels in images {
            model.infer_with(&mut scratch, pixels, &mut stores)?;
        }
        Ok(stores)
    }

    /// One histogram for each layer but the last, which stores nothing.
    pub fn into_histograms(self) -> Vec<Histogram> {
        self.0
    }
}

impl Observer for Stores {
    fn row(&mut self, row: Row<'_>) {
        if let Some(histogram) = self.0.get_mut(row.layer) {
            histogram.count(row.activations);
        }
    }
}

/// Prints the histograms of a model's weights and of what it stored, layer by layer.
#[derive(Debug)]
pub struct Ranges<'r, 'm, 'a> {
    /// The model.
    pub model: &'m Model<'a>,
    /// Of each layer but the last.
    pub stores: &'r [Histogram],
}

impl Display for Ranges<'_, '_, '_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<29} 0   4   8   12  S {:>9} {:>10}",
            "bits of the magnitude", "largest", "saturated"
        )?;
        for (index, layer) in self.model.layers().iter().enumerate() {
            let name = layer.op().name();
            if let (Some(histogram), Some(parameters)) = (weights(layer), layer.parameters()) {
                let frac_bits = parameters.frac_bits();
                line(f, index, name, "weights", &histogram, frac_bits)?;
            }
            if let Some(histogram) = self.stores.get(index) {
                line(f, index, name, "activations", histogram, 8)?;
            }
        }
        let saturated = |histogram: &&Histogram| histogram.saturated() > 0;
        match self.stores.iter().filter(saturated).count() {
            0 => writeln!(f, "no activation saturated"),
            layers => writeln!(
                f,
                "activations of {layers} of {} layers saturated: export with --rescale, or train \
                 with weight decay",
                self.stores.len()
            ),
        }
    }
}

fn line(
    f: &mut Formatter<'_>,
    index: usize,
    name: &str,
    what: &str,
    histogram: &Histogram,
    frac_bits: u8,
) -> fmt::Result {
    let largest = f64::from(histogram.largest) / f64::from(1_u32 << frac_bits);
    let saturated = histogram.saturated();
    let total = histogram.total();
    writeln!(
        f,
        "{index:>2}  {name:<13} {what:<11} {histogram} {largest:>9.3} {saturated:>10} of {total}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_bits_of_the_magnitude() {
        let histogram = Histogram::of(&[0, 1, -1, 2, 3, 256, -32767, 32767, -32768]);
        let mut bars = [0; BARS];
        bars[..3].copy_from_slice(&[1, 2, 2]);
        (bars[9], bars[15], bars[16]) = (1, 1, 2);
        assert_eq!(histogram.bars, bars);
        assert_eq!((histogram.total(), histogram.saturated()), (9, 2));
        assert_eq!(histogram.largest, 32768);
        assert_eq!(histogram.to_string(), "▄██······▄·····▄█");
    }

    #[test]
    fn nothing_has_no_bars() {
        assert_eq!(Histogram::default().to_string(), "·".repeat(BARS));
    }
}
