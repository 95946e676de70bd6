//! Reports and comparisons of real, tiny runs: what they say, and how a browser takes them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// Browsers that are looked for.
const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// An IDX file of bytes.
fn idx(dimensions: &[u32], bytes: &[u8]) -> Vec<u8> {
    let magic = [0, 0, 8, dimensions.len() as u8];
    let dimensions = dimensions.iter().flat_map(|extent| extent.to_be_bytes());
    magic
        .into_iter()
        .chain(dimensions)
        .chain(bytes.iter().copied())
        .collect()
}

/// A data set of 8x8 images in three classes: stripes across, stripes down, and neither.
fn data(folder: &Path) -> PathBuf {
    let data = folder.join("stripes");
    fs::create_dir(&data).unwrap();
    for (part, count) in [("train", 90_u32), ("t10k", 30)] {
        let pixels: Vec<u8> = (0..count)
            .flat_map(|image| (0..64_u32).map(move |pixel| (image, pixel)))
            .map(|(image, pixel)| {
                let noise = (image * 64 + pixel).wrapping_mul(2_654_435_761) >> 26;
                let is_bright = match image % 3 {
                    0 => pixel / 8 % 2 == 0,
                    1 => pixel % 2 == 0,
                    _ => noise % 2 == 0,
                };
                noise as u8 + if is_bright { 120 } else { 0 }
            })
            .collect();
        let labels: Vec<u8> = (0..count).map(|image| (image % 3) as u8).collect();
        fs::write(
            data.join(format!("{part}-images-idx3-ubyte")),
            idx(&[count, 8, 8], &pixels),
        )
        .unwrap();
        fs::write(
            data.join(format!("{part}-labels-idx1-ubyte")),
            idx(&[count], &labels),
        )
        .unwrap();
    }
    data
}

/// What `evolve` prints; it must succeed.
fn evolve(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_evolve"))
        .args(arguments)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// A finished run of three generations.
fn run(folder: &Path, data: &Path, name: &str, options: &[&str]) -> PathBuf {
    let run = folder.join(name);
    let mut arguments = vec!["--data", data.to_str().unwrap()];
    arguments.extend(["--output", run.to_str().unwrap()]);
    arguments.extend(["--population=6", "--generations=3", "--initial-layers=1..2"]);
    arguments.extend(["--flatten-neurons=5", "--min-accuracy=0.2"]);
    arguments.extend(options);
    evolve(&arguments);
    run
}

fn report(run: &Path) -> String {
    let path = evolve(&["report", run.to_str().unwrap()]);
    fs::read_to_string(path.trim_end()).unwrap()
}

#[test]
fn a_report_tells_what_the_run_was() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let run = run(folder.path(), &data, "a <run> & more", &["--seed=7"]);
    let page = report(&run);

    assert!(page.contains("<h1>Run a &lt;run&gt; &amp; more</h1>"));
    assert!(!page.contains("<run>"));
    assert!(page.contains("seed 7. 3 generations, finished: 18 candidates trained"));
    let results = fs::read_to_string(run.join("report.json")).unwrap();
    let results: serde_json::Value = serde_json::from_str(&results).unwrap();
    let winner = &results["winner"];
    // The mistakes are counted anew, from the blob and the images: both must come to the same.
    let accuracy = format!("{:.2}\u{a0}%", 100.0 * winner["accuracy"].as_f64().unwrap());
    assert!(page.contains(&format!(" are wrong, {accuracy} right.")));
    assert!(page.contains(&format!("<dd>{}</dd>", winner["parameters"])));
    assert!(page.contains(&format!("#{} · gen. ", winner["id"])));
    // The same arena from geometry alone and from the exported network.
    let arena = &results["arena_bytes"];
    assert!(page.contains(&format!("<dt>RAM (arena)</dt><dd>{arena} B</dd>")));
    assert!(page.contains(&format!("<strong>{arena}</strong> bytes of RAM")));
    for row in [
        "MO1 weight reset",
        "MO6 modify the learning rate",
        "crossover",
    ] {
        assert!(page.contains(row), "{row}");
    }
    // What the blob's layers compute with.
    assert!(page.contains("images of Dtest. A bar stands for a power of two"));
    assert!(page.contains("<td>0 of "));
    // It refers to nothing outside of itself.
    let outside = page.replace("http://www.w3.org/2000/svg", "");
    for reference in ["http:", "https:", "src=\"/", "<script", "@import", "url("] {
        assert!(!outside.contains(reference), "{reference}");
    }
    assert_eq!(page, report(&run), "the same run, another report");
}

#[test]
fn a_run_that_goes_on_has_a_report_too() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let run = run(folder.path(), &data, "run", &[]);
    // As if the last generation were being written just now.
    let journal = fs::read(run.join("journal")).unwrap();
    fs::write(run.join("journal"), &journal[..journal.len() - 1]).unwrap();
    fs::remove_file(run.join("report.json")).unwrap();
    fs::remove_dir_all(&data).unwrap();
    let page = report(&run);
    assert!(page.contains("Not finished: 2 of 3 generations."));
    assert!(!page.contains("accuracy on Dval"));
    // Without its images, a section is missing and the page says why.
    assert!(page.contains("Not available: "));
    assert!(!page.contains("Confusion matrix"));
    let unchanged = fs::read(run.join("journal")).unwrap();
    assert_eq!(unchanged.len(), journal.len() - 1);
}

