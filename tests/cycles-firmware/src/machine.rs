//! What differs between the cores: reset, semihosting, and the cycle counter's markers.
#![allow(unsafe_code)]

use core::arch::{asm, global_asm};

#[cfg(target_arch = "arm")]
global_asm!(
    ".section .vectors, \"a\"",
    ".word stack_top",
    ".word reset",
    // Any exception ends the run: nothing here may fault.
    ".rept 14",
    ".word fault",
    ".endr",
);

#[cfg(target_arch = "riscv32")]
global_asm!(
    ".section .vectors, \"ax\"",
    ".global reset",
    "reset:",
    "la t0, fault",
    "csrw mtvec, t0",
    "la sp, stack_top",
    "j start",
);

/// First instruction behind the reset vector.
///
/// # Safety
/// Called by the core only, with the stack pointer set.
#[cfg(target_arch = "arm")]
#[unsafe(no_mangle)]
unsafe extern "C" fn reset() -> ! {
    start()
}

#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    exit(crate::run());
}

#[unsafe(no_mangle)]
extern "C" fn fault() -> ! {
    print(c"fault\n");
    exit(1);
}

/// One call of the debugger's interface. `argument` means what the operation says.
///
/// # Safety
/// Memory that `argument` points at must be as the operation expects it.
unsafe fn semihosting(operation: usize, argument: usize) -> isize {
    let result;
    #[cfg(target_arch = "arm")]
    // SAFETY: the breakpoint returns with its result in r0 and changes nothing else.
    unsafe {
        asm!("bkpt 0xab", inout("r0") operation => result, in("r1") argument);
    }
    #[cfg(target_arch = "riscv32")]
    // SAFETY: as above, with a0. The three instructions may not be compressed.
    unsafe {
        asm!(
            ".option push", ".option norvc",
            "slli zero, zero, 0x1f", "ebreak", "srai zero, zero, 7",
            ".option pop",
            inout("a0") operation => result, in("a1") argument,
        );
    }
    result
}

/// Prints to the emulator's console.
pub(crate) fn print(text: &core::ffi::CStr) {
    const WRITE0: usize = 0x04;
    // SAFETY: the argument is a string that ends with 0.
    unsafe { semihosting(WRITE0, text.as_ptr().addr()) };
}

/// Memory for the case file and for the arena.
pub(crate) fn memory() -> (&'static mut [u32], &'static mut [i32]) {
    const FILE_WORDS: usize = (3 << 20) / 4;
    const ARENA_WORDS: usize = (256 << 10) / 4;
    static mut FILE: [u32; FILE_WORDS] = [0; FILE_WORDS];
    static mut ARENA: [i32; ARENA_WORDS] = [0; ARENA_WORDS];
    // SAFETY: called once, by the only thread there is.
    unsafe { (&mut *(&raw mut FILE), &mut *(&raw mut ARENA)) }
}

/// Reads a file of the host into `buffer`; the number of bytes, or `None` if it cannot be read.
pub(crate) fn read(path: &core::ffi::CStr, buffer: &mut [u32]) -> Option<usize> {
    const OPEN: usize = 0x01;
    const READ: usize = 0x06;
    const MODE_READ_BINARY: usize = 1;
    let open = [path.as_ptr().addr(), MODE_READ_BINARY, path.count_bytes()];
    // SAFETY: the arguments are the path, its length and a mode.
    let file = unsafe { semihosting(OPEN, open.as_ptr().addr()) };
    let file = usize::try_from(file).ok()?;
    let bytes = size_of_val(buffer);
    let read = [file, buffer.as_mut_ptr().addr(), bytes];
    // SAFETY: the arguments are an open file, and memory that is ours with its length.
    let left = unsafe { semihosting(READ, read.as_ptr().addr()) };
    bytes.checked_sub(usize::try_from(left).ok()?)
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    print(c"panic\n");
    exit(1);
}

/// Ends the emulation; `code` is the emulator's exit status.
fn exit(code: usize) -> ! {
    const EXIT_EXTENDED: usize = 0x20;
    const APPLICATION_EXIT: usize = 0x2_0026;
    let arguments = [APPLICATION_EXIT, code];
    // SAFETY: the arguments are a reason and a status.
    unsafe { semihosting(EXIT_EXTENDED, arguments.as_ptr().addr()) };
    loop {}
}

/// What the cycle counter recognizes: instructions that do nothing, and that no compiler emits.
#[derive(Clone, Copy)]
pub(crate) enum Mark {
    Start,
    Stop,
    InnerStart,
    InnerStop,
}

/// Executes a mark.
#[inline(always)]
pub(crate) fn mark(mark: Mark) {
    macro_rules! execute {
        ($thumb:literal, $riscv:literal) => {
            // SAFETY: the instruction changes nothing.
            unsafe {
                #[cfg(target_arch = "arm")]
                asm!($thumb, options(nostack, preserves_flags));
                #[cfg(target_arch = "riscv32")]
                asm!(
                    concat!(".4byte ", $riscv),
                    options(nostack, preserves_flags)
                );
            }
        };
    }
    match mark {
        Mark::Start => execute!("mov r9, r9", "0x00100013"),
        Mark::Stop => execute!("mov r10, r10", "0x00200013"),
        Mark::InnerStart => execute!("mov r11, r11", "0x00300013"),
        Mark::InnerStop => execute!("mov r12, r12", "0x00400013"),
    }
}
