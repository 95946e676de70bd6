//! Kernels for cores with the DSP extension (Cortex-M4, M7, M33): `SMLAD` adds two products of 16
//! bits at once, `USAT` and `SSAT` shift and saturate.
#![allow(unsafe_code)]

use core::arch::naked_asm;
use core::mem::{MaybeUninit, offset_of};

use super::scalar::{ConvRow, Filters};
use crate::blob::GROUP;
use crate::q8_8::{Product, Requantize};

/// Kernel rows that a [`Frame`] has room for; higher kernels are left to the scalar kernel.
const MAX_KERNEL_ROWS: usize = 16;

/// What a convolution kernel computes: one output row of one group of filters.
///
/// It goes through the row in blocks of two columns. Of a window it knows only what follows each
/// kernel row: how far the input pointer moves, and which code comes next.
#[repr(C)]
struct Frame {
    /// Initial accumulators: the bias of each filter, once for each column.
    sums: [i32; 8],
    weights: *const i16,
    /// First element under the window of the first column.
    input: *const i16,
    /// From a column's window to the next one's.
    column_bytes: usize,
    /// From the end of a block's windows to the start of the next block's.
    rewind_bytes: isize,
    out: *mut i16,
    /// From a column's output to the next one's.
    out_bytes: usize,
    out_end: *const i16,
    store: Store,
    shift: usize,
    /// Bytes of code that the first pass over a row's pairs skips.
    skipped_code: usize,
    /// Full passes after the first.
    more_passes: usize,
    rows: usize,
    after_row: [MaybeUninit<Step>; MAX_KERNEL_ROWS],
}

/// What follows a kernel row.
#[derive(Clone, Copy)]
#[repr(C)]
struct Step {
    input_bytes: isize,
    /// Address of the code; filled in by the kernel.
    code: usize,
}

/// How sums become activations.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
enum Store {
    /// Shift by 8 and ReLU: one instruction.
    Relu8,
    /// Shift by 8: one instruction.
    Linear8,
    /// Any shift.
    Relu,
    Linear,
}

impl Store {
    fn new(store: Requantize) -> Self {
        match (store.shift, store.low) {
            (8, 0) => Self::Relu8,
            (8, _) => Self::Linear8,
            (_, 0) => Self::Relu,
            _ => Self::Linear,
        }
    }
}

/// A kernel for groups of some number of filters.
struct ConvKernel {
    run: unsafe extern "C" fn(&mut Frame),
    /// Pairs of elements whose code stands one after the other.
    unrolled: usize,
    /// Bytes of code for one pair.
    pair_code: usize,
}

impl ConvKernel {
    /// The kernel for a group of `filters` filters.
    fn of_group(filters: usize) -> Self {
        match filters {
            4 => Self {
                run: conv4,
                unrolled: 12,
                pair_code: 60,
            },
            3 => Self {
                run: conv3,
                unrolled: 4,
                pair_code: 44,
            },
            2 => Self {
                run: conv2,
                unrolled: 4,
                pair_code: 32,
            },
            _ => Self {
                run: conv1,
                unrolled: 4,
                pair_code: 20,
            },
        }
    }
}

