//! The runtime against bytes that nobody wrote: damaged blobs, and blobs of impossible networks.

use exporter::write::write;
use proptest::prelude::*;
use runtime_nostd::Model;
use tests::models::small_blobs;
use tests::oracle::check;
use tests::random_network::networks;

#[test]
fn every_single_bit_flip_is_refused() {
    for blob in small_blobs() {
        let mut damaged = blob.clone();
        for at in 0..blob.as_bytes().len() {
            for bit in 0..8 {
                damaged.as_bytes_mut()[at] ^= 1 << bit;
                assert!(damaged.model().is_err(), "bit {bit} of byte {at}");
                damaged.as_bytes_mut()[at] ^= 1 << bit;
            }
        }
        assert!(damaged.model().is_ok());
    }
}

#[test]
fn every_truncation_is_refused() {
    for blob in small_blobs() {
        let bytes = blob.as_bytes();
        for length in 0..bytes.len() {
            assert!(Model::<32>::parse(&bytes[..length]).is_err(), "{length}");
        }
    }
}

#[test]
fn sound_blobs_get_through() {
    for blob in small_blobs() {
        let reached = check(blob.as_bytes());
        assert!(reached.parsed && reached.compared);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// A short run of what `fuzz/` does for as long as one likes.
    #[test]
    fn changed_blobs_are_refused_or_run(
        network in networks(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        records_only in any::<bool>(),
    ) {
        let blob = write(&network).expect("random networks are within bounds");
        let mut bytes = blob.as_bytes().to_vec();
        let end = if records_only { bytes.len().min(32 + 100) } else { bytes.len() };
        for (at, value) in changes {
            let at = at.index(end);
            bytes[at] = value;
        }
        check(&bytes);
    }
}
