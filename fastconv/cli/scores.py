"""What came of a training that taught classes: a table, pictures, JSON and the model.
It must print exactly what it writes."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import plots
from ..data import Dataset, batches
from ..formats.model_file import save
from ..layers import Layer
from ..metrics import class_scores, confusion_matrix
from ..trainer import History
from .errors import as_user_errors
from .pictures import write_json


@dataclass
class Scores:
    """A classifier and its confusion matrix on the test pictures."""

    model: Layer
    matrix: np.ndarray

    @property
    def accuracy(self) -> float:
        """The share of right ones."""
        return float(np.trace(self.matrix) / self.matrix.sum())


def matrix_of(model: Layer, test: Dataset, num_classes: int, batch_size: int) -> np.ndarray:
    """The confusion matrix of a classifier on a data set."""
    found = [model(test.batch(part)[0]).argmax(axis=1) for part in batches(len(test), batch_size, shuffle=False)]
    return confusion_matrix(test.y, np.concatenate(found), num_classes)


def report(args: argparse.Namespace, scores: Scores, histories: Mapping[str, History], out: Path) -> None:
    """Print the table, write model, curves, confusion matrix and JSON."""
    wrong = int(scores.matrix.sum() - np.trace(scores.matrix))
    summary = f"{100 * scores.accuracy:.2f} % ({wrong:,} of {scores.matrix.sum():,} wrong)"
    print(f"\n{_table(scores)}\ntest accuracy: {summary}")
    model, curves, confusion = (out / name for name in ("model.safetensors", "curves.png", "confusion.png"))
    with as_user_errors("--out"):
        save(scores.model, model)
        phases = {name: len(history["loss"]) for name, history in histories.items()}
        plots.save_curves(_joined(histories), curves, phases=phases)
        plots.save_confusion(scores.matrix, scores.model.labels, confusion, title=f"test pictures: {summary}")
    write_json(args.json, _record(scores, histories, model))
    print(f"wrote {model}, {curves}, {confusion}")
    print(f"use it: fastconv classify PICTURE... --model {model}")


def _table(scores: Scores) -> str:
    width = max(len("class"), *(len(label) for label in scores.model.labels))
    lines = [f"{'class':<{width}}  pictures  precision  recall  mostly taken for"]
    for row, (label, score) in enumerate(zip(scores.model.labels, class_scores(scores.matrix), strict=True)):
        others = np.where(np.arange(len(scores.matrix)) == row, 0, scores.matrix[row])
        other = f"{scores.model.labels[others.argmax()]} ({others.max()})" if others.any() else ""
        numbers = f"{score.count:8,}  {_percent(score.precision):>9}  {_percent(score.recall):>6}"
        lines.append(f"{label:<{width}}  {numbers}  {other}".rstrip())
    return "\n".join(lines)


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.1f} %"


def _joined(histories: Mapping[str, History]) -> dict[str, list[float]]:
    """One history after the other."""
    joined: dict[str, list[float]] = {}
    for history in histories.values():
        for name, values in history.items():
            joined.setdefault(name, []).extend(values)
    return joined


def _record(scores: Scores, histories: Mapping[str, History], model: Path) -> dict[str, Any]:
    classes = [
        {"label": label, "pictures": score.count, "precision": _plain(score.precision), "recall": _plain(score.recall)}
        for label, score in zip(scores.model.labels, class_scores(scores.matrix), strict=True)
    ]
    return {
        "model": str(model),
        "accuracy": round(scores.accuracy, 4),
        "classes": classes,
        "confusion": scores.matrix.tolist(),
        "history": {name: dict(history) for name, history in histories.items()},
    }


def _plain(share: float) -> float | None:
    return None if np.isnan(share) else round(share, 4)
