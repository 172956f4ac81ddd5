"""The commands `cxr-scan train`, `evaluate`, `audit`; what is heavy is imported when they run."""

from pathlib import Path
from typing import Any

import click

from scanner.interrupts import EXIT_INTERRUPTED, terminate_as_interrupt

# What measures best by --fine-tune: the head alone needs large steps, trained filters small ones.
_LEARNING_RATES = {"none": 1e-3, "block5": 5e-5, "all": 2e-5}
# The gradients of a whole VGG19 take 100 MB an image.
_BATCH_SIZES = {"none": 32, "block5": 32, "all": 8}
_CNN10_LEARNING_RATE = 1e-3
# 8 to 9 % of the evidence then lie outside the lungs, on training images and on others.
_LUNG_PENALTY = 1.0
_GIGABYTE = 10**9


class Names(click.ParamType[tuple[str, ...]]):
    """Names separated by commas."""

    name = "a,b,c"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, ...]:
        if isinstance(value, tuple):
            return value
        return tuple(dict.fromkeys(word.strip() for word in str(value).split(",") if word.strip()))


class Range(click.ParamType[tuple[float, float]]):
    """``low,high``: two numbers, the first the smaller."""

    name = "low,high"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float]:
        if isinstance(value, tuple):
            return value
        try:
            low, high = (float(number) for number in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r} is not of the form low,high as in 0,255.", param, ctx)
        if not low < high:
            self.fail(f"{value!r}: the first number must be the smaller.", param, ctx)
        return low, high


def _data_options(command: Any) -> Any:
    """Add the options that say how labelled data is to be read."""
    options = (
        click.option("--images", default="", help="File or .npz key of the images.  [images.npy]"),
        click.option(
            "--labels", default="", help="File or .npz key of the labels, or a CSV.  [labels.npy]"
        ),
        click.option(
            "--classes",
            type=Names(),
            default="",
            help="Class names: in the order of numbered labels, or to admit other classes.",
        ),
        click.option(
            "--value-range", type=Range(), help="Grey values of arrays, where looking cannot tell."
        ),
        click.option(
            "--reviewed",
            type=click.Path(exists=True, file_okay=False, path_type=Path),
            multiple=True,
            help="Add the reviewed decisions of a scan's output folder.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.command(
    epilog="Example: cxr-scan train ./COVID-19_Radiography_Dataset -o ./my-model",
    short_help="Build a model from labelled radiographs, or retrain one.",
)
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder for the model, its figures and its report.",
)
@_data_options
@click.option(
    "--weights",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="ImageNet VGG19 weights as .npz, .h5 or .safetensors; without it Keras downloads them.",
)
@click.option(
    "--from",
    "retrained",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Start from this trained model.",
)
@click.option(
    "--architecture",
    type=click.Choice(["vgg19", "cnn10"]),
    help="cnn10 is the small network from scratch that learns the letters: a baseline.  "
    "[default: vgg19, with --from the model's]",
)
@click.option(
    "--fine-tune",
    type=click.Choice(["none", "block5", "all"]),
    help="What to train beside the head.  [default: block5; cnn10: all]",
)
@click.option(
    "--epochs",
    type=click.IntRange(1),
    default=40,
    show_default=True,
    help="Rounds over the images.",
)
@click.option(
    "--early-stopping",
    type=click.IntRange(0),
    metavar="EPOCHS",
    default=0,
    help="Stop after so many epochs that validate no better.",
)
@click.option(
    "--batch-size", type=click.IntRange(1), help="Images in a step.  [default: 32; all: 8]"
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    help="Adam's step.  [default: none and cnn10 1e-3, block5 5e-5, all 2e-5]",
)
@click.option(
    "--copies",
    type=click.IntRange(0),
    default=1,
    show_default=True,
    help="Augmented copies of each image; rare classes get more. 0: no augmentation.",
)
@click.option("--flip", is_flag=True, help="Mirror some of the copies (situs inversus).")
@click.option(
    "--lung-penalty",
    type=click.FloatRange(0),
    help="Weight in the loss of the evidence outside the lungs, over the 15 % that may lie there, "
    "where block5 is trained and they are known.  [default: 1]",
)
@click.option(
    "--negatives",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="CSV (path, kind, patient) of pictures to refuse: teaches the gate on the image anew, so "
    "it needs every kind that cannot be made: laterals, CT slices, other body parts.",
)
@click.option(
    "--class-weights",
    is_flag=True,
    help="Weigh the loss of rare classes instead of showing them more often.",
)
@click.option(
    "--folds",
    type=click.IntRange(2),
    help="Train so many times, each with another part for testing; the model is the first.",
)
@click.option(
    "--hold-out-source", default="", metavar="NAME", help="Train without this source, test on it."
)
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Same seed, same result."
)
@click.option("--name", help="The model's name in its card.  [default: the architecture]")
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep cached features here for another training; without it they are deleted.",
)
@click.option(
    "--cache-limit",
    type=click.FloatRange(0, min_open=True),
    default=20.0,
    show_default=True,
    metavar="GB",
    help="The most the cache may take.",
)
@click.option("--resume", is_flag=True, help="Continue the unfinished training in --output.")
@click.option("--dry-run", is_flag=True, help="Say what would be trained on, then stop.")
def train(data: Path, output: Path, **options: Any) -> None:
    """Build a model from labelled radiographs.

    DATA is the Kaggle COVID-19 arrays (a folder with images.npy and labels.npy, or one .npz), a
    folder with one folder for each class, a folder of DICOM with a label CSV, a CSV with the
    columns path and label, or the output folder of a scan that was reviewed.
    """
    from training.train import TrainSettings
    from training.train import train as run

    recipe = _recipe(options)
    settings = TrainSettings(
        data=_data_settings(data, options),
        output=output,
        weights=options["weights"],
        retrained=options["retrained"],
        recipe=recipe,
        folds=options["folds"] or 0,
        hold_out=options["hold_out_source"],
        name=options["name"] or recipe.architecture,
        negatives=options["negatives"],
        cache=options["cache"],
        cache_limit=int(options["cache_limit"] * _GIGABYTE),
        resume=options["resume"],
        dry_run=options["dry_run"],
    )
    if settings.folds and settings.hold_out:
        raise click.UsageError("--folds and --hold-out-source both choose test images: give one.")
    terminate_as_interrupt()
    try:
        model_id = run(settings, click.echo)
    except KeyboardInterrupt:
        from training.unfinished import in_words

        click.echo(in_words(output), err=True)
        raise click.exceptions.Exit(EXIT_INTERRUPTED) from None
    if model_id is not None:
        click.echo(f"report: {(output / 'report.html').resolve().as_uri()}")
        click.echo(f"Model {model_id} is in {output}: cxr-scan FOLDER --model {output}")


