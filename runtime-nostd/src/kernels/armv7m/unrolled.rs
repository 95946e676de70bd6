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
use crate::kernels::UNROLLED_SHAPES as SHAPES;
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
    fn fits(&self, row: &ConvRow<'_>) -> bool {
        let packing = row.filters.packing;
        packing.rows == self.rows
            && packing.row_elements == self.rows * self.channels
            && row.step == self.channels
            && row.columns >= 2 * spacing(self.channels)
            && (row.rows.count == self.rows || loops(self.rows, self.channels))
    }
}

static KERNELS: [Unrolled; SHAPES.len()] = [
    Unrolled::new::<{ SHAPES[0].0 }, { SHAPES[0].1 }>(),
    Unrolled::new::<{ SHAPES[1].0 }, { SHAPES[1].1 }>(),
    Unrolled::new::<{ SHAPES[2].0 }, { SHAPES[2].1 }>(),
    Unrolled::new::<{ SHAPES[3].0 }, { SHAPES[3].1 }>(),
    Unrolled::new::<{ SHAPES[4].0 }, { SHAPES[4].1 }>(),
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

/// Couples of kernel rows of an odd number of elements whose last ones make a pair.
const fn couples(rows: usize, channels: usize) -> usize {
    if channels % 2 == 1 && pairs(rows, channels) > channels + 1 {
        rows / 2
    } else {
        0
    }
}

/// What a kernel computes: some columns of an output row, for some groups of filters.
#[repr(C)]
struct Blocks {
    /// The first window's rows, and a null pointer behind them.
    rows: [*const i16; MAX_ROWS + 1],
    /// Of the first group.
    weights: *const i16,
    /// Of the next group.
    bias: *const i32,
    /// Where the next group's first block goes, and the one behind its last block.
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
/// `row` and `out` must be as [`super::conv_fits`] checks.
#[inline(never)]
pub(super) unsafe fn run(row: &ConvRow<'_>, out: &mut [i16]) -> usize {
    let columns = row.columns;
    let groups = row.filters.packing.filters / GROUP;
    let kernel = KERNELS.iter().find(|kernel| kernel.fits(row));
    let Some(kernel) = kernel.filter(|_| groups > 0) else {
        return 0;
    };
    let unit = 2 * spacing(kernel.channels);
    let (mut first, mut end) = (0, columns / unit * unit);
    loop {
        let mut blocks = Blocks::new(row, groups, first, end, out);
        // SAFETY: the caller vouches for the lengths, and `fits` has compared the shapes.
        unsafe { (kernel.run)(&mut blocks) };
        if end == columns {
            return groups * GROUP;
        }
        // Columns that are left over are computed with some that are done.
        (first, end) = (columns - unit, columns);
    }
}

impl Blocks {
    /// The columns from `first` to `end` of the groups.
    fn new(row: &ConvRow<'_>, groups: usize, first: usize, end: usize, out: &mut [i16]) -> Self {
        let packing = row.filters.packing;
        let skipped = row.skipped_kernel_rows * packing.stored_row() * GROUP;
        let out = out.as_mut_ptr();
        let rows = row.rows;
        let ring = rows.buffer.as_flattened().as_ptr();
        let ring = ring.wrapping_add(first * row.step);
        let ring_end = ring.wrapping_add(rows.capacity * rows.row_elements);
        let mut window = ring.wrapping_add(rows.first * rows.row_elements);
        let mut windows = [core::ptr::null(); MAX_ROWS + 1];
        for stored in windows.iter_mut().take(MAX_ROWS.min(rows.count)) {
            *stored = window;
            window = window.wrapping_add(rows.row_elements);
            if window == ring_end {
                window = ring;
            }
        }
        Self {
            rows: windows,
            weights: row.filters.weights.as_ptr().wrapping_add(skipped),
            bias: row.filters.bias.as_ptr(),
            out: out.wrapping_add(first * row.spacing),
            end: out.wrapping_add(end * row.spacing),
            out_bytes: spacing(row.step) * row.spacing * 2,
            groups,
            store: Store::new(row.store),
            shift: row.store.shift.into(),
        }
    }
}

/// The products of the pair `.Lpair` of a row: elements in `$x` and, of the block's second column, in
/// `$y`, four filters. The second column's sums are built on `$s1` to `$s7`. Where the pair `.Lleaves`
/// its row, the pointer moves to the next one.
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
            ".if .Lleaves\n",
            "str r9, [sp, #(4 * .Lrow)]\n",
            ".endif\n",
            "ldr r12, [r8, #(16 * (.Lrow * {pairs} + .Lpair))]\n",
            "ldr lr, [r8, #(16 * (.Lrow * {pairs} + .Lpair) + 4)]\n",
            ".if .Lleaves\n",
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

/// The products of the pair of a couple: the last elements of this row and of the next one, to which
/// the pointer moves. Halfwords are aligned everywhere. `$x` has what the last pair of the second column,
/// which is no pair, has just read.
macro_rules! couple {
    ($x:literal, $y:literal) => {
        concat!(
            "str r9, [sp, #(4 * .Lrow)]\n",
            "ldrh ",
            $y,
            ", [r9, #(4 * (.Lcount + {distance}) - .Lmoved)]\n",
            "ldr r9, [sp, #(4 * .Lrow + 4)]\n",
            "ldrh r12, [r9, #(4 * .Lcount)]\n",
            "ldrh lr, [r9, #(4 * (.Lcount + {distance}))]\n",
            "pkhbt ",
            $x,
            ", ",
            $x,
            ", r12, lsl #16\n",
            "pkhbt ",
            $y,
            ", ",
            $y,
            ", lr, lsl #16\n",
            "ldr r12, [sp, #(64 + 8 * .Lrow)]\n",
            "ldr lr, [sp, #(68 + 8 * .Lrow)]\n",
            "smlad r0, ",
            $x,
            ", r12, r0\n",
            "smlad r1, ",
            $y,
            ", r12, r1\n",
            "smlad r2, ",
            $x,
            ", lr, r2\n",
            "smlad r3, ",
            $y,
            ", lr, r3\n",
            "ldr r12, [sp, #(72 + 8 * .Lrow)]\n",
            "ldr lr, [sp, #(76 + 8 * .Lrow)]\n",
            "smlad r4, ",
            $x,
            ", r12, r4\n",
            "smlad r5, ",
            $y,
            ", r12, r5\n",
            "smlad r6, ",
            $x,
            ", lr, r6\n",
            "smlad r7, ",
            $y,
            ", lr, r7\n",
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
/// 52 `Blocks`, 56 weights of the group, 60 next row's window where the code of one row stands for all,
/// else whether these are the odd columns, 64 weights of couples. Carry is set unless sums are shifted
/// by 8 and ReLU follows.
///
/// The columns of a block are `distance` words apart. So what the second one multiplies with a pair's
/// weights, the first one multiplies with those of the pair `distance` later, which comes next. The
/// last elements of two odd rows are one pair, which follows the other pairs of the first row.
#[unsafe(naked)]
unsafe extern "C" fn blocks<const ROWS: usize, const CHANNELS: usize>(_blocks: &mut Blocks) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "sub sp, #(64 + 16 * {couples})",
        "str r0, [sp, #52]",
        "mov r12, r0",
        "ldr r8, [r12, #{weights}]",
        "ldr r1, [r12, #{out_bytes}]",
        "str r1, [sp, #48]",
        // The next group of filters.
        "13:",
        "ldr r10, [r12, #{bias}]",
        "ldm r10!, {{r0-r3}}",
        "str r10, [r12, #{bias}]",
        "add r11, sp, #24",
        "stm r11, {{r0-r3}}",
        ".set .Lrow, 0",
        ".rept {couples}",
        ".set .Lword, 0",
        ".irp last, r0, r1, r2, r3",
        "ldrh \\last, [r8, #(16 * ((.Lrow + 1) * {pairs} - 1) + .Lword)]",
        ".set .Lword, .Lword + 4",
        ".endr",
        ".set .Lword, 0",
        ".irp last, r4, r5, r6, r7",
        "ldrh \\last, [r8, #(16 * ((.Lrow + 2) * {pairs} - 1) + .Lword)]",
        ".set .Lword, .Lword + 4",
        ".endr",
        "pkhbt r0, r0, r4, lsl #16",
        "pkhbt r1, r1, r5, lsl #16",
        "pkhbt r2, r2, r6, lsl #16",
        "pkhbt r3, r3, r7, lsl #16",
        "add r11, sp, #(64 + 8 * .Lrow)",
        "stm r11, {{r0-r3}}",
        ".set .Lrow, .Lrow + 2",
        ".endr",
        "ldr r10, [r12, #{out}]",
        "ldr r11, [r12, #{end}]",
        "ldm r12, {{r0-r5}}",
        ".if {loops}",
        "str r8, [sp, #56]",
        ".else",
        "movs r6, #0",
        "str r6, [sp, #60]",
        ".endif",
        // Columns next to each other, or all even or all odd ones.
        "12:",
        "stm sp, {{r0-r5}}",
        "mov r9, r0",
        "str r10, [sp, #40]",
        "str r11, [sp, #44]",
        "ldr r6, [r12, #{store}]",
        "cmp r6, #1",
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
        ".set .Lcount, {pairs}",
        ".set .Lleads, 0",
        ".if .Lrow < 2 * {couples}",
        ".set .Lcount, {pairs} - 1",
        ".set .Lleads, 1 - .Lrow % 2",
        ".endif",
        ".set .Lmoved, 0",
        ".set .Lchain, 0",
        ".rept {distance}",
        ".set .Lpair, .Lchain",
        ".set .Lswapped, 0",
        "ldr r10, [r9, #(4 * .Lpair - .Lmoved)]",
        ".rept (.Lcount - .Lchain + {distance} - 1) / {distance}",
        ".set .Lleaves, 0",
        ".if .Lpair + {distance} >= .Lcount",
        ".if .Lchain == {last_chain}",
        ".set .Lleaves, (1 - .Lleads) * (1 - {loops})",
        ".endif",
        ".endif",
        ".if .Lswapped",
        ".if .Lpair == {distance}",
        "ldr r10, [r9, #(8 * {distance})]!",
        ".set .Lmoved, 8 * {distance}",
        ".else",
        "ldr r10, [r9, #(4 * (.Lpair + {distance}) - .Lmoved)]",
        ".endif",
        products!("r11", "r10", "r1", "r3", "r5", "r7"),
        ".else",
        // Of the last pair of an odd row, the second element is not in the row: halfwords are aligned.
        ".if (.Lpair + 1 == {pairs}) * ({rows} * {channels} % 2)",
        "ldrh r11, [r9, #(4 * (.Lpair + {distance}) - .Lmoved)]",
        ".else",
        "ldr r11, [r9, #(4 * (.Lpair + {distance}) - .Lmoved)]",
        ".endif",
        ".if .Lrow + .Lpair + {loops} == 0",
        products!("r10", "r11", "r0", "r2", "r4", "r6"),
        ".else",
        products!("r10", "r11", "r1", "r3", "r5", "r7"),
        ".endif",
        ".endif",
        ".set .Lswapped, 1 - .Lswapped",
        ".set .Lpair, .Lpair + {distance}",
        ".endr",
        ".set .Lchain, (.Lchain + {distance} - 1) % {distance}",
        ".endr",
        ".if .Lleads",
        ".if .Lswapped",
        couple!("r11", "r10"),
        ".else",
        couple!("r10", "r11"),
        ".endif",
        ".endif",
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
        ".if {odd}",
        "ldr r6, [sp, #60]",
        "eors r6, #1",
        "beq 16f",
        "str r6, [sp, #60]",
        "ldr r10, [r12, #{out}]",
        "ldr r11, [r12, #{end}]",
        "ldr r6, [sp, #48]",
        "ldm r12, {{r0-r5}}",
        "add r10, r10, r6, lsr #1",
        "add r11, r11, r6, lsr #1",
        ".irp row, r0, r1, r2, r3, r4",
        "add \\row, #(2 * {channels})",
        ".endr",
        "b 12b",
        "16:",
        ".endif",
        "ldr r10, [r12, #{out}]",
        "ldr r11, [r12, #{end}]",
        "add r10, #8",
        "add r11, #8",
        "str r10, [r12, #{out}]",
        "str r11, [r12, #{end}]",
        "addw r8, r8, #(16 * {rows} * {pairs})",
        "ldr r0, [r12, #{groups}]",
        "subs r0, #1",
        "str r0, [r12, #{groups}]",
        "bne.w 13b",
        "add sp, #(64 + 16 * {couples})",
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
        channels = const CHANNELS,
        odd = const CHANNELS % 2,
        couples = const couples(ROWS, CHANNELS),
        pairs = const pairs(ROWS, CHANNELS),
        distance = const spacing(CHANNELS) * CHANNELS / 2,
        last_chain = const if spacing(CHANNELS) * CHANNELS / 2 > 1 { 1 } else { 0 },
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
