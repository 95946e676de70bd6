//! One instruction set, chosen at run time: the only unsafe code of the backend.
#![allow(unsafe_code)]

/// Channels per block of accumulators.
pub(super) const OUT: usize = 6;

/// A computation over vectors.
///
/// Its body and everything it calls must be `#[inline(always)]`, so that it is compiled once for
/// each instruction set. [`OUT`] by `PX` is the block of accumulators that fits the registers: so
/// many broadcast weights, so many vectors (1 to 4).
pub(super) trait Kernel {
    /// Runs it.
    fn run<const PX: usize>(self);
}

/// An instruction set that this machine has.
///
/// All give the same bits: the lanes never mix in a sum but by a fixed tree, the order of every
/// sum is that of its terms, and every multiply-add is fused. (x86-64 machines without AVX2 and
/// FMA fuse in software, which is correct and slow.)
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InstructionSet(Kind);

/// Private, so that only detection makes an [`InstructionSet`] of x86 features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

impl InstructionSet {
    /// The fastest one of this machine.
    pub(super) fn detect() -> Self {
        Self::all()[0]
    }

    /// All of this machine, fastest first.
    pub(super) fn all() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            if std::arch::is_x86_feature_detected!("avx512f") {
                all.push(Self(Kind::Avx512));
            }
            if std::arch::is_x86_feature_detected!("avx2")
                && std::arch::is_x86_feature_detected!("fma")
            {
                all.push(Self(Kind::Avx2));
            }
        }
        all.push(Self(Kind::Portable));
        all
    }

    /// Its name in tables.
    pub(super) fn name(self) -> &'static str {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            Kind::Portable => "portable",
        }
    }

    /// Runs `kernel` compiled for this instruction set.
    pub(super) fn run(self, kernel: impl Kernel) {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `all` makes this kind only where the processor has AVX-512F.
            Kind::Avx512 => unsafe { run_avx512(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `all` makes this kind only where the processor has AVX2 and FMA.
            Kind::Avx2 => unsafe { run_avx2(kernel) },
            Kind::Portable => kernel.run::<1>(),
        }
    }
}

// The blocks below were measured; larger ones spill, or LLVM no longer finds the vectors.

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn run_avx512(kernel: impl Kernel) {
    kernel.run::<4>();
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2(kernel: impl Kernel) {
    kernel.run::<1>();
}
