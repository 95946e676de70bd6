//! Shapes, windows and operations, and what follows from them alone: output sizes, fan-in,
//! parameters and multiply-accumulates (MACs). Every function is `const`, so that the exporter, the
//! evolver's cost model and a firmware's array lengths use the same formulas.

use serde::{Deserialize, Serialize};

/// The most elements a feature map may have.
///
/// Every offset and sum of sizes then fits 32 bits on every target.
pub const MAX_MAP_ELEMENTS: usize = 1 << 24;

/// The most multiply-accumulate terms that one output may sum (weights of one filter).
pub const MAX_FAN_IN: usize = 1 << 24;

/// A feature map's extent. Maps are stored row by row, HWC: channels innermost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shape {
    /// Rows.
    pub height: u16,
    /// Columns.
    pub width: u16,
    /// Channels, innermost in memory.
    pub channels: u16,
}

impl Shape {
    /// A shape of `height` rows, `width` columns and `channels` channels.
    pub const fn new(height: u16, width: u16, channels: u16) -> Self {
        Self {
            height,
            width,
            channels,
        }
    }

    /// Elements of one row: `width * channels`.
    pub const fn row_elements(self) -> usize {
        self.width as usize * self.channels as usize
    }

    /// Elements of the whole map: `height * width * channels`, saturating on 32-bit targets.
    pub const fn elements(self) -> usize {
        self.row_elements().saturating_mul(self.height as usize)
    }

    /// Refuses empty maps and maps of more than [`MAX_MAP_ELEMENTS`] elements.
    pub const fn check(self) -> Result<Self, GeometryError> {
        if self.elements() == 0 {
            Err(GeometryError::EmptyMap)
        } else if self.elements() > MAX_MAP_ELEMENTS {
            Err(GeometryError::MapTooLarge)
        } else {
            Ok(self)
        }
    }
}

impl core::fmt::Display for Shape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}x{}x{}", self.height, self.width, self.channels)
    }
}

/// A sliding window: kernel size, stride and zero padding, in elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// Rows of the kernel.
    pub kernel_h: u8,
    /// Columns of the kernel.
    pub kernel_w: u8,
    /// Rows between neighboring outputs.
    pub stride_h: u8,
    /// Columns between neighboring outputs.
    pub stride_w: u8,
    /// Rows of padding above the map.
    pub pad_top: u8,
    /// Rows of padding below the map.
    pub pad_bottom: u8,
    /// Columns of padding left of the map.
    pub pad_left: u8,
    /// Columns of padding right of the map.
    pub pad_right: u8,
}

impl Window {
    /// A square window, padded alike on all four sides: what the paper's genes express.
    pub const fn square(kernel_size: u8, stride: u8, padding: u8) -> Self {
        Self {
            kernel_h: kernel_size,
            kernel_w: kernel_size,
            stride_h: stride,
            stride_w: stride,
            pad_top: padding,
            pad_bottom: padding,
            pad_left: padding,
            pad_right: padding,
        }
    }

    /// The window over the whole of `input`: average pooling with it is global average pooling.
    ///
    /// # Errors
    /// [`GeometryError::WindowTooLarge`] for maps of more than 255 rows or columns.
    pub const fn covering(input: Shape) -> Result<Self, GeometryError> {
        if input.height > u8::MAX as u16 || input.width > u8::MAX as u16 {
            return Err(GeometryError::WindowTooLarge);
        }
        let (rows, columns) = (input.height as u8, input.width as u8);
        Ok(Self {
            kernel_h: rows,
            kernel_w: columns,
            stride_h: rows,
            stride_w: columns,
            ..Self::square(1, 1, 0)
        })
    }

    /// Output rows and columns over a map of `input`'s rows and columns:
    /// `floor((size + padding - kernel) / stride) + 1`.
    ///
    /// # Errors
    /// A kernel or stride of 0, a kernel larger than the padded map, or padding as wide as the
    /// kernel (a window that would see no element of the map).
    pub const fn output(self, input: Shape) -> Result<(u16, u16), GeometryError> {
        let rows = Axis {
            kernel: self.kernel_h,
            stride: self.stride_h,
            pad_before: self.pad_top,
            pad_after: self.pad_bottom,
        };
        let columns = Axis {
            kernel: self.kernel_w,
            stride: self.stride_w,
            pad_before: self.pad_left,
            pad_after: self.pad_right,
        };
        match (rows.output(input.height), columns.output(input.width)) {
            (Ok(height), Ok(width)) => Ok((height, width)),
            (Err(error), _) | (_, Err(error)) => Err(error),
        }
    }

