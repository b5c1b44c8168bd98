"""How a command ends that runs as several processes: with one message, and never with some of them left waiting.
It must never start MPI: it ends what a command has started."""

import sys

from ..distributed import current

# How long the others may take to come to the same end.
_SECONDS = 2.0


def end_job(code: int, message: str, first: bool) -> None:
    """Say why this process ends: the first of a job speaks for all that end alike. Where the others do not, they
    are ended with this exit code."""
    communicator = current()
    if first:
        print(message, file=sys.stderr, flush=True)
    if communicator.all_arrive(_SECONDS):
        return
    if not first:
        print(f"rank {communicator.rank}: {message.strip()}", file=sys.stderr, flush=True)
    communicator.abort(code)
