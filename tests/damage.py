"""Valid files damaged at random, for the tests and the fuzzing of every reader.
A seed must always name the same files."""

from collections.abc import Iterator

import numpy as np

# Sizes that overflow somewhere, or are none.
NUMBERS = (0, 1, 2**31 - 1, 2**31, 2**32 - 1, 2**32, 2**63 - 1, 2**63, 2**64 - 1)
_HEADER = 24


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """`data` with one to three of: a bit turned, the end cut off, bytes doubled, put in, or taken out, a number of 1, 4
    or 8 bytes in either order."""
    changed = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        kind, at = rng.integers(6), int(rng.integers(len(changed) + 1))
        # Headers are short: half of the changes go there.
        at = at if rng.random() < 0.5 else at % _HEADER
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            del changed[at:]
        elif kind == 2:
            changed[at:at] = changed[at : at + int(rng.integers(1, 64))]
        elif kind == 3:
            width = int(rng.choice((1, 4, 8)))
            number = NUMBERS[rng.integers(len(NUMBERS))] % (1 << 8 * width)
            changed[at : at + width] = number.to_bytes(width, "big" if rng.integers(2) else "little")
        elif kind == 4:
            changed[at:at] = rng.bytes(int(rng.integers(1, 9)))
        else:
            del changed[at : at + int(rng.choice((1, 4, 8, 64)))]
    return bytes(changed)


def mutations(data: bytes, count: int, seed: int = 0) -> Iterator[bytes]:
    """`count` of them."""
    rng = np.random.default_rng(seed)
    return (damaged(data, rng) for _ in range(count))
