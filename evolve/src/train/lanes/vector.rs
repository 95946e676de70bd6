//! Sixteen images side by side, in memory.

use super::simd::Register;

/// Images per vector: one AVX-512 register, two of AVX2.
pub(super) const LANES: usize = 16;

/// One value of each of [`LANES`] images.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(super) struct Vector(pub(super) [f32; LANES]);

impl Vector {
    pub(super) const ZERO: Self = Self([0.0; LANES]);

    /// 1 in the first `lanes` lanes, else 0.
    pub(super) fn mask(lanes: usize) -> Self {
        let mut mask = Self::ZERO;
        mask.0[..lanes].fill(1.0);
        mask
    }

    /// The sum of the first `lanes` lanes.
    pub(super) fn sum(self, lanes: usize) -> f64 {
        self.0[..lanes].iter().copied().map(f64::from).sum()
    }
}

/// The sums over all lanes of 16 vectors, as a tree: halves are added to halves four times.
#[inline(always)]
pub(super) fn sums_of_lanes<R: Register>(vectors: [R; LANES]) -> [f32; LANES] {
    let mut sums = vectors;
    for index in 0..8 {
        sums[index] = sums[index].fold::<8>(sums[index + 8]);
    }
    for index in 0..4 {
        sums[index] = sums[index].fold::<4>(sums[index + 4]);
    }
    for index in 0..2 {
        sums[index] = sums[index].fold::<2>(sums[index + 2]);
    }
    let mut vector = Vector::ZERO;
    sums[0].fold::<1>(sums[1]).store(&mut vector);
    vector.0
}

/// Cuts `count` into as few pieces of at most `most` as possible, as equal as possible: their
/// first index and their length.
#[inline(always)]
pub(super) fn pieces(count: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let number = count.div_ceil(most).max(1);
    (0..number).map(move |piece| {
        let (start, end) = (piece * count / number, (piece + 1) * count / number);
        (start, end - start)
    })
}

#[cfg(test)]
mod tests {
    use std::array::from_fn;

    use super::super::simd::{InstructionSet, Kernel};
    use super::*;

    #[test]
    fn lanes_are_summed_in_order_of_their_vectors() {
        struct Sum<'a>(&'a mut [f32; LANES]);
        impl Kernel for Sum<'_> {
            #[inline(always)]
            fn run<R: Register, const PX: usize>(self) {
                let vectors = from_fn(|i| Vector(from_fn(|lane| (i * 100 + lane) as f32)));
                *self.0 = sums_of_lanes::<R>(vectors.map(|vector| R::load(&vector)));
            }
        }
        for instructions in InstructionSet::all() {
            let mut sums = [0.0; LANES];
            instructions.run(Sum(&mut sums));
            assert_eq!(sums, from_fn(|i| (i * 1600 + 120) as f32));
        }
    }

    #[test]
    fn pieces_cover_everything_evenly() {
        let cut = |count| pieces(count, 6).collect::<Vec<_>>();
        assert_eq!(cut(7), [(0, 3), (3, 4)]);
        assert_eq!(cut(16), [(0, 5), (5, 5), (10, 6)]);
        assert_eq!(cut(6), [(0, 6)]);
        assert_eq!(cut(0), [(0, 0)]);
    }
}
