//! Weight inheritance (paper, section 3.4, after Real et al.): weights that can be reused are
//! copied from the parent, superfluous ones are cut off, missing ones are random.
//!
//! A layer's weights are `[filters, height, width, channels]`, be it a convolution or a dense
//! layer (a kernel as large as the map). Where parent and child differ in an extent:
//! - filters and channels: the first ones are kept, new ones are appended;
//! - rows and columns: the smaller kernel lies in the middle of the larger one.
//!
//! Which parent's layer a child's layer continues is known from the operators ([`Origin`]), not
//! guessed from shapes.

use exporter::network::{BatchNorm, Layer, Parameters};
use rand::RngExt;
use rand_core::Rng;
use serde::{Deserialize, Serialize};

use crate::decode::{FilterShape, LayerPlan};
use crate::individual::{Individual, InvalidIndividual};

/// A parent's role in a crossover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parent {
    /// The first.
    A,
    /// The second.
    B,
}

/// Where a layer's weights come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// Nowhere: they are random.
    New,
    /// From a layer of a parent.
    Inherited {
        /// The parent.
        parent: Parent,
        /// The layer's index in the parent's phenotype.
        layer: usize,
    },
}

/// What a parent can pass on: the parameters of its layers, checked.
#[derive(Clone, Debug, Default)]
pub struct Heritage<'a> {
    layers: Vec<Option<(FilterShape, &'a Parameters)>>,
}

impl<'a> Heritage<'a> {
    /// What `individual` can pass on.
    ///
    /// # Errors
    /// As [`Individual::plan`].
    pub fn of(individual: &'a Individual) -> Result<Self, InvalidIndividual> {
        let plan = individual.plan()?;
        let layers = plan.iter().zip(&individual.network.layers);
        Ok(Self {
            layers: layers
                .map(|(planned, layer)| planned.filter_shape().zip(layer.parameters.as_ref()))
                .collect(),
        })
    }

    fn layer(&self, index: usize) -> Option<(FilterShape, &'a Parameters)> {
        self.layers.get(index).copied().flatten()
    }
}

