//! The program: classify the digits in flash, or stream images from files of the host.

use core::fmt;

use cortex_m_rt::entry;
use runtime_nostd::{InferError, ParseError};

use host::{ExitStatus, FileError, NoCommandLine};
use stream::{Buffers, Files};

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
const COMMAND_LINE_BYTES: usize = 4096;

#[entry]
fn main() -> ! {
    static mut COMMAND_LINE: [u8; COMMAND_LINE_BYTES] = [0; COMMAND_LINE_BYTES];
    static mut SCRATCH: network::Scratch = network::Scratch::new();
    static mut BUFFERS: Buffers = Buffers::new();

    match run(COMMAND_LINE, SCRATCH, BUFFERS) {
        Ok(()) => host::exit(ExitStatus::Success),
        Err(failure) => {
            host::report(format_args!("error: {failure}"));
            host::exit(ExitStatus::Failure)
        }
    }
}

fn run<'a>(
    command_line: &'a mut [u8],
    scratch: &mut network::Scratch,
    buffers: &mut Buffers,
) -> Result<(), Failure<'a>> {
    let mode = Mode::of(host::command_line(command_line)?)?;
    let mut out = host::stdout()?;
    match mode {
        Mode::Demo => demo::run(scratch, &mut out),
        Mode::Stream(files) => stream::run(&files, buffers, &mut out),
    }
}

/// What to do.
enum Mode<'a> {
    /// Classify the digits that lie in flash.
    Demo,
    /// Read a network and images, write logits.
    Stream(Files<'a>),
}

impl<'a> Mode<'a> {
    /// Reads `[PROGRAM] [stream BLOB IMAGES LOGITS]`. The program's name is the debugger's choice
    /// and may contain spaces; file names may not, since spaces are all that separates arguments.
    fn of(command_line: &'a str) -> Result<Self, Failure<'a>> {
        let mut words = command_line.rsplit(' ');
        if !words.clone().any(|word| word == "stream") {
            return Ok(Self::Demo);
        }
        match [(); 4].map(|()| words.next()) {
            [Some(logits), Some(images), Some(blob), Some("stream")] => Ok(Self::Stream(Files {
                blob,
                images,
                logits,
            })),
            _ => Err(Failure::Usage),
        }
    }
}

/// Why the program ends early.
enum Failure<'a> {
    /// Nothing says what to do.
    NoCommandLine,
    /// The command line makes no sense.
    Usage,
    /// A file of the host.
    File(FileError<'a>),
    /// Nobody reads the standard output.
    Output,
    /// A file does not fit the buffer for it.
    BlobTooLarge {
        /// The file.
        name: &'a str,
        /// Bytes of the buffer.
        capacity: usize,
    },
    /// The runtime refuses the network.
    Blob {
        /// The file.
        name: &'a str,
        /// What is wrong with it.
        error: ParseError,
    },
    /// One image or its logits alone exceed a buffer.
    ImageTooLarge {
        /// The network's file.
        name: &'a str,
        /// Bytes of an image.
        image_bytes: usize,
        /// Its number of classes.
        classes: usize,
    },
    /// The file of images ends within an image.
    PartialImage {
        /// The file.
        name: &'a str,
        /// Bytes of an image.
        image_bytes: usize,
    },
    /// Scratch memory too small for the network.
    Infer(InferError),
}

impl fmt::Display for Failure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCommandLine => write!(
                f,
                "no command line, or one that is not UTF-8 or longer than {COMMAND_LINE_BYTES} bytes"
            ),
            Self::Usage => f.write_str(
                "after `stream`, three files must follow: BLOB IMAGES LOGITS, without spaces in their names",
            ),
            Self::File(error) => error.fmt(f),
            Self::Output => f.write_str("the host does not take the output"),
            Self::BlobTooLarge { name, capacity } => {
                write!(f, "{name}: larger than the buffer of {capacity} bytes")
            }
            Self::Blob { name, error } => write!(f, "{name}: {error}"),
            Self::ImageTooLarge {
                name,
                image_bytes,
                classes,
            } => write!(
                f,
                "{name}: images of {image_bytes} bytes or logits of {classes} classes exceed a buffer"
            ),
            Self::PartialImage { name, image_bytes } => write!(
                f,
                "{name}: not a whole number of images, which have {image_bytes} bytes each"
            ),
            Self::Infer(error) => error.fmt(f),
        }
    }
}

impl From<NoCommandLine> for Failure<'_> {
    fn from(NoCommandLine: NoCommandLine) -> Self {
        Self::NoCommandLine
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
