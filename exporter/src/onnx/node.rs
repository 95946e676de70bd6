//! One node's attributes and inputs, by name and number.

use super::error::Refusal;
use super::proto::{AttributeProto, NodeProto};
use super::tensor::Tensor;

/// A node of the graph.
#[derive(Clone, Copy)]
pub(super) struct Node<'m>(pub(super) &'m NodeProto);

impl<'m> Node<'m> {
    /// The operator; empty for one of another domain than ONNX's own.
    pub(super) fn operator(self) -> &'m str {
        match self.0.domain() {
            "" | "ai.onnx" => self.0.op_type(),
            _ => "",
        }
    }

    /// The node's name, or that of its first output where it has none.
    pub(super) fn name(self) -> &'m str {
        match (self.0.name(), self.0.output.first()) {
            ("", Some(output)) => output,
            (name, _) => name,
        }
    }

    /// The name of input `index`; `None` where an optional input is left out.
    pub(super) fn input(self, index: usize) -> Option<&'m str> {
        let name = self.0.input.get(index)?.as_str();
        (!name.is_empty()).then_some(name)
    }

    pub(super) fn output(self) -> &'m str {
        self.0.output.first().map_or("", String::as_str)
    }

    fn attribute(self, name: &str) -> Option<&'m AttributeProto> {
        self.0
            .attribute
            .iter()
            .find(|attribute| attribute.name() == name)
    }

    pub(super) fn int(self, name: &str) -> Option<i64> {
        self.attribute(name).and_then(|attribute| attribute.i)
    }

    pub(super) fn float(self, name: &str) -> Option<f32> {
        self.attribute(name).and_then(|attribute| attribute.f)
    }

    pub(super) fn ints(self, name: &str) -> Option<&'m [i64]> {
        self.attribute(name)
            .map(|attribute| attribute.ints.as_slice())
    }

    pub(super) fn text(self, name: &str) -> Option<String> {
        let bytes = self.attribute(name)?.s.as_ref()?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    /// The value of a `Constant` node, if it is a tensor or a number.
    pub(super) fn constant(self) -> Result<Option<Tensor>, Refusal> {
        if let Some(tensor) = self.attribute("value").and_then(|value| value.t.as_ref()) {
            return Ok(Some(Tensor::read(tensor)?));
        }
        let float = self.float("value_float").map(Tensor::scalar);
        let int = || self.int("value_int").map(Tensor::scalar);
        let ints = || self.ints("value_ints").map(|x| Tensor::list(x.to_vec()));
        let floats = || {
            let values = &self.attribute("value_floats")?.floats;
            Some(Tensor::list(values.clone()))
        };
        Ok(float.or_else(int).or_else(ints).or_else(floats))
    }

    /// Refuses any value of an integer attribute but `only`.
    pub(super) fn require_int(
        self,
        name: &'static str,
        only: i64,
        supported: &'static str,
    ) -> Result<(), Refusal> {
        match self.int(name) {
            Some(found) if found != only => Err(Refusal::Attribute {
                name,
                found: found.to_string(),
                supported,
            }),
            _ => Ok(()),
        }
    }
}
