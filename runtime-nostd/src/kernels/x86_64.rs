//! Sixteen images side by side in the vectors of AVX2 or AVX-512.
//!
//! Each lane belongs to one image. A pair of weights is broadcast, straight from the blob, and
//! multiplied with the same pair of activations of every image (`vpmaddwd`), so that every number of
//! filters and every kernel size runs at full width. The alternative, one image with filters and
//! columns as lanes, was measured on Zen 4: it must collect the pairs of several columns into each
//! vector, and reached 55 billion multiply-accumulates per second at 16 filters and 29 at 7, where
//! this reaches 100 and 86 (AVX-512; 87 and 73 with AVX2).
//!
//! `vpdpwssd` (VNNI) showed no gain over `vpmaddwd` and `vpaddd`, which all of AVX-512BW has.
//!
//! Every sum is exact, and `Model::parse` has proved that it fits: any order of the terms gives the
//! bits of the scalar kernels.
#![allow(unsafe_code)]
// Indexed loops, not iterators: they need no inlining to leave the accumulators in registers.
#![allow(clippy::needless_range_loop)]

use core::arch::x86_64::*;
use std::arch::is_x86_feature_detected;

use super::Kernels;
use super::scalar::{self, ConvRow, Filters, Rows};
use crate::blob::GROUP;
use crate::q8_8::{Product, Requantize};

/// Images side by side.
pub(crate) const IMAGES: usize = 16;

/// One activation of every image.
type Activation = [i16; IMAGES];

/// One sum of every image.
type Sum = [i32; IMAGES];

/// An instruction set that this machine has: only detection makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SideBySide(Level);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Avx512,
    Avx2,
}

