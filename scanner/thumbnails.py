"""The small pictures of the report: the radiograph, and the heat map over it."""

import functools
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from scanner.colormaps import COLORMAPS
from scanner.focus import FIELD_FROM
from scanner.output import picture_paths
from scanner.radiograph import FloatArray

# Large enough to see a consolidation when opened, small enough for pages of 200 pairs: some 28 KB.
LONGEST_SIDE = 512
# For the full view of the report: fine enough for a line or a nodule, some 150 KB.
DETAIL_SIDE = 1024
_JPEG_QUALITY = 85
# The hottest place hides at most this share of the radiograph beneath it.
_MAX_OPACITY = 0.6
# Maps that colour-blind readers can use (Smith and van der Walt 2015, Nunez et al. 2018), and how
# far up each is used: the pale ends cannot be told from bright bone.
_COLOURS = {
    "inferno": (cv2.COLORMAP_INFERNO, 205),
    "magma": (cv2.COLORMAP_MAGMA, 205),
    "viridis": (cv2.COLORMAP_VIRIDIS, 240),
    "cividis": (cv2.COLORMAP_CIVIDIS, 240),
}
# The lung field's outline, BGR: light blue, a colour of neither the map nor a radiograph, with
# a dark edge that shows where it runs over bone.
_LINE, _EDGE = (255, 225, 150), (40, 20, 0)
_LINE_WIDTH, _EDGE_WIDTH, _SLACK = 2, 4, 1.0

Grey = npt.NDArray[np.uint8]


def shrunk(pixels: FloatArray | Grey, longest: int) -> Grey:
    """Return display pixels (H, W), float32 in 0..1 or uint8, with no side above `longest`."""
    height, width = pixels.shape
    scale = min(1.0, longest / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    grey: Grey = small if small.dtype == np.uint8 else np.rint(small * 255).astype(np.uint8)
    return grey


def thumbnail(pixels: FloatArray | Grey) -> bytes:
    """Return a JPEG of display pixels, as `shrunk` takes them, its longest side `LONGEST_SIDE`."""
    return encoded(shrunk(pixels, LONGEST_SIDE))


def overlay(
    radiograph: bytes,
    cam: FloatArray,
    lungs: FloatArray | None = None,
    colormap: str = COLORMAPS[0],
) -> bytes:
    """Return a JPEG of a thumbnail with its Grad-CAM map (h, w), h and w small, laid over it.

    Colour and opacity follow the map relative to its own maximum: the picture says where the
    evidence lies, not how strong it is. An all-zero map leaves the radiograph bare. With lung
    probabilities (H, W) in 0..1 the outline of the lung field is drawn over it.
    """
    grey = cv2.imdecode(np.frombuffer(radiograph, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert grey is not None  # our own JPEG
    height, width = grey.shape
    peak = float(cam.max())
    relative = cam / peak if peak > 0 else np.zeros_like(cam)
    heat = cv2.resize(relative, (width, height), interpolation=cv2.INTER_CUBIC)
    # Cubic interpolation overshoots: what is drawn is relative to its own maximum.
    level = np.clip(heat * (255 / (float(heat.max()) or 1)), 0, 255).astype(np.uint8)
    kept, colours = _blend(colormap)
    base = cv2.multiply(grey, cv2.LUT(level, kept), scale=1 / 255)
    picture = cv2.add(cv2.merge([base] * 3), cv2.LUT(cv2.merge([level] * 3), colours))
    if lungs is not None:
        field = cv2.resize(lungs, (width, height), interpolation=cv2.INTER_CUBIC) >= FIELD_FROM
        outlines, _ = cv2.findContours(field.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        # Pixel by pixel a thick line is a ladder; a pixel off, it is a line.
        smooth = [cv2.approxPolyDP(outline, _SLACK, closed=True) for outline in outlines]
        cv2.drawContours(picture, smooth, -1, _EDGE, _EDGE_WIDTH, cv2.LINE_AA)
        cv2.drawContours(picture, smooth, -1, _LINE, _LINE_WIDTH, cv2.LINE_AA)
    return encoded(picture)


@functools.cache
def _blend(colormap: str) -> tuple[Grey, Grey]:
    """Return, for 256 levels of heat, how much grey is kept (1, 256), and what colour is added.

    Blending is done in 8 bits: in floating point it costs ten times as long.
    """
    number, hottest = _COLOURS[colormap]
    heat = np.linspace(0, 1, 256)[None]
    colour = cv2.applyColorMap(np.rint(heat * hottest).astype(np.uint8), number)
    opacity = _MAX_OPACITY * heat
    kept = np.rint(255 * (1 - opacity)).astype(np.uint8)
    return kept, np.rint(colour * opacity[..., None]).astype(np.uint8)


def save(
    folder: Path,
    sha256: str,
    radiograph: bytes,
    cam: FloatArray,
    lungs: FloatArray | None = None,
    colormap: str = COLORMAPS[0],
) -> None:
    """Write a judged image's thumbnail and overlay into an output folder."""
    save_plain(folder, sha256, radiograph)
    picture_paths(folder, sha256)[1].write_bytes(overlay(radiograph, cam, lungs, colormap))


def save_plain(folder: Path, sha256: str, radiograph: bytes) -> None:
    """Write the thumbnail alone, of an image that was rejected for what its picture shows."""
    plain, _ = picture_paths(folder, sha256)
    plain.parent.mkdir(parents=True, exist_ok=True)
    plain.write_bytes(radiograph)


def encoded(picture: Grey) -> bytes:
    """Return the JPEG of a picture, (H, W) grey or (H, W, 3) BGR."""
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    assert done  # an 8-bit picture of this size always encodes
    return data.tobytes()
