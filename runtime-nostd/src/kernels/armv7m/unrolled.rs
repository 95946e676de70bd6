//! Kernels for single shapes of convolutions of stride 1, with the DSP extension: first layers of gray
//! and colored images, and 3x3 and 5x5 kernels over few channels.
//!
//! All addresses are immediate offsets, and each word of a window is read once for both columns of a
//! block. Code for each shape takes flash: these are a feature, and what has no kernel here, or is left
//! over, is for the kernels of any shape.

use core::arch::naked_asm;
use core::mem::offset_of;

use super::conv::Store;
use crate::blob::GROUP;
use crate::kernels::scalar::ConvRow;

/// Rows of the highest kernel.
const MAX_ROWS: usize = 5;

/// A kernel for windows of `rows` rows and columns over `channels`.
struct Unrolled {
    rows: usize,
    channels: usize,
    run: unsafe extern "C" fn(&mut Blocks),
}

impl Unrolled {
    const fn new<const ROWS: usize, const CHANNELS: usize>() -> Self {
        Self {
            rows: ROWS,
            channels: CHANNELS,
            run: blocks::<ROWS, CHANNELS>,
        }
    }

    /// Whether it computes the row.
    fn fits(&self, row: &ConvRow<'_>, columns: usize) -> bool {
        let packing = row.filters.packing;
        packing.rows == self.rows
            && packing.row_elements == self.rows * self.channels
            && row.step == self.channels
            && columns >= 2 * spacing(self.channels)
            && (row.rows.count == self.rows || loops(self.rows, self.channels))
    }
}

static KERNELS: [Unrolled; 5] = [
    Unrolled::new::<3, 1>(),
    Unrolled::new::<3, 3>(),
    Unrolled::new::<5, 1>(),
    Unrolled::new::<5, 8>(),
    Unrolled::new::<3, 16>(),
];

/// From a column of a block to the other: where one column is an odd number of elements, two are whole
/// words.
const fn spacing(channels: usize) -> usize {
    1 + channels % 2
}

/// Pairs of elements in a kernel row.
const fn pairs(rows: usize, channels: usize) -> usize {
    (rows * channels).div_ceil(2)
}

/// Whether the code of one row stands for all.
const fn loops(rows: usize, channels: usize) -> bool {
    pairs(rows, channels) > 8
}

/// What a kernel computes: some blocks of two columns of one output row, for some groups of filters.
#[repr(C)]
struct Blocks {
    /// The first window's rows, and a null pointer behind them.
    rows: [*const i16; MAX_ROWS + 1],
    /// Of the first group.
    weights: *const i16,
    /// Of the next group.
    bias: *const i32,
    /// Where the next group's first block goes, and the block behind its last one.
    out: *mut i16,
    end: *mut i16,
    /// From a column's output to that of the block's other column.
    out_bytes: usize,
    /// Groups that are left.
    groups: usize,
    store: Store,
    shift: usize,
}

/// Computes the groups of four filters, if there is a kernel for the shape; the number of filters that
/// it has computed.
///
/// # Safety
/// `row` and `out`, of `columns` columns, must be as [`super::conv_fits`] checks.
pub(super) unsafe fn run(row: &ConvRow<'_>, columns: usize, out: &mut [i16]) -> usize {
    let packing = row.filters.packing;
    let groups = packing.filters / GROUP;
    let kernel = KERNELS.iter().find(|kernel| kernel.fits(row, columns));
    let Some(kernel) = kernel.filter(|_| groups > 0) else {
        return 0;
    };
    let spacing = spacing(kernel.channels);
    let compute = |first: usize, blocks: usize, out: &mut [i16]| {
        let skipped = row.skipped_kernel_rows * packing.stored_row() * GROUP;
        let out = out.as_mut_ptr().wrapping_add(first * packing.filters);
        let mut blocks = Blocks {
            rows: [core::ptr::null(); MAX_ROWS + 1],
            weights: row.filters.weights.as_ptr().wrapping_add(skipped),
            bias: row.filters.bias.as_ptr(),
            out,
            end: out.wrapping_add(blocks * 2 * spacing * packing.filters),
            out_bytes: spacing * packing.filters * 2,
            groups,
            store: Store::new(row.store),
            shift: row.store.shift.into(),
        };
        let rows = row.rows;
        let mut slot = rows.first;
        for pointer in blocks.rows.iter_mut().take(MAX_ROWS.min(rows.count)) {
            let start = slot * rows.row_elements + first * row.step;
            *pointer = rows.buffer.as_ptr().wrapping_add(start);
            slot = if slot + 1 == rows.capacity {
                0
            } else {
                slot + 1
            };
        }
        // SAFETY: the caller vouches for the lengths, and `fits` has compared the shapes.
        unsafe { (kernel.run)(&mut blocks) };
    };
    for first in 0..spacing {
        let columns = (columns - first).div_ceil(spacing);
        compute(first, columns / 2, out);
        // A column that is left over is computed with the one before, for the second time.
        if columns % 2 == 1 {
            compute(first + (columns - 2) * spacing, 1, out);
        }
    }
    groups * GROUP
}

