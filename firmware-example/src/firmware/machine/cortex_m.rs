//! Cortex-M: SysTick, which every one of them has, and the hard fault.

use cortex_m::Peripherals;
use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
pub(crate) use cortex_m_rt::entry;
use cortex_m_rt::{ExceptionFrame, exception};

use crate::firmware::host::{self, ExitStatus};

/// SysTick counts down in 24 bits.
const MASK: u32 = 0x00ff_ffff;

/// Counts cycles of the core; what QEMU counts is in `build.rs`.
pub(crate) struct Timer {
    counter: SYST,
    start: u32,
}

impl Timer {
    /// Starts the timer.
    pub(crate) fn start() -> Self {
        // SAFETY: nothing else uses the peripherals, and counting touches no memory.
        let mut counter = unsafe { Peripherals::steal() }.SYST;
        counter.set_clock_source(SystClkSource::Core);
        counter.set_reload(MASK);
        counter.enable_counter();
        Self { counter, start: 0 }
    }

    /// Measures from here.
    pub(crate) fn restart(&mut self) {
        // Forgets also that the timer ran over.
        self.counter.clear_current();
        self.start = SYST::get_current();
    }

    /// Ticks since the last restart; `None` if they exceed 24 bits.
    pub(crate) fn elapsed(&mut self) -> Option<u32> {
        let ticks = self.start.wrapping_sub(SYST::get_current()) & MASK;
        (!self.counter.has_wrapped()).then_some(ticks)
    }
}

/// Without it, a fault would be an endless loop.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    host::report(format_args!("hard fault at {:#010x}", frame.pc()));
    host::exit(ExitStatus::Failure)
}
