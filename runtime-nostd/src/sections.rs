//! What may follow the parameters in a blob: sections that inference does not need.

use crate::error::SelfTestError;
use crate::model::Model;

/// Tag of the section that says what the network is, for people.
pub const METADATA: [u8; 4] = *b"META";

/// Tag of the section of golden vectors: images with the logits that they must give.
pub const GOLDEN: [u8; 4] = *b"GOLD";

/// The most bytes that [`METADATA`] may have.
pub const MAX_METADATA_BYTES: usize = 4096;

/// Tag and length before the bytes of a section.
const SECTION_HEADER_BYTES: usize = 8;

/// Sections one behind the other, each filled up to 4 bytes with zeros.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sections<'a>(&'a [u8]);

impl<'a> Sections<'a> {
    /// `None` if `bytes` are not whole sections.
    pub(crate) fn check(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = split_section(rest)?.2;
        }
        Some(Self(bytes))
    }

    /// Those that have been checked before.
    pub(crate) const fn checked(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The first section of a tag.
    fn find(self, wanted: [u8; 4]) -> Option<&'a [u8]> {
        let mut rest = self.0;
        loop {
            let (tag, bytes, behind) = split_section(rest)?;
            if tag == wanted {
                return Some(bytes);
            }
            rest = behind;
        }
    }
}

/// The first section's tag and bytes, and what follows it.
fn split_section(sections: &[u8]) -> Option<([u8; 4], &[u8], &[u8])> {
    let (header, rest) = sections.split_first_chunk::<SECTION_HEADER_BYTES>()?;
    let [t0, t1, t2, t3, l0, l1, l2, l3] = *header;
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    let (bytes, rest) = rest.split_at_checked(length)?;
    let (filling, rest) = rest.split_at_checked(length.wrapping_neg() % 4)?;
    let zeros = filling.iter().all(|&byte| byte == 0);
    zeros.then_some(([t0, t1, t2, t3], bytes, rest))
}

/// What a network is, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metadata<'a> {
    lines: &'a str,
}

impl<'a> Metadata<'a> {
    /// Where the network comes from.
    pub fn provenance(self) -> &'a str {
        self.lines.split('\n').next().unwrap_or("")
    }

    /// Names of the classes, in the order of the logits.
    pub fn classes(self) -> impl Iterator<Item = &'a str> {
        self.lines.split('\n').skip(1)
    }
}

impl<'a, const LAYERS: usize> Model<'a, LAYERS> {
    /// The bytes of the blob's first section of this tag.
    pub fn section(&self, tag: [u8; 4]) -> Option<&'a [u8]> {
        self.sections.find(tag)
    }

    /// What the network is; `None` if the blob does not say, or not in UTF-8.
    pub fn metadata(&self) -> Option<Metadata<'a>> {
        let lines = core::str::from_utf8(self.section(METADATA)?).ok()?;
        Some(Metadata { lines })
    }

    /// Infers all images of the golden vectors, and returns their number once all logits are what
    /// they must be: a check of memory, compiler and processor for the start of a device.
    ///
    /// # Errors
    /// The first difference, the lack of vectors, or too small a `scratch` ([`SelfTestError`]).
    pub fn self_test(&self, scratch: &mut [i32]) -> Result<usize, SelfTestError> {
        let section = self.section(GOLDEN).ok_or(SelfTestError::NoVectors)?;
        let vectors = Vectors::new(section, self.classes(), self.input().elements());
        let (images, expected) = vectors.ok_or(SelfTestError::Malformed)?.parts();
        let mut count = 0;
        for (pixels, expected) in images.zip(expected) {
            let logits = self.infer(scratch, pixels).map_err(SelfTestError::Infer)?;
            if logits.raw() != expected {
                return Err(SelfTestError::Differs { image: count });
            }
            count += 1;
        }
        Ok(count)
    }
}

/// Golden vectors in place: their number, the logits of all, the pixels of all.
struct Vectors<'a> {
    logits: &'a [i32],
    pixels: &'a [u8],
    classes: usize,
    image_bytes: usize,
}

impl<'a> Vectors<'a> {
    /// `None` if the section has not the length that it says.
    fn new(section: &'a [u8], classes: usize, image_bytes: usize) -> Option<Self> {
        let (count, rest) = section.split_first_chunk()?;
        let count = u32::from_le_bytes(*count) as usize;
        let logit_bytes = count.checked_mul(classes)?.checked_mul(4)?;
        let (logits, pixels) = rest.split_at_checked(logit_bytes)?;
        let vectors = Self {
            logits: bytemuck::try_cast_slice(logits).ok()?,
            pixels,
            classes,
            image_bytes,
        };
        (count.checked_mul(image_bytes)? == pixels.len()).then_some(vectors)
    }

    fn parts(
        self,
    ) -> (
        impl Iterator<Item = &'a [u8]>,
        impl Iterator<Item = &'a [i32]>,
    ) {
        (
            self.pixels.chunks_exact(self.image_bytes.max(1)),
            self.logits.chunks_exact(self.classes.max(1)),
        )
    }
}
