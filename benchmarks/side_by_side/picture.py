"""The comparison as a picture: how many times fastconv's time the best peer takes, layer by layer.
It must show every case that was measured, those that a peer wins included."""

from .cases import GROUPS, OPS, Case
from .goals import BEST
from .record import Record

_TITLES = {
    "conv2d": "convolution, forward",
    "conv2d_grad_input": "gradient of the input",
    "conv2d_grad_weight": "gradient of the weight",
}


def _title(case: Case) -> str:
    """The panel of a case."""
    if case.op not in _TITLES or case.dtype != "float32":
        return "pooling, batch norm and ReLU, transposed, float64, training steps"
    return _TITLES[case.op] + (", one picture" if case.x[0] == 1 else ", batches of 4 to 64")


def _panels(records: list[Record]) -> dict[str, list[Record]]:
    """{title: records}, the convolutions first."""
    panels: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda r: (OPS.index(r.case.op), GROUPS.index(r.case.group), r.case.dtype)):
        panels.setdefault(_title(record.case), []).append(record)
    return dict(sorted(panels.items(), key=lambda item: not item[0].startswith(tuple(_TITLES.values()))))


def plot(records: list[Record], path: str, title: str) -> None:
    """Write the picture; its format is that of the name."""
    from matplotlib import colormaps
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    panels = _panels([record for record in records if record.ratio("fastconv", BEST) is not None])
    colours = dict(zip(GROUPS, colormaps["tab10"].colors * 2, strict=False))
    widest = max(map(len, panels.values()))
    figure = Figure(figsize=(max(9, 0.16 * widest), 4 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), squeeze=False)
    for ax, (name, members) in zip(axes[:, 0], panels.items(), strict=True):
        _draw(ax, name, members, colours)
        ax.set_xlim(-1, widest)  # bars of one width in all panels
    figure.suptitle(f"Time of the best peer / time of fastconv\n{title}")
    figure.savefig(path, dpi=110)


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
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, 0.5), max(high, 4))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    ax.set_title(name, loc="left", fontsize=10)
    ax.grid(axis="y", alpha=0.3)
    ax.legend(ncols=9, fontsize=7, loc="lower right", bbox_to_anchor=(1, 1), frameon=False)
    several = len({record.case.op for record in members}) > 1
    names = [record.case.key if several else record.case.layer for record in members]
    ax.set_xticks(range(len(members)), names, rotation=90, fontsize=6)
