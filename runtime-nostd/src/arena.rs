//! The memory of inference, an array of 32-bit words, and how its parts are addressed.
//!
//! First one word of progress per layer; behind them what `plan` lays out: memory to expand weights,
//! rows of maps, and accumulators.

use crate::kernels::scalar::Rows;
use crate::schedule::{Progress, RowSpan};

/// A range of words of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) words: usize,
}

impl Span {
    /// No words.
    pub(crate) const EMPTY: Self = Self { start: 0, words: 0 };

    pub(crate) const fn range(self) -> core::ops::Range<usize> {
        self.start..self.start.saturating_add(self.words)
    }
}

/// Slots that the rows of a map take in turn: row `y` lies at slot `y % capacity`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ring {
    /// Slots, at least one.
    pub(crate) capacity: usize,
    /// 2^16 / `capacity`, rounded up: small cores cannot divide.
    reciprocal: u32,
}

impl Ring {
    pub(crate) const fn new(capacity: usize) -> Self {
        let capacity = if capacity == 0 { 1 } else { capacity };
        Self {
            capacity,
            reciprocal: (1_u32 << 16).div_ceil(capacity as u32),
        }
    }

    /// Where row `y` lies, of fewer than 2^16.
    pub(crate) const fn slot(self, y: usize) -> usize {
        // At most one too many, since the reciprocal is rounded up by less than one part in 2^16.
        let rounds = (y as u32 * self.reciprocal) >> 16;
        let start = rounds as usize * self.capacity;
        match y.checked_sub(start) {
            Some(slot) => slot,
            None => y + self.capacity - start,
        }
    }
}

/// How the rows of one map, the image or a layer's output, pass through memory. All readers read
/// them in the same place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    /// The last layer in the chain that reads the map.
    pub(crate) last_reader: u8,
    /// Layers that read the map.
    pub(crate) readers: u8,
    /// Whether the rows have memory of their own.
    pub(crate) place: Place,
    /// The kept rows end to end.
    pub(crate) span: Span,
    pub(crate) ring: Ring,
    /// Elements of a stored row, horizontal padding included.
    pub(crate) row_elements: usize,
    /// Elements of padding at the start of a row: the most that a reader needs.
    pub(crate) left: usize,
}

/// Whether a stream has memory of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Own,
    /// A row that is consumed before anything else is computed. All such rows use the same memory,
    /// alternating between two, so that a layer can read one while it writes the other.
    Shared(Lane),
}

/// Which of the two shared rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    A,
    B,
}

impl Stream {
    /// A stream that nothing is known of yet.
    pub(crate) const UNPLANNED: Self = Self {
        last_reader: 0,
        readers: 0,
        place: Place::Own,
        span: Span::EMPTY,
        ring: Ring::new(1),
        row_elements: 0,
        left: 0,
    };

    /// Words that hold the rows and one element more: kernels read pairs, the last of an odd row
    /// with the element behind it (which they multiply by 0).
    pub(crate) const fn words(&self) -> usize {
        self.ring.capacity.saturating_mul(self.row_elements) / 2 + 1
    }

    /// Where row `y` of `elements` elements is stored.
    pub(crate) fn slot(&self, y: usize, elements: usize) -> RowSlot {
        RowSlot {
            span: self.span,
            start: self.ring.slot(y) * self.row_elements + self.left,
            elements,
        }
    }

    /// The rows of `span` in `buffer`, the memory of this stream, each with `padding` elements of
    /// zeros before its first element.
    pub(crate) fn rows<'b, E>(
        &self,
        span: RowSpan,
        padding: usize,
        buffer: &'b [E],
    ) -> Rows<'b, E> {
        Rows {
            buffer: buffer
                .get(self.left.saturating_sub(padding)..)
                .unwrap_or(&[]),
            row_elements: self.row_elements,
            capacity: self.ring.capacity,
            first: self.ring.slot(span.first),
            count: span.count,
        }
    }

    /// Row `y` in `buffer`, the memory of this stream, from its first element to the end of the
    /// buffer.
    pub(crate) fn row<'b, E>(&self, y: usize, buffer: &'b [E]) -> &'b [E] {
        buffer.get(self.slot(y, 0).start..).unwrap_or(&[])
    }
}

/// One row of a stream, without its padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowSlot {
    span: Span,
    start: usize,
    elements: usize,
}

impl RowSlot {
    /// No row.
    pub(crate) const NONE: Self = Self {
        span: Span::EMPTY,
        start: 0,
        elements: 0,
    };

    /// The row in `buffer`, the words of its stream.
    fn of<const IMAGES: usize>(self, buffer: &mut [[i32; IMAGES]]) -> &mut [[i16; IMAGES]] {
        activations_mut(buffer)
            .get_mut(self.start..self.start.saturating_add(self.elements))
            .unwrap_or(&mut [])
    }
}

