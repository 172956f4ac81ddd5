"""What we show is what dcmtk renders, grey level by grey level.

dcmtk writes 8 bits and cuts off the fraction (it does not round), so ours is cut off as well.

Left out: JPEG 2000 and HTJ2K (Debian's dcmtk has no decoder), `anisotropic_2_1.dcm` (dcmtk leaves
the pixels oblong), and the two `*_conflict.dcm`, whose PresentationLUTShape contradicts the
photometric interpretation: dcmtk follows the LUT shape, we the photometric and a flag.
"""

import subprocess
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from scanner import dicom

pytestmark = [pytest.mark.oracle, pytest.mark.shared]

EXACT = [
    "ts_cxr/deflated_le",
    "ts_cxr/explicit_be",
    "ts_cxr/explicit_le",
    "ts_cxr/explicit_le_12bit",
    "ts_cxr/explicit_le_8bit",
    "ts_cxr/garbage_high_bits_12of16",
    "ts_cxr/implicit_le",
    "ts_cxr/jpeg_baseline_8bit",
    "ts_cxr/jpeg_extended_12bit",
    "ts_cxr/jpeg_lossless_p14",
    "ts_cxr/jpeg_lossless_sv1",
    "ts_cxr/jpegls_lossless",
    "ts_cxr/jpegls_near3",
    "ts_cxr/modality_lut_seq",
    "ts_cxr/mono1_plut_inverse",
    "ts_cxr/mono2_equivalent",
    "ts_cxr/mono2_plut_identity",
    "ts_cxr/no_meta_implicit",
    "ts_cxr/no_preamble",
    "ts_cxr/no_window",
    "ts_cxr/overlay_in_bit15_retired",
    "ts_cxr/pixel_padding_range",
    "ts_cxr/rle",
    "ts_cxr/shutter_rect",
    "ts_cxr/signed12_garbage_high_bits",
    "ts_cxr/signed16_rescale",
    "ts_cxr/two_windows",
    "ts_cxr/window_linear",
    "ts_cxr/window_sigmoid",
    "ts_cxr/window_width_1",
    "cxr_nih_sc_dx_implicit_a",
    "cxr_rg1_jls_near",
    "cxr_rsna_ap_jpegbaseline",
    "cxr_rsna_pa_jpegbaseline",
    "dx_thorax_dog_mono1",
    "neg_cr_hip_jls",
    "neg_cr_hip_jpegext12",
    "neg_cr_hip_jpegll_sv1",
    "neg_cr_teeth_modalitylut",
    "path_jpeg_lossy_bad",
    "path_overlay_oob",
    "ts_bigendian",
    "ts_deflated",
    "ts_jpeg_ext12",
    "ts_mlut_18",
    "ts_overlay_6000",
    "ts_rle",
    "ts_vlut_04",
]

# dcmtk rounds a VOI LUT's entries to 8 bits first, and renders LINEAR_EXACT as LINEAR.
WITHIN_ONE_LEVEL = [
    "ts_cxr/voi_lut_seq",
    "ts_cxr/voi_lut_seq_only",
    "ts_cxr/window_linear_exact",
]


def ours(path: Path) -> tuple[npt.NDArray[np.int64], str]:
    data = path.read_bytes()
    dataset = dicom.parse(data)
    dicom.check_complete(dataset, data)
    pixels, voi, _ = dicom.read_pixels(dataset)
    # Float32 holds 7 digits: a level hit exactly may lie a hair below it.
    return np.floor(pixels.astype(np.float64) * 255 + 1e-5).astype(np.int64), voi


def dcmtks(path: Path, voi: str, picture: Path) -> npt.NDArray[np.int64]:
    choice = {"lut": ["+Wl", "1"], "minmax": ["+Wm"]}.get(voi, ["+Wi", "1"])
    tool = "dcml2pnm" if "jls" in path.name or "jpegls" in path.name else "dcmj2pnm"
    # -O: no overlays; +op: one byte a pixel.
    subprocess.run([tool, "-q", "-O", "+op", *choice, path, picture], check=True, timeout=60)
    return np.asarray(cv2.imread(str(picture), cv2.IMREAD_UNCHANGED), dtype=np.int64)


@pytest.mark.parametrize("name", EXACT)
def test_every_pixel_is_as_dcmtk_renders_it(
    name: str, shared: Path, dcmtk: None, tmp_path: Path
) -> None:
    path = shared / "dicom" / f"{name}.dcm"
    found, voi = ours(path)
    np.testing.assert_array_equal(found, dcmtks(path, voi, tmp_path / "dcmtk.pgm"))


@pytest.mark.parametrize("name", WITHIN_ONE_LEVEL)
def test_pixels_are_within_one_level_of_dcmtk(
    name: str, shared: Path, dcmtk: None, tmp_path: Path
) -> None:
    path = shared / "dicom" / f"{name}.dcm"
    found, voi = ours(path)
    difference = np.abs(found - dcmtks(path, voi, tmp_path / "dcmtk.pgm"))
    assert difference.max() <= 1
    assert (difference > 0).mean() < 0.1
