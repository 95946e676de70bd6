//! Many images side by side give the bits of one image alone, with every instruction set that this
//! machine has.

use exporter::quantize::FixedNetwork;
use exporter::write::{Blob, chain_of, write_with_cuts};
use proptest::prelude::*;
use runtime_nostd::{Batch, InferError, InstructionSet, Model};
use tests::random_network;

/// The logits of every image.
fn logits(model: &Model<'_>, instructions: InstructionSet, images: &[Vec<u8>]) -> Vec<Vec<i32>> {
    let mut found = Vec::new();
    Batch::with(model, instructions)
        .infer(images.iter().map(Vec::as_slice), |index, logits| {
            assert_eq!(index, found.len());
            found.push(logits.raw().to_vec());
        })
        .expect("the images have the model's shape");
    found
}

/// The network's blob with those of the possible cuts that `choice` picks.
fn blob(network: &FixedNetwork, choice: u64) -> Blob {
    let mut segments = chain_of(network).expect("random networks fit").segments();
    let mut cuts: Vec<usize> = (0..network.layers.len() - 1).collect();
    cuts.retain(|&layer| choice >> layer & 1 == 1 && segments.bytes(0, layer).is_some());
    write_with_cuts(network, &cuts).expect("random networks are within bounds")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn all_instruction_sets_give_the_same_logits(
        network in random_network::networks(),
        choice in any::<u64>(),
        seeds in prop::collection::vec(any::<u64>(), 0..40),
    ) {
        let blob = blob(&network, choice);
        let model = blob.model().expect("the writer has parsed it");
        let images: Vec<_> = seeds
            .into_iter()
            .map(|seed| random_network::pixels(network.input.shape, seed))
            .collect();
        let mut scratch = vec![0; model.arena_bytes() / 4];
        let mut alone = |image| {
            model.infer(&mut scratch, image).expect("lengths fit").raw().to_vec()
        };
        let expected: Vec<Vec<i32>> = images.iter().map(|image| alone(image)).collect();
        for instructions in InstructionSet::available() {
            let found = logits(&model, instructions, &images);
            prop_assert_eq!(&found, &expected, "{}", instructions.name());
        }
    }

    #[test]
    fn the_first_image_of_the_wrong_length_is_refused(
        network in random_network::networks(),
        index in 0..20usize,
    ) {
        let blob = blob(&network, 0);
        let model = blob.model().expect("the writer has parsed it");
        let needed = network.input.shape.elements();
        let mut images = vec![vec![0; needed]; 20];
        images[index].push(0);
        for instructions in InstructionSet::available() {
            let refused = Batch::with(&model, instructions)
                .infer(images.iter().map(Vec::as_slice), |at, _| assert!(at < index));
            prop_assert_eq!(refused, Err(InferError::Pixels { needed, given: needed + 1 }));
        }
    }
}
