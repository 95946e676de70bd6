//! The energy of multiplications, as the paper estimates it (section 3.6).

use serde::{Deserialize, Serialize};

/// Energy of a 32-bit floating-point multiplication in 16-bit fixed-point ones, for a 65 nm
/// technology (paper, section 3.6: c1).
pub const FIXED_POINT_ENERGY_GAIN: f64 = 2.4;

/// The number format of an inference's multiplications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Multiplication {
    /// 32-bit floating point.
    Float32,
    /// 16-bit fixed point.
    Fixed16,
}

/// How many times less energy all multiplications of one inference need (`E_mult`, section 3.6)
/// after `original` parameters have become `reduced`, relative to the original in floating point:
/// `c1 * original / reduced`, with c1 = 1 where floating point stays.
pub fn multiplication_energy_reduction(
    original: u64,
    reduced: u64,
    multiplication: Multiplication,
) -> f64 {
    let gain = match multiplication {
        Multiplication::Float32 => 1.0,
        Multiplication::Fixed16 => FIXED_POINT_ENERGY_GAIN,
    };
    gain * original as f64 / reduced as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Table 2 of the paper, to its one decimal. CNN1-FP is left out: its 8480 parameters make
    /// 42.5, not the 42.9 printed.
    #[test]
    fn energy_reductions_of_table_2() {
        use Multiplication::{Fixed16, Float32};
        for (parameters, multiplication, printed) in [
            (360_264, Float32, 1.0),
            (12_784, Float32, 28.1),
            (15_728, Float32, 22.9),
            (23_120, Float32, 15.6),
            (36_720, Fixed16, 23.6),
            (30_672, Fixed16, 28.2),
            (19_632, Fixed16, 44.0),
        ] {
            let reduction = multiplication_energy_reduction(360_264, parameters, multiplication);
            assert!(
                (reduction - printed).abs() < 0.1,
                "{parameters}: {reduction}"
            );
        }
    }
}
