//! Measures the stack that `infer` takes, by painting: prints the most bytes over some networks.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::panic::PanicInfo;
use core::ptr;

use cortex_m::register::msp;
use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hprintln};
use runtime_nostd::{Model, Scratch, include_blob};

/// Networks of 8x8 images: plain, separable and residual; then with weights of 8 bits.
static BLOBS: &[&[u8]] = &[
    include_blob!(concat!(env!("BLOBS"), "/small-0.q88")),
    include_blob!(concat!(env!("BLOBS"), "/small-1.q88")),
    include_blob!(concat!(env!("BLOBS"), "/small-2.q88")),
    #[cfg(feature = "weights-8")]
    include_blob!(concat!(env!("BLOBS"), "/small-3.q88")),
    #[cfg(feature = "weights-8")]
    include_blob!(concat!(env!("BLOBS"), "/small-4.q88")),
    #[cfg(feature = "weights-8")]
    include_blob!(concat!(env!("BLOBS"), "/small-5.q88")),
];

const IMAGE: [u8; 64] = [200; 64];

const PAINT: u32 = 0xc0ff_ee00;

/// Words of stack that are painted.
const PAINTED_WORDS: usize = 4096;

#[entry]
fn main() -> ! {
    static mut SCRATCH: Scratch<8192> = Scratch::new();

    let mut most = 0;
    for blob in BLOBS {
        let Ok(model) = Model::<16>::parse(blob) else {
            hprintln!("a blob is refused");
            debug::exit(debug::EXIT_FAILURE);
            continue;
        };
        paint();
        infer(&model, SCRATCH);
        most = most.max(painted_over());
    }
    hprintln!("{}", most);
    debug::exit(debug::EXIT_SUCCESS);
    loop {}
}

#[inline(never)]
fn infer(model: &Model<'_, 16>, scratch: &mut [i32]) {
    let class = model.classify(black_box(scratch), black_box(&IMAGE));
    assert!(black_box(class).is_ok());
}

/// The lowest word that is painted.
fn lowest() -> *mut u32 {
    (msp::read() as *mut u32).wrapping_sub(PAINTED_WORDS)
}

/// Writes a pattern below the caller's stack frame.
#[inline(always)]
fn paint() {
    for word in 0..PAINTED_WORDS {
        // SAFETY: RAM below the stack pointer, which nobody uses: interrupts are off, the
        // statics are far below, and this function, inlined, has no frame of its own.
        unsafe { ptr::write_volatile(lowest().wrapping_add(word), PAINT) };
    }
}

/// Bytes below the caller's stack frame that have been written since.
#[inline(always)]
fn painted_over() -> usize {
    let untouched = (0..PAINTED_WORDS)
        // SAFETY: as in `paint`.
        .take_while(|&word| unsafe { ptr::read_volatile(lowest().wrapping_add(word)) } == PAINT)
        .count();
    (PAINTED_WORDS - untouched) * 4
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    debug::exit(debug::EXIT_FAILURE);
    loop {}
}