def _judging_options(command: Any) -> Any:
    """Add the options of what judges labelled data with a finished model."""
    options = (
        click.option(
            "-m",
            "--model",
            type=click.Path(path_type=Path),
            help="Folder of a model bundle.  [default: the one that is shipped]",
        ),
        click.option(
            "--part",
            type=click.Choice(["train", "validation", "test"]),
            help="Only images of this part, as the data's split column says.",
        ),
        click.option(
            "--precision",
            type=click.Choice(["auto", "float32", "bfloat16"]),
            default="auto",
            show_default=True,
            help="Arithmetic; auto takes the fastest that keeps the labels.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _data_settings(data: Path, options: dict[str, Any]) -> Any:
    from training.data.dataset import DataSettings

    names = ("images", "labels", "classes", "value_range", "reviewed")
    return DataSettings(path=data, **{name: options[name] for name in names})


def _architecture_of(retrained: Path | None) -> str:
    from scanner.bundle import load

    return "vgg19" if retrained is None else load(retrained).architecture


def _recipe(options: dict[str, Any]) -> Any:
    """Return the recipe, with what measures best where an option was left out."""
    from scanner.precision import cpu_computes_in_bfloat16
    from scanner.preprocess import PreprocessSpec
    from training.fit import Recipe

    architecture = options["architecture"] or _architecture_of(options["retrained"])
    small = architecture == "cnn10"
    fine_tune = options["fine_tune"] or ("all" if small else "block5")
    if small and fine_tune != "all":
        raise click.UsageError("cnn10 starts at random, so all of it is trained: --fine-tune all.")
    penalty = options["lung_penalty"]
    if penalty and fine_tune != "block5":
        raise click.UsageError(
            f"--lung-penalty is for --fine-tune block5; with {fine_tune} it does nothing."
        )
    if penalty is None:
        penalty = _LUNG_PENALTY if fine_tune == "block5" else 0.0
    rate = _CNN10_LEARNING_RATE if small else _LEARNING_RATES[fine_tune]
    return Recipe(
        architecture=architecture,
        size=PreprocessSpec().size,
        fine_tune=fine_tune,
        epochs=options["epochs"],
        batch_size=options["batch_size"] or (32 if small else _BATCH_SIZES[fine_tune]),
        learning_rate=options["learning_rate"] or rate,
        class_weights=options["class_weights"],
        early_stopping=options["early_stopping"],
        copies=options["copies"],
        flip=options["flip"],
        lung_penalty=penalty,
        seed=options["seed"],
        precision="bfloat16" if cpu_computes_in_bfloat16() else "float32",
    )


@click.command(
    epilog="Example: cxr-scan evaluate ./labelled --model ./my-model",
    short_help="Measure a model on labelled radiographs.",
)
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder for figures and report.  [default: ./DATA-evaluation]",
)
@_data_options
@_judging_options
def evaluate(data: Path, model: Path | None, output: Path | None, **options: Any) -> None:
    """Measure a model on labelled radiographs it was not trained on.

    DATA is as for `cxr-scan train`. Prints the figures, writes metrics.json and report.html.
    """
    from training.evaluate import EvaluateSettings
    from training.evaluate import evaluate as run

    settings = EvaluateSettings(
        data=_data_settings(data, options),
        model=model,
        output=output or Path(f"{data.resolve().stem or 'root'}-evaluation"),
        precision=options["precision"],
        part=options["part"] or "",
    )
    click.echo(f"report: {run(settings, click.echo).resolve().as_uri()}")


@click.command(
    epilog="Example: cxr-scan audit ./labelled --model ./my-model -o ./my-audit",
    short_help="Test a model for shortcuts: letters, borders, hospitals.",
)
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Folder for figures and page.  [default: ./DATA-audit]",
)
@_data_options
@click.option(
    "--sample",
    type=click.IntRange(10, 5000),
    default=600,
    show_default=True,
    metavar="N",
    help="The most images to audit, drawn by source and class.",
)
@_judging_options
def audit(data: Path, model: Path | None, output: Path | None, **options: Any) -> None:
    """Test what else than the lungs a model's answers hang on.

    DATA is as for `cxr-scan train`; images that taught the model are passed over. Letters are
    written into corners, corners and lungs are taken away, the border and the hospital are probed,
    and the heat map is measured. Prints a line for each test, writes audit.json and audit.html.
    """
    from training.audit.command import AuditSettings
    from training.audit.command import audit as run

    settings = AuditSettings(
        data=_data_settings(data, options),
        model=model,
        output=output or Path(f"{data.resolve().stem or 'root'}-audit"),
        images=options["sample"],
        precision=options["precision"],
        part=options["part"] or "",
    )
    click.echo(f"report: {run(settings, click.echo).resolve().as_uri()}")
