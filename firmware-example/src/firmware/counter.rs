//! Counts what a piece of work takes: instructions in QEMU, cycles on silicon.
//!
//! QEMU has no notion of cycles, and its cycle counters read 0. With `-icount shift=6` though, every
//! instruction takes 64 ns of the machine's time, so that the ticks of a timer count instructions.

use core::hint::black_box;
use core::sync::atomic::{Ordering, compiler_fence};

use runtime_nostd::Observer;

use super::machine::{TICKS_PER_THOUSAND, Timer};
use super::network;

/// Counts [`UNIT`](super::machine::UNIT).
pub(crate) struct Counter {
    timer: Timer,
    /// Ticks that counting itself takes.
    overhead: u32,
}

impl Counter {
    /// Starts the timer.
    pub(crate) fn start() -> Self {
        let mut counter = Self {
            timer: Timer::start(),
            overhead: 0,
        };
        counter.restart();
        counter.overhead = counter.timer.elapsed().unwrap_or(0);
        counter
    }

    /// Does `work`; returns its result and what it took, `None` if the timer ran over.
    pub(crate) fn count<T>(&mut self, work: impl FnOnce() -> T) -> (T, Option<u64>) {
        self.restart();
        let result = black_box(work());
        (result, self.elapsed().map(counted))
    }

    /// Accesses to memory must not move past the volatile ones of the timer.
    fn restart(&mut self) {
        self.timer.restart();
        compiler_fence(Ordering::SeqCst);
    }

    /// Ticks since the restart.
    fn elapsed(&mut self) -> Option<u64> {
        compiler_fence(Ordering::SeqCst);
        let ticks = self.timer.elapsed()?;
        Some(ticks.saturating_sub(self.overhead).into())
    }
}

/// What the timer's ticks stand for.
fn counted(ticks: u64) -> u64 {
    let per_thousand = u64::from(TICKS_PER_THOUSAND);
    (ticks * 1000 + per_thousand / 2) / per_thousand
}

/// Counts what each layer takes.
pub(crate) struct LayerCounter {
    counter: Counter,
    /// Ticks; `None` if the timer ran over.
    layers: [Option<u64>; network::LAYERS],
}

impl LayerCounter {
    /// Nothing counted yet.
    pub(crate) fn start() -> Self {
        Self {
            counter: Counter::start(),
            layers: [Some(0); network::LAYERS],
        }
    }

    /// What each layer took.
    pub(crate) fn counts(&self) -> [Option<u64>; network::LAYERS] {
        self.layers.map(|ticks| ticks.map(counted))
    }
}

impl Observer for LayerCounter {
    fn enter(&mut self, _layer: usize) {
        self.counter.restart();
    }

    fn leave(&mut self, layer: usize) {
        let ticks = self.counter.elapsed();
        if let Some(sum) = self.layers.get_mut(layer) {
            *sum = sum.zip(ticks).map(|(sum, ticks)| sum + ticks);
        }
    }
}
