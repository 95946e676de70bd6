//! The plan of RAM: how many rows of every map are kept, and where in the arena.
//!
//! There are no lifetimes to analyze within a segment: a map keeps the rows that its readers still
//! need, and a row that is consumed at once lies in memory that all such rows share. A cut divides
//! the chain into segments that use the same memory one after the other; the whole maps at the cuts
//! lie alternately at the end and at the start of the arena:
//!
//! ```text
//! segment 0   progress | expansion | rows, accumulators            | map 0
//! segment 1   progress | expansion | map 1 | rows, accumulators    | map 0
//! segment 2   progress | expansion | map 1 | rows, accumulators
//! ```
//!
//! Weights of 8 bits are expanded in one memory, as large as one layer at most needs.

use crate::arena::{Lane, Place, Ring, Span, Stream};
use crate::geometry::{GeometryError, Keep, Op, Shape};
use crate::layer::Layer;
use crate::schedule::{AWAITED, COMPLETED, Cursor, Intake, NO_ROW, Progress, start};

/// The most words an arena may have (256 MiB): sizes then fit 32 bits on every target.
const MAX_WORDS: usize = 1 << 26;

/// The image as the plan sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Image {
    pub(crate) shape: Shape,
    pub(crate) rows: Stream,
}

/// Plans the arena of linked `layers`; returns its length in words. `progress` is one for each
/// layer.
pub(crate) const fn plan(
    image: &mut Image,
    layers: &mut [Layer<'_>],
    progress: &mut [Progress],
) -> Result<usize, (usize, GeometryError)> {
    let Some(last) = layers.len().checked_sub(1) else {
        return Ok(0);
    };
    find_readers(image, layers);
    if let Err(error) = check(layers) {
        return Err(error);
    }
    count_rows(image, layers, progress);
    let words = lay_out(image, layers, 0);
    if words > MAX_WORDS {
        return Err((last, GeometryError::ArenaTooLarge));
    }
    lay_out(image, layers, words);
    Ok(words)
}

impl Image {
    pub(crate) const fn new(shape: Shape) -> Self {
        Self {
            shape,
            rows: Stream::UNPLANNED,
        }
    }
}

/// The stream of a map: the image or a layer's output.
const fn stream_mut<'l>(
    image: &'l mut Image,
    layers: &'l mut [Layer<'_>],
    map: usize,
) -> Option<&'l mut Stream> {
    match map.checked_sub(1) {
        None => Some(&mut image.rows),
        Some(index) if index < layers.len() => Some(&mut layers[index].rows),
        Some(_) => None,
    }
}

