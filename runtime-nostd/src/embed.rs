//! Models that the compiler checks: the device has no code that parses, and no RAM that holds records.

use heapless::Vec;

use crate::blob::{Header, LayerRecord};
use crate::error::ParseError;
use crate::layer::Layer;
use crate::model::{Model, check_header, check_prefix, cut, plan_arena};
use crate::plan::{Image, expansion};
use crate::sections::Sections;

/// The bytes of a blob file as the words that [`Model::embed`] takes: `WORDS` is a fourth of `BYTES`.
pub const fn words<const BYTES: usize, const WORDS: usize>(blob: &[u8; BYTES]) -> [i32; WORDS] {
    bytemuck::must_cast(*blob)
}

/// The blob in [`words`], as [`Model::parse`] takes it.
pub const fn bytes(words: &[i32]) -> &[u8] {
    bytemuck::must_cast_slice(words)
}

impl<const LAYERS: usize> Model<'static, LAYERS> {
    /// The model of a `blob` that the exporter has parsed: `header` and `records` are what it found there,
    /// and `crc` is the blob's. For a `static`, as in the module that `exporter export --rust` writes.
    ///
    /// Shapes, parameters and the arena are checked as [`Model::parse`] checks them. That no sum
    /// overflows follows from `crc`: the exporter has proved it of these bytes.
    ///
    /// # Panics
    /// The blob is damaged, of another version, or another one; it needs a feature that is not enabled; or
    /// the records do not fit it. In a `static` that is an error of the compiler.
    pub const fn embed(
        blob: &'static [i32],
        crc: u32,
        header: Header<'static>,
        records: [LayerRecord; LAYERS],
    ) -> Self {
        match Parts::check(blob, crc, &header, &records) {
            Ok(parts) => Self {
                product: header.product,
                image: parts.image,
                zero: header.zero,
                expansion: expansion(&parts.layers),
                layers: Vec::from_array(parts.layers),
                arena_words: parts.arena_words,
                sections: parts.sections,
            },
            Err(ParseError::NotCompiled { .. }) => {
                panic!("the network needs a feature of runtime-nostd that is not enabled")
            }
            Err(ParseError::FormatVersion { .. } | ParseError::ArithmeticVersion { .. }) => {
                panic!("the blob is of another version of runtime-nostd: export it again")
            }
            Err(_) => panic!(
                "the blob is not the one that this module was written with: export both again"
            ),
        }
    }
}

/// What a model is made of.
#[derive(Clone, Copy)]
struct Parts<const LAYERS: usize> {
    image: Image,
    layers: [Layer<'static>; LAYERS],
    arena_words: usize,
    sections: Sections<'static>,
}

impl<const LAYERS: usize> Parts<LAYERS> {
    const fn check(
        blob: &'static [i32],
        crc: u32,
        header: &Header<'static>,
        records: &[LayerRecord; LAYERS],
    ) -> Result<Self, ParseError> {
        let prefix = match check_prefix(bytes(blob)) {
            Ok(prefix) => prefix,
            Err(error) => return Err(error),
        };
        if prefix.crc != crc {
            return Err(ParseError::Crc {
                stated: crc,
                computed: prefix.crc,
            });
        }
        if let Err(error) = check_header(header) {
            return Err(error);
        }
        let behind_records = blob.split_at_checked(prefix.parameters_offset as usize / 4);
        let Some((_, behind_records)) = behind_records else {
            return Err(ParseError::Sections);
        };
        let parameters = behind_records.split_at_checked(prefix.parameters_bytes as usize / 4);
        let Some((mut rest, sections)) = parameters else {
            return Err(ParseError::Sections);
        };

        let mut layers = [Layer::EMPTY; LAYERS];
        let mut index = 0;
        while index < LAYERS {
            let (before, _) = layers.split_at(index);
            let (image, product) = (header.input, header.product);
            (layers[index], rest) = match Layer::read(image, product, before, records[index], rest)
            {
                Ok(read) => read,
                Err(error) => return Err(error),
            };
            index += 1;
        }
        if !rest.is_empty() {
            return Err(ParseError::ParametersLength { layer: LAYERS });
        }
        if LAYERS == 0 || !layers[LAYERS - 1].is_last() {
            return Err(ParseError::LastLayer);
        }
        if let Err(error) = cut(&mut layers, header.cuts) {
            return Err(error);
        }
        let mut image = Image::new(header.input);
        let (progress, stated) = (&mut [[0; 2]; LAYERS], header.arena_bytes as usize);
        match plan_arena(&mut image, &mut layers, progress, stated) {
            Ok(arena_words) => Ok(Self {
                image,
                layers,
                arena_words,
                sections: Sections::checked(bytes(sections)),
            }),
            Err(error) => Err(error),
        }
    }
}
