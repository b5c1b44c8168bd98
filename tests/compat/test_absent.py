"""Without a foreign package its backend, and nothing else, is an ImportError that names the extra."""

import pytest
from processes import run


@pytest.mark.parametrize(
    "module, package", [("autograd", "autograd"), ("keras", "Keras"), ("mygrad", "MyGrad"), ("sklearn", "scikit-learn")]
)
def test_the_error_names_the_extra(module, package):
    code = (
        f"import sys; sys.modules['{module}'] = None\n"
        "import fastconv, fastconv.compat.cs231n, fastconv.signal\n"
        f"try: import fastconv.compat.{module}\n"
        "except ImportError as error: print(error)\n"
    )
    expected = f'fastconv.compat.{module} needs {package}: pip install "fastconv[compat]"'
    assert run(code).stdout.strip() == expected
