"""What stands on the report's pages, and in which order."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import environment, run
from report_samples import (
    CLASSES,
    Element,
    failed,
    judged,
    judged_paths,
    read_page,
    rejected,
    write_output,
    write_rows,
)

from scanner.errors import SetupError
from scanner.output import MANIFEST, picture_paths
from scanner.records import Record
from scanner.report import render
from scanner.words import FLAGS, REASONS


def rendered(folder: Path, records: list[Record], **manifest: Any) -> Element:
    return read_page(render(write_output(folder, records, **manifest)))


def report_files(folder: Path) -> list[str]:
    files = {path.name for path in (folder / "report").iterdir() if path.is_file()}
    return sorted(files - {"app.js"})


def tiles(page: Element) -> dict[str, str]:
    """The tiles' numbers by status; that of all images has none."""
    return {
        tile.attributes.get("class", "all"): tile.one("b").text
        for tile in page.one("ul", "tiles").all("li")
    }


@pytest.mark.parametrize(
    ("judged_images", "pages"),
    [
        (0, ["index.html"]),
        (200, ["index.html"]),
        (201, ["index.html", "page-0002.html"]),
        (401, ["index.html", "page-0002.html", "page-0003.html"]),
    ],
)
def test_a_page_shows_at_most_200_images(
    judged_images: int, pages: list[str], tmp_path: Path
) -> None:
    records = [judged(f"{number:04}.dcm") for number in range(judged_images)]
    assert render(write_output(tmp_path, records)) == tmp_path / "report" / "index.html"
    assert report_files(tmp_path) == pages
    shown = [judged_paths(read_page(tmp_path / "report" / name)) for name in pages]
    assert [len(paths) for paths in shown[:-1]] == [200] * (len(pages) - 1)
    assert sorted(path for paths in shown for path in paths) == [record.path for record in records]


def test_pages_link_to_the_next_the_previous_and_the_first(tmp_path: Path) -> None:
    render(write_output(tmp_path, [judged(f"{number:04}.dcm") for number in range(401)]))

    def links(name: str) -> set[tuple[str, str]]:
        page = read_page(tmp_path / "report" / name)
        pagers = page.all("nav", "pager")
        assert len(pagers) == 2  # above and below the images
        return {(a.attributes.get("rel", ""), a.attributes["href"]) for a in pagers[0].all("a")}

    assert links("index.html") == {("next", "page-0002.html")}
    assert links("page-0002.html") == {
        ("prev", "index.html"),
        ("next", "page-0003.html"),
        ("", "index.html"),
    }
    assert links("page-0003.html") == {("prev", "page-0002.html"), ("", "index.html")}


def test_a_single_page_has_no_pager(tmp_path: Path) -> None:
    assert not rendered(tmp_path, [judged("a.dcm")]).all("nav")


def test_images_that_need_a_look_equally_are_in_order_of_their_names(tmp_path: Path) -> None:
    page = rendered(tmp_path, [judged(name) for name in ("c", "a", "b")])
    assert judged_paths(page) == ["a", "b", "c"]


def test_the_order_goes_on_over_the_pages(tmp_path: Path) -> None:
    records = [judged(f"{number:03}", confidence=0.99) for number in range(200)]
    rendered(tmp_path, [*records, judged("flagged", flags=["orientation_unusual"])])
    assert judged_paths(read_page(tmp_path / "report" / "index.html"))[0] == "flagged"
    assert judged_paths(read_page(tmp_path / "report" / "page-0002.html")) == ["199"]


def test_a_card_says_prediction_probabilities_flags_file_and_facts(tmp_path: Path) -> None:
    page = rendered(tmp_path, [judged("P1/a.dcm", "Covid-19", 0.873, ["view_missing"])])
    card = page.one("article", "card")
    assert "flagged" in card.attributes["class"]
    assert card.one("h3").text == "Covid-19 87 %"
    cells = {
        row.one("th").text: row.one("td", "number").text
        for row in card.one("table", "probabilities").all("tr")
    }
    assert {name: float(text) for name, text in cells.items()} == pytest.approx(
        {"Covid-19": 0.873, "Normal": 0.0635, "Pneumonia": 0.0635}, abs=6e-4
    )
    assert card.one("ul", "flags").text == FLAGS["view_missing"]
    assert card.one("p", "path").text == "P1/a.dcm"
    for fact in ("DX", "CHEST", "PA", "2330 × 2840", "window 2048/4096", "cc94235d"):
        assert fact in card.one("p", "facts").text


@pytest.mark.parametrize("confidence", [0.9951, 0.99996])
def test_only_certainty_is_called_100_per_cent(confidence: float, tmp_path: Path) -> None:
    page = rendered(tmp_path, [judged("a.dcm", confidence=confidence)])
    assert "100 %" not in page.one("article", "card").one("h3").text


