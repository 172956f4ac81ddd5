"""The architectures this version knows: what each is made of, without Keras."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from scanner.errors import SetupError

Weights = Mapping[str, npt.NDArray[np.float32]]

# ImageNet means of the caffe weights, in their channel order BGR.
CAFFE_MEANS = (103.939, 116.779, 123.68)


@dataclass(frozen=True)
class Architecture:
    """A backbone: blocks of 3x3 convolutions with ReLU, 2x2 max pooling after each block.

    `blocks` are (filters, convolutions). `caffe_input`: the grey image three times as BGR less
    ImageNet's means, which VGG's published weights expect; else one channel in 0..1. `last_pool`
    tells whether the last block is pooled too.
    """

    blocks: tuple[tuple[int, int], ...]
    caffe_input: bool
    last_pool: bool

    @property
    def channels(self) -> int:
        return 3 if self.caffe_input else 1

    @property
    def embedding_size(self) -> int:
        return self.blocks[-1][0]


ARCHITECTURES = {
    # Simonyan and Zisserman 2015, table 1, column E, without pool5 and the dense layers.
    "vgg19": Architecture(((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)), True, False),
    # The baseline trained from scratch: four convolutions and four poolings, then average pooling
    # and Dense make its ten layers.
    "cnn10": Architecture(((32, 1), (64, 1), (128, 1), (256, 1)), False, True),
}
DEFAULT_ARCHITECTURE = "vgg19"


def layer_names(architecture: str = DEFAULT_ARCHITECTURE) -> list[str]:
    """Return the names of an architecture's convolutions in order."""
    return [
        f"block{block}_conv{number}"
        for block, (_, depth) in enumerate(ARCHITECTURES[architecture].blocks, start=1)
        for number in range(1, depth + 1)
    ]


def backbone_shapes(architecture: str = DEFAULT_ARCHITECTURE) -> dict[str, tuple[int, ...]]:
    """Return the shape of every backbone weight: ``<layer>/kernel`` (HWIO) and ``<layer>/bias``."""
    shapes: dict[str, tuple[int, ...]] = {}
    names = iter(layer_names(architecture))
    channels = ARCHITECTURES[architecture].channels
    for filters, depth in ARCHITECTURES[architecture].blocks:
        for _ in range(depth):
            name = next(names)
            shapes[f"{name}/kernel"] = (3, 3, channels, filters)
            shapes[f"{name}/bias"] = (filters,)
            channels = filters
    return shapes


def first_kernel(
    kernel: npt.NDArray[np.float32], plan: Architecture, parts: int
) -> npt.NDArray[np.float32]:
    """Return the first convolution's kernel (3, 3, C, F) for grey levels 0..255 as they are.

    `kernel` (3, 3, channels, F) expects them scaled. Its equal channels are summed, and what the
    means take away becomes the kernel of a channel of ones, which ends where the image ends as the
    means do: C is `parts` of grey levels, then, for `caffe_input`, `parts` of ones. Each part is
    what bfloat16 leaves of the part before, so the sum of two is exact to 16 bits. It matters: in
    bfloat16, the first convolution was the source of 90 % of the variance added to the logits, for
    it sees rounded grey levels through 27 weights, too few for what is rounded to even out.
    """
    if plan.caffe_input:
        means = np.array(CAFFE_MEANS, np.float32)[:, None]
        seen = [kernel.sum(axis=2, keepdims=True), -(kernel * means).sum(axis=2, keepdims=True)]
    else:
        seen = [kernel / 255]
    kernels = []
    for left in seen:
        for _ in range(parts - 1):
            kernels.append(_upper_half(left))
            left = left - kernels[-1]
        kernels.append(left)
    return np.concatenate(kernels, axis=2, dtype=np.float32)


def _upper_half(array: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return float32 cut to what bfloat16 holds, its upper 16 bits."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32) & 0xFFFF0000
    return bits.view(np.float32)


def check_shapes(
    weights: Weights, expected: Mapping[str, tuple[int, ...]], architecture: str
) -> None:
    """Raise `SetupError` with the first of `expected` that `weights` lack or misshape."""
    for name, shape in expected.items():
        if name not in weights:
            raise SetupError(f"The weights have no {name}: they are not of this {architecture}.")
        if weights[name].shape != shape:
            raise SetupError(
                f"The weights' {name} has shape {weights[name].shape} where {shape} is expected: "
                f"they are not of this {architecture}."
            )
