"""Out of distribution: how far an image's embedding lies from those the model was taught with."""

import numpy as np
import numpy.typing as npt

from scanner.architecture import Weights
from scanner.radiograph import FloatArray

_MEAN, _WHITENING = "ood/mean", "ood/whitening"


def has_statistics(weights: Weights) -> bool:
    """Tell whether a model can say how far an image is from its training images."""
    return _MEAN in weights and _WHITENING in weights


def score(embedding: FloatArray, weights: Weights) -> npt.NDArray[np.float64]:
    """Return the distance (N,) of embeddings (N, E) from the nearest class of training images.

    Mahalanobis's distance to the nearest of the classes' means, with the covariance they share (Lee
    et al. 2018), of embeddings as `_directions` has them, divided by the root of the number of
    dimensions: about 1 for an image like those of training, more for others. `weights` have what
    `fit` returned.
    """
    whitened = _directions(embedding) @ weights[_WHITENING]
    means = weights[_MEAN] @ weights[_WHITENING]
    nearest = np.min([np.linalg.norm(whitened - mean, axis=1) for mean in means], axis=0)
    return np.asarray(nearest / np.sqrt(whitened.shape[1]))


def fit(
    embedding: FloatArray, targets: npt.NDArray[np.int64]
) -> dict[str, npt.NDArray[np.float32]]:
    """Return the statistics of training images: ``ood/mean`` (C, E) and ``ood/whitening`` (E, E).

    `embedding` (N, E) and `targets` (N,), their classes; C counts those that have images. The
    covariance within classes is drawn towards a multiple of the identity as Ledoit and Wolf (2004)
    say, so that channels that hardly speak, and few images, do no harm.
    """
    places = _directions(embedding)
    present = np.unique(targets)
    means = np.stack([places[targets == number].mean(axis=0) for number in present])
    inside = places - means[np.searchsorted(present, targets)]
    from sklearn.covariance import ledoit_wolf  # a second to import, and only training needs it

    values, vectors = np.linalg.eigh(ledoit_wolf(inside, assume_centered=True)[0])
    # Embeddings that are all equal have no spread: they would divide by zero.
    whitening = vectors / np.sqrt(np.maximum(values, 1e-12))
    return {_MEAN: means.astype(np.float32), _WHITENING: whitening.astype(np.float32)}


def _directions(embedding: FloatArray) -> npt.NDArray[np.float64]:
    """Return embeddings (N, E) >= 0 as unit vectors of the roots of their shares.

    An embedding is averages after a ReLU: never negative, skewed, and as a whole larger where the
    image has more contrast. Roots of the channels' shares make the distance of two of them
    Hellinger's, for which how the channels are mixed counts, not how strongly the image speaks.
    """
    roots = np.sqrt(np.maximum(embedding, 0).astype(np.float64))
    return np.asarray(roots / np.maximum(np.linalg.norm(roots, axis=1, keepdims=True), 1e-12))
