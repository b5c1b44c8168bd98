"""What is installed: NumPy alone at import, extras only where they are used, a small wheel with what it needs in it."""

import importlib.metadata
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import fastconv

ROOT = Path(__file__).parents[1]
OPTIONAL = ("tqdm", "matplotlib", "PIL", "safetensors", "onnx", "mpi4py", "torch", "scipy", "sklearn")

# Makes the optional packages impossible to find, as in an environment with NumPy alone.
WITHOUT_EXTRAS = f"import sys\nsys.modules.update(dict.fromkeys({OPTIONAL!r}))\n"


def run(program: str, *arguments: str, cwd: Path) -> subprocess.CompletedProcess:
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)


def test_import_needs_numpy_alone(tmp_path):
    modules = (
        "data",
        "detection",
        "formats",
        "layers",
        "losses",
        "models",
        "optim",
        "callbacks",
        "schedules",
        "reference",
        "cli",
    )
    program = "".join(f"import fastconv.{name}\n" for name in modules)
    program += f"import sys\nprint([name for name in {OPTIONAL!r} if sys.modules.get(name)])"
    assert run(program, cwd=tmp_path).stdout == "[]\n"
    done = run(WITHOUT_EXTRAS + program, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", (["demo"], ["train", "digits"]), ids=" ".join)
def test_what_is_missing_is_named(tmp_path, command):
    program = WITHOUT_EXTRAS + "from fastconv.cli import main\nsys.exit(main(sys.argv[1:]))"
    done = run(program, *command, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and 'pip install "fastconv[train]"' in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", (["info"], ["bench", "--quick", "--only", "avg_pool2d", "--batch-size", "1"]))
def test_these_need_numpy_alone(tmp_path, command):
    program = WITHOUT_EXTRAS + "from fastconv.cli import main\nsys.exit(main(sys.argv[1:]))"
    done = run(program, *command, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_requirements():
    try:
        requirements = importlib.metadata.requires("fastconv") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("fastconv is not installed, only importable")
    assert [text for text in requirements if "extra ==" not in text] == ["numpy>=2.0"]
    assert importlib.metadata.version("fastconv") == fastconv.__version__


def _wheel() -> Path:
    found = os.environ.get("FASTCONV_WHEEL") or next(map(str, sorted((ROOT / "dist").glob("fastconv-*.whl"))), None)
    if found is None:
        pytest.skip("no wheel: set FASTCONV_WHEEL or build one into dist/ (.ci/run does)")
    return Path(found)


def test_the_wheel_is_small():
    assert _wheel().stat().st_size < 5_000_000


def test_the_wheel_holds_what_it_needs_and_no_more():
    names = zipfile.ZipFile(_wheel()).namelist()
    for needed in (
        "fastconv/py.typed",
        "fastconv/data/uci_digits/NOTICE.md",
        "fastconv/data/names/imagenet.txt",
        "fastconv/cli/__init__.py",
    ):
        assert needed in names
    assert sum(name.startswith("fastconv/_kernels.") and name.endswith(".so") for name in names) == 1
    folders = {name.partition("/")[0] for name in names}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} - {"fastconv.libs"} == {"fastconv"}
    assert not [name for name in names if name.endswith((".c", ".h", ".pyx", ".pyc"))]


def test_lint_versions_agree():
    pins = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / ".ci/lint.txt").read_text("utf-8"), re.M))
    hooks = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    revisions = dict(re.findall(r"repo: \S+/(?:mirrors-)?([\w-]+?)(?:-pre-commit)?\n +rev: v(\S+)", hooks))
    assert revisions == pins
