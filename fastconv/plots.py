"""Pictures of a training as PNG files: curves, and samples with their predictions (the extra [train]).
It must never open a window nor touch matplotlib's global state."""

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_SAMPLES_A_ROW = 8


def save_curves(
    history: Mapping[str, Sequence[float]], path: str | os.PathLike, *, phases: Mapping[str, int] | None = None
) -> None:
    """Loss and, where measured, accuracy over the epochs, of training and validation.

    `phases`, {name: epochs}, marks where one way of training followed another.
    """
    save_report(history, path, phases=phases)


def save_predictions(
    images: np.ndarray,
    labels: np.ndarray,
    predictions: np.ndarray,
    path: str | os.PathLike,
    classes: Sequence[str] | None = None,
) -> None:
    """A grid of pictures (N, C, H, W), C 1 or 3, values 0 to 1, titled by prediction; red where wrong.

    `labels` are integers (N,), `predictions` integers (N,) or scores (N, K).
    """
    save_report({}, path, images=images, labels=labels, predictions=predictions, classes=classes)


def save_classes(picture: np.ndarray, probabilities: Mapping[str, float], path: str | os.PathLike) -> None:
    """A picture (height, width, 3) of uint8 beside bars of the probabilities of classes, in their order."""
    figure = new_figure((9, 4))
    left, right = figure.subplots(1, 2, width_ratios=(1, 1))
    left.imshow(picture)
    left.axis("off")
    places = range(len(probabilities))
    bars = right.barh(places, list(probabilities.values()))
    right.bar_label(bars, [f"{100 * value:.1f} %" for value in probabilities.values()], padding=3)
    right.set_yticks(places, [name if len(name) <= 30 else name[:29] + "…" for name in probabilities])
    right.set_xlim(0, 1.15)
    right.invert_yaxis()
    right.set_xlabel("probability")
    figure.savefig(path, format="png", dpi=110)


def save_confusion(matrix: np.ndarray, classes: Sequence[str], path: str | os.PathLike, *, title: str = "") -> None:
    """A confusion matrix (K, K) of counts: rows are what pictures show, columns what they were taken for.

    Colours are shares of a row, so that classes of unequal size compare; numbers are counts, left out above
    30 classes.
    """
    matrix, K = np.asarray(matrix), len(classes)
    if matrix.shape != (K, K):
        raise ValueError(f"save_confusion: matrix must be {(K, K)} for {K} classes, got {matrix.shape}")
    names = [name if len(name) <= 20 else name[:19] + "…" for name in map(str, classes)]
    side = min(3 + 0.45 * K, 16)  # inches
    figure = new_figure((side + 1, side))
    axes = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    # By the root of the share: a few errors among many must be seen.
    image = axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    size = 10 if K <= 15 else 7 if K <= 30 else 5
    axes.set_xticks(range(K), names, rotation=45, ha="right", rotation_mode="anchor", fontsize=size)
    axes.set_yticks(range(K), names, fontsize=size)
    axes.set_xlabel("taken for")
    axes.set_ylabel("is")
    axes.set_title(title)
    for place in np.argwhere(matrix) if K <= 30 else ():
        row, column = place.tolist()
        colour = "white" if shares[row, column] > 0.4 else "black" if row == column else "#be001e"
        axes.text(column, row, f"{matrix[row, column]}", ha="center", va="center", fontsize=size, color=colour)
    ticks = (0, 0.01, 0.05, 0.2, 0.5, 1)
    bar = figure.colorbar(image, shrink=0.8, ticks=np.sqrt(ticks), label="share of the row")
    bar.ax.set_yticklabels(f"{100 * tick:g} %" for tick in ticks)
    figure.savefig(path, format="png", dpi=110)


def save_report(
    history: Mapping[str, Sequence[float]],
    path: str | os.PathLike,
    *,
    images: np.ndarray | None = None,
    labels: np.ndarray | None = None,
    predictions: np.ndarray | None = None,
    classes: Sequence[str] | None = None,
    title: str = "",
    phases: Mapping[str, int] | None = None,
) -> None:
    """Curves, and below them the grid of `save_predictions` if there are images, as one PNG file."""
    curves = [name for name in ("loss", "accuracy") if name in history or f"val_{name}" in history]
    samples = 0 if images is None else len(images)
    grid_rows = -(-samples // _SAMPLES_A_ROW)
    if not curves and not samples:
        raise ValueError("save_report: there is nothing to draw: no history and no images")
    # Inches: curves are 3.2 high, a row of samples 1.3.
    heights = [3.2 * bool(curves), 1.3 * grid_rows]
    figure = new_figure((9, sum(heights) + 0.4 * bool(title)))
    parts = [part for part in heights if part]
    areas = list(np.atleast_1d(figure.subfigures(len(parts), 1, height_ratios=parts)))
    if title:
        figure.suptitle(title)
    if curves:
        _draw_curves(areas.pop(0), history, curves, phases or {})
    if samples:
        shown = np.asarray(predictions)
        shown = shown.argmax(axis=1) if shown.ndim == 2 else shown
        _draw_grid(areas.pop(0), np.asarray(images), np.asarray(labels), shown, classes, grid_rows)
    figure.savefig(path, format="png", dpi=110)


def new_figure(size: tuple[float, float]) -> Any:
    """An empty figure of this size in inches, apart from matplotlib's global state; ImportError without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError('plots need matplotlib: pip install "fastconv[train]"') from error
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _draw_curves(
    area: Any, history: Mapping[str, Sequence[float]], curves: list[str], phases: Mapping[str, int]
) -> None:
    for axes, name in zip(np.atleast_1d(area.subplots(1, len(curves))), curves, strict=True):
        for key, label in ((name, "training"), (f"val_{name}", "validation")):
            if values := history.get(key):
                axes.plot(range(1, len(values) + 1), values, marker=".", label=label)
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        end = 0.5
        for number, (phase, epochs) in enumerate(phases.items()):
            if number:
                axes.axvline(end, color="grey", linestyle="--", linewidth=1)
            where = {"xy": (end + epochs / 2, 1.01), "xycoords": ("data", "axes fraction")}
            axes.annotate(phase, **where, ha="center", fontsize=8, color="grey")
            end += epochs
        axes.legend()


def _draw_grid(
    area: Any,
    images: np.ndarray,
    labels: np.ndarray,
    predictions: np.ndarray,
    classes: Sequence[str] | None,
    rows: int,
) -> None:
    if images.ndim != 4 or images.shape[1] not in (1, 3):
        raise ValueError(f"save_report: images must be (N, 1 or 3, H, W), got {images.shape}")
    if not len(images) == len(labels) == len(predictions):
        raise ValueError(f"save_report: {len(images)} images, {len(labels)} labels and {len(predictions)} predictions")
    places = area.subplots(rows, _SAMPLES_A_ROW, squeeze=False).ravel()
    for axes in places:
        axes.axis("off")
    for axes, image, label, guess in zip(places, images, labels, predictions, strict=False):
        picture = np.clip(image.transpose(1, 2, 0), 0, 1)
        axes.imshow(picture[..., 0] if picture.shape[-1] == 1 else picture, cmap="gray", vmin=0, vmax=1)
        named = [str(value) if classes is None else classes[value] for value in (guess, label)]
        right = guess == label
        axes.set_title(
            named[0] if right else f"{named[0]} (is {named[1]})",
            fontsize=8,
            color="black" if right else "crimson",
        )
