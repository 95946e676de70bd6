//! Some images of every class on one sheet, and one of every class as raw pixels.

use exporter::dataset::{Dataset, Images};
use font8x8::{BASIC_FONTS, LATIN_FONTS, UnicodeFonts as _};
use png::ColorType;

use crate::image_png::png;

/// Images of a class.
const COLUMNS: usize = 12;
/// Smaller images are enlarged to about this many pixels, larger ones thinned out.
const CELL: usize = 64;
const GAP: usize = 4;
/// A character's width and height.
const CHARACTER: usize = 8;
/// Characters of the longest class name shown.
const MAX_NAME: usize = 24;

const BACKGROUND: u8 = 255;

/// A PNG file with a row for each class, under whose names it stands, of training images from all
/// over the class.
pub fn contact_sheet(dataset: &Dataset) -> Vec<u8> {
    let names: Vec<Vec<char>> = dataset
        .classes
        .iter()
        .map(|name| name.chars().take(MAX_NAME).collect())
        .collect();
    let longest = names.iter().map(Vec::len).max().unwrap_or(0);
    let scale = Scale::of(&dataset.train);
    let left = longest * CHARACTER + 2 * GAP;
    let row_height = scale.height.max(CHARACTER) + GAP;
    let width = left + COLUMNS * (scale.width + GAP);
    let mut sheet = Sheet::new(width, names.len() * row_height + GAP);
    for (class, name) in names.iter().enumerate() {
        let top = GAP + class * row_height;
        sheet.text(
            name,
            GAP,
            top + (scale.height.max(CHARACTER) - CHARACTER) / 2,
        );
        for (column, index) in chosen(&dataset.train, class, COLUMNS).enumerate() {
            let x = left + column * (scale.width + GAP);
            sheet.image(&dataset.train, index, &scale, x, top);
        }
    }
    sheet.png()
}

/// The pixels of one image of each class, HWC, end to end: the first of the test images, or of the
/// training images where the class has no others.
pub fn samples(dataset: &Dataset) -> Vec<u8> {
    let first = |class| {
        let mut parts = [&dataset.test, &dataset.train].into_iter();
        parts.find_map(|images| Some(images.pixels(of_class(images, class).next()?)))
    };
    let samples = (0..dataset.classes.len()).filter_map(first);
    samples.flatten().copied().collect()
}

/// The images of a class.
fn of_class(images: &Images, class: usize) -> impl Iterator<Item = usize> {
    (0..images.len()).filter(move |&index| images.label(index) == class)
}

/// At most `count` images of a class, from its first to its last at equal distances.
fn chosen(images: &Images, class: usize, count: usize) -> impl Iterator<Item = usize> {
    let all: Vec<usize> = of_class(images, class).collect();
    let count = count.min(all.len());
    (0..count).map(move |index| all[index * all.len() / count])
}

/// How an image fills its place.
struct Scale {
    /// Pixels of the sheet for each pixel of the image.
    zoom: usize,
    /// Of so many pixels one is shown.
    step: usize,
    width: usize,
    height: usize,
}

impl Scale {
    fn of(images: &Images) -> Self {
        let shape = images.shape();
        let (width, height) = (usize::from(shape.width), usize::from(shape.height));
        let longest = width.max(height);
        let zoom = (CELL / longest).max(1);
        let step = longest.div_ceil(2 * CELL);
        Self {
            zoom,
            step,
            width: width.div_ceil(step) * zoom,
            height: height.div_ceil(step) * zoom,
        }
    }
}

