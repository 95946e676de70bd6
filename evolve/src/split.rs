//! Dtrain, Dtest and Dval: the parts of a data set and who may see them (the paper's sections 3.1
//! and 4).

use exporter::dataset::{Dataset, Images};
use rand::seq::SliceRandom;
use rand_core::Rng;
use serde::{Deserialize, Serialize};

/// Percent of the images in Dtrain, Dtest and Dval (section 4).
const PERCENT: [usize; 3] = [75, 10, 15];

/// How a data set is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SplitKind {
    /// As in the paper's section 4: the images of training and test files together, 75 % in Dtrain,
    /// 10 % in Dtest and 15 % in Dval.
    Paper,
    /// Dval is the official test files, so that its accuracy can be compared with other work; the
    /// official training files are divided into Dtrain and Dtest, 75 to 10.
    Official,
}

/// A data set in three parts that have no image in common. Every part has its share of each class,
/// rounded to whole images, and at least one. Within a part, images are in the order of the files:
/// training shuffles Dtrain itself.
#[derive(Debug)]
pub struct Split {
    /// Dtrain: trains the weights.
    pub train: Images,
    /// Dtest: gives the fitness, and nothing else does.
    pub test: Images,
    /// Dval: gives the accuracy to report of what evolution has already chosen.
    pub validation: Sealed,
}

impl Split {
    /// Divides `dataset` by a shuffle within each class.
    ///
    /// The data set is consumed, and Dtrain keeps its memory: no more than Dtest and Dval are in
    /// memory twice.
    ///
    /// # Errors
    /// A class has too few images to have one in each part.
    pub fn new<R: Rng + ?Sized>(
        dataset: Dataset,
        kind: SplitKind,
        rng: &mut R,
    ) -> Result<Self, SplitError> {
        let Dataset {
            train: mut images,
            test: official_test,
            classes,
            ..
        } = dataset;
        match kind {
            SplitKind::Paper => {
                images.append(official_test);
                let by_class = ByClass::new(&images, &classes);
                by_class.require(PERCENT.len(), "the training and test files")?;
                let [train, test, validation] = images.divide(&by_class.assign(PERCENT, rng));
                Ok(Self {
                    train,
                    test,
                    validation: Sealed(validation),
                })
            }
            SplitKind::Official if official_test.is_empty() => Err(SplitError::NoTestImages),
            SplitKind::Official => {
                let [train_percent, test_percent, _] = PERCENT;
                ByClass::new(&official_test, &classes).require(1, "the test files")?;
                let by_class = ByClass::new(&images, &classes);
                by_class.require(2, "the training files")?;
                let part_of = by_class.assign([train_percent, test_percent], rng);
                let [train, test] = images.divide(&part_of);
                Ok(Self {
                    train,
                    test,
                    validation: Sealed(official_test),
                })
            }
        }
    }
}

/// A random share of the images of each class, rounded up to whole images.
pub fn share<R: Rng + ?Sized>(
    images: Images,
    classes: &[String],
    share: f64,
    rng: &mut R,
) -> Images {
    let mut part_of = vec![0; images.len()];
    for indices in &mut ByClass::new(&images, classes).indices {
        indices.shuffle(rng);
        let kept = (indices.len() as f64 * share).ceil() as usize;
        for &index in indices.iter().skip(kept) {
            part_of[index] = 1;
        }
    }
    let [kept, _] = images.divide(&part_of);
    kept
}

/// Images that nobody looks at before the end: whoever opens them gives the seal away, and there is
/// no copy of it.
#[derive(Debug)]
pub struct Sealed(Images);

impl Sealed {
    /// How many images there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The images. Call this once evolution is over and nothing depends on their accuracy.
    pub fn open(self) -> Images {
        self.0
    }
}

/// The median pixel of each channel (the lower one of two).
///
/// As [`Input::zero`](exporter::network::Input::zero) of the training images it makes the most
/// common background the same as the zero padding around the image.
pub fn median_pixel(images: &Images) -> Vec<u8> {
    let channels = usize::from(images.shape().channels);
    let mut histograms = vec![[0_usize; 256]; channels];
    for index in 0..images.len() {
        for pixel in images.pixels(index).chunks_exact(channels) {
            for (histogram, &value) in histograms.iter_mut().zip(pixel) {
                histogram[usize::from(value)] += 1;
            }
        }
    }
    histograms.iter().map(median).collect()
}

/// The lowest value that at least half of the counted values do not exceed.
fn median(histogram: &[usize; 256]) -> u8 {
    let total: usize = histogram.iter().sum();
    let mut not_above = 0;
    let median = (0..=u8::MAX).find(|&value| {
        not_above += histogram[usize::from(value)];
        2 * not_above >= total
    });
    median.unwrap_or(u8::MAX)
}

/// The images of each class.
struct ByClass<'a> {
    names: &'a [String],
    /// Per class, the indices of its images.
    indices: Vec<Vec<usize>>,
}

