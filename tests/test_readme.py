"""The README is true: its commands, its tour, its table of operations, and the page on how to add one."""

import ast
import inspect
import re
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from fastconv import functional, load, reference
from fastconv.data import load_digits

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.M | re.S)


def section(name: str) -> str:
    return re.search(rf"<!-- {name}: .*? -->\n(.*?)<!-- end of {name} -->", TEXT, re.S)[1]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def test_the_two_commands():
    commands = ['pip install ".[train]" && fastconv demo\n', 'pip install -e ".[test]" && pytest\n']
    assert [block for block in blocks("sh") if block.startswith("pip install")] == commands


def test_the_tour_runs(tmp_path):
    tour = blocks("python")[0]
    assert len([line for line in tour.splitlines() if line.strip()]) <= 20
    command = [sys.executable, "-W", "error", "-c", tour]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stdout


def test_a_net_of_ones_own_runs_before_and_after_its_one_import(capsys):
    """In plain NumPy and on fastconv: at most 30 lines, 97 % of the test digits, the same answers but for rounding."""
    net = blocks("python")[1]
    assert len([line for line in net.splitlines() if line.strip()]) <= 30
    (line,) = [line for line in net.splitlines() if "fastconv.reference" in line]
    answers = []
    for code in (net, net.replace(line, line.replace("fastconv.reference", "fastconv"))):
        namespace: dict = {}
        exec(code, namespace)
        assert float(capsys.readouterr().out.split()[-1]) >= 0.97
        test_x, _ = load_digits()[1]
        answers.append(namespace["forward"](test_x)[0].argmax(1))
    assert namespace["conv2d"] is functional.conv2d
    assert (answers[0] == answers[1]).mean() >= 0.99


def test_transfer_learning_as_it_stands(tmp_path):
    """With trained weights and real pictures, where they are installed."""
    from textures import CLASSES, write_textures
    from trained_files import MOBILENET_V2, installed

    (code,) = [block for block in blocks("python") if "transfer" in block]
    (tmp_path / MOBILENET_V2).symlink_to(installed(MOBILENET_V2))
    write_textures(tmp_path / "pictures", 6)
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert ast.literal_eval(done.stdout)["accuracy"] >= 0.75
    assert load(tmp_path / "model.safetensors").labels == tuple(sorted(CLASSES))


def test_the_five_functions():
    rows = [quoted(row)[0] for row in section("five-functions").splitlines()[2:]]
    assert len(rows) == 5
    for row in rows:
        call = ast.parse(row, mode="eval").body
        signature = inspect.signature(getattr(functional, call.func.id))
        signature.bind(*call.args, **{keyword.arg: keyword.value for keyword in call.keywords})


def test_the_table_lists_every_operation_and_no_other():
    listed = set()
    for row in section("operations").splitlines()[2:]:
        for part in row.split("|")[2].split(";"):
            names = [name for name in quoted(part) if not name.startswith("_")]
            suffixes = [name for name in quoted(part) if name.startswith("_")]
            listed.update(names, map("".join, product(names, suffixes)))
    public = {name for name in functional.__all__ if inspect.isfunction(getattr(functional, name))}
    assert listed == public


def test_the_operators_of_onnx_are_those_that_are_read():
    from fastconv.formats.onnx_read import BUILDERS

    assert quoted(section("onnx")) == sorted(BUILDERS)


def test_every_operation_has_a_twin():
    for name in functional.__all__:
        assert hasattr(reference, name), f"fastconv.reference has no {name}"


def test_the_page_on_operations_names_what_is_there():
    page = section("add-an-op")
    paths = [name for name in quoted(page) if "/" in name]
    assert len(paths) >= 9
    for path in paths:
        assert (ROOT / path).exists(), f"README.md: there is no {path}"
    assert "fc_kernels" in (ROOT / "src_c/fastconv.h").read_text(encoding="utf-8")


def test_every_operation_is_timed():
    """The last point of that page: benchmarks/shapes.py has every forward operation."""
    shapes = pytest.importorskip("shapes", reason="benchmarks/ is not there")
    timed = {row.op for row in (*shapes.WINDOWED, *shapes.PLAIN)}
    gradients = re.compile("_backward$|_grad_input$|_grad_weight$")
    public = {name for name in functional.__all__ if inspect.isfunction(getattr(functional, name))}
    assert {name for name in public if not gradients.search(name)} - timed <= shapes.NOT_TIMED
    assert timed <= public


def test_links_lead_somewhere():
    for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        for target in re.findall(r"\]\(([^)#:]+)[^)]*\)", (ROOT / name).read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), f"{name}: there is no {target}"


@pytest.mark.parametrize("check", re.findall(r"^\| `(\w+)` \|", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.M))
def test_contributing_names_the_checks(check):
    scripts = [(ROOT / name).read_text(encoding="utf-8") for name in (".ci/run", ".ci/wheels")]
    assert any(f"\ncheck_{check}() {{" in script for script in scripts)