    /// Elements under the window in one channel.
    pub const fn area(self) -> usize {
        self.kernel_h as usize * self.kernel_w as usize
    }

    /// Whether vertically neighboring windows share rows, so that rows must be kept.
    pub const fn overlaps_rows(self) -> bool {
        self.kernel_h > self.stride_h
    }
}

/// One dimension of a [`Window`].
struct Axis {
    kernel: u8,
    stride: u8,
    pad_before: u8,
    pad_after: u8,
}

impl Axis {
    const fn output(&self, size: u16) -> Result<u16, GeometryError> {
        let padded = size as u32 + self.pad_before as u32 + self.pad_after as u32;
        if self.kernel == 0 || self.stride == 0 {
            Err(GeometryError::ZeroKernelOrStride)
        } else if self.pad_before >= self.kernel || self.pad_after >= self.kernel {
            Err(GeometryError::PaddingNotBelowKernel)
        } else if self.kernel as u32 > padded {
            Err(GeometryError::KernelLargerThanMap)
        } else {
            let output = (padded - self.kernel as u32) / self.stride as u32 + 1;
            if output > u16::MAX as u32 {
                Err(GeometryError::MapTooLarge)
            } else {
                Ok(output as u16)
            }
        }
    }
}

/// What a layer computes, without its weights.
///
/// The discriminants are part of the blob (FORMAT.md). New operations are appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Op {
    /// Convolution; filters are `[out_channels, kernel_h, kernel_w, in_channels]`.
    Conv {
        /// Kernel, stride and padding.
        window: Window,
        /// Number of filters.
        out_channels: u16,
    },
    /// Fully connected; weights are `[outputs, height, width, channels]` of the input map. The
    /// output's shape is one pixel of `outputs` channels. The paper's flattening layer is this with ReLU.
    Dense {
        /// Number of neurons.
        outputs: u16,
    },
    /// Maximum of the window's elements inside the map.
    MaxPool {
        /// Window; padding only moves it.
        window: Window,
    },
    /// Mean of the window's elements inside the map; global with [`Window::covering`].
    AvgPool {
        /// Window; padding only moves it and is not counted.
        window: Window,
    },
    /// Depthwise convolution: filter `c` reads channel `c` only; filters are
    /// `[channels, kernel_h, kernel_w]`.
    Depthwise {
        /// Kernel, stride and padding.
        window: Window,
    },
    /// Saturating sum of the previous layer's output and an earlier layer's, of equal shape.
    Add {
        /// The earlier layer, before the previous one. Layers count from 0.
        from: u8,
    },
    /// An earlier layer's output once more: the next layer starts another branch there, to be joined
    /// by [`Op::Add`]. Computes and stores nothing.
    Branch {
        /// The earlier layer, before the previous one. Layers count from 0.
        from: u8,
    },
}

impl Op {
    /// The shape of this operation's output over an `input` map, which for [`Op::Branch`] is the
    /// output of the earlier layer. [`Chain`](crate::Chain) finds every layer's input.
    ///
    /// # Errors
    /// Any [`GeometryError`]: nothing else can be wrong with a geometry.
    pub const fn output(self, input: Shape) -> Result<Shape, GeometryError> {
        if let Err(error) = input.check() {
            return Err(error);
        }
        if self.fan_in(input) > MAX_FAN_IN {
            return Err(GeometryError::FanInTooLarge);
        }
        let (window, channels) = match self {
            Op::Conv {
                window,
                out_channels,
            } => (window, out_channels),
            Op::Dense { outputs } => return Shape::new(1, 1, outputs).check(),
            Op::MaxPool { window } | Op::AvgPool { window } | Op::Depthwise { window } => {
                (window, input.channels)
            }
            Op::Add { .. } | Op::Branch { .. } => return Ok(input),
        };
        match window.output(input) {
            Ok((height, width)) => Shape::new(height, width, channels).check(),
            Err(error) => Err(error),
        }
    }

    /// The window that slides over the map, if one does.
    pub const fn window(self) -> Option<Window> {
        match self {
            Op::Conv { window, .. }
            | Op::MaxPool { window }
            | Op::AvgPool { window }
            | Op::Depthwise { window } => Some(window),
            Op::Dense { .. } | Op::Add { .. } | Op::Branch { .. } => None,
        }
    }