impl<'a> ByClass<'a> {
    fn new(images: &Images, names: &'a [String]) -> Self {
        let mut indices = vec![Vec::new(); names.len()];
        for index in 0..images.len() {
            indices[images.label(index)].push(index);
        }
        Self { names, indices }
    }

    /// Refuses a class with fewer than `needed` images in `files`.
    fn require(&self, needed: usize, files: &'static str) -> Result<(), SplitError> {
        for (name, indices) in self.names.iter().zip(&self.indices) {
            if indices.len() < needed {
                return Err(SplitError::ClassTooSmall {
                    class: name.clone(),
                    found: indices.len(),
                    needed,
                    files,
                });
            }
        }
        Ok(())
    }

    /// The part of every image: within each class a random choice, in proportion to `shares`. Each
    /// part but the first gets its share rounded, and at least one image; the first gets the rest.
    fn assign<const PARTS: usize, R: Rng + ?Sized>(
        mut self,
        shares: [usize; PARTS],
        rng: &mut R,
    ) -> Vec<usize> {
        let whole: usize = shares.iter().sum();
        let total = self.indices.iter().map(Vec::len).sum();
        let mut part_of = vec![0; total];
        for indices in &mut self.indices {
            indices.shuffle(rng);
            let size = indices.len();
            let mut chosen = indices.iter();
            for (part, share) in shares.iter().enumerate().skip(1) {
                // Rounds half up.
                let count = ((2 * size * share + whole) / (2 * whole)).max(1);
                for &index in chosen.by_ref().take(count) {
                    part_of[index] = part;
                }
            }
        }
        part_of
    }
}