/// Computes the row, unless it is of a kind that is left to the scalar kernel; true if it did.
#[inline(never)]
pub(crate) fn conv_row(row: &ConvRow<'_>, out: &mut [i16]) -> bool {
    if !fits(row, out) {
        return false;
    }
    let mut frame = Frame {
        sums: [0; 8],
        weights: core::ptr::null(),
        input: core::ptr::null(),
        column_bytes: 0,
        rewind_bytes: 0,
        out: core::ptr::null_mut(),
        out_bytes: 0,
        out_end: core::ptr::null(),
        store: Store::new(row.store),
        shift: row.store.shift.into(),
        skipped_code: 0,
        more_passes: 0,
        rows: row.rows.count,
        after_row: [const { MaybeUninit::uninit() }; MAX_KERNEL_ROWS],
    };
    frame.plan_rows(row);
    let packing = row.filters.packing;
    let columns = out.len() / packing.filters;
    let pairs = packing.stored_row() / 2;
    let input = row
        .rows
        .buffer
        .as_ptr()
        .wrapping_add(row.rows.first * row.rows.row_elements);
    for (group, (bias, weights)) in row.filters.groups().enumerate() {
        let kernel = ConvKernel::of_group(bias.len());
        let first_pairs = (pairs - 1) % kernel.unrolled + 1;
        frame.skipped_code = (kernel.unrolled - first_pairs) * kernel.pair_code;
        frame.more_passes = (pairs - first_pairs) / kernel.unrolled;
        for (sums, &bias) in frame.sums.as_chunks_mut().0.iter_mut().zip(bias) {
            *sums = [bias; 2];
        }
        frame.weights = weights
            .as_ptr()
            .wrapping_add(row.skipped_kernel_rows * pairs * 2 * bias.len());

        let paired = columns & !1;
        let out = out.as_mut_ptr().wrapping_add(group * GROUP);
        let end = out.wrapping_add(paired * packing.filters);
        if paired > 0 {
            frame.input = input;
            frame.column_bytes = row.step * 2;
            frame.out = out;
            frame.out_bytes = packing.filters * 2;
            frame.out_end = end;
            // SAFETY: `frame` has compared all lengths.
            unsafe { (kernel.run)(&mut frame) };
        }
        if paired < columns {
            // The last column is alone: it takes both places of a block.
            frame.input = input.wrapping_add(paired * row.step);
            frame.column_bytes = 0;
            frame.out = end;
            frame.out_bytes = 0;
            frame.out_end = end;
            // SAFETY: as above.
            unsafe { (kernel.run)(&mut frame) };
        }
    }
    true
}

/// Whether the kernels can compute the row, and read and write inside the slices when they do.
fn fits(row: &ConvRow<'_>, out: &[i16]) -> bool {
    let ConvRow { filters, rows, .. } = *row;
    let packing = filters.packing;
    let columns = out.len() / packing.filters.max(1);
    let window_end = columns.saturating_sub(1) * row.step + packing.stored_row();
    filters.product == Product::Exact
        && columns > 0
        && columns * packing.filters == out.len()
        && filters.bias.len() == packing.filters
        && filters.weights.len() == packing.stored_weights()
        && packing.row_elements > 0
        && (1..=MAX_KERNEL_ROWS.min(rows.capacity)).contains(&rows.count)
        && rows.first < rows.capacity
        && row.skipped_kernel_rows + rows.count <= packing.rows
        && (rows.capacity - 1) * rows.row_elements + window_end <= rows.buffer.len()
}

impl Frame {
    /// Fills in how the input pointer moves.
    fn plan_rows(&mut self, row: &ConvRow<'_>) {
        let rows = row.rows;
        let stored_row = row.filters.packing.stored_row() as isize;
        let mut slot = rows.first;
        let mut from_start = 0;
        for step in self.after_row.iter_mut().take(rows.count) {
            let mut elements = rows.row_elements as isize;
            slot += 1;
            if slot == rows.capacity {
                slot = 0;
                elements -= (rows.capacity * rows.row_elements) as isize;
            }
            from_start += elements * 2;
            step.write(Step {
                input_bytes: (elements - stored_row) * 2,
                code: 0,
            });
        }
        self.rewind_bytes = row.step as isize * 4 - from_start;
    }
}

