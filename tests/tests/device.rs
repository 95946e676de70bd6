//! The emulated device and the host give the same bits.
//!
//! Run with `tests/run`, or `cargo test -p tests --features device`: building for the device takes more
//! than Rust and a host, see `tests/toolchain`.

use elf::ElfBytes;
use elf::endian::AnyEndian;
use exporter::dataset::Dataset;
use exporter::device::{BOARDS, CORTEX_M4, Device, DeviceError, MACHINES, Machine};
use exporter::write::{Blob, write};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use runtime_nostd::blob::ARITHMETIC_VERSION;
use tests::{firmware_folder, random_network};

const NETWORKS: usize = 64;
const IMAGES: u64 = 4;

/// The network in the firmware's flash.
const EXAMPLE: &[u8] = include_bytes!("../../firmware-example/src/firmware/network.q88");

#[test]
fn random_networks_give_the_same_logits() {
    let device = Device::build(CORTEX_M4, firmware_folder()).expect("the firmware builds");
    let mut runner = TestRunner::deterministic();
    for _ in 0..NETWORKS {
        let network = random_network::networks()
            .new_tree(&mut runner)
            .expect("the strategy rejects nothing")
            .current();
        let blob = write(&network).expect("random networks are within bounds");
        let images: Vec<u8> = (0..IMAGES)
            .flat_map(|seed| random_network::pixels(network.input.shape, seed))
            .collect();
        assert_same_logits(&device, &blob, &images);
    }
}

#[test]
fn digits_give_the_same_logits() {
    let device = Device::build(CORTEX_M4, firmware_folder()).expect("the firmware builds");
    let digits = Dataset::bundled().test;
    let images: Vec<u8> = (0..digits.len())
        .flat_map(|index| digits.pixels(index))
        .copied()
        .collect();
    assert_same_logits(&device, &Blob::from_bytes(EXAMPLE), &images);
}

#[test]
fn the_demo_counts_instructions_on_every_machine() {
    let blob = Blob::from_bytes(EXAMPLE);
    let macs = blob.model().expect("the example is whole").macs();
    for machine in MACHINES {
        assert_demo_counts(machine, macs);
    }
}

fn assert_demo_counts(machine: Machine, macs: u64) {
    let device = Device::build(machine, firmware_folder()).expect("the firmware builds");
    let printed = device.demo().expect("the demo ends");
    assert!(printed.contains("self-test: 2 images"), "{printed}");
    let counts: Vec<u64> = printed
        .lines()
        .filter(|line| line.contains("  logits "))
        .map(|line| {
            let count = line.split_whitespace().nth(2).expect("a column");
            count.parse().expect("a count, not `-`")
        })
        .collect();
    assert_eq!(counts.len(), 10, "{printed}");
    // A pair of products takes at least one instruction.
    assert!(counts.iter().all(|&count| count > macs / 2), "{printed}");

    let (_, layers) = printed.split_once("\nlayer ").expect("a second table");
    let layers: u64 = layers
        .lines()
        .skip(1)
        .map(|line| {
            let count = line.split_whitespace().nth_back(1).expect("a column");
            count.parse::<u64>().expect("a count, not `-`")
        })
        .sum();
    // The rest is what runs between the layers.
    let whole = counts[0];
    assert!((whole * 9 / 10..=whole).contains(&layers), "{printed}");
}

#[test]
fn the_version_of_the_arithmetic_is_a_symbol_of_the_firmware() {
    let device = Device::build(CORTEX_M4, firmware_folder()).expect("the firmware builds");
    let elf = device.elf().expect("cargo says where it is");
    let elf = ElfBytes::<AnyEndian>::minimal_parse(&elf).expect("an ELF file");
    let (symbols, names) = elf
        .symbol_table()
        .expect("a whole table")
        .expect("symbols are kept");
    let symbol = symbols
        .iter()
        .find(|symbol| {
            let name = names.get(symbol.st_name as usize);
            name.is_ok_and(|name| name == "EA4CNN_ARITHMETIC_VERSION")
        })
        .expect("the symbol");
    let section = elf
        .section_headers()
        .expect("section headers")
        .get(symbol.st_shndx.into())
        .expect("the symbol's section");
    let (bytes, _) = elf.section_data(&section).expect("its bytes");
    let at = (symbol.st_value - section.sh_addr) as usize;
    assert_eq!(bytes[at..at + 2], ARITHMETIC_VERSION.to_le_bytes());
}

#[test]
fn the_firmware_builds_for_real_boards() {
    for board in BOARDS {
        Device::build(board, firmware_folder()).expect("the firmware builds");
    }
}

#[test]
fn refusals_say_why() {
    let device = Device::build(CORTEX_M4, firmware_folder()).expect("the firmware builds");
    let refusal = |blob: &[u8], images: &[u8]| match device.logits(blob, images) {
        Err(DeviceError::Failed { message, .. }) => message,
        other => panic!("not refused: {other:?}"),
    };
    let mut changed = EXAMPLE.to_vec();
    changed[EXAMPLE.len() / 2] ^= 1;
    let message = refusal(&changed, &[0; 784]);
    assert!(message.contains("network in flash: "), "{message}");
    let message = refusal(EXAMPLE, &[0; 785]);
    assert!(
        message.contains("images.raw: not a whole number"),
        "{message}"
    );
}

fn assert_same_logits(device: &Device, blob: &Blob, images: &[u8]) {
    let model = blob.model().expect("a blob that parses");
    let mut scratch = vec![0; model.arena_bytes() / 4];
    let host: Vec<i32> = images
        .chunks(model.input().elements())
        .flat_map(|pixels| {
            let logits = model.infer(&mut scratch, pixels).expect("lengths fit");
            logits.raw().to_vec()
        })
        .collect();
    let device = device.logits(blob.as_bytes(), images);
    assert_eq!(device.expect("the device runs it"), host);
}
