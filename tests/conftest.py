"""What the tests share."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

import rectified as rf

sys.path.append(str(Path(__file__).parents[1] / "tools"))

hypothesis.settings.register_profile("default", deadline=None, derandomize=True)
hypothesis.settings.register_profile("campaign", deadline=None, max_examples=2000)
hypothesis.settings.load_profile("default")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """Leave the number of threads as it was."""
    before = rf.get_num_threads()
    yield
    rf.set_num_threads(before)


@pytest.fixture(autouse=True)
def same_numbers() -> None:
    """PyTorch's random numbers are those of no test before."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture
def environment() -> dict[str, str]:
    """The environment of a child process, without what steers the library."""
    return {name: value for name, value in os.environ.items() if not name.startswith("RECTIFIED_")}
