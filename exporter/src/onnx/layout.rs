//! What computes nothing: flattening, other shapes, transposition, and zeros around a map.

use super::error::Refusal;
use super::import::Reader;
use super::node::Node;
use super::tensor::Tensor;
use super::value::{Form, Map, Order, Padding, Value};
use super::window::sizes;

impl<'m> Reader<'m> {
    /// `Flatten` at the batch.
    pub(super) fn flatten(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        node.require_int("axis", 1, "only the batch may remain a dimension")?;
        let map = self.map(node, 0)?;
        let dims = [self.batch, map.shape.elements()];
        self.view(node, &map, &dims)
    }

    /// `Reshape`, where the order of the elements allows it.
    pub(super) fn reshape(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        let wanted = self.weights(node, 1)?.ints()?.to_vec();
        let map = self.map(node, 0)?;
        let dims = map.dims(self.batch);
        let unfit = || Refusal::Attribute {
            name: "shape",
            found: format!("{wanted:?}"),
            supported: "one row of features per image is supported",
        };
        let resolve = |(index, &size): (usize, &i64)| match size {
            -1 => Ok(None),
            0 if node.int("allowzero") != Some(1) => {
                dims.get(index).copied().map(Some).ok_or_else(unfit)
            }
            size => usize::try_from(size).map(Some).map_err(|_| unfit()),
        };
        let sizes = wanted.iter().enumerate().map(resolve);
        let sizes = sizes.collect::<Result<Vec<Option<usize>>, _>>()?;
        let known = sizes.iter().flatten();
        let known = known.fold(1usize, |product, &size| product.saturating_mul(size));
        let open = dims.iter().product::<usize>().checked_div(known);
        let dims: Vec<usize> = sizes
            .iter()
            .map(|size| size.or(open).unwrap_or(0))
            .collect();
        self.view(node, &map, &dims)
    }

    /// `Squeeze`, `Unsqueeze`, of a map or of a list of integers.
    pub(super) fn squeeze(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        let axes = match self.constant(node, 1)? {
            Some(tensor) => tensor.ints()?.to_vec(),
            None => node.ints("axes").unwrap_or_default().to_vec(),
        };
        if let Value::Constant(tensor) = self.value(node, 0)? {
            let list = Tensor::list(tensor.ints()?.to_vec());
            return self.define(node.output(), Value::Constant(list));
        }
        let map = self.map(node, 0)?;
        let dims = map.dims(self.batch);
        let changed = match node.operator() {
            "Squeeze" => squeezed(dims, &axes),
            _ => unsqueezed(dims, &axes),
        };
        let dims = changed.ok_or_else(|| Refusal::Attribute {
            name: "axes",
            found: format!("{axes:?}"),
            supported: "given axes of extent 1 are supported",
        })?;
        self.view(node, &map, &dims)
    }

    fn view(&mut self, node: Node<'m>, map: &Map, dims: &[usize]) -> Result<(), Refusal> {
        let map = map.view(dims, self.batch)?;
        self.rename(node, Value::Map(map))
    }

    /// `Pad` with zeros, for the convolution that reads it. Before operator set 11, all is attributes.
    pub(super) fn pad(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        let map = self.map(node, 0)?;
        match node.text("mode").as_deref() {
            None | Some("constant") => {}
            Some(mode) => {
                return Err(Refusal::Attribute {
                    name: "mode",
                    found: mode.to_owned(),
                    supported: "only zeros (constant) are supported",
                });
            }
        }
        let value = match self.constant(node, 2)? {
            Some(tensor) => tensor.floats()?.first().copied(),
            None => node.float("value"),
        };
        if value.is_some_and(|value| value != 0.0) {
            return Err(Refusal::Form("pads with a number other than 0"));
        }
        let pads = match self.constant(node, 1)? {
            Some(tensor) => tensor.ints()?,
            None => node.ints("pads").unwrap_or_default(),
        };
        let axes = match self.constant(node, 3)? {
            Some(tensor) => ascending(tensor.ints()?, 4),
            None => Some((0..4).collect()),
        };
        let padding = axes.and_then(|axes| padding(&map, pads, &axes));
        let padding = padding.ok_or_else(|| Refusal::Attribute {
            name: "pads",
            found: format!("{pads:?}"),
            supported: "rows and columns around a map are supported, none taken away",
        })?;
        self.rename(node, Value::Padded(map, padding))
    }

