//! The registers of x86-64.

use std::arch::x86_64::*;

use super::{Kernel, Register, low_lane};
use crate::train::lanes::vector::{LANES, Vector};

/// Compiles `kernel` for AVX-512.
#[target_feature(enable = "avx512f")]
pub(super) fn run_avx512(kernel: impl Kernel) {
    kernel.run::<Avx512, 4>();
}

/// Compiles `kernel` for AVX2 and FMA.
#[target_feature(enable = "avx2,fma")]
pub(super) fn run_avx2(kernel: impl Kernel) {
    kernel.run::<Avx2, 1>();
}

/// One register. The type is private and named by [`run_avx512`] alone: where one of its methods
/// runs, the processor has AVX-512F.
#[derive(Clone, Copy)]
struct Avx512(__m512);

impl Register for Avx512 {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: the processor has AVX-512F.
        Self(unsafe { _mm512_set1_ps(value) })
    }

    #[inline(always)]
    fn load(vector: &Vector) -> Self {
        // SAFETY: the processor has AVX-512F; a `Vector` is 16 floats, aligned to 64 bytes.
        Self(unsafe { _mm512_load_ps(vector.0.as_ptr()) })
    }

    #[inline(always)]
    fn store(self, vector: &mut Vector) {
        // SAFETY: the processor has AVX-512F; a `Vector` is 16 floats, aligned to 64 bytes.
        unsafe { _mm512_store_ps(vector.0.as_mut_ptr(), self.0) }
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        // SAFETY: the processor has AVX-512F.
        Self(unsafe { _mm512_add_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        // SAFETY: the processor has AVX-512F.
        Self(unsafe { _mm512_sub_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        // SAFETY: the processor has AVX-512F.
        Self(unsafe { _mm512_mul_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn plus_product(self, a: Self, b: Self) -> Self {
        // SAFETY: the processor has AVX-512F.
        Self(unsafe { _mm512_fmadd_ps(a.0, b.0, self.0) })
    }

    #[inline(always)]
    fn greatest(self, other: Self) -> Self {
        // SAFETY: the processor has AVX-512F.
        Self(unsafe { _mm512_max_ps(self.0, other.0) })
    }

    #[inline(always)]
    fn where_greater(self, a: Self, b: Self) -> Self {
        // SAFETY: the processor has AVX-512F.
        Self(unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_GT_OQ>(a.0, b.0), self.0) })
    }

    #[inline(always)]
    fn where_equal(self, a: Self, b: Self) -> Self {
        // SAFETY: the processor has AVX-512F.
        Self(unsafe { _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a.0, b.0), self.0) })
    }

    #[inline(always)]
    fn fold<const HALF: usize>(self, other: Self) -> Self {
        let low = const { lanes_to_fold(HALF, 0) };
        let high = const { lanes_to_fold(HALF, HALF) };
        // SAFETY: the processor has AVX-512F; both arrays are 16 `i32`.
        Self(unsafe {
            let low = _mm512_loadu_si512(low.as_ptr().cast());
            let high = _mm512_loadu_si512(high.as_ptr().cast());
            _mm512_add_ps(
                _mm512_permutex2var_ps(self.0, low, other.0),
                _mm512_permutex2var_ps(self.0, high, other.0),
            )
        })
    }
}

/// For each lane of a fold: which lane of two registers it takes.
const fn lanes_to_fold(half: usize, offset: usize) -> [i32; LANES] {
    let mut lanes = [0; LANES];
    let mut lane = 0;
    while lane < LANES {
        let register = if lane & half == 0 { 0 } else { LANES };
        lanes[lane] = (register + low_lane(half, lane) + offset) as i32;
        lane += 1;
    }
    lanes
}

/// Two registers. The type is private and named by [`run_avx2`] alone: where one of its methods runs,
/// the processor has AVX2 and FMA.
#[derive(Clone, Copy)]
struct Avx2(__m256, __m256);

impl Register for Avx2 {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        // SAFETY: the processor has AVX2 and FMA.
        let value = unsafe { _mm256_set1_ps(value) };
        Self(value, value)
    }

    #[inline(always)]
    fn load(vector: &Vector) -> Self {
        let pointer = vector.0.as_ptr();
        // SAFETY: the processor has AVX2 and FMA; a `Vector` is 16 floats, aligned to 64 bytes.
        unsafe { Self(_mm256_load_ps(pointer), _mm256_load_ps(pointer.add(8))) }
    }

    #[inline(always)]
    fn store(self, vector: &mut Vector) {
        let pointer = vector.0.as_mut_ptr();
        // SAFETY: the processor has AVX2 and FMA; a `Vector` is 16 floats, aligned to 64 bytes.
        unsafe {
            _mm256_store_ps(pointer, self.0);
            _mm256_store_ps(pointer.add(8), self.1);
        }
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        // SAFETY: the processor has AVX2 and FMA.
        unsafe {
            Self(
                _mm256_add_ps(self.0, other.0),
                _mm256_add_ps(self.1, other.1),
            )
        }
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        // SAFETY: the processor has AVX2 and FMA.
        unsafe {
            Self(
                _mm256_sub_ps(self.0, other.0),
                _mm256_sub_ps(self.1, other.1),
            )
        }
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        // SAFETY: the processor has AVX2 and FMA.
        unsafe {
            Self(
                _mm256_mul_ps(self.0, other.0),
                _mm256_mul_ps(self.1, other.1),
            )
        }
    }

    #[inline(always)]
    fn plus_product(self, a: Self, b: Self) -> Self {
        // SAFETY: the processor has AVX2 and FMA.
        unsafe {
            Self(
                _mm256_fmadd_ps(a.0, b.0, self.0),
                _mm256_fmadd_ps(a.1, b.1, self.1),
            )
        }
    }

    #[inline(always)]
    fn greatest(self, other: Self) -> Self {
        // SAFETY: the processor has AVX2 and FMA.
        unsafe {
            Self(
                _mm256_max_ps(self.0, other.0),
                _mm256_max_ps(self.1, other.1),
            )
        }
    }

    #[inline(always)]
    fn where_greater(self, a: Self, b: Self) -> Self {
        // SAFETY: the processor has AVX2 and FMA.
        unsafe {
            Self(
                _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a.0, b.0), self.0),
                _mm256_and_ps(_mm256_cmp_ps::<_CMP_GT_OQ>(a.1, b.1), self.1),
            )
        }
    }

    #[inline(always)]
    fn where_equal(self, a: Self, b: Self) -> Self {
        // SAFETY: the processor has AVX2 and FMA.
        unsafe {
            Self(
                _mm256_and_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(a.0, b.0), self.0),
                _mm256_and_ps(_mm256_cmp_ps::<_CMP_EQ_OQ>(a.1, b.1), self.1),
            )
        }
    }
}
