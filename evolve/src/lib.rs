//! Neuroevolution of small CNNs for microcontrollers: Algorithm 1 of the paper (EA4CNN) and its
//! pieces, training, and the runs that put them together.

pub mod age;
pub mod baseline;
pub mod config;
pub mod cost;
pub mod crossover;
pub mod data;
pub mod decode;
pub mod draft;
pub mod evaluate;
pub mod fitness;
pub mod folder;
pub mod front;
pub mod genome;
pub mod history;
pub mod individual;
pub mod inherit;
pub mod initial;
pub mod journal;
pub mod mutate;
pub mod options;
pub mod polish;
pub mod repair;
pub mod report;
pub mod results;
pub mod run;
pub mod search;
pub mod seed;
pub mod select;
pub mod settings;
pub mod space;
pub mod split;
pub mod streams;
pub mod terminal;
pub mod train;
pub mod variation;