def test_bars_are_as_long_as_the_probabilities(tmp_path: Path) -> None:
    page = rendered(tmp_path, [judged("a.dcm", "Covid-19", 0.8)])
    bars = page.one("article", "card").all("svg", "bar")
    lengths = [bar.all("rect")[1].attributes["width"] for bar in bars]
    assert lengths == ["80.0", "10.0", "10.0"]


def test_every_class_of_a_model_has_a_colour_of_its_own(tmp_path: Path) -> None:
    classes = [f"class {number}" for number in range(6)]
    records = [judged("a.dcm", "class 5", classes=classes)]
    page = read_page(render(write_output(tmp_path, records, classes)))
    style = page.one("style").text
    used = {rect.attributes["class"] for rect in page.all("rect")} - {"track", "count"}
    assert len(used) == 6
    assert all(f".{name} {{" in style for name in used)


@pytest.mark.parametrize("make", [failed, rejected])
def test_files_that_were_not_judged_are_on_the_first_page_only(make: Any, tmp_path: Path) -> None:
    records = [judged(f"{number:04}.dcm") for number in range(201)]
    rendered(tmp_path, [*records, make("the-one.dcm")])
    assert "the-one.dcm" in (tmp_path / "report" / "index.html").read_text()
    assert "the-one.dcm" not in (tmp_path / "report" / "page-0002.html").read_text()


def test_failures_and_rejections_are_listed_apart_with_reason_and_detail(tmp_path: Path) -> None:
    page = rendered(
        tmp_path,
        [
            failed("half.dcm", "truncated", "it ends 12 bytes too early"),
            rejected("hand.dcm", "other_body_part", "its body part is HAND"),
        ],
    )
    for name, cells in {
        "failed": ["half.dcm", REASONS["truncated"], "it ends 12 bytes too early"],
        "rejected": ["hand.dcm", REASONS["other_body_part"], "its body part is HAND"],
    }.items():
        table = page.one("section", id=name).one("tbody")
        assert [cell.text for cell in table.all("td")] == cells


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_every_reason_is_said_in_words_and_as_the_slug_of_the_csv(
    reason: str, tmp_path: Path
) -> None:
    page = rendered(tmp_path, [failed("a", reason), failed("b", reason)])
    assert page.one("ul", "reasons").text == f"2 {REASONS[reason]} {reason}"


@pytest.mark.parametrize("flag", sorted(FLAGS))
def test_every_flag_is_said_in_words(flag: str, tmp_path: Path) -> None:
    page = rendered(tmp_path, [judged("a", flags=[flag])])
    assert page.one("ul", "flags").text == FLAGS[flag]


def test_a_long_list_of_failures_is_capped_and_says_so(tmp_path: Path) -> None:
    page = rendered(tmp_path, [failed(f"{number:04}") for number in range(1003)])
    section = page.one("section", id="failed")
    assert len(section.one("tbody").all("tr")) == 200
    assert "The first 200 are listed; predictions.csv has all 1 003." in section.text
    assert section.one("ul", "reasons").text.startswith("1 003 ")


def test_a_list_at_the_limit_is_not_said_to_be_capped(tmp_path: Path) -> None:
    page = rendered(tmp_path, [rejected(f"{number:04}") for number in range(200)])
    section = page.one("section", id="rejected")
    assert len(section.one("tbody").all("tr")) == 200
    assert "are listed" not in section.text


def test_the_tiles_count_every_row(tmp_path: Path) -> None:
    page = rendered(
        tmp_path,
        [
            *(judged(f"ok-{n}") for n in range(1100)),
            *(judged(f"flagged-{n}", flags=["view_missing"]) for n in range(3)),
            *(rejected(f"rejected-{n}") for n in range(4)),
            *(failed(f"failed-{n}") for n in range(5)),
        ],
    )
    assert tiles(page) == {
        "all": "1 112",
        "flagged": "3",
        "ok": "1 100",
        "rejected": "4",
        "failed": "5",
    }
    title = page.one("head").one("title").text
    assert "3 flagged" in title and "5 failed" in title


def test_tiles_link_only_to_lists_that_are_there(tmp_path: Path) -> None:
    page = rendered(tmp_path, [judged("a.dcm"), failed("b.dcm")])
    targets = {a.attributes["href"] for a in page.one("ul", "tiles").all("a")}
    there = {
        f"#{section.attributes['id']}"
        for section in page.all("section")
        if "id" in section.attributes
    }
    assert "#failed" in targets
    assert targets <= there


