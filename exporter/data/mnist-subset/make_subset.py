"""Writes the first images and labels of MNIST's four files as gzip IDX files.

Usage: python3 make_subset.py FULL_MNIST_FOLDER OUTPUT_FOLDER
"""

import gzip
import pathlib
import struct
import sys

# File name, bytes of its header, images kept, bytes of one image or label.
FILES = [
    ("train-images-idx3-ubyte", 16, 5000, 28 * 28),
    ("train-labels-idx1-ubyte", 8, 5000, 1),
    ("t10k-images-idx3-ubyte", 16, 1000, 28 * 28),
    ("t10k-labels-idx1-ubyte", 8, 1000, 1),
]

source, output = map(pathlib.Path, sys.argv[1:])
for name, header_bytes, kept, item_bytes in FILES:
    data = (source / name).read_bytes()
    # Bytes 4 to 7 count the items, big-endian; the rest of the header stays as it is.
    subset = data[:4] + struct.pack(">I", kept) + data[8 : header_bytes + kept * item_bytes]
    # No time and no name in the gzip header, so that the same input gives the same file.
    (output / f"{name}.gz").write_bytes(gzip.compress(subset, 9, mtime=0))
