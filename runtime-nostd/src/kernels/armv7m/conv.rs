//! The convolution kernels but for their multiplications: how they go through rows, and their frame.

use core::mem::{MaybeUninit, offset_of};

use super::isa::conv_kernel;
use crate::blob::GROUP;
use crate::kernels::scalar::ConvRow;
use crate::q8_8::Requantize;

/// Kernel rows that a [`Frame`] has room for; higher kernels are left to the scalar kernel.
pub(super) const MAX_KERNEL_ROWS: usize = 8;

/// A kernel for groups of some number of filters.
pub(super) struct ConvKernel {
    pub(super) run: unsafe extern "C" fn(&mut Frame),
    /// Pairs of elements whose code stands one after the other.
    pub(super) unrolled: usize,
    /// Bytes of code for one pair.
    pub(super) pair_code: usize,
}

/// What a convolution kernel computes: one output row of some groups of filters.
///
/// It goes through the row in blocks of two columns. Of a window it knows only what follows each
/// kernel row: how far the input pointer moves, and which code comes next.
#[repr(C)]
pub(super) struct Frame {
    /// Initial sums, the kernel's: the bias of each filter of the group, once for each column. The last one
    /// is the distance of weights in bytes, which a kernel for one filter finds in r7.
    sums: [i32; 8],
    /// Weights of the group.
    weights: *const i16,
    /// First element under the window of the first column.
    input: *const i16,
    /// From a column's window to the next one's.
    column_bytes: usize,
    /// From the end of a block's windows to the start of the next block's.
    rewind_bytes: isize,
    /// Where the next block goes; the kernel's.
    out: *mut i16,
    /// From a column's output to the next one's.
    out_bytes: usize,
    /// Where the group's part of the output row starts, and its first block behind the row.
    group_out: *mut i16,
    group_end: *const i16,
    /// Biases of the group.
    bias: *const i32,
    /// Groups that are left.
    groups: usize,
    /// 1 if a last column is left over, which is computed in a block with the column before, for the
    /// second time.
    overlaps: usize,
    /// Weights of one group.
    group_bytes: usize,
    store: Store,
    shift: usize,
    /// Code that the first pass over a row's pairs skips.
    skipped_code: usize,
    /// Passes after the first, each over all unrolled pairs.
    more_passes: usize,
    rows: usize,
    after_row: [MaybeUninit<Step>; MAX_KERNEL_ROWS],
}

/// What follows a kernel row.
#[repr(C)]
struct Step {
    input_bytes: isize,
    /// Address of the code; filled in by the kernel.
    code: usize,
}

/// How sums become activations.
#[derive(Clone, Copy)]
#[repr(usize)]
pub(super) enum Store {
    /// Shift by 8 and ReLU: one instruction.
    Relu8,
    /// Shift by 8: one instruction.
    Linear8,
    /// Any shift and ReLU.
    Relu,
    /// Any shift.
    Linear,
}

impl Store {
    pub(super) const fn new(store: Requantize) -> Self {
        match (store.shift, store.low) {
            (8, 0) => Self::Relu8,
            (8, _) => Self::Linear8,
            (_, 0) => Self::Relu,
            _ => Self::Linear,
        }
    }
}

