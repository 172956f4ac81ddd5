"""What the command understands, and what it says when it does not."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from scanner.cli import Shard, cli


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_mistyped_command_is_told_from_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = _run("trian", "data")
    assert result.exit_code == 2
    assert "'trian' is neither a folder nor a command" in result.output
    assert "train" in result.output.split("Did you mean")[1]


def test_a_mistyped_command_is_told_before_its_options_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = _run("trian", "data", "--weights", "x.npz")
    assert "Did you mean the command train?" in result.output


def test_mistyped_folder_is_told_its_neighbour(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    result = _run("studis")
    assert result.exit_code == 2
    assert "Did you mean the folder studies?" in result.output


def test_two_folders_are_refused(tmp_path: Path) -> None:
    result = _run(str(tmp_path), str(tmp_path))
    assert result.exit_code == 2
    assert "One folder at a time" in result.output


def test_unknown_dicom_keyword_is_refused_with_the_nearest(tmp_path: Path) -> None:
    result = _run(str(tmp_path), "--include", "PatientId")
    assert result.exit_code == 2
    assert "PatientId is no DICOM keyword. Did you mean PatientID?" in result.output


@pytest.mark.parametrize("value", ["0/2", "3/2", "1", "a/b", "1/2/3", "-1/2"])
def test_shard_must_be_i_of_n(value: str, tmp_path: Path) -> None:
    result = _run(str(tmp_path), "--shard", value)
    assert result.exit_code == 2
    assert "i/n" in result.output


def test_shard_is_read() -> None:
    assert Shard().convert("2/8", None, None) == (2, 8)


def test_every_command_is_documented_with_an_example() -> None:
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        assert command.help, name
        assert f"Example: cxr-scan {name}" in (command.epilog or "") or name == "scan", name
        for option in command.params:
            if isinstance(option, click.Option):
                assert option.help, f"{name} {option.name}"
