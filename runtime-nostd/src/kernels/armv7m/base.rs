//! The multiplications of Armv7-M itself: `MLA` adds one product.

use super::conv::ConvKernel;

/// Pairs whose code stands one after the other in the kernel for whole groups.
const UNROLLED: usize = 6;

/// The kernel for some filters of a group.
pub(super) const fn conv_kernel(filters: usize) -> ConvKernel {
    match filters {
        1 => ConvKernel {
            run: conv1,
            unrolled: 4,
            pair_code: 42,
        },
        #[cfg(feature = "fast")]
        2 => ConvKernel {
            run: conv2,
            unrolled: 4,
            pair_code: 64,
        },
        #[cfg(feature = "fast")]
        3 => ConvKernel {
            run: conv3,
            unrolled: 4,
            pair_code: 88,
        },
        _ => ConvKernel {
            run: conv4,
            unrolled: UNROLLED,
            pair_code: 120,
        },
    }
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
        "ldrsh r11, [r9, r6]",
        "ldrsh r10, [r9], #2",
        "ldrsh r12, [r8]",
        "mla r0, r10, r12, r0",
        "mla r1, r11, r12, r1",
        "ldrsh r11, [r9, r6]",
        "ldrsh r10, [r9], #2",
        "ldrsh r12, [r8, #2]",
        "add r8, r7",
        "mla r0, r10, r12, r0",
        "mla r1, r11, r12, r1"
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
        "ldrsh r11, [r9, r6]",
        "ldrsh r10, [r9], #2",
        "ldrsh lr, [r8, #4]",
        "ldrsh r12, [r8], #8",
        "mla r2, r10, lr, r2",
        "mla r3, r11, lr, r3",
        "mla r0, r10, r12, r0",
        "mla r1, r11, r12, r1",
        "ldrsh r11, [r9, r6]",
        "ldrsh r10, [r9], #2",
        "ldrsh lr, [r8, #-2]",
        "ldrsh r12, [r8, #-6]",
        "mla r2, r10, lr, r2",
        "mla r3, r11, lr, r3",
        "mla r0, r10, r12, r0",
        "mla r1, r11, r12, r1"
    ],
    store: [
        "strh r0, [r10]",
        "strh r2, [r10, #2]",
        "strh r1, [lr]",
        "strh r3, [lr, #2]"
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
        "ldrsh r11, [r9, r6]",
        "ldrsh r10, [r9], #2",
        "ldrsh r12, [r8, #4]",
        "ldrsh lr, [r8, #8]",
        "ldrsh r7, [r8], #12",
        "mla r2, r10, r12, r2",
        "mla r3, r11, r12, r3",
        "mla r4, r10, lr, r4",
        "mla r5, r11, lr, r5",
        "mla r0, r10, r7, r0",
        "mla r1, r11, r7, r1",
        "ldrsh r11, [r9, r6]",
        "ldrsh r10, [r9], #2",
        "ldrsh r12, [r8, #-6]",
        "ldrsh lr, [r8, #-2]",
        "ldrsh r7, [r8, #-10]",
        "mla r2, r10, r12, r2",
        "mla r3, r11, r12, r3",
        "mla r4, r10, lr, r4",
        "mla r5, r11, lr, r5",
        "mla r0, r10, r7, r0",
        "mla r1, r11, r7, r1"
    ],
    store: [
        "strh r0, [r10]",
        "strh r2, [r10, #2]",
        "strh r4, [r10, #4]",
        "strh r1, [lr]",
        "strh r3, [lr, #2]",
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
        "ldrsh r12, [r8, #8]",
        "ldrsh r11, [r9, r11]",
        "ldrsh r10, [r9], #2",
        "ldrsh lr, [r8, #12]",
        "mla r4, r10, r12, r4",
        "mla r5, r11, r12, r5",
        "mla r6, r10, lr, r6",
        "mla r7, r11, lr, r7",
        "ldrsh lr, [r8, #4]",
        "ldrsh r12, [r8], #16",
        "mla r2, r10, lr, r2",
        "mla r3, r11, lr, r3",
        "mla r0, r10, r12, r0",
        "mla r1, r11, r12, r1",
        "ldr r11, [sp]",
        "ldrsh r12, [r8, #-6]",
        "ldrsh r11, [r9, r11]",
        "ldrsh r10, [r9], #2",
        "ldrsh lr, [r8, #-2]",
        "mla r4, r10, r12, r4",
        "mla r5, r11, r12, r5",
        "mla r6, r10, lr, r6",
        "mla r7, r11, lr, r7",
        "ldrsh lr, [r8, #-10]",
        "ldrsh r12, [r8, #-14]",
        "mla r2, r10, lr, r2",
        "mla r3, r11, lr, r3",
        "mla r0, r10, r12, r0",
        "mla r1, r11, r12, r1"
    ],
    store: [
        "strh r0, [r10]",
        "strh r2, [r10, #2]",
        "strh r4, [r10, #4]",
        "strh r6, [r10, #6]",
        "strh r1, [lr]",
        "strh r3, [lr, #2]",
        "strh r5, [lr, #4]",
        "strh r7, [lr, #6]"
    ],
}

