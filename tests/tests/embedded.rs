//! Models that the compiler has checked are those that `Model::parse` reads from the same blobs.
// The modules are a firmware's: more of them is used there.
#![allow(dead_code, unreachable_pub)]

use std::error::Error;

use runtime_nostd::Model;
use runtime_nostd::blob::{Header, LayerRecord, Prefix, Weights};
use runtime_nostd::embed;
use runtime_nostd::geometry::{Activation, Op, Shape};
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

/// A blob of one dense layer over 4 elements, embedded with a stated arena.
fn embed_dense(arena_bytes: u32) -> (Model<'static, 1>, &'static [u8]) {
    let input = Shape::new(1, 1, 4);
    let network = tests::workload::network(input, &[], 3);
    let blob = exporter::write::write(&network).expect("a possible network");
    let words = blob.as_bytes().chunks_exact(4);
    let words = words.map(|word| i32::from_le_bytes([word[0], word[1], word[2], word[3]]));
    let words: &'static [i32] = words.collect::<Vec<_>>().leak();
    let bytes = embed::bytes(words);
    let header = Header {
        product: Product::Exact,
        input,
        zero: network.input.zero.leak(),
        arena_bytes,
        layers: 1,
        cuts: &[],
    };
    let dense = LayerRecord {
        op: Op::Dense { outputs: 3 },
        activation: Activation::Linear,
        weights: Weights::I16 { frac_bits: 8 },
    };
    let crc = Prefix::read(bytes).expect("a blob").crc;
    (Model::embed(words, crc, header, [dense]), bytes)
}

#[test]
fn a_model_embedded_while_running_is_the_parsed_one() -> Result<(), Box<dyn Error>> {
    let (model, bytes) = embed_dense(1024);
    let parsed = Model::<1>::parse(bytes)?;
    assert_eq!(format!("{model:?}"), format!("{parsed:?}"));
    Ok(())
}

#[test]
#[should_panic(expected = "not the one that this module was written with")]
fn an_arena_that_does_not_suffice_is_refused() {
    embed_dense(4);
}

#[test]
#[should_panic(expected = "not the one that this module was written with")]
fn another_blob_is_refused() {
    embed_with(0);
}

#[test]
#[should_panic(expected = "not the one that this module was written with")]
fn other_records_are_refused() {
    let prefix = Prefix::read(mnist::BLOB).unwrap();
    embed_with(prefix.crc);
}
