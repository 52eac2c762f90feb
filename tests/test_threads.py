"""Threads: as many as were asked for, the same results with any number, and safe in threads, after fork and at exit."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import rectified as rf

LARGE = np.random.default_rng(0).normal(0, 3, 1_000_003).astype(np.float32)


def python(code: str, environment: dict[str, str], **more: str) -> str:
    """What a program prints; it must end well, and soon."""
    run = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", code],
        env=environment | more,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr == ""
    return run.stdout.strip()


START = """
import os, sys, threading, time, multiprocessing
import numpy as np, rectified as rf
x = np.random.default_rng(0).normal(0, 3, 1_000_003).astype(np.float32)
rf.set_num_threads(4)
def workers():
    return len(os.listdir('/proc/self/task')) if sys.platform == 'linux' else 4
"""


def test_setting_and_asking() -> None:
    for count in (1, 2, 1024, np.int64(3), True):
        rf.set_num_threads(count)  # type: ignore[arg-type]
        assert rf.get_num_threads() == count
    for wrong in (0, -1, 1025, 10**9, 10**30, -(10**30)):
        with pytest.raises(ValueError, match=f"^the number of threads is 1 to 1024, not {wrong}$"):
            rf.set_num_threads(wrong)
    for bad in ("2", 1.5, None):
        with pytest.raises(TypeError):
            rf.set_num_threads(bad)  # type: ignore[arg-type]
    assert rf.get_num_threads() == 1


def test_the_variable_sets_it(environment: dict[str, str]) -> None:
    code = "import rectified; print(rectified.get_num_threads())"
    assert python(code, environment, RECTIFIED_NUM_THREADS="7") == "7"
    assert python(code, environment, RECTIFIED_NUM_THREADS="") == python(code, environment)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells which processors a process may use")
def test_the_default_is_what_the_process_may_use(environment: dict[str, str]) -> None:
    code = """
import os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import rectified as rf
print(rf.get_num_threads())
"""
    assert python(code, environment) == "1"


@pytest.mark.skipif(sys.platform != "linux", reason="counts tasks in /proc")
def test_large_arrays_use_the_threads_and_small_ones_none(environment: dict[str, str]) -> None:
    code = (
        START
        + """
before = workers()
rf.relu(x[:1000]); small = workers()
rf.relu(x); print(small - before, workers() - before)
"""
    )
    assert python(code, environment) == "0 3"


def test_results_do_not_depend_on_it() -> None:
    for function in (rf.relu, rf.tanh, rf.sigmoid.derivative, rf.leaky_relu.derivative):
        results = []
        for count in (1, 2, 3, 5, 16):
            rf.set_num_threads(count)
            results += [function(LARGE), function(LARGE[::-2])[::-1]]
        for result in results[2:]:
            assert result.tobytes() in (results[0].tobytes(), results[1].tobytes())


def test_many_threads_of_python_at_once() -> None:
    rf.set_num_threads(3)
    arrays = [np.random.default_rng(seed).normal(0, 3, 600_000 + seed) for seed in range(8)]
    wanted = [(rf.sigmoid(x), rf.tanh.backward(x, x)) for x in arrays]
    barrier = threading.Barrier(8)

    def work(number: int) -> bool:
        barrier.wait()
        right = True
        for turn in range(6):
            if number == 0:
                rf.set_num_threads(1 + turn % 4)
            value, gradient = rf.sigmoid(arrays[number]), rf.tanh.backward(arrays[number], arrays[number])
            right &= value.tobytes() == wanted[number][0].tobytes() and gradient.tobytes() == wanted[number][1].tobytes()
        return right

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_results_of_half_precision_are_kept_while_others_compute() -> None:
    x, dy = LARGE[:200_000].astype(np.float16), LARGE[-200_000:].astype(np.float16)
    betas = np.linspace(0.5, 1.5, 6, dtype=np.float16)

    def compute(beta: np.float16) -> tuple[bytes, bytes]:
        return rf.silu(x, beta=beta).tobytes(), rf.silu.backward(dy, x, beta=beta).tobytes()

    rows = [np.full(x.shape, beta) for beta in betas]  # of parameters in arrays nothing is kept
    expected = [(rf.silu(x, beta=row).tobytes(), rf.silu.backward(dy, x, beta=row).tobytes()) for row in rows]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(compute, np.tile(betas, 8))) == expected * 8


def test_the_lock_of_python_is_released() -> None:
    """With a switch interval this long a thread runs only if the other lets go of the lock of its own accord."""
    rf.set_num_threads(1)
    x = np.zeros(30_000_000, np.float32)
    started, finished = threading.Event(), []

    def compute() -> None:
        started.set()
        rf.sigmoid(x, out=x)
        finished.append(True)

    worker = threading.Thread(target=compute)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        worker.start()
        started.wait()
        in_between = not finished
    finally:
        sys.setswitchinterval(before)
    worker.join()
    assert in_between
    assert finished


def test_fork_after_use(environment: dict[str, str]) -> None:
    code = (
        START
        + """
