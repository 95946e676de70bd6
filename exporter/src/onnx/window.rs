//! The window of a convolution or pooling, from a node's attributes.

use runtime_nostd::geometry::{Shape, Window};

use super::error::Refusal;
use super::node::Node;
use super::value::Padding;

/// How the number of windows is rounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rounding {
    Floor,
    /// A last window may reach beyond the padding.
    Ceil,
}

/// One dimension of a window, as the node has it.
struct Axis {
    size: usize,
    kernel: usize,
    stride: usize,
    before: usize,
    after: usize,
}

/// The window of `node` with a `kernel` of rows and columns over a map of shape `input` that has
/// `outer` zeros around it already.
pub(super) fn window(
    node: Node<'_>,
    kernel: [usize; 2],
    input: Shape,
    outer: Padding,
) -> Result<Window, Refusal> {
    let refuse = |name, found: &[i64], supported| {
        Err(Refusal::Attribute {
            name,
            found: format!("{found:?}"),
            supported,
        })
    };
    if let Some(dilations) = node.ints("dilations")
        && dilations.iter().any(|&dilation| dilation != 1)
    {
        return refuse("dilations", dilations, "only 1 is supported");
    }
    let strides = sizes(node.ints("strides").unwrap_or(&[1, 1]));
    let Some([stride_h, stride_w]) = strides else {
        let found = node.ints("strides").unwrap_or_default();
        return refuse("strides", found, "two positive numbers are supported");
    };
    let pads = node.ints("pads").unwrap_or(&[0; 4]);
    let Some([top, left, bottom, right]) = sizes(pads) else {
        return refuse("pads", pads, "four numbers, none negative, are supported");
    };
    let axis = |size, kernel, stride, before, after| Axis {
        size,
        kernel,
        stride,
        before,
        after,
    };
    let height = usize::from(input.height) + outer.top + outer.bottom;
    let width = usize::from(input.width) + outer.left + outer.right;
    let mut rows = axis(height, kernel[0], stride_h, top, bottom);
    let mut columns = axis(width, kernel[1], stride_w, left, right);
    let rounding = match node.int("ceil_mode") {
        Some(1) => Rounding::Ceil,
        _ => Rounding::Floor,
    };
    for axis in [&mut rows, &mut columns] {
        match node.text("auto_pad").as_deref() {
            None | Some("NOTSET") => axis.round(rounding),
            Some("VALID") => (axis.before, axis.after) = (0, 0),
            Some("SAME_UPPER") => {
                let total = axis.same_padding();
                (axis.before, axis.after) = (total / 2, total - total / 2);
            }
            Some("SAME_LOWER") => {
                let total = axis.same_padding();
                (axis.before, axis.after) = (total - total / 2, total / 2);
            }
            Some(other) => {
                return Err(Refusal::Attribute {
                    name: "auto_pad",
                    found: other.to_owned(),
                    supported: "NOTSET, VALID, SAME_UPPER and SAME_LOWER are supported",
                });
            }
        }
    }
    let byte = |size: usize| {
        u8::try_from(size).map_err(|_| Refusal::Attribute {
            name: "kernel, stride or padding",
            found: size.to_string(),
            supported: "up to 255 is supported",
        })
    };
    Ok(Window {
        kernel_h: byte(rows.kernel)?,
        kernel_w: byte(columns.kernel)?,
        stride_h: byte(rows.stride)?,
        stride_w: byte(columns.stride)?,
        pad_top: byte(rows.before + outer.top)?,
        pad_bottom: byte(rows.after + outer.bottom)?,
        pad_left: byte(columns.before + outer.left)?,
        pad_right: byte(columns.after + outer.right)?,
    })
}

/// Whether any side is padded.
pub(super) fn is_padded(window: Window) -> bool {
    let Window {
        pad_top,
        pad_bottom,
        pad_left,
        pad_right,
        ..
    } = window;
    // Their sum may be beyond a byte.
    [pad_top, pad_bottom, pad_left, pad_right] != [0; 4]
}

/// Exactly so many numbers, if none is negative.
pub(super) fn sizes<const COUNT: usize>(ints: &[i64]) -> Option<[usize; COUNT]> {
    let ints: [i64; COUNT] = ints.try_into().ok()?;
    // Whatever is larger is refused as such later on, and no sum of these overflows.
    let size = |int: i64| u16::try_from(int).ok().map(usize::from);
    let mut sizes = [0; COUNT];
    for (size_of, int) in sizes.iter_mut().zip(ints) {
        *size_of = size(int)?;
    }
    Some(sizes)
}

