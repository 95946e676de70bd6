//! The exporter's command line.

mod commands;

use std::process::ExitCode;

use clap::Parser;

/// From a trained network to the blob that runs on a microcontroller.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: commands::Command,
}

fn main() -> ExitCode {
    // A reader that has seen enough (`| head`) ends the program, without a word.
    sigpipe::reset();
    match Arguments::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
