//! How a run looks while it goes on: a live view, or plain lines where there is no terminal.

use std::fmt::Write;
use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use exporter::dataset::{LoadObserver, Notice};
use indicatif::{FormattedDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::results::GenerationLine;
use crate::run::Observer;
use crate::settings::Settings;

/// How often the time left is shown anew while a candidate is in training.
const TICK: Duration = Duration::from_millis(500);

const READING: &str = "{spinner} reading the images";
const DECODING: &str = "decoding the images\n{bar:24.blue} {percent} %";
const TRAINING: &str = "{msg}\n{bar:24.blue} {pos}/{len} candidates{pace}";

/// Shows on standard error how a data set is loaded and how a run goes on.
#[derive(Debug)]
pub struct Terminal {
    bar: ProgressBar,
    generations: AtomicU32,
    start: Shared,
}

/// Where the pace is measured from; nothing before there is one.
type Shared = Arc<Mutex<Option<Start>>>;

/// Where this process began to train, or to polish.
#[derive(Clone, Copy, Debug)]
struct Start {
    time: Instant,
    /// Candidates that were done before: a resumed run reads them from its journal.
    candidates: u64,
}

impl Terminal {
    fn on(target: ProgressDrawTarget) -> Self {
        let terminal = Self {
            bar: ProgressBar::with_draw_target(Some(0), target),
            generations: AtomicU32::new(0),
            start: Shared::default(),
        };
        terminal.look(READING);
        if !terminal.bar.is_hidden() {
            terminal.bar.enable_steady_tick(TICK);
        }
        terminal
    }

    /// Prints a line that stays, above the view.
    pub fn print_line(&self, line: &str) {
        if self.bar.is_hidden() {
            eprintln!("{line}");
        } else {
            self.bar.println(line);
        }
    }

    /// Has the view look as `template` says.
    fn look(&self, template: &str) {
        let started = Arc::clone(&self.start);
        let pace = move |state: &ProgressState, text: &mut dyn Write| {
            let total = state.len().unwrap_or(0);
            if let Some(pace) = pace(&started, state.pos(), total) {
                // A view that cannot be drawn is no reason to stop a run.
                let _ = write!(text, ", {pace}");
            }
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            let style = style.progress_chars("━╸─").with_key("pace", pace);
            self.bar.set_style(style);
        }
    }

    /// Measures the pace anew, `candidates` being done.
    fn begin(&self, candidates: u64) {
        self.bar.set_position(candidates);
        let mut start = self.start.lock().unwrap_or_else(PoisonError::into_inner);
        *start = Some(Start {
            time: Instant::now(),
            candidates,
        });
    }

    fn has_begun(&self) -> bool {
        let start = self.start.lock().unwrap_or_else(PoisonError::into_inner);
        start.is_some()
    }
}

/// Candidates per minute and the time left; `None` before the first candidate.
fn pace(start: &Shared, done: u64, total: u64) -> Option<String> {
    let start = *start.lock().unwrap_or_else(PoisonError::into_inner);
    start?.pace(done, total)
}

impl Default for Terminal {
    fn default() -> Self {
        Self::on(if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        })
    }
}

impl Start {
    /// Candidates per minute since the start, and the time that the rest of `total` takes at that
    /// pace. The mean since the start is steadier than a recent one: candidates come in bursts, and
    /// their sizes differ.
    fn pace(self, done: u64, total: u64) -> Option<String> {
        let here = done.saturating_sub(self.candidates);
        if here == 0 {
            return None;
        }
        let seconds = self.time.elapsed().as_secs_f64();
        let per_minute = 60.0 * here as f64 / seconds.max(1e-3);
        let left = total.saturating_sub(done) as f64 * seconds / here as f64;
        let left = FormattedDuration(Duration::from_secs(left.ceil() as u64));
        Some(format!("{per_minute:.1} per minute, {left} left"))
    }
}

impl LoadObserver for Terminal {
    fn decoding_starts(&self, steps: usize) {
        self.bar.set_length(steps as u64);
        self.look(DECODING);
    }

    fn decoding_steps(&self) {
        self.bar.inc(1);
    }

    fn decoding_done(&self) {
        self.look(READING);
    }

    fn tell(&self, notice: &Notice) {
        self.notice(&notice.to_string());
    }
}

impl Observer for Terminal {
    fn run_starts(&self, settings: &Settings) {
        // An experiment's run after another has a pace of its own.
        *self.start.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.bar.set_position(0);
        self.bar.set_message("evaluating the initial population");
        self.look(TRAINING);
        let candidates = u64::from(settings.generations) * settings.population as u64;
        self.bar.set_length(candidates);
        self.generations
            .store(settings.generations, Ordering::Relaxed);
    }

    fn generation_starts(&self, generation: u32, candidates: usize) {
        let done = u64::from(generation - 1) * candidates as u64;
        if self.has_begun() {
            return;
        }
        self.begin(done);
        if done > 0 {
            let message = format!("going on with generation {generation}");
            self.bar.set_message(message);
        }
    }

    fn candidate_done(&self) {
        self.bar.inc(1);
    }