/// Computes the filters from `first` on, the first one of a group.
///
/// # Safety
/// `row` and `out` must be as [`super::conv_fits`] checks.
// Beside other kernels, its frame would lie on the stack while they run.
#[cfg_attr(all(dsp, feature = "fast"), inline(never))]
pub(super) unsafe fn run(row: &ConvRow<'_>, first: usize, out: &mut [i16]) {
    let (packing, columns) = (row.filters.packing, row.columns);
    let pairs = packing.stored_row() / 2;
    let slot = row.rows.first * row.rows.row_elements;
    let buffer = row.rows.buffer.as_flattened().as_ptr();
    let mut frame = Frame {
        sums: [0; 8],
        weights: core::ptr::null(),
        input: buffer.wrapping_add(slot),
        // A column alone takes both places of its block.
        column_bytes: if columns > 1 { row.step * 2 } else { 0 },
        rewind_bytes: 0,
        out: core::ptr::null_mut(),
        out_bytes: if columns > 1 { row.spacing * 2 } else { 0 },
        group_out: core::ptr::null_mut(),
        group_end: core::ptr::null(),
        bias: core::ptr::null(),
        groups: 0,
        overlaps: usize::from(columns > 1 && columns % 2 == 1),
        group_bytes: packing.rows * pairs * (4 * GROUP),
        store: Store::new(row.store),
        shift: row.store.shift.into(),
        skipped_code: 0,
        more_passes: 0,
        rows: row.rows.count,
        after_row: [const { MaybeUninit::uninit() }; MAX_KERNEL_ROWS],
    };
    frame.plan_rows(row);
    let paired = columns & !1;
    let mut filter = first;
    while filter < packing.filters {
        let group = filter / GROUP * GROUP;
        let members = GROUP.min(packing.filters - group);
        let (together, groups) = match packing.filters - filter {
            left @ GROUP.. => (GROUP, left / GROUP),
            left if cfg!(feature = "fast") => (left, 1),
            _ => (1, 1),
        };
        let kernel = conv_kernel(together);
        frame.plan_passes(&kernel, pairs);
        // Where a kernel has only one filter, its weights are as far apart as those of the group.
        frame.sums[7] = (members * 4) as i32;
        let rows_before = group * packing.rows + row.skipped_kernel_rows * members;
        let weights = row.filters.weights.as_ptr();
        frame.weights = weights.wrapping_add((rows_before * pairs + filter - group) * 2);
        frame.bias = row.filters.bias.as_ptr().wrapping_add(filter);
        frame.groups = groups;
        frame.group_out = out.as_mut_ptr().wrapping_add(filter);
        frame.group_end = frame.group_out.wrapping_add(paired * row.spacing);
        // SAFETY: the caller vouches for the lengths.
        unsafe { (kernel.run)(&mut frame) };
        filter += together * groups;
    }
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

    fn plan_passes(&mut self, kernel: &ConvKernel, pairs: usize) {
        let mut first = pairs;
        self.more_passes = 0;
        while first > kernel.unrolled {
            first -= kernel.unrolled;
            self.more_passes += 1;
        }
        self.skipped_code = (kernel.unrolled - first) * kernel.pair_code;
    }
}

/// Where a kernel finds things in its [`Frame`].
pub(super) struct Offset;

impl Offset {
    pub(super) const WEIGHTS: usize = offset_of!(Frame, weights);
    pub(super) const INPUT: usize = offset_of!(Frame, input);
    pub(super) const COLUMN_BYTES: usize = offset_of!(Frame, column_bytes);
    pub(super) const REWIND_BYTES: usize = offset_of!(Frame, rewind_bytes);
    pub(super) const OUT: usize = offset_of!(Frame, out);
    pub(super) const OUT_BYTES: usize = offset_of!(Frame, out_bytes);
    pub(super) const GROUP_OUT: usize = offset_of!(Frame, group_out);
    pub(super) const GROUP_END: usize = offset_of!(Frame, group_end);
    pub(super) const BIAS: usize = offset_of!(Frame, bias);
    pub(super) const GROUPS: usize = offset_of!(Frame, groups);
    pub(super) const OVERLAPS: usize = offset_of!(Frame, overlaps);
    pub(super) const GROUP_BYTES: usize = offset_of!(Frame, group_bytes);
    pub(super) const STORE: usize = offset_of!(Frame, store);
    pub(super) const SHIFT: usize = offset_of!(Frame, shift);
    pub(super) const SKIPPED_CODE: usize = offset_of!(Frame, skipped_code);
    pub(super) const MORE_PASSES: usize = offset_of!(Frame, more_passes);
    pub(super) const ROWS: usize = offset_of!(Frame, rows);
    pub(super) const AFTER_ROW: usize = offset_of!(Frame, after_row);
}

