//! Weights of 8 bits with the DSP extension: `SXTB16` makes a pair of 16 bits of every other byte of a
//! word, which is why weights of two filters alternate ([`crate::blob::Packing`]).

use core::arch::naked_asm;

use crate::blob::GROUP;
use crate::q8_8::Product;
use crate::weights8;

/// Expands 8-bit weights of a group, each pair into a word, as [`weights8::expand_group`] does.
pub(crate) fn expand_group(weights: &[i8], exponents: [u8; GROUP], memory: &mut [i32]) {
    let runs = weights.as_chunks::<{ 2 * GROUP }>().0;
    let words = memory.as_chunks_mut::<GROUP>().0;
    let count = runs.len().min(words.len());
    if count > 0 {
        let keys = exponents.map(key);
        // SAFETY: both slices have `count` runs.
        unsafe { expand(runs.as_ptr(), words.as_mut_ptr(), count, &keys) };
    }
}

/// Adds a `row` of a dense layer's input to the sums of a group, as [`weights8::add_dense`] does.
pub(crate) fn add_dense(
    kind: Product,
    filters: (&[i8], &[u8]),
    row: &[[i16; 1]],
    sums: &mut [[i32; 1]],
) {
    match (sums, filters) {
        (sums @ [_, _, _, _], filters) if !kind.is_rounded() => {
            add_members::<4, 8>(filters, row, sums);
        }
        (sums @ [_, _], filters) if !kind.is_rounded() => add_members::<2, 4>(filters, row, sums),
        (sums, filters) => weights8::add_dense(kind, filters, row, sums),
    }
}

/// Adds a row to the sums of `MEMBERS` filters, whose pairs are `RUN` weights.
fn add_members<const MEMBERS: usize, const RUN: usize>(
    (weights, exponents): (&[i8], &[u8]),
    row: &[[i16; 1]],
    sums: &mut [[i32; 1]],
) {
    const { assert!(RUN == 2 * MEMBERS) };
    let runs = weights.as_chunks::<RUN>().0;
    let pairs = row.as_chunks::<2>().0;
    let count = runs.len().min(pairs.len());
    let mut products = [0; MEMBERS];
    if count > 0 {
        // SAFETY: both slices have `count` elements, and there are as many sums as filters.
        unsafe { multiply::<MEMBERS>(weights.as_ptr(), pairs.as_ptr(), count, &mut products) };
    }
    weights8::add_shifted(sums, products.map(|product| [product]), exponents);
}

/// An exponent e, and above it a mask of the e bits of the upper half into which the sign of the lower
/// half is shifted. As the amount of a shift, only the lowest byte counts; as a mask, it clears bits of
/// the lower half that are below e, and 0 after the shift.
const fn key(exponent: u8) -> u32 {
    let exponent = (exponent & 15) as u32;
    ((1 << exponent) - 1) << 16 | exponent
}

/// Registers: r0 and r1 are the next weights and words, r2 the runs that are left, r4 to r7 the keys.
#[unsafe(naked)]
unsafe extern "C" fn expand(
    _runs: *const [i8; 2 * GROUP],
    _words: *mut [i32; GROUP],
    _count: usize,
    _keys: &[u32; GROUP],
) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "ldm r3, {{r4-r7}}",
        "lsrs r2, #1",
        "it cc",
        "subcc r2, #1",
        "bcs 11f",
        "10:",
        ".irp copy, 0, 1",
        ".if \\copy",
        "11:",
        ".endif",
        "ldr r11, [r0, #4]",
        "ldr r9, [r0], #8",
        "sxtb16 r8, r9",
        "sxtb16 r9, r9, ror #8",
        "sxtb16 r10, r11",
        "sxtb16 r11, r11, ror #8",
        "lsl r8, r4",
        "lsl r9, r5",
        "lsl r10, r6",
        "lsl r11, r7",
        "bic r8, r4",
        "bic r9, r5",
        "bic r10, r6",
        "bic r11, r7",
        "stm r1!, {{r8-r11}}",
        ".endr",
        "subs r2, #1",
        "bpl 10b",
        "pop {{r4-r11, pc}}",
    )
}

/// The sums of products of 2 or 4 filters. Registers: r0 and r1 are the next weights and input elements,
/// r2 the pairs that are left, r4 to r7 the sums.
#[unsafe(naked)]
unsafe extern "C" fn multiply<const MEMBERS: usize>(
    _weights: *const i8,
    _pairs: *const [[i16; 1]; 2],
    _count: usize,
    _products: &mut [i32; MEMBERS],
) {
    naked_asm!(
        processor!(),
        "push {{r4-r11, lr}}",
        "movs r4, #0",
        "movs r5, #0",
        "movs r6, #0",
        "movs r7, #0",
        "lsrs r2, #1",
        "it cc",
        "subcc r2, #1",
        "bcs 11f",
        "10:",
        ".irp copy, 0, 1",
        ".if \\copy",
        "11:",
        ".endif",
        "ldr r8, [r1], #4",
        ".if {members} == 4",
        "ldr r9, [r0, #4]",
        ".endif",
        "ldr r10, [r0], #(2 * {members})",
        "sxtb16 r11, r10",
        "sxtb16 r10, r10, ror #8",
        ".if {members} == 4",
        "sxtb16 r12, r9",
        "sxtb16 r9, r9, ror #8",
        "smlad r6, r8, r12, r6",
        "smlad r7, r8, r9, r7",
        ".endif",
        "smlad r4, r8, r11, r4",
        "smlad r5, r8, r10, r5",
        ".endr",
        "subs r2, #1",
        "bpl 10b",
        ".if {members} == 4",
        "stm r3, {{r4-r7}}",
        ".else",
        "stm r3, {{r4, r5}}",
        ".endif",
        "pop {{r4-r11, pc}}",
        members = const MEMBERS,
    )
}