impl Axis {
    /// All padding for as many outputs as strides fit into the map.
    fn same_padding(&self) -> usize {
        let outputs = self.size.div_ceil(self.stride.max(1));
        let reach = outputs.saturating_sub(1) * self.stride + self.kernel;
        reach.saturating_sub(self.size)
    }

    /// Where the count is rounded up, pads the end until the last window fits; it must start on the
    /// map or in the padding before it. Pooling does not see the padding.
    fn round(&mut self, rounding: Rounding) {
        let padded = self.size + self.before + self.after;
        if rounding == Rounding::Floor || self.stride == 0 || padded < self.kernel {
            return;
        }
        let mut last = (padded - self.kernel).div_ceil(self.stride) * self.stride;
        if last >= self.size + self.before {
            last -= self.stride;
        }
        self.after = (last + self.kernel).saturating_sub(self.size + self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::proto::{AttributeProto, NodeProto};

    fn node(ints: &[(&str, &[i64])], text: Option<&str>, ceil_mode: i64) -> NodeProto {
        let list = |&(name, ints): &(&str, &[i64])| AttributeProto {
            name: Some(name.into()),
            ints: ints.to_vec(),
            ..AttributeProto::default()
        };
        let mut attribute: Vec<AttributeProto> = ints.iter().map(list).collect();
        attribute.push(AttributeProto {
            name: Some("ceil_mode".into()),
            i: Some(ceil_mode),
            ..AttributeProto::default()
        });
        attribute.extend(text.map(|text| AttributeProto {
            name: Some("auto_pad".into()),
            s: Some(text.into()),
            ..AttributeProto::default()
        }));
        NodeProto {
            attribute,
            ..NodeProto::default()
        }
    }

    fn pads(window: Window) -> [u8; 4] {
        [
            window.pad_top,
            window.pad_left,
            window.pad_bottom,
            window.pad_right,
        ]
    }

    #[test]
    fn same_padding_leaves_the_odd_one_at_the_end_or_at_the_start() {
        let input = Shape::new(28, 27, 1);
        let of = |text| {
            let node = node(&[("strides", &[2, 2])], Some(text), 0);
            let window = window(Node(&node), [3, 3], input, Padding::default()).unwrap();
            assert_eq!(window.output(input), Ok((14, 14)));
            pads(window)
        };
        assert_eq!(of("SAME_UPPER"), [0, 1, 1, 1]);
        assert_eq!(of("SAME_LOWER"), [1, 1, 0, 1]);
    }

    #[test]
    fn a_count_rounded_up_pads_the_end() {
        let input = Shape::new(7, 8, 1);
        let node = node(&[("strides", &[2, 2])], None, 1);
        let window = window(Node(&node), [2, 2], input, Padding::default()).unwrap();
        assert_eq!(pads(window), [0, 0, 1, 0]);
        assert_eq!(window.output(input), Ok((4, 4)));
    }

    #[test]
    fn a_window_that_would_start_in_the_padding_at_the_end_is_none() {
        let input = Shape::new(2, 2, 1);
        let node = node(&[("strides", &[3, 3]), ("pads", &[1; 4])], None, 1);
        let window = window(Node(&node), [2, 2], input, Padding::default()).unwrap();
        assert_eq!(window.output(input), Ok((1, 1)));
    }

    #[test]
    fn padding_is_seen_however_much_it_is() {
        let input = Shape::new(8, 8, 1);
        for (pads, expected) in [([0; 4], false), ([0, 0, 0, 1], true), ([64; 4], true)] {
            let node = node(&[("pads", &pads)], None, 0);
            let window = window(Node(&node), [65, 65], input, Padding::default()).unwrap();
            assert_eq!(is_padded(window), expected, "{pads:?}");
        }
    }

    #[test]
    fn dilations_are_refused() {
        let node = node(&[("dilations", &[2, 2])], None, 0);
        let refused =
            window(Node(&node), [3, 3], Shape::new(8, 8, 1), Padding::default()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "dilations of [2, 2]: only 1 is supported"
        );
    }
}
