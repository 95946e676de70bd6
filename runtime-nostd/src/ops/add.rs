//! Addition of two maps.

use crate::q8_8::saturating_sum;

/// `clamp(a + b, low, 32767)`, element by element; `low` is 0 where ReLU follows.
pub(crate) fn row(a: &[i16], b: &[i16], low: i16, out: &mut [i16]) {
    for ((sum, &a), &b) in out.iter_mut().zip(a).zip(b) {
        *sum = saturating_sum(a, b, low);
    }
}