/// A convolution kernel. Registers:
///
/// | | |
/// | --- | --- |
/// | r0 to r7 | sums: of the first filter in the first and the second column, of the second filter ... |
/// | r8, r9 | next weights, next element of the first column's window |
/// | r10, r11 | elements of the first and the second column |
/// | r12, lr | weights |
///
/// On the stack, from the top: what the caller's registers held, and `[sp, #..]` 0: `column_bytes`,
/// 4: next step, 8: frame, 12: code of a row, 16: code of its first pass, 20: passes left.
///
/// Carry is set while passes over the pairs of a row are left.
macro_rules! conv_kernel {
    (
        $name:ident, sums: $sums:literal, unrolled: $unrolled:literal,
        start: [$($start:literal),*],
        pair: [$($pair:literal),*],
        store: [$($store:literal),*],
    ) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(_frame: &mut Frame) {
            naked_asm!(
                "push {{r4-r11, lr}}",
                "sub sp, #28",
                "str r0, [sp, #8]",
                "mov r8, r0",
                "ldr r9, [r8, #{input}]",
                "ldr r0, [r8, #{column_bytes}]",
                "str r0, [sp]",
                // The code of a row: its first pass, or what prepares further passes.
                "adr.w r1, 20f",
                "adds r1, #1",
                "ldr r0, [r8, #{skipped_code}]",
                "add r1, r0",
                "str r1, [sp, #16]",
                "ldr r0, [r8, #{more_passes}]",
                "cbz r0, 10f",
                "adr.w r1, 30f",
                "adds r1, #1",
                "10:",
                "str r1, [sp, #12]",
                "ldr r0, [r8, #{rows}]",
                "add r2, r8, #({after_row} + 4)",
                "11:",
                "str r1, [r2], #8",
                "subs r0, #1",
                "bne 11b",
                // The code after the last row.
                "ldr r0, [r8, #{store}]",
                "adr.w r1, 40f",
                "cmp r0, #1",
                "blo 12f",
                "adr.w r1, 50f",
                "beq 12f",
                "adr.w r1, 51f",
                "12:",
                "adds r1, #1",
                "str r1, [r2, #-8]",
                "cmn r8, #0",
                // The next block of two columns.
                "13:",
                "add r10, r8, #{after_row}",
                "str r10, [sp, #4]",
                "ldm r8, {{r0-r8}}",
                $($start,)*
                "ldr pc, [sp, #12]",
                // A pass over pairs of a row.
                ".p2align 2",
                "20:",
                concat!(".rept ", $unrolled),
                $($pair,)*
                ".endr",
                "bcs 31f",
                "ldr r10, [sp, #4]",
                "ldm r10!, {{r11, r12}}",
                "str r10, [sp, #4]",
                "add r9, r11",
                "bx r12",
                // A row of more than one pass.
                ".p2align 2",
                "30:",
                "ldr r10, [sp, #8]",
                "ldr r10, [r10, #{more_passes}]",
                "str r10, [sp, #20]",
                "cmp r10, r10",
                "ldr pc, [sp, #16]",
                "31:",
                "ldr r10, [sp, #20]",
                "subs r10, #1",
                "str r10, [sp, #20]",
                "cmp r10, #1",
                "b 20b",
                // The sums of the block are complete.
                ".p2align 2",
                "40:",
                concat!(".irp sum, ", $sums),
                "usat \\sum, #15, \\sum, asr #8",
                ".endr",
                "41:",
                "ldr r8, [sp, #8]",
                "ldr r10, [r8, #{out}]",
                "ldr r11, [r8, #{out_bytes}]",
                "ldr r12, [r8, #{out_end}]",
                "ldr lr, [r8, #{rewind_bytes}]",
                "add r9, lr",
                "add lr, r10, r11",
                $($store,)*
                "add r10, lr, r11",
                "str r10, [r8, #{out}]",
                "cmp r10, r12",
                "blo 13b",
                "add sp, #28",
                "pop {{r4-r11, pc}}",
                ".p2align 2",
                "50:",
                concat!(".irp sum, ", $sums),
                "ssat \\sum, #16, \\sum, asr #8",
                ".endr",
                "b 41b",
                ".p2align 2",
                "51:",
                "ldr r8, [sp, #8]",
                "ldr r12, [r8, #{shift}]",
                "ldr lr, [r8, #{store}]",
                "cmp lr, #2",
                concat!(".irp sum, ", $sums),
                "asr \\sum, r12",
                "ite eq",
                "usateq \\sum, #15, \\sum",
                "ssatne \\sum, #16, \\sum",
                ".endr",
                "b 41b",
                input = const offset_of!(Frame, input),
                column_bytes = const offset_of!(Frame, column_bytes),
                rewind_bytes = const offset_of!(Frame, rewind_bytes),
                out = const offset_of!(Frame, out),
                out_bytes = const offset_of!(Frame, out_bytes),
                out_end = const offset_of!(Frame, out_end),
                store = const offset_of!(Frame, store),
                shift = const offset_of!(Frame, shift),
                skipped_code = const offset_of!(Frame, skipped_code),
                more_passes = const offset_of!(Frame, more_passes),
                rows = const offset_of!(Frame, rows),
                after_row = const offset_of!(Frame, after_row),
            )
        }
    };
}