impl SideBySide {
    /// AVX-512, if this machine has it.
    pub(crate) fn avx512() -> Option<Self> {
        (Self::avx2().is_some()
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw"))
        .then_some(Self(Level::Avx512))
    }

    /// AVX2, if this machine has it.
    pub(crate) fn avx2() -> Option<Self> {
        is_x86_feature_detected!("avx2").then_some(Self(Level::Avx2))
    }

    /// Its name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self.0 {
            Level::Avx512 => "avx512",
            Level::Avx2 => "avx2",
        }
    }

    fn run(self, kernel: impl Kernel, product: Product) {
        match (self.0, product) {
            // SAFETY: detection found AVX-512F and AVX-512BW.
            (Level::Avx512, Product::Exact) => unsafe { run_avx512::<Exact>(kernel) },
            // SAFETY: as above.
            (Level::Avx512, Product::Rounded) => unsafe { run_avx512::<Rounded>(kernel) },
            // SAFETY: detection found AVX2.
            (Level::Avx2, Product::Exact) => unsafe { run_avx2::<Exact>(kernel) },
            // SAFETY: as above.
            (Level::Avx2, Product::Rounded) => unsafe { run_avx2::<Rounded>(kernel) },
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn run_avx512<P: Multiply>(kernel: impl Kernel) {
    // SAFETY: this function has the features of `Avx512`.
    unsafe { kernel.run::<Avx512, P>() }
}

#[target_feature(enable = "avx2")]
fn run_avx2<P: Multiply>(kernel: impl Kernel) {
    // SAFETY: this function has the feature of `Avx2`.
    unsafe { kernel.run::<Avx2, P>() }
}

impl Kernels<IMAGES> for SideBySide {
    fn store_pixels(self, images: [&[u8]; IMAGES], zero: &[u8], row: &mut [Activation]) {
        let elements = row.len();
        if elements < BLOCK || zero.is_empty() || images.iter().any(|row| row.len() < elements) {
            return scalar::store_pixels(images, zero, row);
        }
        for start in (0..elements).step_by(BLOCK) {
            // The last block overlaps the one before.
            let start = start.min(elements - BLOCK);
            let block = &mut row[start..][..BLOCK];
            // SAFETY: detection found AVX2, which both levels need; the images and
            // the row have `BLOCK` elements from `start` on.
            unsafe { transpose(&images, start, block) };
            let zero = zero.iter().cycle().skip(start % zero.len());
            for (activations, &zero) in block.iter_mut().zip(zero) {
                for activation in activations {
                    *activation -= i16::from(zero);
                }
            }
        }
    }

    fn conv_row(self, row: ConvRow<'_, Activation>, out: &mut [Activation]) {
        if let Some(conv) = Conv::new(row, out) {
            self.run(conv, row.filters.product);
        }
    }

    fn depthwise_row(self, row: ConvRow<'_, Activation>, out: &mut [Activation]) {
        if let Some(depthwise) = Depthwise::new(row, out) {
            self.run(depthwise, row.filters.product);
        }
    }

    fn dense_row(self, filters: &Filters<'_>, y: usize, row: &[Activation], sums: &mut [Sum]) {
        if let Some(dense) = Dense::new(filters, y, row, sums) {
            self.run(dense, filters.product);
        }
    }
}

/// Pixels that are transposed together.
const BLOCK: usize = 16;

/// From the pixels of each image to the images of each pixel.
///
/// # Safety
/// `images` have [`BLOCK`] elements from `start` on, and `block` has as many.
#[target_feature(enable = "avx2")]
unsafe fn transpose(images: &[&[u8]; IMAGES], start: usize, block: &mut [Activation]) {
    let mut rows = [_mm_setzero_si128(); IMAGES];
    for image in 0..IMAGES {
        // SAFETY: the caller's promise; a block is a vector long.
        rows[image] = unsafe { _mm_loadu_si128(images[image].as_ptr().add(start).cast()) };
    }
    // Four times, the first half of the vectors is interleaved with the second.
    for _ in 0..4 {
        let halves = rows;
        for index in 0..IMAGES / 2 {
            let (a, b) = (halves[index], halves[index + IMAGES / 2]);
            rows[2 * index] = _mm_unpacklo_epi8(a, b);
            rows[2 * index + 1] = _mm_unpackhi_epi8(a, b);
        }
    }
    for (activations, pixels) in block.iter_mut().zip(rows) {
        let wide = _mm256_cvtepu8_epi16(pixels);
        // SAFETY: the array has the vector's length.
        unsafe { _mm256_storeu_si256(activations.as_mut_ptr().cast(), wide) };
    }
}

/// A computation whose lengths have been checked.
trait Kernel {
    /// Runs it. `#[inline(always)]`, so that it is compiled with the features of its caller.
    ///
    /// # Safety
    /// The processor has the instructions of `V`.
    unsafe fn run<V: Vector, P: Multiply>(self);
}

/// Vectors of one instruction set: how sixteen images lie in them.
///
/// # Safety
/// All functions need a processor with these instructions, and pointers that may be read.
trait Vector {
    /// Columns of a block of accumulators that fits the registers, with [`GROUP`] filters.
    const COLUMNS: usize;
    /// Sums of all images, in any order.
    type Sums: Copy;
    /// Two activations of all images, in the order of the sums.
    type Pair: Copy;
    /// Two weights, for all images.
    type Weights: Copy;

    unsafe fn splat(sum: i32) -> Self::Sums;
    unsafe fn load(sums: &Sum) -> Self::Sums;
    unsafe fn unload(sums: Self::Sums) -> Sum;
    unsafe fn store(sums: Self::Sums, store: Requantize) -> Activation;
    /// The activation that `first` points at, and the next.
    unsafe fn neighbors(first: *const Activation) -> Self::Pair;
    unsafe fn pair(even: *const Activation, odd: *const Activation) -> Self::Pair;
    unsafe fn weights(weights: [i16; 2]) -> Self::Weights;
    /// Adds the two products of each image.
    unsafe fn add_exact(sums: Self::Sums, pair: Self::Pair, weights: Self::Weights) -> Self::Sums;
    /// The products of [`Product::Rounded`], which fit 16 bits.
    unsafe fn rounded(pair: Self::Pair, weights: Self::Weights) -> Self::Pair;
}

/// A [`Product`] as a type.
trait Multiply {
    /// Adds two products to the sums of each image.
    ///
    /// # Safety
    /// As for [`Vector`].
    unsafe fn add<V: Vector>(sums: V::Sums, pair: V::Pair, weights: V::Weights) -> V::Sums;
}

struct Exact;

impl Multiply for Exact {
    #[inline(always)]
    unsafe fn add<V: Vector>(sums: V::Sums, pair: V::Pair, weights: V::Weights) -> V::Sums {
        // SAFETY: the caller's promise.
        unsafe { V::add_exact(sums, pair, weights) }
    }
}

struct Rounded;

impl Multiply for Rounded {
    #[inline(always)]
    unsafe fn add<V: Vector>(sums: V::Sums, pair: V::Pair, weights: V::Weights) -> V::Sums {
        // SAFETY: the caller's promise.
        unsafe { V::add_exact(sums, V::rounded(pair, weights), V::weights([1, 1])) }
    }
}

/// One register holds the sums of all images in their order.
struct Avx512;

impl Vector for Avx512 {
    const COLUMNS: usize = 4;
    type Sums = __m512i;
    type Pair = __m512i;
    type Weights = __m512i;

    #[inline(always)]
    unsafe fn splat(sum: i32) -> __m512i {
        // SAFETY: the caller promises AVX-512.
        unsafe { _mm512_set1_epi32(sum) }
    }

    #[inline(always)]
    unsafe fn load(sums: &Sum) -> __m512i {
        // SAFETY: the caller promises AVX-512; the array has the vector's length.
        unsafe { _mm512_loadu_si512(sums.as_ptr().cast()) }
    }

    #[inline(always)]
    unsafe fn unload(sums: __m512i) -> Sum {
        let mut stored = [0; IMAGES];
        // SAFETY: the caller promises AVX-512; the array has the vector's length.
        unsafe { _mm512_storeu_si512(stored.as_mut_ptr().cast(), sums) };
        stored
    }

    #[inline(always)]
    unsafe fn store(sums: __m512i, store: Requantize) -> Activation {
        let mut stored = [0; IMAGES];
        // SAFETY: the caller promises AVX-512; the array has half the vector's length.
        unsafe {
            let shifted = _mm512_sra_epi32(sums, _mm_cvtsi32_si128(store.shift.into()));
            let raised = _mm512_max_epi32(shifted, _mm512_set1_epi32(store.low.into()));
            _mm256_storeu_si256(stored.as_mut_ptr().cast(), _mm512_cvtsepi32_epi16(raised));
        }
        stored
    }

    #[inline(always)]
    unsafe fn neighbors(first: *const Activation) -> __m512i {
        // SAFETY: the caller promises AVX-512 and two activations, the vector's length.
        unsafe { interleave(_mm512_loadu_si512(first.cast())) }
    }

    #[inline(always)]
    unsafe fn pair(even: *const Activation, odd: *const Activation) -> __m512i {
        // SAFETY: the caller promises AVX-512 and one activation, half a vector, at each place.
        unsafe {
            let even = _mm512_castsi256_si512(_mm256_loadu_si256(even.cast()));
            interleave(_mm512_inserti64x4::<1>(
                even,
                _mm256_loadu_si256(odd.cast()),
            ))
        }
    }

    #[inline(always)]
    unsafe fn weights(weights: [i16; 2]) -> __m512i {
        // SAFETY: the caller promises AVX-512.
        unsafe { _mm512_set1_epi32(bytemuck::cast(weights)) }
    }

    #[inline(always)]
    unsafe fn add_exact(sums: __m512i, pair: __m512i, weights: __m512i) -> __m512i {
        // SAFETY: the caller promises AVX-512.
        unsafe { _mm512_add_epi32(sums, _mm512_madd_epi16(pair, weights)) }
    }

    #[inline(always)]
    unsafe fn rounded(pair: __m512i, weights: __m512i) -> __m512i {
        // SAFETY: the caller promises AVX-512.
        unsafe {
            let low = _mm512_mullo_epi16(pair, weights);
            let high = _mm512_mulhi_epi16(pair, weights);
            let half = _mm512_set1_epi32(128);
            let a = _mm512_add_epi32(_mm512_unpacklo_epi16(low, high), half);
            let b = _mm512_add_epi32(_mm512_unpackhi_epi16(low, high), half);
            _mm512_packs_epi32(_mm512_srai_epi32::<8>(a), _mm512_srai_epi32::<8>(b))
        }
    }
}

/// From two activations one after the other to pairs, image by image.
///
/// # Safety
/// The processor has AVX-512BW.
#[inline(always)]
unsafe fn interleave(activations: __m512i) -> __m512i {
    const ORDER: [i16; 2 * IMAGES] = {
        let mut order = [0; 2 * IMAGES];
        let mut image = 0;
        while image < IMAGES {
            order[2 * image] = image as i16;
            order[2 * image + 1] = (IMAGES + image) as i16;
            image += 1;
        }
        order
    };
    // SAFETY: the caller promises AVX-512BW.
    unsafe { _mm512_permutexvar_epi16(_mm512_loadu_si512(ORDER.as_ptr().cast()), activations) }
}

/// Two registers hold the sums of images 0 to 3 and 8 to 11, and of 4 to 7 and 12 to 15: so pairs
/// come from interleaving activations within 128 bits, and activations from packing.
struct Avx2;

impl Vector for Avx2 {
    const COLUMNS: usize = 1;
    type Sums = [__m256i; 2];
    type Pair = [__m256i; 2];
    type Weights = __m256i;

    #[inline(always)]
    unsafe fn splat(sum: i32) -> [__m256i; 2] {
        // SAFETY: the caller promises AVX2.
        unsafe { [_mm256_set1_epi32(sum); 2] }
    }

    #[inline(always)]
    unsafe fn load(sums: &Sum) -> [__m256i; 2] {
        // SAFETY: the caller promises AVX2; the array has the length of two vectors.
        unsafe {
            let sums = sums.as_ptr().cast::<__m256i>();
            swap_middle([_mm256_loadu_si256(sums), _mm256_loadu_si256(sums.add(1))])
        }
    }

    #[inline(always)]
    unsafe fn unload(sums: [__m256i; 2]) -> Sum {
        let mut stored = [0; IMAGES];
        // SAFETY: the caller promises AVX2; the array has the length of two vectors.
        unsafe {
            let [a, b] = swap_middle(sums);
            let to = stored.as_mut_ptr().cast::<__m256i>();
            _mm256_storeu_si256(to, a);
            _mm256_storeu_si256(to.add(1), b);
        }
        stored
    }

    #[inline(always)]
    unsafe fn store([a, b]: [__m256i; 2], store: Requantize) -> Activation {
        let mut stored = [0; IMAGES];
        // SAFETY: the caller promises AVX2; the array has the vector's length.
        unsafe {
            let shift = _mm_cvtsi32_si128(store.shift.into());
            let packed = _mm256_packs_epi32(_mm256_sra_epi32(a, shift), _mm256_sra_epi32(b, shift));
            let raised = _mm256_max_epi16(packed, _mm256_set1_epi16(store.low));
            _mm256_storeu_si256(stored.as_mut_ptr().cast(), raised);
        }
        stored
    }

    #[inline(always)]
    unsafe fn neighbors(first: *const Activation) -> [__m256i; 2] {
        // SAFETY: the caller promises AVX2 and two activations.
        unsafe { Self::pair(first, first.add(1)) }
    }

    #[inline(always)]
    unsafe fn pair(even: *const Activation, odd: *const Activation) -> [__m256i; 2] {
        // SAFETY: the caller promises AVX2 and one activation, the vector's length, at each place.
        unsafe {
            let (even, odd) = (
                _mm256_loadu_si256(even.cast()),
                _mm256_loadu_si256(odd.cast()),
            );
            [
                _mm256_unpacklo_epi16(even, odd),
                _mm256_unpackhi_epi16(even, odd),
            ]
        }
    }

    #[inline(always)]
    unsafe fn weights(weights: [i16; 2]) -> __m256i {
        // SAFETY: the caller promises AVX2.
        unsafe { _mm256_set1_epi32(bytemuck::cast(weights)) }
    }

    #[inline(always)]
    unsafe fn add_exact(
        [a, b]: [__m256i; 2],
        pair: [__m256i; 2],
        weights: __m256i,
    ) -> [__m256i; 2] {
        // SAFETY: the caller promises AVX2.
        unsafe {
            [
                _mm256_add_epi32(a, _mm256_madd_epi16(pair[0], weights)),
                _mm256_add_epi32(b, _mm256_madd_epi16(pair[1], weights)),
            ]
        }
    }

    #[inline(always)]
    unsafe fn rounded(pair: [__m256i; 2], weights: __m256i) -> [__m256i; 2] {
        // SAFETY: the caller promises AVX2.
        unsafe { [rounded(pair[0], weights), rounded(pair[1], weights)] }
    }
}

/// [`Vector::rounded`] for half of the images.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn rounded(activations: __m256i, weights: __m256i) -> __m256i {
    // SAFETY: the caller promises AVX2.
    unsafe {
        let low = _mm256_mullo_epi16(activations, weights);
        let high = _mm256_mulhi_epi16(activations, weights);
        let half = _mm256_set1_epi32(128);
        let a = _mm256_add_epi32(_mm256_unpacklo_epi16(low, high), half);
        let b = _mm256_add_epi32(_mm256_unpackhi_epi16(low, high), half);
        _mm256_packs_epi32(_mm256_srai_epi32::<8>(a), _mm256_srai_epi32::<8>(b))
    }
}

/// From the order of the images to that of [`Avx2`], and back.
///
/// # Safety
/// The processor has AVX2.
#[inline(always)]
unsafe fn swap_middle([a, b]: [__m256i; 2]) -> [__m256i; 2] {
    // SAFETY: the caller promises AVX2.
    unsafe {
        [
            _mm256_permute2x128_si256::<0x20>(a, b),
            _mm256_permute2x128_si256::<0x31>(a, b),
        ]
    }
}

/// Whether `reach` elements follow the start of every row.
fn has_reach(rows: Rows<'_, Activation>, reach: usize) -> bool {
    let last_slot = rows.capacity.saturating_sub(1) * rows.row_elements;
    rows.first < rows.capacity
        && rows.count <= rows.capacity
        && last_slot + reach <= rows.buffer.len()
}

/// The elements of the buffer at which its rows start, top to bottom.
#[inline(always)]
fn row_starts(rows: Rows<'_, Activation>) -> impl Iterator<Item = usize> {
    let behind_last = rows.first + rows.count;
    (rows.first..behind_last).map(move |slot| {
        let slot = if slot < rows.capacity {
            slot
        } else {
            slot - rows.capacity
        };
        slot * rows.row_elements
    })
}

/// Whether bias and weights are as long as the packing says.
fn is_complete(filters: &Filters<'_>) -> bool {
    filters.bias.len() == filters.packing.filters
        && filters.weights.len() >= filters.packing.stored_weights()
}

/// One output row of a convolution. Every row of the map under the windows has those of all
/// columns, every filter has as many kernel rows behind the skipped ones, and `out` is
/// `[columns, spacing]` from the first of the filters on.
struct Conv<'a, 'o> {
    row: ConvRow<'a, Activation>,
    out: &'o mut [Activation],
}

impl<'a, 'o> Conv<'a, 'o> {
    fn new(row: ConvRow<'a, Activation>, out: &'o mut [Activation]) -> Option<Self> {
        let packing = row.filters.packing;
        let last = row.columns.checked_sub(1)?;
        let fits = has_reach(row.rows, last * row.step + packing.stored_row())
            && last * row.spacing + packing.filters <= out.len()
            && row.skipped_kernel_rows + row.rows.count <= packing.rows;
        (fits && is_complete(row.filters)).then_some(Self { row, out })
    }

    /// One group of filters over `COLUMNS` columns from `first` on.
    ///
    /// # Safety
    /// As [`Kernel::run`]; `first + COLUMNS` is at most the row's columns, and the group has `FILTERS`.
    #[inline(always)]
    unsafe fn block<V: Vector, P: Multiply, const FILTERS: usize, const COLUMNS: usize>(
        &mut self,
        first: usize,
        group: usize,
    ) {
        let packing = self.row.filters.packing;
        let (step, pairs) = (self.row.step, packing.stored_row() / 2);
        let filter = group * GROUP;
        let group_weights = filter * packing.rows * packing.stored_row();
        let skipped = self.row.skipped_kernel_rows * packing.stored_row() * FILTERS;
        let bias = &self.row.filters.bias[filter..][..FILTERS];
        // SAFETY: the group's weights lie behind those of the groups before it, complete; they are
        // `[rows][pairs][FILTERS][2]`, and there are skipped rows and `rows.count` more. In every
        // row the windows of all columns have `pairs` pairs.
        unsafe {
            let mut sums = [[V::splat(0); COLUMNS]; FILTERS];
            for filter in 0..FILTERS {
                sums[filter] = [V::splat(bias[filter]); COLUMNS];
            }
            let weights = self.row.filters.weights.as_ptr();
            let weights = weights.add(group_weights + skipped);
            let mut weights = weights.cast::<[[i16; 2]; FILTERS]>();
            for start in row_starts(self.row.rows) {
                let mut window = self.row.rows.buffer.as_ptr().add(start + first * step);
                for _ in 0..pairs {
                    let mut activations = [V::neighbors(window); COLUMNS];
                    for column in 1..COLUMNS {
                        activations[column] = V::neighbors(window.add(column * step));
                    }
                    let pair_weights = &*weights;
                    for filter in 0..FILTERS {
                        let weights = V::weights(pair_weights[filter]);
                        for column in 0..COLUMNS {
                            let sum = &mut sums[filter][column];
                            *sum = P::add::<V>(*sum, activations[column], weights);
                        }
                    }
                    window = window.add(2);
                    weights = weights.add(1);
                }
            }
            let out = self.out[first * self.row.spacing + filter..].as_mut_ptr();
            for column in 0..COLUMNS {
                for filter in 0..FILTERS {
                    let sums = sums[filter][column];
                    *out.add(column * self.row.spacing + filter) = V::store(sums, self.row.store);
                }
            }
        }
    }

    /// One group of filters over `columns` columns, 1 to 4.
    ///
    /// # Safety
    /// As [`Conv::block`].
    #[inline(always)]
    unsafe fn group<V: Vector, P: Multiply, const FILTERS: usize>(
        &mut self,
        first: usize,
        columns: usize,
        group: usize,
    ) {
        // SAFETY: the caller's promise. Blocks that the instruction set never uses vanish.
        unsafe {
            match columns {
                4 if V::COLUMNS >= 4 => self.block::<V, P, FILTERS, 4>(first, group),
                3 if V::COLUMNS >= 3 => self.block::<V, P, FILTERS, 3>(first, group),
                2 if V::COLUMNS >= 2 => self.block::<V, P, FILTERS, 2>(first, group),
                _ => self.block::<V, P, FILTERS, 1>(first, group),
            }
        }
    }
}

impl Kernel for Conv<'_, '_> {
    #[inline(always)]
    unsafe fn run<V: Vector, P: Multiply>(mut self) {
        let filters = self.row.filters.packing.filters;
        for (first, columns) in pieces(self.row.columns, V::COLUMNS) {
            for group in 0..filters.div_ceil(GROUP) {
                // SAFETY: the caller's promise; the piece lies within the columns.
                unsafe {
                    match filters - group * GROUP {
                        1 => self.group::<V, P, 1>(first, columns, group),
                        2 => self.group::<V, P, 2>(first, columns, group),
                        3 => self.group::<V, P, 3>(first, columns, group),
                        _ => self.group::<V, P, GROUP>(first, columns, group),
                    }
                }
            }
        }
    }
}

/// One output row of a depthwise convolution, with the lengths of [`Conv`].
struct Depthwise<'a, 'o> {
    row: ConvRow<'a, Activation>,
    out: &'o mut [Activation],
}

impl<'a, 'o> Depthwise<'a, 'o> {
    fn new(row: ConvRow<'a, Activation>, out: &'o mut [Activation]) -> Option<Self> {
        let packing = row.filters.packing;
        let columns = out.len().checked_div(packing.filters)?;
        let reach = columns.checked_sub(1)? * row.step + packing.row_elements * packing.filters;
        let fits =
            has_reach(row.rows, reach) && row.skipped_kernel_rows + row.rows.count <= packing.rows;
        (fits && is_complete(row.filters)).then_some(Self { row, out })
    }
}

impl Kernel for Depthwise<'_, '_> {
    #[inline(always)]
    unsafe fn run<V: Vector, P: Multiply>(self) {
        let filters = self.row.filters;
        let (taps, channels) = (filters.packing.row_elements, filters.packing.filters);
        for (column, pixel) in self.out.chunks_exact_mut(channels).enumerate() {
            for (group, (bias, weights)) in filters.groups().enumerate() {
                let row_weights = taps * bias.len();
                let weights = &weights[self.row.skipped_kernel_rows * row_weights..];
                for (member, &bias) in bias.iter().enumerate() {
                    let channel = group * GROUP + member;
                    // SAFETY: the caller's promise; every row holds `taps` pixels of all channels
                    // from the column's first on.
                    pixel[channel] = unsafe {
                        let mut sums = V::splat(bias);
                        let starts = row_starts(self.row.rows);
                        for (start, weights) in starts.zip(weights.chunks(row_weights)) {
                            let start = start + column * self.row.step + channel;
                            let window = self.row.rows.buffer.as_ptr().add(start);
                            let weight = |tap: usize| weights[tap * (row_weights / taps) + member];
                            for tap in (0..taps).step_by(2) {
                                let even = window.add(tap * channels);
                                let (odd, odd_weight) = if tap + 1 < taps {
                                    (even.add(channels), weight(tap + 1))
                                } else {
                                    (even, 0)
                                };
                                let weights = V::weights([weight(tap), odd_weight]);
                                sums = P::add::<V>(sums, V::pair(even, odd), weights);
                            }
                        }
                        V::store(sums, self.row.store)
                    };
                }
            }
        }
    }
}

/// One input row of a dense layer: `row` and the packing's rows have `stored_row` elements, and
/// there is one sum for each filter.
struct Dense<'a, 's> {
    filters: &'a Filters<'a>,
    y: usize,
    row: &'a [Activation],
    sums: &'s mut [Sum],
}

impl<'a, 's> Dense<'a, 's> {
    fn new(
        filters: &'a Filters<'a>,
        y: usize,
        row: &'a [Activation],
        sums: &'s mut [Sum],
    ) -> Option<Self> {
        let packing = filters.packing;
        let fits =
            y < packing.rows && row.len() >= packing.stored_row() && sums.len() == packing.filters;
        (fits && is_complete(filters)).then_some(Self {
            filters,
            y,
            row,
            sums,
        })
    }

    /// # Safety
    /// As [`Kernel::run`].
    #[inline(always)]
    unsafe fn group<V: Vector, P: Multiply, const FILTERS: usize>(
        &self,
        weights: &[i16],
        sums: &mut [Sum],
    ) {
        let stored_row = self.filters.packing.stored_row();
        let weights = &weights[self.y * stored_row * FILTERS..][..stored_row * FILTERS];
        let (weights, _) = weights.as_chunks::<2>();
        let (weights, _) = weights.as_chunks::<FILTERS>();
        let Some(stored) = sums.first_chunk_mut::<FILTERS>() else {
            return;
        };
        // SAFETY: the caller's promise; the row has two activations for each pair of weights.
        unsafe {
            let mut sums = [V::splat(0); FILTERS];
            for filter in 0..FILTERS {
                sums[filter] = V::load(&stored[filter]);
            }
            let mut activations = self.row.as_ptr();
            for weights in weights {
                let pair = V::neighbors(activations);
                for filter in 0..FILTERS {
                    sums[filter] = P::add::<V>(sums[filter], pair, V::weights(weights[filter]));
                }
                activations = activations.add(2);
            }
            for filter in 0..FILTERS {
                stored[filter] = V::unload(sums[filter]);
            }
        }
    }
}

impl Kernel for Dense<'_, '_> {
    #[inline(always)]
    unsafe fn run<V: Vector, P: Multiply>(mut self) {
        let sums = core::mem::take(&mut self.sums);
        for (sums, (bias, weights)) in sums.chunks_mut(GROUP).zip(self.filters.groups()) {
            // SAFETY: the caller's promise.
            unsafe {
                match bias.len() {
                    1 => self.group::<V, P, 1>(weights, sums),
                    2 => self.group::<V, P, 2>(weights, sums),
                    3 => self.group::<V, P, 3>(weights, sums),
                    _ => self.group::<V, P, GROUP>(weights, sums),
                }
            }
        }
    }
}

/// Cuts `count` into as few pieces of at most `most` as possible, as equal as possible: their
/// first index and their length.
#[inline(always)]
fn pieces(count: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let number = count.div_ceil(most).max(1);
    (0..number).map(move |piece| {
        let (start, end) = (piece * count / number, (piece + 1) * count / number);
        (start, end - start)
    })
}
