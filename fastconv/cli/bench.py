"""`fastconv bench`: times against NumPy and naive loops, as a table and, where asked, as JSON.
It must hold no measuring code: that is fastconv.bench."""

import argparse
import json
from typing import Any

from . import bench_model
from .errors import UserError, as_user_errors
from .options import add_threads, apply_threads, real, whole

PEERS = ("im2col", "reference", "naive")


def add_parser(subparsers: Any) -> argparse.ArgumentParser:
    """The parser of this command."""
    parser = subparsers.add_parser(
        "bench",
        help="time the kernels against NumPy",
        description="Times the kernels against NumPy, or a network against other engines, in one run.",
    )
    parser.add_argument("--only", metavar="TEXT", help="only rows whose operation contains this, such as conv or pool")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float32")
    parser.add_argument("--batch-size", type=whole(1), metavar="N", help="use this batch size in every row")
    parser.add_argument("--seconds", type=real(0, open_low=True), default=1.0, help="time for each row (default: 1)")
    parser.add_argument(
        "--against", nargs="+", choices=PEERS, default=PEERS, help="whom to measure against (default: all)"
    )
    parser.add_argument("--whole-naive", action="store_true", help="run the naive loops on the whole batch: minutes")
    bench_model.add_options(parser)
    parser.add_argument("--quick", action="store_true", help="the demo's rows, a tenth of a second each")
    parser.add_argument("--json", metavar="FILE", help="write the results here too")
    add_threads(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Measure, print, and write the JSON."""
    from .. import bench
    from .info import headline, machine

    apply_threads(args)
    if args.model:
        return bench_model.run(args)
    rows = [row for row in (bench.DEMO if args.quick else bench.TABLE) if (args.only or "") in row.op]
    if not rows:
        names = ", ".join(dict.fromkeys(row.op for row in bench.TABLE))
        raise UserError(f"--only {args.only}: no operation contains this; there are {names}")
    if args.batch_size:
        rows = [row._replace(x=(args.batch_size, *row.x[1:])) for row in rows]
    peers = tuple(peer for peer in PEERS if peer in args.against)
    table = bench.Table(rows, peers, whole_naive=args.whole_naive)
    print(f"{headline()} | {args.dtype}\n\n{table.header()}", flush=True)
    seconds = 0.1 if args.quick else args.seconds
    results = []
    for row in rows:
        results.append(bench.measure_row(row, args.dtype, seconds=seconds, peers=peers, whole_naive=args.whole_naive))
        print(table.line(results[-1]), flush=True)
    print(table.footnote())
    if args.json:
        record = {"machine": machine(), "dtype": args.dtype, "rows": [result.as_dict() for result in results]}
        with as_user_errors("--json"), open(args.json, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
            file.write("\n")
    return 0
