//! The scores of the classes.

use fixed::types::I16F16;
use heapless::Vec;

/// One score per class: the last layer's accumulators, not requantized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Logits<'s> {
    raw: &'s [i32],
    frac_bits: u8,
}

impl<'s> Logits<'s> {
    pub(crate) fn new(raw: &'s [i32], frac_bits: u8) -> Self {
        Self { raw, frac_bits }
    }

    /// Raw accumulators, in class order; the value is raw / 2^[`frac_bits`](Self::frac_bits).
    pub fn raw(self) -> &'s [i32] {
        self.raw
    }

    /// Fractional bits of the raw values: 16 for Q8.8 weights and exact products.
    pub fn frac_bits(self) -> u8 {
        self.frac_bits
    }

    /// The scores as Q16.16: exact for 16 fractional bits and fewer (saturating), else floored.
    pub fn fixed(self) -> impl Iterator<Item = I16F16> + 's {
        self.raw.iter().map(move |&raw| match self.frac_bits {
            16.. => I16F16::from_bits(raw >> (self.frac_bits - 16).min(31)),
            less => I16F16::from_bits(raw.saturating_mul(1 << (16 - less))),
        })
    }

    /// The class with the highest score; the lowest index on a tie.
    pub fn class(self) -> usize {
        let mut best = (0, i32::MIN);
        for (class, &score) in self.raw.iter().enumerate() {
            if score > best.1 {
                best = (class, score);
            }
        }
        best.0
    }

    /// The `K` classes with the highest scores, best first; lower indices first on a tie.
    pub fn top<const K: usize>(self) -> Vec<(usize, i32), K> {
        let mut top: Vec<(usize, i32), K> = Vec::new();
        for (class, &score) in self.raw.iter().enumerate() {
            let rank = top.iter().take_while(|&&(_, other)| other >= score).count();
            if rank < K {
                if top.is_full() {
                    top.pop();
                }
                // There is room, and the rank is at most the length: this cannot fail.
                let inserted = top.insert(rank, (class, score));
                debug_assert!(inserted.is_ok());
            }
        }
        top
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_lower_class() {
        let logits = Logits::new(&[3, 7, 7, -1], 16);
        assert_eq!(logits.class(), 1);
        assert_eq!(logits.top::<3>().as_slice(), [(1, 7), (2, 7), (0, 3)]);
        assert_eq!(logits.top::<9>().len(), 4);
        assert!(logits.top::<0>().is_empty());
    }

    #[test]
    fn the_least_score_can_win() {
        assert_eq!(Logits::new(&[i32::MIN], 16).class(), 0);
    }

    #[test]
    fn fixed_agrees_for_all_fractional_bits() {
        let of = |raw: i32, frac_bits| {
            let raw = [raw];
            Logits::new(&raw, frac_bits).fixed().next()
        };
        assert_eq!(of(3 << 15, 16), Some(I16F16::from_num(1.5)));
        assert_eq!(of(3 << 7, 8), Some(I16F16::from_num(1.5)));
        assert_eq!(of(3 << 22, 23), Some(I16F16::from_num(1.5)));
    }
}
