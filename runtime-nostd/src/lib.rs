//! Integer-only inference of small convolutional networks in Q8.8, from a blob in flash.
#![no_std]

pub mod geometry;