/// Why a data set cannot be divided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SplitError {
    /// There are no official test files.
    #[error("the data set has no test images of its own: add them in test/, or use --split paper")]
    NoTestImages,
    /// A class cannot be in every part.
    #[error(
        "too few images of class {class} in {files}: {found} found, at least {needed} needed for it to \
         be in each of Dtrain, Dtest and Dval; add images of it or leave the class out"
    )]
    ClassTooSmall {
        /// Name of the class.
        class: String,
        /// How many images it has.
        found: usize,
        /// How many it needs.
        needed: usize,
        /// Where.
        files: &'static str,
    },
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_core::SeedableRng;
    use runtime_nostd::geometry::Shape;

    use super::*;

    const SHAPE: Shape = Shape::new(1, 2, 1);

    /// Images with `labels`, each with a number as its two pixels, counted from `first`.
    fn numbered(first: u16, labels: &[u8]) -> Images {
        let numbers = (first..).take(labels.len());
        let pixels = numbers.flat_map(u16::to_be_bytes).collect();
        Images::new(SHAPE, pixels, labels.to_vec())
    }

    /// The numbers that [`numbered`] gave.
    fn numbers(images: &Images) -> Vec<u16> {
        let number = |index| {
            let pixels = images.pixels(index);
            u16::from_be_bytes([pixels[0], pixels[1]])
        };
        (0..images.len()).map(number).collect()
    }

    fn dataset(train: &[u8], test: &[u8]) -> Dataset {
        let highest = train.iter().chain(test).max().expect("has images");
        Dataset {
            name: "numbered".to_owned(),
            train: numbered(0, train),
            test: numbered(train.len() as u16, test),
            classes: (0..=*highest).map(|class| format!("c{class}")).collect(),
        }
    }

    fn split(dataset: &Dataset, kind: SplitKind, seed: u64) -> [Images; 3] {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let split = Split::new(dataset.clone(), kind, &mut rng).expect("classes are large enough");
        [split.train, split.test, split.validation.open()]
    }

    fn refusal(dataset: Dataset, kind: SplitKind) -> String {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let error = Split::new(dataset, kind, &mut rng).expect_err("must be refused");
        error.to_string()
    }

    fn count(images: &Images, class: u8) -> usize {
        let labels = images.labels().iter();
        labels.filter(|&&label| label == class).count()
    }

    /// Checks that each of `parts` has an image of `class` and, to within one, its share of the
    /// class's `size` images; in the smallest classes, one image in each part is already more.
    fn assert_shares(parts: &[&Images], shares: &[usize], class: u8, size: usize) {
        let whole: usize = shares.iter().sum();
        for (part, share) in parts.iter().zip(shares) {
            let count = count(part, class);
            assert!(count >= 1);
            assert!(size < 5 || (count * whole).abs_diff(size * share) < whole);
        }
    }

    /// Labels of five classes, from `least` to 59 of each, in mixed order.
    fn labels(least: usize) -> impl Strategy<Value = Vec<u8>> {
        vec(least..60, 5)
            .prop_map(|sizes| {
                let classes = sizes.into_iter().zip(0_u8..);
                classes
                    .flat_map(|(size, class)| vec![class; size])
                    .collect::<Vec<u8>>()
            })
            .prop_shuffle()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn paper_parts_are_disjoint_complete_and_stratified(
            labels in labels(3), seed: u64,
        ) {
            let (train_files, test_files) = labels.split_at(labels.len() * 6 / 7);
            let parts = split(&dataset(train_files, test_files), SplitKind::Paper, seed);

            let mut all: Vec<_> = parts.iter().flat_map(numbers).collect();
            all.sort_unstable();
            prop_assert!(all.iter().copied().eq(0..labels.len() as u16));
            for part in &parts {
                for (number, &label) in numbers(part).into_iter().zip(part.labels()) {
                    prop_assert_eq!(labels[usize::from(number)], label);
                }
            }
            for class in 0..5 {
                let size = labels.iter().filter(|&&label| label == class).count();
                assert_shares(&parts.each_ref(), &PERCENT, class, size);
            }
        }

        #[test]
        fn a_share_has_images_of_every_class(labels in labels(1), seed: u64, part in 0.01..1.0) {
            let dataset = dataset(&labels, &[0]);
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let some = share(dataset.train, &dataset.classes, part, &mut rng);
            prop_assert!(numbers(&some).is_sorted());
            for class in 0..5 {
                let size = labels.iter().filter(|&&label| label == class).count();
                prop_assert_eq!(count(&some, class), (size as f64 * part).ceil() as usize);
            }
        }

        #[test]
        fn official_validation_is_the_test_files(
            train in labels(2), test in labels(1), seed: u64,
        ) {
            let dataset = dataset(&train, &test);
            let [dtrain, dtest, dval] = split(&dataset, SplitKind::Official, seed);
            prop_assert_eq!(&dval, &dataset.test);
            let mut all = numbers(&dtrain);
            all.extend(numbers(&dtest));
            all.sort_unstable();
            prop_assert!(all.iter().copied().eq(0..train.len() as u16));
            for class in 0..5 {
                let size = train.iter().filter(|&&label| label == class).count();
                assert_shares(&[&dtrain, &dtest], &PERCENT[..2], class, size);
            }
        }

        #[test]
        fn a_seed_is_a_split(labels in labels(3), seed: u64) {
            let dataset = dataset(&labels, &labels);
            for kind in [SplitKind::Paper, SplitKind::Official] {
                prop_assert_eq!(split(&dataset, kind, seed), split(&dataset, kind, seed));
            }
        }
    }

    #[test]
    fn seeds_give_the_splits_that_they_always_gave() {
        let dataset = dataset(&[0, 1].repeat(10), &[0, 1]);
        let [_, dtest, dval] = split(&dataset, SplitKind::Paper, 1);
        assert_eq!(
            (numbers(&dtest), numbers(&dval)),
            (vec![3, 6], vec![10, 16, 17, 19])
        );
        let [_, dtest, _] = split(&dataset, SplitKind::Official, 2);
        assert_eq!(numbers(&dtest), [6, 9]);
    }

    #[test]
    fn the_bundled_set_is_divided_75_10_15() {
        let bundled = Dataset::bundled();
        let sizes = |kind| split(&bundled, kind, 0).map(|part| part.len());
        assert_eq!(sizes(SplitKind::Paper), [4500, 600, 900]);
        assert_eq!(sizes(SplitKind::Official), [4413, 587, 1000]);
    }

    #[test]
    fn a_class_too_small_for_all_parts_is_named() {
        assert_eq!(
            refusal(dataset(&[0, 0, 1, 1, 0], &[0]), SplitKind::Paper),
            "too few images of class c1 in the training and test files: 2 found, at least 3 needed \
             for it to be in each of Dtrain, Dtest and Dval; add images of it or leave the class out"
        );
        let official = |train, test| refusal(dataset(train, test), SplitKind::Official);
        assert!(official(&[0, 1, 1, 1], &[0, 1]).starts_with(
            "too few images of class c0 in the training files: 1 found, at least 2 needed "
        ));
        assert!(official(&[0, 0, 1, 1], &[]).starts_with("the data set has no test images "));
        assert!(official(&[0, 0, 1, 1], &[0, 0]).starts_with(
            "too few images of class c1 in the test files: 0 found, at least 1 needed "
        ));
    }

    #[test]
    fn the_sealed_part_tells_its_size_only() {
        let dataset = dataset(&[0, 0, 1, 1], &[0, 1, 1]);
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let split = Split::new(dataset, SplitKind::Official, &mut rng).expect("is good");
        assert_eq!(split.validation.count(), 3);
        assert_eq!(numbers(&split.validation.open()), [4, 5, 6]);
    }

    #[test]
    fn the_median_is_taken_per_channel() {
        let shape = Shape::new(1, 1, 2);
        let images = Images::new(shape, vec![0, 9, 0, 7, 255, 8, 1, 255], vec![0; 4]);
        assert_eq!(median_pixel(&images), [0, 8]);
        let odd = Images::new(Shape::new(1, 3, 1), vec![200, 3, 100], vec![0]);
        assert_eq!(median_pixel(&odd), [100]);
        assert_eq!(median_pixel(&Dataset::bundled().train), [0]);
    }
}
