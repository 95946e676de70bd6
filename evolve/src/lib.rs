//! Neuroevolution of small CNNs for microcontrollers.

pub mod train;
