//! How a run looks while it goes on: a progress bar, or plain lines where there is no terminal.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU32, Ordering};

use indicatif::{ProgressBar, ProgressStyle};

use crate::results::GenerationLine;
use crate::run::Observer;
use crate::settings::Settings;

/// Shows a run on standard error.
#[derive(Debug)]
pub struct Terminal {
    bar: ProgressBar,
    generations: AtomicU32,
}

impl Default for Terminal {
    fn default() -> Self {
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new(0)
        } else {
            ProgressBar::hidden()
        };
        let template = "{msg}\n{bar:40} {pos}/{len} candidates, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self {
            bar,
            generations: AtomicU32::new(0),
        }
    }
}

impl Observer for Terminal {
    fn run_starts(&self, settings: &Settings) {
        let candidates = u64::from(settings.generations) * settings.population as u64;
        self.bar.set_length(candidates);
        self.generations
            .store(settings.generations, Ordering::Relaxed);
    }

    fn generation_starts(&self, generation: u32, candidates: usize) {
        let done = u64::from(generation - 1) * candidates as u64;
        if self.bar.position() < done {
            // A resumed run: what the journal holds took no time now.
            self.bar.set_position(done);
            self.bar.reset_eta();
        }
    }

    fn candidate_done(&self) {
        self.bar.inc(1);
    }

    fn generation_done(&self, line: &GenerationLine) {
        let text = format!(
            "generation {:>3}/{}: best fitness {:.3}, accuracy {:6.2} %, {} parameters, {} MACs",
            line.generation,
            self.generations.load(Ordering::Relaxed),
            line.best.fitness,
            100.0 * line.best.accuracy,
            line.best.parameters,
            line.best_macs,
        );
        if self.bar.is_hidden() {
            eprintln!("{text}");
        } else {
            self.bar.set_message(text);
        }
    }

    fn polish_starts(&self, networks: usize) {
        let text = format!("polishing {networks} networks of the Pareto front");
        if self.bar.is_hidden() {
            eprintln!("{text}");
        } else {
            self.bar.inc_length(networks as u64);
            self.bar.set_message(text);
        }
    }

    fn notice(&self, text: &str) {
        if self.bar.is_hidden() {
            eprintln!("note: {text}");
        } else {
            self.bar.println(format!("note: {text}"));
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
