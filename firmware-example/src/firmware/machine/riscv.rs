//! RISC-V: the counter of retired instructions, and exceptions.

use riscv::register::{mcause, mepc, minstret};
use riscv_rt::TrapFrame;
pub(crate) use riscv_rt::entry;

use crate::firmware::host::{self, ExitStatus};

/// Counts instructions.
pub(crate) struct Timer {
    start: u32,
}

impl Timer {
    /// Starts the timer.
    pub(crate) fn start() -> Self {
        Self { start: now() }
    }

    /// Measures from here.
    pub(crate) fn restart(&mut self) {
        self.start = now();
    }

    /// Instructions since the last restart, modulo 2^32, which is some minutes: never `None`.
    pub(crate) fn elapsed(&mut self) -> Option<u32> {
        Some(now().wrapping_sub(self.start))
    }
}

fn now() -> u32 {
    minstret::read() as u32
}

/// Without it, an exception would be an endless loop.
#[unsafe(export_name = "ExceptionHandler")]
extern "C" fn exception(_: &TrapFrame) -> ! {
    let cause = mcause::read().code();
    host::report(format_args!("exception {cause} at {:#010x}", mepc::read()));
    host::exit(ExitStatus::Failure)
}
