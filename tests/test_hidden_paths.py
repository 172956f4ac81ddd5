"""With --hide-paths no file or folder is named anywhere, and its owner can still look it up."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest
from command_line import rows, run
from held_scans import HeldScan, build_home

from scanner.errors import SetupError
from scanner.hidden_paths import lookup, row_name
from scanner.pseudonyms import load_key

_CANARY = "Zq7Kanari"
_ROW_NAME = re.compile(r"[0-9a-f]{16}(\.[a-z]+)?")
_KEY = bytes(range(32))


def add_named(studies: Path) -> None:
    """Write a file for every way in which a name could come out."""
    ward = studies / f"{_CANARY}Ward"
    ward.mkdir(parents=True)
    (ward / f"{_CANARY}Empty.dcm").write_bytes(b"")
    (ward / f"{_CANARY}Damaged.DCM").write_bytes(b"\0" * 128 + b"DICM" + b"damage" * 20)
    (ward / f"{_CANARY}Damaged.{_CANARY}").write_bytes(b"\xff\xd8\xff\xe0" + b"damage" * 20)
    (ward / f"={_CANARY}\n.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (ward / f"{_CANARY}.txt").write_text("no image")
    (ward / f"{_CANARY}Link.dcm").symlink_to(ward / f"{_CANARY}Empty.dcm")


def add_closed_folder(studies: Path) -> None:
    """Make a folder that nobody can open, root neither: its path is too long for the system."""
    descriptor = os.open(studies, os.O_RDONLY)
    for _ in range(18):
        os.mkdir(_CANARY * 27, dir_fd=descriptor)
        below = os.open(_CANARY * 27, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)


def everything(home: Path, *said: str) -> dict[str, bytes]:
    """Every byte that scans have left in `home`, but for the studies and the model."""
    given = (f"{_CANARY}Studies", "studies", "model")
    ours = [top for top in home.iterdir() if top.name not in given]
    files = [path for top in ours for path in (top, *top.rglob("*")) if path.is_file()]
    found = {str(path.relative_to(home)): path.read_bytes() for path in files}
    return found | {f"said {index}": text.encode() for index, text in enumerate(said)}


def traces(found: dict[str, bytes]) -> list[str]:
    search = re.compile(b"anari|" + _CANARY.encode().hex().encode(), re.IGNORECASE)
    return [name for name, content in found.items() if search.search(name.encode() + content)]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    add_named(tmp_path / f"{_CANARY}Studies")
    return tmp_path


def hidden(home: Path, *options: str) -> tuple[Path, str]:
    """Scan the studies of `home`; return the output folder and what was said."""
    done = run(f"{_CANARY}Studies", "--hide-paths", "--verbose", *options, home=home)
    assert done.returncode == 3, done.stderr
    (output,) = home.glob("cxr-scan-*")
    return output, done.stdout + done.stderr


def test_no_byte_names_a_file_or_folder(home: Path) -> None:
    add_closed_folder(home / f"{_CANARY}Studies")
    output, said = hidden(home, "--log-format", "json")
    assert re.fullmatch("cxr-scan-[0-9a-f]{8}", output.name)
    assert traces(everything(home, said)) == []
    found = rows(output)
    assert [row["reason"] for row in found].count("empty_file") == 1
    assert len(found) == 4
    assert all(_ROW_NAME.fullmatch(row["path"]) for row in found)
    made = json.loads((output / "manifest.json").read_text())
    assert re.fullmatch("[0-9a-f]{16}", made["root"])
    (warning,) = made["warnings"]
    assert re.fullmatch(r"folder [0-9a-f]{16}/ cannot be opened; .*", warning)
    assert "warning: folder" in said


def test_judged_files_copies_and_their_report_are_not_named_either(tmp_path: Path) -> None:
    build_home(tmp_path, pictures=3)
    add_named(tmp_path / "studies")
    ward = tmp_path / "studies" / f"{_CANARY}Ward"
    shutil.copy(tmp_path / "studies" / "01.png", ward / f"{_CANARY}Copy.png")
    (tmp_path / "studies" / "01.png").rename(ward / f"{_CANARY}01.png")
    scan = HeldScan(tmp_path, "--hide-paths")
    code, said = scan.finish()
    assert code == 0, said
    told = run("status", "studies-cxr", home=tmp_path)
    report = run("report", "studies-cxr", "--self-contained", home=tmp_path)
    assert report.returncode == 0, report.stderr
    assert traces(everything(tmp_path, said, told.stdout)) == []
    found = {row["path"]: row for row in rows(scan.output)}
    (copy,) = [row for row in found.values() if row["reason"] == "duplicate"]
    original = found[copy["detail"].removeprefix("duplicate_of ")]
    assert original["sha256"] == copy["sha256"]
    assert original["status"] == "ok"


def test_the_same_command_continues_and_reads_what_changed(home: Path) -> None:
    output, _ = hidden(home)
    before = {row["path"]: row for row in rows(output)}
    _, said = hidden(home)
    assert "(0 new in" in said
    (home / f"{_CANARY}Studies" / f"{_CANARY}Ward" / f"{_CANARY}Empty.dcm").write_bytes(b"no")
    _, said = hidden(home)
    assert "(1 new in" in said
    after = {row["path"]: row for row in rows(output)}
    assert before.keys() == after.keys()
    assert [path for path in after if after[path] != before[path]] == [
        path for path, row in before.items() if row["reason"] == "empty_file"
    ]


def test_who_has_the_key_looks_rows_up(home: Path) -> None:
    add_closed_folder(home / f"{_CANARY}Studies")
    output, _ = hidden(home)
    done = run("paths", f"{_CANARY}Studies", output.name, home=home)
    assert done.returncode == 0, done.stderr
    table = dict(line.split("\t") for line in done.stdout.splitlines())
    named = {row["reason"]: table[row["path"]] for row in rows(output)}
    assert named["empty_file"] == f"{_CANARY}Ward/{_CANARY}Empty.dcm"
    assert f"{_CANARY}Ward/={_CANARY}\\x0a.png" in table.values()
    (closed,) = re.findall(r"folder (\S+) cannot", (output / "run.log").read_text())
    assert table[closed].startswith(_CANARY)


def test_nobody_else_does(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output, _ = hidden(home)
    studies = home / f"{_CANARY}Studies"
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    (home / "elsewhere").mkdir()
    with pytest.raises(SetupError, match="of another folder than"):
        list(lookup(home / "elsewhere", output))
    assert len(list(lookup(studies, output))) == 5
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "of somebody else"))
    with pytest.raises(SetupError, match="named with another key"):
        list(lookup(studies, output))


@pytest.mark.parametrize("first", ["--hide-paths", "--keep-paths"])
def test_both_ways_do_not_mix_in_one_folder(first: str, home: Path) -> None:
    second = {"--hide-paths": "--keep-paths", "--keep-paths": "--hide-paths"}[first]
    arguments = (f"{_CANARY}Studies", "--output", "results", "--no-report")
    assert run(*arguments, first, home=home).returncode == 3
    before = (home / "results" / "predictions.csv").read_bytes()
    refused = run(*arguments, second, home=home)
    assert refused.returncode == 1
    assert "results holds results of --hide-paths" in refused.stderr
    assert (home / "results" / "predictions.csv").read_bytes() == before
    # Neither do they where the manifest was lost.
    (home / "results" / "manifest.json").unlink()
    refused = run(*arguments, second, home=home)
    assert refused.returncode == 1
    assert "--hide-paths" in refused.stderr
    assert run(*arguments, second, "--fresh", home=home).returncode == 3
    if second == "--hide-paths":
        assert traces(everything(home)) == []


def test_extensions_of_images_alone_are_kept() -> None:
    for name, extension in {
        "Doe/John.DCM": ".dcm",
        "Doe/John.jpeg": ".jpeg",
        "Doe/scan.Doe": "",
        "Doe.png/scan": "",
        "Doe/.dcm": "",
    }.items():
        assert re.fullmatch("[0-9a-f]{16}" + re.escape(extension), row_name(_KEY, name)), name


def test_a_name_is_of_the_whole_path_and_the_key() -> None:
    names = {row_name(key, path) for key in (_KEY, bytes(32)) for path in ("a/1.dcm", "b/1.dcm")}
    assert len(names) == 4
    # Fixed for ever: a folder that was half read with an older version continues.
    assert row_name(_KEY, "ward 3/IM0001.dcm") == "5dc6bc32ec09dad1.dcm"


def test_parts_of_a_folder_are_the_same_with_hidden_paths(home: Path) -> None:
    studies = home / f"{_CANARY}Studies"
    for number in range(12):
        (studies / f"{number}.dcm").write_bytes(b"")
    parts = []
    for option in ("--keep-paths", "--hide-paths"):
        run(studies, option, "--shard", "1/2", "-o", f"part{option}", "--no-report", home=home)
        parts.append(sorted(row["sha256"] for row in rows(home / f"part{option}")))
    assert parts[0] == parts[1]
    assert 0 < len(parts[0]) < 16


@pytest.mark.skipif(sys.platform == "win32", reason="modes are of POSIX systems")
def test_the_key_is_not_left_for_others_to_read(home: Path) -> None:
    key = home / "config" / "cxr-scan" / "pseudonym.key"
    key.parent.mkdir(parents=True)
    key.write_bytes(_KEY)
    key.chmod(0o644)
    _, said = hidden(home)
    assert "had mode 0644, others could read it: it is 0600 now" in said
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_bytes() == _KEY == load_key(key)


def test_a_key_among_the_results_is_refused(home: Path) -> None:
    refused = run(f"{_CANARY}Studies", "--output", "config", home=home)
    assert refused.returncode == 1
    assert "lies in the output folder, where it undoes them" in refused.stderr
    assert not (home / "config" / "predictions.csv").exists()
