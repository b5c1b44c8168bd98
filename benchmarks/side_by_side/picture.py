"""The comparison as a picture: how many times fastconv's time the best peer takes, layer by layer.
It must show every case that was measured, those that a peer wins included."""

from .cases import GROUPS, OPS
from .goals import BEST
from .record import Record

_TITLES = {
    "conv2d": "convolution, forward",
    "conv2d_grad_input": "gradient of the input",
    "conv2d_grad_weight": "gradient of the weight",
}
# Up to so many cases in a panel each has its name below.
_NAMED = 100


def _panels(records: list[Record]) -> list[tuple[str, list[Record]]]:
    """(title, records) of each operation, by batch size where a network's layers come in two."""
    panels: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda r: (OPS.index(r.case.op), GROUPS.index(r.case.group))):
        case, title = record.case, _TITLES.get(record.case.op)
        if title is None:
            title = {"pool": "pooling", "norm": "batch norm and ReLU", "training": "training steps"}.get(
                case.group, case.op
            )
        elif case.dtype == "float64":
            title = "float64 convolution and gradients"
        else:
            title += ", one picture" if case.x[0] == 1 else ", batches of 4 to 64"
        panels.setdefault(title, []).append(record)
    return sorted(panels.items(), key=lambda item: -len(item[1]))


def plot(records: list[Record], path: str, title: str) -> None:
    """Write the picture; its format is that of the name."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = _panels([record for record in records if record.ratio("fastconv", BEST) is not None])
    colours = dict(zip(GROUPS, pyplot.get_cmap("tab10").colors * 2, strict=False))
    widest = max(len(members) for _, members in panels)
    figure, axes = pyplot.subplots(
        len(panels), figsize=(max(9, min(30, 0.16 * widest)), 3.6 * len(panels)), squeeze=False, layout="constrained"
    )
    for ax, (name, members) in zip(axes[:, 0], panels, strict=True):
        _draw(ax, name, members, colours)
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _draw(ax, name: str, members: list[Record], colours: dict[str, tuple]) -> None:
    for group in dict.fromkeys(record.case.group for record in members):
        places = [place for place, record in enumerate(members) if record.case.group == group]
        ratios = [members[place].ratio("fastconv", BEST) for place in places]
        # Bars grow from 1, up where fastconv is faster and down where a peer is.
        ax.bar(places, [ratio - 1 for ratio in ratios], bottom=1, color=colours[group], label=group)
    for subject, mark, against in (("fastconv prepacked", "_", BEST), ("fastconv prepacked", "x", ("ncnn",))):
        found = [(place, record.ratio(subject, against)) for place, record in enumerate(members)]
        found = [(place, ratio) for place, ratio in found if ratio is not None]
        if found:
            label = "prepacked" if against is BEST else "prepacked, against ncnn"
            ax.scatter(*zip(*found, strict=True), marker=mark, color="black", s=18, linewidths=0.9, label=label)
    ax.axhline(1, color="black", linewidth=0.8)
    ax.set_yscale("log", base=2)
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    ax.set_xlim(-1, len(members))
    ax.set_title(f"{name}: time of the best peer / time of fastconv", loc="left", fontsize=10)
    ax.grid(axis="y", alpha=0.3)
    ax.legend(ncols=8, fontsize=7, loc="upper right")
    if len(members) <= _NAMED:
        several = len({record.case.op for record in members}) > 1
        names = [record.case.key if several else record.case.layer for record in members]
        ax.set_xticks(range(len(members)), names, rotation=90, fontsize=6)
    else:
        ax.set_xticks([])
