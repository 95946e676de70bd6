//! The multiply-accumulate loops. `scalar` is the specification and always compiled; a faster
//! kernel lives beside it and gives the same bits.

pub(crate) mod scalar;