conv_kernel! {
    conv4, sums: "r0, r1, r2, r3, r4, r5, r6, r7", unrolled: 12,
    start: [],
    pair: [
        "ldr r11, [sp]",
        "ldr r12, [r8, #8]",
        "ldr r11, [r9, r11]",
        "ldr r10, [r9], #4",
        "ldr lr, [r8, #12]",
        "smlad r4, r10, r12, r4",
        "smlad r5, r11, r12, r5",
        "smlad r6, r10, lr, r6",
        "smlad r7, r11, lr, r7",
        "ldr lr, [r8, #4]",
        "ldr r12, [r8], #16",
        "smlad r2, r10, lr, r2",
        "smlad r3, r11, lr, r3",
        "smlad r0, r10, r12, r0",
        "smlad r1, r11, r12, r1"
    ],
    store: [
        "pkhbt r0, r0, r2, lsl #16",
        "pkhbt r4, r4, r6, lsl #16",
        "pkhbt r1, r1, r3, lsl #16",
        "pkhbt r5, r5, r7, lsl #16",
        "str r0, [r10]",
        "str r4, [r10, #4]",
        "str r1, [lr]",
        "str r5, [lr, #4]"
    ],
}

conv_kernel! {
    conv3, sums: "r0, r1, r2, r3, r4, r5", unrolled: 4,
    start: ["ldr r6, [sp]"],
    pair: [
        "ldr r11, [r9, r6]",
        "ldr r10, [r9], #4",
        "ldr r12, [r8, #4]",
        "ldr lr, [r8, #8]",
        "ldr r7, [r8], #12",
        "smlad r2, r10, r12, r2",
        "smlad r3, r11, r12, r3",
        "smlad r4, r10, lr, r4",
        "smlad r5, r11, lr, r5",
        "smlad r0, r10, r7, r0",
        "smlad r1, r11, r7, r1"
    ],
    store: [
        "pkhbt r0, r0, r2, lsl #16",
        "pkhbt r1, r1, r3, lsl #16",
        "str r0, [r10]",
        "strh r4, [r10, #4]",
        "str r1, [lr]",
        "strh r5, [lr, #4]"
    ],
}

conv_kernel! {
    conv2, sums: "r0, r1, r2, r3", unrolled: 4,
    start: ["ldr r6, [sp]"],
    pair: [
        "ldr r11, [r9, r6]",
        "ldr r10, [r9], #4",
        "ldr lr, [r8, #4]",
        "ldr r12, [r8], #8",
        "smlad r2, r10, lr, r2",
        "smlad r3, r11, lr, r3",
        "smlad r0, r10, r12, r0",
        "smlad r1, r11, r12, r1"
    ],
    store: [
        "pkhbt r0, r0, r2, lsl #16",
        "pkhbt r1, r1, r3, lsl #16",
        "str r0, [r10]",
        "str r1, [lr]"
    ],
}

conv_kernel! {
    conv1, sums: "r0, r1", unrolled: 4,
    start: ["ldr r6, [sp]"],
    pair: [
        "ldr r11, [r9, r6]",
        "ldr r10, [r9], #4",
        "ldr r12, [r8], #4",
        "smlad r0, r10, r12, r0",
        "smlad r1, r11, r12, r1"
    ],
    store: [
        "strh r0, [r10]",
        "strh r1, [lr]"
    ],
}

/// Adds the input row `y` to the sums of a dense layer, unless it is of a kind that is left to the
/// scalar kernel; true if it did.
pub(crate) fn dense_row(filters: Filters<'_>, y: usize, row: &[i16], sums: &mut [i32]) -> bool {
    let packing = filters.packing;
    let pairs = packing.stored_row() / 2;
    let fits = filters.product == Product::Exact
        && y < packing.rows
        && row.len() >= pairs * 2
        && sums.len() == packing.filters
        && filters.weights.len() == packing.stored_weights();
    if !fits {
        return false;
    }
    for (sums, (_, weights)) in sums.chunks_mut(GROUP).zip(filters.groups()) {
        let run = match sums.len() {
            4 => dense4,
            3 => dense3,
            2 => dense2,
            _ => dense1,
        };
        let weights = weights.as_ptr().wrapping_add(y * pairs * 2 * sums.len());
        // SAFETY: the lengths have been compared: `weights` has `pairs` pairs for each sum.
        unsafe { run(weights, row.as_ptr(), pairs, sums.as_mut_ptr()) };
    }
    true
}

