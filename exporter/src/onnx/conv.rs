//! Convolutions.

use runtime_nostd::geometry::Op;

use super::error::Refusal;
use super::import::Reader;
use super::node::Node;
use super::window::window;
use crate::network::Parameters;

impl<'m> Reader<'m> {
    /// `Conv`: weights `[filters, channels of a group, kernel rows, kernel columns]`.
    pub(super) fn conv(&mut self, node: Node<'m>) -> Result<(), Refusal> {
        let (map, padding) = self.padded_map(node)?;
        map.nchw()?;
        let channels = usize::from(map.shape.channels);
        let tensor = self.weights(node, 1)?;
        let unfit = |expected: String| Refusal::Dimensions {
            what: "the weights",
            found: tensor.dims.clone(),
            expected,
        };
        let &[filters, depth, kernel_h, kernel_w] = tensor.dims.as_slice() else {
            return Err(unfit("[filters, channels, kernel rows, columns]".into()));
        };
        let group = node.int("group").unwrap_or(1);
        let is_depthwise = usize::try_from(group) == Ok(channels) && channels > 1;
        if group != 1 && !is_depthwise {
            return Err(Refusal::Attribute {
                name: "group",
                found: group.to_string(),
                supported: "1 and, for a depthwise convolution, the number of channels are supported",
            });
        }
        if is_depthwise && (filters, depth) != (channels, 1) {
            return Err(unfit(format!(
                "[{channels}, 1, kernel rows, columns], one filter per channel"
            )));
        }
        if !is_depthwise && depth != channels {
            return Err(unfit(format!(
                "[filters, {channels}, kernel rows, columns]"
            )));
        }
        let window = window(node, [kernel_h, kernel_w], map.shape, padding)?;
        let weights = tensor.floats()?;
        let (op, weights) = if is_depthwise {
            (Op::Depthwise { window }, weights.to_vec())
        } else {
            let out_channels =
                u16::try_from(filters).map_err(|_| unfit("up to 65535 filters".into()))?;
            let op = Op::Conv {
                window,
                out_channels,
            };
            (op, channels_last(weights, channels, window.area()))
        };
        let bias = self.bias(node, 2, filters)?;
        let parameters = Parameters {
            weights,
            bias,
            norm: None,
        };
        self.append(node, &map, op, Some(parameters))
    }

    /// One value per filter, 0 where the input is left out.
    fn bias(&self, node: Node<'m>, index: usize, filters: usize) -> Result<Vec<f32>, Refusal> {
        let Some(tensor) = self.constant(node, index)? else {
            return Ok(vec![0.0; filters]);
        };
        if tensor.dims != [filters] {
            return Err(Refusal::Dimensions {
                what: "the bias",
                found: tensor.dims.clone(),
                expected: format!("[{filters}]"),
            });
        }
        Ok(tensor.floats()?.to_vec())
    }
}

/// From `[filters, channels, taps]` to `[filters, taps, channels]`.
fn channels_last(weights: &[f32], channels: usize, taps: usize) -> Vec<f32> {
    let filters = weights.chunks_exact((channels * taps).max(1));
    filters
        .flat_map(|filter| {
            let element = move |tap, channel| filter[channel * taps + tap];
            (0..taps).flat_map(move |tap| (0..channels).map(move |c| element(tap, c)))
        })
        .collect()
}
