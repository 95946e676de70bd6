//! One row of output from the rows of input, for each operation.

use crate::feature::Feature;
use crate::geometry::Op;

pub(crate) mod add;
pub(crate) mod conv2d;
pub(crate) mod pool;

/// Whether this build can compute `op`. What it cannot is refused by `Model::parse`, and its code is
/// left out.
pub(crate) const fn is_compiled(op: Op) -> bool {
    match Feature::of(op) {
        None => true,
        Some(feature) => feature.is_enabled(),
    }
}
