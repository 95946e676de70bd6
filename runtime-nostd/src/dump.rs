//! Everything that inference computes as lines of text, to compare two machines row by row.

use core::fmt;

use crate::logits::Logits;
use crate::observe::{Observer, Row};

/// Version of the lines. FORMAT.md specifies them.
pub const DUMP_VERSION: u32 = 1;

/// Writes every row of every layer, then the logits. `exporter diff-layers` reads it.
///
/// ```no_run
/// # use runtime_nostd::{Dump, Model, blob::Prefix};
/// # fn dump(blob: &[u8], pixels: &[u8], scratch: &mut [i32], uart: impl core::fmt::Write)
/// # -> Result<(), Box<dyn core::error::Error>> {
/// let model: Model = Model::parse(blob)?;
/// let crc = Prefix::read(blob).map_or(0, |prefix| prefix.crc);
/// let mut dump = Dump::new(uart, crc);
/// let logits = model.infer_with(scratch, pixels, &mut dump)?;
/// dump.finish(logits)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Dump<W> {
    out: W,
    written: fmt::Result,
}

impl<W: fmt::Write> Dump<W> {
    /// Starts a dump of one image through the blob with this CRC-32.
    pub fn new(mut out: W, blob_crc: u32) -> Self {
        let written = writeln!(out, "dump {DUMP_VERSION} {blob_crc:08x}");
        Self { out, written }
    }

    /// Writes the logits, which end the dump.
    ///
    /// # Errors
    /// The first error of the writer; what it was told later was not written.
    pub fn finish(mut self, logits: Logits<'_>) -> fmt::Result {
        self.written?;
        self.out.write_str("logits ")?;
        for logit in logits.raw() {
            write!(self.out, "{logit:08x}")?;
        }
        self.out.write_str("\n")
    }

    fn write_row(&mut self, row: Row<'_>) -> fmt::Result {
        write!(self.out, "row {} {} ", row.layer, row.y)?;
        for activation in row.activations {
            write!(self.out, "{activation:04x}")?;
        }
        self.out.write_str("\n")
    }
}

impl<W: fmt::Write> Observer for Dump<W> {
    fn row(&mut self, row: Row<'_>) {
        if self.written.is_ok() {
            self.written = self.write_row(row);
        }
    }
}
