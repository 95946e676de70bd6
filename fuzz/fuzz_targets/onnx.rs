//! Any bytes are no ONNX model, or become a network that can be written and read again.

#![no_main]

use exporter::onnx::{Normalization, export, import};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let normalization = Normalization::default();
    if let Ok(imported) = import(bytes, &normalization) {
        let model = export(&imported.network).expect("an imported network is in order");
        let again = import(&model, &normalization).expect("what is exported can be imported");
        assert_eq!(again.network.layers.last().map(|layer| layer.op), {
            imported.network.layers.last().map(|layer| layer.op)
        });
    }
});