    /// Filters or neurons with weights of their own; 0 for operations without.
    pub const fn filters(self, input: Shape) -> usize {
        match self {
            Op::Conv { out_channels, .. } => out_channels as usize,
            Op::Dense { outputs } => outputs as usize,
            Op::Depthwise { .. } => input.channels as usize,
            Op::MaxPool { .. } | Op::AvgPool { .. } | Op::Add { .. } | Op::Branch { .. } => 0,
        }
    }

    /// Weights of one filter: the terms that one output sums. 0 for operations without.
    pub const fn fan_in(self, input: Shape) -> usize {
        match self {
            Op::Conv { window, .. } => window.area().saturating_mul(input.channels as usize),
            Op::Dense { .. } => input.elements(),
            Op::Depthwise { window } => window.area(),
            Op::MaxPool { .. } | Op::AvgPool { .. } | Op::Add { .. } | Op::Branch { .. } => 0,
        }
    }

    /// Tunable parameters as deployed: weights and one bias per filter.
    pub const fn parameters(self, input: Shape) -> usize {
        (self.fan_in(input) + 1).saturating_mul(self.filters(input))
    }

    /// Multiply-accumulates of one inference, padding included: output elements times fan-in.
    ///
    /// # Errors
    /// As [`Op::output`].
    pub const fn macs(self, input: Shape) -> Result<u64, GeometryError> {
        match self.output(input) {
            Ok(output) => Ok(output.elements() as u64 * self.fan_in(input) as u64),
            Err(error) => Err(error),
        }
    }

    /// The operation's name as printed in tables and errors.
    pub const fn name(self) -> &'static str {
        match self {
            Op::Conv { .. } => "conv",
            Op::Dense { .. } => "dense",
            Op::MaxPool { .. } => "max pool",
            Op::AvgPool { .. } => "avg pool",
            Op::Depthwise { .. } => "depthwise",
            Op::Add { .. } => "add",
            Op::Branch { .. } => "branch",
        }
    }
}

/// What follows a layer's sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Activation {
    /// Nothing: the requantized sum, saturated to Q8.8.
    Linear,
    /// Rectified linear unit: negative values become 0.
    Relu,
}

/// How a layer's output is kept until it has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Keep {
    /// The rows that readers still need.
    Rows,
    /// The whole map: the chain is cut behind this layer. Nothing behind the cut starts before the
    /// map is complete, and nothing before it is needed then, so that both use the same memory.
    Map,
}

/// Why a geometry is impossible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GeometryError {
    /// A dimension is 0.
    EmptyMap,
    /// More than [`MAX_MAP_ELEMENTS`] elements.
    MapTooLarge,
    /// A window over a map of more than 255 rows or columns.
    WindowTooLarge,
    /// A filter of more than [`MAX_FAN_IN`] weights.
    FanInTooLarge,
    /// A kernel size or stride of 0.
    ZeroKernelOrStride,
    /// The kernel is larger than the padded map.
    KernelLargerThanMap,
    /// Padding as wide as the kernel: some window would lie outside the map.
    PaddingNotBelowKernel,
    /// An addition or a branch does not read a layer before the previous one.
    NotEarlier,
    /// An addition of a map to itself.
    AddToItself,
    /// An addition of maps of different shapes.
    AddShapes,
    /// No layer reads this one's output.
    Unread,
    /// The chain is cut where a later layer still reads an earlier one, or behind a branch.
    Cut,
    /// More than [`MAX_LAYERS`](crate::chain::MAX_LAYERS) layers.
    TooManyLayers,
    /// The arena would exceed 256 MiB.
    ArenaTooLarge,
}

impl core::fmt::Display for GeometryError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::EmptyMap => "a feature map has a dimension of 0",
            Self::MapTooLarge => "a feature map has more than 2^24 elements",
            Self::WindowTooLarge => {
                "a window over the whole map would have more than 255 rows or columns"
            }
            Self::FanInTooLarge => "a filter has more than 2^24 weights",
            Self::ZeroKernelOrStride => "kernel size or stride is 0",
            Self::KernelLargerThanMap => "the kernel is larger than the padded feature map",
            Self::PaddingNotBelowKernel => "padding must be smaller than the kernel",
            Self::NotEarlier => "must read a layer before the previous one",
            Self::AddToItself => "adds a map to itself",
            Self::AddShapes => "adds maps of different shapes",
            Self::Unread => "no layer reads its output",
            Self::Cut => "the chain cannot be cut here: a later layer reads an earlier one",
            Self::TooManyLayers => "more than 255 layers",
            Self::ArenaTooLarge => "the arena would exceed 256 MiB",
        })
    }
}

impl core::error::Error for GeometryError {}