dense_kernel! {
    dense1, load: ["ldr r4, [r3]", "ldr r11, [sp, #40]"], store: "str r4, [r3]",
    two_pairs: [
        "ldrsh r3, [r1, #2]",
        "ldrsh r8, [r1], #4",
        "ldrsh r9, [r0, #2]",
        "ldrsh r10, [r0]",
        "add r0, r11",
        "mla r4, r3, r9, r4",
        "mla r4, r8, r10, r4",
        "ldrsh r3, [r1, #2]",
        "ldrsh r8, [r1], #4",
        "ldrsh r9, [r0, #2]",
        "ldrsh r10, [r0]",
        "add r0, r11",
        "mla r4, r3, r9, r4",
        "mla r4, r8, r10, r4"
    ],
    pair: [
        "ldrsh r3, [r1, #2]",
        "ldrsh r8, [r1], #4",
        "ldrsh r9, [r0, #2]",
        "ldrsh r10, [r0]",
        "add r0, r11",
        "mla r4, r3, r9, r4",
        "mla r4, r8, r10, r4"
    ],
}

#[cfg(feature = "fast")]
dense_kernel! {
    dense2, load: ["ldm r3, {{r4, r5}}"], store: "stm r3, {{r4, r5}}",
    two_pairs: [
        "ldrsh r3, [r1, #2]",
        "ldrsh r8, [r1], #4",
        "ldrsh r9, [r0, #2]",
        "ldrsh r10, [r0, #4]",
        "ldrsh r11, [r0, #6]",
        "ldrsh r12, [r0], #8",
        "mla r4, r3, r9, r4",
        "mla r5, r8, r10, r5",
        "mla r5, r3, r11, r5",
        "mla r4, r8, r12, r4",
        "ldrsh r3, [r1, #2]",
        "ldrsh r8, [r1], #4",
        "ldrsh r9, [r0, #2]",
        "ldrsh r10, [r0, #4]",
        "ldrsh r11, [r0, #6]",
        "ldrsh r12, [r0], #8",
        "mla r4, r3, r9, r4",
        "mla r5, r8, r10, r5",
        "mla r5, r3, r11, r5",
        "mla r4, r8, r12, r4"
    ],
    pair: [
        "ldrsh r3, [r1, #2]",
        "ldrsh r8, [r1], #4",
        "ldrsh r9, [r0, #2]",
        "ldrsh r10, [r0, #4]",
        "ldrsh r11, [r0, #6]",
        "ldrsh r12, [r0], #8",
        "mla r4, r3, r9, r4",
        "mla r5, r8, r10, r5",
        "mla r5, r3, r11, r5",
        "mla r4, r8, r12, r4"
    ],
}

