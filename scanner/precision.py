"""Which arithmetic a scan computes in: by hand, or the fastest that keeps the answers."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line's help reads the names below and must not wait for NumPy
    from scanner.bundle import Bundle

BACKENDS = ("tensorflow", "openvino")
PRECISIONS = ("float32", "bfloat16", "float16", "int8")
# Below this share of equal labels on the validation images, `auto` keeps float32.
MIN_LABEL_AGREEMENT = 0.999
# Fewer compared images cannot show that: one label more or less would decide.
MIN_COMPARED_IMAGES = 500


def choose_precision(bundle: "Bundle", wanted: str, fast: bool, backend: str) -> str:
    """Return the precision to use: `wanted`, or for ``auto`` the fastest that keeps the labels.

    bfloat16 is taken where the device computes in it (`fast`) and the bundle's card says that with
    `backend` it agreed with float32 on at least `MIN_LABEL_AGREEMENT` of `MIN_COMPARED_IMAGES` or
    more validation images.
    """
    if wanted != "auto":
        return wanted
    measured = bundle.card.get("precisions", {}).get(name_of(backend, "bfloat16"), {})
    enough = measured.get("images", 0) >= MIN_COMPARED_IMAGES
    agrees = enough and measured.get("label_agreement", 0.0) >= MIN_LABEL_AGREEMENT
    return "bfloat16" if fast and agrees else "float32"


def name_of(backend: str, precision: str) -> str:
    """Return what cards and runs call a precision of a backend, TensorFlow's by itself."""
    return precision if backend == "tensorflow" else f"{backend} {precision}"


def cpu_computes_in_bfloat16() -> bool:
    """Tell whether the CPU has AMX or AVX512-BF16; only Linux says so without a native library."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="ignore")
    except OSError:
        return False
    return "amx_bf16" in flags or "avx512_bf16" in flags