/// Finds the readers of every map, and the horizontal padding that they need.
pub(crate) const fn find_readers(image: &mut Image, layers: &mut [Layer<'_>]) {
    let mut map = 0;
    while map <= layers.len() {
        let mut shape = image.shape;
        let mut stream = Stream::UNPLANNED;
        if map > 0 {
            shape = layers[map - 1].output;
            // The logits have no reader: the schedule goes on from their layer.
            stream.last_reader = (map - 1) as u8;
        }
        let mut right = 0;
        let mut reader = map;
        while reader < layers.len() {
            let layer = &layers[reader];
            if layer.reads(map) {
                stream.last_reader = reader as u8;
                stream.readers = stream.readers.saturating_add(1);
                let (before, after) = layer.padding();
                if before > stream.left {
                    stream.left = before;
                }
                if after > right {
                    right = after;
                }
            }
            reader += 1;
        }
        stream.row_elements = stream.left + shape.row_elements() + right;
        if let Some(planned) = stream_mut(image, layers, map) {
            *planned = stream;
        }
        map += 1;
    }
}

/// Refuses layers whose output nobody needs, and cuts that a later layer reads across.
const fn check(layers: &[Layer<'_>]) -> Result<(), (usize, GeometryError)> {
    let mut index = 0;
    while index < layers.len() {
        let layer = &layers[index];
        let last = index + 1 == layers.len();
        let branch = matches!(layer.op, Op::Branch { .. });
        if layer.rows.readers == 0 && !last && !branch {
            return Err((index, GeometryError::Unread));
        }
        if matches!(layer.keep, Keep::Map) && !can_cut(layers, index) {
            return Err((index, GeometryError::Cut));
        }
        index += 1;
    }
    Ok(())
}

/// Whether the chain can be cut behind layer `last`: it has an output of its own, and what follows
/// reads only that, or later ones.
pub(crate) const fn can_cut(layers: &[Layer<'_>], last: usize) -> bool {
    if last + 1 >= layers.len() || matches!(layers[last].op, Op::Branch { .. }) {
        return false;
    }
    let mut index = last + 1;
    while index < layers.len() {
        let mut map = 0;
        while map <= last {
            if layers[index].reads(map) {
                return false;
            }
            map += 1;
        }
        index += 1;
    }
    true
}

/// Goes through the schedule, and finds how many rows of every map are alive at a time.
pub(crate) const fn count_rows(
    image: &mut Image,
    layers: &mut [Layer<'_>],
    progress: &mut [Progress],
) {
    let mut cursor = Cursor::START;
    start(layers, progress);
    while cursor.pushed < image.shape.height {
        // Behind a cut, what remains of the image is read by nobody, and not stored.
        if cursor.segment == 0 {
            count_row(image, layers, progress, 0, cursor.pushed as usize);
        }
        cursor.push(image.rows.last_reader);
        while let Some(step) = cursor.next(layers, progress) {
            count_row(image, layers, progress, step.layer + 1, step.output);
        }
    }
}

/// Row `y` of a map is being written: the rows that are still needed and this one must be apart.
const fn count_row(
    image: &mut Image,
    layers: &mut [Layer<'_>],
    progress: &[Progress],
    map: usize,
    y: usize,
) {
    let mut oldest = y;
    let mut reader = map;
    while reader < layers.len() && reader < progress.len() {
        let layer = &layers[reader];
        if layer.reads(map) {
            let needed = oldest_needed(layer, progress[reader]);
            if needed < oldest {
                oldest = needed;
            }
        }
        reader += 1;
    }
    let keep_whole = map > 0 && map <= layers.len() && matches!(layers[map - 1].keep, Keep::Map);
    let rows = if keep_whole { y + 1 } else { y + 1 - oldest };
    if let Some(stream) = stream_mut(image, layers, map)
        && rows > stream.ring.capacity
    {
        stream.ring = Ring::new(rows);
    }
}

/// The first input row that a layer still needs.
const fn oldest_needed(layer: &Layer<'_>, progress: Progress) -> usize {
    match layer.feed.intake {
        _ if progress[AWAITED] == NO_ROW => usize::MAX,
        Intake::Window => {
            let next = progress[COMPLETED] as usize;
            layer.feed.span(next, layer.input.height as usize).first
        }
        Intake::Accumulate | Intake::Nothing => progress[AWAITED] as usize,
    }
}

/// Where all layers expand weights of 8 bits: behind the progress.
pub(crate) const fn expansion(layers: &[Layer<'_>]) -> Span {
    let mut words = 0;
    let mut index = 0;
    while index < layers.len() {
        let needed = layers[index].expansion_words();
        if needed > words {
            words = needed;
        }
        index += 1;
    }
    Span {
        start: layers.len(),
        words,
    }
}

/// Places everything in an arena of `end` words, and returns the words that it takes. What lies at
/// its end is right when `end` is that number.
const fn lay_out(image: &mut Image, layers: &mut [Layer<'_>], end: usize) -> usize {
    let base = expansion(layers).range().end;
    let mut total = base;
    let mut map_before = 0;
    let mut map_at_end = true;
    let mut first = 0;
    while first < layers.len() {
        let last = segment_end(layers, first);
        let cut = matches!(layers[last].keep, Keep::Map);
        let map_behind = if cut { layers[last].rows.words() } else { 0 };
        let (low, high) = if map_at_end {
            (map_before, map_behind)
        } else {
            (map_behind, map_before)
        };
        let next = lay_out_segment(image, layers, first, last, base.saturating_add(low));
        let needed = next.saturating_add(high);
        if needed > total {
            total = needed;
        }
        if cut {
            layers[last].rows.span = Span {
                start: if map_at_end {
                    end.saturating_sub(map_behind)
                } else {
                    base
                },
                words: map_behind,
            };
        }
        map_before = map_behind;
        map_at_end = !map_at_end;
        first = last + 1;
    }
    total
}

/// The last layer of the segment that starts with layer `first`.
const fn segment_end(layers: &[Layer<'_>], first: usize) -> usize {
    let mut last = first;
    while last + 1 < layers.len() && matches!(layers[last].keep, Keep::Rows) {
        last += 1;
    }
    last
}

/// Places what belongs to layers `first` to `last` alone, from word `next` on. Returns the word
/// behind it.
pub(crate) const fn lay_out_segment(
    image: &mut Image,
    layers: &mut [Layer<'_>],
    first: usize,
    last: usize,
    mut next: usize,
) -> usize {
    // Map `first` is the image, or the whole map before the segment.
    let (mut words_a, mut words_b) = (0, 0);
    let mut map = if first == 0 { 0 } else { first + 1 };
    while map <= last + 1 && map <= layers.len() {
        if map > 0 {
            let words = layers[map - 1].accumulators();
            layers[map - 1].sums = take(&mut next, words);
        }
        if has_rows(layers, map) {
            let place = place(image, layers, map);
            if let Some(stream) = stream_mut(image, layers, map) {
                stream.place = place;
                let words = stream.words();
                match place {
                    Place::Own => stream.span = take(&mut next, words),
                    Place::Shared(Lane::A) if words > words_a => words_a = words,
                    Place::Shared(Lane::B) if words > words_b => words_b = words,
                    Place::Shared(_) => {}
                }
            }
        }
        map += 1;
    }
    let lane_a = take(&mut next, words_a);
    let lane_b = take(&mut next, words_b);
    map = if first == 0 { 0 } else { first + 1 };
    while map <= last + 1 && map <= layers.len() {
        if let Some(stream) = stream_mut(image, layers, map) {
            match stream.place {
                Place::Shared(Lane::A) => stream.span = lane_a,
                Place::Shared(Lane::B) => stream.span = lane_b,
                Place::Own => {}
            }
        }
        map += 1;
    }
    next
}

/// Whether a map has rows within its segment: whole maps are placed outside, logits are
/// accumulators, and a branch is another name of a map.
const fn has_rows(layers: &[Layer<'_>], map: usize) -> bool {
    if map == 0 {
        return true;
    }
    let layer = &layers[map - 1];
    layer.rows.readers > 0 && matches!(layer.keep, Keep::Rows)
}

/// Whether a row may lie in shared memory: it is written at once, and its only reader consumes it
/// at once and needs no padding beside it.
const fn place(image: &Image, layers: &[Layer<'_>], map: usize) -> Place {
    let (rows, source, grows) = match producer(layers, map) {
        None => (image.rows, Place::Own, false),
        Some(layer) => {
            let source = match producer(layers, layer.source as usize) {
                None => image.rows.place,
                Some(source) if matches!(source.keep, Keep::Map) => Place::Own,
                Some(source) => source.rows.place,
            };
            (layer.rows, source, layer.grows_output())
        }
    };
    // The map behind a layer has the number of the layer plus one.
    let at_once = match producer(layers, rows.last_reader as usize + 1) {
        None => false,
        Some(reader) => reader.consumes_at_once(),
    };
    match source {
        _ if grows || rows.readers != 1 || !at_once => Place::Own,
        Place::Own | Place::Shared(Lane::B) => Place::Shared(Lane::A),
        Place::Shared(Lane::A) => Place::Shared(Lane::B),
    }
}

/// The layer whose output a map is; `None` for the image.
const fn producer<'l, 'a>(layers: &'l [Layer<'a>], map: usize) -> Option<&'l Layer<'a>> {
    match map.checked_sub(1) {
        Some(index) if index < layers.len() => Some(&layers[index]),
        _ => None,
    }
}

const fn take(next: &mut usize, words: usize) -> Span {
    let start = *next;
    *next = start.saturating_add(words);
    Span { start, words }
}
