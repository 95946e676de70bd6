//! Generations of Algorithm 1 and of what it is compared with, with backends that do what a test
//! needs.

use evolve::cost::Limits;
use evolve::evaluate::Arithmetic;
use evolve::front::front;
use evolve::population::{Population, Record, Rejection};
use evolve::search::Search;
use evolve::settings::{Algorithm, Settings};
use evolve::space::SearchSpace;
use evolve::train::{Backend, Divergence, Epoch, Lanes, Sgd, TrainError};
use exporter::dataset::Images;
use exporter::network::{Input, Network};
use runtime_nostd::geometry::Shape;
use runtime_nostd::q8_8::Product;

/// A backend whose training is a function of the network.
struct Trainer<F>(F);

impl<F: Fn(&mut Network) -> Result<(), TrainError> + Sync> Backend for Trainer<F> {
    fn train(
        &self,
        network: &mut Network,
        _: &Images,
        _: &[u32],
        _: &Sgd,
    ) -> Result<Epoch, TrainError> {
        (self.0)(network)?;
        Ok(Epoch::default())
    }

    fn infer(
        &self,
        network: &Network,
        images: &Images,
        of: &[u32],
    ) -> Result<Vec<f32>, TrainError> {
        Lanes::detect().infer(network, images, of)
    }
}

/// 40 images of 8x8 pixels in two classes: the left or the right half is bright.
fn images() -> Images {
    let pixel = |image: usize, pixel: usize| {
        let is_bright = pixel % 8 / 4 == image % 2;
        let noise = image * 31 + pixel * 17;
        (noise % 97) as u8 + if is_bright { 90 } else { 0 }
    };
    let pixels = (0..40).flat_map(|image| (0..64).map(move |at| pixel(image, at)));
    let labels = (0..40).map(|image| image % 2).collect();
    Images::new(Shape::new(8, 8, 1), pixels.collect(), labels)
}

fn settings() -> Settings {
    let mut settings = Settings::mnist();
    settings.population = 6;
    settings.min_accuracy = 0.0;
    settings.initial.flatten_neurons = 6;
    settings.batch_size = 8;
    settings
}

/// The records of `generations` generations after the initial one, and where they lead.
fn evolve(
    settings: &Settings,
    backend: &impl Backend,
    generations: u32,
) -> (Vec<Record>, Population) {
    let input = Input {
        shape: Shape::new(8, 8, 1),
        zero: vec![50],
    };
    let classes = vec!["left".to_owned(), "right".to_owned()];
    let space = SearchSpace::new(input, classes, settings.new_layers, settings.limits).unwrap();
    let images = images();
    let search = Search {
        settings,
        space: &space,
        train: &images,
        test: &images,
        backend,
        arithmetic: Arithmetic::Fixed(Product::Exact),
        seed: 1,
        on_candidate: &|| (),
    };
    let mut records = vec![search.initial(&[]).unwrap()];
    let mut population = Population::first(&records[0]).unwrap();
    for _ in 0..generations {
        let record = search.next(&population).unwrap();
        population = population.after(&record).unwrap();
        records.push(record);
    }
    (records, population)
}

fn assert_all_rejected(record: &Record, reason: Rejection) {
    for candidate in &record.candidates {
        assert_eq!(candidate.rejection, Some(reason));
        assert_eq!(
            (candidate.candidate.fitness, candidate.candidate.accuracy),
            (0.0, 0.0)
        );
    }
    assert!(record.newcomers.is_empty());
}

#[test]
fn who_diverges_is_scored_0_and_does_not_survive() {
    let diverging = Trainer(|_: &mut Network| {
        Err(TrainError::Diverged {
            batch: 0,
            what: Divergence::Loss,
        })
    });
    for algorithm in [Algorithm::Evolution, Algorithm::RandomSearch] {
        let settings = Settings {
            algorithm,
            ..settings()
        };
        let (records, population) = evolve(&settings, &diverging, 2);
        assert_all_rejected(&records[1], Rejection::Diverged);
        let initial = Population::first(&records[0]).unwrap();
        assert_eq!(population.members, initial.members);
    }
}

#[test]
fn who_says_one_class_of_everything_is_rejected_once_trained() {
    let silencing = Trainer(|network: &mut Network| {
        let classifier = network.layers.last_mut().unwrap();
        classifier.parameters.as_mut().unwrap().weights.fill(0.0);
        Ok(())
    });
    let (records, _) = evolve(&settings(), &silencing, 1);
    assert_all_rejected(&records[1], Rejection::Constant);
    // Untrained networks may say what they like.
    let rejections = records[0]
        .candidates
        .iter()
        .filter_map(|candidate| candidate.rejection);
    assert_eq!(rejections.count(), 0);
}

