//! Addition of two maps.

use crate::q8_8::saturating_sum;

/// `clamp(a + b, low, 32767)`, element by element; `low` is 0 where ReLU follows.
pub(crate) fn row<const IMAGES: usize>(
    a: &[[i16; IMAGES]],
    b: &[[i16; IMAGES]],
    low: i16,
    out: &mut [[i16; IMAGES]],
) {
    let sums = out.as_flattened_mut().iter_mut();
    for ((sum, &a), &b) in sums.zip(a.as_flattened()).zip(b.as_flattened()) {
        *sum = saturating_sum(a, b, low);
    }
}