/// The products of the pair `.Lpair` of a row: elements in `$x` and, of the block's second column, in
/// `$y`, four filters. The second column's sums are built on `$s1` to `$s7`. In the last pair of a row
/// of several, the pointer moves to the next row.
macro_rules! products {
    ($x:literal, $y:literal, $s1:literal, $s3:literal, $s5:literal, $s7:literal) => {
        concat!(
            "ldr r12, [r8, #(16 * (.Lrow * {pairs} + .Lpair) + 8)]\n",
            "ldr lr, [r8, #(16 * (.Lrow * {pairs} + .Lpair) + 12)]\n",
            "smlad r5, ",
            $y,
            ", r12, ",
            $s5,
            "\n",
            "smlad r4, ",
            $x,
            ", r12, r4\n",
            "smlad r7, ",
            $y,
            ", lr, ",
            $s7,
            "\n",
            "smlad r6, ",
            $x,
            ", lr, r6\n",
            ".if .Llast\n",
            "str r9, [sp, #(4 * .Lrow)]\n",
            ".endif\n",
            "ldr r12, [r8, #(16 * (.Lrow * {pairs} + .Lpair))]\n",
            "ldr lr, [r8, #(16 * (.Lrow * {pairs} + .Lpair) + 4)]\n",
            ".if .Llast\n",
            "ldr r9, [sp, #(4 * ((.Lrow + 1) % {rows}))]\n",
            ".endif\n",
            "smlad r1, ",
            $y,
            ", r12, ",
            $s1,
            "\n",
            "smlad r0, ",
            $x,
            ", r12, r0\n",
            "smlad r3, ",
            $y,
            ", lr, ",
            $s3,
            "\n",
            "smlad r2, ",
            $x,
            ", lr, r2\n",
        )
    };
}

