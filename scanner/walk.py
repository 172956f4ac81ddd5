"""A folder becomes a sorted list of files, and a file's first bytes say what it is. No decoding."""

import os
import stat
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from scanner.output import PREDICTIONS, SOURCES

# Enough for the preamble, the file meta and the magic numbers of the raster formats.
HEAD_BYTES = 4096

IMAGE_KINDS = ("dicom", "png", "jpeg", "tiff", "bmp", "unsupported")

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
    (b"GIF8", "unsupported"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "unsupported"),  # JPEG 2000 file
    (b"\xff\x4f\xff\x51", "unsupported"),  # JPEG 2000 codestream
    (b"PK\x03\x04", "archive"),
    (b"\x1f\x8b", "archive"),
    (b"7z\xbc\xaf\x27\x1c", "archive"),
    (b"Rar!\x1a\x07", "archive"),
)

_CLAIMS = {
    **dict.fromkeys((".dcm", ".dicom", ".dic"), "dicom"),
    ".png": "png",
    **dict.fromkeys((".jpg", ".jpeg", ".jpe"), "jpeg"),
    **dict.fromkeys((".tif", ".tiff"), "tiff"),
    ".bmp": "bmp",
}

# By which a file claims to be an image, in lower case.
EXTENSIONS = frozenset(_CLAIMS)

# The SOP class of a DICOMDIR (PS3.4 table I.4-1), whatever the file is called.
_MEDIA_DIRECTORY = b"1.2.840.10008.1.3.10"

# Every value representation of DICOM PS3.5 table 6.2-1.
_VALUE_REPRESENTATIONS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN "
    b"UR US UT UV".split()
)


@dataclass(frozen=True, slots=True)  # a run holds hundreds of thousands
class Source:
    """One regular file below the scanned folder.

    `relative` uses forward slashes; `size` is in bytes, `modified` in nanoseconds since the epoch.
    """

    path: Path
    relative: str
    size: int
    modified: int


@dataclass(frozen=True)
class Listing:
    """What lies below a folder: files in sorted order, and what was passed over and why."""

    sources: list[Source]
    passed_over: Counter[str]
    unreadable_folders: list[str]


def list_files(root: Path, skip: Path | None = None) -> Listing:
    """Return every regular file below `root`, sorted by path; `skip` is a folder to leave out.

    Symbolic links and anything that is not a regular file (FIFOs, sockets, devices) are counted,
    never opened. A folder reached twice (bind mounts, inode loops) is listed once.
    """
    listing = Listing([], Counter(), [])
    if root.is_file():
        facts = root.stat()
        listing.sources.append(Source(root, root.name, facts.st_size, facts.st_mtime_ns))
        return listing
    seen: set[tuple[int, int]] = set()
    # A stack instead of recursion: folders may be nested deeper than Python's limit.
    stack = [_entries(root, "", seen, listing)]
    while stack:
        entry = next(stack[-1], None)
        if entry is None:
            stack.pop()
        elif isinstance(entry, Source):
            listing.sources.append(entry)
        elif entry[0] != skip:
            stack.append(_entries(*entry, seen, listing))
    return listing


def _entries(
    folder: Path, prefix: str, seen: set[tuple[int, int]], listing: Listing
) -> Iterator[Source | tuple[Path, str]]:
    """Yield the files of one folder, and its folders as (path, prefix), in sorted order."""
    try:
        status = folder.stat()
        if (status.st_dev, status.st_ino) in seen:
            listing.passed_over["folder_seen_before"] += 1
            return
        if status.st_ino:  # some file systems say 0 for all
            seen.add((status.st_dev, status.st_ino))
        with os.scandir(folder) as scan:
            entries = sorted(scan, key=lambda entry: os.fsencode(entry.name))
    except OSError:
        listing.unreadable_folders.append(prefix or ".")
        return
    if {PREDICTIONS, SOURCES} <= {entry.name for entry in entries}:
        listing.passed_over["output_of_a_scan"] += 1  # its thumbnails are no studies
        return
    for entry in entries:
        path, relative = folder / entry.name, prefix + entry.name
        try:
            # Asking what it is may ask the file system, too: not every one says it while listing.
            is_link, is_folder = entry.is_symlink(), entry.is_dir(follow_symlinks=False)
            facts = None if is_link or is_folder else entry.stat(follow_symlinks=False)
        except OSError:
            # Deleted or forbidden meanwhile: reading it will say so, in a row.
            yield Source(path, relative, -1, -1)
            continue
        if is_folder:
            yield path, relative + "/"
        elif facts is None:
            listing.passed_over["symbolic_link"] += 1
        elif stat.S_ISREG(facts.st_mode):
            yield Source(path, relative, facts.st_size, facts.st_mtime_ns)
        else:
            listing.passed_over["not_a_regular_file"] += 1


def recognise(head: bytes, name: str) -> str:
    """Return what a file is, from its first `HEAD_BYTES` bytes; its name only breaks silence.

    One of `IMAGE_KINDS`, ``archive``, ``dicomdir`` or ``other``. A file whose content is unknown
    but whose name claims an image counts as that image, so that a damaged one gets its row.
    """
    if head[128:132] == b"DICM":
        return "dicomdir" if _MEDIA_DIRECTORY in head else "dicom"
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "unsupported"
    if head[4:12] in (b"ftypheic", b"ftypavif", b"ftypmif1"):
        return "unsupported"
    if head.startswith(b"BM") and len(head) >= 18 and head[6:10] == bytes(4):
        return "bmp"
    if _begins_like_dicom(head):
        return "dicom"
    return _CLAIMS.get(Path(name).suffix.lower(), "other")


def _begins_like_dicom(head: bytes) -> bool:
    """Tell whether `head` is a first data element of group 0002 or 0008 (PS3.5 section 7.1)."""
    if len(head) < 8:
        return False
    for order in "<>":
        group, element = struct.unpack(order + "HH", head[:4])
        if group not in (0x0002, 0x0008) or element > 0x0100:
            continue
        if head[4:6] in _VALUE_REPRESENTATIONS:
            return True
        (length,) = struct.unpack(order + "I", head[4:8])
        # Implicit VR: the first elements of both groups are short and of even length.
        if order == "<" and length <= 256 and length % 2 == 0 and len(head) > 8 + length:
            return True
    return False
