"""The small pictures of the report: the radiograph, and the heat map over it."""

from pathlib import Path

import cv2
import numpy as np

from scanner.focus import FIELD_FROM
from scanner.output import picture_paths
from scanner.radiograph import FloatArray

# Large enough to see a consolidation when opened, small enough for pages of 200 pairs: some 28 KB.
LONGEST_SIDE = 512
_JPEG_QUALITY = 85
# The hottest place hides at most this share of the radiograph beneath it.
_MAX_OPACITY = 0.6
# Up to orange: the map's pale yellow end cannot be told from bright bone.
_HOTTEST = 205
# The lung field's outline, BGR: light blue, a colour of neither the map nor a radiograph, with
# a dark edge that shows where it runs over bone.
_LINE, _EDGE = (255, 225, 150), (40, 20, 0)
_LINE_WIDTH, _EDGE_WIDTH = 2, 4


def thumbnail(pixels: FloatArray) -> bytes:
    """Return a JPEG of display pixels (H, W) float32 in 0..1, its longest side `LONGEST_SIDE`."""
    height, width = pixels.shape
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return _encode(np.rint(small * 255).astype(np.uint8))


def overlay(radiograph: bytes, cam: FloatArray, lungs: FloatArray | None = None) -> bytes:
    """Return a JPEG of a thumbnail with its Grad-CAM map (h, w), h and w small, laid over it.

    Colour and opacity follow the map relative to its own maximum: the picture says where the
    evidence lies, not how strong it is. An all-zero map leaves the radiograph bare. With lung
    probabilities (H, W) in 0..1 the outline of the lung field is drawn over it.
    """
    grey = cv2.imdecode(np.frombuffer(radiograph, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert grey is not None  # our own JPEG
    height, width = grey.shape
    heat = cv2.resize(cam, (width, height), interpolation=cv2.INTER_CUBIC)
    peak = float(heat.max())
    heat = np.clip(heat / peak, 0, 1) if peak > 0 else np.zeros_like(heat)
    colour = cv2.applyColorMap(np.rint(heat * _HOTTEST).astype(np.uint8), cv2.COLORMAP_INFERNO)
    opacity = (_MAX_OPACITY * heat)[..., None]
    blended = grey[..., None] * (1 - opacity) + colour * opacity
    picture = np.rint(blended).astype(np.uint8)
    if lungs is not None:
        field = cv2.resize(lungs, (width, height), interpolation=cv2.INTER_LINEAR) >= FIELD_FROM
        outlines, _ = cv2.findContours(field.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outlines, -1, _EDGE, _EDGE_WIDTH)
        cv2.drawContours(picture, outlines, -1, _LINE, _LINE_WIDTH)
    return _encode(picture)


def save(
    folder: Path, sha256: str, radiograph: bytes, cam: FloatArray, lungs: FloatArray | None = None
) -> None:
    """Write a judged image's thumbnail and overlay into an output folder."""
    save_plain(folder, sha256, radiograph)
    picture_paths(folder, sha256)[1].write_bytes(overlay(radiograph, cam, lungs))


def save_plain(folder: Path, sha256: str, radiograph: bytes) -> None:
    """Write the thumbnail alone, of an image that was rejected for what its picture shows."""
    plain, _ = picture_paths(folder, sha256)
    plain.parent.mkdir(parents=True, exist_ok=True)
    plain.write_bytes(radiograph)


def _encode(picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    assert done  # an 8-bit picture of this size always encodes
    return data.tobytes()
