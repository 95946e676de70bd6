//! Max pooling with the DSP extension: `SSUB16` compares two pairs of elements, `SEL` picks the
//! greater ones.

use core::arch::naked_asm;
use core::mem::offset_of;
use core::ops::Range;

use crate::ops::pool::{self, Columns, Seen};

/// Elements of a pixel that a kernel call covers, at most and at a time.
const MAX_ELEMENTS: usize = 16;
const UNIT: usize = 4;

/// What a kernel call covers: some elements of a pixel, in two columns of every window.
#[repr(C)]
struct Part {
    /// From the first column's element to the second's.
    second_bytes: usize,
    /// From the end of the elements to those of the next window, and of the next output.
    input_bytes: usize,
    out_bytes: usize,
    out_end: *const i16,
    /// Units of elements that are not covered.
    skipped_units: usize,
}

/// As [`pool::max_row`], of one image.
pub(crate) fn max_row(columns: Columns, row: &[[i16; 1]], seen: Seen, out: &mut [[i16; 1]]) {
    let Columns {
        channels,
        outputs: all,
        ..
    } = columns;
    let whole = whole_windows(columns, all);
    let fits = row.len() >= columns.width * channels && out.len() >= all * channels;
    if whole.is_empty() || channels < UNIT || !fits {
        return pool::max_row(columns, row, seen, out);
    }
    for edge in [0..whole.start, whole.end..all] {
        if !edge.is_empty() {
            pool::max_windows(columns, row, seen, out, edge);
        }
    }
    let stride = usize::from(columns.window.stride_w);
    let width = usize::from(columns.window.kernel_w);
    let first_column = whole.start * stride - usize::from(columns.window.pad_left);
    let input = row
        .as_flattened()
        .as_ptr()
        .wrapping_add(first_column * channels);
    let out = out.as_flattened_mut().as_mut_ptr();
    let out_end = out.wrapping_add(whole.end * channels);
    let out = out.wrapping_add(whole.start * channels);
    for first in (0..width).step_by(2) {
        let run = match (first, seen) {
            (0, Seen::Nothing) => max_of_two,
            _ => max_of_three,
        };
        let mut element = 0;
        while element < channels {
            let (start, covered) = match channels - element {
                MAX_ELEMENTS.. => (element, MAX_ELEMENTS),
                left @ UNIT.. => (element, left / UNIT * UNIT),
                // Some are covered twice.
                _ => (channels - UNIT, UNIT),
            };
            let part = Part {
                second_bytes: if first + 1 < width { channels * 2 } else { 0 },
                input_bytes: (stride * channels).wrapping_sub(covered).wrapping_mul(2),
                out_bytes: (channels - covered) * 2,
                out_end,
                skipped_units: (MAX_ELEMENTS - covered) / UNIT,
            };
            let input = input.wrapping_add(first * channels + start);
            // SAFETY: the windows of `whole` lie in `row`, which has all columns of the map, and
            // their outputs in `out`.
            unsafe { run(input, out.wrapping_add(start), &part) };
            element = start + covered;
        }
    }
}

/// Of the output columns, those whose windows lie inside the map.
fn whole_windows(columns: Columns, all: usize) -> Range<usize> {
    let stride = usize::from(columns.window.stride_w).max(1);
    let pad = usize::from(columns.window.pad_left);
    // Most often all of them, and divisions take long.
    let end = all.saturating_sub(1) * stride + usize::from(columns.window.kernel_w);
    if pad == 0 && end <= columns.width {
        return 0..all;
    }
    let last_start = (columns.width + pad).checked_sub(columns.window.kernel_w.into());
    let end = last_start.map_or(0, |start| start / stride + 1).min(all);
    pad.div_ceil(stride).min(end)..end
}

/// A pooling kernel. r0 and r1 are the next input and output, r2 `second_bytes`, r3 `input_bytes`,
/// r10 `out_bytes`, r11 `out_end`, lr the code of a pixel; r4 to r9 hold elements.
macro_rules! max_kernel {
    ($name:ident, unit_code: $unit_code:literal, load: [$($load:literal),*], raise: [$($raise:literal),*],) => {
        #[unsafe(naked)]
        unsafe extern "C" fn $name(_input: *const i16, _out: *mut i16, _part: &Part) {
            naked_asm!(
                processor!(),
                "push {{r4-r11, lr}}",
                "mov r12, r2",
                "ldr r2, [r12, #{second_bytes}]",
                "ldr r3, [r12, #{input_bytes}]",
                "ldr r10, [r12, #{out_bytes}]",
                "ldr r11, [r12, #{out_end}]",
                "ldr r12, [r12, #{skipped_units}]",
                concat!("mov r4, #", $unit_code),
                "adr.w lr, 20f",
                "mla lr, r12, r4, lr",
                "orr lr, #1",
                "bx lr",
                ".p2align 2",
                "20:",
                ".rept {units}",
                "ldr.w r5, [r0, r2]",
                "ldr.w r4, [r0], #4",
                "ldr.w r7, [r0, r2]",
                "ldr.w r6, [r0], #4",
                $($load,)*
                "ssub16 r12, r4, r5",
                "sel r4, r4, r5",
                "ssub16 r12, r6, r7",
                "sel r6, r6, r7",
                $($raise,)*
                "str.w r4, [r1], #4",
                "str.w r6, [r1], #4",
                ".endr",
                "add r0, r3",
                "add r1, r10",
                "cmp r1, r11",
                "it lo",
                "bxlo lr",
                "pop {{r4-r11, pc}}",
                second_bytes = const offset_of!(Part, second_bytes),
                input_bytes = const offset_of!(Part, input_bytes),
                out_bytes = const offset_of!(Part, out_bytes),
                out_end = const offset_of!(Part, out_end),
                skipped_units = const offset_of!(Part, skipped_units),
                units = const MAX_ELEMENTS / UNIT,
            )
        }
    };
}

max_kernel! {
    max_of_two, unit_code: 40,
    load: [],
    raise: [],
}

max_kernel! {
    max_of_three, unit_code: 64,
    load: ["ldr.w r8, [r1]", "ldr.w r9, [r1, #4]"],
    raise: [
        "ssub16 r12, r4, r8",
        "sel r4, r4, r8",
        "ssub16 r12, r6, r9",
        "sel r6, r6, r9"
    ],
}
