"""Trains the Keras models of this folder and writes them, with reference logits by ONNX Runtime.

    make-keras-models.py DATA WEIGHTS [MODEL...]

DATA holds mnist/ (IDX) and cifar-10-batches-bin/, WEIGHTS keeps trained weights. Needs tensorflow, tf2onnx,
onnx and onnxruntime. A training takes a minute or two. The files are fixtures: another version of Keras trains
other weights.
"""

import struct
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
import tf2onnx
from tensorflow.keras import layers

HERE = Path(__file__).parent
REFERENCE_IMAGES = 8


def flat():
    """A map of several channels and pixels flattened: the order of the features is Keras' own, channels last."""
    return tf.keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.MaxPooling2D(),
            layers.Conv2D(12, 3, use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(),
            layers.Flatten(),
            layers.Dense(32, activation="relu"),
            layers.Dropout(0.1),
            layers.Dense(10, activation="softmax"),
        ]
    )


def separable(filters, stride):
    """As in Keras' MobileNet: where the stride is 2, rows and columns are added at the end only."""
    padding = [] if stride == 1 else [layers.ZeroPadding2D(((0, 1), (0, 1)))]
    return [
        *padding,
        layers.DepthwiseConv2D(3, stride, "same" if stride == 1 else "valid", use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(6.0),
        layers.Conv2D(filters, 1, use_bias=False),
        layers.BatchNormalization(),
        layers.ReLU(6.0),
    ]


def mobile():
    """Depthwise separable convolutions with ReLU6, and a mean over rows and columns; it normalizes pixels itself."""
    return tf.keras.Sequential(
        [
            layers.Input((32, 32, 3)),
            layers.Rescaling(1 / 64, offset=-2),
            layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(),
            layers.ReLU(6.0),
            *separable(16, 1),
            *separable(32, 2),
            *separable(32, 1),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10),
        ]
    )


def mnist(folder, part):
    read = lambda kind, offset: np.fromfile(folder / "mnist" / f"{part}-{kind}", np.uint8)[offset:]
    return read("images-idx3-ubyte", 16).reshape(-1, 28, 28, 1), read("labels-idx1-ubyte", 8)


def cifar(folder, part):
    names = ["test_batch"] if part == "t10k" else [f"data_batch_{i}" for i in range(1, 6)]
    parts = [np.fromfile(folder / "cifar-10-batches-bin" / f"{name}.bin", np.uint8) for name in names]
    records = np.concatenate(parts).reshape(-1, 3073)
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 0]


# Architecture, data, scale of the pixels, epochs, operator set, whether the image's channels come first.
MODELS = {
    "keras-mnist": (flat, mnist, 1 / 255, 2, 13, False),
    "keras-cifar10": (mobile, cifar, 1, 4, 18, False),
    # The same weights in the oldest operator set that is read.
    "keras-cifar10-nchw": (mobile, cifar, 1, 4, 9, True),
}


def train(model, images, labels, scale, epochs):
    steps = epochs * (len(images) // 64)
    rate = tf.keras.optimizers.schedules.CosineDecay(4e-3, steps)
    from_logits = model.layers[-1].activation is not tf.keras.activations.softmax
    loss = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=from_logits)
    model.compile(tf.keras.optimizers.Adam(rate), loss)
    model.fit(images.astype(np.float32) * scale, labels, batch_size=64, epochs=epochs, verbose=0)


def logits(session, pixels, scale):
    """What a softmax computed is as good as the logits: its logarithm differs from them by a constant."""
    image = session.get_inputs()[0]
    x = pixels.astype(np.float32) * np.float32(scale)
    if image.shape[1:] != list(pixels.shape[1:]):
        x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    output = session.run(None, {image.name: x})[0]
    return np.log(output) if np.allclose(output.sum(axis=1), 1) else output


def write_reference(path, pixels, logits):
    """Images, bytes of one, classes, all u32; the pixels, HWC; the logits, f32."""
    header = struct.pack("<3I", len(pixels), pixels[0].size, logits.shape[1])
    path.write_bytes(header + pixels.tobytes() + logits.astype("<f4").tobytes())


def make(name, data_folder, weights_folder):
    architecture, data, scale, epochs, operator_set, channels_first = MODELS[name]
    tf.keras.utils.set_random_seed(1)
    model = architecture()
    weights = weights_folder / f"{name.removesuffix('-nchw')}.weights.h5"
    if weights.exists():
        model.load_weights(weights)
    else:
        images, labels = data(data_folder, "train")
        train(model, images, labels, scale, epochs)
        weights_folder.mkdir(exist_ok=True)
        model.save_weights(weights)
    images, labels = data(data_folder, "t10k")
    path = HERE / f"{name}.onnx"
    signature = [tf.TensorSpec((None, *model.input_shape[1:]), tf.float32, name="image")]
    tf2onnx.convert.from_function(
        tf.function(lambda image: model(image, training=False), input_signature=signature),
        input_signature=signature,
        opset=operator_set,
        inputs_as_nchw=["image"] if channels_first else None,
        output_path=path,
    )
    onnx.checker.check_model(onnx.load(path), full_check=True)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    accuracy = np.mean(logits(session, images, scale).argmax(1) == labels)
    first = images[:REFERENCE_IMAGES]
    reference = logits(session, first, scale)
    write_reference(HERE / f"{name}.reference", first, reference)
    difference = np.abs(reference - reference.mean(1, keepdims=True) - keras_logits(model, first, scale)).max()
    print(f"{name}: {path.stat().st_size} bytes, {100 * accuracy:.2f} % of {len(images)} test images")
    assert difference < 1e-3, f"Keras itself gives other logits: {difference}"


def keras_logits(model, pixels, scale):
    output = np.array(model(pixels.astype(np.float32) * scale, training=False))
    output = np.log(output) if np.allclose(output.sum(axis=1), 1) else output
    return output - output.mean(1, keepdims=True)


if __name__ == "__main__":
    tf.config.threading.set_intra_op_parallelism_threads(1)
    for wanted in sys.argv[3:] or MODELS:
        make(wanted, Path(sys.argv[1]), Path(sys.argv[2]))
