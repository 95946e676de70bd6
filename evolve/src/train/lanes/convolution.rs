//! The geometry of a convolution: bands of zero-padded rows, packed weights, and the way back to
//! the input.
//!
//! Backward with stride `s`: the input rows `y` of one residue `(y + pad) mod s` see every `s`-th
//! kernel row and neighboring rows of the output's gradient, so each of the `s_h · s_w` residues
//! (phases) is a correlation without gaps. Nothing is multiplied by inserted zeros.

use runtime_nostd::geometry::Window;

use super::map::{Extent, Reading};
use super::simd::{OUT, Register};
use super::vector::{Vector, pieces};

/// Vectors that a band of rows may take: half of a typical second-level cache.
const BAND_VECTORS: usize = 8192;

/// One dimension of a window.
#[derive(Clone, Copy, Debug)]
pub(super) struct Axis {
    kernel: usize,
    pub(super) stride: usize,
    /// Padding before the map's first element.
    pad: usize,
    /// Elements of the input.
    input: usize,
}

/// The kernel elements that inputs of one residue see, as a correlation over outputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Phase {
    /// `(input position + pad) mod stride`, which is also the first kernel element.
    residue: usize,
    /// Number of kernel elements: `residue`, `residue + stride`, and so on.
    pub(super) taps: usize,
}

impl Axis {
    /// Input elements that `outputs` neighboring outputs read.
    fn reach(self, outputs: usize) -> usize {
        (outputs - 1) * self.stride + self.kernel
    }

    fn phase(self, residue: usize) -> Phase {
        let taps = (self.kernel + self.stride - 1 - residue) / self.stride;
        Phase { residue, taps }
    }

    /// Zeros before the first output when outputs are read backward.
    fn halo(self) -> usize {
        self.phase(0).taps - 1
    }

    /// The first output, counted from the halo's start, that an input of `phase` reads.
    pub(super) fn first_output(self, phase: Phase, input: usize) -> usize {
        (input + self.pad - phase.residue) / self.stride + self.halo() + 1 - phase.taps
    }

    /// Outputs with both halos that the inputs `start..end` read: first and number.
    pub(super) fn outputs_of(self, start: usize, end: usize) -> (usize, usize) {
        let first = (start + self.pad) / self.stride;
        let last = (end - 1 + self.pad) / self.stride + self.halo();
        (first, last + 1 - first)
    }

    /// The inputs of `phase` within `start..end`: first and number.
    pub(super) fn inputs_of(self, phase: Phase, start: usize, end: usize) -> (usize, usize) {
        let past = (start + self.pad + self.stride - phase.residue) % self.stride;
        let first = start + (self.stride - past) % self.stride;
        (first, end.saturating_sub(first).div_ceil(self.stride))
    }

    /// The kernel elements of `phase` in the order of the outputs that they meet.
    fn taps(self, phase: Phase) -> impl Iterator<Item = usize> {
        (0..phase.taps)
            .rev()
            .map(move |tap| phase.residue + tap * self.stride)
    }
}

/// The geometry of one convolution, and the bands it is cut into.
#[derive(Clone, Copy, Debug)]
pub(super) struct Convolution {
    pub(super) rows: Axis,
    pub(super) columns: Axis,
    pub(super) input: Extent,
    pub(super) output: Extent,
}

impl Convolution {
    pub(super) fn new(window: Window, input: Extent, output: Extent) -> Self {
        Self {
            rows: Axis {
                kernel: window.kernel_h.into(),
                stride: window.stride_h.into(),
                pad: window.pad_top.into(),
                input: input.height,
            },
            columns: Axis {
                kernel: window.kernel_w.into(),
                stride: window.stride_w.into(),
                pad: window.pad_left.into(),
                input: input.width,
            },
            input,
            output,
        }
    }

    /// Weights of one filter.
    pub(super) fn fan_in(self) -> usize {
        self.kernel_rows() * self.run()
    }

    /// Rows of the kernel.
    pub(super) fn kernel_rows(self) -> usize {
        self.rows.kernel
    }

    /// Vectors of one kernel row, which are contiguous in a band: columns times channels.
    pub(super) fn run(self) -> usize {
        self.columns.kernel * self.input.channels
    }

    /// Vectors from one pixel's window to the next one's in a band.
    pub(super) fn pixel_step(self) -> usize {
        self.columns.stride * self.input.channels
    }

    /// Vectors of one padded row of the input.
    pub(super) fn padded_row(self) -> usize {
        self.columns.reach(self.output.width) * self.input.channels
    }

    /// Vectors from one output row's window to the next one's in a band.
    pub(super) fn row_step(self) -> usize {
        self.rows.stride * self.padded_row()
    }

    /// Output rows per band when going forward.
    fn output_rows_per_band(self) -> usize {
        let rows = (BAND_VECTORS / self.padded_row()).saturating_sub(self.rows.kernel);
        (rows / self.rows.stride + 1).min(self.output.height)
    }

    /// Vectors of one row of the output's gradient with its halos.
    pub(super) fn padded_gradient_row(self) -> usize {
        let last = (self.columns.input - 1 + self.columns.pad) / self.columns.stride;
        (last + self.columns.halo() + 1) * self.output.channels
    }

