//! The search space: the images and classes that networks are for, and the genomes that may be
//! built for them.

use exporter::network::Input;
use rand::RngExt;
use rand_core::Rng;
use runtime_nostd::geometry::{GeometryError, Shape};

use crate::cost::{Cost, LimitExceeded, Limits};
use crate::decode::{ImpossibleLayer, decode};
use crate::genome::{Gene, Genome, MAX_GENES, MIN_POOL_SIZE, PoolKind};
use crate::settings::{NewLayers, SettingOutOfRange};

/// Kernel sizes that new convolutions are drawn from. Odd ones have a center, so that padding can
/// preserve the map's size.
const NEW_KERNEL_SIZES: [u8; 3] = [1, 3, 5];
/// The share of convolutions among new layers.
const CONVOLUTION_SHARE: f64 = 2.0 / 3.0;
/// The share of new convolutions that halve the map. Most should not: a small image has room for
/// few reductions, and pooling layers are such.
const STRIDED_SHARE: f64 = 0.125;

/// What networks are evolved for, and within which bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchSpace {
    input: Input,
    classes: Vec<String>,
    class_count: u16,
    new_layers: NewLayers,
    limits: Limits,
}

/// A search space that holds no network.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpaceError {
    /// An image without pixels, or with too many.
    #[error("images of {0} cannot be a network's input: {1}")]
    Input(Shape, GeometryError),
    /// Not one zero per channel.
    #[error("{zeros} zero points for {channels} channels: give one per channel")]
    Zeros {
        /// Zero points given.
        zeros: usize,
        /// Channels of the image.
        channels: u16,
    },
    /// Nothing to tell apart, or more than labels can.
    #[error("{0} classes: between 2 and 256 can be told apart")]
    Classes(usize),
    /// A bound on new layers that no gene can have.
    #[error(transparent)]
    NewLayers(#[from] SettingOutOfRange),
}

