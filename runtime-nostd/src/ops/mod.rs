//! One row of output from the rows of input, for each operation.

use crate::geometry::Op;

pub(crate) mod add;
pub(crate) mod conv2d;
pub(crate) mod pool;

/// Whether this build can compute `op`. What it cannot is refused by `Model::parse`, and its code is
/// left out.
pub(crate) const fn is_compiled(op: Op) -> bool {
    match op {
        Op::Conv { .. } | Op::Dense { .. } | Op::MaxPool { .. } => true,
        Op::AvgPool { .. } => cfg!(feature = "avg-pool"),
        Op::Depthwise { .. } => cfg!(feature = "depthwise"),
        Op::Add { .. } | Op::Branch { .. } => cfg!(feature = "residual"),
    }
}
