//! One image file: what its header says, and its pixels as 8-bit gray or RGB.

use std::fs::{self, File};
use std::io::{Cursor, Read as _};
use std::path::Path;

use image::imageops::{self, FilterType};
use image::metadata::Orientation;
use image::{
    ColorType, DynamicImage, ImageBuffer, ImageDecoder, ImageError, ImageFormat, ImageReader,
    Limits, RgbaImage,
};
use runtime_nostd::geometry::Shape;

use super::super::SkipReason;

/// Largest width and height of an image file.
const MAX_SIDE: u32 = 16_384;
/// Most memory for the pixels of one image file as it is stored, and its most bytes: 89 megapixels
/// in RGB. A file may promise any number of pixels in few bytes.
const MAX_BYTES: u64 = 1 << 28;

const JPEG_END: u8 = 0xd9;

/// What transparent pixels show: white, as on a page.
const BACKGROUND: u32 = 255;

/// What the start of a file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// As it is seen, upright.
    pub(super) width: u16,
    /// As it is seen, upright.
    pub(super) height: u16,
    /// Whether the pixels are stored in gray.
    pub(super) is_gray: bool,
}

/// Reads the header of the file at `path`.
pub(super) fn header(path: &Path) -> Result<Header, SkipReason> {
    let bytes = read(path)?;
    let mut decoder = decoder(&bytes)?;
    let (width, height) = decoder.dimensions();
    let (width, height) = match decoder.orientation().map_err(refused)? {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => (height, width),
        _ => (width, height),
    };
    // The limits leave nothing larger.
    let side = |side| u16::try_from(side).map_err(|_| too_large(width, height));
    Ok(Header {
        width: side(width)?,
        height: side(height)?,
        is_gray: matches!(
            decoder.color_type(),
            ColorType::L8 | ColorType::La8 | ColorType::L16 | ColorType::La16
        ),
    })
}

/// Decodes the file at `path` into `pixels`, HWC, one image of `shape` with 1 or 3 channels: turned
/// as its Exif orientation says, in 8 bits, on a white background, in gray or RGB, and scaled
/// without regard to its proportions.
pub(super) fn decode(path: &Path, shape: Shape, pixels: &mut [u8]) -> Result<(), SkipReason> {
    let bytes = read(path)?;
    let mut decoder = decoder(&bytes)?;
    let orientation = decoder.orientation().map_err(refused)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(refused)?;
    image.apply_orientation(orientation);
    if image.color().has_alpha() {
        image = on_background(image.into_rgba8());
    }
    let (width, height) = (u32::from(shape.width), u32::from(shape.height));
    let scaled = if shape.channels == 1 {
        scaled(image.into_luma8(), width, height)
    } else {
        scaled(image.into_rgb8(), width, height)
    };
    pixels.copy_from_slice(&scaled);
    Ok(())
}

/// Reads the whole file, whose end JPEG's decoder does not miss.
fn read(path: &Path) -> Result<Vec<u8>, SkipReason> {
    let unreadable = |reason: std::io::Error| SkipReason::Unreadable(reason.to_string());
    let length = fs::metadata(path).map_err(unreadable)?.len();
    if length > MAX_BYTES {
        return Err(SkipReason::TooLarge(format!("{length} bytes")));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_BYTES)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.is_empty() {
        return Err(SkipReason::Empty);
    }
    Ok(bytes)
}

/// A decoder of what `bytes` prove to be, once the image is small enough.
fn decoder(bytes: &[u8]) -> Result<impl ImageDecoder, SkipReason> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format();
    let mut reader = reader.map_err(|reason| SkipReason::Unreadable(reason.to_string()))?;
    match reader.format() {
        Some(ImageFormat::Jpeg) if !has_end(bytes) => return Err(SkipReason::CutOff),
        Some(ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::Bmp) => {}
        _ => return Err(SkipReason::OtherFormat),
    }
    let mut limits = Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    limits.max_alloc = Some(MAX_BYTES);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(SkipReason::Damaged("no pixels".to_owned()));
    }
    if width > MAX_SIDE || height > MAX_SIDE || decoder.total_bytes() > MAX_BYTES {
        return Err(too_large(width, height));
    }
    Ok(decoder)
}

/// Whether a JPEG image is there to its end: the decoder fills up what is missing. What follows the image
/// in the file, as the film of a phone's photograph, is nobody's business.
fn has_end(bytes: &[u8]) -> bool {
    // Behind the marker that starts the image.
    let mut rest = bytes.get(2..).unwrap_or(&[]);
    loop {
        rest = match *rest {
            [0xff, JPEG_END, ..] => return true,
            // A segment of its own length, which a scan's compressed data follow.
            [0xff, marker, high, low, ..] if is_segment(marker) => {
                let length = usize::from(u16::from_be_bytes([high, low]));
                rest.get(2 + length..).unwrap_or(&[])
            }
            [] => return false,
            // Compressed data, filling, or a marker without a length.
            _ => &rest[1..],
        };
    }
}

/// Whether a length follows the marker: not a zero that follows a byte 0xff of data, nor a restart, nor
/// filling.
fn is_segment(marker: u8) -> bool {
    !matches!(marker, 0x00 | 0x01 | 0xd0..=0xd8 | 0xff)
}

fn too_large(width: u32, height: u32) -> SkipReason {
    SkipReason::TooLarge(format!("{width}x{height} pixels"))
}

fn refused(error: ImageError) -> SkipReason {
    match error {
        ImageError::Limits(limit) => SkipReason::TooLarge(limit.to_string()),
        other => SkipReason::Damaged(other.to_string()),
    }
}

/// The image before [`BACKGROUND`], rounded to the nearest value.
fn on_background(mut image: RgbaImage) -> DynamicImage {
    for pixel in image.pixels_mut() {
        let [red, green, blue, alpha] = pixel.0.map(u32::from);
        let mix = |color| ((color * alpha + BACKGROUND * (255 - alpha) + 127) / 255) as u8;
        pixel.0 = [mix(red), mix(green), mix(blue), u8::MAX];
    }
    image.into()
}

/// The bytes of an image, scaled if its size is another one; what gets smaller is averaged.
fn scaled<P>(image: ImageBuffer<P, Vec<u8>>, width: u32, height: u32) -> Vec<u8>
where
    P: image::Pixel<Subpixel = u8> + 'static,
{
    if image.dimensions() == (width, height) {
        return image.into_raw();
    }
    imageops::resize(&image, width, height, FilterType::Triangle).into_raw()
}