/// The layer `planned`, with what it inherits from its origin in `parents` (A, B).
///
/// As many random numbers are drawn for an inherited layer as for a new one.
pub fn inherit<R: Rng + ?Sized>(
    planned: &LayerPlan,
    origin: Origin,
    parents: [&Heritage<'_>; 2],
    rng: &mut R,
) -> Layer {
    let source = match origin {
        Origin::New => None,
        Origin::Inherited { parent, layer } => parents[parent as usize].layer(layer),
    };
    let parameters = planned.filter_shape().map(|shape| {
        let mut parameters = random_parameters(planned, shape, rng);
        if let Some((source_shape, source)) = source {
            copy_weights(
                (source_shape, &source.weights),
                (shape, &mut parameters.weights),
            );
            copy_per_filter(source, &mut parameters);
        }
        parameters
    });
    Layer {
        op: planned.op,
        activation: planned.activation,
        parameters,
    }
}

/// Weights uniform within ±sqrt(1 / fan-in): close to zero (section 4), and such that sums over
/// many inputs are no larger than sums over few. Batch normalization follows every layer but the
/// last, so the scale matters only beside inherited weights, which have about this size.
fn random_parameters<R: Rng + ?Sized>(
    planned: &LayerPlan,
    shape: FilterShape,
    rng: &mut R,
) -> Parameters {
    let bound = (1.0 / shape.fan_in() as f32).sqrt();
    Parameters {
        weights: (0..shape.weights())
            .map(|_| rng.random_range(-bound..=bound))
            .collect(),
        bias: vec![0.0; shape.filters],
        norm: planned
            .is_normalized()
            .then(|| BatchNorm::identity(shape.filters)),
    }
}

fn copy_weights(source: (FilterShape, &[f32]), target: (FilterShape, &mut [f32])) {
    let (from, source) = source;
    let (to, target) = target;
    let rows = Overlap::centered(from.height, to.height);
    let columns = Overlap::centered(from.width, to.width);
    let channels = from.channels.min(to.channels);
    let offset = |shape: &FilterShape, filter: usize, row: usize, column: usize| {
        ((filter * shape.height + row) * shape.width + column) * shape.channels
    };
    for filter in 0..from.filters.min(to.filters) {
        for (from_row, to_row) in rows.pairs() {
            for (from_column, to_column) in columns.pairs() {
                let from = offset(&from, filter, from_row, from_column);
                let to = offset(&to, filter, to_row, to_column);
                target[to..][..channels].copy_from_slice(&source[from..][..channels]);
            }
        }
    }
}

fn copy_per_filter(source: &Parameters, target: &mut Parameters) {
    copy_first(&source.bias, &mut target.bias);
    if let (Some(source), Some(target)) = (&source.norm, &mut target.norm) {
        copy_first(&source.gamma, &mut target.gamma);
        copy_first(&source.beta, &mut target.beta);
        copy_first(&source.mean, &mut target.mean);
        copy_first(&source.variance, &mut target.variance);
    }
}

fn copy_first(source: &[f32], target: &mut [f32]) {
    for (target, source) in target.iter_mut().zip(source) {
        *target = *source;
    }
}

/// The positions that two ranges share if the smaller lies in the middle of the larger.
struct Overlap {
    from: usize,
    to: usize,
    length: usize,
}

impl Overlap {
    fn centered(from: usize, to: usize) -> Self {
        Self {
            from: from.saturating_sub(to) / 2,
            to: to.saturating_sub(from) / 2,
            length: from.min(to),
        }
    }

    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let (from, to) = (self.from, self.to);
        (0..self.length).map(move |step| (from + step, to + step))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;
    use runtime_nostd::geometry::{Activation, Op, Shape};

    use super::*;

    const ORIGIN: Origin = Origin::Inherited {
        parent: Parent::B,
        layer: 0,
    };

    /// A dense layer is a kernel of any size: it stands for convolutions here, too.
    fn plan(shape: FilterShape, activation: Activation) -> LayerPlan {
        let outputs = shape.filters as u16;
        let [height, width, channels] =
            [shape.height, shape.width, shape.channels].map(|extent| extent as u16);
        LayerPlan {
            op: Op::Dense { outputs },
            activation,
            input: Shape::new(height, width, channels),
            output: Shape::new(1, 1, outputs),
        }
    }

    /// Parameters unlike any random ones, and unlike each other.
    fn trained(shape: FilterShape) -> Parameters {
        let numbered = |start: usize| (0..shape.filters).map(|f| (start + f) as f32).collect();
        Parameters {
            weights: (0..shape.weights())
                .map(|index| 10.0 + index as f32)
                .collect(),
            bias: numbered(20_000),
            norm: Some(BatchNorm {
                gamma: numbered(30_000),
                beta: numbered(40_000),
                mean: numbered(50_000),
                variance: numbered(60_000),
            }),
        }
    }

    fn inherited(from: FilterShape, to: FilterShape) -> (Parameters, Parameters) {
        let source = trained(from);
        let heritage = Heritage {
            layers: vec![Some((from, &source))],
        };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let parents = [&Heritage::default(), &heritage];
        let layer = inherit(&plan(to, Activation::Relu), ORIGIN, parents, &mut rng);
        (source.clone(), layer.parameters.unwrap())
    }

    fn shape(filters: usize, height: usize, width: usize, channels: usize) -> FilterShape {
        FilterShape {
            filters,
            height,
            width,
            channels,
        }
    }

    fn weight(parameters: &Parameters, shape: FilterShape, at: [usize; 4]) -> f32 {
        let [filter, row, column, channel] = at;
        let pixel = (filter * shape.height + row) * shape.width + column;
        parameters.weights[pixel * shape.channels + channel]
    }

    #[test]
    fn an_unchanged_layer_is_copied() {
        let shape = shape(4, 3, 3, 2);
        let (source, child) = inherited(shape, shape);
        assert_eq!(child, source);
    }

    #[test]
    fn new_filters_are_appended_with_batch_normalization_that_changes_nothing() {
        let (from, to) = (shape(2, 3, 3, 1), shape(3, 3, 3, 1));
        let (source, child) = inherited(from, to);
        assert_eq!(child.weights[..18], source.weights);
        assert!(
            child.weights[18..]
                .iter()
                .all(|weight| weight.abs() <= 1.0 / 3.0)
        );
        assert_eq!(child.bias, [20_000.0, 20_001.0, 0.0]);
        let norm = child.norm.unwrap();
        assert_eq!(norm.gamma, [30_000.0, 30_001.0, 1.0]);
        assert_eq!(norm.beta, [40_000.0, 40_001.0, 0.0]);
        assert_eq!(norm.mean, [50_000.0, 50_001.0, 0.0]);
        assert_eq!(norm.variance, [60_000.0, 60_001.0, 1.0]);
    }

    #[test]
    fn superfluous_filters_are_cut_off() {
        let (from, to) = (shape(3, 1, 1, 2), shape(1, 1, 1, 2));
        let (source, child) = inherited(from, to);
        assert_eq!(child.weights, source.weights[..2]);
        assert_eq!(child.norm.unwrap().mean, [50_000.0]);
    }

    #[test]
    fn a_larger_kernel_has_the_smaller_in_its_middle() {
        let (from, to) = (shape(1, 3, 3, 2), shape(1, 5, 5, 2));
        let (source, child) = inherited(from, to);
        for (row, column, channel) in [(0, 0, 0), (0, 2, 1), (1, 1, 0), (2, 2, 1)] {
            assert_eq!(
                weight(&child, to, [0, row + 1, column + 1, channel]),
                weight(&source, from, [0, row, column, channel])
            );
        }
        let (source, child) = inherited(to, from);
        assert_eq!(
            weight(&child, from, [0, 1, 1, 0]),
            weight(&source, to, [0, 2, 2, 0])
        );
    }

    #[test]
    fn a_new_layer_is_close_to_zero_and_a_classifier_has_no_normalization() {
        let shape = shape(10, 4, 5, 5);
        let planned = plan(shape, Activation::Linear);
        let nobody = Heritage::default();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let layer = inherit(&planned, Origin::New, [&nobody; 2], &mut rng);
        let parameters = layer.parameters.unwrap();
        assert_eq!(parameters.norm, None);
        assert_eq!(parameters.bias, [0.0; 10]);
        let largest = parameters
            .weights
            .iter()
            .copied()
            .fold(0.0, |a: f32, b| a.max(b.abs()));
        assert!((0.09..=0.1).contains(&largest), "{largest}");
        let sum: f32 = parameters.weights.iter().sum();
        assert!(sum.abs() < 10.0, "{sum}");
    }

    fn any_shape() -> impl Strategy<Value = FilterShape> {
        (1..5usize, 1..8usize, 1..8usize, 1..5usize)
            .prop_map(|(filters, height, width, channels)| shape(filters, height, width, channels))
    }

    proptest! {
        /// All weights that both layers have room for are inherited, and no others.
        #[test]
        fn what_can_be_reused_is_reused(from in any_shape(), to in any_shape()) {
            let (source, child) = inherited(from, to);
            let reused = child.weights.iter().filter(|weight| **weight >= 10.0).count();
            let shared = from.filters.min(to.filters) * from.height.min(to.height)
                * from.width.min(to.width) * from.channels.min(to.channels);
            prop_assert_eq!(reused, shared);

            // Kernels of the same parity share their middle.
            let extents = [(from.height, to.height), (from.width, to.width)];
            prop_assume!(extents.iter().all(|(from, to)| from % 2 == to % 2));
            for filter in 0..to.filters.min(from.filters) {
                for channel in 0..to.channels.min(from.channels) {
                    prop_assert_eq!(
                        weight(&child, to, [filter, to.height / 2, to.width / 2, channel]),
                        weight(&source, from, [filter, from.height / 2, from.width / 2, channel])
                    );
                }
            }
        }
    }
}
