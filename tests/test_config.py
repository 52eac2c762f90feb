"""What runs: versions, instruction sets, environment variables; and what an import loads."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys

import numpy as np
import pytest

import rectified as rf
from rectified import _native

ISAS = _native.instruction_sets()


def python(code: str, environment: dict[str, str], **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], env=environment | more, capture_output=True, text=True, timeout=60, check=False
    )


def test_version() -> None:
    assert rf.__version__ == importlib.metadata.version("rectified")


def test_show_config(capsys: pytest.CaptureFixture[str]) -> None:
    found = rf.show_config("dicts")
    assert found["rectified"] == rf.__version__
    assert found["NumPy"] == np.__version__
    assert found["Python"] == platform.python_version()
    assert found["instruction set"] == rf.ufuncs.isa
    assert found["instruction sets present"].split(", ") == ISAS
    rf.set_num_threads(3)
    assert rf.show_config("dicts")["threads"] == "3"
    rf.show_config()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(found)
    assert all(line.startswith(key) for line, key in zip(lines, found, strict=True))
    with pytest.raises(ValueError, match=r"^mode is 'stdout' or 'dicts', not 'x'$"):
        rf.show_config("x")  # type: ignore[call-overload]


@pytest.mark.parametrize("isa", ISAS)
def test_an_instruction_set_can_be_forced(isa: str, environment: dict[str, str]) -> None:
    code = "import rectified as rf; print(rf.ufuncs.isa, rf.show_config('dicts')['instruction set'], rf.relu(-1.0))"
    assert python(code, environment, RECTIFIED_ISA=isa).stdout.split() == [isa, isa, "0.0"]


def test_the_best_instruction_set_is_the_default(environment: dict[str, str]) -> None:
    for more in ({}, {"RECTIFIED_ISA": ""}):
        assert python("import rectified; print(rectified.ufuncs.isa)", environment, **more).stdout.strip() == ISAS[-1]


def import_error(environment: dict[str, str], **more: str) -> str:
    run = python("import rectified", environment, **more)
    assert run.returncode == 1
    return run.stderr.splitlines()[-1]


def test_a_wrong_instruction_set_is_one_clear_line(environment: dict[str, str]) -> None:
    line = f"ImportError: RECTIFIED_ISA='avx9' is not an instruction set of this machine; it has {', '.join(ISAS)}"
    assert import_error(environment, RECTIFIED_ISA="avx9") == line


@pytest.mark.parametrize("wrong", ["0", "-1", "1025", "two", "1.5", "²"])
def test_a_wrong_number_of_threads_is_one_clear_line(wrong: str, environment: dict[str, str]) -> None:
    line = f"ImportError: RECTIFIED_NUM_THREADS='{wrong}' is not a number of threads from 1 to 1024"
    assert import_error(environment, RECTIFIED_NUM_THREADS=wrong) == line


@pytest.mark.parametrize("isa", ["x86-64-v9", ""])
def test_unknown_instruction_sets_have_no_ufuncs(isa: str) -> None:
    with pytest.raises(ValueError, match=f"unknown instruction set '{isa}'; this machine has {', '.join(ISAS)}"):
        _native.ufuncs_of(isa)


def test_an_import_loads_numpy_alone(environment: dict[str, str]) -> None:
    code = """
import sys, numpy
before = set(sys.modules)
import rectified as rf
rf.relu([1.0]); rf.leaky_relu.derivative([1.0]); repr(rf.catalogue)
print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)))
"""
    assert set(python(code, environment).stdout.split()) - {"numpy"} == {"rectified"}


def test_unknown_attributes() -> None:
    with pytest.raises(AttributeError, match=r"^module 'rectified' has no attribute 'rulu'$"):
        rf.rulu  # noqa: B018
    with pytest.raises(AttributeError, match=r"^rectified.ufuncs has no ufunc 'rulu'$"):
        rf.ufuncs.rulu  # noqa: B018
