//! A chain of operations with its branches resolved: shapes, memory, and where it may be cut,
//! before there are any weights.

use core::num::NonZeroU8;

use crate::blob::Storage;
use crate::geometry::{GeometryError, Keep, Op, Shape};
use crate::layer::Layer;
use crate::plan::{Image, can_cut, count_rows, expansion, find_readers, lay_out_segment, plan};
use crate::schedule::Feed;

/// The most layers a chain may have.
pub const MAX_LAYERS: usize = 255;

/// Operations over an image, one behind the other, for the exporter and for `const` evaluation.
///
/// ```
/// use runtime_nostd::Chain;
/// use runtime_nostd::geometry::{Op, Shape, Window};
///
/// # fn main() -> Result<(), runtime_nostd::geometry::GeometryError> {
/// let mut chain = Chain::new(Shape::new(28, 28, 1));
/// chain.push(Op::Conv { window: Window::square(5, 1, 0), out_channels: 8 })?;
/// let pooled = chain.push(Op::MaxPool { window: Window::square(2, 2, 0) })?;
/// assert_eq!(pooled, Shape::new(12, 12, 8));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Chain {
    image: Image,
    layers: [Layer<'static>; MAX_LAYERS],
    length: usize,
}

impl Chain {
    /// An empty chain over an image.
    pub const fn new(image: Shape) -> Self {
        Self {
            image: Image::new(image),
            layers: [Layer::EMPTY; MAX_LAYERS],
            length: 0,
        }
    }

    /// Appends an operation, its weights stored in 16 bits if it has any, and returns the shape of
    /// its output.
    ///
    /// # Errors
    /// As [`Chain::push_stored`].
    pub const fn push(&mut self, op: Op) -> Result<Shape, GeometryError> {
        self.push_stored(op, Storage::I16)
    }

    /// Appends an operation, with the storage of its weights if it has any, and returns the shape of
    /// its output.
    ///
    /// # Errors
    /// The operation does not fit what it reads, or there is no room ([`MAX_LAYERS`]).
    pub const fn push_stored(&mut self, op: Op, storage: Storage) -> Result<Shape, GeometryError> {
        if self.length == MAX_LAYERS {
            return Err(GeometryError::TooManyLayers);
        }
        let (layers, _) = self.layers.split_at(self.length);
        match link(self.image.shape, layers, op) {
            Ok(layer) => {
                self.layers[self.length] = Layer { storage, ..layer };
                self.length += 1;
                Ok(layer.output)
            }
            Err(error) => Err(error),
        }
    }

    /// Shape of the map that the last layer reads; the image's while there is no layer.
    pub const fn last_input(&self) -> Shape {
        match self.length.checked_sub(1) {
            None => self.image.shape,
            Some(last) => self.layers[last].input,
        }
    }

    /// Multiply-accumulates of one inference, padding included.
    pub fn macs(&self) -> u64 {
        self.layers[..self.length].iter().map(Layer::macs).sum()
    }

    /// Bytes of scratch memory that the chain needs if it is cut behind the layers `cuts`.
    ///
    /// # Errors
    /// The index of a layer, and why it cannot be planned: nobody reads its output, it cannot be
    /// cut there, or the arena would be absurdly large.
    pub const fn arena_bytes(mut self, cuts: &[usize]) -> Result<usize, (usize, GeometryError)> {
        let mut index = 0;
        while index < cuts.len() {
            if cuts[index] >= self.length {
                return Err((cuts[index], GeometryError::Cut));
            }
            self.layers[cuts[index]].keep = Keep::Map;
            index += 1;
        }
        let (layers, _) = self.layers.split_at_mut(self.length);
        match plan(&mut self.image, layers, &mut [[0; 2]; MAX_LAYERS]) {
            Ok(words) => Ok(words * 4),
            Err(error) => Err(error),
        }
    }

    /// The memory of every segment that cuts may make.
    pub const fn segments(mut self) -> Segments {
        let (layers, _) = self.layers.split_at_mut(self.length);
        find_readers(&mut self.image, layers);
        count_rows(&mut self.image, layers, &mut [[0; 2]; MAX_LAYERS]);
        Segments(self)
    }
}

/// What a chain's segments need, from which the exporter chooses the cuts.
#[derive(Clone, Debug)]
pub struct Segments(Chain);

