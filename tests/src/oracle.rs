//! What must hold for any bytes: the runtime refuses them, or it runs them in bounds, in as many
//! steps as it says, to the logits of the independent reference. A fuzzer and a property test feed
//! it (`fuzz/`, `tests/hostile_bytes.rs`).

use exporter::quantize::FixedNetwork;
use exporter::write::{Blob, chain_of, write_with_cuts};
use runtime_nostd::blob::{
    ARITHMETIC_VERSION, CRC_START, FORMAT_VERSION, Header, LayerRecord, MAGIC, PREFIX_BYTES,
    Prefix, Storage, crc32,
};
use runtime_nostd::geometry::{Activation, Op};
use runtime_nostd::{DEFAULT_LAYERS, Model, Observer, Row};

use crate::{random_network, reference};

/// Inference is tried on networks of at most this many multiply-accumulates and image bytes.
const MAX_COST: u64 = 60_000;

/// How far some bytes got.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reached {
    /// They are a blob, as they are or with a checksum that fits.
    pub parsed: bool,
    /// A network was built from their records, and its logits compared.
    pub compared: bool,
}

/// Checks `bytes` three ways: as they are, with a prefix that fits them, and as the description of a
/// network whose parameters are made up.
///
/// # Panics
/// If something that must hold does not.
pub fn check(bytes: &[u8]) -> Reached {
    let mut reached = Reached::default();
    for blob in [Blob::from_bytes(bytes), with_fitting_prefix(bytes)] {
        // Whatever it says, reading it must be in bounds.
        if let Ok(model) = blob.model() {
            reached.parsed = true;
            logits_of(&model, 1);
        }
    }
    if let Some((network, cuts)) = network_described_by(bytes) {
        reached.compared = compare(&network, &cuts);
    }
    reached
}

/// The same bytes with a magic, versions, length and checksum that fit.
pub fn with_fitting_prefix(bytes: &[u8]) -> Blob {
    let mut bytes = bytes.to_vec();
    let length = bytes.len().max(PREFIX_BYTES).next_multiple_of(4);
    bytes.resize(length, 0);
    let mut prefix = Prefix::read(&bytes).expect("long enough");
    prefix.format_version = FORMAT_VERSION;
    prefix.arithmetic_version = ARITHMETIC_VERSION;
    prefix.blob_bytes = length as u32;
    bytes[..MAGIC.len()].copy_from_slice(&MAGIC);
    bytes[..PREFIX_BYTES].copy_from_slice(&prefix.write());
    prefix.crc = crc32(&bytes[CRC_START..]);
    bytes[..PREFIX_BYTES].copy_from_slice(&prefix.write());
    Blob::from_bytes(&bytes)
}

/// A network of those records in `bytes` that fit, and its cuts.
fn network_described_by(bytes: &[u8]) -> Option<(FixedNetwork, Vec<usize>)> {
    let records = bytes.get(PREFIX_BYTES..)?;
    let (header, mut rest) = postcard::take_from_bytes::<Header>(records).ok()?;
    let mut ops = Vec::new();
    let mut any_narrow = false;
    while let Ok((record, behind)) = postcard::take_from_bytes::<LayerRecord>(rest) {
        rest = behind;
        let activation = match record.op {
            Op::MaxPool { .. } | Op::AvgPool { .. } | Op::Branch { .. } => Activation::Linear,
            _ => record.activation,
        };
        let stored = record.weights.stored();
        any_narrow |= stored.is_some_and(|(storage, _)| storage == Storage::I8);
        ops.push((record.op, activation));
        if ops.len() == DEFAULT_LAYERS - 1 {
            break;
        }
    }
    if header.input.check().is_err() || header.input.elements() as u64 > MAX_COST {
        return None;
    }
    let seed = crc32(bytes);
    let network = random_network::network_of(header.input, header.product, ops, seed.into());
    let network = random_network::narrowed(network, if any_narrow { seed } else { 0 });
    let cuts = header.cuts.iter().map(|&cut| cut.into()).collect();
    Some((network, cuts))
}

/// Whether the network can be run; if so, it gives the reference's logits, cut and uncut.
fn compare(network: &FixedNetwork, cuts: &[usize]) -> bool {
    let chain = chain_of(network).expect("layers that do not fit were left out");
    if chain.macs() > MAX_COST {
        return false;
    }
    let mut compared = false;
    for cuts in [&[], cuts] {
        // Refused: a branch that nobody joins, or a cut through a skipped branch.
        let Ok(blob) = write_with_cuts(network, cuts) else {
            continue;
        };
        let model = blob.model().expect("the writer has parsed it");
        let seed = 1;
        let pixels = random_network::pixels(network.input.shape, seed);
        let expected = reference::logits(network, &pixels);
        let logits = logits_of(&model, seed).expect("the cost was checked");
        assert!(logits.iter().map(|&raw| i64::from(raw)).eq(expected));
        compared = true;
    }
    compared
}

/// The logits of a random image, from dirty memory of exactly the size asked for; `None` if that
/// would take long.
fn logits_of(model: &Model<'_>, seed: u64) -> Option<Vec<i32>> {
    let pixels = model.input().elements();
    if model.macs() > MAX_COST || pixels as u64 > MAX_COST || model.arena_bytes() > 1 << 24 {
        return None;
    }
    let pixels = random_network::pixels(model.input(), seed);
    let mut scratch = vec![0x5a5a_5a5a; model.arena_bytes() / 4].into_boxed_slice();
    let mut steps = Steps::new(model);
    let logits = model
        .infer_with(&mut scratch, &pixels, &mut steps)
        .expect("lengths fit");
    assert_eq!(logits.raw().len(), model.classes());
    assert!(logits.class() < model.classes());
    steps.finish();
    Some(logits.raw().to_vec())
}

/// Counts what a model does, and compares it with what it says.
struct Steps<'m, 'a> {
    model: &'m Model<'a>,
    /// Finished rows of each layer.
    rows: Vec<usize>,
    inside: Option<usize>,
    macs: u64,
}

impl<'m, 'a> Steps<'m, 'a> {
    fn new(model: &'m Model<'a>) -> Self {
        Self {
            model,
            rows: vec![0; model.layers().len()],
            inside: None,
            macs: 0,
        }
    }

    fn finish(self) {
        assert_eq!(self.inside, None);
        let last = self.model.layers().last().expect("a model has layers");
        assert!(self.macs + last.macs() <= self.model.macs());
    }
}

impl Observer for Steps<'_, '_> {
    fn enter(&mut self, layer: usize) {
        assert_eq!(self.inside.replace(layer), None);
    }

    fn leave(&mut self, layer: usize) {
        assert_eq!(self.inside.take(), Some(layer));
    }

    fn row(&mut self, row: Row<'_>) {
        let layer = &self.model.layers()[row.layer];
        assert_eq!((layer.op(), layer.output()), (row.op, row.shape));
        assert_eq!(self.rows[row.layer], row.y);
        assert!(row.y < usize::from(row.shape.height));
        assert_eq!(row.activations.len(), row.shape.row_elements());
        self.rows[row.layer] += 1;
        self.macs += layer.macs() / u64::from(row.shape.height);
    }
}
