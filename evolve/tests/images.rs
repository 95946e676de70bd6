//! Runs on folders of image files, as a user starts them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use exporter::file::read_network;
use exporter::write::Blob;
use image::{Rgb, RgbImage};
use tempfile::TempDir;

/// Images of 8x8 pixels in red, green and blue with some noise; `files` of each class.
fn own_images(files: u32) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("colors");
    for (channel, class) in ["red", "green", "blue"].into_iter().enumerate() {
        fs::create_dir_all(root.join(class)).unwrap();
        for file in 0..files {
            let image = RgbImage::from_fn(8, 8, |x, y| {
                let noise = ((x * 31 + y * 17 + file * 7) % 97) as u8;
                let mut pixel = [noise; 3];
                pixel[channel] += 120;
                Rgb(pixel)
            });
            let extension = ["png", "bmp"][file as usize % 2];
            image
                .save(root.join(class).join(format!("{file}.{extension}")))
                .unwrap();
        }
    }
    (folder, root)
}

fn evolve(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_evolve"))
        .args(arguments)
        .output()
        .unwrap()
}

/// What a successful command prints, and what it notes.
fn printed(arguments: &[&str]) -> (String, String) {
    let output = evolve(arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{arguments:?}: {errors}");
    (String::from_utf8(output.stdout).unwrap(), errors)
}

fn refused(arguments: &[&str]) -> String {
    let output = evolve(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn an_evolution_on_own_images() {
    let (folder, root) = own_images(20);
    let run = |name: &str| {
        let run = folder.path().join(name);
        printed(&[
            "--data",
            text(&root),
            "--size=10x6",
            "--output",
            text(&run),
            "--population=4",
            "--generations=2",
            "--initial-layers=1..2",
            "--flatten-neurons=4",
            "--min-accuracy=0.2",
        ]);
        run
    };
    let first = run("first");
    let config = fs::read_to_string(first.join("config.toml")).unwrap();
    assert!(config.contains("size = \"10x6\"\n"), "{config}");

    let network = read_network(&first.join("winner.network")).unwrap();
    assert_eq!(network.classes, ["blue", "green", "red"]);
    assert_eq!(network.input.shape.to_string(), "6x10x3");
    let blob = Blob::read(&first.join("winner.q88")).unwrap();
    assert_eq!(blob.model().unwrap().input(), network.input.shape);
    let module = fs::read_to_string(first.join("winner.rs")).unwrap();
    assert!(
        module.contains(r#"= ["blue", "green", "red"];"#),
        "{module}"
    );

    // Decoded anew, the images are the same.
    fs::remove_file(root.join(".ea4cnn-cache")).unwrap();
    let second = run("second");
    for file in ["winner.network", "winner.q88"] {
        let bytes = |run: &Path| fs::read(run.join(file)).unwrap();
        assert!(bytes(&first) == bytes(&second), "{file} differs");
    }
    // A resumed run reads them with the same options.
    printed(&["resume", text(&first), "--generations=3"]);
    fs::remove_file(root.join("red/0.png")).unwrap();
    let message = refused(&["resume", text(&first), "--generations=4"]);
    assert!(
        message.contains("the images of colors have changed"),
        "{message}"
    );
}

#[test]
fn a_data_set_is_described() {
    let (folder, root) = own_images(8);
    fs::write(root.join("red/9.png"), "no image").unwrap();
    let (sheet, samples) = (folder.path().join("sheet.png"), folder.path().join("raw"));
    let (described, notes) = printed(&[
        "data",
        text(&root),
        "--gray",
        "--contact-sheet",
        text(&sheet),
        "--samples",
        text(&samples),
    ]);
    assert!(
        described.starts_with("colors: images of 8x8x1\n"),
        "{described}"
    );
    assert!(
        described.contains("\nblue          8         8         0         6         1         1\n"),
        "{described}"
    );
    assert!(
        notes.contains("1 file\n  red/9.png: no PNG, JPEG or BMP file\n"),
        "{notes}"
    );
    assert!(
        notes.contains("note: few images of class red, 8 in number"),
        "{notes}"
    );
    assert!(image::open(&sheet).unwrap().height() > 3 * 64);
    assert_eq!(fs::read(&samples).unwrap().len(), 3 * 64);

    let message = refused(&["data", text(&root), "--strict"]);
    assert!(message.contains("--strict refuses 1 file"), "{message}");
    let (bundled, _) = printed(&["data", "--split=official"]);
    assert!(
        bundled.contains("\nall        6000      5000      1000      4413       587      1000\n")
    );
}

#[test]
fn what_cannot_be_divided_or_read_is_said() {
    let (_folder, root) = own_images(12);
    let message = refused(&[
        "--data",
        text(&root),
        "--split=official",
        "--output=/dev/null/x",
    ]);
    assert!(
        message.contains("the data set has no test images of its own"),
        "{message}"
    );
    let message = refused(&["--gray", "--output=/dev/null/x"]);
    assert!(
        message.contains("the bundled MNIST subset: holds IDX files"),
        "{message}"
    );
}
