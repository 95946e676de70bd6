//! One row of output from the rows of input, for each operation.

pub(crate) mod add;
pub(crate) mod conv2d;
pub(crate) mod pool;