/// A kernel. Registers:
///
/// | | |
/// | --- | --- |
/// | r0 to r7 | sums: first filter, first and second column; second filter ... |
/// | r8, r9 | weights; the first column's window in a row, and then that of the next block |
/// | r10, r11 | elements of the first and of the second column, or the other way round |
/// | r12, lr | weights |
///
/// On the stack: 0 windows of the block in each row, 24 biases, 40 `out`, 44 `end`, 48 `out_bytes`,
/// 52 `Blocks`; where the code of one row stands for all, 56 weights, 60 next row's window. Carry is set
/// unless sums are shifted by 8 and ReLU follows.
///
/// The columns are `distance` words apart. So what the second one multiplies with a pair's weights, the
/// first one multiplies with those of the pair `distance` later, which comes next.
#[unsafe(naked)]
unsafe extern "C" fn blocks<const ROWS: usize, const CHANNELS: usize>(_blocks: &mut Blocks) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "sub sp, #64",
        "str r0, [sp, #52]",
        "mov r12, r0",
        "ldr r8, [r12, #{weights}]",
        "ldr r1, [r12, #{out_bytes}]",
        "str r1, [sp, #48]",
        // The next group of filters.
        "13:",
        "ldm r12, {{r0-r5}}",
        "stm sp, {{r0-r5}}",
        "mov r9, r0",
        "ldr r10, [r12, #{bias}]",
        "ldm r10!, {{r0-r3}}",
        "str r10, [r12, #{bias}]",
        "add r11, sp, #24",
        "stm r11, {{r0-r3}}",
        "ldr r0, [r12, #{out}]",
        "ldr r1, [r12, #{end}]",
        "ldr r2, [r12, #{store}]",
        "str r0, [sp, #40]",
        "str r1, [sp, #44]",
        "adds r0, #8",
        "adds r1, #8",
        "str r0, [r12, #{out}]",
        "str r1, [r12, #{end}]",
        ".if {loops}",
        "str r8, [sp, #56]",
        ".endif",
        "cmp r2, #1",
        // The next block.
        "14:",
        ".if {loops}",
        "mov r10, sp",
        "str r10, [sp, #60]",
        ".endif",
        "ldr r0, [sp, #24]",
        "ldr r2, [sp, #28]",
        "ldr r4, [sp, #32]",
        "ldr r6, [sp, #36]",
        ".if {loops}",
        "mov r1, r0",
        "mov r3, r2",
        "mov r5, r4",
        "mov r7, r6",
        ".endif",
        "15:",
        ".set .Lrow, 0",
        ".rept (1 - {loops}) * ({rows} - 1) + 1",
        ".set .Lmoved, 0",
        ".set .Lchain, 0",
        ".rept {distance}",
        ".set .Lpair, .Lchain",
        ".set .Lswapped, 0",
        "ldr r10, [r9, #(4 * .Lpair - .Lmoved)]",
        ".rept ({pairs} - .Lchain + {distance} - 1) / {distance}",
        ".set .Llast, (1 - {loops}) * ((.Lchain + 1) / {distance}) * ((.Lpair + {distance}) / {pairs})",
        ".if .Lswapped",
        ".if .Lpair == {distance}",
        "ldr r10, [r9, #(8 * {distance})]!",
        ".set .Lmoved, 8 * {distance}",
        ".else",
        "ldr r10, [r9, #(4 * (.Lpair + {distance}) - .Lmoved)]",
        ".endif",
        products!("r11", "r10", "r1", "r3", "r5", "r7"),
        ".else",
        "ldr r11, [r9, #(4 * (.Lpair + {distance}) - .Lmoved)]",
        ".if (1 - {loops}) * (1 - (.Lrow + .Lpair + {rows} * {pairs} - 1) / ({rows} * {pairs}))",
        products!("r10", "r11", "r0", "r2", "r4", "r6"),
        ".else",
        products!("r10", "r11", "r1", "r3", "r5", "r7"),
        ".endif",
        ".endif",
        ".set .Lswapped, 1 - .Lswapped",
        ".set .Lpair, .Lpair + {distance}",
        ".endr",
        ".set .Lchain, .Lchain + 1",
        ".endr",
        ".set .Lrow, .Lrow + 1",
        ".endr",
        ".if {loops}",
        "ldr r10, [sp, #60]",
        "add.w r8, r8, #(16 * {pairs})",
        "str r9, [r10], #4",
        "ldr r9, [r10]",
        "str r10, [sp, #60]",
        "teq r9, #0",
        "bne.w 15b",
        ".endif",
        // The sums are complete.
        "bcs.w 50f",
        ".irp sum, r0, r1, r2, r3, r4, r5, r6, r7",
        "usat \\sum, #15, \\sum, asr #8",
        ".endr",
        "41:",
        "ldr r10, [sp, #40]",
        "ldr r12, [sp, #44]",
        "ldr r11, [sp, #48]",
        ".if {loops}",
        "ldr r8, [sp, #56]",
        "ldr r9, [sp]",
        ".endif",
        "add lr, r10, r11",
        "pkhbt r0, r0, r2, lsl #16",
        "pkhbt r4, r4, r6, lsl #16",
        "pkhbt r1, r1, r3, lsl #16",
        "pkhbt r5, r5, r7, lsl #16",
        "str r0, [r10]",
        "str r4, [r10, #4]",
        "str r1, [lr]",
        "str r5, [lr, #4]",
        "add r10, lr, r11",
        "str r10, [sp, #40]",
        "teq r10, r12",
        "bne.w 14b",
        "ldr r12, [sp, #52]",
        "addw r8, r8, #(16 * {rows} * {pairs})",
        "ldr r0, [r12, #{groups}]",
        "subs r0, #1",
        "str r0, [r12, #{groups}]",
        "bne.w 13b",
        "add sp, #64",
        "pop {{r4-r11, pc}}",
        "50:",
        "ldr r12, [sp, #52]",
        "ldr r10, [r12, #{shift}]",
        "ldr lr, [r12, #{store}]",
        "teq lr, #{relu}",
        ".irp sum, r0, r1, r2, r3, r4, r5, r6, r7",
        "asr \\sum, r10",
        "ite eq",
        "usateq \\sum, #15, \\sum",
        "ssatne \\sum, #16, \\sum",
        ".endr",
        "b.w 41b",
        rows = const ROWS,
        pairs = const pairs(ROWS, CHANNELS),
        distance = const spacing(CHANNELS) * CHANNELS / 2,
        loops = const loops(ROWS, CHANNELS) as usize,
        relu = const Store::Relu as usize,
        weights = const offset_of!(Blocks, weights),
        bias = const offset_of!(Blocks, bias),
        out = const offset_of!(Blocks, out),
        end = const offset_of!(Blocks, end),
        out_bytes = const offset_of!(Blocks, out_bytes),
        groups = const offset_of!(Blocks, groups),
        store = const offset_of!(Blocks, store),
        shift = const offset_of!(Blocks, shift),
    )
}
