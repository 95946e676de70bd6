//! x

pub mod split;
