use std::path::Path;

use super::values::parse_bytes;
use super::*;
use crate::settings::Settings;
use clap::CommandFactory as _;

fn options(arguments: &[&str]) -> RunOptions {
    let all = ["evolve"].iter().chain(arguments);
    Arguments::try_parse_from(all).unwrap().run
}

#[test]
fn the_command_line_is_consistent() {
    Arguments::command().debug_assert();
}

#[test]
fn options_override_the_preset() {
    let config = options(&[
        "--preset=cifar10",
        "--population=15",
        "--operators=0.5,0.1,0.1,0.1,0.1,0.1",
        "--initial-layers=2..4",
        "--max-arena=16K",
    ])
    .config();
    assert_eq!(config.settings.population, 15);
    assert_eq!(config.settings.initial.layers, 2..=4);
    assert_eq!(config.settings.limits.max_arena_bytes, 16384);
    assert!((config.settings.variation.operators.reset_weights - 0.5).abs() < 1e-12);
    assert_eq!(
        config.settings.min_accuracy,
        Settings::cifar10().min_accuracy
    );
}

#[test]
fn five_operators_are_not_six() {
    let arguments = ["evolve", "--operators=0.5,0.1,0.1,0.1,0.1"];
    assert!(Arguments::try_parse_from(arguments).is_err());
}

#[test]
fn the_papers_comparisons_are_options() {
    let probabilities = |arguments: &[&str]| {
        let variation = options(arguments).config().settings.variation;
        (
            variation.crossover_probability,
            variation.mutation_probability,
        )
    };
    assert_eq!(probabilities(&["--algorithm=ea1"]), (0.0, 0.0));
    assert_eq!(probabilities(&["--algorithm=ea2"]), (0.0, 0.8));
    assert_eq!(probabilities(&["--algorithm=ea3"]), (0.35, 0.5));
    let changed = ["--algorithm=ea3", "--mutation=0.6"];
    assert_eq!(probabilities(&changed), (0.35, 0.6));
}

#[test]
fn a_configuration_written_is_the_configuration_read() {
    for arguments in [
        &[][..],
        &["--preset=approximate", "--data=/cifar", "--seed-network=/a"],
        &["--algorithm=random", "--max-age=3", "--learning-rate=0.3"],
        &["--arithmetic=fp", "--split=official", "--train-share=0.25"],
        &["--product=rounded", "--replacement=elitism"],
        &["--data=/own", "--size=48x32", "--gray", "--strict"],
        &["--polish=9", "--polish-shift=2", "--polish-flip=horizontal"],
    ] {
        let config = options(arguments).config();
        let text = toml::to_string(&RunOptions::from(&config)).unwrap();
        assert_eq!(RunOptions::from_toml(&text).unwrap().config(), config);
    }
}

#[test]
fn the_command_line_takes_precedence_over_the_file() {
    let file = RunOptions::from_toml("preset = \"cifar10\"\nseed = 7\npopulation = 9");
    let arguments = options(&["--seed=8", "--output=there"]).or(&file.unwrap());
    assert_eq!(arguments.output.as_deref(), Some(Path::new("there")));
    let config = arguments.config();
    assert_eq!((config.seed, config.settings.population), (8, 9));
    assert_eq!(
        config.settings.new_layers.max_filters,
        Settings::cifar10().new_layers.max_filters
    );
}

#[test]
fn image_options_come_from_both() {
    let file = RunOptions::from_toml("data = \"/own\"\nsize = \"48x32\"\ngray = true").unwrap();
    let images = options(&["--size=24x16"]).or(&file).config().images;
    assert_eq!(images.size.unwrap().to_string(), "24x16");
    assert!(images.gray && !images.strict);
    let error = RunOptions::from_toml("size = \"large\"").unwrap_err();
    assert!(
        error.to_string().contains("\"large\" is no size"),
        "{error}"
    );
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest_one() {
    let error = RunOptions::from_toml("generation = 20").unwrap_err();
    assert_eq!(
        error.to_string(),
        "there is no key \"generation\"; did you mean \"generations\"?"
    );
    let error = RunOptions::from_toml("size_weight = 1.0").unwrap_err();
    assert!(error.to_string().contains("\"size-weight\""));
    // Where a run is written says the command line alone.
    assert!(RunOptions::from_toml("output = \"there\"").is_err());
}

#[test]
fn a_wrong_value_is_refused_with_its_line() {
    let error = RunOptions::from_toml("seed = 1\nepochs = \"many\"").unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
    let error = RunOptions::from_toml("initial-layers = \"few\"").unwrap_err();
    assert!(
        error.to_string().contains("\"few\" is no number"),
        "{error}"
    );
}

#[test]
fn sizes_have_units() {
    assert_eq!(parse_bytes("100"), Ok(100));
    assert_eq!(parse_bytes("64K"), Ok(65536));
    assert_eq!(parse_bytes("1M"), Ok(1 << 20));
    for wrong in ["", "K", "1.5M", "64k", "99999999999999M"] {
        assert!(parse_bytes(wrong).is_err(), "{wrong}");
    }
}