want = rf.sigmoid(x).tobytes()
def child(depth):
    good = rf.sigmoid(x).tobytes() == want and rf.get_num_threads() == 4 and workers() >= 4
    if depth:
        inner = multiprocessing.get_context('fork').Process(target=child, args=(depth - 1,))
        inner.start()
        inner.join(30)
        good = good and inner.exitcode == 0
    sys.exit(not good)
processes = [multiprocessing.get_context('fork').Process(target=child, args=(2,)) for _ in range(4)]
for process in processes: process.start()
for process in processes: process.join(30)
print([process.exitcode for process in processes], rf.sigmoid(x).tobytes() == want)
"""
    )
    assert python(code, environment) == "[0, 0, 0, 0] True"


def test_fork_while_threads_compute(environment: dict[str, str]) -> None:
    code = (
        START
        + """
want = rf.sigmoid(x).tobytes()
stop = threading.Event()
def busy():
    while not stop.is_set(): rf.tanh(x)
threads = [threading.Thread(target=busy) for _ in range(2)]
for thread in threads: thread.start()
def child():
    sys.exit(not all(rf.sigmoid(x).tobytes() == want for _ in range(3)))
codes = []
for _ in range(15):
    process = multiprocessing.get_context('fork').Process(target=child)
    process.start(); process.join(20)
    codes.append(process.exitcode)
stop.set()
for thread in threads: thread.join()
print(set(codes), rf.sigmoid(x).tobytes() == want)
"""
    )
    assert python(code, environment) == "{0} True"


def test_fork_and_no_call_in_the_child(environment: dict[str, str]) -> None:
    code = (
        START
        + """
rf.relu(x)
sys.stdout.flush()
pid = os.fork()
if pid == 0: sys.exit(0)
print(os.waitpid(pid, 0)[1])
"""
    )
    assert python(code, environment) == "0"


@pytest.mark.parametrize("ending", ["", "sys.exit(0)", "os._exit(0)", "rf.set_num_threads(1)", "del rf"])
def test_exit_with_threads_alive(ending: str, environment: dict[str, str]) -> None:
    assert python(START + f"rf.relu(x); print('end', flush=True); {ending}", environment) == "end"


def test_exit_while_a_daemon_computes(environment: dict[str, str]) -> None:
    code = (
        START
        + """
def busy():
    while True: rf.tanh(x)
for _ in range(2): threading.Thread(target=busy, daemon=True).start()
time.sleep(0.2)
print('end', flush=True)
"""
    )
    assert python(code, environment) == "end"


def test_a_call_after_the_threads_ended(environment: dict[str, str]) -> None:
    """What runs at exit may still compute."""
    code = (
        """
import atexit
def last():
    import numpy as np, rectified as rf
    print(rf.relu(np.full(1_000_000, 2.0)).sum())
atexit.register(last)
"""
        + START
        + "rf.relu(x)"
    )
    assert python(code, environment) == "2000000.0"


def test_threads_that_flush_subnormals_keep_them_here(environment: dict[str, str]) -> None:
    """The thread that starts the workers flushes, and hands that on to them."""
    pytest.importorskip("torch")
    code = (
        START
        + """
import torch
small = np.full(1_000_000, 1e-40, np.float32)
assert torch.set_flush_denormal(True)
results = [rf.tanh(small), rf.relu(small), rf.tanh(small[::2])]
torch.set_flush_denormal(False)
print(*[(result == np.float32(1e-40)).all() for result in results])
"""
    )
    assert python(code, environment) == "True True True"


def test_spawned_processes_begin_anew(environment: dict[str, str]) -> None:
    code = (
        START
        + """
with multiprocessing.get_context('spawn').Pool(1) as pool:
    print((pool.map(rf.sigmoid.derivative, [x])[0] == rf.sigmoid.derivative(x)).all())
"""
    )
    assert python(code, environment) == "True"


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="NumPy refuses to be in an interpreter with a lock of its own")
def test_a_program_ends_that_loads_it_in_an_interpreter_within_another(environment: dict[str, str]) -> None:
    code = f"import warnings; warnings.simplefilter('ignore'){START}rf.relu(x)"
    outer = f"import _xxsubinterpreters as within\ninner = within.create()\nwithin.run_string(inner, {code!r})"
    assert python(f"{outer}\nprint('ended')", environment) == "ended"
