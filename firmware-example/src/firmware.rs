//! The program: classify the digits in flash, or run a network that a loader put into flash over images
//! in a file of the host.

use core::ffi::CStr;
use core::fmt;
use core::mem::ManuallyDrop;

use runtime_nostd::{InferError, ParseError, SelfTestError};

use host::{CommandLineTooLong, ExitStatus, FileError, Name, Words};
use machine::{STREAM_BYTES, entry};
use stream::{Run, Task};

mod counter;
mod demo;
mod host;
mod machine;
#[allow(
    dead_code,
    unreachable_pub,
    reason = "generated, with what any firmware may need"
)]
mod network;
mod stream;

/// Longest command line, in bytes.
const COMMAND_LINE_BYTES: usize = 1024;

/// The version of the arithmetic that this firmware computes, for whoever holds only its file.
#[used]
#[allow(unsafe_code, reason = "the name must survive; no code has it")]
#[unsafe(no_mangle)]
static EA4CNN_ARITHMETIC_VERSION: u16 = runtime_nostd::blob::ARITHMETIC_VERSION;

/// Memory of one of the two modes.
union Memory {
    demo: ManuallyDrop<network::Scratch>,
    stream: [i32; STREAM_BYTES / 4],
}

static mut COMMAND_LINE: [u8; COMMAND_LINE_BYTES] = [0; COMMAND_LINE_BYTES];
static mut MEMORY: Memory = Memory {
    stream: [0; STREAM_BYTES / 4],
};

#[entry]
#[allow(unsafe_code)]
fn main() -> ! {
    // SAFETY: the start-up code calls this function, once, and no other one uses these statics.
    let (command_line, memory) =
        unsafe { (&mut *(&raw mut COMMAND_LINE), &mut *(&raw mut MEMORY)) };
    match run(command_line, memory) {
        Ok(()) => host::exit(ExitStatus::Success),
        Err(failure) => {
            host::report(format_args!("error: {failure}"));
            host::exit(ExitStatus::Failure)
        }
    }
}

#[allow(unsafe_code)]
fn run<'a>(command_line: &'a mut [u8], memory: &mut Memory) -> Result<(), Failure<'a>> {
    let mode = Mode::of(host::command_line(command_line)?)?;
    let mut out = host::stdout()?;
    match mode {
        // SAFETY: all bytes are 0 where `stream` does not reach, and any bytes are scratch memory.
        Mode::Demo => demo::run(unsafe { &mut memory.demo }, &mut out),
        // SAFETY: as above.
        Mode::Stream(run) => run.run(unsafe { &mut memory.stream }, &mut out),
    }
}

/// What to do.
enum Mode<'a> {
    /// Classify the digits that lie in flash.
    Demo,
    /// Read images, write what the network in flash says.
    Stream(Run<'a>),
}

impl<'a> Mode<'a> {
    /// Reads `[PROGRAM] [logits|dump IMAGES OUTPUT]`. The program's name is the debugger's choice and
    /// may contain spaces; file names may not, since spaces are all that separates words.
    fn of(mut words: Words<'a>) -> Result<Self, Failure<'a>> {
        let task = words.find_map(|word| match word.to_bytes() {
            b"logits" => Some(Task::Logits),
            b"dump" => Some(Task::Dump),
            _ => None,
        });
        let Some(task) = task else {
            return Ok(Self::Demo);
        };
        match [(); 3].map(|()| words.next()) {
            [Some(images), Some(output), None] => Ok(Self::Stream(Run {
                task,
                images,
                output,
            })),
            _ => Err(Failure::Usage),
        }
    }
}

/// Why the program ends early.
enum Failure<'a> {
    /// The command line exceeds the memory for it.
    CommandLineTooLong,
    /// The command line makes no sense.
    Usage,
    /// A file of the host.
    File(FileError<'a>),
    /// Nobody reads the standard output.
    Output,
    /// The runtime refuses the network in flash.
    Network(ParseError),
    /// The network's scratch memory and an image exceed the memory for them.
    Memory {
        /// What they take, in bytes.
        needed: usize,
        /// What there is, in bytes.
        given: usize,
    },
    /// The file of images ends within an image.
    PartialImage {
        /// The file.
        name: &'a CStr,
        /// Bytes of an image.
        image_bytes: usize,
    },
    /// Scratch memory too small for the network.
    Infer(InferError),
    /// The network's golden vectors give other logits.
    SelfTest(SelfTestError),
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CommandLineTooLong => write!(
                f,
                "the command line is longer than {COMMAND_LINE_BYTES} bytes"
            ),
            Self::Usage => f.write_str(
                "after `logits` or `dump`, two files must follow: IMAGES OUTPUT, without spaces in their names",
            ),
            Self::File(error) => error.fmt(f),
            Self::Output => f.write_str("the host does not take the output"),
            Self::Network(error) => write!(f, "network in flash: {error}"),
            Self::Memory { needed, given } => write!(
                f,
                "scratch and an image take {needed} bytes, but this machine keeps {given} for them: see build.rs"
            ),
            Self::PartialImage { name, image_bytes } => write!(
                f,
                "{}: not a whole number of images, which have {image_bytes} bytes each",
                Name(name)
            ),
            Self::Infer(error) => error.fmt(f),
            Self::SelfTest(error) => write!(f, "self-test: {error}"),
        }
    }
}

impl From<CommandLineTooLong> for Failure<'_> {
    fn from(CommandLineTooLong: CommandLineTooLong) -> Self {
        Self::CommandLineTooLong
    }
}

impl<'a> From<FileError<'a>> for Failure<'a> {
    fn from(error: FileError<'a>) -> Self {
        Self::File(error)
    }
}

impl From<fmt::Error> for Failure<'_> {
    fn from(fmt::Error: fmt::Error) -> Self {
        Self::Output
    }
}

impl From<InferError> for Failure<'_> {
    fn from(error: InferError) -> Self {
        Self::Infer(error)
    }
}
