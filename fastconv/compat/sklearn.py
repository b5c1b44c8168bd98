"""CNNClassifier: a convolutional network as a scikit-learn classifier, for pipelines, searches and cross-validation.
It must hold nothing but constructor arguments before `fit`, and nothing of the training but its results after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np

try:
    from sklearn.base import BaseEstimator, ClassifierMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError('fastconv.compat.sklearn needs scikit-learn: pip install "fastconv[compat]"') from error

from fastconv.functional import softmax
from fastconv.layers import Conv2d, Flatten, Layer, Linear, MaxPool2d, ReLU, Sequential
from fastconv.losses import CrossEntropyLoss
from fastconv.optim import Adam
from fastconv.trainer import Trainer

__all__ = ["CNNClassifier"]


class CNNClassifier(ClassifierMixin, BaseEstimator):
    """Classifies pictures with a network of 3x3 convolutions, each with ReLU and 2x2 pooling, and two dense layers.

    X is (N, C, H, W), (N, H, W), or (N, features) with `image_shape` (C, H, W) saying what a row is; without it a row
    is one line of one channel. float32 is computed in float32, all else in float64. Scale X to a deviation of about 1.

    channels: outputs of each convolution; hidden: of the first dense layer. network(shape, classes, generator=...)
    makes another Layer instead, as the functions of fastconv.models do. Trained with Adam for `epochs` of batches of
    `batch_size`. The same random_state gives the same bits.

    After fit: classes_, n_features_in_, image_shape_, model_ (the Layer), history_ (the Trainer's History).
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int] | None = None,
        *,
        channels: tuple[int, ...] = (16, 32),
        hidden: int = 64,
        network: Callable[..., Layer] | None = None,
        epochs: int = 20,
        batch_size: int = 32,
        learning_rate: float = 3e-3,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.image_shape = image_shape
        self.channels = channels
        self.hidden = hidden
        self.network = network
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.random_state = random_state
        self.verbose = verbose

    def fit(self, X: Any, y: Any) -> Self:
        """Train a new network on X and the classes y (N,)."""
        shape = self.image_shape or _picture(X)
        X, y = validate_data(self, _rows(X), y, dtype=(np.float64, np.float32))
        check_classification_targets(y)
        self.image_shape_ = (1, 1, X.shape[1]) if shape is None else tuple(shape)
        if X.shape[1] != np.prod(self.image_shape_):
            raise ValueError(f"CNNClassifier: X has {X.shape[1]} features; image_shape is {self.image_shape_}")
        self.classes_, labels = np.unique(y, return_inverse=True)
        seed = check_random_state(self.random_state).randint(2**31)
        generator = np.random.default_rng(seed)
        if self.network is None:
            self.model_ = self._sequential(generator)
        else:
            self.model_ = self.network(self.image_shape_, len(self.classes_), generator=generator)
        self.model_.astype(X.dtype)
        optimizer = Adam(self.model_.parameters(), lr=self.learning_rate)
        trainer = Trainer(self.model_, optimizer, CrossEntropyLoss(), seed=seed)
        pictures = X.reshape(-1, *self.image_shape_)
        self.history_ = trainer.fit(pictures, labels, self.epochs, self.batch_size, progress=bool(self.verbose))
        self.model_.zero_grad()
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each of classes_: (N, classes)."""
        check_is_fitted(self)
        if _picture(X) not in (None, self.image_shape_):
            raise ValueError(f"CNNClassifier: X has pictures {_picture(X)}; it was fitted on {self.image_shape_}")
        X = validate_data(self, _rows(X), dtype=(np.float64, np.float32), reset=False)
        pictures = X.reshape(-1, *self.image_shape_).astype(next(self.model_.parameters()).data.dtype, copy=False)
        batches = [pictures[start : start + 256] for start in range(0, len(pictures), 256)]
        return softmax(np.concatenate([self.model_(batch) for batch in batches]))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each picture."""
        probabilities = self.predict_proba(X)  # first: an unfitted estimator has no classes_
        return self.classes_[probabilities.argmax(axis=1)]

    def _sequential(self, generator: np.random.Generator) -> Sequential:
        C, H, W = self.image_shape_
        layers: list[Layer] = []
        for width in self.channels:
            window = min(H, 2), min(W, 2)
            layers += [Conv2d(C, width, 3, padding=1, generator=generator), ReLU(), MaxPool2d(window)]
            C, H, W = width, H // window[0], W // window[1]
        return Sequential(
            *layers,
            Flatten(),
            Linear(C * H * W, self.hidden, generator=generator),
            ReLU(),
            Linear(self.hidden, len(self.classes_), generator=generator),
        )


def _picture(X: Any) -> tuple[int, int, int] | None:
    """(C, H, W) of arrays that say it themselves."""
    shape = np.shape(X)[1:] if getattr(X, "ndim", 2) in (3, 4) else None
    return shape if shape is None or len(shape) == 3 else (1, *shape)


def _rows(X: Any) -> Any:
    return X.reshape(len(X), -1) if _picture(X) else X
