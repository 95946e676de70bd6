//! How a run looks while it goes on: a progress bar, or plain lines where there is no terminal.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

use crate::run::{GenerationLine, Observer};

/// Shows a run on standard error.
#[derive(Debug)]
pub struct Terminal {
    bar: ProgressBar,
    generations: u32,
}

impl Terminal {
    /// A view of a run of `generations` generations of `population` candidates.
    pub fn new(generations: u32, population: usize) -> Self {
        let candidates = u64::from(generations) * population as u64;
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new(candidates)
        } else {
            ProgressBar::hidden()
        };
        let template = "{msg}\n{bar:40} {pos}/{len} candidates, {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar, generations }
    }
}

impl Observer for Terminal {
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
            self.generations,
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
