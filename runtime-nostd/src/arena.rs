//! The plan of RAM: where every layer's line buffer and accumulators lie in the arena.
//!
//! The arena is an array of 32-bit words: one word of progress per layer, one row that all layers
//! share whose input row is consumed at once, then layer by layer what each must keep. There are no
//! lifetimes to analyze: a layer holds only the rows that its next output row reads.

use crate::geometry::{GeometryError, Op, Shape};

/// The most words an arena may have (256 MiB): sizes then fit 32 bits on every target.
const MAX_WORDS: usize = 1 << 26;

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

/// Where the rows that a layer reads are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LineBuffer {
    /// `capacity` rows end to end.
    pub(crate) span: Span,
    /// Rows kept: row `y` lies at slot `y % capacity`.
    pub(crate) capacity: usize,
    /// Elements of a stored row, horizontal padding included.
    pub(crate) row_elements: usize,
    /// Elements of padding at the start of a row.
    pub(crate) left: usize,
}

impl LineBuffer {
    /// Where row `y` of `elements` elements is stored.
    pub(crate) fn slot(&self, y: usize, elements: usize) -> RowSlot {
        RowSlot {
            span: self.span,
            start: y % self.capacity.max(1) * self.row_elements + self.left,
            elements,
        }
    }
}

/// One row inside a line buffer, without its padding.
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
}

/// The memory that a plan divides.
#[derive(Debug)]
pub(crate) struct Arena<'s> {
    words: &'s mut [i32],
}

impl<'s> Arena<'s> {
    pub(crate) fn new(words: &'s mut [i32]) -> Self {
        Self { words }
    }

    pub(crate) fn clear(&mut self) {
        self.words.fill(0);
    }

    /// The words of a span.
    pub(crate) fn words(&self, span: Span) -> &[i32] {
        self.words.get(span.range()).unwrap_or(&[])
    }

    /// The words of a span, for as long as the memory is lent.
    pub(crate) fn into_words(self, span: Span) -> &'s [i32] {
        let words: &'s [i32] = self.words;
        words.get(span.range()).unwrap_or(&[])
    }

    /// A line buffer to read, accumulators, and a row to write. The plan keeps them apart.
    pub(crate) fn parts(
        &mut self,
        line: Span,
        sums: Span,
        row: RowSlot,
    ) -> (&[i16], &mut [i32], &mut [i16]) {
        let ranges = [line.range(), sums.range(), row.span.range()];
        match self.words.get_disjoint_mut(ranges) {
            Ok([line, sums, buffer]) => {
                let buffer: &mut [i16] = bytemuck::cast_slice_mut(buffer);
                let row = buffer.get_mut(row.start..row.start.saturating_add(row.elements));
                (bytemuck::cast_slice(line), sums, row.unwrap_or(&mut []))
            }
            Err(_) => (&[], &mut [], &mut []),
        }
    }
}

/// What one layer keeps in the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LayerPlan {
    /// Its input rows.
    pub(crate) input: LineBuffer,
    /// Its `i32` accumulators; empty if it has none.
    pub(crate) sums: Span,
}

/// How a layer treats the rows that arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intake {
    /// Keeps them in a line buffer until a window is complete.
    Window,
    /// Adds each to its accumulators (or, for a maximum, to its output row) at once.
    Accumulate,
}

impl Intake {
    pub(crate) const fn of(op: Op) -> Self {
        match op {
            Op::Conv { .. } => Intake::Window,
            Op::MaxPool { window } | Op::AvgPool { window } if window.overlaps_rows() => {
                Intake::Window
            }
            Op::Dense { .. } | Op::MaxPool { .. } | Op::AvgPool { .. } => Intake::Accumulate,
        }
    }
}

/// Lays the layers out, first to last.
pub(crate) struct Planner {
    shared: Span,
    next: usize,
    /// Whether the layer before builds its output row up in place, in the buffer of its reader.
    grows_in_place: bool,
}

impl Planner {
    /// A plan for `layers` layers whose shared row has `shared_words`, the maximum of
    /// [`Planner::shared_words`] over the layers.
    pub(crate) const fn new(layers: usize, shared_words: usize) -> Self {
        Self {
            shared: Span {
                start: layers,
                words: shared_words,
            },
            next: layers + shared_words,
            grows_in_place: false,
        }
    }

