//! Neuroevolution of small CNNs for microcontrollers.

pub mod age;
pub mod cost;
pub mod crossover;
pub mod decode;
pub mod draft;
pub mod fitness;
pub mod genome;
pub mod individual;
pub mod inherit;
pub mod initial;
pub mod mutate;
pub mod repair;
pub mod seed;
pub mod select;
pub mod settings;
pub mod space;
pub mod train;
pub mod variation;
