//! Images of a data set, as they stand in a page.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use exporter::dataset::Images;
use maud::{Markup, html};
use png::{BitDepth, ColorType, Encoder};

/// Image `index` with an alternative text.
pub(super) fn picture(images: &Images, index: usize, alternative: &str) -> Markup {
    let shape = images.shape();
    html! {
        img src=(data_uri(images, index)) alt=(alternative)
            width=(shape.width) height=(shape.height);
    }
}

/// An image as a PNG in a `data:` address: in color with three channels, else the first channel in
/// gray.
fn data_uri(images: &Images, index: usize) -> String {
    let shape = images.shape();
    let pixels = images.pixels(index);
    let gray: Vec<u8>;
    let (color, pixels) = if shape.channels == 3 {
        (ColorType::Rgb, pixels)
    } else {
        let channels = usize::from(shape.channels);
        gray = pixels.iter().copied().step_by(channels).collect();
        (ColorType::Grayscale, gray.as_slice())
    };
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, shape.width.into(), shape.height.into());
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    let written = encoder
        .write_header()
        .and_then(|mut writer| writer.write_image_data(pixels));
    written.expect("an image with pixels encodes into memory");
    format!("data:image/png;base64,{}", BASE64_STANDARD.encode(&bytes))
}

#[cfg(test)]
mod tests {
    use runtime_nostd::geometry::Shape;

    use super::*;

    fn decoded(shape: Shape, pixels: &[u8]) -> (ColorType, Vec<u8>) {
        let images = Images::new(shape, pixels.to_vec(), vec![0]);
        let uri = data_uri(&images, 0);
        let base64 = uri.strip_prefix("data:image/png;base64,").unwrap();
        let bytes = BASE64_STANDARD.decode(base64).unwrap();
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