#[test]
fn random_search_trains_every_network_and_selects_none() {
    let settings = Settings {
        algorithm: Algorithm::RandomSearch,
        ..settings()
    };
    let (records, population) = evolve(&settings, &Lanes::detect(), 3);
    // Some networks say one class at first, and are trained further.
    let mut candidates = records.iter().flat_map(|record| &record.candidates);
    assert!(candidates.any(|candidate| candidate.rejection == Some(Rejection::Constant)));
    let initial = Population::first(&records[0]).unwrap();
    let mut founders: Vec<u64> = population
        .members
        .iter()
        .map(|member| {
            let mut id = member.candidate.id;
            for record in records[1..].iter().rev() {
                let child = record
                    .candidates
                    .iter()
                    .find(|child| child.candidate.id == id);
                let birth = child.unwrap().birth;
                assert!(!birth.is_changed());
                id = birth.parent.unwrap();
            }
            let founder = initial
                .members
                .iter()
                .find(|member| member.candidate.id == id);
            assert_eq!(
                founder.unwrap().individual.genome.genes,
                member.individual.genome.genes
            );
            assert_ne!(
                founder.unwrap().individual.network,
                member.individual.network
            );
            id
        })
        .collect();
    founders.sort_unstable();
    assert_eq!(founders, (0..6).collect::<Vec<_>>());
}

#[test]
fn what_exceeds_a_limit_is_never_trained() {
    let roomy = evolve(&settings(), &Lanes::detect(), 6).0;
    let costs = |records: &[Record]| {
        let candidates = records.iter().flat_map(|record| record.candidates.clone());
        candidates
            .map(|candidate| candidate.cost)
            .collect::<Vec<_>>()
    };
    let most = |values: Vec<u64>| values.into_iter().max().unwrap();
    let of = |value: fn(&evolve::cost::Cost) -> u64| {
        let mut values: Vec<u64> = costs(&roomy).iter().map(value).collect();
        values.sort_unstable();
        // What half of the candidates exceed if nobody keeps them from it.
        (values[values.len() / 2], value)
    };
    let (max_parameters, parameters) = of(|cost| cost.parameters);
    let (max_macs, macs) = of(|cost| cost.macs);
    let (max_flash_bytes, flash) = of(|cost| cost.flash_bytes);
    let (max_arena_bytes, arena) = of(|cost| cost.arena_bytes);
    let unlimited = Limits::default();
    for (limits, limit, value) in [
        (
            Limits {
                max_parameters,
                ..unlimited
            },
            max_parameters,
            parameters,
        ),
        (
            Limits {
                max_macs,
                ..unlimited
            },
            max_macs,
            macs,
        ),
        (
            Limits {
                max_flash_bytes,
                ..unlimited
            },
            max_flash_bytes,
            flash,
        ),
        (
            Limits {
                max_arena_bytes,
                ..unlimited
            },
            max_arena_bytes,
            arena,
        ),
    ] {
        assert!(most(costs(&roomy).iter().map(value).collect()) > limit);
        let settings = Settings {
            limits,
            ..settings()
        };
        let (records, _) = evolve(&settings, &Lanes::detect(), 6);
        assert!(most(costs(&records).iter().map(value).collect()) <= limit);
        // They are drawn again, not left out.
        assert!(records.iter().all(|record| record.candidates.len() == 6));
    }
}

#[test]
fn the_front_is_that_of_all_candidates_and_has_their_weights() {
    let (records, population) = evolve(&settings(), &Lanes::detect(), 8);
    let kept: Vec<_> = records
        .iter()
        .flat_map(|record| &record.newcomers)
        .collect();
    let expected: Vec<_> = front(kept.iter().copied()).into_iter().cloned().collect();
    assert_eq!(population.front, expected);
    assert!(population.front.len() > 1);
    // Whoever was not kept is beaten by somebody on the front.
    for candidate in records.iter().flat_map(|record| &record.candidates) {
        let is_kept = kept
            .iter()
            .any(|member| member.candidate.id == candidate.candidate.id);
        let beats = |member: &&evolve::population::Member| {
            member.candidate.accuracy >= candidate.candidate.accuracy
                && member.cost.parameters <= candidate.cost.parameters
                && member.cost.macs <= candidate.cost.macs
                && member.cost.arena_bytes <= candidate.cost.arena_bytes
        };
        let is_beaten = population.front.iter().any(|member| beats(&member));
        assert!(is_kept || is_beaten || candidate.rejection.is_some());
    }
}
