//! Where a run's networks come from, in words.

use std::fmt;

use exporter::file::to_bytes;
use exporter::network::Network;
use runtime_nostd::blob::crc32;

use crate::config::Config;
use crate::population::Member;
use crate::settings::{Polish, Settings};
use crate::split::SplitKind;

/// Names a run by everything that its search depends on, so that the same search has the same name,
/// wherever and whenever it is repeated, and however long it goes on: the checksum of its settings,
/// but for the number of generations and the polish, of its images and of its seed network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunId(u32);

impl RunId {
    /// The name of the run of `config` on images of the checksum `images`.
    pub fn new(config: &Config, images: u32, seed_network: Option<&Network>) -> Self {
        let config = Config {
            data: None,
            seed_network: None,
            settings: Settings {
                generations: 0,
                polish: Polish::default(),
                ..config.settings.clone()
            },
            ..config.clone()
        };
        let mut bytes = config.to_toml().into_bytes();
        bytes.extend(images.to_le_bytes());
        bytes.extend(seed_network.map_or(Vec::new(), to_bytes));
        Self(crc32(&bytes))
    }
}

impl fmt::Display for RunId {
    /// Eight hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// What the networks of a run have in common.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    run: RunId,
    data: String,
    split: SplitKind,
    seed: u64,
}

impl Origin {
    /// The origin of the networks of a run on the data set `data`.
    pub(crate) fn new(run: RunId, data: &str, config: &Config) -> Self {
        Self {
            run,
            data: data.into(),
            split: config.split,
            seed: config.seed,
        }
    }

    /// The run.
    pub(crate) fn run(&self) -> RunId {
        self.run
    }

    /// A member's network with its provenance.
    pub(crate) fn network_of(&self, member: &Member) -> Network {
        let Self {
            run,
            data,
            split,
            seed,
        } = self;
        let split = match split {
            SplitKind::Paper => "75/10/15 %",
            SplitKind::Official => "official split",
        };
        let mut network = member.individual.network.clone();
        network.provenance = format!(
            "evolve {}, run {run}, {data} ({split}), seed {seed}, individual {}, accuracy on Dtest {:.2} %",
            env!("CARGO_PKG_VERSION"),
            member.candidate.id,
            100.0 * member.candidate.accuracy,
        );
        network
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::options::Arguments;

    fn id(arguments: &[&str], images: u32) -> RunId {
        let arguments = ["evolve"].iter().chain(arguments);
        let config = Arguments::parse_from(arguments).run.config();
        RunId::new(&config, images, None)
    }

    #[test]
    fn a_run_is_named_by_what_its_search_depends_on() {
        let run = id(&["--data=here", "--seed=2"], 7);
        let elsewhere = ["--data=there", "--seed=2", "--generations=9", "--polish=3"];
        assert_eq!(id(&elsewhere, 7), run);
        assert_ne!(id(&["--data=here", "--seed=3"], 7), run);
        assert_ne!(id(&["--data=here", "--seed=2"], 8), run);
        assert_ne!(id(&["--data=here", "--seed=2", "--population=9"], 7), run);
    }
}
