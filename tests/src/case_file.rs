//! Test cases for an emulated core: networks, images and the logits they must give, in the file
//! format of `cycles-firmware`.

use exporter::quantize::FixedNetwork;
use exporter::write::write;

use crate::reference;

/// Words of a case file that the firmware has memory for.
pub const FILE_WORDS: usize = (3 << 20) / 4;

/// A network, one image, and the logits that it must give.
#[derive(Clone, Debug)]
pub struct Case {
    name: String,
    blob: Vec<u8>,
    pixels: Vec<u8>,
    logits: Vec<i32>,
}

impl Case {
    /// A case whose expected logits are the reference's.
    ///
    /// # Panics
    /// `network` cannot be written as a blob: test networks can.
    pub fn new(name: impl Into<String>, network: &FixedNetwork, pixels: Vec<u8>) -> Self {
        let blob = write(network).expect("test networks are within bounds");
        let logits = reference::logits(network, &pixels);
        Self {
            name: name.into(),
            blob: blob.as_bytes().to_vec(),
            pixels,
            logits: logits.iter().map(|&logit| logit as i32).collect(),
        }
    }

    /// The case as the firmware reads it: four lengths (name and blob in words, image in bytes,
    /// logits in words), then the four parts, each from a whole word on.
    pub fn to_words(&self) -> Vec<u32> {
        let name = words(&[self.name.as_bytes(), &[0]].concat());
        let blob = words(&self.blob);
        let lengths = [name.len(), blob.len(), self.pixels.len(), self.logits.len()];
        let lengths = lengths.map(|length| length as u32);
        let logits: Vec<u32> = self.logits.iter().map(|&logit| logit as u32).collect();
        [&lengths, &*name, &blob, &words(&self.pixels), &logits].concat()
    }
}

/// Bytes as little-endian words, filled up with 0.
fn words(bytes: &[u8]) -> Vec<u32> {
    let word = |chunk: &[u8]| {
        let mut word = [0; 4];
        word[..chunk.len()].copy_from_slice(chunk);
        u32::from_le_bytes(word)
    };
    bytes.chunks(4).map(word).collect()
}

/// The cases as contents of files, each as large as the firmware has memory for.
pub fn files(cases: impl IntoIterator<Item = Case>) -> Vec<Vec<u8>> {
    let mut files = vec![Vec::new()];
    for case in cases {
        let bytes: Vec<u8> = case
            .to_words()
            .into_iter()
            .flat_map(u32::to_le_bytes)
            .collect();
        match files.last_mut() {
            Some(file) if file.len() + bytes.len() <= FILE_WORDS * 4 => file.extend(bytes),
            _ => files.push(bytes),
        }
    }
    files
}
