//! The host computer, reached by semihosting: its command line, files, consoles and exit code.
//!
//! Not `hprintln!`, which would try for ever to write to a pipe that nobody reads any more.
#![allow(unsafe_code)]

use core::fmt::{self, Write as _};
use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, exception};
use cortex_m_semihosting::{debug, nr, syscall, syscall1};
use heapless::Vec;

/// What a semihosting host calls its consoles: opened for writing its standard output, for appending
/// its standard error.
const CONSOLE: &str = ":tt";

/// Longest file name, in bytes.
const NAME_BYTES: usize = 512;

/// The command line: the program's name and its arguments, separated by spaces.
///
/// # Errors
/// [`NoCommandLine`] if the host has none, or one that is not UTF-8 or does not fit `buffer`.
pub(crate) fn command_line(buffer: &mut [u8]) -> Result<&str, NoCommandLine> {
    let mut block = [buffer.as_mut_ptr() as usize, buffer.len()];
    // SAFETY: the block names memory that is borrowed exclusively; the host writes at most its
    // length there, and the length of the command line into the block.
    let refused = unsafe { syscall1(nr::GET_CMDLINE, block.as_mut_ptr() as usize) };
    let [_, length] = block;
    let line = buffer.get(..length).filter(|_| refused == 0);
    line.and_then(|line| core::str::from_utf8(line).ok())
        .ok_or(NoCommandLine)
}

/// There is no command line, or none that can be read.
pub(crate) struct NoCommandLine;

/// A file of the host, read or written from its start to its end. The host closes it when the
/// program ends.
pub(crate) struct File<'n> {
    handle: usize,
    name: &'n str,
}

/// What a file is opened for.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    /// Read an existing file.
    Read,
    /// Write a new file, or an existing one from scratch.
    Write,
}

/// The host's standard output.
pub(crate) fn stdout() -> Result<File<'static>, FileError<'static>> {
    File::open_as(CONSOLE, nr::open::W_TRUNC)
}

/// Prints a line to the host's standard error. Nobody is left to be told if that fails.
pub(crate) fn report(line: fmt::Arguments<'_>) {
    if let Ok(mut stderr) = File::open_as(CONSOLE, nr::open::W_APPEND) {
        let _ = writeln!(stderr, "{line}");
    }
}

impl<'n> File<'n> {
    /// Opens the file `name`, relative to the folder in which the emulator or debugger was started.
    pub(crate) fn open(name: &'n str, access: Access) -> Result<Self, FileError<'n>> {
        let mode = match access {
            Access::Read => nr::open::R_BINARY,
            Access::Write => nr::open::W_TRUNC_BINARY,
        };
        Self::open_as(name, mode)
    }

    fn open_as(name: &'n str, mode: usize) -> Result<Self, FileError<'n>> {
        let mut path: Vec<u8, { NAME_BYTES + 1 }> = Vec::new();
        if path.extend_from_slice(name.as_bytes()).is_err() || path.push(0).is_err() {
            return Err(FileError::NameTooLong { name });
        }
        // SAFETY: the host reads the path, whose length does not count the zero that ends it.
        let handle = unsafe { syscall!(OPEN, path.as_ptr(), mode, name.len()) };
        if handle == usize::MAX {
            return Err(FileError::failed("open", name));
        }
        Ok(Self { handle, name })
    }

    /// Fills `buffer` as far as the file goes; returns how many bytes that were.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, FileError<'n>> {
        let mut filled = 0;
        while let Some(rest @ [_, ..]) = buffer.get_mut(filled..) {
            // SAFETY: the host writes into `rest`, which is borrowed exclusively, at most its length.
            let left = unsafe { syscall!(READ, self.handle, rest.as_mut_ptr(), rest.len()) };
            match rest.len().checked_sub(left) {
                Some(0) => break,
                Some(read) => filled += read,
                None => return Err(FileError::failed("read", self.name)),
            }
        }
        Ok(filled)
    }

    /// Appends `bytes`.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), FileError<'n>> {
        // SAFETY: the host reads `bytes`.
        let left = unsafe { syscall!(WRITE, self.handle, bytes.as_ptr(), bytes.len()) };
        if left == 0 {
            Ok(())
        } else {
            Err(FileError::failed("write", self.name))
        }
    }
}

impl fmt::Write for File<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

/// Why a file of the host cannot be used.
pub(crate) enum FileError<'n> {
    /// The name does not fit the buffer for it.
    NameTooLong {
        /// The name.
        name: &'n str,
    },
    /// The host refuses.
    Failed {
        /// What was attempted: a verb.
        action: &'static str,
        /// The file.
        name: &'n str,
        /// The host's `errno`.
        errno: usize,
    },
}

impl<'n> FileError<'n> {
    fn failed(action: &'static str, name: &'n str) -> Self {
        // SAFETY: the call takes no argument.
        let errno = unsafe { syscall!(ERRNO) };
        Self::Failed {
            action,
            name,
            errno,
        }
    }
}

impl fmt::Display for FileError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTooLong { name } => {
                write!(f, "{name}: a file name of more than {NAME_BYTES} bytes")
            }
            Self::Failed {
                action,
                name,
                errno,
            } => write!(f, "{name}: the host cannot {action} it (errno {errno})"),
        }
    }
}

/// What the host is told at the end.
#[derive(Clone, Copy)]
pub(crate) enum ExitStatus {
    /// Exit code 0.
    Success,
    /// Exit code 1.
    Failure,
}

/// Ends the emulation.
pub(crate) fn exit(status: ExitStatus) -> ! {
    debug::exit(match status {
        ExitStatus::Success => debug::EXIT_SUCCESS,
        ExitStatus::Failure => debug::EXIT_FAILURE,
    });
    // A debugger may let a real device go on.
    loop {
        cortex_m::asm::wfi();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    report(format_args!("{info}"));
    exit(ExitStatus::Failure)
}

/// Without it, a fault would be an endless loop.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    report(format_args!("hard fault at {:#010x}", frame.pc()));
    exit(ExitStatus::Failure)
}
