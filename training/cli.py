"""The `cxr-scan train` command; everything heavy is imported when it runs."""

from pathlib import Path

import click

# What measures best by --fine-tune: the head alone needs large steps, trained filters small ones.
_DEFAULTS = {"none": (40, 1e-3), "block5": (8, 5e-5)}


@click.command(
    epilog="Example: cxr-scan train ./COVID-19_Radiography_Dataset -o ./my-model",
    short_help="Build a model from labelled radiographs.",
)
@click.argument("data", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder for the model bundle.",
)
@click.option(
    "--weights",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="ImageNet VGG19 weights as .npz; without it Keras downloads them.",
)
@click.option(
    "--fine-tune",
    type=click.Choice(["none", "block5"]),
    default="block5",
    show_default=True,
    help="What to train beside the head.",
)
@click.option(
    "--epochs", type=click.IntRange(1), help="Rounds over the images.  [default: 40, with block5 8]"
)
@click.option(
    "--batch-size", type=click.IntRange(1), default=32, show_default=True, help="Images in a step."
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(0, min_open=True),
    help="Adam's step.  [default: 1e-3, with block5 5e-5]",
)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Same seed, same result on a CPU."
)
@click.option("--name", default="vgg19", show_default=True, help="The model's name in its card.")
@click.option(
    "--cache",
    type=click.Path(file_okay=False, path_type=Path),
    help="Keep cached features here for another training; without it they are deleted.",
)
def train(
    data: Path,
    output: Path,
    weights: Path | None,
    fine_tune: str,
    epochs: int | None,
    batch_size: int,
    learning_rate: float | None,
    seed: int,
    name: str,
    cache: Path | None,
) -> None:
    """Build a model from labelled radiographs.

    DATA is the Kaggle COVID-19 arrays (a folder with images.npy and labels.npy), a folder with one
    folder for each class, or a CSV with the columns path and label.
    """
    from training.train import TrainSettings
    from training.train import train as run

    default_epochs, default_rate = _DEFAULTS[fine_tune]
    settings = TrainSettings(
        data=data,
        output=output,
        weights=weights,
        fine_tune=fine_tune,
        epochs=epochs or default_epochs,
        batch_size=batch_size,
        learning_rate=learning_rate or default_rate,
        seed=seed,
        name=name,
        cache=cache,
    )
    model_id = run(settings, click.echo)
    click.echo(f"Model {model_id} is in {output}: cxr-scan FOLDER --model {output}")
