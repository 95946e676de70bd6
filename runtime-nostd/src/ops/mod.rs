//! One row of output from the rows of input, for each operation.

pub(crate) mod conv2d;
pub(crate) mod pool;
pub(crate) mod window;
