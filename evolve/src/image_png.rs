//! Pictures as PNG files in memory.

use exporter::dataset::Images;
use png::{BitDepth, ColorType, Encoder};

/// Image `index` as a PNG file: in color with three channels, else the first channel in gray.
pub(crate) fn image_png(images: &Images, index: usize) -> Vec<u8> {
    let shape = images.shape();
    let (width, height) = (shape.width.into(), shape.height.into());
    let pixels = images.pixels(index);
    if shape.channels == 3 {
        return png(width, height, ColorType::Rgb, pixels);
    }
    let channels = usize::from(shape.channels);
    let gray: Vec<u8> = pixels.iter().copied().step_by(channels).collect();
    png(width, height, ColorType::Grayscale, &gray)
}

/// A PNG file of pixels of 8 bits for each color.
///
/// # Panics
/// If `pixels` are not `width` times `height` in number.
pub(crate) fn png(width: u32, height: u32, color: ColorType, pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, width, height);
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    let written = encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(pixels));
    written.expect("an image with pixels encodes into memory");
    bytes
}

#[cfg(test)]
mod tests {
    use runtime_nostd::geometry::Shape;

    use super::*;

    fn decoded(shape: Shape, pixels: &[u8]) -> (ColorType, Vec<u8>) {
        let images = Images::new(shape, pixels.to_vec(), vec![0]);
        let bytes = image_png(&images, 0);
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info.color_type, pixels)
    }

    #[test]
    fn pixels_survive() {
        let color = [1, 2, 3, 4, 5, 6];
        let (kind, pixels) = decoded(Shape::new(1, 2, 3), &color);
        assert_eq!((kind, pixels.as_slice()), (ColorType::Rgb, &color[..]));
        let (kind, pixels) = decoded(Shape::new(2, 1, 2), &[1, 9, 2, 9]);
        assert_eq!((kind, pixels), (ColorType::Grayscale, vec![1, 2]));
    }
}
