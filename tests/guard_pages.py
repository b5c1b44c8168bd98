"""Run as a script: every op with each array ending exactly at an unreadable page, then starting right after
one. A read or write beyond an array kills the process; the last line printed names the case."""

import ctypes
import mmap
import sys

import checks
import compare
import numpy as np
from ops import OPS

import fastconv

PAGE = mmap.PAGESIZE
libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


class Walled:
    """Memory between two unreadable pages."""

    def __init__(self, size: int):
        self.inner = -(-max(size, 1) // PAGE) * PAGE
        self.map = mmap.mmap(-1, self.inner + 2 * PAGE)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.map))
        self._protect(0)

    def _protect(self, mode: int) -> None:
        for wall in (self.address, self.address + PAGE + self.inner):
            if libc.mprotect(wall, PAGE, mode):
                raise OSError(ctypes.get_errno(), "mprotect")

    def array(self, like: np.ndarray, at_end: bool) -> np.ndarray:
        """A copy of `like` that ends (or starts) at a wall."""
        start = self.inner - like.nbytes if at_end else 0
        memory = (ctypes.c_char * self.inner).from_address(self.address + PAGE)
        view = np.frombuffer(memory, np.uint8)[start : start + like.nbytes].view(like.dtype).reshape(like.shape)
        view[...] = like
        return view


def guarded(op, case, dtype) -> None:
    arrays = op.arrays(case, "normal", 0, dtype)
    wanted = checks.called(op, case, arrays)
    for at_end in (True, False):
        walls = {name: Walled(a.nbytes) for name, a in arrays.items()}
        views = {name: walls[name].array(a, at_end) for name, a in arrays.items()}
        more = {}
        if checks.takes(op, "out"):
            outer = Walled(wanted[0].nbytes)
            more["out"] = outer.array(np.full_like(wanted[0], np.nan), at_end)
        got = compare.results(op.function(**views, **case.settings, **more))
        for g, w in zip(got, wanted, strict=True):
            compare.same_bits(g, w, f"guard pages {op.repro(case, 'normal', 0, dtype)}")


def main(names: list[str]) -> None:
    ran = 0
    for op in OPS:
        if names and op.name not in names:
            continue
        small = [case for case in op.cases if not case.large and not case.empty]
        for case in [*small[:: max(1, len(small) // 30)], *(case for case in op.cases if case.large)]:
            for dtype in (np.float32, np.float64):
                print(op.repro(case, "normal", 0, dtype), flush=True)
                guarded(op, case, dtype)
                ran += 1
    print(fastconv.target(), ran)


def overrun() -> None:
    """Reads one element too far on purpose: the proof that the walls stand."""
    a = Walled(64).array(np.zeros(16, np.float32), True)
    ctypes.string_at(a.ctypes.data, 68)


if __name__ == "__main__":
    main(sys.argv[1:])
