"""A guard against slow code that no noise disturbs: the innermost loops of the micro-kernel, disassembled, must hold
exactly their multiply-adds and must not touch the stack. One changed line can make a compiler keep the sums in memory,
at a fifth of the speed. What GCC and clang build must pass alike."""

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


def on_the_stack(code, loop):
    """What of a loop touches the stack. %rbp is a register like others unless the function points it at the stack."""
    frame = any(re.match(r"(mov\s+%rsp|lea\s+\S*\(%rsp\)),%rbp$", text) for _, text in code)
    return [text for text in loop if "%rsp" in text or (frame and "%rbp" in text)]


def loop_of(functions, kernel, target, dtype):
    """The innermost loop of a kernel as a target has it, how many multiply-adds of that target it holds, and what in it
    touches the stack."""
    other = "ymm" if target == "avx512" else "zmm"
    copies = [code for code in functions[f"{kernel}_{dtype}"] if any(register(target) in text for _, text in code)]
    copies = [code for code in copies if not any(other == "zmm" and "zmm" in text for _, text in code)]
    assert len(copies) == 1, f"{kernel}_{dtype} of {target}: {len(copies)} candidates"
    loop = innermost_loop(copies[0])
    suffix = "ps" if dtype == "f32" else "pd"
    fused = sum(bool(re.match(rf"vfmadd\d+{suffix}.*{register(target)}", text)) for text in loop)
    return loop, fused, on_the_stack(copies[0], loop)


@pytest.mark.parametrize("vectors", [1, 2, 3])
@pytest.mark.parametrize("kernel", ["tile", "half_tile", "tile_taking"])
@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("target", TILES)
def test_the_micro_kernel_stays_in_registers(functions, target, dtype, kernel, vectors):
    loop, fused, stack = loop_of(functions, f"{kernel}_{vectors}", target, dtype)
    filters = TILES[target][0] // (2 if kernel == "half_tile" else 1)
    assert fused == filters * vectors, "\n".join(loop)
    assert not stack, "\n".join(loop)
    # broadcasts, loads, two fetches ahead, and the counting of a pointer for every three filters
    most = filters * vectors + filters + vectors + 12
    if kernel == "tile_taking":  # a store and a fetch a vector instead of one fetch, and where they go
        most += 2 * vectors + 2
    assert len(loop) <= most, "\n".join(loop)


@pytest.mark.parametrize("columns", [1, 2, 3, 6])
@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("target", TILES)
def test_the_inner_products_stay_in_registers(functions, target, dtype, columns):
    if columns > TILES[target][1] and target == "avx2":
        pytest.skip("16 registers hold three columns")
    loop, fused, stack = loop_of(functions, f"dot_{columns}", target, dtype)
    assert fused == 4 * columns, "\n".join(loop)
    assert not stack, "\n".join(loop)
    # loads and the counting
    assert len(loop) <= 4 * columns + 4 + columns + 5, "\n".join(loop)
