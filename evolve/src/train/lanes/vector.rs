//! Sixteen images side by side.

// Indexed loops, not iterators or closures: they need no inlining to become vector instructions.
#![allow(clippy::needless_range_loop)]

/// Images per vector: one AVX-512 register, two of AVX2.
pub(super) const LANES: usize = 16;

/// One value of each of [`LANES`] images.
///
/// A plain array: inlined into a function compiled for AVX-512 or AVX2, these loops become one or
/// two instructions. Every multiplication followed by an addition is a fused one, whatever the
/// machine, so that all of them give the same bits.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C, align(64))]
pub(super) struct Vector(pub(super) [f32; LANES]);

impl Vector {
    pub(super) const ZERO: Self = Self([0.0; LANES]);

    #[inline(always)]
    pub(super) fn splat(value: f32) -> Self {
        Self([value; LANES])
    }

    /// `self + other`.
    #[inline(always)]
    pub(super) fn plus(mut self, other: Self) -> Self {
        for lane in 0..LANES {
            self.0[lane] += other.0[lane];
        }
        self
    }

    /// `self - other`.
    #[inline(always)]
    pub(super) fn minus(mut self, other: Self) -> Self {
        for lane in 0..LANES {
            self.0[lane] -= other.0[lane];
        }
        self
    }

    /// `self * other`.
    #[inline(always)]
    pub(super) fn times(mut self, other: Self) -> Self {
        for lane in 0..LANES {
            self.0[lane] *= other.0[lane];
        }
        self
    }

    /// `self + a * b`, rounded once.
    #[inline(always)]
    pub(super) fn plus_product(mut self, a: Self, b: Self) -> Self {
        for lane in 0..LANES {
            self.0[lane] = a.0[lane].mul_add(b.0[lane], self.0[lane]);
        }
        self
    }

    /// `self + a * weight`, rounded once.
    #[inline(always)]
    pub(super) fn plus_scaled(mut self, a: Self, weight: f32) -> Self {
        for lane in 0..LANES {
            self.0[lane] = a.0[lane].mul_add(weight, self.0[lane]);
        }
        self
    }

    /// The greater of each lane; `other` where `self` is undefined.
    #[inline(always)]
    pub(super) fn greatest(mut self, other: Self) -> Self {
        for lane in 0..LANES {
            let (a, b) = (self.0[lane], other.0[lane]);
            self.0[lane] = if a > b { a } else { b };
        }
        self
    }

    /// `self` where `tested` is positive, else 0.
    #[inline(always)]
    pub(super) fn where_positive(mut self, tested: Self) -> Self {
        for lane in 0..LANES {
            self.0[lane] = if tested.0[lane] > 0.0 {
                self.0[lane]
            } else {
                0.0
            };
        }
        self
    }

    /// `self` where `a` equals `b`, else 0.
    #[inline(always)]
    pub(super) fn where_equal(mut self, a: Self, b: Self) -> Self {
        for lane in 0..LANES {
            self.0[lane] = if a.0[lane] == b.0[lane] {
                self.0[lane]
            } else {
                0.0
            };
        }
        self
    }

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
pub(super) fn sums_of_lanes(mut vectors: [Vector; LANES]) -> [f32; LANES] {
    halve::<8>(&mut vectors);
    halve::<4>(&mut vectors);
    halve::<2>(&mut vectors);
    halve::<1>(&mut vectors);
    vectors[0].0
}

/// Merges vector `i` with vector `i + HALF` for each `i < HALF`. Of each group of `2 * HALF` lanes
/// remain the sums of its halves, of the first vector and then of the second.
#[inline(always)]
fn halve<const HALF: usize>(vectors: &mut [Vector; LANES]) {
    for index in 0..HALF {
        let (a, b) = (vectors[index], vectors[index + HALF]);
        for lane in 0..LANES {
            let low = lane / (2 * HALF) * (2 * HALF) + lane % HALF;
            let from = if lane & HALF == 0 { a } else { b };
            vectors[index].0[lane] = from.0[low] + from.0[low + HALF];
        }
    }
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

    use super::*;

    #[test]
    fn lanes_are_summed_in_order_of_their_vectors() {
        let vectors = from_fn(|i| Vector(from_fn(|lane| (i * 100 + lane) as f32)));
        let expected = from_fn(|i| (i * 1600 + 120) as f32);
        assert_eq!(sums_of_lanes(vectors), expected);
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
