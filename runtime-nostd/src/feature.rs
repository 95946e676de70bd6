//! What a build may leave out.

use core::fmt;

use crate::geometry::Op;

/// A Cargo feature of this crate that a blob may need. What is not enabled is refused by
/// [`Model::parse`](crate::Model::parse), and its code is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Feature {
    /// Average pooling.
    AvgPool,
    /// Depthwise convolution.
    Depthwise,
    /// Addition and branches.
    Residual,
    /// Products rounded one by one.
    Rounded,
    /// Weights of 8 bits.
    Weights8,
}

impl Feature {
    /// Its name in `Cargo.toml`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AvgPool => "avg-pool",
            Self::Depthwise => "depthwise",
            Self::Residual => "residual",
            Self::Rounded => "rounded",
            Self::Weights8 => "weights-8",
        }
    }

    /// Whether this build has it.
    pub const fn is_enabled(self) -> bool {
        match self {
            Self::AvgPool => cfg!(feature = "avg-pool"),
            Self::Depthwise => cfg!(feature = "depthwise"),
            Self::Residual => cfg!(feature = "residual"),
            Self::Rounded => cfg!(feature = "rounded"),
            Self::Weights8 => cfg!(feature = "weights-8"),
        }
    }

    /// What `op` needs; convolution, dense layers and max pooling are always there.
    pub(crate) const fn of(op: Op) -> Option<Self> {
        match op {
            Op::Conv { .. } | Op::Dense { .. } | Op::MaxPool { .. } => None,
            Op::AvgPool { .. } => Some(Self::AvgPool),
            Op::Depthwise { .. } => Some(Self::Depthwise),
            Op::Add { .. } | Op::Branch { .. } => Some(Self::Residual),
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
