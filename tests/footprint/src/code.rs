//! Everything that a firmware calls, and nothing else: the size of this program is the size of the
//! runtime. It links only if no panic can be reached.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::panic::PanicInfo;

use runtime_nostd::Model;

/// Layers of the model: what flash the code takes does not depend on it.
const LAYERS: usize = 8;

/// The program. Nobody runs it.
#[unsafe(no_mangle)]
pub extern "C" fn _start() -> usize {
    // The compiler knows nothing of what these contain, not even their lengths.
    let pixels: &[u8] = black_box(&[]);
    let scratch: &mut [i32] = black_box(&mut []);
    #[cfg(feature = "embedded")]
    let Some(model) = black_box(None::<&Model<'static, LAYERS>>) else {
        return 0;
    };
    #[cfg(not(feature = "embedded"))]
    let Ok(model) = Model::<LAYERS>::parse(black_box(&[])) else {
        return 0;
    };
    let Ok(logits) = model.infer(scratch, pixels) else {
        return 1;
    };
    let class = logits.class();
    let Ok(again) = model.classify(scratch, pixels) else {
        return 2;
    };
    class + again
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    unsafe extern "C" {
        /// Is nowhere: the linker says so if something calls it.
        safe fn a_panic_can_be_reached() -> !;
    }
    a_panic_can_be_reached()
}
