//! The multiplications with the DSP extension: `SMLAD` adds two products at once.

use super::conv::ConvKernel;

/// Pairs whose code stands one after the other in the kernel for whole groups.
const UNROLLED: usize = if cfg!(feature = "fast") { 24 } else { 6 };

/// The kernel for some filters of a group.
pub(super) const fn conv_kernel(filters: usize) -> ConvKernel {
    match filters {
        1 => ConvKernel {
            run: conv1,
            unrolled: 4,
            pair_code: if cfg!(feature = "fast") { 20 } else { 22 },
        },
        #[cfg(feature = "fast")]
        2 => ConvKernel {
            run: conv2,
            unrolled: 4,
            pair_code: 32,
        },
        #[cfg(feature = "fast")]
        3 => ConvKernel {
            run: conv3,
            unrolled: 4,
            pair_code: 44,
        },
        _ => ConvKernel {
            run: conv4,
            unrolled: UNROLLED,
            pair_code: 60,
        },
    }
}

/// A pair of weights, and the way to the next one: 4 bytes where other kernels take two or three filters.
#[cfg(feature = "fast")]
macro_rules! weights_of_one {
    () => {
        "ldr r12, [r8], #4"
    };
}
#[cfg(not(feature = "fast"))]
macro_rules! weights_of_one {
    () => {
        "ldr r12, [r8]\nadd r8, r7"
    };
}

conv_kernel! {
    conv1, sums: "r0, r1", unrolled: 4,
    bias: [
        "ldr r0, [r10]",
        "mov r1, r0",
        "stm r8, {{r0, r1}}"
    ],
    start: ["ldr r6, [sp]"],
    pair: [
        "ldr r11, [r9, r6]",
        "ldr r10, [r9], #4",
        weights_of_one!(),
        "smlad r0, r10, r12, r0",
        "smlad r1, r11, r12, r1"
    ],
    store: [
        "strh r0, [r10]",
        "strh r1, [lr]"
    ],
}

#[cfg(feature = "fast")]
conv_kernel! {
    conv2, sums: "r0, r1, r2, r3", unrolled: 4,
    bias: [
        "ldm r10, {{r0, r1}}",
        "mov r3, r1",
        "mov r2, r1",
        "mov r1, r0",
        "stm r8, {{r0-r3}}"
    ],
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

#[cfg(feature = "fast")]
conv_kernel! {
    conv3, sums: "r0, r1, r2, r3, r4, r5", unrolled: 4,
    bias: [
        "ldm r10, {{r0-r2}}",
        "mov r5, r2",
        "mov r4, r2",
        "mov r3, r1",
        "mov r2, r1",
        "mov r1, r0",
        "stm r8, {{r0-r5}}"
    ],
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
    conv4, sums: "r0, r1, r2, r3, r4, r5, r6, r7", unrolled: UNROLLED,
    bias: [
        "ldm r10, {{r0-r3}}",
        "mov r7, r3",
        "mov r6, r3",
        "mov r5, r2",
        "mov r4, r2",
        "mov r3, r1",
        "mov r2, r1",
        "mov r1, r0",
        "stm r8, {{r0-r7}}"
    ],
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

dense_kernel! {
    dense1, load: ["ldr r4, [r3]", "ldr r11, [sp, #40]"], store: "str r4, [r3]",
    two_pairs: [
        "ldr r3, [r1, #4]",
        "ldr r8, [r1], #8",
        "ldr r9, [r0, r11]",
        "ldr r10, [r0]",
        "add r0, r0, r11, lsl #1",
        "smlad r4, r3, r9, r4",
        "smlad r4, r8, r10, r4"
    ],
    pair: [
        "ldr r8, [r1], #4",
        "ldr r9, [r0]",
        "add r0, r11",
        "smlad r4, r8, r9, r4"
    ],
}

#[cfg(feature = "fast")]
dense_kernel! {
    dense2, load: ["ldm r3, {{r4, r5}}"], store: "stm r3, {{r4, r5}}",
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

#[cfg(feature = "fast")]
dense_kernel! {
    dense3, load: ["ldm r3, {{r4-r6}}"], store: "stm r3, {{r4-r6}}",
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
    dense4, load: ["ldm r3, {{r4-r7}}"], store: "stm r3, {{r4-r7}}",
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