    /// Input rows per band when going backward.
    fn input_rows_per_band(self) -> usize {
        let rows = (BAND_VECTORS / self.padded_gradient_row()).saturating_sub(self.rows.halo() + 1);
        (rows.max(1) * self.rows.stride).min(self.input.height)
    }

    /// Vectors of the largest band, forward and backward.
    pub(super) fn band_vectors(self) -> usize {
        let forward = self.rows.reach(self.output_rows_per_band()) * self.padded_row();
        let gradient_rows =
            self.input_rows_per_band().div_ceil(self.rows.stride) + 1 + self.rows.halo();
        // The gradient of weights looks a whole step ahead of the last window.
        (forward + self.pixel_step()).max(gradient_rows * self.padded_gradient_row())
    }

    /// The output rows of each band: first and number.
    pub(super) fn output_bands(self) -> impl Iterator<Item = (usize, usize)> {
        pieces(self.output.height, self.output_rows_per_band())
    }

    /// The input rows of each band when going backward: first and number.
    pub(super) fn input_bands(self) -> impl Iterator<Item = (usize, usize)> {
        pieces(self.input.height, self.input_rows_per_band())
    }

    /// Fills `band` with the zero-padded activations that `rows` output rows from `first` read.
    #[inline(always)]
    pub(super) fn fill<R: Register>(
        self,
        source: &[Vector],
        reading: &Reading,
        (first, rows): (usize, usize),
        band: &mut [Vector],
    ) {
        let start = first * self.rows.stride;
        let padding = Padding {
            before: self.columns.pad * self.input.channels,
            row: self.padded_row(),
        };
        for (index, row) in band
            .chunks_exact_mut(padding.row)
            .take(self.rows.reach(rows))
            .enumerate()
        {
            match self.input.row_of(source, start + index, self.rows.pad) {
                None => row.fill(Vector::ZERO),
                Some(source) => {
                    let inside = padding.zero_sides(row, source.len());
                    reading.activations::<R>(source, inside);
                }
            }
        }
    }

    /// Fills `band` with rows `first..first + rows` of the output's gradient, counted from the
    /// halo's start.
    #[inline(always)]
    pub(super) fn fill_gradient(
        self,
        gradient: &[Vector],
        (first, rows): (usize, usize),
        band: &mut [Vector],
    ) {
        let padding = Padding {
            before: self.columns.halo() * self.output.channels,
            row: self.padded_gradient_row(),
        };
        for (index, row) in band.chunks_exact_mut(padding.row).take(rows).enumerate() {
            match self
                .output
                .row_of(gradient, first + index, self.rows.halo())
            {
                None => row.fill(Vector::ZERO),
                Some(source) => {
                    let inside = padding.zero_sides(row, source.len());
                    inside.copy_from_slice(&source[..inside.len()]);
                }
            }
        }
    }

    /// Packs weights `[filter, kernel_h, kernel_w, in_channel]` for the forward correlation:
    /// for each piece of the filters `[kernel_h, kernel_w, in_channel, filter of the piece]`.
    pub(super) fn pack(self, weights: &[f32], packed: &mut [f32]) {
        let fan_in = self.fan_in();
        let mut packed = packed.iter_mut();
        for (first, filters) in pieces(self.output.channels, OUT) {
            for term in 0..fan_in {
                for (filter, to) in (first..first + filters).zip(&mut packed) {
                    *to = weights[filter * fan_in + term];
                }
            }
        }
    }

    /// Packs weights for the backward correlation: for each phase and each piece of the input's
    /// channels `[tap row, tap column, filter, channel of the piece]`.
    pub(super) fn pack_backward(self, weights: &[f32], packed: &mut [f32]) {
        let (channels, fan_in) = (self.input.channels, self.fan_in());
        let mut packed = packed.iter_mut();
        for (rows, columns) in self.phases() {
            for (first, count) in pieces(channels, OUT) {
                for y in self.rows.taps(rows) {
                    for x in self.columns.taps(columns) {
                        let tap = (y * self.columns.kernel + x) * channels;
                        for filter in 0..self.output.channels {
                            for (channel, to) in (first..first + count).zip(&mut packed) {
                                *to = weights[filter * fan_in + tap + channel];
                            }
                        }
                    }
                }
            }
        }
    }

    /// The phases of rows and columns, in the order of [`Convolution::pack_backward`].
    pub(super) fn phases(self) -> impl Iterator<Item = (Phase, Phase)> {
        (0..self.rows.stride).flat_map(move |y| {
            (0..self.columns.stride).map(move |x| (self.rows.phase(y), self.columns.phase(x)))
        })
    }
}

/// The zero columns of a band, in vectors.
struct Padding {
    before: usize,
    /// The whole row.
    row: usize,
}

impl Padding {
    /// Zeroes both sides of `row` and returns what lies between, at most `length` vectors.
    fn zero_sides<'row>(&self, row: &'row mut [Vector], length: usize) -> &'row mut [Vector] {
        let end = (self.before + length).min(self.row);
        row[..self.before].fill(Vector::ZERO);
        row[end..].fill(Vector::ZERO);
        &mut row[self.before..end]
    }
}