    /// Words of shared row that a layer needs.
    pub(crate) const fn shared_words(op: Op, input: Shape) -> usize {
        match Intake::of(op) {
            Intake::Window => 0,
            Intake::Accumulate => words_of_i16(input.row_elements()),
        }
    }

    /// Plans the next layer.
    pub(crate) const fn layer(self, op: Op, input: Shape, output: Shape) -> (Self, LayerPlan) {
        let mut next = self.next;
        let buffer = match (Intake::of(op), op) {
            (Intake::Window, Op::Conv { window, .. }) => {
                let left = window.pad_left as usize * input.channels as usize;
                let right = window.pad_right as usize * input.channels as usize;
                let row_elements = left + input.row_elements() + right;
                ring(&mut next, window.kernel_h, input, row_elements, left)
            }
            (Intake::Window, Op::MaxPool { window } | Op::AvgPool { window }) => {
                ring(&mut next, window.kernel_h, input, input.row_elements(), 0)
            }
            (Intake::Window | Intake::Accumulate, _) => {
                let words = words_of_i16(input.row_elements());
                LineBuffer {
                    span: if self.grows_in_place {
                        take(&mut next, words)
                    } else {
                        self.shared
                    },
                    capacity: 1,
                    row_elements: input.row_elements(),
                    left: 0,
                }
            }
        };
        let sums = match (Intake::of(op), op) {
            (_, Op::Dense { outputs }) => outputs as usize,
            (Intake::Accumulate, Op::AvgPool { .. }) => output.row_elements(),
            (Intake::Window, Op::AvgPool { .. }) => output.channels as usize,
            (_, Op::Conv { .. } | Op::MaxPool { .. }) => 0,
        };
        let plan = LayerPlan {
            input: buffer,
            sums: take(&mut next, sums),
        };
        let planner = Self {
            shared: self.shared,
            next,
            grows_in_place: matches!(
                (Intake::of(op), op),
                (Intake::Accumulate, Op::MaxPool { .. })
            ),
        };
        (planner, plan)
    }

    /// Length of the arena in words; `None` if it is absurd.
    pub(crate) const fn words(&self) -> Option<usize> {
        if self.next <= MAX_WORDS {
            Some(self.next)
        } else {
            None
        }
    }
}

/// A ring of the rows under a kernel of `kernel_h` rows. A pair of elements may be read one element
/// behind an odd row (and multiplied by 0), so one element of slack follows the last row.
const fn ring(
    next: &mut usize,
    kernel_h: u8,
    input: Shape,
    row_elements: usize,
    left: usize,
) -> LineBuffer {
    let capacity = if (kernel_h as usize) < input.height as usize {
        kernel_h as usize
    } else {
        input.height as usize
    };
    LineBuffer {
        span: take(next, words_of_i16(capacity.saturating_mul(row_elements))),
        capacity,
        row_elements,
        left,
    }
}

const fn take(next: &mut usize, words: usize) -> Span {
    let start = *next;
    *next = start.saturating_add(words);
    Span { start, words }
}

/// Words that hold `elements` and one element of slack.
const fn words_of_i16(elements: usize) -> usize {
    elements / 2 + 1
}

/// Bytes of scratch memory that a chain of `ops` over an `input` image needs.
///
/// # Errors
/// The geometry of an operation is impossible, or the arena would exceed 256 MiB
/// ([`GeometryError::MapTooLarge`]).
pub const fn arena_bytes(input: Shape, ops: &[Op]) -> Result<usize, GeometryError> {
    let mut shared = 0;
    let mut shape = input;
    let mut index = 0;
    while index < ops.len() {
        let words = Planner::shared_words(ops[index], shape);
        if words > shared {
            shared = words;
        }
        shape = match ops[index].output(shape) {
            Ok(output) => output,
            Err(error) => return Err(error),
        };
        index += 1;
    }
    let mut planner = Planner::new(ops.len(), shared);
    shape = input;
    index = 0;
    while index < ops.len() {
        let output = match ops[index].output(shape) {
            Ok(output) => output,
            Err(error) => return Err(error),
        };
        (planner, _) = planner.layer(ops[index], shape, output);
        shape = output;
        index += 1;
    }
    match planner.words() {
        Some(words) => Ok(words * 4),
        None => Err(GeometryError::MapTooLarge),
    }
}