    /// `Transpose` between channels first and channels last, or of a constant matrix.
    pub(super) fn transpose(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        let perm = node.ints("perm").unwrap_or_default();
        let refused = || Refusal::Attribute {
            name: "perm",
            found: format!("{perm:?}"),
            supported: "channels first to channels last is supported, and back",
        };
        let value = match self.value(node, 0)? {
            Value::Constant(tensor) if matches!(perm, [] | [1, 0]) => {
                Value::Constant(tensor.transposed().ok_or_else(refused)?)
            }
            Value::Constant(_) => return Err(refused()),
            Value::Map(map) => Value::Map(map.permuted(perm).ok_or_else(refused)?),
            Value::Padded(map, padding) => {
                Value::Padded(map.permuted(perm).ok_or_else(refused)?, *padding)
            }
        };
        self.rename(node, value)
    }
}

/// The zeros of a `Pad` on either side of each of `axes` of a map: those before, then those after.
fn padding(map: &Map, pads: &[i64], axes: &[usize]) -> Option<Padding> {
    if map.form != Form::Map || pads.len() != 2 * axes.len() {
        return None;
    }
    let mut around = [0; 8];
    for (&axis, pads) in axes.iter().zip(pads.iter().zip(&pads[axes.len()..])) {
        [around[axis], around[4 + axis]] = [*pads.0, *pads.1];
    }
    let (sides, others) = match map.order {
        Order::Chw => ([2, 3, 6, 7], [0, 1, 4, 5]),
        Order::Hwc => ([1, 2, 5, 6], [0, 3, 4, 7]),
    };
    if others.iter().any(|&side| around[side] != 0) {
        return None;
    }
    let [top, left, bottom, right] = sizes(&sides.map(|side: usize| around[side]))?;
    Some(Padding {
        top,
        left,
        bottom,
        right,
    })
}

/// `dims` without the `axes`, which must be of extent 1.
fn squeezed(mut dims: Vec<usize>, axes: &[i64]) -> Option<Vec<usize>> {
    let axes = positions(axes, dims.len())?;
    for &axis in axes.iter().rev() {
        if dims.get(axis) != Some(&1) {
            return None;
        }
        dims.remove(axis);
    }
    Some(dims)
}

/// `dims` with `axes` more, of extent 1.
fn unsqueezed(mut dims: Vec<usize>, axes: &[i64]) -> Option<Vec<usize>> {
    for axis in positions(axes, dims.len() + axes.len())? {
        if axis > dims.len() {
            return None;
        }
        dims.insert(axis, 1);
    }
    Some(dims)
}

/// The axes of a tensor of `rank` dimensions, if they are listed in ascending order.
fn ascending(axes: &[i64], rank: usize) -> Option<Vec<usize>> {
    let sorted = positions(axes, rank)?;
    let is_same =
        |(&axis, &position): (&i64, &usize)| axis.rem_euclid(rank as i64) == position as i64;
    axes.iter().zip(&sorted).all(is_same).then_some(sorted)
}

/// Different axes of a tensor of `rank` dimensions, ascending; negative ones count from the end.
pub(super) fn positions(axes: &[i64], rank: usize) -> Option<Vec<usize>> {
    let position = |&axis: &i64| {
        let from_start = if axis < 0 { rank as i64 } else { 0 };
        let axis = usize::try_from(axis.checked_add(from_start)?).ok()?;
        (axis < rank).then_some(axis)
    };
    let mut positions = axes.iter().map(position).collect::<Option<Vec<_>>>()?;
    positions.sort_unstable();
    let differ = positions.windows(2).all(|pair| pair[0] != pair[1]);
    (differ && !positions.is_empty()).then_some(positions)
}
