"""Trains the models of this folder and writes them, with reference logits by ONNX Runtime.

    make-models.py DATA WEIGHTS [MODEL...]

DATA holds mnist/ (IDX) and cifar-10-batches-bin/, WEIGHTS keeps trained weights. Needs torch, onnx,
onnxscript and onnxruntime. A training takes a few minutes of one thread. The files are fixtures: another
version of PyTorch trains other weights.
"""

import struct
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

HERE = Path(__file__).parent
REFERENCE_IMAGES = 8


class LeNet(nn.Module):
    """Convolutions without padding; the view that tutorials write, with a dynamic batch."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2 = nn.Linear(256, 64), nn.Linear(64, 10)

    def forward(self, x):
        # Pooling before ReLU, as many do.
        x = torch.relu(torch.max_pool2d(self.conv1(x), 2))
        x = torch.max_pool2d(torch.relu(self.conv2(x)), 2)
        x = x.view(x.size(0), -1)
        return torch.log_softmax(self.fc2(torch.relu(self.fc1(x))), dim=1)


class Block(nn.Module):
    """A residual block, with a projection where the shape changes."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity()
        if (inputs, stride) != (outputs, 1):
            self.shortcut = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        y = torch.relu(self.norm1(self.conv1(x)))
        return torch.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


class ResNet(nn.Module):
    """A ResNet of three blocks with global average pooling."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.blocks = nn.Sequential(Block(8, 8, 1), Block(8, 16, 2), Block(16, 32, 2))
        self.pool, self.dropout = nn.AdaptiveAvgPool2d(1), nn.Dropout(0.1)
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        x = self.pool(self.blocks(self.stem(x)))
        return self.fc(self.dropout(torch.flatten(x, 1)))


def separable(inputs, outputs, stride):
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU6(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


class MobileNet(nn.Module):
    """Depthwise separable convolutions with ReLU6, and a mean over rows and columns."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.ReLU6())
        self.body = nn.Sequential(separable(8, 16, 1), separable(16, 32, 2), separable(32, 32, 1))
        self.fc = nn.Linear(32, 10)

    def forward(self, x):
        return self.fc(self.body(self.stem(x)).mean([2, 3]))


class AverageNet(nn.Module):
    """Means of windows that overlap, over padding that does not count, and with a last one beyond the map."""

    def __init__(self):
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.pool1 = nn.AvgPool2d(3, 2, padding=1, count_include_pad=False)
        self.conv2 = nn.Conv2d(6, 12, 3)
        self.pool2 = nn.AvgPool2d(3, 2, ceil_mode=True, count_include_pad=False)
        self.conv3, self.pool3 = nn.Conv2d(12, 16, 3), nn.AvgPool2d(2, 1)
        self.fc = nn.Linear(144, 10)

    def forward(self, x):
        x = self.pool1(torch.relu(self.norm1(self.conv1(x))))
        x = self.pool2(torch.relu(self.conv2(x)))
        x = self.pool3(torch.relu(self.conv3(x)))
        return self.fc(torch.flatten(x, 1))


def mnist(folder, part):
    read = lambda kind, offset: np.fromfile(folder / "mnist" / f"{part}-{kind}", np.uint8)[offset:]
    return read("images-idx3-ubyte", 16).reshape(-1, 28, 28, 1), read("labels-idx1-ubyte", 8)


def cifar(folder, part):
    names = ["test_batch"] if part == "t10k" else [f"data_batch_{i}" for i in range(1, 6)]
    parts = [np.fromfile(folder / "cifar-10-batches-bin" / f"{name}.bin", np.uint8) for name in names]
    records = np.concatenate(parts).reshape(-1, 3073)
    return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), records[:, 0]


# Architecture, data, mean and standard deviation of pixels of 0 to 1, epochs, exporter. The means of
# those with padding are whole pixel values.
CIFAR = ([125 / 255, 123 / 255, 114 / 255], [0.25] * 3, 2)
MODELS = {
    "lenet-mnist": (LeNet, mnist, [0.1307], [0.3081], 2, "torchscript"),
    "resnet-cifar10": (ResNet, cifar, *CIFAR, "dynamo"),
    # The same weights by the older exporter, with batch normalization as it was trained.
    "resnet-cifar10-norm": (ResNet, cifar, *CIFAR, "torchscript with normalization"),
    "mobilenet-mnist": (MobileNet, mnist, [0.0], [1.0], 1, "torchscript"),
    "average-mnist": (AverageNet, mnist, [0.0], [1.0], 1, "torchscript"),
}


def train(model, images, labels, mean, std, epochs):
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    batches = len(images) // 64
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=epochs * batches)
    for _ in range(epochs):
        order = np.random.permutation(len(images))[: batches * 64].reshape(-1, 64)
        for batch in order:
            targets = torch.tensor(labels[batch], dtype=torch.long)
            loss = nn.functional.cross_entropy(model(normalize(images[batch], mean, std)), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


def normalize(pixels, mean, std):
    x = torch.tensor(pixels.transpose(0, 3, 1, 2).copy()).float() / 255
    return (x - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)


def remove_stack_traces(path):
    """The exporter notes where in which file of this machine a node comes from."""
    model = onnx.load(path)
    for part in (model.graph, *model.graph.node, *model.graph.value_info):
        del part.metadata_props[:]
    onnx.save(model, path)


def export(model, example, path, exporter):
    if exporter == "dynamo":
        batch = torch.export.Dim("batch")
        program = torch.onnx.export(model, (example,), dynamo=True, dynamic_shapes=({0: batch},))
        program.save(path, external_data=False)
        remove_stack_traces(path)
        return
    keeps_norm = exporter.endswith("normalization")
    mode = torch.onnx.TrainingMode
    torch.onnx.export(
        model,
        (example,),
        path,
        dynamo=False,
        opset_version=11 if keeps_norm else 17,
        training=mode.PRESERVE if keeps_norm else mode.EVAL,
        do_constant_folding=not keeps_norm,
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes={"input": {0: "batch"}, "logits": {0: "batch"}},
    )


def write_reference(path, pixels, logits):
    """Images, bytes of one, classes, all u32; the pixels, HWC; the logits, f32."""
    header = struct.pack("<3I", len(pixels), pixels[0].size, logits.shape[1])
    path.write_bytes(header + pixels.tobytes() + logits.astype("<f4").tobytes())


def make(name, data_folder, weights_folder):
    architecture, data, mean, std, epochs, exporter = MODELS[name]
    torch.manual_seed(1)
    np.random.seed(1)
    model = architecture()
    weights = weights_folder / f"{name.removesuffix('-norm')}.pt"
    if weights.exists():
        model.load_state_dict(torch.load(weights))
    else:
        images, labels = data(data_folder, "train")
        train(model, images, labels, mean, std, epochs)
        weights_folder.mkdir(exist_ok=True)
        torch.save(model.state_dict(), weights)
    model.eval()
    images, labels = data(data_folder, "t10k")
    path = HERE / f"{name}.onnx"
    export(model, normalize(images[:2], mean, std), path, exporter)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    image = session.get_inputs()[0].name
    run = lambda pixels: session.run(None, {image: normalize(pixels, mean, std).numpy()})[0]
    accuracy = np.mean(run(images).argmax(1) == labels)
    write_reference(HERE / f"{name}.reference", images[:REFERENCE_IMAGES], run(images[:REFERENCE_IMAGES]))
    print(f"{name}: {path.stat().st_size} bytes, {100 * accuracy:.2f} % of {len(images)} test images")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for wanted in sys.argv[3:] or MODELS:
        make(wanted, Path(sys.argv[1]), Path(sys.argv[2]))
