//! The host computer, reached by semihosting: its command line, files, consoles and exit code.
//!
//! Not `println!` of the crate `semihosting`, which panics when nobody reads a pipe any more.
#![allow(unsafe_code)]

use core::ffi::CStr;
use core::fmt::{self, Write as _};
use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use core::ptr;

use semihosting::fs;
use semihosting::io::{self, Read as _, Write as _};
use semihosting::process::ExitCode;
use semihosting::sys::arm_compat::sys_get_cmdline_uninit;

/// The host's `E2BIG`.
const TOO_BIG: i32 = 7;

/// The words of the command line, the program's name included; none if the host has no command line,
/// as with most probes.
///
/// # Errors
/// [`CommandLineTooLong`] if it does not fit `buffer`.
pub(crate) fn command_line(buffer: &mut [u8]) -> Result<Words<'_>, CommandLineTooLong> {
    // SAFETY: whatever is written through it is bytes of the host.
    let uninit = unsafe { &mut *(ptr::from_mut(buffer) as *mut [MaybeUninit<u8>]) };
    let length = match sys_get_cmdline_uninit(uninit) {
        Ok(line) => line.len(),
        Err(error) if error.raw_os_error() == Some(TOO_BIG) => return Err(CommandLineTooLong),
        Err(_) => return Ok(Words { rest: &[] }),
    };
    // A zero ends it, which is not counted, and each word once the spaces are zeros too.
    let words = buffer.get_mut(..=length).ok_or(CommandLineTooLong)?;
    for byte in words.iter_mut().filter(|byte| **byte == b' ') {
        *byte = 0;
    }
    Ok(Words { rest: words })
}

/// The command line does not fit the memory for it.
pub(crate) struct CommandLineTooLong;

/// Words, each ended by a zero.
#[derive(Clone)]
pub(crate) struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a CStr;

    fn next(&mut self) -> Option<&'a CStr> {
        let word = CStr::from_bytes_until_nul(self.rest).ok()?;
        self.rest = &self.rest[word.count_bytes() + 1..];
        Some(word)
    }
}

/// A file of the host, read or written from its start to its end.
pub(crate) struct File<'n> {
    file: fs::File,
    name: &'n CStr,
}

impl<'n> File<'n> {
    /// Opens an existing file, relative to the folder in which the emulator or debugger was started.
    pub(crate) fn open(name: &'n CStr) -> Result<Self, FileError<'n>> {
        let file = fs::File::open(name).map_err(failed("open", name))?;
        Ok(Self { file, name })
    }

    /// Opens a new file, or an existing one from scratch.
    pub(crate) fn create(name: &'n CStr) -> Result<Self, FileError<'n>> {
        let file = fs::File::create(name).map_err(failed("create", name))?;
        Ok(Self { file, name })
    }

    /// Fills `buffer` as far as the file goes; returns how many bytes that were.
    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, FileError<'n>> {
        let mut filled = 0;
        while let Some(rest @ [_, ..]) = buffer.get_mut(filled..) {
            match self.file.read(rest).map_err(failed("read", self.name))? {
                0 => break,
                read => filled += read,
            }
        }
        Ok(filled)
    }

    /// Appends `bytes`.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), FileError<'n>> {
        self.file
            .write_all(bytes)
            .map_err(failed("write", self.name))
    }
}

impl fmt::Write for File<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.write(text.as_bytes()).map_err(|_| fmt::Error)
    }
}

/// Why a file of the host cannot be used.
pub(crate) struct FileError<'n> {
    /// What was attempted: a verb.
    action: &'static str,
    name: &'n CStr,
    source: io::Error,
}

fn failed<'n>(action: &'static str, name: &'n CStr) -> impl FnOnce(io::Error) -> FileError<'n> {
    move |source| FileError {
        action,
        name,
        source,
    }
}

impl fmt::Display for FileError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            action,
            name,
            source,
        } = self;
        let name = Name(name);
        write!(f, "{name}: the host cannot {action} it: {source:?}")
    }
}

/// Prints the name of a file.
pub(crate) struct Name<'n>(pub(crate) &'n CStr);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.to_bytes().utf8_chunks() {
            f.write_str(chunk.valid())?;
        }
        Ok(())
    }
}

/// The host's standard output.
pub(crate) fn stdout() -> Result<Console<io::Stdout>, FileError<'static>> {
    io::stdout()
        .map(Console)
        .map_err(failed("open", c"standard output"))
}

/// Prints a line to the host's standard error. Nobody is left to be told if that fails.
pub(crate) fn report(line: fmt::Arguments<'_>) {
    if let Ok(stderr) = io::stderr() {
        let _ = writeln!(Console(stderr), "{line}");
    }
}

/// One of the host's consoles.
pub(crate) struct Console<W>(W);

impl<W: io::Write> fmt::Write for Console<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_all(text.as_bytes()).map_err(|_| fmt::Error)
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
    let code = match status {
        ExitStatus::Success => ExitCode::SUCCESS,
        ExitStatus::Failure => ExitCode::FAILURE,
    };
    code.exit_process()
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    report(format_args!("{info}"));
    exit(ExitStatus::Failure)
}
