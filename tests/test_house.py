"""The rules of the house that a machine can hold: who may import whom, what must not be there, how large a
room may be, that every public op has its row and its twin."""

import ast
import inspect
import re
from pathlib import Path

import pytest
from ops import OPS

import fastconv
from fastconv import reference

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "fastconv"
PYTHON = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted([*(ROOT / "tests").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")])
C_FILES = sorted([*(ROOT / "src_c").rglob("*.[ch]")])
BINDING = PACKAGE / "_kernels.pyx"

# Nothing calls up: functional -> validation -> binding, whose modules begin with an underscore; layers and all
# that is above them never reach the binding. Benchmarks measure it.
BELOW = {"config", "version"}
ABOVE_ALL = {"__init__", "bench"}


def below(part):
    return (part.startswith("_") and not part.startswith("__")) or part in BELOW


def identified(path):
    return str(path.relative_to(ROOT))


every_file = pytest.mark.parametrize("path", PYTHON, ids=identified)
every_c_file = pytest.mark.parametrize("path", C_FILES, ids=identified)


def imports(path):
    """First-level names of the package that a file imports."""
    package = ("fastconv", *path.relative_to(PACKAGE).with_suffix("").parts[:-1])
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            stem = ".".join([*base, *([node.module] if node.module else [])])
            names = [f"{stem}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "fastconv" and len(parts) > 1:
                yield parts[1]


@every_file
def test_import_order(path):
    part = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    used = set(imports(path))
    if part == "reference":
        assert used <= {"reference"}
    elif below(part):
        assert all(map(below, used)), "validation and binding never call up"
    elif part == "functional":
        assert all(below(name) or name == "functional" for name in used), "the functional API never calls up"
    elif part not in ABOVE_ALL:
        assert "_kernels" not in used, "only the functional API and what is below it reach the kernels"


def test_numpy_is_all_that_an_import_needs():
    """The modules that the package's own import loads import only the standard library, NumPy and the
    package."""
    from processes import run

    code = (
        "import sys, fastconv\n"
        "import sysconfig, os\n"
        "files = {m: getattr(v, '__file__', '') or '' for m, v in sys.modules.items()}\n"
        "own = {m.split('.')[0] for m, file in files.items() if 'site-packages' in file}\n"
        "print(*sorted(own - {'numpy', 'fastconv', 'sitecustomize'}))"
    )
    names = run(code).stdout.split()
    assert not [n for n in names if not n.startswith(("__editable__", "_distutils_hack", "_virtualenv"))], names


@every_file
def test_no_code_from_data(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("eval", "exec", "compile", "__import__"), f"line {node.lineno}"
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [a.name for a in node.names] + [getattr(node, "module", "") or ""]
            forbidden = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "imp", "runpy"}
            assert not forbidden & {n.split(".")[0] for n in names}, f"line {node.lineno}"
        if isinstance(node, ast.Assert):
            raise AssertionError(f"line {node.lineno}: assert is not validation, python -O removes it")


@every_c_file
def test_c_sources(path):
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", path.read_text(), flags=re.DOTALL)
    for word in (
        "alloca",
        "exit",
        "_exit",
        "abort",
        "printf",
        "fprintf",
        "puts",
        "setjmp",
        "longjmp",
        "gets",
        "strcpy",
    ):
        assert not re.search(rf"\b{word}\s*\(", text), word
    assert "Python.h" not in text and "-ffast-math" not in text
    words = "size|count|length|channels|batch|height|width|stride|pad|offset|index|elements|planes"
    assert not re.search(rf"\b(int|long|short|unsigned)\s+({words})\b", text), "sizes are ptrdiff_t"
    loops = re.findall(r"for \((?:int|long|unsigned)\s+\w+ = [^;]*;([^;]*);", text)
    assert not [loop for loop in loops if "->" in loop or "." in loop], "a counter of a size in memory is ptrdiff_t"
    if path.name not in ("parallel.c", "parallel.h"):
        assert "omp" not in re.findall(r"#\s*pragma\s+(\w+)", text) and "<omp.h>" not in text
    if path.name != "memory.c":
        assert not re.search(r"\b(malloc|calloc|realloc|free|aligned_alloc|posix_memalign)\s*\(", text)


def test_build_flags():
    """Nothing that changes subnormals for the process or ties a wheel to one machine."""
    text = re.sub(r"#[^\n]*", "", (ROOT / "setup.py").read_text())
    for flag in ("-ffast-math", "-Ofast", "-march=native", "-funsafe-math"):
        assert flag not in text


LIMITS = {".py": 300, ".c": 450, ".h": 450, ".pyx": 500}


@pytest.mark.parametrize("path", [*PYTHON, *TESTS, *C_FILES, BINDING], ids=identified)
def test_small_rooms(path):
    text = path.read_text()
    assert len(text.splitlines()) <= LIMITS[path.suffix]
    assert path.stem not in ("utils", "util", "helpers", "helper", "common", "misc")
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert node.end_lineno - node.lineno < 60 + len(node.args.kwonlyargs), node.name


@pytest.mark.parametrize("path", [*PYTHON, *TESTS, *C_FILES, BINDING], ids=identified)
def test_every_file_says_what_it_holds(path):
    text = path.read_text()
    if path.suffix == ".py":
        assert ast.get_docstring(ast.parse(text))
    elif path.suffix == ".pyx":
        assert '"""' in text[:200]
    else:
        assert text.startswith(("/*", "//"))


# ---- one list

UNLISTED = {
    "pack",
    "PackedWeight",
    "dropout",
}  # not array in, array out: tested by name in test_every_op and test_odd_inputs


def public_ops():
    return {name for name in fastconv.functional.__all__ if callable(getattr(fastconv.functional, name))}


def test_every_public_op_has_a_row():
    assert public_ops() - UNLISTED == {op.name for op in OPS}
    assert len({op.name for op in OPS}) == len(OPS)


def test_every_public_op_is_exported():
    for name in public_ops():
        assert name in fastconv.__all__ and getattr(fastconv, name) is getattr(fastconv.functional, name)


def plain(function):
    return [(p.name, p.kind, p.default) for p in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("name", sorted(reference.__all__))
def test_twins_have_one_signature(name):
    if inspect.isclass(getattr(reference, name)):
        return
    assert plain(getattr(reference, name)) == plain(getattr(fastconv.functional, name))


def test_every_op_has_a_twin():
    assert public_ops() <= set(reference.__all__)


@pytest.mark.parametrize("name", sorted(reference.__all__))
def test_every_public_op_is_described_and_annotated(name):
    function = getattr(fastconv.functional, name)
    assert inspect.getdoc(function)
    if inspect.isfunction(function):
        assert "return" in function.__annotations__ and len(function.__annotations__) == len(plain(function)) + 1
