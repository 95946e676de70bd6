//! The runtime's scalar kernels against the independent reference, on random networks.

use exporter::write::write;
use proptest::prelude::*;
use tests::{random_network, reference};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn logits_are_the_references(
        network in random_network::networks(),
        image_seeds in prop::collection::vec(any::<u64>(), 2),
    ) {
        let blob = write(&network).expect("random networks are within bounds");
        let model = blob.model().expect("the writer has parsed it");
        // Not cleared between images: nothing may survive from one to the next.
        let mut scratch = vec![-1; model.arena_bytes() / 4];
        for seed in image_seeds {
            let pixels = random_network::pixels(network.input.shape, seed);
            let expected = reference::logits(&network, &pixels);
            let logits = model.infer(&mut scratch, &pixels).expect("lengths fit");
            let logits: Vec<i64> = logits.raw().iter().map(|&raw| raw.into()).collect();
            prop_assert_eq!(logits, expected);
        }
    }

    #[test]
    fn rows_pushed_one_by_one_give_the_same_logits(
        network in random_network::networks(),
        seed in any::<u64>(),
    ) {
        let blob = write(&network).expect("random networks are within bounds");
        let model = blob.model().expect("the writer has parsed it");
        let mut scratch = vec![0; model.arena_bytes() / 4];
        let pixels = random_network::pixels(network.input.shape, seed);
        let expected = model.infer(&mut scratch, &pixels).expect("lengths fit").raw().to_vec();

        let mut session = model.session(&mut scratch).expect("scratch is large enough");
        for row in pixels.chunks(network.input.shape.row_elements()) {
            prop_assert!(session.logits().is_none());
            session.push_row(row).expect("a row fits");
        }
        prop_assert!(session.push_row(&pixels[..network.input.shape.row_elements()]).is_err());
        prop_assert_eq!(session.logits().expect("all rows pushed").raw(), expected);
    }
}
