//! Folders of image files as people have them: of all kinds, and with all kinds of faults.

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use image::{DynamicImage, GrayImage, ImageFormat, Luma, Rgb, RgbImage, Rgba, RgbaImage};
use proptest::prelude::*;
use runtime_nostd::geometry::Shape;
use tempfile::TempDir;

use super::super::fixture;
use super::super::{Dataset, DatasetError, ImageOptions, LoadObserver, Notice};

/// Red, 8x8, as Pillow writes CMYK.
const CMYK: &[u8] = include_bytes!("cmyk.jpg");

/// What an observer is told.
#[derive(Debug, Default)]
struct Told {
    steps: AtomicUsize,
    done: AtomicUsize,
    notices: Mutex<Vec<String>>,
}

impl LoadObserver for Told {
    fn decoding_starts(&self, steps: usize) {
        self.steps.fetch_add(steps, Ordering::Relaxed);
    }

    fn decoding_steps(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    fn decoding_done(&self) {
        let (steps, done) = (&self.steps, &self.done);
        assert!(done.load(Ordering::Relaxed) <= steps.load(Ordering::Relaxed));
    }

    fn tell(&self, notice: &Notice) {
        let mut notices = self.notices.lock().expect("no test panics in here");
        notices.push(notice.to_string());
    }
}

impl Told {
    fn has_decoded(&self) -> bool {
        self.done.load(Ordering::Relaxed) > 0
    }

