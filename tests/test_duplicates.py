"""Of equal images the first is the original; one that was not judged is none."""

from scanner.duplicates import Originals
from scanner.radiograph import Header
from scanner.reading import Reading


def reading(sha256: str, instance: str = "", status: str = "") -> Reading:
    return Reading("dicom", status=status, sha256=sha256, header=Header(instance=instance))


def test_the_same_bytes_or_the_same_instance_are_refused_with_the_first_ones_path() -> None:
    originals = Originals()
    assert originals.refuse_copy(reading("h1", "i1"), "a").status == ""
    for copy in (reading("h1"), reading("h2", "i1")):
        refused = originals.refuse_copy(copy, "b")
        assert (refused.status, refused.reason) == ("rejected", "duplicate")
        assert refused.detail == "duplicate_of a"
    assert originals.refuse_copy(reading("h3", "i3"), "c").status == ""


def test_images_without_an_instance_are_not_all_the_same() -> None:
    originals = Originals()
    assert originals.refuse_copy(reading("h1"), "a").status == ""
    assert originals.refuse_copy(reading("h2"), "b").status == ""


def test_a_file_that_failed_is_no_original_and_no_copy() -> None:
    originals = Originals()
    failed = reading("h1", "i1", status="failed")
    assert originals.refuse_copy(failed, "a") is failed
    assert originals.refuse_copy(reading("h1", "i1"), "b").status == ""


def test_a_forgotten_image_is_no_original() -> None:
    originals = Originals()
    originals.refuse_copy(reading("h1", "i1"), "a")
    originals.forget("h1", "i1", "a")
    assert originals.refuse_copy(reading("h1", "i1"), "b").status == ""


def test_forgetting_a_copy_leaves_the_original() -> None:
    originals = Originals()
    originals.refuse_copy(reading("h1", "i1"), "a")
    originals.forget("h1", "i1", "b")
    assert originals.refuse_copy(reading("h1", "i1"), "c").detail == "duplicate_of a"
