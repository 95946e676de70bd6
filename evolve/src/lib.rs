//! Neuroevolution of small CNNs for microcontrollers.

pub mod age;
pub mod fitness;
pub mod select;
pub mod train;
