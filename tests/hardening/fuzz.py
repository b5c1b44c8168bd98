"""`python fuzz.py --seconds N`: every reader of files, N seconds each, on valid files that were damaged at random.
A reader may give a result or raise its refusal, within bounds of time and memory; whatever else it does ends this, with
the file's content kept. With --atheris READER the damage follows what code it reaches; that needs atheris."""

import argparse
import os
import resource
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))  # a script finds only its own folder
from damage import damaged
from readers import READERS

# Of a reader: seconds of the processor, for a machine may stand still meanwhile, and bytes.
SECONDS, BYTES = 5.0, 1 << 30
# In memory, where there is a file system of that kind: a disk would take most of the time.
ROOM = "/dev/shm" if Path("/dev/shm").is_dir() else None


class Trial:
    """Reads one content after the other as that reader's file, and counts."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.reader, self.counts = name, READERS[name], Counter()
        self.seeds, self._path = self.reader.seeds(folder), folder / self.reader.file

    def __call__(self, content: bytes) -> bool:
        """Whether it opened; any other end than the refusal leaves the file behind and goes on as it is."""
        self._path.write_bytes(content)
        self.counts.update(files=1, bytes=len(content))
        began, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            with np.errstate(all="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of values that are not finite
                self.reader.read(self._path)
            opened = True
        except self.reader.refusal:
            opened = False
        except BaseException:
            self._keep(content)
            raise
        seconds, after = time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if seconds > SECONDS or (after - before) * 1024 > BYTES:
            self._keep(content)
            raise AssertionError(f"{self.name}: took {seconds:.1f} s and {after - before:,} kB more")
        self.counts["opened"] += opened
        return opened

    def _keep(self, content: bytes) -> None:
        kept = Path(f"fuzz-{self.name.replace(' ', '-')}.bin")
        kept.write_bytes(content)
        print(f"{self.name}: see {kept}", file=sys.stderr)

    def report(self, words: str = "") -> None:
        counts = self.counts
        print(
            f"{words}{self.name:<16} {counts['files']:8,} files, {counts['bytes']:13,} bytes, "
            f"{counts['opened']:7,} opened",
            flush=True,
        )


def mutate(name: str, folder: Path, seconds: float) -> Counter:
    trial, generator = Trial(name, folder), np.random.default_rng(list(name.encode()))
    for content in trial.seeds:
        assert trial(content), f"{name}: a valid file does not open"
    trial.counts.clear()
    end, count = time.monotonic() + seconds, len(trial.seeds)
    while time.monotonic() < end or trial.counts["files"] < 2 * count:
        trial(damaged(trial.seeds[trial.counts["files"] % count], generator))
    assert trial.counts["opened"] < trial.counts["files"], f"{name}: nothing was refused"
    trial.report()
    return trial.counts


def guided(name: str, folder: Path, seconds: float) -> None:
    """In a process of its own, which it ends."""
    import atheris

    trial, corpus = Trial(name, folder), folder / "corpus"
    corpus.mkdir()
    for number, content in enumerate(trial.seeds):
        (corpus / str(number)).write_bytes(content)
    atheris.instrument_all()
    end = time.monotonic() + seconds

    def one(data: bytes) -> None:
        trial(data)
        if time.monotonic() > end:  # atheris itself would end without another word
            trial.report("guided: ")
            os._exit(0)

    limits = ["-rss_limit_mb=4096", "-timeout=600", "-verbosity=0", f"-artifact_prefix={folder}/"]
    atheris.Setup([sys.argv[0], str(corpus), *limits], one)
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--only", metavar="READER", choices=tuple(READERS))
    parser.add_argument("--atheris", metavar="READER", choices=tuple(READERS))
    parser.add_argument("--folder", help="an empty one for --atheris, which leaves its files there")
    parser.add_argument("--list", action="store_true", help="the readers, one a line")
    args = parser.parse_args()
    if args.list:
        print(*READERS, sep="\n")
        return
    if args.atheris:
        return guided(args.atheris, Path(args.folder), args.seconds)
    total = Counter()
    names = [args.only] if args.only else list(READERS)
    for name in names:
        with tempfile.TemporaryDirectory(dir=ROOM) as folder:
            total += mutate(name, Path(folder), args.seconds)
    print(f"counts: {len(names)} readers, {total['files']:,} damaged files, {total['bytes']:,} bytes")


if __name__ == "__main__":
    main()
