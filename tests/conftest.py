"""What all tests share: the number of threads is put back after each, and Ctrl-C arrives."""

import signal

import pytest

import fastconv

# A shell's background job inherits that Ctrl-C is ignored; the tests send it to themselves.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _threads():
    before = fastconv.get_num_threads()
    yield
    if fastconv.get_num_threads() != before:
        fastconv.set_num_threads(before)
