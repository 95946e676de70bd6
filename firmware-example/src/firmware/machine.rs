//! What differs from machine to machine besides its memory map: a counter of instructions.
//!
//! This is for QEMU's MPS2 boards. QEMU has no notion of cycles, and the DWT's cycle counter, which
//! belongs here on silicon, reads 0. With `-icount shift=10` though, every instruction takes
//! 1024 ns of the machine's time, and the boards' CMSDK timer 0 ticks at 25 MHz, every 40 ns: 25.6
//! ticks for one instruction, and 2^32 ticks for 167 million.
#![allow(unsafe_code)]

use core::hint::black_box;
use core::sync::atomic::{Ordering, compiler_fence};

/// CMSDK timer 0.
mod timer {
    /// Control: bit 0 lets it count.
    pub(super) const CTRL: *mut u32 = 0x4000_0000 as *mut u32;
    /// The count, downwards.
    pub(super) const VALUE: *mut u32 = 0x4000_0004 as *mut u32;
    /// What follows 0.
    pub(super) const RELOAD: *mut u32 = 0x4000_0008 as *mut u32;
}

const NS_PER_TICK: u64 = 40;
const NS_PER_INSTRUCTION: u64 = 1024;

/// Counts the instructions that QEMU executes.
pub(crate) struct InstructionCounter {
    /// Ticks that counting itself takes; `None` if ticks do not count instructions.
    overhead: Option<u32>,
}

impl InstructionCounter {
    /// Starts the timer. It counts nothing if QEMU runs without `-icount shift=10`.
    pub(crate) fn start() -> Self {
        // SAFETY: these are the registers of a timer that nothing else uses; it touches no memory.
        unsafe {
            timer::RELOAD.write_volatile(u32::MAX);
            timer::VALUE.write_volatile(u32::MAX);
            timer::CTRL.write_volatile(1);
        }
        let ((), overhead) = time(|| ());
        let counter = Self {
            overhead: Some(overhead),
        };

        // Passes through a loop of two instructions, with a few instructions around it.
        const PASSES: u32 = 1000;
        let plausible = 2 * PASSES..2 * PASSES + PASSES / 10;
        match counter.count(|| cortex_m::asm::delay(PASSES - 1)) {
            ((), Some(instructions)) if plausible.contains(&instructions) => counter,
            _ => Self { overhead: None },
        }
    }

    /// Does `work`; returns its result and the instructions it took, below 167 million.
    pub(crate) fn count<T>(&self, work: impl FnOnce() -> T) -> (T, Option<u32>) {
        let (result, ticks) = time(work);
        let instructions = self.overhead.map(|overhead| {
            let ns = u64::from(ticks.wrapping_sub(overhead)) * NS_PER_TICK;
            // 2^32 ticks are fewer instructions, so this fits.
            ((ns + NS_PER_INSTRUCTION / 2) / NS_PER_INSTRUCTION) as u32
        });
        (result, instructions)
    }
}

/// Does `work`; returns its result and the ticks it took.
fn time<T>(work: impl FnOnce() -> T) -> (T, u32) {
    let start = ticks();
    // Accesses to memory must not move past the volatile ones of the timer.
    compiler_fence(Ordering::SeqCst);
    let result = black_box(work());
    compiler_fence(Ordering::SeqCst);
    (result, ticks().wrapping_sub(start))
}

fn ticks() -> u32 {
    // SAFETY: reading the register has no effect.
    !unsafe { timer::VALUE.read_volatile() }
}
