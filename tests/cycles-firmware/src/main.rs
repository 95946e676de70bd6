//! Runs the test cases of the file `cases.bin` on an emulated core and compares their logits.
//!
//! `tests/cycles` writes the file (`tests::case_file`), and counts what happens between the markers
//! around each inference. Exit status 0 means that every case gave the expected logits.
#![no_std]
#![no_main]

mod case;
mod machine;

/// Runs all cases; the exit status.
fn run() -> usize {
    let (file, arena) = machine::memory();
    let Some(bytes) = machine::read(c"cases.bin", file) else {
        machine::print(c"cases.bin cannot be read\n");
        return 2;
    };
    let mut rest = &file[..bytes / 4];
    let mut failed = 0;
    while let Some((case, behind)) = case::Case::split(rest) {
        rest = behind;
        if case.run(arena).is_none() {
            machine::print(case.name());
            machine::print(c": wrong\n");
            failed = 1;
        }
    }
    if rest.is_empty() { failed } else { 2 }
}
