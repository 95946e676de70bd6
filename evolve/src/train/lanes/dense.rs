//! Fully connected layers. All blocks at once: each weight is loaded once for several of them.

use super::map::Reading;
use super::simd::{Kernel, OUT, Register, with_constant};
use super::vector::{LANES, Vector, pieces};
use super::weights::descend;

/// Vectors of a chunk of the input per block: they stay in the first-level cache.
const CHUNK_VECTORS: usize = 256;

/// The geometry of one dense layer over the whole batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dense {
    /// Elements that it reads.
    pub(super) inputs: usize,
    /// Channels of the map that it reads.
    pub(super) channels: usize,
    pub(super) outputs: usize,
    /// Blocks of the batch.
    pub(super) blocks: usize,
}

impl Dense {
    /// The same layer over fewer blocks.
    pub(super) fn of_blocks(self, blocks: usize) -> Self {
        Self { blocks, ..self }
    }

    /// Elements of a chunk: whole pixels.
    fn chunk(self) -> usize {
        ((CHUNK_VECTORS / self.channels).max(1) * self.channels).min(self.inputs)
    }

    /// Vectors of one chunk of every block, and what a group of weights reads beyond.
    pub(super) fn band_vectors(self) -> usize {
        (self.chunk() + LANES) * self.blocks
    }

    /// The first element of each chunk, and their number.
    fn chunks(self) -> impl Iterator<Item = (usize, usize)> {
        let chunk = self.chunk();
        (0..self.inputs)
            .step_by(chunk)
            .map(move |first| (first, chunk.min(self.inputs - first)))
    }

    /// Fills `band` with the activations of one chunk, `[block, chunk + LANES]`; zeros beyond.
    #[inline(always)]
    fn fill<R: Register>(
        self,
        source: &[Vector],
        reading: &Reading,
        (first, count): (usize, usize),
        band: &mut [Vector],
    ) {
        for (source, band) in source
            .chunks_exact(self.inputs)
            .take(self.blocks)
            .zip(band.chunks_exact_mut(self.chunk() + LANES))
        {
            reading.activations::<R>(&source[first..][..count], &mut band[..count]);
            band[count..].fill(Vector::ZERO);
        }
    }
}

/// The sums `output = bias + Σ weight · activation`.
pub(super) struct Forward<'a> {
    pub(super) dense: Dense,
    /// What the layer reads, as stored: `[block, inputs]`.
    pub(super) source: &'a [Vector],
    pub(super) reading: &'a Reading,
    /// `[output, input]`.
    pub(super) weights: &'a [f32],
    pub(super) bias: &'a [f32],
    pub(super) band: &'a mut [Vector],
    /// `[block, output]`.
    pub(super) output: &'a mut [Vector],
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run<R: Register, const PX: usize>(self) {
        let dense = self.dense;
        for output in self
            .output
            .chunks_exact_mut(dense.outputs)
            .take(dense.blocks)
        {
            for (output, &bias) in output.iter_mut().zip(self.bias) {
                R::splat(bias).store(output);
            }
        }
        for (first, count) in dense.chunks() {
            dense.fill::<R>(self.source, self.reading, (first, count), self.band);
            let product = Product {
                vectors: self.band,
                block_step: dense.chunk() + LANES,
                terms: count,
                weights: &self.weights[first..],
                fan_in: dense.inputs,
            };
            for block in pieces(dense.blocks, PX) {
                for out in pieces(dense.outputs, OUT) {
                    product.run::<R, PX>(block, out, self.output, dense.outputs);
                }
            }
        }
    }
}

/// Adds weights times activations of one chunk to the outputs.
#[derive(Clone, Copy)]
struct Product<'a> {
    /// `[block, block_step]`, of which `terms` count.
    vectors: &'a [Vector],
    block_step: usize,
    terms: usize,
    /// One row of `fan_in` per output, of which `terms` count.
    weights: &'a [f32],
    fan_in: usize,
}