/// A white sheet in RGB.
struct Sheet {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl Sheet {
    fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            pixels: vec![BACKGROUND; 3 * width * height],
        }
    }

    fn set(&mut self, x: usize, y: usize, color: [u8; 3]) {
        let start = 3 * (y * self.width + x);
        self.pixels[start..start + 3].copy_from_slice(&color);
    }

    /// Writes one line, black, with a question mark for what the font lacks.
    fn text(&mut self, text: &[char], left: usize, top: usize) {
        for (index, &character) in text.iter().enumerate() {
            let glyph = BASIC_FONTS
                .get(character)
                .or_else(|| LATIN_FONTS.get(character));
            let glyph = glyph.or_else(|| BASIC_FONTS.get('?')).unwrap_or_default();
            for (y, row) in glyph.into_iter().enumerate() {
                for x in (0..CHARACTER).filter(|x| row >> x & 1 == 1) {
                    self.set(left + index * CHARACTER + x, top + y, [0; 3]);
                }
            }
        }
    }

    /// Draws an image: in color with three channels, else the first channel in gray.
    fn image(&mut self, images: &Images, index: usize, scale: &Scale, left: usize, top: usize) {
        let shape = images.shape();
        let channels = usize::from(shape.channels);
        let pixels = images.pixels(index);
        for y in 0..scale.height {
            for x in 0..scale.width {
                let row = y / scale.zoom * scale.step;
                let column = x / scale.zoom * scale.step;
                let pixel = &pixels[(row * usize::from(shape.width) + column) * channels..];
                let color = match *pixel {
                    [red, green, blue, ..] if channels == 3 => [red, green, blue],
                    [gray, ..] => [gray; 3],
                    [] => [BACKGROUND; 3],
                };
                self.set(left + x, top + y, color);
            }
        }
    }

    fn png(self) -> Vec<u8> {
        // A class has rows of some hundred pixels at most, and there are 256 classes.
        let (width, height) = (self.width as u32, self.height as u32);
        png(width, height, ColorType::Rgb, &self.pixels)
    }
}

#[cfg(test)]
mod tests {
    use runtime_nostd::geometry::Shape;

    use super::*;

    /// Images of 2x1 pixels: image `i` is `i` on the left, and 100 on the right.
    fn images(labels: &[u8]) -> Images {
        let pixels = (0..labels.len() as u8).flat_map(|index| [index, 100]);
        Images::new(Shape::new(1, 2, 1), pixels.collect(), labels.to_vec())
    }

    fn dataset(train: &[u8], test: &[u8]) -> Dataset {
        Dataset {
            name: "two".into(),
            train: images(train),
            test: images(test),
            classes: vec!["a".into(), "\u{6587}".into()],
        }
    }

    /// Width, height and RGB pixels.
    fn decoded(bytes: &[u8]) -> (usize, usize, Vec<u8>) {
        let image = image::load_from_memory(bytes).unwrap().into_rgb8();
        let (width, height) = image.dimensions();
        (width as usize, height as usize, image.into_raw())
    }

    #[test]
    fn every_class_has_its_row() {
        let (width, height, pixels) = decoded(&contact_sheet(&dataset(&[1, 0, 1, 1], &[])));
        // A character, and images enlarged to 64x32 pixels.
        let left = CHARACTER + 2 * GAP;
        let images = COLUMNS * (64 + GAP);
        assert_eq!((width, height), (left + images, GAP + 2 * (32 + GAP)));
        let gray = |x: usize, y: usize| pixels[3 * (y * width + x)];
        let (first, second) = (GAP, GAP + 32 + GAP);
        assert_eq!(gray(left, first), 1);
        assert_eq!(gray(left + 63, first + 31), 100);
        let row = [0, 1, 2].map(|column| gray(left + column * (64 + GAP), second));
        assert_eq!(row, [0, 2, 3]);
        assert_eq!(gray(left + 3 * (64 + GAP), second), BACKGROUND);
        for top in [first, second] {
            let name = (top..top + 32).flat_map(|y| (GAP..GAP + CHARACTER).map(move |x| (x, y)));
            assert!(name.into_iter().any(|(x, y)| gray(x, y) == 0));
        }
    }

    #[test]
    fn large_images_are_thinned_out() {
        let shape = Shape::new(1000, 300, 3);
        let mut set = dataset(&[0, 1], &[]);
        set.train = Images::new(shape, vec![7; 2 * shape.elements()], vec![0, 1]);
        let (_, height, pixels) = decoded(&contact_sheet(&set));
        assert_eq!(height, GAP + 2 * (125 + GAP));
        assert!(pixels.contains(&7));
    }

    #[test]
    fn of_many_images_some_from_everywhere_are_chosen() {
        let images = images(&[0; 48]);
        let chosen: Vec<usize> = chosen(&images, 0, 12).collect();
        assert_eq!(chosen, (0..48).step_by(4).collect::<Vec<_>>());
    }

    #[test]
    fn samples_are_of_the_test_images_where_there_are_any() {
        assert_eq!(samples(&dataset(&[0, 0, 1], &[1, 1])), [0, 100, 0, 100]);
        assert_eq!(samples(&dataset(&[1, 0], &[])), [1, 100, 0, 100]);
    }
}
