//! Where to cut the chain so that its arena is least.

use runtime_nostd::chain::Segments;

/// The layers behind which a chain is cut so that the largest of its segments takes the fewest
/// bytes; of equals, fewer cuts.
///
/// Dynamic programme over the end of the last segment: what comes before a cut matters only by the
/// largest segment in it.
pub fn least_cuts(mut segments: Segments) -> Vec<usize> {
    // best[n]: the best way to divide the first n layers.
    let mut best = vec![Some(Division::default())];
    for end in 1..=segments.layers() {
        let candidates = (0..end).filter_map(|start| {
            let before = best[start].as_ref()?;
            let bytes = segments.bytes(start, end - 1)?;
            let mut cuts = before.cuts.clone();
            cuts.extend(start.checked_sub(1));
            Some(Division {
                bytes: before.bytes.max(bytes),
                cuts,
            })
        });
        let least = candidates.min_by_key(|division| (division.bytes, division.cuts.len()));
        best.push(least);
    }
    best.pop().flatten().unwrap_or_default().cuts
}

/// A way to divide a chain into segments.
#[derive(Clone, Debug, Default)]
struct Division {
    /// The largest segment.
    bytes: usize,
    /// The layers behind which it is cut.
    cuts: Vec<usize>,
}