/// Why a genome is not in the search space.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NotInSpace {
    /// Too many genes.
    #[error("{0} genes: at most {MAX_GENES} are allowed")]
    TooManyGenes(usize),
    /// A layer does not fit.
    #[error(transparent)]
    Impossible(#[from] ImpossibleLayer),
    /// The network is too large.
    #[error(transparent)]
    TooLarge(#[from] LimitExceeded),
}

impl SearchSpace {
    /// The networks that read `input` and tell `classes` apart.
    ///
    /// # Errors
    /// If there can be none.
    pub fn new(
        input: Input,
        classes: Vec<String>,
        new_layers: NewLayers,
        limits: Limits,
    ) -> Result<Self, SpaceError> {
        let shape = input.shape;
        shape
            .check()
            .map_err(|error| SpaceError::Input(shape, error))?;
        if input.zero.len() != usize::from(shape.channels) {
            return Err(SpaceError::Zeros {
                zeros: input.zero.len(),
                channels: shape.channels,
            });
        }
        let Ok(class_count @ 2..=256) = u16::try_from(classes.len()) else {
            return Err(SpaceError::Classes(classes.len()));
        };
        new_layers.check()?;
        Ok(Self {
            input,
            classes,
            class_count,
            new_layers,
            limits,
        })
    }

    /// The images.
    pub fn input(&self) -> &Input {
        &self.input
    }

    /// Names of the classes, in label order.
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Outputs of the last layer.
    pub fn class_count(&self) -> u16 {
        self.class_count
    }

    /// Bounds on layers that operators draw.
    pub fn new_layers(&self) -> NewLayers {
        self.new_layers
    }

    /// The cost of `genome`'s network.
    ///
    /// # Errors
    /// If `genome` is not in this space: a layer does not fit, or a limit is exceeded.
    pub fn admit(&self, genome: &Genome) -> Result<Cost, NotInSpace> {
        if genome.genes.len() > MAX_GENES {
            return Err(NotInSpace::TooManyGenes(genome.genes.len()));
        }
        let cost = Cost::of(&decode(genome, self.input.shape, self.class_count)?);
        self.limits.check(&cost)?;
        Ok(cost)
    }

    /// A new layer, its hyperparameters drawn at random within Table 1's bounds.
    ///
    /// Two of three are convolutions, which are what learns. Neither kind enlarges the map, and a
    /// pooling layer always reduces it.
    pub fn random_gene<R: Rng + ?Sized>(&self, rng: &mut R) -> Gene {
        if rng.random::<f64>() < CONVOLUTION_SHARE {
            let kernel_size = NEW_KERNEL_SIZES[rng.random_range(0..NEW_KERNEL_SIZES.len())];
            let is_strided = rng.random::<f64>() < STRIDED_SHARE;
            Gene::Conv {
                kernel_size,
                filters: rng.random_range(1..=self.new_layers.max_filters),
                stride: if is_strided { 2 } else { 1 },
                padding: rng.random_range(0..=(kernel_size - 1) / 2),
            }
        } else {
            let is_max = rng.random();
            let size = rng.random_range(MIN_POOL_SIZE..=self.new_layers.max_pool_size);
            Gene::Pool {
                kind: if is_max { PoolKind::Max } else { PoolKind::Avg },
                size,
                stride: rng.random_range(2..=size),
            }
        }
    }
}

#[cfg(test)]
impl SearchSpace {
    /// Gray images of `size` rows and columns, two classes, default bounds.
    pub(crate) fn small(size: u16) -> Self {
        let input = Input {
            shape: Shape::new(size, size, 1),
            zero: vec![0],
        };
        let new_layers = NewLayers {
            max_filters: 12,
            max_pool_size: 4,
        };
        let classes = ["odd", "even"].map(String::from).into();
        Self::new(input, classes, new_layers, Limits::default()).expect("a valid space")
    }

    /// The same with other limits.
    pub(crate) fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;

    use super::*;
    use crate::genome::Header;

    fn genome(genes: Vec<Gene>) -> Genome {
        let header = Header {
            id: 0,
            age: 0,
            learning_rate: 0.1,
            flatten_neurons: 50,
        };
        Genome { header, genes }
    }

    #[test]
    fn new_layers_use_the_whole_of_table_1_and_no_more() {
        let space = SearchSpace::small(28);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let genes: Vec<_> = (0..2000).map(|_| space.random_gene(&mut rng)).collect();
        let filters = genes.iter().filter_map(|gene| match gene {
            Gene::Conv { filters, .. } => Some(*filters),
            Gene::Pool { .. } => None,
        });
        let sizes = genes.iter().filter_map(|gene| match gene {
            Gene::Pool { size, .. } => Some(*size),
            Gene::Conv { .. } => None,
        });
        assert_eq!(
            filters.clone().min().zip(filters.clone().max()),
            Some((1, 12))
        );
        assert_eq!(sizes.clone().min().zip(sizes.clone().max()), Some((2, 4)));
        let share = filters.count() as f64 / genes.len() as f64;
        assert!((share - CONVOLUTION_SHARE).abs() < 0.05, "{share}");
    }

    #[test]
    fn what_is_not_in_the_space_says_why() {
        let space = SearchSpace::small(28);
        let pool = Gene::Pool {
            kind: PoolKind::Max,
            size: 2,
            stride: 2,
        };
        assert!(space.admit(&genome(vec![pool])).is_ok());
        assert_eq!(
            space.admit(&genome(vec![pool; MAX_GENES + 1])),
            Err(NotInSpace::TooManyGenes(MAX_GENES + 1))
        );
        let impossible = space.admit(&genome(vec![pool; 5]));
        assert!(matches!(impossible, Err(NotInSpace::Impossible(error)) if error.layer == 4));
        let limits = Limits {
            max_parameters: 9000,
            ..Limits::default()
        };
        // 14 * 14 inputs and a bias for 50 neurons, 50 and a bias for 2.
        let too_large = space.with_limits(limits).admit(&genome(vec![pool]));
        assert!(matches!(too_large, Err(NotInSpace::TooLarge(error)) if error.value == 9952));
    }

    #[test]
    fn spaces_without_networks_are_refused() {
        let space = SearchSpace::small(28);
        let new = |input, classes| {
            SearchSpace::new(input, classes, space.new_layers, Limits::default()).unwrap_err()
        };
        let input = |channels, zeros| Input {
            shape: Shape::new(8, 8, channels),
            zero: vec![0; zeros],
        };
        let names = |count| vec![String::from("name"); count];
        let empty = new(input(0, 0), names(2));
        assert!(matches!(
            empty,
            SpaceError::Input(_, GeometryError::EmptyMap)
        ));
        let zeros = new(input(3, 1), names(2));
        assert!(matches!(
            zeros,
            SpaceError::Zeros {
                zeros: 1,
                channels: 3
            }
        ));
        assert_eq!(new(input(3, 3), names(1)), SpaceError::Classes(1));
        assert_eq!(new(input(3, 3), names(257)), SpaceError::Classes(257));
    }
}
