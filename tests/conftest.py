"""What all tests share: the number of threads is put back after each."""

import pytest

import fastconv


@pytest.fixture(autouse=True)
def _threads():
    before = fastconv.get_num_threads()
    yield
    if fastconv.get_num_threads() != before:
        fastconv.set_num_threads(before)
