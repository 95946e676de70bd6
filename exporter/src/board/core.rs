//! What the runtime takes on a core: flash, stack and cycles.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use runtime_nostd::Model;
use runtime_nostd::q8_8::Product;
use serde::{Deserialize, Serialize};

use super::work::{UNITS, Work};

/// A processor core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Core {
    /// Armv6-M.
    #[serde(rename = "Cortex-M0")]
    CortexM0,
    /// Armv6-M with a shorter pipeline than Cortex-M0, whose cycles are an upper bound of its own.
    #[serde(rename = "Cortex-M0+")]
    CortexM0Plus,
    /// Armv7-M.
    #[serde(rename = "Cortex-M3")]
    CortexM3,
    /// Armv7E-M.
    #[serde(rename = "Cortex-M4")]
    CortexM4,
}

impl Core {
    /// Its name, as files of boards have it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CortexM0 => "Cortex-M0",
            Self::CortexM0Plus => "Cortex-M0+",
            Self::CortexM3 => "Cortex-M3",
            Self::CortexM4 => "Cortex-M4",
        }
    }

    /// The most flash that the runtime's code takes, with all operations and kernels and optimized for
    /// size, in bytes: `tests/tests/footprint.rs` measures and pins it for Cortex-M0 and M4.
    pub const fn code_bytes(self) -> usize {
        match self {
            Self::CortexM0 | Self::CortexM0Plus => 21_500,
            // Not measured: the code is Cortex-M4's with fewer instructions, without unrolled kernels.
            Self::CortexM3 => 27_700,
            Self::CortexM4 => 34_800,
        }
    }

    /// The most stack that inference takes, in bytes; measured likewise.
    pub const fn stack_bytes(self) -> usize {
        992
    }

    /// The cycles of its instructions.
    pub fn cycle_costs(self) -> &'static CycleCosts {
        let core = match self {
            Self::CortexM0Plus => Self::CortexM0,
            core => core,
        };
        COSTS.get(&core).unwrap_or(&CycleCosts::UNKNOWN)
    }
}

static COSTS: LazyLock<BTreeMap<Core, CycleCosts>> = LazyLock::new(|| {
    let tables: BTreeMap<Core, BTreeMap<String, f64>> =
        toml::from_str(include_str!("../../data/cycles.toml")).expect("a test reads the same file");
    let costs = |table: BTreeMap<String, f64>| {
        CycleCosts(UNITS.map(|unit| table.get(unit).copied().unwrap_or(0.0)))
    };
    let tables = tables.into_iter();
    tables.map(|(core, table)| (core, costs(table))).collect()
});

/// Cycles of each unit of [`Work`], with memory that never lets the core wait.
#[derive(Clone, Debug, PartialEq)]
pub struct CycleCosts(pub [f64; UNITS.len()]);

impl CycleCosts {
    const UNKNOWN: Self = Self([0.0; UNITS.len()]);

    /// The cycles of some work.
    pub fn cycles(&self, work: &Work) -> f64 {
        let units = self.0.iter().zip(work.0);
        units.map(|(cost, count)| cost * count).sum()
    }

    /// The cycles of one inference; `None` with rounded products, whose kernels are not modeled.
    pub fn inference_cycles(&self, model: &Model<'_>) -> Option<f64> {
        (model.product() == Product::Exact).then(|| self.cycles(&Work::of_inference(model)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_core_has_costs() {
        let cores = [
            Core::CortexM0,
            Core::CortexM0Plus,
            Core::CortexM3,
            Core::CortexM4,
        ];
        for core in cores {
            assert_ne!(*core.cycle_costs(), CycleCosts::UNKNOWN, "{core:?}");
        }
    }
}