    fn notices(self) -> Vec<String> {
        self.notices.into_inner().expect("no test panics in here")
    }
}

/// A folder with `files`, in folders as their paths say.
fn folder(files: &[(&str, Vec<u8>)]) -> TempDir {
    let root = tempfile::tempdir().expect("a temporary folder");
    for (path, bytes) in files {
        write(root.path(), path, bytes);
    }
    root
}

fn write(root: &Path, path: &str, bytes: &[u8]) {
    let path = root.join(path);
    let parent = path.parent().expect("is in a folder");
    fs::create_dir_all(parent).expect("makes folders");
    fs::write(path, bytes).expect("writes a file");
}

fn load(root: &TempDir, options: ImageOptions) -> Result<(Dataset, Told), DatasetError> {
    let told = Told::default();
    let dataset = Dataset::load_with(root.path(), &options, &told)?;
    fixture::assert_sound(&dataset);
    Ok((dataset, told))
}

fn loaded(root: &TempDir, options: ImageOptions) -> Dataset {
    load(root, options).expect("is good").0
}

fn refusal(root: &TempDir, options: ImageOptions) -> String {
    let error = load(root, options).expect_err("must be refused");
    let path = root.path().display().to_string();
    let message = error.to_string().replace(&format!("{path}/"), "");
    message.replace(&path, "the folder")
}

const AS_IT_IS: ImageOptions = ImageOptions {
    size: None,
    gray: false,
    strict: false,
};
const GRAY: ImageOptions = ImageOptions {
    gray: true,
    ..AS_IT_IS
};
const STRICT: ImageOptions = ImageOptions {
    strict: true,
    ..AS_IT_IS
};

fn sized(size: &str) -> ImageOptions {
    ImageOptions {
        size: Some(size.parse().expect("is a size")),
        ..AS_IT_IS
    }
}

fn encoded(image: impl Into<DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    let written = image.into().write_to(&mut bytes, format);
    written.expect("encodes into memory");
    bytes.into_inner()
}

/// A gray PNG file, all of one value.
fn gray(width: u32, height: u32, value: u8) -> Vec<u8> {
    let image = GrayImage::from_pixel(width, height, Luma([value]));
    encoded(image, ImageFormat::Png)
}

/// A color PNG file of 2x1 pixels.
fn color(colors: [[u8; 3]; 2]) -> Vec<u8> {
    let image = RgbImage::from_fn(2, 1, |x, _| Rgb(colors[x as usize]));
    encoded(image, ImageFormat::Png)
}

/// A set of one image of class `a` and another one of class `b` in gray.
fn with(name: &str, bytes: Vec<u8>) -> TempDir {
    folder(&[(&format!("a/{name}"), bytes), ("b/1.png", gray(8, 8, 9))])
}

/// The first pixel that a file of 8x8 pixels is read as.
fn first_pixel(name: &str, bytes: Vec<u8>) -> Vec<u8> {
    let dataset = loaded(&with(name, bytes), STRICT);
    let channels = usize::from(dataset.train.shape().channels);
    dataset.train.pixels(0)[..channels].to_vec()
}

/// Why a file is left out.
fn skipped(name: &str, bytes: Vec<u8>) -> String {
    let root = with(name, bytes);
    write(root.path(), "a/good.png", &gray(8, 8, 1));
    let (dataset, told) = load(&root, sized("8x8")).expect("one file is good");
    assert_eq!(dataset.train.len(), 2);
    let notices = told.notices().concat();
    let (_, reason) = notices.split_once(&format!("a/{name}: ")).expect(&notices);
    reason
        .split("few images")
        .next()
        .expect("a line")
        .to_owned()
}

#[test]
fn folders_are_classes() {
    let root = folder(&[
        ("dog/2.png", gray(2, 1, 4)),
        ("dog/1.png", gray(2, 1, 3)),
        ("Cat/deep/deeper/1.png", gray(2, 1, 1)),
        ("Cat/x.BMP", encoded(GrayImage::new(2, 1), ImageFormat::Png)),
        ("Cat/.hidden.png", b"hidden".to_vec()),
        (".git/1.png", gray(2, 1, 9)),
        ("README.md", b"not in a class".to_vec()),
    ]);
    let dataset = loaded(&root, STRICT);
    assert_eq!(dataset.name, fixture::name(&root));
    assert_eq!(dataset.classes, ["Cat", "dog"]);
    assert_eq!(dataset.train.shape(), Shape::new(1, 2, 1));
    assert_eq!(dataset.train.labels(), [0, 0, 1, 1]);
    let pixels: Vec<_> = dataset.train.iter().map(|pixels| pixels[0]).collect();
    assert_eq!(pixels, [1, 0, 3, 4]);
    assert!(dataset.test.is_empty());
    assert_eq!(dataset.test_or_all(), &dataset.train);
}

#[test]
fn train_and_test_are_parts() {
    let mut files = vec![
        ("train/a/1.png", gray(1, 1, 1)),
        ("train/b/1.png", gray(1, 1, 2)),
        ("test/b/1.png", gray(1, 1, 3)),
    ];
    let root = folder(&files);
    let dataset = loaded(&root, STRICT);
    assert_eq!(dataset.train.labels(), [0, 1]);
    assert_eq!(dataset.test.labels(), [1]);
    assert_eq!(dataset.test_or_all().pixels(0), [3]);

    write(root.path(), "validation/a/1.png", &gray(1, 1, 1));
    assert_eq!(
        refusal(&root, STRICT),
        "the folder: --strict refuses 1 file\n  validation: a folder beside train/, and not test/"
    );
    files.push(("test/c/1.png", gray(1, 1, 3)));
    assert_eq!(
        refusal(&folder(&files), AS_IT_IS),
        "test/c: train/ has no folder of this name; add training images of the class"
    );
}

#[test]
fn a_class_may_be_called_train() {
    let root = folder(&[
        ("bus/1.png", gray(1, 1, 1)),
        ("test/1.png", gray(1, 1, 2)),
        ("train/1.png", gray(1, 1, 3)),
    ]);
    assert_eq!(loaded(&root, STRICT).classes, ["bus", "test", "train"]);
}

#[test]
fn one_image_in_color_makes_all_colored() {
    let red = [255, 0, 0];
    let root = folder(&[
        ("a/1.png", color([red, [10, 20, 30]])),
        ("b/1.png", gray(2, 1, 7)),
    ]);
    let dataset = loaded(&root, AS_IT_IS);
    assert_eq!(dataset.train.pixels(0), [255, 0, 0, 10, 20, 30]);
    assert_eq!(dataset.train.pixels(1), [7; 6]);
    // Luma of Rec. 709.
    let dataset = loaded(&root, GRAY);
    assert_eq!(dataset.train.shape(), Shape::new(1, 2, 1));
    assert_eq!(dataset.train.pixels(0), [54, 19]);
}

#[test]
fn sizes_are_all_the_same_or_chosen() {
    let halves = GrayImage::from_fn(4, 2, |x, _| Luma([if x < 2 { 0 } else { 200 }]));
    let root = folder(&[
        ("a/1.png", gray(2, 1, 7)),
        ("a/2.png", gray(2, 1, 7)),
        ("b/1.png", encoded(halves, ImageFormat::Png)),
    ]);
    assert_eq!(
        refusal(&root, AS_IT_IS),
        "a/1.png is 2x1 pixels, but b/1.png is 4x2: scale all to one size with --size, as --size 2x1"
    );
    let dataset = loaded(&root, sized("1x3"));
    assert_eq!(dataset.train.shape(), Shape::new(3, 1, 1));
    assert_eq!(dataset.train.pixels(0), [7; 3]);
    assert_eq!(dataset.train.pixels(2), [100; 3]);
    let huge = refusal(&root, sized("65535x65535"));
    assert!(
        huge.starts_with("a/1.png: images of 65535x65535x1 cannot be used: "),
        "{huge}"
    );
}

#[test]
fn every_kind_of_image_becomes_eight_bits() {
    let transparent = RgbaImage::from_pixel(8, 8, Rgba([10, 20, 30, 0]));
    let half = RgbaImage::from_pixel(8, 8, Rgba([0, 100, 255, 128]));
    let deep = image::ImageBuffer::from_pixel(8, 8, Luma([0x8000_u16]));
    let red = RgbImage::from_pixel(8, 8, Rgb([250, 0, 0]));
    assert_eq!(
        first_pixel("1.png", encoded(transparent, ImageFormat::Png)),
        [255; 3]
    );
    assert_eq!(
        first_pixel("1.png", encoded(half, ImageFormat::Png)),
        [127, 177, 255]
    );
    assert_eq!(first_pixel("1.png", encoded(deep, ImageFormat::Png)), [128]);
    assert_eq!(
        first_pixel("1.bmp", encoded(red.clone(), ImageFormat::Bmp)),
        [250, 0, 0]
    );
    // The content decides, not the name.
    let jpeg = first_pixel("1.png", encoded(red, ImageFormat::Jpeg));
    assert!(
        jpeg[0].abs_diff(250) < 4 && jpeg[1] < 4 && jpeg[2] < 4,
        "{jpeg:?}"
    );
    let cmyk = first_pixel("cmyk.jpg", CMYK.to_vec());
    assert!(cmyk[0] > 250 && cmyk[1] < 4 && cmyk[2] < 4, "{cmyk:?}");
}

/// An animation of two frames, all 1 and all 2; the still image is the first frame, or 3.
fn animation(has_still_image: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 8, 8);
    encoder.set_animated(2, 0).expect("two frames");
    encoder
        .set_sep_def_img(has_still_image)
        .expect("an animation");
    let mut writer = encoder.write_header().expect("writes to memory");
    let still = has_still_image.then_some(3);
    for value in still.into_iter().chain([1, 2]) {
        writer.write_image_data(&[value; 64]).expect("an image");
    }
    drop(writer);
    bytes
}