impl Product<'_> {
    #[inline(always)]
    fn run<R: Register, const PX: usize>(
        self,
        blocks: (usize, usize),
        outs: (usize, usize),
        output: &mut [Vector],
        outputs: usize,
    ) {
        let (block, blocks) = blocks;
        let output = &mut output[block * outputs..];
        let this = Self {
            vectors: &self.vectors[block * self.block_step..],
            ..self
        };
        with_constant!(blocks, PX, N => this.blocks::<R, N>(outs, output, outputs));
    }

    #[inline(always)]
    fn blocks<R: Register, const BLOCKS: usize>(
        self,
        (out, count): (usize, usize),
        output: &mut [Vector],
        outputs: usize,
    ) {
        with_constant!(count, OUT, N => self.block::<R, N, BLOCKS>(out, output, outputs));
    }

    /// `COUNT` outputs of `BLOCKS` blocks.
    #[inline(always)]
    fn block<R: Register, const COUNT: usize, const BLOCKS: usize>(
        self,
        out: usize,
        output: &mut [Vector],
        outputs: usize,
    ) {
        let mut rows: [&[f32]; COUNT] = [&[]; COUNT];
        for (index, row) in rows.iter_mut().enumerate() {
            *row = &self.weights[(out + index) * self.fan_in..][..self.terms];
        }
        let mut runs: [&[Vector]; BLOCKS] = [&[]; BLOCKS];
        for (block, run) in runs.iter_mut().enumerate() {
            *run = &self.vectors[block * self.block_step..][..self.terms];
        }
        let mut sums = [[R::splat(0.0); BLOCKS]; COUNT];
        for term in 0..self.terms {
            let mut activations = [R::splat(0.0); BLOCKS];
            for block in 0..BLOCKS {
                activations[block] = R::load(&runs[block][term]);
            }
            for index in 0..COUNT {
                let weight = R::splat(rows[index][term]);
                for block in 0..BLOCKS {
                    sums[index][block] =
                        sums[index][block].plus_product(activations[block], weight);
                }
            }
        }
        for block in 0..BLOCKS {
            let output = &mut output[block * outputs + out..][..COUNT];
            for index in 0..COUNT {
                R::load(&output[index])
                    .plus(sums[index][block])
                    .store(&mut output[index]);
            }
        }
    }
}

/// The gradient with respect to what the layer reads.
pub(super) struct Backward<'a> {
    pub(super) dense: Dense,
    /// `[output, input]`.
    pub(super) weights: &'a [f32],
    /// With respect to the sums: `[block, output]`.
    pub(super) gradient: &'a [Vector],
    /// `[block, input]`.
    pub(super) input_gradient: &'a mut [Vector],
}

impl Kernel for Backward<'_> {
    #[inline(always)]
    fn run<R: Register, const PX: usize>(mut self) {
        for (block, blocks) in pieces(self.dense.blocks, PX) {
            with_constant!(blocks, PX, N => self.blocks::<R, N>(block));
        }
    }
}

impl Backward<'_> {
    #[inline(always)]
    fn blocks<R: Register, const BLOCKS: usize>(&mut self, block: usize) {
        for (input, count) in pieces(self.dense.inputs, OUT) {
            with_constant!(count, OUT, N => self.block::<R, N, BLOCKS>(input, block));
        }
    }

    /// `COUNT` neighboring inputs of `BLOCKS` blocks.
    #[inline(always)]
    fn block<R: Register, const COUNT: usize, const BLOCKS: usize>(
        &mut self,
        input: usize,
        block: usize,
    ) {
        let Dense {
            inputs, outputs, ..
        } = self.dense;
        let gradient = &self.gradient[block * outputs..][..BLOCKS * outputs];
        let mut sums = [[R::splat(0.0); BLOCKS]; COUNT];
        for (output, weights) in self.weights.chunks_exact(inputs).enumerate() {
            let weights = &weights[input..][..COUNT];
            let mut slopes = [R::splat(0.0); BLOCKS];
            for block in 0..BLOCKS {
                slopes[block] = R::load(&gradient[block * outputs + output]);
            }
            for index in 0..COUNT {
                let weight = R::splat(weights[index]);
                for block in 0..BLOCKS {
                    sums[index][block] = sums[index][block].plus_product(slopes[block], weight);
                }
            }
        }
        for (index, sums) in sums.iter().enumerate() {
            for (offset, sum) in sums.iter().enumerate() {
                let to = (block + offset) * inputs + input + index;
                sum.store(&mut self.input_gradient[to]);
            }
        }
    }
}

/// One step of gradient descent.
pub(super) struct Descend<'a> {
    pub(super) dense: Dense,
    /// What the layer reads, as stored: `[block, inputs]`.
    pub(super) source: &'a [Vector],
    pub(super) reading: &'a Reading,
    /// With respect to the sums: `[block, output]`.
    pub(super) gradient: &'a [Vector],
    pub(super) band: &'a mut [Vector],
    /// `[output, input]`.
    pub(super) weights: &'a mut [f32],
    pub(super) learning_rate: f32,
}

impl Kernel for Descend<'_> {
    #[inline(always)]
    fn run<R: Register, const PX: usize>(self) {
        let dense = self.dense;
        let block_step = dense.chunk() + LANES;
        for (first, count) in dense.chunks() {
            dense.fill::<R>(self.source, self.reading, (first, count), self.band);
            for (output, weights) in self.weights.chunks_exact_mut(dense.inputs).enumerate() {
                let groups = weights[first..][..count].chunks_mut(LANES);
                for (group, weights) in groups.enumerate() {
                    let mut products = [R::splat(0.0); LANES];
                    for block in 0..dense.blocks {
                        let slope = R::load(&self.gradient[block * dense.outputs + output]);
                        let start = block * block_step + group * LANES;
                        let activations = &self.band[start..][..LANES];
                        for index in 0..LANES {
                            products[index] =
                                products[index].plus_product(slope, R::load(&activations[index]));
                        }
                    }
                    descend(weights, products, self.learning_rate);
                }
            }
        }
    }
}
