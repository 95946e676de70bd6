//! Neuroevolution of small CNNs for microcontrollers.

pub mod age;
pub mod cost;
pub mod decode;
pub mod fitness;
pub mod genome;
pub mod repair;
pub mod select;
pub mod settings;
pub mod space;
pub mod train;
