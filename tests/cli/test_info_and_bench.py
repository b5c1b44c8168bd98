"""`fastconv info`, `fastconv bench`, and what the command says to those who type it wrong."""

import json

import pytest

import fastconv


def test_version_and_help(command):
    assert command("--version").stdout == f"fastconv {fastconv.__version__}\n"
    text = command("--help").stdout
    for name in ("demo", "train", "classify", "detect", "info", "bench"):
        assert name in text
        assert command(name, "--help").returncode == 0


def test_info(command):
    done = command("info")
    assert done.returncode == 0, done.stderr
    facts = dict(line.split("  ", 1) for line in done.stdout.splitlines())
    assert facts["fastconv"].strip() == fastconv.__version__
    assert "BLAS" in facts["numpy"]
    for name in ("cpu", "target", "targets available", "threads", "openmp", "memory pool"):
        assert facts[name].strip()


def test_info_says_why(command):
    variables = {"FASTCONV_TARGET": "baseline", "FASTCONV_NUM_THREADS": "1"}
    text = command("info", env=variables).stdout
    assert "baseline (FASTCONV_TARGET)" in text
    if "openmp             yes" in text:
        assert "1 (FASTCONV_NUM_THREADS=1)" in text
        assert "3 (--threads)" in command("info", "--threads", 3).stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    (
        ([], "required"),
        (["dance"], "dance"),
        (["info", "--threads", "0"], "at least 1"),
        (["info", "--threads", "two"], "two"),
        (["bench", "--seconds", "-1"], "above 0"),
        (["bench", "--only", "fourier"], "fourier"),
        (["bench", "--against", "nobody"], "nobody"),
        (["bench", "--model", "none.safetensors"], "none.safetensors"),
        (["bench", "--model", "a", "--input-shape", "3,x"], "3,224,224"),
        (["bench", "--quick", "--only", "avg_pool2d", "--batch-size", "1", "--json", "no/such/folder.json"], "no/such"),
    ),
)
def test_refusals(refused, arguments, words):
    assert words in refused(*arguments)


def test_bench(command, tmp_path):
    arguments = ["bench", "--quick", "--batch-size", 2, "--only", "pool", "--json", "times.json", "--against", "im2col"]
    done = command(*arguments)
    assert done.returncode == 0, done.stderr
    assert "max_pool2d_backward" in done.stdout and "im2col NumPy" in done.stdout
    record = json.loads((tmp_path / "times.json").read_text())
    assert record["dtype"] == "float32" and record["machine"]["fastconv"] == fastconv.__version__
    assert {row["op"] for row in record["rows"]} >= {"max_pool2d", "avg_pool2d_backward"}
    assert all(row["ratios"]["im2col"] > 0 for row in record["rows"])


def test_bench_of_a_network(command, tmp_path):
    """The profile and, where they are installed, the other engines, which must compute the same."""
    fastconv.save(fastconv.models.small_vgg((1, 16, 16), 5), tmp_path / "net.safetensors")
    arguments = ["bench", "--model", "net.safetensors", "--seconds", 0.01, "--json", "times.json", "--plot", "a.png"]
    unsized = command(*arguments)
    assert unsized.returncode == 2 and "--input-shape" in unsized.stderr
    done = command(*arguments, "--input-shape", "1,16,16")
    assert done.returncode == 0, done.stderr
    assert "conv 3x3" in done.stdout and "GFLOP/s" in done.stdout and "arena" in done.stdout
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    record = json.loads((tmp_path / "times.json").read_text())
    assert record["shape"] == [1, 1, 16, 16] and record["seconds"]["fastconv"] > 0
    assert not record["errors"]
    for engine, seconds in record["seconds"].items():
        assert seconds > 0 and record["memory"][engine] > 0 and record["deviations"][engine] < 1e-4