def test_predictions_are_counted_by_class(tmp_path: Path) -> None:
    records = [judged(f"n{n}", "Normal") for n in range(3)]
    records += [judged(f"p{n}", "Pneumonia") for n in range(2)]
    page = rendered(tmp_path, [*records, failed("f")])
    counts = {
        row.one("th").text: row.one("td", "number").text
        for row in page.one("table", "histogram").all("tr")
    }
    assert counts == {"Covid-19": "0", "Normal": "3", "Pneumonia": "2"}


def test_a_number_never_breaks_between_its_thousands(tmp_path: Path) -> None:
    render(write_output(tmp_path, [failed(f"{number:04}") for number in range(1003)]))
    html = (tmp_path / "report" / "index.html").read_text(encoding="utf-8")
    assert "1 003" not in html  # an ordinary space may end a line


@pytest.mark.parametrize("state", ["running", "interrupted", "failed"])
def test_a_run_that_has_not_finished_is_said(state: str, tmp_path: Path) -> None:
    page = rendered(tmp_path, [judged("a.dcm")], state=state)
    assert [warning.text for warning in page.all("p", "warning")] == [
        f"The run has not finished ({state}): run the same command again and it continues."
    ]


def test_a_first_run_that_was_killed_is_said(tmp_path: Path) -> None:
    # What the manifest holds from a run's start until its end.
    page = rendered(
        tmp_path, [judged("a.dcm")], state="running", runs=None, warnings=None, passed_over=None
    )
    assert "has not finished (running)" in page.one("p", "warning").text


def test_a_finished_run_warns_of_nothing(tmp_path: Path) -> None:
    assert not rendered(tmp_path, [judged("a.dcm")]).all("p", "warning")


def test_warnings_of_the_run_are_shown(tmp_path: Path) -> None:
    warning = "folder x cannot be opened; the files in it have no rows"
    page = rendered(tmp_path, [judged("a.dcm")], warnings=[warning])
    assert page.one("p", "warning").text == warning


def test_files_without_a_row_are_counted(tmp_path: Path) -> None:
    page = rendered(tmp_path, [judged("a.dcm")], passed_over={"other": 12, "dicomdir": 1})
    assert "Without a row: 1 DICOMDIR, 12 other files." in page.text


def test_the_model_and_its_limits_are_named(tmp_path: Path) -> None:
    text = rendered(tmp_path, [judged("a.dcm")]).text
    for words in ("frontal-cxr-3", "20ee48f61273", "accuracy 0.88", "confounded"):
        assert words in text


def test_every_page_says_that_it_is_no_medical_device(tmp_path: Path) -> None:
    render(write_output(tmp_path, [judged(f"{number:04}") for number in range(201)]))
    for name in ("index.html", "page-0002.html"):
        notice = read_page(tmp_path / "report" / name).one("p", "notice").text
        assert "Not a medical device" in notice


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_the_report_needs_no_manifest(content: bytes | None, tmp_path: Path) -> None:
    write_rows(tmp_path, [judged("a.dcm", "Covid-19", 0.8), failed("b.dcm")])
    if content is not None:
        (tmp_path / MANIFEST).write_bytes(content)
    page = read_page(render(tmp_path))
    assert judged_paths(page) == ["a.dcm"]
    assert tiles(page)["all"] == "2"
    assert [row.one("th").text for row in page.one("table", "histogram").all("tr")] == [*CLASSES]


def test_a_csv_without_rows_renders(tmp_path: Path) -> None:
    page = rendered(tmp_path, [])
    assert tiles(page)["all"] == "0"
    assert "No image was judged." in page.text
    assert len(page.one("table", "histogram").all("tr")) == len(CLASSES)


def test_a_folder_of_failures_alone_renders(tmp_path: Path) -> None:
    page = rendered(tmp_path, [failed("a.dcm")])
    assert "No image was judged." in page.text
    assert page.one("section", id="failed")


def test_pages_of_an_earlier_longer_report_are_removed(tmp_path: Path) -> None:
    records = [judged(f"{number:04}") for number in range(401)]
    render(write_output(tmp_path, records))
    notes = tmp_path / "report" / "notes.txt"
    notes.write_text("a reader's own")
    shutil.copytree(tmp_path / "report", tmp_path / "before")
    (tmp_path / "predictions.csv").unlink()
    (tmp_path / "sources.csv").unlink()
    render(write_output(tmp_path, records[:201]))
    assert report_files(tmp_path) == ["index.html", "notes.txt", "page-0002.html"]
    assert judged_paths(read_page(tmp_path / "report" / "page-0002.html")) == ["0200"]


