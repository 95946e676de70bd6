//! The dense kernels but for their multiplications.

/// Times that the code for two pairs stands one after the other.
pub(super) const UNROLLED: usize = if cfg!(feature = "fast") { 8 } else { 1 };

/// A dense kernel: adds a row of pairs to the sums of a group. r0 and r1 are the next weights and
/// input elements, r2 the pairs that are left, r4 to r7 the sums.
///
/// `load` and `store` move the sums from and to r3. A kernel for one filter finds the distance of its
/// pairs of weights at `[sp, #40]`; for others it is that of the group.
macro_rules! dense_kernel {
    (
        $name:ident, load: [$($load:literal),*], store: $store:literal,
        two_pairs: [$($two:literal),*],
        pair: [$($one:literal),*],
    ) => {
        #[unsafe(naked)]
        pub(super) unsafe extern "C" fn $name(
            _weights: *const i16,
            _input: *const i16,
            _pairs: usize,
            _sums: *mut i32,
            _weight_bytes: usize,
        ) {
            core::arch::naked_asm!(
                processor!(),
                "push {{r3-r11, lr}}",
                $($load,)*
                "subs r2, #(2 * {unrolled})",
                "blo 11f",
                "10:",
                ".rept {unrolled}",
                $($two,)*
                ".endr",
                "subs r2, #(2 * {unrolled})",
                "bhs 10b",
                "11:",
                "adds r2, #(2 * {unrolled})",
                "beq 13f",
                "12:",
                $($one,)*
                "subs r2, #1",
                "bne 12b",
                "13:",
                "pop {{r3}}",
                $store,
                "pop {{r4-r11, pc}}",
                unrolled = const super::dense::UNROLLED,
            )
        }
    };
}