#[test]
fn of_an_animation_the_still_image_counts() {
    assert_eq!(first_pixel("1.png", animation(false)), [1]);
    assert_eq!(first_pixel("1.png", animation(true)), [3]);
}

#[test]
fn images_are_turned_upright() {
    // Bright on the left; Exif says that the left is the bottom.
    let image = GrayImage::from_fn(16, 8, |x, _| Luma([if x < 8 { 255 } else { 0 }]));
    let mut jpeg = encoded(image, ImageFormat::Jpeg);
    let mut exif = vec![0xff, 0xe1, 0, 34];
    exif.extend(b"Exif\0\0MM\0*\0\0\0\x08\0\x01");
    exif.extend([0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, 8, 0, 0, 0, 0, 0, 0]);
    jpeg.splice(2..2, exif);
    let root = folder(&[("a/1.jpg", jpeg), ("b/1.png", gray(8, 16, 9))]);
    let dataset = loaded(&root, STRICT);
    assert_eq!(dataset.train.shape(), Shape::new(16, 8, 1));
    let pixels = dataset.train.pixels(0);
    assert!(pixels[0] < 5 && pixels[127] > 250, "{pixels:?}");
}

#[test]
fn what_follows_a_jpeg_image_in_its_file_is_ignored() {
    let mut jpeg = encoded(GrayImage::new(64, 64), ImageFormat::Jpeg);
    jpeg.extend(b"a film \xff\xda of a phone");
    let root = folder(&[("a/1.jpg", jpeg), ("b/1.png", gray(64, 64, 9))]);
    assert_eq!(loaded(&root, STRICT).train.shape(), Shape::new(64, 64, 1));
}