def test_rendering_again_changes_nothing_but_the_keys_of_the_rendering(tmp_path: Path) -> None:
    write_output(tmp_path, [judged("a"), failed("b")], pictures=True)
    keys = re.compile(r"""nonce[-=][^'>]+['"]|"rendering":"[0-9a-f]{16}"|'[0-9a-f]{16}'\);""")

    def contents() -> dict[Path, str]:
        render(tmp_path)
        files = [path for path in (tmp_path / "report").rglob("*.*") if path.suffix != ".jpg"]
        texts = {path: path.read_text(encoding="utf-8") for path in files}
        return {path: keys.sub("", text) for path, text in texts.items()}

    before = contents()
    assert {path.name for path in before} == {"index.html", "app.js", "index.js", "rows-0001.js"}
    assert contents() == before


def test_pictures_are_linked_by_relative_urls(tmp_path: Path) -> None:
    record = judged("a.dcm")
    page = rendered(tmp_path, [record], pictures=True)
    shown = [img.attributes["src"] for img in page.one("article", "card").all("img")]
    files = [
        path.relative_to(tmp_path / "report").as_posix()
        for path in picture_paths(tmp_path, record.sha256)
    ]
    assert shown == files
    assert all((tmp_path / "report" / name).stat().st_size for name in shown)


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("how", ["gone", "empty"])
def test_missing_pictures_are_said(which: int, how: str, tmp_path: Path) -> None:
    record = judged("a.dcm")
    write_output(tmp_path, [record, judged("b.dcm")], pictures=True)
    picture = picture_paths(tmp_path, record.sha256)[which]
    picture.unlink() if how == "gone" else picture.write_bytes(b"")
    without, whole = read_page(render(tmp_path)).all("article", "card")
    assert "Pictures are missing" in without.text
    assert not without.all("img")
    assert len(whole.all("img")) == 2


def test_missing_pictures_are_said_in_a_self_contained_report(tmp_path: Path) -> None:
    write_output(tmp_path, [judged("a.dcm")])
    card = read_page(render(tmp_path, self_contained=True)).one("article", "card")
    assert "Pictures are missing" in card.text


def test_a_self_contained_page_embeds_every_picture_once(tmp_path: Path) -> None:
    write_output(tmp_path, [judged("a.dcm")], pictures=True)
    html = render(tmp_path, self_contained=True).read_text(encoding="utf-8")
    assert "thumbs/" not in html
    assert html.count("data:image/jpeg;base64,") == 2


def test_the_report_command_prints_the_url_of_the_first_page(tmp_path: Path) -> None:
    write_output(tmp_path / "night-cxr", [judged("a.dcm")])
    done = run("report", "night-cxr", home=tmp_path)
    assert done.returncode == 0, done.stderr
    index = tmp_path / "night-cxr" / "report" / "index.html"
    assert done.stdout == index.as_uri() + "\n"
    assert index.is_file()


def test_the_report_command_does_not_load_tensorflow(tmp_path: Path) -> None:
    write_output(tmp_path, [judged("a.dcm")])
    probe = (
        "import sys\n"
        "from scanner.cli import cli\n"
        f"cli.main(['report', {str(tmp_path)!r}], standalone_mode=False)\n"
        "print(sorted({'tensorflow', 'keras', 'cv2', 'pandas'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_folder_without_results_is_an_error_in_one_line(tmp_path: Path) -> None:
    done = run("report", tmp_path, home=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert "predictions.csv" in done.stderr
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"name,age\nx,1\n",
        b"path,label\na.dcm,Normal\n",
        b"\x00\xff\n",
    ],
)
def test_a_csv_that_no_scan_wrote_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "predictions.csv").write_bytes(content)
    with pytest.raises(SetupError, match=r"predictions\.csv"):
        render(tmp_path)


def test_a_report_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    write_output(tmp_path, [judged("a.dcm")])
    (tmp_path / "report").write_text("in the way")
    with pytest.raises(SetupError, match="cannot be written"):
        render(tmp_path)


def test_a_row_torn_by_a_kill_does_not_stop_the_report(tmp_path: Path) -> None:
    write_output(tmp_path, [judged("a.dcm"), judged("b.dcm")])
    csv = tmp_path / "predictions.csv"
    csv.write_bytes(csv.read_bytes()[:-20])
    assert judged_paths(read_page(render(tmp_path))) == ["a.dcm"]


@pytest.mark.parametrize("damage", ["confidence", "card", "warnings"])
def test_damaged_results_are_one_line_that_says_what_mends_them(
    damage: str, tmp_path: Path
) -> None:
    manifest: dict[str, Any] = {"card": []} if damage == "card" else {}
    manifest |= {"warnings": 3} if damage == "warnings" else {}
    folder = write_output(tmp_path, [judged("a.dcm", confidence=0.9)], **manifest)
    if damage == "confidence":
        table = folder / "predictions.csv"
        table.write_text(table.read_text().replace("0.900000", "0.9x0000"))
    with pytest.raises(SetupError, match="run the scan again with the same command") as error:
        render(folder)
    assert "\n" not in str(error.value)
