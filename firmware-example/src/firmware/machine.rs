//! What differs from machine to machine: constants from the table in `build.rs`, the start-up code, a
//! timer, and where a loader puts a network.
#![allow(unsafe_code)]

use core::slice;

#[cfg(target_arch = "arm")]
#[path = "machine/cortex_m.rs"]
mod architecture;
#[cfg(target_arch = "riscv32")]
#[path = "machine/riscv.rs"]
mod architecture;

pub(crate) use architecture::{Timer, entry};

include!(concat!(env!("OUT_DIR"), "/machine.rs"));

/// The flash that the memory map keeps for a network: an emulator's loader or a probe fills it.
pub(crate) fn loaded_flash() -> &'static [u8] {
    unsafe extern "C" {
        static _blob_start: u8;
        static _blob_end: u8;
    }
    let (start, end) = (&raw const _blob_start, &raw const _blob_end);
    // SAFETY: the memory map bounds this region, which nothing else lies in and the program never
    // writes to.
    unsafe { slice::from_raw_parts(start, end.addr() - start.addr()) }
}
