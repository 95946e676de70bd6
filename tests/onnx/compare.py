"""Compares the exporter with ONNX Runtime on test images. Called by tests/onnx-peers.

    compare.py EXPORTER [DATA]

For every model of this folder: ONNX Runtime's logits of the model itself and of the imported network's export
in f32 must agree to 1e-4 of the largest, and those of the export in integers must be the blob's, bit for
bit. The latter for every evolved network in tests/networks, too.
"""

import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

HERE = Path(__file__).parent
IMAGES = 1000
CIFAR = (["--mean", ",".join(repr(m / 255) for m in (125, 123, 114)), "--std", "0.25"], "cifar-10-batches-bin")
MODELS = {
    "lenet-mnist": (["--mean", "0.1307", "--std", "0.3081"], "mnist"),
    "resnet-cifar10": CIFAR,
    "resnet-cifar10-norm": CIFAR,
    "mobilenet-mnist": ([], "mnist"),
    "average-mnist": ([], "mnist"),
    "keras-mnist": ([], "mnist"),
    "keras-cifar10": (["--pixel-range", "byte"], "cifar-10-batches-bin"),
    "keras-cifar10-nchw": (["--pixel-range", "byte"], "cifar-10-batches-bin"),
}


def run(*command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def golden(blob, shape, classes):
    """The images in a blob, and its logits (FORMAT.md, section GOLD)."""
    parameters, length = struct.unpack_from("<2I", blob, 24)
    at = parameters + length
    while blob[at : at + 4] != b"GOLD":
        at += 8 + (struct.unpack_from("<I", blob, at + 4)[0] + 3) // 4 * 4
    count = struct.unpack_from("<I", blob, at + 8)[0]
    logits = np.frombuffer(blob, "<i4", count * classes, at + 12).reshape(count, classes)
    pixels = np.frombuffer(blob, np.uint8, count * np.prod(shape), at + 12 + logits.nbytes)
    return pixels.reshape(count, *shape), logits


def evaluate(path, images):
    """What the model says of images, `[n, rows, columns, channels]`, which are transposed if it wants that."""
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    image = session.get_inputs()[0]
    if image.shape[1:] != list(images.shape[1:]):
        images = np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return session.run(None, {image.name: images})[0]


def exported(exporter, network, folder, data):
    """The images of a blob, its logits, and the paths of both exports."""
    blob, integer, single = folder / "blob.q88", folder / "integer.onnx", folder / "single.onnx"
    where = ["--data", data] if data else []
    count = IMAGES if data else 500
    run(exporter, "export", network, "--output", blob, "--golden", count, *where)
    run(exporter, "export-onnx", network, "--integer", "--output", integer)
    run(exporter, "export-onnx", network, "--output", single)
    model = onnx.load(integer)
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim[1:]]
    classes = model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
    return *golden(blob.read_bytes(), shape, classes), integer, single


def check_bits(name, integer, images, logits):
    found = evaluate(integer, images)
    assert found.dtype == np.int32
    different = np.count_nonzero(found != logits)
    print(f"{name}: {len(images)} images, {different} of {logits.size} integer logits differ", flush=True)
    return different == 0


def normalized(images, options):
    option = dict(zip(options[::2], options[1::2]))
    values = lambda key, absent: np.array([float(v) for v in option.get(key, absent).split(",")], np.float32)
    pixels = images.astype(np.float32) / (1 if "--pixel-range" in option else 255)
    return (pixels - values("--mean", "0")) / values("--std", "1")


def logits_of(output):
    """A softmax's logarithm differs from its logits by a constant."""
    return np.log(output) if np.allclose(output.sum(axis=1), 1) else output


def centered(logits):
    return logits - logits.mean(axis=1, keepdims=True)


def main(exporter, data):
    good = True
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        for name, (options, part) in MODELS.items():
            if not data and part != "mnist":
                print(f"{name}: skipped, give DATA with {part}")
                continue
            network = folder / "model.network"
            run(exporter, "import", HERE / f"{name}.onnx", "--output", network, *options)
            where = data / part if data else None
            images, logits, integer, single = exported(exporter, network, folder, where)
            good &= check_bits(name, integer, images, logits)
            model = logits_of(evaluate(HERE / f"{name}.onnx", normalized(images, options)))
            ours = evaluate(single, images)
            difference = np.abs(centered(model) - centered(ours)).max() / np.abs(centered(model)).max()
            agree = np.mean(logits.argmax(1) == model.argmax(1))
            print(f"    f32 export: {difference:.1e} of the largest logit; Q8.8: {100 * agree:.1f} % the same class")
            good &= difference < 1e-4
        for network in sorted((HERE.parent / "networks").glob("*.network")):
            images, logits, integer, _ = exported(exporter, network, folder, data / "mnist" if data else None)
            good &= check_bits(network.name, integer, images, logits)
    return good


if __name__ == "__main__":
    sys.exit(0 if main(Path(sys.argv[1]), Path(sys.argv[2]) if sys.argv[2:] else None) else 1)
