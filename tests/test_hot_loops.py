"""A guard against slow code that no noise disturbs: the innermost loops of the micro-kernel, disassembled, must hold
exactly their multiply-adds and must not touch the stack. One changed line can make a compiler keep the sums in memory,
at a fifth of the speed."""

import platform
import re
import shutil
import subprocess

import pytest

from fastconv import _kernels

# Filters and vectors of a tile, as src_c/targets/ has them; baseline x86-64 has no fused multiply-add.
TILES = {"avx512": (8, 3), "avx2": (4, 3)}

pytestmark = [
    pytest.mark.skipif(shutil.which("objdump") is None, reason="needs objdump (binutils)"),
    pytest.mark.skipif(platform.machine() != "x86_64", reason="checks x86-64 code"),
]


@pytest.fixture(scope="module")
def functions():
    """Every function of the extension by name, as lists of (address, instruction); several targets share a name."""
    command = ["objdump", "-d", "--no-show-raw-insn", _kernels.__file__]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {}
    for part in re.split(r"\n\n", text):
        head = re.match(r"[0-9a-f]+ <(\w+?)(?:\.\w+)*>:", part)
        if head:
            code = re.findall(r"^ *([0-9a-f]+):\t(.*)$", part, re.M)
            found.setdefault(head[1], []).append([(int(address, 16), text) for address, text in code])
    return found


def innermost_loop(code):
    """The body of the first loop: the first backward jump and its target."""
    addresses = [address for address, _ in code]
    for i, (address, text) in enumerate(code):
        jump = re.match(r"j\w+\s+([0-9a-f]+)", text)
        if jump and int(jump[1], 16) < address and int(jump[1], 16) in addresses:
            return [text for _, text in code[addresses.index(int(jump[1], 16)) : i + 1]]
    raise AssertionError("no loop found")


def register(target):
    return "zmm" if target == "avx512" else "ymm"


@pytest.mark.parametrize("vectors", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("target", TILES)
def test_the_micro_kernel_stays_in_registers(functions, target, dtype, vectors):
    other = "ymm" if target == "avx512" else "zmm"
    all_copies = functions[f"tile_{vectors}_{dtype}"]
    copies = [code for code in all_copies if any(register(target) in text for _, text in code)]
    copies = [code for code in copies if not any(other == "zmm" and "zmm" in text for _, text in code)]
    assert len(copies) == 1, f"tile_{vectors}_{dtype} of {target}: {len(copies)} candidates"
    loop = innermost_loop(copies[0])
    filters, _ = TILES[target]
    suffix = "ps" if dtype == "f32" else "pd"
    fused = [text for text in loop if re.match(rf"vfmadd\d+{suffix}.*{register(target)}", text)]
    assert len(fused) == filters * vectors, "\n".join(loop)
    assert not [text for text in loop if "%rsp" in text or "%rbp" in text], "\n".join(loop)
    # broadcasts, loads, two fetches ahead, and the counting of a pointer for every three filters
    assert len(loop) <= filters * vectors + filters + vectors + 12, "\n".join(loop)