    fn generation_done(&self, line: &GenerationLine) {
        let generations = self.generations.load(Ordering::Relaxed);
        if self.bar.is_hidden() {
            let (done, total) = (self.bar.position(), self.bar.length().unwrap_or(0));
            let pace = pace(&self.start, done, total);
            let pace = pace.map_or(String::new(), |pace| format!(", {pace}"));
            eprintln!("{}{pace}", plain(line, generations));
        } else {
            self.bar.set_message(view(line, generations));
        }
    }

    fn polish_starts(&self, networks: usize) {
        let text = format!("polishing {networks} networks of the Pareto front");
        if self.bar.is_hidden() {
            eprintln!("{text}");
        } else {
            // Every generation is done, those too that a resumed run has only read, and a polish
            // takes another time than a candidate.
            let done = self.bar.length().unwrap_or(0);
            self.bar.inc_length(networks as u64);
            self.begin(done);
            self.bar.set_message(text);
        }
    }

    fn notice(&self, text: &str) {
        self.print_line(&format!("note: {text}"));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// A generation on several lines.
fn view(line: &GenerationLine, generations: u32) -> String {
    let best = &line.best;
    format!(
        "generation {:>3} of {generations:<3}    members by age {}\n\
         fitness    best {:.3}    median {:.3}\n\
         accuracy   fittest {:.2} %    highest {:.2} %\n\
         fittest    individual {}, {} parameters, {} MACs",
        line.generation,
        ages(line),
        best.fitness,
        line.median_fitness,
        100.0 * best.accuracy,
        100.0 * line.best_accuracy,
        best.id,
        best.parameters,
        line.best_macs,
    )
}

/// A generation on one line.
fn plain(line: &GenerationLine, generations: u32) -> String {
    let best = &line.best;
    format!(
        "generation {:>3}/{generations}: fitness {:.3} (median {:.3}), accuracy {:6.2} %, {} \
         parameters, {} MACs, ages {}",
        line.generation,
        best.fitness,
        line.median_fitness,
        100.0 * best.accuracy,
        best.parameters,
        line.best_macs,
        ages(line),
    )
}

/// `0:2 1:5`: the members of each age.
fn ages(line: &GenerationLine) -> String {
    let ages = line.ages.iter();
    let ages: Vec<String> = ages
        .map(|(age, members)| format!("{age}:{members}"))
        .collect();
    ages.join(" ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use exporter::dataset::{LoadObserver, Notice};
    use indicatif::InMemoryTerm;

    use super::*;
    use crate::select::Candidate;

    fn line() -> GenerationLine {
        GenerationLine {
            generation: 12,
            best: Candidate {
                id: 93,
                age: 3,
                fitness: 1.8732,
                accuracy: 0.984,
                parameters: 7204,
            },
            best_macs: 241_232,
            median_fitness: 1.7041,
            best_accuracy: 0.986,
            ages: BTreeMap::from([(0, 2), (3, 6)]),
            rejected: 1,
        }
    }

    #[test]
    fn the_view_shows_the_generation_and_the_pace() {
        let screen = InMemoryTerm::new(12, 90);
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let terminal = Terminal::on(target);
        terminal.run_starts(&Settings::mnist());
        // It draws when this test says so.
        terminal.bar.disable_steady_tick();
        terminal.generation_starts(13, 8);
        terminal.generation_done(&line());
        terminal.bar.tick();
        assert!(!screen.contents().contains("per minute"));
        terminal.candidate_done();
        terminal.bar.tick();
        let seen = screen.contents();
        for part in [
            "generation  12 of 20",
            "members by age 0:2 3:6",
            "best 1.873    median 1.704",
            "fittest 98.40 %    highest 98.60 %",
            "individual 93, 7204 parameters, 241232 MACs",
            "97/160 candidates, ",
            " per minute, 00:",
        ] {
            assert!(seen.contains(part), "{part} in\n{seen}");
        }
        drop(terminal);
        assert_eq!(screen.contents(), "");
    }

    #[test]
    fn the_view_shows_how_images_are_decoded() {
        let screen = InMemoryTerm::new(12, 90);
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        let terminal = Terminal::on(target);
        terminal.bar.disable_steady_tick();
        terminal.decoding_starts(4);
        terminal.decoding_steps();
        terminal.bar.tick();
        let seen = screen.contents();
        assert!(seen.contains("decoding the images"), "{seen}");
        assert!(seen.ends_with(" 25 %"), "{seen}");
        let class = "cat".to_owned();
        terminal.tell(&Notice::FewImages { class, images: 3 });
        assert!(
            screen
                .contents()
                .starts_with("note: few images of class cat")
        );
        terminal.decoding_done();
        terminal.run_starts(&Settings::mnist());
        terminal.bar.tick();
        assert!(screen.contents().contains(" 0/160 candidates"));
    }

    #[test]
    fn a_resumed_run_has_the_pace_of_this_process() {
        let minute_ago = Instant::now() - Duration::from_secs(60);
        let start = Start {
            time: minute_ago,
            candidates: 100,
        };
        assert_eq!(start.pace(100, 160), None);
        let pace = start.pace(130, 160).unwrap();
        assert!(pace.starts_with("30.0 per minute, 00:01:0"), "{pace}");
    }
}