#[cfg(unix)]
#[test]
fn hidden_links_that_lead_nowhere_are_ignored() {
    let root = folder(&[("a/1.png", gray(8, 8, 1)), ("b/1.png", gray(8, 8, 9))]);
    std::os::unix::fs::symlink("nowhere", root.path().join(".#notes.txt")).unwrap();
    assert_eq!(loaded(&root, STRICT).train.shape(), Shape::new(8, 8, 1));
}

#[test]
fn unusable_files_are_left_out_and_listed() {
    let png = gray(8, 8, 1);
    let jpeg = encoded(GrayImage::new(64, 64), ImageFormat::Jpeg);
    assert_eq!(skipped("1.png", Vec::new()), "empty");
    assert_eq!(
        skipped("1.png", b"GIF89a not one".to_vec()),
        "no PNG, JPEG or BMP file"
    );
    assert_eq!(
        skipped("notes.txt", b"a note".to_vec()),
        "no PNG, JPEG or BMP file"
    );
    assert!(
        skipped("1.png", png[..png.len() / 2].to_vec()).starts_with("damaged or not supported (")
    );
    assert!(skipped("1.bmp", b"BM".to_vec()).starts_with("damaged or not supported ("));
    assert_eq!(
        skipped("1.jpg", jpeg[..jpeg.len() - 8].to_vec()),
        "cut off: it has no end-of-image marker"
    );
}

/// A PNG file that promises `width` x `height` pixels in color, in a few bytes.
fn bomb(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header().expect("writes to memory");
    let written = writer.write_chunk(png::chunk::IDAT, &[0x78, 0x9c, 3, 0, 0, 0, 0, 1]);
    written.expect("writes to memory");
    drop(writer);
    bytes
}

#[test]
fn decompression_bombs_are_not_decoded() {
    for (width, height) in [
        (16_384, 16_384),
        (16_385, 1),
        (1, 100_000),
        (i32::MAX as u32, 1),
    ] {
        let reason = skipped("1.png", bomb(width, height));
        assert!(
            reason.starts_with("too large ("),
            "{width}x{height}: {reason}"
        );
    }
    // As large, but allowed: the data are missing.
    assert!(skipped("1.png", bomb(9000, 9000)).starts_with("damaged or not supported ("));
}

#[test]
fn what_is_left_out_is_told_every_time_and_refused_if_strict() {
    let root = with("2.png", Vec::new());
    write(root.path(), "a/1.png", &gray(8, 8, 1));
    for _ in 0..2 {
        let (_, told) = load(&root, AS_IT_IS).expect("is good");
        assert_eq!(
            told.notices(),
            [
                "left out, as they cannot be used (--strict refuses them): 1 file\n  a/2.png: empty",
                "few images of class a, 1 in number: add some, to 10 at least",
                "few images of class b, 1 in number: add some, to 10 at least",
            ]
        );
    }
    assert_eq!(
        refusal(&root, STRICT),
        "the folder: --strict refuses 1 file\n  a/2.png: empty"
    );
}

