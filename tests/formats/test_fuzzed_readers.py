"""No reader of files is missing from what is fuzzed, and every valid file of the fuzzers opens."""

import ast
import importlib
import sys
from pathlib import Path

import pytest

import fastconv

TESTS = Path(__file__).parents[1]
PACKAGE = Path(fastconv.__file__).parent
OPENERS = {"open_regular", "read_text"}
# Files of the system, of fastconv's own making, or of nobody: these may open them themselves.
ELSEWHERE = ("formats/files.py", "formats/atomic.py", "config.py", "bench/", "cli/")


def modules_that_open():
    """Those that import an opener; each with its names."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = {alias.name for alias in node.names} & OPENERS if isinstance(node, ast.ImportFrom) else set()
            if names and (node.module or "").endswith("files"):
                yield "fastconv." + ".".join(path.relative_to(PACKAGE).with_suffix("").parts), names


def test_files_are_opened_in_one_place():
    for path in PACKAGE.rglob("*.py"):
        if str(path.relative_to(PACKAGE)).startswith(ELSEWHERE):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                whole = ast.unparse(node.func)
                assert name not in ("read_bytes", "fromfile", "genfromtxt", "loadtxt", "memmap"), f"{path}: {whole}"
                assert whole not in ("open", "os.open", "np.load", "io.open"), f"{path}: {whole}"


@pytest.fixture
def readers(monkeypatch):
    for package in ("safetensors", "PIL", "onnx"):
        pytest.importorskip(package, reason=f"{package} is not installed")
    monkeypatch.syspath_prepend(str(TESTS / "hardening"))
    yield importlib.import_module("readers").READERS
    del sys.modules["readers"]


def noting(used, module, opener):
    def noted(*arguments):
        used.add(module)
        return opener(*arguments)

    return noted


@pytest.mark.filterwarnings("ignore")
def test_every_module_that_opens_files_is_fuzzed(readers, monkeypatch, tmp_path):
    used, wanted = set(), set()
    for module, names in modules_that_open():
        loaded = importlib.import_module(module)
        for name in names:
            wanted.add(module)
            monkeypatch.setattr(loaded, name, noting(used, module, getattr(loaded, name)))
    for number, reader in enumerate(readers.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        for content in reader.seeds(folder):
            (folder / reader.file).write_bytes(content)
            reader.read(folder / reader.file)
    assert len(wanted) >= 9
    assert used == wanted
