//! The evolver's command line.

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Parser as _;
use evolve::baseline::{self, LayerList};
use evolve::contact_sheet::{contact_sheet, samples};
use evolve::describe::Description;
use evolve::experiment::{Experiment, conduct, describe, run_folders};
use evolve::folder::{FrontLine, read_front};
use evolve::history::History;
use evolve::options::{
    Arguments, BaselineOptions, Command, DataOptions, ExperimentOptions, MachineOptions,
    PolishOptions, RunOptions,
};
use evolve::report::{write_comparison, write_report};
use evolve::results::{PolishedLine, Report};
use evolve::run::{Plan, Run, RunError, Session};
use evolve::terminal::Terminal;
use evolve::train::Lanes;
use exporter::dataset::Dataset;
use exporter::file::{check_folder, write_atomically, write_network};

/// Held while files are written, so that no signal ends the process in the middle of one.
static WRITING: Mutex<()> = Mutex::new(());

/// What shells report of a process that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;

fn main() -> ExitCode {
    // A reader that has seen enough (`| head`) ends the program, without a word; a run can be resumed.
    sigpipe::reset();
    let arguments = Arguments::parse();
    let result = match arguments.command {
        None => start(arguments.run, &arguments.machine),
        Some(Command::Run { run, machine }) => start(*run, &machine),
        Some(Command::Resume {
            folder,
            generations,
            polish,
            machine,
        }) => resume(&folder, generations, polish, &machine),
        Some(Command::Baseline(options)) => train_baseline(options),
        Some(Command::Data(options)) => describe_data(&options),
        Some(Command::Front { folder }) => front(&folder),
        Some(Command::Report { folder, output }) => report(&folder, output),
        Some(Command::Compare { folders, output }) => compare(&folders, &output),
        Some(Command::Experiment(options)) => experiment(&options),
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
    let options = match &options.config {
        Some(file) => {
            let file = RunOptions::read(file)?;
            options.or(&file)
        }
        None => options,
    };
    let folder = match &options.output {
        Some(folder) => folder.clone(),
        None => free_folder(Path::new("runs"))?,
    };
    work(&folder, machine, |session| {
        let run = Run::start(&folder, options.config(), session)?;
        let folder = folder.display();
        eprintln!("evolving in {folder}; if this is interrupted: evolve resume {folder}");
        run.finish()
    })
}

fn resume(
    folder: &Path,
    generations: Option<u32>,
    polish: PolishOptions,
    machine: &MachineOptions,
) -> Result<(), Box<dyn Error>> {
    let continuation = History::resume(folder)?;
    let replan = |plan: Plan| Plan {
        generations: generations.unwrap_or(plan.generations),
        polish: polish.or(plan.polish),
    };
    work(folder, machine, |session| {
        Run::resume(folder, continuation, replan, session)?.finish()
    })
}

/// Works on the run in `folder` until it is finished or interrupted, and prints its report.
fn work(
    folder: &Path,
    machine: &MachineOptions,
    run: impl FnOnce(&Session<'_, Lanes>) -> Result<(Report, Duration), RunError>,
) -> Result<(), Box<dyn Error>> {
    train_on(machine.threads)?;
    exit_on_signals(format!("evolve resume {}", folder.display()))?;
    let terminal = Terminal::default();
    let session = Session {
        backend: &Lanes::detect(),
        observer: &terminal,
        writing: &WRITING,
        budget: machine.budget_minutes,
    };
    let (report, time) = run(&session)?;
    drop(terminal);
    print_report(&report, time, folder);
    Ok(())
}

/// Candidates that are trained at the same time; one per core if nothing is said.
fn train_on(threads: Option<NonZeroUsize>) -> Result<(), rayon::ThreadPoolBuildError> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.map_or(0, usize::from))
        .build_global()
}

/// Has Ctrl-C and termination end the process between two writes, and say how to go on. The
/// generation that is being trained is lost, whose result would be the same again.
fn exit_on_signals(how_to_go_on: String) -> Result<(), ctrlc::Error> {
    ctrlc::set_handler(move || {
        let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        eprintln!("\nstopped; to go on: {how_to_go_on}");
        std::process::exit(INTERRUPTED);
    })
}

fn train_baseline(options: BaselineOptions) -> Result<(), Box<dyn Error>> {
    let list = LayerList::read(&options.layers)?;
    let output = options.output.clone();
    let config = options.config();
    // Before the training, not behind it.
    check_folder(&output)?;
    let terminal = Terminal::default();
    let print_epoch = |epoch, loss| {
        terminal.print_line(&format!("epoch {:>3}: loss {loss:.4}", epoch + 1));
    };
    let backend = Lanes::detect();
    let (network, report) = baseline::train(&list, &config, &backend, &terminal, print_epoch)?;
    drop(terminal);
    write_network(&network, &output)?;
    let percent = |accuracy: f64| 100.0 * accuracy;
    println!(
        "{}: {} parameters, {} MACs",
        output.display(),
        report.cost.parameters,
        report.cost.macs
    );
    println!(
        "accuracy: {:.2} % on Dtest; {:.2} % on Dval in f32, {:.2} % in Q8.8",
        percent(report.test_accuracy_f32),
        percent(report.validation_accuracy_f32),
        percent(report.validation_accuracy_fixed)
    );
    println!(
        "next: evolve run --preset approximate --seed-network {} --seed {}, with the same --data \
         and --split",
        output.display(),
        config.seed
    );
    Ok(())
}