impl Segments {
    /// Number of layers.
    pub const fn layers(&self) -> usize {
        self.0.length
    }

    /// Bytes of scratch memory that layers `first` to `last` need where the chain is cut before
    /// and behind them; `None` where it cannot be cut. It may be fewer where a map has rows that
    /// nobody reads: once the map behind them is complete, they are not computed.
    pub const fn bytes(&mut self, first: usize, last: usize) -> Option<usize> {
        let length = self.0.length;
        let (layers, _) = self.0.layers.split_at_mut(length);
        let before = first.checked_sub(1);
        let cut_before = match before {
            None => true,
            Some(before) => can_cut(layers, before),
        };
        let cut_behind = last + 1 == length || can_cut(layers, last);
        if first > last || last >= length || !cut_before || !cut_behind {
            return None;
        }
        let mut words = expansion(layers).range().end;
        if let Some(before) = before {
            words = words.saturating_add(layers[before].whole_map_words());
            layers[before].keep = Keep::Map;
        }
        if last + 1 < length {
            words = words.saturating_add(layers[last].whole_map_words());
            layers[last].keep = Keep::Map;
        }
        words = lay_out_segment(&mut self.0.image, layers, first, last, words);
        if let Some(before) = before {
            layers[before].keep = Keep::Rows;
        }
        layers[last].keep = Keep::Rows;
        Some(words.saturating_mul(4))
    }
}

/// The layer behind `layers` that computes `op`, with what it reads.
pub(crate) const fn link(
    image: Shape,
    layers: &[Layer<'_>],
    op: Op,
) -> Result<Layer<'static>, GeometryError> {
    let named = match op {
        Op::Branch { from } => match earlier(layers, from) {
            Some(map) => map,
            None => return Err(GeometryError::NotEarlier),
        },
        _ => layers.len() as u8,
    };
    let source = resolve(layers, named);
    let input = shape(image, layers, source);
    let mut skip = None;
    if let Op::Add { from } = op {
        let Some(map) = earlier(layers, from) else {
            return Err(GeometryError::NotEarlier);
        };
        let map = resolve(layers, map);
        if map == source {
            return Err(GeometryError::AddToItself);
        }
        let other = shape(image, layers, map);
        if other.height != input.height
            || other.width != input.width
            || other.channels != input.channels
        {
            return Err(GeometryError::AddShapes);
        }
        skip = NonZeroU8::new(map);
    }
    match op.output(input) {
        Ok(output) => Ok(Layer {
            op,
            input,
            output,
            source,
            skip,
            feed: Feed::new(op, input),
            ..Layer::EMPTY
        }),
        Err(error) => Err(error),
    }
}

/// The map of layer `from`, which must come before the previous layer. Map 0 is the image, map
/// `k + 1` the output of layer `k`.
const fn earlier(layers: &[Layer<'_>], from: u8) -> Option<u8> {
    if (from as usize) + 1 < layers.len() {
        Some(from + 1)
    } else {
        None
    }
}

/// The map that `map` is another name of, if it is a branch; else itself.
const fn resolve(layers: &[Layer<'_>], map: u8) -> u8 {
    match (map as usize).checked_sub(1) {
        Some(index) if index < layers.len() => match layers[index].op {
            Op::Branch { .. } => layers[index].source,
            _ => map,
        },
        _ => map,
    }
}

const fn shape(image: Shape, layers: &[Layer<'_>], map: u8) -> Shape {
    match (map as usize).checked_sub(1) {
        Some(index) if index < layers.len() => layers[index].output,
        _ => image,
    }
}

/// Bytes of scratch memory that a chain of `ops` over an `input` image needs, with the storage of all
/// weights, cut behind the layers `cuts`.
///
/// # Errors
/// As [`Chain::push`] and [`Chain::arena_bytes`], with the index of the layer.
pub const fn arena_bytes(
    input: Shape,
    ops: &[Op],
    storage: Storage,
    cuts: &[usize],
) -> Result<usize, (usize, GeometryError)> {
    let mut chain = Chain::new(input);
    let mut index = 0;
    while index < ops.len() {
        if let Err(error) = chain.push_stored(ops[index], storage) {
            return Err((index, error));
        }
        index += 1;
    }
    chain.arena_bytes(cuts)
}
