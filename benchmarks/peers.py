"""`python benchmarks/peers.py`: fastconv beside PyTorch, ONNX Runtime, OpenVINO, ncnn and JAX, in one interleaved run.
It must hold no measuring code: that is side_by_side/."""

import argparse
import json
import os
import sys
from collections.abc import Sequence

from side_by_side.cases import GROUPS, OPS, select
from side_by_side.libraries import LIBRARIES, missing
from side_by_side.picture import plot
from side_by_side.record import Record, read
from side_by_side.run import Run
from side_by_side.summary import summary
from side_by_side.table import Table


def parser() -> argparse.ArgumentParser:
    """The options."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    result = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    choose = result.add_argument_group("which cases (all: an hour or two)")
    choose.add_argument("--group", nargs="+", choices=GROUPS, default=(), help="cases of these groups")
    choose.add_argument("--op", nargs="+", choices=OPS, default=(), metavar="OP", help="only these operations")
    choose.add_argument("--batch", nargs="+", type=int, default=(), metavar="N", help="only these batch sizes")
    choose.add_argument("--match", default="", metavar="TEXT", help="only cases whose line contains this")
    choose.add_argument("--quick", action="store_true", help="a handful of them, a few rounds each")
    choose.add_argument("--list", action="store_true", help="list the cases and stop")
    how = result.add_argument_group("how")
    how.add_argument("--peers", nargs="+", choices=tuple(LIBRARIES)[1:], default=tuple(LIBRARIES)[1:], metavar="PEER")
    how.add_argument("--threads", type=int, default=cpus, help="of every library (default: %(default)s)")
    how.add_argument("--seconds", type=float, default=2.0, help="for each case, at the least (default: 2)")
    how.add_argument("--rounds", type=int, default=5, help="for each case, at the least (default: 5)")
    out = result.add_argument_group("results")
    out.add_argument("--json", metavar="FILE", help="append each case as it is measured (JSON Lines)")
    out.add_argument("--plot", metavar="FILE", help="write a picture of the ratios")
    out.add_argument("--show", nargs="+", metavar="FILE", help="show the results of such files and measure nothing")
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure or show; 1 if a library computed something else or failed."""
    args = parser().parse_args(arguments)
    if args.show:
        return show(args)
    cases = select(groups=args.group, ops=args.op, batches=args.batch, match=args.match, quick=args.quick)
    if not cases:
        raise SystemExit("no such case; --list shows those there are")
    if args.list:
        print(*(f"{case.group:<10} {case.key}" for case in cases), sep="\n")
        return 0
    libraries = []
    for peer in args.peers:
        if absent := missing(peer):
            print(f'{peer} is skipped: {", ".join(absent)} is not installed (pip install "fastconv[bench]")')
        else:
            libraries.append(peer)
    records: list[Record] = []
    effort = (0.0, 3) if args.quick else (args.seconds, args.rounds)
    with Run(libraries, args.threads, *effort) as run:
        machine = run.start()
        print(_line(machine))
        if args.json:
            with open(args.json, "a", encoding="utf-8") as file:
                file.write(json.dumps({"machine": machine}) + "\n")
        table = Table(cases)
        print(table.header(), flush=True)
        for case in cases:
            record = run.measure(case)
            records.append(record)
            print(table.line(record), flush=True)
            if args.json:
                with open(args.json, "a", encoding="utf-8") as file:
                    record.write(file)
    return _end(args, table, records, machine)


def show(args: argparse.Namespace) -> int:
    """The table, the summary and the picture of files."""
    machines, records = read(args.show)
    wanted = {
        case.key
        for case in select(groups=args.group, ops=args.op, batches=args.batch, match=args.match, quick=args.quick)
    }
    records = [record for record in records if record.case.key in wanted]
    if not records:
        raise SystemExit("no such case in these files")
    lines = dict.fromkeys(map(_line, machines))
    table = Table([record.case for record in records])
    print(*lines, table.header(), *map(table.line, records), sep="\n")
    return _end(args, table, records, machines[-1] if machines else {})


def _end(args: argparse.Namespace, table: Table, records: list[Record], machine: dict[str, object]) -> int:
    print(table.footnote(records), "", summary(records), sep="\n")
    if args.plot:
        told = (f"{name} {machine[name]}" for name in ("cpu", "target", "threads", "fastconv") if name in machine)
        plot(records, args.plot, ", ".join(told))
    return int(any(record.errors for record in records))


def _line(machine: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in machine.items())


if __name__ == "__main__":
    sys.exit(main())
