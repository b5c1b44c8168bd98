"""Gradients in one flat buffer, summed over the ranks in buckets while the backward pass still runs.
The order in which buckets are sent must be the same on all ranks, whatever their networks do."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from ..layers.parameter import Parameter
from .communicator import Communicator, Request

# Small enough that the first is under way early, large enough that the start of a message does not count.
_BUCKET_BYTES = 4 << 20
_ALIGNMENT = 64


class _Bucket:
    """Neighbouring parameters of one dtype, then for each how many ranks added to it: summed as one array."""

    def __init__(self, parameters: list[Parameter]) -> None:
        self.parameters = parameters
        self.dtype = parameters[0].data.dtype
        step = _ALIGNMENT // self.dtype.itemsize
        sizes = [-(-parameter.data.size // step) * step for parameter in parameters]
        self.starts = [sum(sizes[:place]) for place in range(len(sizes))]
        self.length = -(-(sum(sizes) + len(sizes)) // step) * step

    def place(self, memory: np.ndarray) -> None:
        """Live in these bytes."""
        self.array = memory.view(self.dtype)
        self.views = self._cut(self.array)
        self.touched = self.array[self.length - len(self.parameters) :]

    def _cut(self, array: np.ndarray) -> list[np.ndarray]:
        return [
            array[start : start + parameter.data.size].reshape(parameter.data.shape)
            for parameter, start in zip(self.parameters, self.starts, strict=True)
        ]

    def clear(self) -> None:
        """Before a step."""
        self.missing = len(self.parameters)
        self.added = [0] * len(self.parameters)
        self.request: Request | None = None
        self.late: np.ndarray | None = None

    def late_views(self) -> list[np.ndarray]:
        """Where goes what comes after the bucket was sent."""
        if self.late is None:
            self.late = np.zeros_like(self.array)
        return self._cut(self.late)

    def send(self, communicator: Communicator) -> None:
        """Begin the sum; what was not added to counts as zero."""
        for view, added in zip(self.views, self.added, strict=True):
            if not added:
                view[...] = 0
        self.touched[...] = np.minimum(self.added, 1)
        self.request = communicator.start_allreduce(self.array)


class GradientBuffer:
    """The gradients of `parameters`, those of the last layers first, as the backward pass makes them.

    A parameter of several layers gets its gradient in parts. How many is learned from step to step: parts that
    come after their bucket was sent are summed at the end of the step.
    """

    def __init__(self, communicator: Communicator, parameters: Iterable[Parameter]) -> None:
        self._communicator = communicator
        self.parameters = list(parameters)
        self._buckets = [_Bucket(group) for group in _grouped(self.parameters[::-1])]
        ends = np.cumsum([0, *(bucket.length * bucket.dtype.itemsize for bucket in self._buckets)])
        self._memory = np.zeros(ends[-1], np.uint8)
        for bucket, start, end in zip(self._buckets, ends[:-1], ends[1:], strict=True):
            bucket.place(self._memory[start:end])
        self._expected = dict.fromkeys(self.parameters, 1)

    @contextmanager
    def receiving(self) -> Iterator[None]:
        """Inside, what layers add to the gradients comes here; `finish` is called inside too."""
        self._sent = 0
        for bucket in self._buckets:
            bucket.clear()
            for place, parameter in enumerate(bucket.parameters):
                parameter.receiver = self._receiver(bucket, place)
        try:
            yield
        finally:
            for parameter in self.parameters:
                parameter.receiver = None

    def _receiver(self, bucket: _Bucket, place: int):
        parameter = bucket.parameters[place]

        def receive(gradient: np.ndarray) -> None:
            bucket.added[place] += 1
            if bucket.request is not None:
                bucket.late_views()[place][...] += gradient
                return
            if bucket.added[place] == 1:
                bucket.views[place][...] = gradient
            else:
                bucket.views[place][...] += gradient
            if bucket.added[place] == self._expected[parameter]:
                bucket.missing -= 1
            self._send_complete()

        return receive

    def _send_complete(self) -> None:
        """Send the buckets that are complete, in their order, and help along what was sent last."""
        if self._sent and self._sent < len(self._buckets):
            self._buckets[self._sent - 1].request.test()
        while self._sent < len(self._buckets) and self._buckets[self._sent].missing <= 0:
            self._buckets[self._sent].send(self._communicator)
            self._sent += 1

    def finish(self, totals: np.ndarray) -> np.ndarray:
        """Complete all sums and give each parameter its gradient, None where no rank added any. `totals`, float64,
        is summed along, and returned."""
        for bucket in self._buckets[self._sent :]:
            bucket.send(self._communicator)
        late = any(bucket.late is not None for bucket in self._buckets)
        totals = self._communicator.allreduce(np.append(totals, float(late)))
        for bucket in self._buckets:
            bucket.request.wait()
        if totals[-1]:
            self._add_late()
        for bucket in self._buckets:
            for parameter, view, touched in zip(bucket.parameters, bucket.views, bucket.touched, strict=True):
                parameter.grad = view if touched else None
        return totals[:-1]

    def _add_late(self) -> None:
        for bucket in self._buckets:
            late = np.zeros_like(bucket.array) if bucket.late is None else bucket.late
            bucket.array += self._communicator.allreduce(late)
            for parameter, added in zip(bucket.parameters, bucket.added, strict=True):
                self._expected[parameter] = max(self._expected[parameter], added)


def _grouped(parameters: list[Parameter]) -> Iterator[list[Parameter]]:
    """Runs of one dtype, of about a bucket's bytes."""
    group: list[Parameter] = []
    held = 0
    for parameter in parameters:
        if group and (held >= _BUCKET_BYTES or group[0].data.dtype != parameter.data.dtype):
            yield group
            group, held = [], 0
        group.append(parameter)
        held += parameter.data.nbytes
    if group:
        yield group
