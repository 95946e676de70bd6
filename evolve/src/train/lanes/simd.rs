//! One instruction set, chosen at run time, and its registers: the only unsafe code of the backend.
//!
//! Plain loops over `[f32; 16]` were tried first: LLVM turns many of them into perfect code, and
//! some, unforeseeably, into scalar code at a tenth of the speed. `wide` fixes the instruction set at
//! compile time; `pulp` dispatches at run time, but its vectors are as long as the machine's, where
//! equal bits everywhere need 16 lanes everywhere.
#![allow(unsafe_code)]

use super::vector::{LANES, Vector};

#[cfg(target_arch = "x86_64")]
mod x86;

/// A computation over vectors.
///
/// Its body and everything it calls must be `#[inline(always)]`, so that it is compiled once for
/// each instruction set. [`OUT`] by `PX` is the block of accumulators that fits the registers: so
/// many broadcast weights, so many vectors (1 to 4).
pub(super) trait Kernel {
    /// Runs it.
    fn run<R: Register, const PX: usize>(self);
}

/// Channels per block of accumulators.
pub(super) const OUT: usize = 6;

/// Evaluates a call with the constant that equals `$count`, which is at most `$most` (a constant of
/// at most 6): a block's extent must be known for its sums to stay in registers. Nothing for 0.
macro_rules! with_constant {
    ($count:expr, $most:expr, $N:ident => $call:expr) => {
        match $count {
            1 => {
                const $N: usize = 1;
                $call
            }
            2 if const { $most >= 2 } => {
                const $N: usize = 2;
                $call
            }
            3 if const { $most >= 3 } => {
                const $N: usize = 3;
                $call
            }
            4 if const { $most >= 4 } => {
                const $N: usize = 4;
                $call
            }
            5 if const { $most >= 5 } => {
                const $N: usize = 5;
                $call
            }
            6 if const { $most >= 6 } => {
                const $N: usize = 6;
                $call
            }
            _ => {}
        }
    };
}
pub(super) use with_constant;

/// [`LANES`] values in registers.
///
/// A kernel gets the type from [`InstructionSet::run`] and from nowhere else: that is why these
/// methods are safe.
pub(super) trait Register: Copy {
    /// The same value in all lanes.
    fn splat(value: f32) -> Self;

    /// From memory.
    fn load(vector: &Vector) -> Self;

    /// To memory.
    fn store(self, vector: &mut Vector);

    /// `self + other`.
    fn plus(self, other: Self) -> Self;

    /// `self - other`.
    fn minus(self, other: Self) -> Self;

    /// `self * other`.
    fn times(self, other: Self) -> Self;

    /// `self + a * b`, rounded once.
    fn plus_product(self, a: Self, b: Self) -> Self;

    /// The greater of each lane; `other` where one of them is undefined.
    fn greatest(self, other: Self) -> Self;

    /// `self` where `a > b`, else 0.
    fn where_greater(self, a: Self, b: Self) -> Self;

    /// `self` where `a == b`, else 0.
    fn where_equal(self, a: Self, b: Self) -> Self;

    /// Of each group of `2 * HALF` lanes: the sums of its halves, of `self` first and then of
    /// `other`.
    #[inline(always)]
    fn fold<const HALF: usize>(self, other: Self) -> Self {
        let (mut a, mut b) = (Vector::ZERO, Vector::ZERO);
        self.store(&mut a);
        other.store(&mut b);
        let mut folded = Vector::ZERO;
        for (lane, sum) in folded.0.iter_mut().enumerate() {
            let from = if lane & HALF == 0 { &a } else { &b };
            let low = low_lane(HALF, lane);
            *sum = from.0[low] + from.0[low + HALF];
        }
        Self::load(&folded)
    }
}

/// The first of the two lanes that [`Register::fold`] adds to make `lane`.
const fn low_lane(half: usize, lane: usize) -> usize {
    lane / (2 * half) * (2 * half) + lane % half
}

/// An instruction set that this machine has.
///
/// All give the same bits: lanes never mix in a sum but by a fixed tree, the order of every sum is
/// that of its terms, and every multiply-add is fused. (x86-64 machines without AVX2 and FMA fuse
/// in software, which is correct and slow.)
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
            Kind::Avx512 => unsafe { x86::run_avx512(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `all` makes this kind only where the processor has AVX2 and FMA.
            Kind::Avx2 => unsafe { x86::run_avx2(kernel) },
            Kind::Portable => kernel.run::<Portable, 1>(),
        }
    }
}

/// Any machine: what the compiler makes of it.
#[derive(Clone, Copy)]
struct Portable(Vector);

impl Portable {
    #[inline(always)]
    fn map(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Self(Vector(std::array::from_fn(|lane| {
            f(self.0.0[lane], other.0.0[lane])
        })))
    }

    #[inline(always)]
    fn map3(self, a: Self, b: Self, f: impl Fn(f32, f32, f32) -> f32) -> Self {
        let value = |lane: usize| f(self.0.0[lane], a.0.0[lane], b.0.0[lane]);
        Self(Vector(std::array::from_fn(value)))
    }
}

impl Register for Portable {
    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self(Vector([value; LANES]))
    }

    #[inline(always)]
    fn load(vector: &Vector) -> Self {
        Self(*vector)
    }

    #[inline(always)]
    fn store(self, vector: &mut Vector) {
        *vector = self.0;
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.map(other, |a, b| a + b)
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.map(other, |a, b| a - b)
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.map(other, |a, b| a * b)
    }

    #[inline(always)]
    fn plus_product(self, a: Self, b: Self) -> Self {
        self.map3(a, b, |sum, a, b| a.mul_add(b, sum))
    }

    #[inline(always)]
    fn greatest(self, other: Self) -> Self {
        self.map(other, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn where_greater(self, a: Self, b: Self) -> Self {
        self.map3(a, b, |value, a, b| if a > b { value } else { 0.0 })
    }

    #[inline(always)]
    fn where_equal(self, a: Self, b: Self) -> Self {
        self.map3(a, b, |value, a, b| if a == b { value } else { 0.0 })
    }
}
