//! The table of costs: printed, committed and compared.

use std::fmt::Write;
use std::fs;
use std::path::PathBuf;

use crate::core::{CORES, Counts, Error, tests_folder};
use tests::workload::{Share, Workload};

/// Growth of an instruction count that is let pass.
const TOLERANCE: f64 = 0.02;

const HEADER: &str = "core\tnetwork\tinstructions\tcycles\tlayer_instructions\tlayer_cycles";

/// The costs of all networks on all cores.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) rows: Vec<Row>,
}

/// The cost of one network on one core.
pub(crate) struct Row {
    pub(crate) core: &'static str,
    pub(crate) workload: &'static str,
    pub(crate) counts: Counts,
}

impl Report {
    /// A table for people: cycles per unit of work, and instructions in brackets.
    pub(crate) fn markdown(&self, workloads: &[Workload]) -> String {
        let mut text = String::from("| | estimated cycles (instructions) per MAC");
        for core in &CORES {
            _ = write!(text, " | {}", core.name);
        }
        text += " |\n| --- | ---";
        text += &" | ---:".repeat(CORES.len());
        text += " |\n";
        for workload in workloads {
            _ = write!(text, "| {} | {}", workload.name, workload.what);
            for core in &CORES {
                let counts = self.counts(core.name, workload.name).unwrap_or_default();
                _ = write!(text, " | {}", cell(workload.share, counts));
            }
            text += " |\n";
        }
        text
    }

    /// Fails if an instruction count has grown over the committed one.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let path = table_path();
        let committed = fs::read_to_string(&path).map_err(Error::io(&path))?;
        let mut complaints = String::new();
        for row in &self.rows {
            let committed = committed.lines().find_map(|line| {
                let rest = line.strip_prefix(row.core)?.strip_prefix('\t')?;
                let rest = rest.strip_prefix(row.workload)?.strip_prefix('\t')?;
                let instructions = rest.split('\t').next()?;
                instructions.parse::<u64>().ok()
            });
            let now = row.counts.instructions;
            let Some(before) = committed else {
                _ = writeln!(
                    complaints,
                    "{} {}: not in the table",
                    row.core, row.workload
                );
                continue;
            };
            let growth = now as f64 / before as f64 - 1.0;
            if growth > TOLERANCE {
                _ = writeln!(
                    complaints,
                    "{} {}: {now} instructions, {:.1} % more than the {before} of the table",
                    row.core,
                    row.workload,
                    100.0 * growth
                );
            }
        }
        if complaints.is_empty() {
            Ok(())
        } else {
            Err(Error::Costs(complaints))
        }
    }

    /// Rewrites the committed table.
    pub(crate) fn update(&self) -> Result<(), Error> {
        let mut text = format!("{HEADER}\n");
        for Row {
            core,
            workload,
            counts,
        } in &self.rows
        {
            _ = writeln!(
                text,
                "{core}\t{workload}\t{}\t{}\t{}\t{}",
                counts.instructions, counts.cycles, counts.layer_instructions, counts.layer_cycles
            );
        }
        let path = table_path();
        fs::write(&path, text).map_err(Error::io(&path))
    }

    fn counts(&self, core: &str, workload: &str) -> Option<Counts> {
        let row = self
            .rows
            .iter()
            .find(|row| row.core == core && row.workload == workload);
        row.map(|row| row.counts)
    }
}

fn cell(share: Share, counts: Counts) -> String {
    match share {
        Share::Layer(work) => {
            let instructions = counts.layer_instructions as f64 / work as f64;
            match counts.layer_cycles {
                0 => format!("({instructions:.2})"),
                cycles => format!("{:.2} ({instructions:.2})", cycles as f64 / work as f64),
            }
        }
        Share::Whole => {
            let instructions = counts.instructions as f64 / 1e6;
            match counts.cycles {
                0 => format!("({instructions:.2} M)"),
                cycles => format!("{:.2} M ({instructions:.2} M)", cycles as f64 / 1e6),
            }
        }
    }
}

fn table_path() -> PathBuf {
    tests_folder().join("cycles.tsv")
}