/// A dense kernel: r0 and r1 are the next weights and input elements, r2 the pairs left, r4 to r7
/// the sums.
macro_rules! dense_kernel {
    ($name:ident, load: $load:literal, store: $store:literal, two_pairs: [$($two:literal),*], pair: [$($one:literal),*],) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(
            _weights: *const i16,
            _input: *const i16,
            _pairs: usize,
            _sums: *mut i32,
        ) {
            naked_asm!(
                "push {{r3-r11, lr}}",
                $load,
                "subs r2, #8",
                "blo 11f",
                "10:",
                ".rept 4",
                $($two,)*
                ".endr",
                "subs r2, #8",
                "bhs 10b",
                "11:",
                "adds r2, #8",
                "beq 13f",
                "12:",
                $($one,)*
                "subs r2, #1",
                "bne 12b",
                "13:",
                "pop {{r3}}",
                $store,
                "pop {{r4-r11, pc}}",
            )
        }
    };
}

dense_kernel! {
    dense4, load: "ldm r3, {{r4-r7}}", store: "stm r3, {{r4-r7}}",
    two_pairs: [
        "ldr r3, [r1, #4]",
        "ldr r8, [r1], #8",
        "ldr r9, [r0, #4]",
        "ldr r10, [r0, #8]",
        "ldr r11, [r0, #12]",
        "ldr r12, [r0, #16]",
        "ldr lr, [r0, #20]",
        "smlad r5, r8, r9, r5",
        "smlad r6, r8, r10, r6",
        "smlad r7, r8, r11, r7",
        "smlad r4, r3, r12, r4",
        "smlad r5, r3, lr, r5",
        "ldr r9, [r0, #24]",
        "ldr r10, [r0, #28]",
        "ldr r11, [r0], #32",
        "smlad r6, r3, r9, r6",
        "smlad r7, r3, r10, r7",
        "smlad r4, r8, r11, r4"
    ],
    pair: [
        "ldr r8, [r1], #4",
        "ldr r9, [r0, #4]",
        "ldr r10, [r0, #8]",
        "ldr r11, [r0, #12]",
        "ldr r12, [r0], #16",
        "smlad r5, r8, r9, r5",
        "smlad r6, r8, r10, r6",
        "smlad r7, r8, r11, r7",
        "smlad r4, r8, r12, r4"
    ],
}

dense_kernel! {
    dense3, load: "ldm r3, {{r4-r6}}", store: "stm r3, {{r4-r6}}",
    two_pairs: [
        "ldr r3, [r1, #4]",
        "ldr r8, [r1], #8",
        "ldr r9, [r0, #4]",
        "ldr r10, [r0, #8]",
        "ldr r11, [r0, #12]",
        "ldr r12, [r0, #16]",
        "ldr lr, [r0, #20]",
        "ldr r7, [r0], #24",
        "smlad r5, r8, r9, r5",
        "smlad r6, r8, r10, r6",
        "smlad r4, r3, r11, r4",
        "smlad r5, r3, r12, r5",
        "smlad r6, r3, lr, r6",
        "smlad r4, r8, r7, r4"
    ],
    pair: [
        "ldr r8, [r1], #4",
        "ldr r9, [r0, #4]",
        "ldr r10, [r0, #8]",
        "ldr r11, [r0], #12",
        "smlad r5, r8, r9, r5",
        "smlad r6, r8, r10, r6",
        "smlad r4, r8, r11, r4"
    ],
}

dense_kernel! {
    dense2, load: "ldm r3, {{r4, r5}}", store: "stm r3, {{r4, r5}}",
    two_pairs: [
        "ldr r3, [r1, #4]",
        "ldr r8, [r1], #8",
        "ldr r9, [r0, #4]",
        "ldr r10, [r0, #8]",
        "ldr r11, [r0, #12]",
        "ldr r12, [r0], #16",
        "smlad r5, r8, r9, r5",
        "smlad r4, r3, r10, r4",
        "smlad r5, r3, r11, r5",
        "smlad r4, r8, r12, r4"
    ],
    pair: [
        "ldr r8, [r1], #4",
        "ldr r9, [r0, #4]",
        "ldr r10, [r0], #8",
        "smlad r5, r8, r9, r5",
        "smlad r4, r8, r10, r4"
    ],
}

dense_kernel! {
    dense1, load: "ldr r4, [r3]", store: "str r4, [r3]",
    two_pairs: [
        "ldr r3, [r1, #4]",
        "ldr r8, [r1], #8",
        "ldr r9, [r0, #4]",
        "ldr r10, [r0], #8",
        "smlad r4, r3, r9, r4",
        "smlad r4, r8, r10, r4"
    ],
    pair: [
        "ldr r8, [r1], #4",
        "ldr r9, [r0], #4",
        "smlad r4, r8, r9, r4"
    ],
}