fn describe_data(options: &DataOptions) -> Result<(), Box<dyn Error>> {
    let terminal = Terminal::default();
    let dataset = Dataset::load_or_bundled(options.folder.as_deref(), &options.images, &terminal)?;
    drop(terminal);
    if let Some(path) = &options.contact_sheet {
        write(path, &contact_sheet(&dataset))?;
    }
    if let Some(path) = &options.samples {
        write(path, &samples(&dataset))?;
    }
    print!("{}", Description::new(dataset, options.split()));
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    write_atomically(path, bytes).map_err(|error| format!("{}: {error}", path.display()))
}

fn front(folder: &Path) -> Result<(), Box<dyn Error>> {
    let lines = read_front(folder)?;
    if lines.is_empty() {
        println!("no network has reached the least acceptable accuracy (--min-accuracy) yet");
        return Ok(());
    }
    println!("    id  accuracy  parameters        MACs  arena bytes  flash bytes  layers  fitness");
    for FrontLine {
        id,
        accuracy,
        fitness,
        parameters,
        macs,
        arena_bytes,
        flash_bytes,
        layers,
    } in lines
    {
        let percent = 100.0 * accuracy;
        println!(
            "{id:>6}  {percent:>6.2} %  {parameters:>10}  {macs:>10}  {arena_bytes:>11}  \
             {flash_bytes:>11}  {layers:>6}  {fitness:>7.4}"
        );
    }
    println!();
    println!(
        "networks and blobs: {}/<id>.*",
        folder.join("front").display()
    );
    Ok(())
}

fn report(folder: &Path, output: Option<PathBuf>) -> Result<(), Box<dyn Error>> {
    let path = output.unwrap_or_else(|| folder.join("report.html"));
    write_report(folder, &path)?;
    println!("{}", path.display());
    Ok(())
}

fn compare(folders: &[PathBuf], path: &Path) -> Result<(), Box<dyn Error>> {
    for written in write_comparison(folders, path)? {
        println!("{}", written.display());
    }
    Ok(())
}

fn experiment(options: &ExperimentOptions) -> Result<(), Box<dyn Error>> {
    let ExperimentOptions {
        name,
        data,
        output,
        scale,
        threads,
    } = options;
    let experiment = Experiment::named(name)?;
    let folder = experiment.folder(output, *scale);
    train_on(*threads)?;
    exit_on_signals("the same command again".into())?;
    let terminal = Terminal::default();
    let session = Session {
        backend: &Lanes::detect(),
        observer: &terminal,
        writing: &WRITING,
        budget: None,
    };
    let outcomes = conduct(&experiment, *scale, data, &folder, &session)?;
    drop(terminal);
    let text = describe(&experiment, *scale, &outcomes, rayon::current_num_threads());
    let path = folder.join("result.md");
    write(&path, text.as_bytes())?;
    print!("{text}");
    println!("{}", path.display());
    let folders = run_folders(&experiment, *scale, &folder);
    compare(&folders, &folder.join("comparison.html"))
}

/// The first of `runs/001`, `runs/002`, … that does not exist.
fn free_folder(parent: &Path) -> Result<PathBuf, String> {
    (1..10_000)
        .map(|number| parent.join(format!("{number:03}")))
        .find(|folder| !folder.exists())
        .ok_or_else(|| format!("{}: no free name, give one with --output", parent.display()))
}

fn print_polished(lines: &[PolishedLine], folder: &Path) {
    if lines.is_empty() {
        return;
    }
    println!("polished (polished/<id>.* in {}), in %:", folder.display());
    println!("    id  parameters  Dtest before  after  Dval before  after");
    for line in lines {
        let percent = |accuracy: f64| 100.0 * accuracy;
        println!(
            "{:>6}  {:>10}  {:>12.2}  {:>5.2}  {:>11.2}  {:>5.2}",
            line.id,
            line.parameters,
            percent(line.test_accuracy),
            percent(line.polished_test_accuracy),
            percent(line.validation_accuracy),
            percent(line.polished_validation_accuracy),
        );
    }
    println!();
}

/// The most memory that this process has had at a time, images and report included; what a candidate's
/// training takes is known before it starts ([`evolve::train::workspace_bytes`]).
#[cfg(unix)]
fn peak_memory_bytes() -> Option<u64> {
    use nix::sys::resource::{UsageWho, getrusage};
    // Apple counts bytes, everybody else kilobytes.
    let unit = if cfg!(target_vendor = "apple") {
        1
    } else {
        1024
    };
    let usage = getrusage(UsageWho::RUSAGE_SELF).ok()?;
    Some(u64::try_from(usage.max_rss()).ok()? * unit)
}

#[cfg(not(unix))]
fn peak_memory_bytes() -> Option<u64> {
    None
}

fn print_report(report: &Report, time: Duration, path: &Path) {
    let [train, test, validation] = report.images;
    let folder = path.display();
    println!(
        "run {}, {}: {train} images in Dtrain, {test} in Dtest, {validation} in Dval",
        report.run, report.data
    );
    println!(
        "{} generations, {} candidates ({} diverged, {} overflowed, {} constant), seed {}, {:.1} s",
        report.generations,
        report.candidates,
        report.diverged,
        report.overflowed,
        report.constant,
        report.seed,
        time.as_secs_f64()
    );
    if let Some(bytes) = peak_memory_bytes() {
        println!("peak memory of this process: {} MiB", bytes >> 20);
    }
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
    print_polished(&report.polished, path);
    println!(
        "{} on the Pareto front: evolve front {folder}",
        match report.front {
            1 => "1 network".to_owned(),
            count => format!("{count} networks"),
        }
    );
    println!("next, to run it on an emulated Cortex-M4:");
    println!("  cargo run --release -p exporter -- export {folder}/winner.network \\");
    println!("    -o firmware-example/src/firmware/network.q88 \\");
    println!("    --rust firmware-example/src/firmware/network.rs");
    println!("  (cd firmware-example && cargo run --release)");
}