#[test]
fn long_lists_are_cut() {
    let names: Vec<String> = (0..25).map(|index| format!("a/{index:02}.txt")).collect();
    let mut files: Vec<_> = names
        .iter()
        .map(|name| (name.as_str(), vec![b'x']))
        .collect();
    files.extend([("a/1.png", gray(1, 1, 1)), ("b/1.png", gray(1, 1, 1))]);
    let message = refusal(&folder(&files), STRICT);
    assert!(message.contains("25 files\n  a/00.txt: "), "{message}");
    assert!(
        message.ends_with("a/19.txt: no PNG, JPEG or BMP file\n  and 5 more"),
        "{message}"
    );
}

#[test]
fn folders_that_are_no_classes_are_refused() {
    let image = || gray(1, 1, 1);
    assert_eq!(
        refusal(
            &folder(&[("a/1.png", image()), ("b/1.png", Vec::new())]),
            AS_IT_IS
        ),
        "the folder: no image of class b to train with; put PNG, JPEG or BMP files into its folder, \
         or remove it (left out: 1 file\n  b/1.png: empty)"
    );
    assert_eq!(
        refusal(&folder(&[("a/1.png", image())]), AS_IT_IS),
        "the folder: a is the only class folder; a classifier needs two or more, each with the \
         images of one class"
    );
    assert_eq!(
        refusal(
            &folder(&[("mnist/train.gz", vec![1]), ("b/c", Vec::new())]),
            AS_IT_IS
        ),
        "the folder: no PNG, JPEG or BMP file in its sub-folders can be used; name the folder that \
         holds a data set's files, or a sub-folder of images for each class (left out: 2 files\n  \
         b/c: empty\n  mnist/train.gz: no PNG, JPEG or BMP file)"
    );
    let names: Vec<String> = (0..257).map(|class| format!("{class}/1.png")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), image())).collect();
    assert_eq!(loaded(&folder(&files[..256]), STRICT).classes.len(), 256);
    assert_eq!(
        refusal(&folder(&files), AS_IT_IS),
        "the folder: more than 256 class folders; merge some, or leave some out"
    );
    let lines = [("a\nb/1.png", image()), ("b/1.png", image())];
    assert_eq!(
        refusal(&folder(&lines), AS_IT_IS),
        "a\nb: its name names a class, and is not UTF-8 or not one line; rename the folder"
    );
}

#[test]
fn other_formats_take_no_options() {
    let root = folder(&[("data_batch_1.bin", vec![0; 3073])]);
    assert_eq!(
        refusal(&root, sized("8x8")),
        "the folder: holds CIFAR-10 files, whose images are used as they are; leave --size and \
         --gray out"
    );
    let error = Dataset::load_or_bundled(None, &GRAY, &()).expect_err("is not for the bundled set");
    assert!(
        error
            .to_string()
            .starts_with("the bundled MNIST subset: holds IDX files, ")
    );
    assert!(Dataset::load_or_bundled(None, &STRICT, &()).is_ok());
}

// Other systems refuse names that are not Unicode.
#[cfg(target_os = "linux")]
mod linux {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_lead_to_files_and_in_no_circle() {
        let root = folder(&[
            ("a/1.png", gray(1, 1, 1)),
            ("b/1.png", gray(1, 1, 2)),
            (".shared/1.png", gray(1, 1, 3)),
        ]);
        let link = |to: &str, at: &str| {
            symlink(to, root.path().join(at)).expect("makes a link");
        };
        link("../b/1.png", "a/2.png");
        link("..", "a/up");
        link("gone", "b/gone");
        link(".shared", "c");
        let (dataset, told) = load(&root, AS_IT_IS).expect("is good");
        let pixels: Vec<_> = dataset.train.iter().map(|pixels| pixels[0]).collect();
        assert_eq!(pixels, [1, 2, 2, 3]);
        let notices = told.notices().concat();
        assert!(notices.contains("a/up: a link to a folder"), "{notices}");
        assert!(notices.contains("b/gone: cannot be read ("), "{notices}");

        link("..", "d");
        let message = refusal(&root, AS_IT_IS);
        assert!(message.contains("no image of class d"), "{message}");
        assert!(message.contains("\n  d: a link to a folder"), "{message}");
    }

