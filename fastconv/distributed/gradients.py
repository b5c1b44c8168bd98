"""Gradients in one flat buffer, summed over the ranks in buckets while the backward pass still runs; one that would
fill a bucket is summed where it is. The order in which they are sent must be the same on all ranks, whatever their
networks do."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from ..layers.parameter import Parameter
from .communicator import Communicator, Request

# Small enough that the first is under way early, large enough that the start of a message does not count.
_BUCKET_BYTES = 4 << 20
_ALIGNMENT = 64


class _Bucket:
    """Parameters of one dtype whose gradients are copied into one array and summed there; or one parameter whose
    gradient is large enough to be summed where it is."""

    def __init__(self, parameters: list[Parameter]) -> None:
        self.parameters = parameters
        self.dtype = parameters[0].data.dtype
        self.copied = not _fills_a_bucket(parameters[0])
        step = _ALIGNMENT // self.dtype.itemsize
        sizes = [-(-parameter.data.size // step) * step for parameter in parameters]
        self.starts = [sum(sizes[:place]) for place in range(len(sizes))]
        self.nbytes = sum(sizes) * self.dtype.itemsize if self.copied else 0

    def place(self, memory: np.ndarray) -> None:
        """Live in these bytes, where gradients are copied."""
        if self.copied:
            self._take(memory.view(self.dtype))

    def _take(self, array: np.ndarray) -> None:
        self.array, self.views = array, self._cut(array)

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

    def add(self, place: int, gradient: np.ndarray) -> None:
        """Add to the gradient of a parameter, after the bucket was sent to what is summed at the end of the step."""
        self.added[place] += 1
        if self.request is not None:
            if self.late is None:
                self.late = np.zeros_like(self.array)
            self._cut(self.late)[place][...] += gradient
        elif self.added[place] > 1:
            self.views[place][...] += gradient
        elif self.copied:
            self.views[place][...] = gradient
        else:
            self._take(np.ascontiguousarray(gradient, self.dtype).reshape(-1))

    def send(self, communicator: Communicator) -> None:
        """Begin the sum; what was not added to counts as zero."""
        for place, added in enumerate(self.added):
            if not added and self.copied:
                self.views[place][...] = 0
            elif not added:
                self._take(np.zeros(self.parameters[place].data.size, self.dtype))
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
        ends = np.cumsum([0, *(bucket.nbytes for bucket in self._buckets)])
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
            sent = bucket.request is not None
            bucket.add(place, gradient)
            if not sent:
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
        added = [bool(number) for bucket in self._buckets for number in bucket.added]
        sums = self._communicator.allreduce(np.array([*totals, late, *added], np.float64))
        for bucket in self._buckets:
            bucket.request.wait()
        if sums[len(totals)]:
            self._add_late()
        touched = iter(sums[len(totals) + 1 :])
        for bucket in self._buckets:
            for parameter, view in zip(bucket.parameters, bucket.views, strict=True):
                parameter.grad = view if next(touched) else None
        return sums[: len(totals)]

    def _add_late(self) -> None:
        for bucket in self._buckets:
            late = np.zeros_like(bucket.array) if bucket.late is None else bucket.late
            bucket.array += self._communicator.allreduce(late)
            for parameter, added in zip(bucket.parameters, bucket.added, strict=True):
                self._expected[parameter] = max(self._expected[parameter], added)


def _fills_a_bucket(parameter: Parameter) -> bool:
    return parameter.data.nbytes >= _BUCKET_BYTES


def _grouped(parameters: list[Parameter]) -> Iterator[list[Parameter]]:
    """Those that fill a bucket each alone, the others by runs of one dtype of about a bucket's bytes, in the order in
    which they are complete."""
    group: list[Parameter] = []
    held = 0
    for parameter in parameters:
        if _fills_a_bucket(parameter):
            yield [parameter]
            continue
        if group and (held >= _BUCKET_BYTES or group[0].data.dtype != parameter.data.dtype):
            yield group
            group, held = [], 0
        group.append(parameter)
        held += parameter.data.nbytes
    if group:
        yield group
