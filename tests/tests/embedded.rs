//! Models that the compiler has checked are those that `Model::parse` reads from the same blobs.
// The modules are a firmware's: more of them is used there.
#![allow(dead_code, unreachable_pub)]

use std::error::Error;

use runtime_nostd::Model;
use runtime_nostd::blob::{Header, LayerRecord, Weights};
use runtime_nostd::embed;
use runtime_nostd::geometry::{Activation, Op};
use runtime_nostd::q8_8::Product;

#[path = "../../firmware-example/networks/cifar10/network.rs"]
mod cifar10;
#[path = "../../firmware-example/networks/mnist/network.rs"]
mod mnist;

/// The same blob as that of `mnist`.
static WORDS: [i32; mnist_words()] = embed::words(include_bytes!(
    "../../firmware-example/networks/mnist/network.q88"
));

const fn mnist_words() -> usize {
    mnist::BLOB.len() / 4
}

#[test]
fn compiled_models_are_the_parsed_ones() -> Result<(), Box<dyn Error>> {
    let parsed = mnist::Model::parse(mnist::BLOB)?;
    assert_eq!(format!("{:?}", mnist::MODEL), format!("{parsed:?}"));
    let parsed = cifar10::Model::parse(cifar10::BLOB)?;
    assert_eq!(format!("{:?}", cifar10::MODEL), format!("{parsed:?}"));
    Ok(())
}

#[test]
fn a_compiled_model_infers_in_memory_of_the_stated_length() -> Result<(), Box<dyn Error>> {
    let image = [77; mnist::IMAGE_BYTES];
    let mut scratch = mnist::Scratch::new();
    let compiled = mnist::infer(&mnist::MODEL, &mut scratch, &image)?;
    let compiled = compiled.raw().to_vec();
    let parsed = mnist::Model::parse(mnist::BLOB)?;
    assert_eq!(parsed.infer(&mut scratch, &image)?.raw(), compiled);
    Ok(())
}

/// A network of one dense layer, which the blob is not.
fn embed_with(crc: u32) {
    let header = Header {
        product: Product::Exact,
        input: mnist::INPUT,
        zero: &[0],
        arena_bytes: 0,
        layers: 1,
        cuts: &[],
    };
    let dense = LayerRecord {
        op: Op::Dense { outputs: 10 },
        activation: Activation::Linear,
        weights: Weights::I16 { frac_bits: 8 },
    };
    let model = Model::<1>::embed(&WORDS, crc, header, [dense]);
    println!("{model:?}");
}

#[test]
#[should_panic(expected = "not the one that this module was written with")]
fn another_blob_is_refused() {
    embed_with(0);
}

#[test]
#[should_panic(expected = "not the one that this module was written with")]
fn other_records_are_refused() {
    let prefix = runtime_nostd::blob::Prefix::read(mnist::BLOB).unwrap();
    embed_with(prefix.crc);
}