#[cfg(feature = "fast")]
dense_kernel! {
    dense3, load: ["ldm r3, {{r4-r6}}"], store: "stm r3, {{r4-r6}}",
    two_pairs: [
        "ldrsh r3, [r1, #2]",
        "ldrsh r8, [r1], #4",
        "ldrsh r9, [r0, #2]",
        "ldrsh r10, [r0, #4]",
        "ldrsh r11, [r0, #6]",
        "ldrsh r12, [r0, #8]",
        "ldrsh lr, [r0, #10]",
        "ldrsh r7, [r0], #12",
        "mla r4, r3, r9, r4",
        "mla r5, r8, r10, r5",
        "mla r5, r3, r11, r5",
        "mla r6, r8, r12, r6",
        "mla r6, r3, lr, r6",
        "mla r4, r8, r7, r4",
        "ldrsh r3, [r1, #2]",
        "ldrsh r8, [r1], #4",
        "ldrsh r9, [r0, #2]",
        "ldrsh r10, [r0, #4]",
        "ldrsh r11, [r0, #6]",
        "ldrsh r12, [r0, #8]",
        "ldrsh lr, [r0, #10]",
        "ldrsh r7, [r0], #12",
        "mla r4, r3, r9, r4",
        "mla r5, r8, r10, r5",
        "mla r5, r3, r11, r5",
        "mla r6, r8, r12, r6",
        "mla r6, r3, lr, r6",
        "mla r4, r8, r7, r4"
    ],
    pair: [
        "ldrsh r3, [r1, #2]",
        "ldrsh r8, [r1], #4",
        "ldrsh r9, [r0, #2]",
        "ldrsh r10, [r0, #4]",
        "ldrsh r11, [r0, #6]",
        "ldrsh r12, [r0, #8]",
        "ldrsh lr, [r0, #10]",
        "ldrsh r7, [r0], #12",
        "mla r4, r3, r9, r4",
        "mla r5, r8, r10, r5",
        "mla r5, r3, r11, r5",
        "mla r6, r8, r12, r6",
        "mla r6, r3, lr, r6",
        "mla r4, r8, r7, r4"
    ],
}

dense_kernel! {
    dense4, load: ["ldm r3, {{r4-r7}}"], store: "stm r3, {{r4-r7}}",
    two_pairs: [
        "ldrsh r3, [r1, #2]",
        "ldrsh r8, [r1], #4",
        "ldrsh r9, [r0, #2]",
        "ldrsh r10, [r0, #4]",
        "ldrsh r11, [r0, #6]",
        "ldrsh r12, [r0, #8]",
        "ldrsh lr, [r0, #10]",
        "mla r4, r3, r9, r4",
        "mla r5, r8, r10, r5",
        "mla r5, r3, r11, r5",
        "mla r6, r8, r12, r6",
        "mla r6, r3, lr, r6",
        "ldrsh r9, [r0, #12]",
        "ldrsh r10, [r0, #14]",
        "ldrsh r11, [r0], #16",
        "mla r7, r8, r9, r7",
        "mla r7, r3, r10, r7",
        "mla r4, r8, r11, r4",
        "ldrsh r3, [r1, #2]",
        "ldrsh r8, [r1], #4",
        "ldrsh r9, [r0, #2]",
        "ldrsh r10, [r0, #4]",
        "ldrsh r11, [r0, #6]",
        "ldrsh r12, [r0, #8]",
        "ldrsh lr, [r0, #10]",
        "mla r4, r3, r9, r4",
        "mla r5, r8, r10, r5",
        "mla r5, r3, r11, r5",
        "mla r6, r8, r12, r6",
        "mla r6, r3, lr, r6",
        "ldrsh r9, [r0, #12]",
        "ldrsh r10, [r0, #14]",
        "ldrsh r11, [r0], #16",
        "mla r7, r8, r9, r7",
        "mla r7, r3, r10, r7",
        "mla r4, r8, r11, r4"
    ],
    pair: [
        "ldrsh r3, [r1, #2]",
        "ldrsh r8, [r1], #4",
        "ldrsh r9, [r0, #2]",
        "ldrsh r10, [r0, #4]",
        "ldrsh r11, [r0, #6]",
        "ldrsh r12, [r0, #8]",
        "ldrsh lr, [r0, #10]",
        "mla r4, r3, r9, r4",
        "mla r5, r8, r10, r5",
        "mla r5, r3, r11, r5",
        "mla r6, r8, r12, r6",
        "mla r6, r3, lr, r6",
        "ldrsh r9, [r0, #12]",
        "ldrsh r10, [r0, #14]",
        "ldrsh r11, [r0], #16",
        "mla r7, r8, r9, r7",
        "mla r7, r3, r10, r7",
        "mla r4, r8, r11, r4"
    ],
}
