//! Genotype to phenotype (paper, section 3.2 and Fig. 1), without weights.
//!
//! Layer `i` of the phenotype is gene `i`; the flattening and the fully connected layer follow.
//! Decoding reads the genome and never mends it: that is [`crate::repair`], a step before.

use exporter::network::Network;
use runtime_nostd::geometry::{Activation, GeometryError, Op, Shape};

use crate::genome::Genome;

/// Layers that follow the genes: flattening and fully connected.
pub const TAIL_LAYERS: usize = 2;

/// One layer of a phenotype: everything about it but its weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LayerPlan {
    /// What it computes.
    pub op: Op,
    /// What follows the sum.
    pub activation: Activation,
    /// The map it reads.
    pub input: Shape,
    /// The map it writes.
    pub output: Shape,
}

/// The extents of a layer's weights, `[filters, height, width, channels]`: of a convolution's
/// kernels, or of a dense layer's neurons, which are kernels as large as the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilterShape {
    /// Filters or neurons.
    pub filters: usize,
    /// Rows of a filter.
    pub height: usize,
    /// Columns of a filter.
    pub width: usize,
    /// Channels of a filter.
    pub channels: usize,
}

impl LayerPlan {
    /// The extents of the weights; `None` for operations without.
    pub fn filter_shape(&self) -> Option<FilterShape> {
        let Shape {
            height,
            width,
            channels,
        } = self.input;
        let (height, width, channels) = match self.op {
            Op::Conv { window, .. } => (window.kernel_h.into(), window.kernel_w.into(), channels),
            Op::Depthwise { window } => (window.kernel_h.into(), window.kernel_w.into(), 1),
            Op::Dense { .. } => (height, width, channels),
            Op::MaxPool { .. } | Op::AvgPool { .. } | Op::Add { .. } | Op::Branch { .. } => {
                return None;
            }
        };
        Some(FilterShape {
            filters: self.op.filters(self.input),
            height: height.into(),
            width: width.into(),
            channels: channels.into(),
        })
    }

    /// Whether batch normalization stands between the sum and the activation. It does exactly
    /// where ReLU follows; pooling has neither, and the last layer's outputs are the logits.
    pub fn is_normalized(&self) -> bool {
        self.activation == Activation::Relu
    }
}

impl FilterShape {
    /// Weights of one filter.
    pub fn fan_in(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Weights of the layer.
    pub fn weights(&self) -> usize {
        self.filters * self.fan_in()
    }
}

/// A layer whose geometry is impossible over the map that it meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("layer {layer} cannot read the map it meets: {reason}")]
pub struct ImpossibleLayer {
    /// Its index in the phenotype.
    pub layer: usize,
    /// What is wrong.
    pub reason: GeometryError,
}

/// The layers of `genome`'s phenotype over an `input` image, first to last: its genes, the
/// flattening layer, and the fully connected layer with one output per class.
///
/// The flattening layer is a convolution whose kernel covers the whole map, which is a dense
/// layer. Softmax is no layer: the class is the largest logit.
///
/// # Errors
/// The first layer that does not fit.
///
/// ```
/// use evolve::decode::decode;
/// use evolve::genome::{Gene, Genome, Header};
/// use runtime_nostd::geometry::{Op, Shape};
///
/// let genome = Genome {
///     header: Header { id: 0, age: 0, learning_rate: 0.1, flatten_neurons: 50 },
///     genes: vec![Gene::Conv { kernel_size: 3, filters: 8, stride: 2, padding: 1 }],
/// };
/// let layers = decode(&genome, Shape::new(28, 28, 1), 10)?;
/// assert_eq!(layers[0].output, Shape::new(14, 14, 8));
/// assert_eq!(layers[1].op, Op::Dense { outputs: 50 });
/// assert_eq!(layers[2].op, Op::Dense { outputs: 10 });
/// # Ok::<(), evolve::decode::ImpossibleLayer>(())
/// ```
pub fn decode(
    genome: &Genome,
    input: Shape,
    classes: u16,
) -> Result<Vec<LayerPlan>, ImpossibleLayer> {
    let body = genome.genes.iter().map(|gene| gene.op());
    let flattening = Op::Dense {
        outputs: genome.header.flatten_neurons,
    };
    let normalized = body.chain([flattening]).map(|op| match op {
        Op::MaxPool { .. } | Op::AvgPool { .. } | Op::Branch { .. } => (op, Activation::Linear),
        Op::Conv { .. } | Op::Dense { .. } | Op::Depthwise { .. } | Op::Add { .. } => {
            (op, Activation::Relu)
        }
    });
    let logits = (Op::Dense { outputs: classes }, Activation::Linear);
    plan(normalized.chain([logits]), input)
}

/// The layers of an existing `network`.
///
/// # Errors
/// The first layer that does not fit.
pub fn plan_of(network: &Network) -> Result<Vec<LayerPlan>, ImpossibleLayer> {
    let layers = network.layers.iter();
    plan(
        layers.map(|layer| (layer.op, layer.activation)),
        network.input.shape,
    )
}

fn plan(
    layers: impl Iterator<Item = (Op, Activation)>,
    input: Shape,
) -> Result<Vec<LayerPlan>, ImpossibleLayer> {
    let mut input = input;
    layers
        .enumerate()
        .map(|(layer, (op, activation))| {
            let output = op
                .output(input)
                .map_err(|reason| ImpossibleLayer { layer, reason })?;
            let plan = LayerPlan {
                op,
                activation,
                input,
                output,
            };
            input = output;
            Ok(plan)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genome::{Gene, Header, PoolKind};

    /// The genotype of the paper's Fig. 1.
    fn figure_1() -> Genome {
        let conv = |filters| Gene::Conv {
            kernel_size: 5,
            filters,
            stride: 1,
            padding: 0,
        };
        let pool = |kind| Gene::Pool {
            kind,
            size: 2,
            stride: 2,
        };
        Genome {
            header: Header {
                id: 1,
                age: 0,
                learning_rate: 0.1,
                flatten_neurons: 70,
            },
            genes: vec![conv(6), pool(PoolKind::Max), conv(12), pool(PoolKind::Avg)],
        }
    }

    #[test]
    fn figure_1_maps_to_its_phenotype() {
        let genome = figure_1();
        let plan = decode(&genome, Shape::new(32, 32, 3), 10).unwrap();
        let names: Vec<_> = plan.iter().map(|layer| layer.op.name()).collect();
        assert_eq!(
            names,
            ["conv", "max pool", "conv", "avg pool", "dense", "dense"]
        );
        let normalized: Vec<_> = plan.iter().map(LayerPlan::is_normalized).collect();
        assert_eq!(normalized, [true, false, true, false, true, false]);
        assert_eq!(plan[4].input, Shape::new(5, 5, 12));
        assert_eq!(
            plan[4].filter_shape(),
            Some(FilterShape {
                filters: 70,
                height: 5,
                width: 5,
                channels: 12
            })
        );
        assert_eq!(plan[5].output, Shape::new(1, 1, 10));
    }

    #[test]
    fn a_layer_that_does_not_fit_is_named() {
        let error = decode(&figure_1(), Shape::new(9, 9, 1), 10).unwrap_err();
        assert_eq!(
            error,
            ImpossibleLayer {
                layer: 2,
                reason: GeometryError::KernelLargerThanMap
            }
        );
    }
}