/// A convolution kernel. Registers:
///
/// | | |
/// | --- | --- |
/// | r0 to r7 | sums: first filter, first and second column; second filter ... |
/// | r8, r9 | next weights; next element of the first column's window |
/// | r10, r11 | elements of the first and of the second column |
/// | r12, lr | weights |
///
/// On the stack: 0 `column_bytes`, 4 next step, 8 frame, 12 code of a row, 16 code of its first pass,
/// 20 passes left in the row, 24 passes of a row after the first two. Carry is set while another pass
/// over a row follows.
///
/// `bias` doubles the biases at r10 into the frame, `start` prepares a block, `pair` multiplies one
/// pair of elements (its code is always as long), `store` writes the saturated sums to r10 and lr.
macro_rules! conv_kernel {
    (
        $name:ident, sums: $sums:literal, unrolled: $unrolled:expr,
        bias: [$($bias:literal),*],
        start: [$($start:literal),*],
        pair: [$($pair:expr),*],
        store: [$($store:literal),*],
    ) => {
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name(_frame: &mut super::conv::Frame) {
            core::arch::naked_asm!(
                processor!(),
                "push {{r4-r11, lr}}",
                "sub sp, #28",
                "str r0, [sp, #8]",
                "mov r8, r0",
                "ldr r0, [r8, #{column_bytes}]",
                "str r0, [sp]",
                // The code of a row: its first pass, or what prepares further passes.
                "adr.w r1, 20f",
                "adds r1, #1",
                "ldr r0, [r8, #{skipped_code}]",
                "add r1, r0",
                "str r1, [sp, #16]",
                "ldr r0, [r8, #{more_passes}]",
                "subs r0, #1",
                "blo 10f",
                "str r0, [sp, #24]",
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
                // The next group of filters.
                "13:",
                "ldr r10, [r8, #{bias}]",
                $($bias,)*
                "ldr r9, [r8, #{input}]",
                "ldr r10, [r8, #{group_out}]",
                "str r10, [r8, #{out}]",
                "cmn r8, #0",
                // The next block of two columns.
                "14:",
                "add r10, r8, #{after_row}",
                "str r10, [sp, #4]",
                "ldm r8, {{r0-r8}}",
                $($start,)*
                "ldr pc, [sp, #12]",
                // Another pass over pairs of a row.
                ".p2align 2",
                "nop",
                "19:",
                "ldr r10, [sp, #20]",
                "subs r10, #1",
                "str r10, [sp, #20]",
                ".p2align 2",
                "20:",
                ".rept {unrolled}",
                $($pair,)*
                ".endr",
                "bcs 19b",
                "ldr r10, [sp, #4]",
                "ldm r10!, {{r11, r12}}",
                "str r10, [sp, #4]",
                "add r9, r11",
                "bx r12",
                // A row of more than one pass.
                ".p2align 2",
                "30:",
                "ldr r10, [sp, #24]",
                "str r10, [sp, #20]",
                "cmp r10, r10",
                "ldr pc, [sp, #16]",
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
                "ldr r12, [r8, #{group_end}]",
                "ldr lr, [r8, #{rewind_bytes}]",
                "add r9, lr",
                "add lr, r10, r11",
                $($store,)*
                "add r10, lr, r11",
                "str r10, [r8, #{out}]",
                "cmp r10, r12",
                "blo 14b",
                "bhi 15f",
                "ldr r0, [r8, #{overlaps}]",
                "cbz r0, 15f",
                "ldr r0, [sp]",
                "sub r9, r0",
                "sub r10, r11",
                "str r10, [r8, #{out}]",
                "cmn r8, #0",
                "b 14b",
                "15:",
                "ldr r0, [r8, #{groups}]",
                "subs r0, #1",
                "beq 16f",
                "str r0, [r8, #{groups}]",
                "ldr r0, [r8, #{group_bytes}]",
                "ldr r1, [r8, #{weights}]",
                "add r1, r0",
                "str r1, [r8, #{weights}]",
                "ldr r0, [r8, #{bias}]",
                "adds r0, #16",
                "str r0, [r8, #{bias}]",
                "ldr r0, [r8, #{group_out}]",
                "adds r0, #8",
                "str r0, [r8, #{group_out}]",
                "add r12, #8",
                "str r12, [r8, #{group_end}]",
                "b 13b",
                "16:",
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
                unrolled = const $unrolled,
                weights = const super::conv::Offset::WEIGHTS,
                input = const super::conv::Offset::INPUT,
                column_bytes = const super::conv::Offset::COLUMN_BYTES,
                rewind_bytes = const super::conv::Offset::REWIND_BYTES,
                out = const super::conv::Offset::OUT,
                out_bytes = const super::conv::Offset::OUT_BYTES,
                group_out = const super::conv::Offset::GROUP_OUT,
                group_end = const super::conv::Offset::GROUP_END,
                bias = const super::conv::Offset::BIAS,
                groups = const super::conv::Offset::GROUPS,
                overlaps = const super::conv::Offset::OVERLAPS,
                group_bytes = const super::conv::Offset::GROUP_BYTES,
                store = const super::conv::Offset::STORE,
                shift = const super::conv::Offset::SHIFT,
                skipped_code = const super::conv::Offset::SKIPPED_CODE,
                more_passes = const super::conv::Offset::MORE_PASSES,
                rows = const super::conv::Offset::ROWS,
                after_row = const super::conv::Offset::AFTER_ROW,
            )
        }
    };
}
