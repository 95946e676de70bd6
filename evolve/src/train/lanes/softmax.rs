//! Softmax cross-entropy.

use super::vector::{LANES, Vector};

/// The loss of some images.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Score {
    /// Sum of the cross-entropies, in nats.
    pub(super) loss: f64,
    /// Images whose greatest logit is their label's.
    pub(super) correct: usize,
}

/// Scores the first `labels.len()` lanes of `logits`, one vector per class, and replaces `logits`
/// by the gradient of the batch's mean loss: `(softmax - target) / batch`, 0 in the other lanes.
/// The target is `smoothing` spread over all classes, and the rest on the label.
pub(super) fn score(logits: &mut [Vector], labels: &[u8], batch: usize, smoothing: f32) -> Score {
    let mut score = Score::default();
    let share = 1.0 / batch as f32;
    let everywhere = share * (smoothing / logits.len() as f32);
    for (lane, &label) in labels.iter().enumerate() {
        let label = usize::from(label);
        let mut answer = 0;
        for class in 1..logits.len() {
            if logits[class].0[lane] > logits[answer].0[lane] {
                answer = class;
            }
        }
        score.correct += usize::from(answer == label);
        let greatest = logits[answer].0[lane];
        let mut distance = greatest - logits[label].0[lane];
        if smoothing > 0.0 {
            let sum: f32 = logits.iter().map(|logit| logit.0[lane]).sum();
            distance += smoothing * (logits[label].0[lane] - sum / logits.len() as f32);
        }
        let mut sum = 0.0;
        for logit in logits.iter_mut() {
            logit.0[lane] = exponential(logit.0[lane] - greatest);
            sum += logit.0[lane];
        }
        score.loss += libm::log(f64::from(sum)) + f64::from(distance);
        for logit in logits.iter_mut() {
            logit.0[lane] = logit.0[lane] * (share / sum) - everywhere;
        }
        logits[label].0[lane] -= share * (1.0 - smoothing);
    }
    for logit in logits {
        logit.0[labels.len()..].fill(0.0);
    }
    debug_assert!(labels.len() <= LANES);
    score
}

/// `e^x` for `x <= 0`, to two units in the last place: the same bits on every machine, which the
/// standard library's does not promise. Undefined stays undefined.
fn exponential(x: f32) -> f32 {
    /// ln 2 in two parts, the first short enough for exact products.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    /// Adding 1.5 · 2²³ rounds to an integer, which the sum's low bits hold.
    const ROUND: f32 = 12_582_912.0;
    // Below, the result would no longer be normal.
    let x = if x < -87.0 { -87.0 } else { x };
    let rounded = x * std::f32::consts::LOG2_E + ROUND;
    let exponent = rounded - ROUND;
    let rest = x - exponent * LN_2[0] - exponent * LN_2[1];
    // Taylor: |rest| <= ln 2 / 2, so the next term is below 6e-9.
    let mut power = 1.0 / 5040.0;
    for coefficient in [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ] {
        power = power * rest + coefficient;
    }
    let scale = rounded
        .to_bits()
        .wrapping_sub(ROUND.to_bits())
        .wrapping_add(127)
        << 23;
    power * f32::from_bits(scale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_accurate() {
        for step in 0..=87_000 {
            let x = step as f32 / -1000.0;
            let exact = f64::from(x).exp();
            let error = (f64::from(exponential(x)) - exact).abs() / exact;
            assert!(error < 2.5e-7, "e^{x}: relative error {error}");
        }
        assert_eq!(exponential(0.0), 1.0);
        assert!(exponential(-1e30) < 1e-37);
        assert!(exponential(f32::NAN).is_nan());
    }

    #[test]
    fn score_of_known_logits() {
        // Softmax of (ln 1, ln 2, ln 5) is (1/8, 2/8, 5/8); the third lane holds no image.
        let mut logits = [1.0_f32, 2.0, 5.0].map(|exp| Vector([exp.ln(); LANES]));
        let score = score(&mut logits, &[2, 0], 2, 0.0);
        assert_eq!(score.correct, 1);
        assert!((score.loss - (8.0_f64 / 5.0).ln() - 8.0_f64.ln()).abs() < 1e-6);
        for (logit, expected) in logits.iter().zip([
            [1.0 / 16.0, -7.0 / 16.0],
            [2.0 / 16.0, 2.0 / 16.0],
            [-3.0 / 16.0, 5.0 / 16.0],
        ]) {
            assert!((logit.0[0] - expected[0]).abs() < 1e-6);
            assert!((logit.0[1] - expected[1]).abs() < 1e-6);
            assert_eq!(logit.0[2..], [0.0; 14]);
        }
    }
}
