"""The `cxr-scan models` commands: what bundles there are, what they say of themselves, export."""

from collections.abc import Iterable
from pathlib import Path

import click

from scanner.text import printable

_BUNDLE = click.argument(
    "bundle", type=click.Path(exists=True, file_okay=False, path_type=Path), required=False
)
# By --format, how the file must end: Keras loads no other, and the rest is named alike.
SUFFIXES = {"keras": ".keras", "onnx": ".onnx", "savedmodel": ""}


@click.group(
    invoke_without_command=True,
    short_help="List, show and export models.",
    epilog="Example: cxr-scan models   (the same as: cxr-scan models list .)",
)
@click.pass_context
def models(context: click.Context) -> None:
    """List, show and export models: the one that is shipped, and what `cxr-scan train` built."""
    if context.invoked_subcommand is None:
        context.invoke(list_models, folders=())


@models.command(
    "list",
    short_help="List the models in folders.",
    epilog="Example: cxr-scan models list ./models /srv/models",
)
@click.argument(
    "folders",
    metavar="[FOLDER]...",
    nargs=-1,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
def list_models(folders: tuple[Path, ...]) -> None:
    """List the shipped model and every one in FOLDER (the current one) and two levels below.

    A model that is damaged or of a newer version is listed with what is wrong with it.
    """
    from scanner.bundle import DEFAULT_BUNDLE

    for line in _described(DEFAULT_BUNDLE, "shipped"):
        click.echo(line)
    for folder in find(folders or (Path(),)):
        for line in _described(folder, ""):
            click.echo(line)


def find(folders: Iterable[Path]) -> list[Path]:
    """Return the folders of bundles, whole or damaged, in `folders` and two levels below, sorted.

    The shipped one is not among them, and each is there once.
    """
    from scanner.bundle import CARD, DEFAULT_BUNDLE

    cards = (c for f in folders for depth in ("", "*/", "*/*/") for c in f.glob(depth + CARD))
    places = {card.parent.resolve(): card.parent for card in cards}
    places.pop(DEFAULT_BUNDLE.resolve(), None)
    return sorted(places.values())


def _described(folder: Path, remark: str) -> list[str]:
    """Return a model's lines for the list; cards are files of others, so made printable."""
    from scanner.bundle import load
    from scanner.errors import SetupError

    place = f"{folder} ({remark})" if remark else str(folder)
    try:
        bundle = load(folder)
    except SetupError as error:
        lines = ["not usable", str(error), place]
    else:
        lines = [
            f"{bundle.id}  {bundle.card.get('name', 'unnamed')}",
            f"{bundle.architecture}: {', '.join(bundle.classes)}",
            str(bundle.card.get("headline", "no held-out figures in its card")),
            place,
        ]
    first, *rest = map(printable, lines)
    return [first, *(f"  {line}" for line in rest)]


@models.command(
    short_help="Print the card of a model.", epilog="Example: cxr-scan models show ./my-model"
)
@_BUNDLE
def show(bundle: Path | None) -> None:
    """Print the card of the model in BUNDLE (the shipped one): data, recipe, figures, limits."""
    from scanner.bundle import CARD, DEFAULT_BUNDLE, load
    from scanner.errors import SetupError
    from training.results.card import as_markdown

    folder = bundle or DEFAULT_BUNDLE
    try:
        text = as_markdown(load(folder).card)
    except KeyError as error:  # a bundle can be used with less than `cxr-scan train` writes
        raise SetupError(
            f"The model card {folder / CARD} says too little to be shown: it has no {error}."
        ) from error
    click.echo("\n".join(map(printable, text.splitlines())))


@models.command(
    short_help="Write a model in another format.",
    epilog="Example: cxr-scan models export ./my-model --format onnx --output my-model.onnx",
)
@_BUNDLE
@click.option(
    "--format",
    "form",
    type=click.Choice(list(SUFFIXES)),
    required=True,
    help="What to write; onnx needs 5 GB of memory meanwhile.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Where to: a .keras or .onnx file, or for savedmodel a folder.",
)
def export(bundle: Path | None, form: str, output: Path) -> None:
    """Write the model in BUNDLE (the shipped one) for other programs.

    The network takes prepared radiographs (N, 256, 256, 1) uint8 and gives probabilities, Grad-CAM
    and embedding. How a radiograph is prepared, and what the classes are, stands in OUTPUT.json.
    """
    from scanner.bundle import DEFAULT_BUNDLE, load
    from training.export import write

    if output.suffix != SUFFIXES[form] and SUFFIXES[form]:
        raise click.UsageError(f"--output {output} must end in {SUFFIXES[form]} for this format.")
    click.echo(f"writing {form}: this can take a minute")
    sidecar = write(load(bundle or DEFAULT_BUNDLE), form, output)
    click.echo(f"network: {printable(str(output))}\nabout it: {printable(str(sidecar))}")
