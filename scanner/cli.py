"""The `cxr-scan` command group. Commands import what they need when they run: help is instant."""

import difflib
import importlib
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scanner import __version__
from scanner.colormaps import COLORMAPS
from scanner.errors import CxrScanError
from scanner.interrupts import EXIT_INTERRUPTED, terminate_as_interrupt
from scanner.limits import STANDARD, Limits
from scanner.option_types import Keywords, Shard
from scanner.precision import BACKENDS, PRECISIONS
from scanner.text import printable

if TYPE_CHECKING:
    from scanner.summary import Summary

EXIT_SETUP = 1
EXIT_SOME_FAILED = 3

COMMANDS = (
    *("scan", "status", "report", "review", "paths"),
    *("train", "evaluate", "audit", "models", "doctor"),
)
# Commands of other packages: scanner never imports training, it only knows where to find it.
_ELSEWHERE = {
    "train": "training.cli:train",
    "evaluate": "training.cli:evaluate",
    "audit": "training.cli:audit",
    "models": "training.models:models",
}


class CommandGroup(click.Group):
    """A group whose default command is `scan`, and whose other packages load when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _ELSEWHERE:
            module, _, attribute = _ELSEWHERE[cmd_name].partition(":")
            command: click.Command = getattr(importlib.import_module(module), attribute)
            return command
        return super().get_command(ctx, cmd_name)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own_options = {"--version", *ctx.help_option_names}
        if args and args[0] not in own_options and args[0] not in COMMANDS:
            if not args[0].startswith("-"):
                _check_exists(args[0])  # before the options of a mistyped command are refused
            args = ["scan", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=CommandGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Example: cxr-scan ./studies   (the same as: cxr-scan scan ./studies)",
)
@click.version_option(__version__, prog_name="cxr-scan")
def cli() -> None:
    """Scan a folder of chest radiographs overnight; read CSV and report in the morning.

    `cxr-scan FOLDER` scans: see `cxr-scan scan --help` for its options. Research use only, not a
    medical device.
    """


@cli.command(
    short_help="Scan a folder (the default command).",
    epilog="Example: cxr-scan ./studies --output /results/tonight --limit 500",
)
@click.argument("folders", metavar="FOLDER", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Where results go.  [default: ./FOLDER-cxr]",
)
@click.option(
    "-m",
    "--model",
    type=click.Path(path_type=Path),
    help="Folder of a model bundle.  [default: the one that is shipped]",
)
@click.option(
    "--batch-size",
    type=click.IntRange(1, 1024),
    help="Images judged at once.  [default: by device]",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", *PRECISIONS]),
    default="auto",
    show_default=True,
    help="Arithmetic; auto takes the fastest that keeps the labels.",
)
@click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="tensorflow",
    show_default=True,
    help="What computes; openvino is for CPUs: pip install 'cxr-scan[openvino]'.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    help="Processes that read and decode.  [default: 8]",
)
@click.option("--limit", type=click.IntRange(1), help="Stop after so many new images.")
@click.option(
    "--shard", type=Shard(), default="1/1", help="Scan part i of n, for several machines."
)
@click.option(
    "--include",
    type=Keywords(),
    default="",
    help="Copy DICOM elements into the CSV, e.g. PatientID,AccessionNumber (they identify).",
)
@click.option(
    "--fresh", is_flag=True, help="Delete the results in the output folder and start over."
)
@click.option("--strict", is_flag=True, help="Reject what would be flagged while reading.")
@click.option("--require-gpu", is_flag=True, help="Fail at once if no GPU can be used.")
@click.option(
    "--max-file-mb",
    type=click.IntRange(1),
    default=STANDARD.file_mb,
    show_default=True,
    help="Largest file to read, and data set to inflate.",
)
@click.option(
    "--max-megapixels",
    type=click.IntRange(1),
    default=STANDARD.megapixels,
    show_default=True,
    help="Largest image to decode, in million pixels.",
)
@click.option(
    "--max-seconds",
    type=click.FloatRange(0, min_open=True),
    default=STANDARD.seconds,
    show_default=True,
    help="Longest time to read one file.",
)
@click.option(
    "--max-memory-mb",
    type=click.IntRange(64),
    default=STANDARD.memory_mb,
    show_default=True,
    help="Memory all decoders may take together, one file at most.",
)
@click.option(
    "--no-report",
    is_flag=True,
    help="Write the CSV only; `cxr-scan report` makes the report later.",
)
@click.option(
    "--self-contained",
    is_flag=True,
    help="Embed the pictures in the report's pages, to mail one; they have no script then.",
)
@click.option(
    "--detail-images",
    is_flag=True,
    help="Keep a large picture of every image, not of flagged and positive ones alone.",
)
@click.option(
    "--colormap",
    type=click.Choice(COLORMAPS),
    default=COLORMAPS[0],
    show_default=True,
    help="Colours of the heat map.",
)
@click.option(
    "--keep-paths/--hide-paths",
    "keep_paths",
    default=True,
    help="Name files by their paths, or by pseudonyms that `cxr-scan paths` looks up."
    "  [default: keep]",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Lines of run.log: for people, or one JSON object each.",
)
@click.option("-v", "--verbose", is_flag=True, help="Say what fails as it happens.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors.")
def scan(
    folders: tuple[str, ...],
    output: Path | None,
    model: Path | None,
    no_report: bool,
    self_contained: bool,
    verbose: bool,
    quiet: bool,
    shard: tuple[int, int],
    keep_paths: bool,
    **options: Any,
) -> None:
    """Judge every chest radiograph below FOLDER; write predictions.csv and an HTML report.

    Run the same command again to continue after an interruption, or to add new files. Exit codes: 0
    done; 1 could not start or go on; 2 wrong usage; 3 done, but some files or folders could not be
    read; 130 interrupted.
    """
    terminate_as_interrupt()
    root = _folder(folders)
    _log_to_terminal(verbose)
    output = output or Path(_default_output(root, keep_paths) + _shard_suffix(shard))

    from scanner import pipeline
    from scanner.settings import ScanSettings

    if model is not None:
        options["model"] = model
    options["limits"] = Limits(
        *(options.pop(f"max_{name}") for name in ("file_mb", "megapixels", "seconds", "memory_mb"))
    )
    settings = ScanSettings(
        root=root, output=output, shard=shard, hide_paths=not keep_paths, **options
    )
    watcher = _watcher(quiet)
    try:
        summary = pipeline.scan(settings, watcher)
        index = None if no_report else _report(output, self_contained)
    except KeyboardInterrupt:
        click.echo(
            f"Interrupted. What was judged is in {printable(str(output))}; run the same command "
            "again to continue.",
            err=True,
        )
        raise click.exceptions.Exit(EXIT_INTERRUPTED) from None
    finally:
        watcher.close()
    if not quiet:
        _say_summary(summary, output, index, keep_paths)
    if summary.statuses["failed"] or summary.unreadable_folders:
        raise click.exceptions.Exit(EXIT_SOME_FAILED)


def _report(output: Path, self_contained: bool) -> Path:
    from scanner.report import render

    return render(output, self_contained)


def _folder(folders: tuple[str, ...]) -> Path:
    """Return the one folder that was meant, or say what is wrong with the words given."""
    _check_exists(folders[0])
    if len(folders) > 1:
        raise click.UsageError(
            f"One folder at a time: {' '.join(folders)}. Each has an output folder of its own."
        )
    return Path(folders[0])


def _check_exists(word: str) -> None:
    """Raise a usage error with the nearest command or folder if `word` is neither."""
    path = Path(word)
    if path.exists():
        return
    siblings = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    commands = COMMANDS if path.name == word else ()
    nearest = difflib.get_close_matches(path.name, [*siblings, *commands], n=1)
    hint = ""
    if nearest and nearest[0] in siblings:
        hint = f" Did you mean the folder {path.parent / nearest[0]}?"
    elif nearest:
        hint = f" Did you mean the command {nearest[0]}?"
    raise click.UsageError(f"{word!r} is neither a folder nor a command.{hint}")


def _default_output(root: Path, keep_paths: bool) -> str:
    if keep_paths:
        return f"{root.resolve().name or 'root'}-cxr"
    from scanner.hidden_paths import default_output
    from scanner.pseudonyms import load_key

    return default_output(load_key(), root)


def _shard_suffix(shard: tuple[int, int]) -> str:
    part, parts = shard
    return f"-{part}of{parts}" if parts > 1 else ""


def _log_to_terminal(verbose: bool) -> None:
    if verbose:
        from scanner.progress import Terminal
        from scanner.run_log import OneLine

        handler = logging.StreamHandler(Terminal())
        handler.setFormatter(OneLine("%(message)s"))
        logging.getLogger("scanner").addHandler(handler)


def _watcher(quiet: bool) -> Any:
    from scanner import progress

    if quiet:
        return progress.Silence()
    return progress.Bar() if sys.stderr.isatty() else progress.Lines()


def _say_summary(summary: "Summary", output: Path, index: Path | None, keep_paths: bool) -> None:
    """Print what was found and where to look next."""
    from scanner.output import PREDICTIONS
    from scanner.words import PASSED_OVER, in_words

    counts = summary.statuses
    click.echo(
        f"{counts.total()} images: {counts['ok']} ok, {counts['flagged']} flagged, "
        f"{counts['rejected']} rejected, {counts['failed']} failed"
        f" ({summary.new_rows} new in {summary.seconds:.0f} s)"
    )
    if summary.predictions:
        parts = (f"{name} {count}" for name, count in sorted(summary.predictions.items()))
        click.echo(f"predictions: {', '.join(parts)}")
    for reason, count in summary.reasons.most_common():
        click.echo(f"  {count} {reason}: {in_words(reason)}")
    for kind, count in sorted(summary.passed_over.items()):
        click.echo(f"  without a row: {count} {PASSED_OVER.get(kind, kind)}")
    if summary.limited:
        click.echo("stopped by --limit: run the same command again to continue")
    for warning in summary.warnings:
        click.echo(f"warning: {warning}")
    if summary.device:
        click.echo(f"device: {summary.device}, {summary.precision}")
    click.echo(f"rows:   {printable(str(output / PREDICTIONS))}")
    if index is not None:
        # A URL needs the folders above, which --hide-paths does not say.
        place = index.resolve().as_uri() if keep_paths else printable(str(index))
        click.echo(f"report: {place}")


@cli.command(
    short_help="Tell how far a running or ended scan is.",
    epilog="Example: cxr-scan status ./studies-cxr",
)
@click.argument("output", type=click.Path(exists=True, file_okay=False, path_type=Path))
def status(output: Path) -> None:
    """Tell how far the scan into OUTPUT is, running or not, and what to do next; reads only."""
    from scanner.status import lines

    for line in lines(output):
        click.echo(line)


@cli.command(
    short_help="Look up what --hide-paths called the files.",
    epilog="Example: cxr-scan paths ./studies ./cxr-scan-1f0c9a5b | grep 9d4be0b1a2c3d4e5",
)
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.argument("output", type=click.Path(exists=True, file_okay=False, path_type=Path))
def paths(folder: Path, output: Path) -> None:
    """Print the name in OUTPUT's rows and the path, a tab between, of every file below FOLDER.

    OUTPUT is of a scan of FOLDER with --hide-paths. Only the user who scanned has the key for it.
    """
    from scanner.hidden_paths import lookup

    for name, path in lookup(folder, output):
        click.echo(f"{name}\t{path}")


@cli.command(
    short_help="Render the report again from predictions.csv.",
    epilog="Example: cxr-scan report ./studies-cxr --self-contained",
)
@click.argument("output", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--self-contained", is_flag=True, help="Embed the pictures, no script.")
def report(output: Path, self_contained: bool) -> None:
    """Render the HTML report again from the results in OUTPUT, the output folder of a scan."""
    from scanner.report import render

    click.echo(render(output, self_contained).resolve().as_uri())


@cli.command(
    short_help="Merge the decisions of a review; compare people and model.",
    epilog="Example: cxr-scan review ./studies-cxr ~/Downloads/decisions.csv",
)
@click.argument("output", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.argument(
    "files", metavar="[DECISIONS]...", nargs=-1, type=click.Path(dir_okay=False, path_type=Path)
)
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but what was left out, and errors.")
def review(output: Path, files: tuple[Path, ...], quiet: bool) -> None:
    """Merge exported decisions of one or more reviewers into OUTPUT/reviewed.csv.

    DECISIONS are files that the report exports. Merged twice is merged once, the later decision of
    a reviewer stands, and where two reviewers differ an image has no label. Then prints how far
    they agree with the model; without DECISIONS, that alone. `cxr-scan train --reviewed OUTPUT`
    learns from it. Exit codes: 0 done; 1 nothing was merged; 2 wrong usage; 3 done, but some
    decisions are of no image in OUTPUT.
    """
    from scanner.review import merge
    from scanner.review_lines import lines, warnings

    merged = merge(output, files)
    if not quiet:
        for line in lines(merged, len(files)):
            click.echo(line)
    for warning in warnings(merged):
        click.echo(f"warning: {warning}", err=True)
    if merged.left_out:
        raise click.exceptions.Exit(EXIT_SOME_FAILED)


@cli.command(
    short_help="Show versions, devices, decoders and the model.",
    epilog="Example: cxr-scan doctor --model ./my-model",
)
@click.option("-m", "--model", type=click.Path(path_type=Path), help="Folder of a model bundle.")
def doctor(model: Path | None) -> None:
    """Show what a scan would run with: versions, decoders by transfer syntax, model, devices."""
    from scanner.doctor import findings

    for title, lines in findings(model):
        click.echo(f"{title}:")
        for line in lines:
            click.echo(f"  {line}")


def main() -> None:
    """Run the command line; every deliberate error is one line, never a traceback."""
    try:
        code = cli.main(prog_name="cxr-scan", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except CxrScanError as error:
        click.echo(f"Error: {printable(str(error))}", err=True)
        code = EXIT_SETUP
    except PermissionError as error:
        what = printable(str(error.filename or "Something"))
        click.echo(f"Error: {what} may not be opened or written: check its permissions.", err=True)
        code = EXIT_SETUP
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:  # whoever was reading our output has gone; Python must not try again
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115
        code = EXIT_SETUP
    sys.exit(code if isinstance(code, int) else 0)
