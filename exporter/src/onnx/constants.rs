//! Arithmetic on the shapes of maps, which exporters write where the batch is open. It ends in
//! constants.

use super::error::Refusal;
use super::import::Reader;
use super::node::Node;
use super::tensor::{Elements, Tensor};
use super::value::Value;

impl<'m> Reader<'m> {
    /// `Shape` of a map; `Gather`, `Slice` and `Concat` of lists of integers.
    pub(super) fn shape_arithmetic(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        let tensor = match node.operator() {
            "Shape" => self.shape_of(node)?,
            "Gather" => self.gathered(node)?,
            "Slice" => self.sliced(node)?,
            _ => self.concatenated(node)?,
        };
        self.define(node.output(), Value::Constant(tensor))
    }

    fn shape_of(&self, node: Node<'m>) -> Result<Tensor, Refusal> {
        let dims = match self.value(node, 0)? {
            Value::Map(map) => map.dims(self.batch),
            Value::Constant(tensor) => tensor.dims.clone(),
            Value::Padded(..) => return Err(Refusal::Padded),
        };
        let rank = dims.len() as i64;
        let bound = |name, absent| {
            let at: i64 = node.int(name).unwrap_or(absent);
            let at = if at < 0 { at.saturating_add(rank) } else { at };
            at.clamp(0, rank) as usize
        };
        let dims = dims.get(bound("start", 0)..bound("end", rank));
        let dims = dims.unwrap_or_default().iter().map(|&dim| dim as i64);
        Ok(Tensor::list(dims.collect::<Vec<_>>()))
    }

    fn gathered(&self, node: Node<'m>) -> Result<Tensor, Refusal> {
        let list = self.weights(node, 0)?.ints()?;
        let indices = self.weights(node, 1)?;
        let element = |&index: &i64| {
            let from_start = if index < 0 { list.len() as i64 } else { 0 };
            let index = usize::try_from(index.checked_add(from_start)?).ok()?;
            list.get(index).copied()
        };
        let gathered = indices.ints()?.iter().map(element);
        let gathered = gathered.collect::<Option<Vec<i64>>>();
        let gathered = gathered.ok_or(Refusal::Form("an index is beyond the list"))?;
        Ok(Tensor {
            dims: indices.dims.clone(),
            elements: Elements::Int(gathered),
        })
    }

    /// Steps of 1 only; before operator set 10, the bounds are attributes.
    fn sliced(&self, node: Node<'m>) -> Result<Tensor, Refusal> {
        let list = self.weights(node, 0)?.ints()?;
        let one = |index, name| {
            let given = match self.constant(node, index)? {
                Some(tensor) => Some(tensor.ints()?),
                None => node.ints(name),
            };
            match given {
                None => Ok(None),
                Some(&[value]) => Ok(Some(value)),
                Some(_) => Err(Refusal::Form("slices a list by more than one dimension")),
            }
        };
        let (axis, step) = (one(3, "axes")?, one(4, "steps")?);
        let (Some(start), Some(end), None | Some(-1 | 0), None | Some(1)) =
            (one(1, "starts")?, one(2, "ends")?, axis, step)
        else {
            return Err(Refusal::Form(
                "only a list's elements from a start to an end are read",
            ));
        };
        let length = list.len() as i64;
        let bound = |at: i64| {
            let at = if at < 0 {
                at.saturating_add(length)
            } else {
                at
            };
            at.clamp(0, length) as usize
        };
        let range = list.get(bound(start)..bound(end)).unwrap_or_default();
        Ok(Tensor::list(range.to_vec()))
    }

    fn concatenated(&self, node: Node<'m>) -> Result<Tensor, Refusal> {
        let mut all = Vec::new();
        for index in 0..node.0.input.len() {
            all.extend_from_slice(self.weights(node, index)?.ints()?);
        }
        Ok(Tensor::list(all))
    }
}