#[test]
fn runs_that_differ_in_their_seed_are_one_group() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let runs = [
        run(folder.path(), &data, "a", &["--seed=1"]),
        run(folder.path(), &data, "b", &["--seed=2"]),
        run(folder.path(), &data, "c", &["--replacement=elitism"]),
    ];
    let page = folder.path().join("overlay.html");
    let mut arguments = vec!["compare", "--output", page.to_str().unwrap()];
    arguments.extend(runs.iter().map(|run| run.to_str().unwrap()));
    evolve(&arguments);

    let html = fs::read_to_string(&page).unwrap();
    assert!(html.contains("3 runs in 2 groups."));
    let csv = fs::read_to_string(page.with_extension("csv")).unwrap();
    let lines: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    // A title and four generations of each group.
    assert_eq!(lines.len(), 1 + 2 * 4);
    assert!(lines.iter().all(|line| line.len() == lines[0].len()));
    let mean: f64 = lines[4][3].parse().unwrap();
    let accuracies = runs[..2].iter().map(|run| {
        let lines = fs::read_to_string(run.join("generations.jsonl")).unwrap();
        let last: serde_json::Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
        last["best_accuracy"].as_f64().unwrap()
    });
    assert!((mean - accuracies.sum::<f64>() / 2.0).abs() < 1e-12);
    assert_eq!(lines[4][2], "2");
    assert_eq!(lines[8][4], "", "one run has no deviation");
}

#[test]
fn a_folder_without_a_run_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_evolve"))
        .arg("report")
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(folder.path().to_str().unwrap()), "{error}");
}

/// What a browser writes to its console with `page` open in a window of `width` pixels, and a
/// screenshot.
fn browse(browser: &str, page: &Path, width: u32) -> (Vec<String>, Vec<u8>) {
    let profile = tempfile::tempdir().unwrap();
    let screenshot = profile.path().join("page.png");
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
        ])
        // No name leads anywhere: whatever is asked for outside of the file is an error.
        .args([
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--enable-logging=stderr",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--window-size={width},4000"))
        .arg(format!("--screenshot={}", screenshot.display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    let console = log.lines().filter(|line| line.contains("CONSOLE"));
    let console = console.map(str::to_owned).collect();
    (console, fs::read(&screenshot).expect(&log))
}

/// Distinct colors of a PNG.
fn colors(png: &[u8]) -> usize {
    let mut reader = png::Decoder::new(std::io::Cursor::new(png))
        .read_info()
        .unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let mut colors: Vec<&[u8]> = pixels.chunks_exact(info.color_type.samples()).collect();
    colors.sort_unstable();
    colors.dedup();
    colors.len()
}

/// A copy of a page that tells the console how wide it is, and how many of its images are broken.
fn with_probe(page: &Path, folder: &TempDir) -> PathBuf {
    let html = fs::read_to_string(page).unwrap();
    let html = html.replacen("default-src", "script-src 'unsafe-inline'; default-src", 1);
    let probe = "<script>addEventListener('load', () => { \
        const broken = [...document.images].filter(image => image.naturalWidth == 0).length; \
        console.log(`probe ${innerWidth} ${document.documentElement.scrollWidth} ${broken}`); \
        })</script></body>";
    let path = folder.path().join("probe.html");
    fs::write(&path, html.replacen("</body>", probe, 1)).unwrap();
    path
}

#[test]
fn browsers_show_the_pages_without_an_error() {
    let is_there = |browser: &&str| Command::new(browser).arg("--version").output().is_ok();
    let Some(browser) = BROWSERS.into_iter().find(is_there) else {
        eprintln!("skipped: none of {BROWSERS:?} is installed");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path());
    let run = run(folder.path(), &data, "run", &[]);
    evolve(&["report", run.to_str().unwrap()]);
    let overlay = folder.path().join("overlay.html");
    let arguments = ["compare", run.to_str().unwrap(), "--output"];
    evolve(&[&arguments[..], &[overlay.to_str().unwrap()]].concat());

    for page in [run.join("report.html"), overlay] {
        for width in [1280, 390] {
            let (console, screenshot) = browse(browser, &page, width);
            assert_eq!(console, Vec::<String>::new(), "{}", page.display());
            assert!(colors(&screenshot) > 50, "{} is blank", page.display());

            let (console, _) = browse(browser, &with_probe(&page, &folder), width);
            let probe = console.iter().find_map(|line| line.split_once("probe "));
            let (_, probe) = probe.expect("the probe reaches the console");
            let numbers = probe.split(|c: char| !c.is_ascii_digit());
            let numbers: Vec<u32> = numbers.filter_map(|text| text.parse().ok()).collect();
            let [window, content, broken] = numbers[..3] else {
                panic!("{probe}");
            };
            // Tables scroll in their own boxes, the page as a whole never does.
            assert!(content <= window, "{}: {probe}", page.display());
            assert_eq!(broken, 0);
        }
    }
}
