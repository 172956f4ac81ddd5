"""What a simple classifier tells from the border alone, or of the hospital from the embedding."""

from collections.abc import Sequence

import numpy as np

from scanner.radiograph import FloatArray as Features
from scanner.rates import rounded
from training.audit import blanks
from training.audit.pictures import side_by_side
from training.audit.result import Figure, Finding, not_done
from training.audit.sample import Indices, Sample
from training.results import plots
from training.results.intervals import bootstrap, percentiles

_FOLDS = 5
# The inverse strength of the penalty: there are more features than images.
_C = 0.01
_RESAMPLES = 1000
_PROBE = (
    "cross-validated logistic regression; images of one patient may stand on both sides of a fold"
)


def frame(sample: Sample, seed: int) -> tuple[Finding, bytes | None]:
    """Tell the class from nothing but the border of the model's input."""
    title, label = "The border alone", "balanced accuracy"
    means = (
        "A simple classifier was shown only the outermost 16 of 256 pixels of each side "
        f"({_PROBE}). What it tells above chance is a shortcut that these images offer to every "
        "model; it says nothing yet about whether this model takes it."
    )
    values = np.stack([blanks.frame_values(image) for image in sample.images])
    names = [sample.classes[target] for target in sample.targets]
    found = _told_apart(values, names, seed)
    if found is None:
        return not_done("frame", title, means, label, _too_few("classes")), None
    confusion, kept = found
    of_class = [sample.targets == sample.classes.index(name) for name in kept]
    borders = [
        blanks.only_frame(sample.images[members].mean(axis=0).astype(np.uint8))
        for members in of_class
    ]
    finding = Finding(
        "frame",
        title,
        means,
        _balanced(label, confusion),
        int(confusion.sum()),
        _chance(kept),
        caption=f"The mean border of {', '.join(kept)}.",
    )
    return finding, side_by_side([borders])


def source(sample: Sample, embedding: Features, seed: int) -> tuple[Finding, bytes | None]:
    """Tell the data's source from what the network makes of an image."""
    title, label = "Which source is it from?", "balanced accuracy"
    means = (
        "A simple classifier was shown the network's embedding of each image and told its source "
        f"({_PROBE}). High means that hospitals look different to the network, which it can use "
        "wherever a source brings more of one class. What the true class alone tells of the "
        "source stands below: where sources have classes of their own, even a model that sees "
        "only disease gets that far."
    )
    known = np.array([bool(name) for name in sample.sources])
    names = [name for name in sample.sources if name]
    if len(set(names)) < 2:
        only = f"all images are of one source, {names[0]}" if names else "no image has a source"
        return not_done("source", title, means, label, only), None
    found = _told_apart(embedding[known], names, seed)
    if found is None:
        return not_done("source", title, means, label, _too_few("sources")), None
    confusion, kept = found
    classes = np.eye(len(sample.classes), dtype=np.float32)[sample.targets[known]]
    of_class = _told_apart(classes, names, seed)
    assert of_class is not None  # the same names
    finding = Finding(
        "source",
        title,
        means,
        _balanced(label, confusion),
        int(confusion.sum()),
        _chance(kept),
        [_balanced("from the true class alone", of_class[0])],
        caption="Rows are the true source, columns what the embedding was taken for.",
    )
    return finding, plots.confusion(confusion.tolist(), kept, "taken for", "source").encode()


def _told_apart(
    features: Features, names: Sequence[str], seed: int
) -> tuple[Indices, list[str]] | None:
    """Return the confusion matrix of cross-validated answers, rows truth, and what is told apart.

    Names with fewer images than folds are left out; None if fewer than two are left.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import confusion_matrix
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    all_names = np.array(names)
    kept = [name for name in sorted(set(names)) if (all_names == name).sum() >= _FOLDS]
    if len(kept) < 2:
        return None
    there = np.isin(all_names, kept)
    truth = all_names[there]
    model = make_pipeline(
        StandardScaler(), LogisticRegression(C=_C, class_weight="balanced", max_iter=1000)
    )
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    answers = cross_val_predict(model, features[there], truth, cv=folds)
    return np.asarray(confusion_matrix(truth, answers, labels=kept), np.int64), kept


def _balanced(name: str, confusion: Indices) -> Figure:
    """Return the mean recall of a confusion matrix with its bootstrapped interval."""
    recall = np.diagonal(confusion) / confusion.sum(axis=1)
    drawn = bootstrap(confusion, _RESAMPLES).macro["recall"]
    return Figure(name, rounded(recall.mean()), percentiles(drawn))


def _chance(kept: Sequence[str]) -> Figure:
    return Figure(f"chance (one of {len(kept)})", rounded(1 / len(kept)))


def _too_few(what: str) -> str:
    return f"it takes two {what} with {_FOLDS} images each"
