//! What moves no value: flattening, other shapes, transposition.

use super::error::Refusal;
use super::import::Reader;
use super::node::Node;
use super::tensor::Tensor;
use super::value::{Form, Map, Order, Value};

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
            Value::Map(map) => {
                let order = match (map.form, map.order, perm) {
                    (Form::Map, Order::Chw, [0, 2, 3, 1]) => Order::Hwc,
                    (Form::Map, Order::Hwc, [0, 3, 1, 2]) => Order::Chw,
                    _ => return Err(refused()),
                };
                let map = map.clone();
                Value::Map(Map { order, ..map })
            }
        };
        self.rename(node, value)
    }
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