/// The memory that a plan divides. Every word, and so every activation, is there once for each of
/// `IMAGES` images that pass through the network side by side: the plan is the same for any number.
#[derive(Debug)]
pub(crate) struct Arena<'s, const IMAGES: usize> {
    words: &'s mut [[i32; IMAGES]],
}

impl<'s, const IMAGES: usize> Arena<'s, IMAGES> {
    pub(crate) fn new(words: &'s mut [[i32; IMAGES]]) -> Self {
        Self { words }
    }

    /// The progress of `layers` layers, which all images share.
    pub(crate) fn progress(&mut self, layers: usize) -> &mut [Progress] {
        let words = self.words.get_mut(..layers).unwrap_or(&mut []);
        let progress = bytemuck::try_cast_slice_mut(words.as_flattened_mut());
        let progress: &mut [Progress] = progress.unwrap_or(&mut []);
        progress.get_mut(..layers).unwrap_or(&mut [])
    }

    /// The words of a span.
    pub(crate) fn words(&self, span: Span) -> &[[i32; IMAGES]] {
        self.words.get(span.range()).unwrap_or(&[])
    }

    /// The words of a span, for as long as the memory is lent.
    pub(crate) fn into_words(self, span: Span) -> &'s [[i32; IMAGES]] {
        let words: &'s [[i32; IMAGES]] = self.words;
        words.get(span.range()).unwrap_or(&[])
    }

    /// The words of a span.
    pub(crate) fn words_mut(&mut self, span: Span) -> &mut [[i32; IMAGES]] {
        self.words.get_mut(span.range()).unwrap_or(&mut [])
    }

    /// A row alone.
    pub(crate) fn row(&self, row: RowSlot) -> &[[i16; IMAGES]] {
        let range = row.start..row.start.saturating_add(row.elements);
        activations(self.words(row.span)).get(range).unwrap_or(&[])
    }

    /// A row alone, to write.
    pub(crate) fn row_mut(&mut self, row: RowSlot) -> &mut [[i16; IMAGES]] {
        row.of(self.words_mut(row.span))
    }

    /// Words to read, and words to write. The plan keeps them apart.
    pub(crate) fn words_and_words(
        &mut self,
        read: Span,
        written: Span,
    ) -> (&[[i32; IMAGES]], &mut [[i32; IMAGES]]) {
        match self.words.get_disjoint_mut([read.range(), written.range()]) {
            Ok([read, written]) => (read, written),
            Err(_) => (&[], &mut []),
        }
    }

    /// Words to read, and a row to write. The plan keeps them apart.
    pub(crate) fn words_and_row(
        &mut self,
        words: Span,
        row: RowSlot,
    ) -> (&[[i32; IMAGES]], &mut [[i16; IMAGES]]) {
        let (words, buffer) = self.words_and_words(words, row.span);
        (words, row.of(buffer))
    }

    /// Rows to read, words to read or write, and a row to write. The plan keeps them apart.
    pub(crate) fn parts(&mut self, rows: Span, words: Span, row: RowSlot) -> Parts<'_, IMAGES> {
        let (rows, [words, buffer]) = self.rows_and_words(rows, [words, row.span]);
        (rows, words, row.of(buffer))
    }

    /// Rows to read, and words to read or write. The plan keeps them apart.
    pub(crate) fn rows_and_words(
        &mut self,
        rows: Span,
        [a, b]: [Span; 2],
    ) -> (&[[i16; IMAGES]], [&mut [[i32; IMAGES]]; 2]) {
        let ranges = [rows.range(), a.range(), b.range()];
        match self.words.get_disjoint_mut(ranges) {
            Ok([rows, a, b]) => (activations(rows), [a, b]),
            Err(_) => (&[], [&mut [], &mut []]),
        }
    }
}

/// What [`Arena::parts`] lends.
type Parts<'p, const IMAGES: usize> = (
    &'p [[i16; IMAGES]],
    &'p mut [[i32; IMAGES]],
    &'p mut [[i16; IMAGES]],
);

/// Words as the pairs of activations that they hold.
pub(crate) fn activations<const IMAGES: usize>(words: &[[i32; IMAGES]]) -> &[[i16; IMAGES]] {
    let (activations, _) = bytemuck::cast_slice(words.as_flattened()).as_chunks();
    activations
}

/// As [`activations`], to write.
pub(crate) fn activations_mut<const IMAGES: usize>(
    words: &mut [[i32; IMAGES]],
) -> &mut [[i16; IMAGES]] {
    let (activations, _) = bytemuck::cast_slice_mut(words.as_flattened_mut()).as_chunks_mut();
    activations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_lies_where_a_division_says() {
        for capacity in (1..=300).chain([32_767, 32_768, 65_535]) {
            let ring = Ring::new(capacity);
            for y in 0..1 << 16 {
                assert_eq!(ring.slot(y), y % capacity, "{y} of {capacity}");
            }
        }
    }
}
