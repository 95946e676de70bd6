//! The confusion matrix as text.

use std::cmp::Reverse;
use std::fmt::{self, Display, Formatter};

/// The most classes that fit a terminal.
const MOST_CLASSES: usize = 16;

/// Prints a confusion matrix: one line per label, one column per answer. Of more classes than fit a
/// terminal, the most frequent confusions.
#[derive(Clone, Copy, Debug)]
pub struct Confusion<'c> {
    /// Images by label and answer, `[classes, classes]`.
    pub counts: &'c [Vec<usize>],
    /// The names of the classes.
    pub names: &'c [String],
}

impl Display for Confusion<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.counts.len() <= MOST_CLASSES {
            self.matrix(f)
        } else {
            self.most_frequent(f)
        }
    }
}

impl Confusion<'_> {
    fn name(&self, class: usize) -> String {
        let name = self.names.get(class);
        name.map_or_else(|| class.to_string(), |name| name.chars().take(10).collect())
    }

    fn matrix(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = (0..self.counts.len()).map(|c| self.name(c)).collect();
        let width = |name: &String| name.chars().count();
        let most = self
            .counts
            .iter()
            .flatten()
            .max()
            .map_or(1, |most| most.to_string().len());
        let widest = names
            .iter()
            .map(width)
            .max()
            .unwrap_or(0)
            .max("label".len());
        write!(f, "{:<widest$} ", "label")?;
        for name in &names {
            write!(f, " {name:>most$}")?;
        }
        for (counts, name) in self.counts.iter().zip(&names) {
            write!(f, "\n{name:<widest$} ")?;
            for (count, name) in counts.iter().zip(&names) {
                write!(f, " {count:>0$}", width(name).max(most))?;
            }
        }
        writeln!(f)
    }

    fn most_frequent(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut wrong: Vec<(usize, usize, usize)> = Vec::new();
        for (label, counts) in self.counts.iter().enumerate() {
            let counts = counts.iter().enumerate();
            let others = counts.filter(|&(class, &count)| class != label && count > 0);
            wrong.extend(others.map(|(class, &count)| (count, label, class)));
        }
        wrong.sort_by_key(|&(count, ..)| Reverse(count));
        for &(count, label, class) in wrong.iter().take(MOST_CLASSES) {
            let (label, class) = (self.name(label), self.name(class));
            writeln!(f, "{count} of {label} taken for {class}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_lines_and_answers_are_columns() {
        let confusion = Confusion {
            counts: &[vec![100, 2], vec![0, 7]],
            names: &["cat".into(), "ship".into()],
        };
        let expected = "label  cat ship\ncat    100    2\nship     0    7\n";
        assert_eq!(confusion.to_string(), expected);
    }

    #[test]
    fn of_many_classes_the_worst_are_named() {
        let mut counts = vec![vec![0; 20]; 20];
        (counts[3][4], counts[5][5], counts[19][0]) = (2, 9, 7);
        let confusion = Confusion {
            counts: &counts,
            names: &[],
        };
        let expected = "7 of 19 taken for 0\n2 of 3 taken for 4\n";
        assert_eq!(confusion.to_string(), expected);
    }
}
