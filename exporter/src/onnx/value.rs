//! A value of the graph: a constant, or something that depends on the image.

use runtime_nostd::geometry::Shape;

use super::chain::Source;
use super::error::Refusal;
use super::tensor::Tensor;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Constant(Tensor),
    Map(Map),
    /// A map with rows and columns of zeros around it, which a convolution takes over.
    Padded(Map, Padding),
}

/// Rows and columns of zeros around a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Padding {
    pub(super) top: usize,
    pub(super) left: usize,
    pub(super) bottom: usize,
    pub(super) right: usize,
}

/// Something that depends on the image.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Map {
    pub(super) source: Source,
    pub(super) shape: Shape,
    /// The order of its elements in the model. Ours is always rows, columns, channels.
    pub(super) order: Order,
    pub(super) form: Form,
}

/// The order of a map's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Channels, rows, columns.
    Chw,
    /// Rows, columns, channels.
    Hwc,
}

/// How many dimensions a map has in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Four: the batch, and three in the map's order.
    Map,
    /// Two: the batch, and the elements.
    Flat,
}

impl Map {
    /// Its dimensions in the model, where the batch is of `batch` images.
    pub(super) fn dims(&self, batch: usize) -> Vec<usize> {
        let [h, w, c] = extents(self.shape);
        match (self.form, self.order) {
            (Form::Flat, _) => vec![batch, h * w * c],
            (Form::Map, Order::Chw) => vec![batch, c, h, w],
            (Form::Map, Order::Hwc) => vec![batch, h, w, c],
        }
    }

    /// The same elements in the same order, as a tensor of `dims`.
    pub(super) fn view(&self, dims: &[usize], batch: usize) -> Result<Self, Refusal> {
        let [h, w, c] = extents(self.shape);
        // Of one channel, or one pixel, both orders are the same.
        let alike = c == 1 || h * w == 1;
        let is = |order| alike || self.order == order;
        let (form, order) = match dims {
            [n, elements] if *n == batch && *elements == h * w * c => (Form::Flat, self.order),
            [n, map @ ..] if *n == batch && map == [c, h, w] && is(Order::Chw) => {
                (Form::Map, Order::Chw)
            }
            [n, map @ ..] if *n == batch && map == [h, w, c] && is(Order::Hwc) => {
                (Form::Map, Order::Hwc)
            }
            _ => {
                return Err(Refusal::Dimensions {
                    what: "the reshaped map",
                    found: dims.to_vec(),
                    expected: format!("[{batch}, {}], one row of features per image", h * w * c),
                });
            }
        };
        Ok(Self {
            form,
            order,
            ..self.clone()
        })
    }

    /// The transposed map; `None` unless `perm` moves the channels from first to last or back.
    pub(super) fn permuted(&self, perm: &[i64]) -> Option<Self> {
        let order = match (self.form, self.order, perm) {
            (Form::Map, Order::Chw, [0, 2, 3, 1]) => Order::Hwc,
            (Form::Map, Order::Hwc, [0, 3, 1, 2]) => Order::Chw,
            _ => return None,
        };
        Some(Self {
            order,
            ..self.clone()
        })
    }

    /// Refuses anything but batch, channels, rows, columns.
    pub(super) fn nchw(&self) -> Result<(), Refusal> {
        match (self.form, self.order) {
            (Form::Map, Order::Chw) => Ok(()),
            (Form::Map, Order::Hwc) => Err(Refusal::NotNchw),
            (Form::Flat, _) => Err(Refusal::Form("reads a row of features, not a map")),
        }
    }

    /// The axis of the channels in the model, if each of them is one channel of ours.
    pub(super) fn channel_axis(&self) -> Option<usize> {
        match (self.form, self.order) {
            (Form::Flat, _) if self.shape.height == 1 && self.shape.width == 1 => Some(1),
            (Form::Flat, _) => None,
            (Form::Map, Order::Chw) => Some(1),
            (Form::Map, Order::Hwc) => Some(3),
        }
    }
}

/// Rows, columns, channels.
pub(super) fn extents(shape: Shape) -> [usize; 3] {
    [shape.height, shape.width, shape.channels].map(usize::from)
}
