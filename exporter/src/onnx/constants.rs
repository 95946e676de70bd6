//! Arithmetic on the shapes of maps, which exporters write where the batch is open. It ends in
//! constants.

use super::error::Refusal;
use super::import::Reader;
use super::node::Node;
use super::tensor::{Elements, Tensor};
use super::value::Value;

impl<'m> Reader<'m> {
    /// `Shape` of a map, `Gather` and `Concat` of lists of integers.
    pub(super) fn shape_arithmetic(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        let tensor = match node.operator() {
            "Shape" => self.shape_of(node)?,
            "Gather" => self.gathered(node)?,
            _ => self.concatenated(node)?,
        };
        self.define(node.output(), Value::Constant(tensor))
    }

    fn shape_of(&self, node: Node<'m>) -> Result<Tensor, Refusal> {
        let dims = match self.value(node, 0)? {
            Value::Map(map) => map.dims(self.batch),
            Value::Constant(tensor) => tensor.dims.clone(),
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

    fn concatenated(&self, node: Node<'m>) -> Result<Tensor, Refusal> {
        let mut all = Vec::new();
        for index in 0..node.0.input.len() {
            all.extend_from_slice(self.weights(node, index)?.ints()?);
        }
        Ok(Tensor::list(all))
    }
}
