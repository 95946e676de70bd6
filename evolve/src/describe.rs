//! What a data set consists of: images of each class and part, and statistics of its pixels.

use std::fmt::{self, Display, Formatter};

use exporter::dataset::{Dataset, Images};
use runtime_nostd::geometry::Shape;

use crate::split::{Split, SplitError, SplitKind};
use crate::streams::{Purpose, stream};

/// A data set in numbers.
#[derive(Clone, Debug)]
pub struct Description {
    name: String,
    shape: Shape,
    classes: Vec<Class>,
    /// Why the images cannot be divided, if so; the classes have no parts then.
    indivisible: Option<SplitError>,
    channels: Vec<Channel>,
}

/// The images of one class.
#[derive(Clone, Debug)]
struct Class {
    name: String,
    training_files: usize,
    test_files: usize,
    /// In Dtrain, Dtest and Dval.
    parts: [usize; 3],
}

/// Statistics of one channel over all images.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Channel {
    mean: f64,
    standard_deviation: f64,
}

impl Description {
    /// Describes `dataset` as a run would divide it, whatever its seed.
    pub fn new(dataset: Dataset, kind: SplitKind) -> Self {
        let count = dataset.classes.len();
        let training_files = dataset.train.per_class(count);
        let test_files = dataset.test.per_class(count);
        let names = dataset.classes.clone().into_iter();
        let mut classes: Vec<Class> = names
            .zip(training_files.into_iter().zip(test_files))
            .map(|(name, (training_files, test_files))| Class {
                name,
                training_files,
                test_files,
                parts: [0; 3],
            })
            .collect();
        let (name, shape) = (dataset.name.clone(), dataset.train.shape());
        let channels = channels([&dataset.train, &dataset.test]);
        // The seed says which images are in a part, and not how many.
        let mut rng = stream(1, Purpose::Split);
        let indivisible = match Split::new(dataset, kind, &mut rng) {
            Ok(Split { train, test, .. }) => {
                let parts = train
                    .per_class(count)
                    .into_iter()
                    .zip(test.per_class(count));
                for (class, (train, test)) in classes.iter_mut().zip(parts) {
                    // What is in neither is in Dval, which stays sealed.
                    let validation = class.images() - train - test;
                    class.parts = [train, test, validation];
                }
                None
            }
            Err(error) => Some(error),
        };
        Self {
            name,
            shape,
            classes,
            indivisible,
            channels,
        }
    }
}

impl Class {
    fn images(&self) -> usize {
        self.training_files + self.test_files
    }

    fn numbers(&self) -> [usize; 6] {
        let [train, test, validation] = self.parts;
        let files = (self.training_files, self.test_files);
        [self.images(), files.0, files.1, train, test, validation]
    }
}

/// Mean and standard deviation of every channel; all sums are exact.
fn channels(parts: [&Images; 2]) -> Vec<Channel> {
    let channels = usize::from(parts[0].shape().channels);
    let mut sums = vec![(0_u64, 0_u64); channels];
    let mut pixels = 0_u64;
    for image in parts.into_iter().flat_map(Images::iter) {
        for pixel in image.chunks_exact(channels) {
            pixels += 1;
            for ((sum, squares), &value) in sums.iter_mut().zip(pixel) {
                *sum += u64::from(value);
                *squares += u64::from(value).pow(2);
            }
        }
    }
    let channel = |(sum, squares): (u64, u64)| {
        let mean = sum as f64 / pixels as f64;
        let variance = squares as f64 / pixels as f64 - mean * mean;
        Channel {
            mean,
            standard_deviation: variance.max(0.0).sqrt(),
        }
    };
    sums.into_iter().map(channel).collect()
}

impl Display for Description {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let lengths = self.classes.iter().map(|class| class.name.chars().count());
        let width = lengths.max().unwrap_or(0).max(5);
        writeln!(f, "{}: images of {}", self.name, self.shape)?;
        writeln!(f)?;
        writeln!(
            f,
            "{:<width$}  {:>8}  {:>8}  {:>8}  {:>8}  {:>8}  {:>8}",
            "class", "images", "training", "test", "Dtrain", "Dtest", "Dval"
        )?;
        let mut total = [0; 6];
        for class in &self.classes {
            let numbers = class.numbers();
            self.line(f, &class.name, width, numbers)?;
            for (total, number) in total.iter_mut().zip(numbers) {
                *total += number;
            }
        }
        self.line(f, "all", width, total)?;
        if let Some(error) = &self.indivisible {
            writeln!(f, "no Dtrain, Dtest and Dval: {error}")?;
        }
        writeln!(f)?;
        for (index, channel) in self.channels.iter().enumerate() {
            let Channel {
                mean,
                standard_deviation,
            } = channel;
            writeln!(
                f,
                "channel {index}: mean {mean:.2}, standard deviation {standard_deviation:.2}"
            )?;
        }
        Ok(())
    }
}

impl Description {
    /// A line of the table; without parts if there are none.
    fn line(
        &self,
        f: &mut Formatter<'_>,
        name: &str,
        width: usize,
        numbers: [usize; 6],
    ) -> fmt::Result {
        write!(f, "{name:<width$}")?;
        let known = if self.indivisible.is_some() { 3 } else { 6 };
        for (index, number) in numbers.into_iter().enumerate() {
            if index < known {
                write!(f, "  {number:>8}")?;
            } else {
                write!(f, "  {:>8}", "-")?;
            }
        }
        writeln!(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dataset(train: &[u8], test: &[u8]) -> Dataset {
        let shape = Shape::new(1, 1, 2);
        let images = |labels: &[u8]| {
            let pixels = labels.iter().flat_map(|&label| [label, 10 + 2 * label]);
            Images::new(shape, pixels.collect(), labels.to_vec())
        };
        Dataset {
            name: "pairs".into(),
            train: images(train),
            test: images(test),
            classes: vec!["zero".into(), "second".into()],
        }
    }

    #[test]
    fn classes_parts_and_channels_are_described() {
        let dataset = dataset(&[0, 0, 0, 0, 1, 1, 1, 1], &[1, 0]);
        let text = Description::new(dataset, SplitKind::Paper).to_string();
        assert_eq!(
            text,
            "pairs: images of 1x1x2\n\n\
             class     images  training      test    Dtrain     Dtest      Dval\n\
             zero           5         4         1         3         1         1\n\
             second         5         4         1         3         1         1\n\
             all           10         8         2         6         2         2\n\n\
             channel 0: mean 0.50, standard deviation 0.50\n\
             channel 1: mean 11.00, standard deviation 1.00\n"
        );
    }

    #[test]
    fn what_cannot_be_divided_is_described() {
        let text = Description::new(dataset(&[0, 1], &[]), SplitKind::Paper).to_string();
        assert!(
            text.contains("all            2         2         0         -         -         -\n")
        );
        assert!(
            text.contains("no Dtrain, Dtest and Dval: too few images of class zero"),
            "{text}"
        );
    }

    #[test]
    fn dval_is_what_is_left() {
        let dataset = dataset(&[0, 0, 0, 1, 1, 1], &[0, 1, 1]);
        let text = Description::new(dataset, SplitKind::Official).to_string();
        assert!(
            text.contains("all            9         6         3         4         2         3\n"),
            "{text}"
        );
    }
}