    #[test]
    fn names_need_not_be_unicode() {
        let root = with("1.png", gray(8, 8, 1));
        let name = root.path().join("a").join(OsStr::from_bytes(b"\xff.png"));
        fs::write(name, gray(8, 8, 2)).expect("writes a file");
        let (dataset, told) = load(&root, STRICT).expect("is good");
        assert_eq!(dataset.train.len(), 3);
        assert!(told.has_decoded());
        assert!(!load(&root, STRICT).expect("is good").1.has_decoded());

        let class = root.path().join(OsStr::from_bytes(b"\xff"));
        fs::create_dir(class).expect("makes a folder");
        assert!(refusal(&root, STRICT).contains("its name names a class, and is not UTF-8"));
    }
}

#[test]
fn images_are_decoded_once() {
    let root = folder(&[
        ("a/1.png", gray(2, 2, 1)),
        ("a/2.png", b"no image".to_vec()),
        ("b/1.png", gray(2, 2, 2)),
    ]);
    let cache = root.path().join(".ea4cnn-cache");
    let decoded = |options| {
        let (dataset, told) = load(&root, options).expect("is good");
        (told.has_decoded(), dataset)
    };
    let (first, dataset) = decoded(AS_IT_IS);
    assert!(first);
    assert_eq!(decoded(AS_IT_IS), (false, dataset.clone()));
    // Other options, and back.
    assert!(decoded(sized("1x1")).0);
    assert!(decoded(AS_IT_IS).0);
    // A damaged byte anywhere, or a missing one.
    let whole = fs::read(&cache).expect("the cache");
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&cache, &bytes).expect("writes a file");
        assert_eq!(decoded(AS_IT_IS), (true, dataset.clone()), "byte {at}");
        assert_eq!(fs::read(&cache).expect("the cache"), whole);
    }
    for length in [0, 7, 11, 15, 20, whole.len() - 1] {
        fs::write(&cache, &whole[..length]).expect("writes a file");
        assert_eq!(decoded(AS_IT_IS), (true, dataset.clone()), "{length} bytes");
    }
    // Another image, and another name.
    write(root.path(), "b/1.png", &gray(2, 2, 200));
    let (again, changed) = decoded(AS_IT_IS);
    assert!(again);
    assert_eq!(changed.train.pixels(1), [200; 4]);
    fs::rename(root.path().join("b/1.png"), root.path().join("b/3.png")).expect("renames");
    assert!(decoded(AS_IT_IS).0);
    assert!(!decoded(AS_IT_IS).0);
}

#[test]
fn a_folder_that_cannot_be_written_is_read() {
    let root = with("1.png", gray(8, 8, 1));
    // Unlike a lack of permissions, this stops the administrator, too.
    fs::create_dir(root.path().join(".ea4cnn-cache")).expect("makes a folder");
    let (_, told) = load(&root, AS_IT_IS).expect("is good");
    let notices = told.notices();
    assert!(
        notices[0].contains(".ea4cnn-cache: the decoded images cannot be kept here ("),
        "{notices:?}"
    );
    assert!(load(&root, AS_IT_IS).expect("is good").1.has_decoded());
}

/// Whole files of all formats.
fn files() -> Vec<Vec<u8>> {
    let image = RgbImage::from_fn(16, 16, |x, y| Rgb([(x * 16) as u8, (y * 16) as u8, 77]));
    let formats = [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Bmp];
    let mut files = formats
        .map(|format| encoded(image.clone(), format))
        .to_vec();
    files.extend([animation(true), CMYK.to_vec()]);
    files
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn damaged_files_are_read_or_left_out(
        file in 0_usize..5,
        damage in proptest::collection::vec(fixture::damage(), 1..4),
    ) {
        let mut bytes = files().swap_remove(file);
        for damage in damage {
            if !bytes.is_empty() {
                damage.apply(&mut bytes);
            }
        }
        let root = with("1.png", bytes);
        write(root.path(), "a/good.png", &gray(8, 8, 1));
        let (dataset, told) = load(&root, sized("4x4"))?;
        let listed = told.notices().concat().contains("a/1.png: ");
        prop_assert_eq!(dataset.train.len(), if listed { 2 } else { 3 });
    }
}
