//! Pooling: maximum and mean of windows, and of whole maps.

use runtime_nostd::geometry::{Op, Window};

use super::error::Refusal;
use super::import::Reader;
use super::layout::positions;
use super::node::Node;
use super::value::{Form, Map, Order, Padding};
use super::window::{is_padded, sizes, window};

impl<'m> Reader<'m> {
    /// `MaxPool`, `AveragePool`. Padding never counts here.
    pub(super) fn pool(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        let map = self.map(node, 0)?;
        map.nchw()?;
        let kernel = node.ints("kernel_shape").unwrap_or_default();
        let Some(kernel) = sizes(kernel) else {
            return Err(Refusal::Attribute {
                name: "kernel_shape",
                found: format!("{kernel:?}"),
                supported: "two positive numbers are supported",
            });
        };
        if node.0.output.len() > 1 {
            return Err(Refusal::Form(
                "its second output, the indices, is not supported",
            ));
        }
        let window = window(node, kernel, map.shape, Padding::default())?;
        if node.operator() == "MaxPool" {
            return self.append(node, &map, Op::MaxPool { window }, None);
        }
        if is_padded(window) {
            node.require_int(
                "count_include_pad",
                0,
                "the mean is over the elements inside the map; 0 is supported, and 1 where there \
                 is no padding",
            )?;
        }
        self.append(node, &map, Op::AvgPool { window }, None)
    }

    /// `GlobalMaxPool`, `GlobalAveragePool`.
    pub(super) fn global_pool(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        let map = self.map(node, 0)?;
        map.nchw()?;
        let window = Window::covering(map.shape)?;
        let op = match node.operator() {
            "GlobalMaxPool" => Op::MaxPool { window },
            _ => Op::AvgPool { window },
        };
        self.append(node, &map, op, None)
    }

    /// `ReduceMax`, `ReduceMean` over rows and columns.
    pub(super) fn reduce(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        let map = self.map(node, 0)?;
        let axes = match self.constant(node, 1)? {
            Some(tensor) => tensor.ints()?.to_vec(),
            None => node.ints("axes").unwrap_or_default().to_vec(),
        };
        let expected = match map.order {
            Order::Chw => [2, 3],
            Order::Hwc => [1, 2],
        };
        if map.form != Form::Map || positions(&axes, 4).as_deref() != Some(&expected) {
            return Err(Refusal::Attribute {
                name: "axes",
                found: format!("{axes:?}"),
                supported: "rows and columns of a map are supported",
            });
        }
        let window = Window::covering(map.shape)?;
        let form = match node.int("keepdims") {
            Some(0) => Form::Flat,
            _ => Form::Map,
        };
        let op = match node.operator() {
            "ReduceMax" => Op::MaxPool { window },
            _ => Op::AvgPool { window },
        };
        let map = Map { form, ..map };
        self.append(node, &map, op, None)
    }
}
