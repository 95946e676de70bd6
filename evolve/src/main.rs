//! The evolver's command line.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use evolve::config::Config;
use evolve::options::{Arguments, Command, MachineOptions, RunOptions};
use evolve::run::{Report, Run};
use evolve::terminal::Terminal;
use evolve::train::Lanes;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.command {
        None => start(arguments.run, &arguments.machine),
        Some(Command::Run { run, machine }) => start(*run, &machine),
        Some(Command::Resume { folder, machine }) => resume(&folder, &machine),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(options: RunOptions, machine: &MachineOptions) -> Result<(), Box<dyn Error>> {
    use_threads(machine)?;
    let folder = match &options.output {
        Some(folder) => folder.clone(),
        None => free_folder(Path::new("runs"))?,
    };
    let config = options.config();
    eprintln!(
        "evolving in {}; if this is interrupted: evolve resume {}",
        folder.display(),
        folder.display()
    );
    let terminal = Terminal::new(config.settings.generations, config.settings.population);
    let backend = Lanes::detect();
    let (report, time) = Run::start(&folder, config, &backend, &terminal)?.finish()?;
    drop(terminal);
    print_report(&report, time, &folder);
    Ok(())
}

fn resume(folder: &Path, machine: &MachineOptions) -> Result<(), Box<dyn Error>> {
    use_threads(machine)?;
    let Config { settings, .. } = Config::read(folder)?;
    let terminal = Terminal::new(settings.generations, settings.population);
    let backend = Lanes::detect();
    let (report, time) = Run::resume(folder, &backend, &terminal)?.finish()?;
    drop(terminal);
    print_report(&report, time, folder);
    Ok(())
}

fn use_threads(machine: &MachineOptions) -> Result<(), rayon::ThreadPoolBuildError> {
    let threads = machine.threads.map_or(0, usize::from);
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
}

/// The first of `runs/001`, `runs/002`, … that does not exist.
fn free_folder(parent: &Path) -> Result<PathBuf, String> {
    (1..10_000)
        .map(|number| parent.join(format!("{number:03}")))
        .find(|folder| !folder.exists())
        .ok_or_else(|| format!("{}: no free name, give one with --output", parent.display()))
}

fn print_report(report: &Report, time: Duration, folder: &Path) {
    let [train, test, validation] = report.images;
    let folder = folder.display();
    println!(
        "{}: {train} images in Dtrain, {test} in Dtest, {validation} in Dval",
        report.data
    );
    println!(
        "{} generations, {} candidates ({} diverged, {} overflowed), seed {}, {:.1} s",
        report.generations,
        report.candidates,
        report.diverged,
        report.overflowed,
        report.seed,
        time.as_secs_f64()
    );
    println!();
    println!("winner: individual {}", report.winner.id);
    println!(
        "  accuracy on Dval, f32       {:7.2} %",
        100.0 * report.validation_accuracy_f32
    );
    println!(
        "  accuracy on Dval, Q8.8      {:7.2} %",
        100.0 * report.validation_accuracy_fixed
    );
    println!(
        "  accuracy on Dtest (fitness) {:7.2} %",
        100.0 * report.winner.accuracy
    );
    println!(
        "  parameters                  {:>7}",
        report.winner.parameters
    );
    println!("  MACs                        {:>7}", report.macs);
    println!(
        "  flash                       {:>7} bytes",
        report.flash_bytes
    );
    println!(
        "  arena (RAM)                 {:>7} bytes",
        report.arena_bytes
    );
    println!(
        "  E_mult                      {:>6.1}x less than the best initial network in f32",
        report.multiplication_energy_reduction
    );
    println!();
    println!("next: cargo run --release -p exporter -- inspect {folder}/winner.q88");
    println!("      cp {folder}/winner.q88 {folder}/winner.rs firmware-example/src/network/");
    println!("      cd firmware-example && cargo run --release");
}
