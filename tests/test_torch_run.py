"""`rectified run`: a program runs as python runs it, and what its networks did is written whatever way it ends."""

import importlib.util
import json
import os
import py_compile
import signal
import sqlite3
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rectified as rf
from rectified.health import Evidence, Run, store
from rectified.health.store import DataError, Writer, read

torch = pytest.importorskip("torch")

from rectified.torch.saving import Saver  # noqa: E402

# PyTorch's own optimizers load its compiler, which takes longer than all else here.
DESCENT = """
import torch

class Descent(torch.optim.Optimizer):
    def add_param_group(self, group):
        self.param_groups.append(group)

    @torch.no_grad()
    def step(self):
        for parameter in self.param_groups[0]["params"]:
            parameter -= 0.01 * parameter.grad
            parameter.grad = None
"""
PROGRAM = f"""
import os, sys, time
print(sys.argv[1:], __name__, os.path.basename(__file__), os.path.basename(sys.path[0]), "torch" in sys.modules)
{DESCENT}
from torch import nn

torch.manual_seed(0)  # a unit that fires seldom is not known to have died so soon
network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
with torch.no_grad():
    network[0].bias[3] = -99
optimizer = Descent(network.parameters(), {{}})
for _ in range(20):
    network(torch.randn(5, 4)).sum().backward()
    optimizer.step()
"""
ENDS = {
    "to its end": ("", 0, ""),
    "with a code": ("sys.exit(7)", 7, ""),
    "with a word": ("sys.exit('a word')", 1, "a word\n"),
    "with an error": ("def fails():\n    raise ValueError('no')\nfails()", 1, None),
    "by a scheduler": ("os.kill(os.getpid(), 15); time.sleep(5)", -15, ""),
    "by a scheduler, with a handler": (
        "import signal; signal.signal(15, lambda *_: sys.exit(3)); os.kill(os.getpid(), 15)",
        3,
        "",
    ),
    "by Ctrl-C": ("os.kill(os.getpid(), 2); time.sleep(5)", -2, None),
    "with what python gives": ("print(type(__builtins__), type(__loader__), __cached__, __spec__)", 0, ""),
    "at once": ("os._exit(7)", 7, ""),
    "at once, from a thread": (
        "import threading; threading.Thread(target=os._exit, args=[7]).start(); time.sleep(5)",
        7,
        "",
    ),
    "with a thread's end": ("import threading; threading.Thread(target=sys.exit, args=[7]).start()", 0, ""),
    "with an error after its end": ("import atexit; atexit.register(int, 'x')", 0, None),
    "with its terminal": ("os.kill(os.getpid(), 1); time.sleep(5)", -1, ""),
    "as another program": ("os.execvp('sh', ['sh', '-c', 'exit 7'])", 7, ""),
    "with a hook of its own": ("sys.excepthook = lambda *error: print('mine', file=sys.stderr)\n1 / 0", 1, "mine\n"),
}


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    """Children end by signals even where the tests ignore them, as under nohup: that is inherited, and a handler is not."""
    ignored = [number for number in (1, 2, 15) if signal.getsignal(number) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, lambda *_: None)
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


def python(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        env={**os.environ, **environment},
        timeout=300,
    )


def rectified(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return python("-m", "rectified", *arguments, folder=folder, **environment)


@pytest.mark.parametrize(("end", "code", "said"), ENDS.values(), ids=ENDS)
def test_a_program_ends_as_with_python(end: str, code: int, said: str | None, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM + end)
    plain = python("program.py", "a", "--b", "-c", folder=tmp_path)
    ran = rectified("run", "program.py", "a", "--b", "-c", folder=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (plain.returncode, plain.stdout, plain.stderr)
    assert ran.returncode == code
    if said is not None:
        assert ran.stderr == said
    (run,) = read(tmp_path / ".rectified")
    (layer,) = run.layers.values()
    assert (layer.name, layer.units, layer.histories["train"].total.samples) == ("1", 8, 100)
    assert run.command == "program.py a --b -c"


ERRORS = (
    DESCENT
    + """
import sys
from torch import nn
from torch.nn import functional as F

@torch.jit.script
def scripted(x):
    return torch.relu(x)

class Part(nn.Module):
    def forward(self, x):
        if step < int(sys.argv[2]):
            return x
        if sys.argv[1] == "function":
            return F.relu("a word")
        if sys.argv[1] == "module":
            raise ValueError("no")
        if sys.argv[1] == "script":
            return scripted("a word")
        if sys.argv[1] == "several":
            errors = []
            for size in (7, 8):
                try:
                    F.linear(x, torch.ones(2, size))
                except RuntimeError as error:
                    errors.append(error)
            try:
                x.view(99)
            except RuntimeError as error:
                raise ExceptionGroup("several", errors) from error
        return x

def fail(*_):
    if sys.argv[1] == "hook" and step == int(sys.argv[2]):
        raise KeyError("hook")

network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Sequential(nn.Linear(8, 3), Part()))
network[2][0].register_forward_hook(fail)
optimizer = Descent(network.parameters(), {})
for step in range(30):
    y = network(torch.ones(5, 4))
    size = 3 if sys.argv[1] == "loss" and step == int(sys.argv[2]) else 5
    F.cross_entropy(y, torch.zeros(size, dtype=torch.long)).backward()
    optimizer.step()
"""
)


@pytest.mark.parametrize(
    ("place", "step"),
    [("function", "0"), *((place, "20") for place in ("module", "function", "script", "hook", "loss", "several"))],
)
def test_an_error_looks_as_with_python(place: str, step: str, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(ERRORS)
    plain = python("program.py", place, step, folder=tmp_path)
    ran = rectified("run", "program.py", place, step, folder=tmp_path)
    assert plain.returncode == ran.returncode == 1
    assert plain.stderr.count("Traceback") == (4 if place == "several" else 1)
    assert ran.stderr == plain.stderr


def test_an_error_of_ours_is_shown(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    breaks = "import rectified.torch.schedule as schedule; schedule._LOOK_AGAIN = None; "
    program = breaks + "from rectified.__main__ import main; main(['run', 'program.py'])"
    ran = python("-c", program, folder=tmp_path)
    assert ran.returncode == 1
    assert "collect.py" in ran.stderr
    assert "in _begin" in ran.stderr
    assert "in execute" not in ran.stderr


WARNINGS = """
import warnings
import torch
from torch import nn
from torch.nn import functional as F

network = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
last = nn.Sequential(nn.LogSoftmax())
optimizer = torch.optim.SGD(network.parameters(), lr=0.01)
warnings.filterwarnings("ignore", "Using a target size", module="__main__")
for step in range(30):
    y = network(torch.ones(5, 4))
    F.softmax(y)
    F.mse_loss(torch.ones(3, 1), torch.ones(3))
    torch.ones(2, 3, 4).T
    F.softmax(y + 1).sum().backward()
    optimizer.step()
    last(y.detach())
nn.Softmin()(y)
warnings.warn("the last")
"""


def test_a_warning_looks_as_with_python(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(WARNINGS)
    plain = python("program.py", folder=tmp_path)
    ran = rectified("run", "program.py", folder=tmp_path)
    assert plain.stderr.count("Implicit dimension") == 4
    assert "target size" not in plain.stderr
    assert ran.stderr == plain.stderr


def test_a_module_runs_as_with_python(tmp_path: Path) -> None:
    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "part.py").write_text("print(__package__, __spec__.name)\n" + PROGRAM)
    (package / "__main__.py").write_text("from package import part\nprint(__name__)")
    for name in ("package.part", "package"):
        plain = python("-m", name, "a", folder=tmp_path)
        ran = rectified("run", "--every", "2", "-m", name, "a", folder=tmp_path)
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, plain.stdout, plain.stderr)
        (run,) = read(tmp_path / ".rectified")
        assert run.layers["1"].histories["train"].total.samples == 50


TELLS = """
import sys
names = {name: value for name, value in globals().items() if name not in ("__builtins__", "__loader__", "__spec__")}
print(names, type(__loader__), __spec__ and (__spec__.name, __spec__.origin), sys.argv, sys.path[0])
1 / 0
"""


@pytest.mark.parametrize("safe", ["", "1"])
@pytest.mark.parametrize(
    "arguments",
    [
        *(["./tells.py"], ["folder/"], ["archive.zip"], ["compiled.pyc"]),
        *(["-m", name] for name in ("tells", "wrong", "folder", "package", ".tells", "tells.py", "package.none")),
    ],
    ids=" ".join,
)
def test_whatever_python_runs_runs_as_with_python(arguments: list[str], safe: str, tmp_path: Path) -> None:
    (tmp_path / "tells.py").write_text(TELLS)
    (tmp_path / "wrong.py").write_text("a = (\n")
    for folder in ("folder", "package"):
        (tmp_path / folder).mkdir()
    (tmp_path / "folder" / "__main__.py").write_text(TELLS)
    (tmp_path / "package" / "__init__.py").touch()
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        archive.writestr("__main__.py", TELLS)
    py_compile.compile(str(tmp_path / "tells.py"), str(tmp_path / "compiled.pyc"))
    plain = python(*arguments, "a", folder=tmp_path, PYTHONSAFEPATH=safe)
    ran = rectified("run", *arguments, "a", folder=tmp_path, PYTHONSAFEPATH=safe)
    if safe and arguments[0] == "-m" and arguments[1] != ".tells":
        assert ran.stderr == f"rectified: no module named {arguments[1]} can be run\n"
    else:
        assert ran.stderr.replace("rectified: no activation was seen\n", "") == plain.stderr
    assert (ran.returncode, ran.stdout) == (plain.returncode, plain.stdout)
    assert ran.returncode == 1


def test_options_and_mistakes(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    assert rectified("run", "--data-file", "data", "program.py", folder=tmp_path).returncode == 0
    assert read(tmp_path / "data")[0].layers["1"].units == 8
    for _ in range(2):
        assert rectified("run", "--parallel", "program.py", folder=tmp_path).returncode == 0
    assert len(list(tmp_path.glob(".rectified.*"))) == 2
    (tmp_path / "foreign").write_text("not a data file, and longer than nothing")
    for arguments, code, line in (
        (["missing.py"], 2, "rectified: cannot run missing.py: No such file or directory\n"),
        (["-m", "no.such"], 1, "rectified: no module named no.such can be run\n"),
        (["."], 1, "rectified: cannot run .: there is no module __main__ in it\n"),
        (["--data-file", "foreign", "program.py"], 1, "rectified: foreign is not a data file of rectified"),
    ):
        ran = rectified("run", *arguments, folder=tmp_path)
        assert (ran.returncode, ran.stdout) == (code, "")
        assert ran.stderr.startswith(line)


def test_a_training_that_is_resumed_goes_on(tmp_path: Path) -> None:
    resumed = PROGRAM.replace("range(20)", "range(int(sys.argv[1]))").replace("[3] = -99", "[int(sys.argv[2])] = -99")
    (tmp_path / "program.py").write_text(resumed)
    (tmp_path / ".rectified").touch()  # as a first run leaves it that finds no room
    for arguments in (("96", "3"), ("54", "5"), ("0", "5")):  # the first is a number of whole windows
        assert rectified("run", "--append", "program.py", *arguments, folder=tmp_path).returncode == 0
    (run,) = read(tmp_path / ".rectified")
    total = run.layers["1"].histories["train"].total
    assert (total.steps, total.samples, run.command) == ((0, 149), 5 * 150, "program.py 0 5")
    (layer,) = json.loads(rectified("report", "--format", "json", folder=tmp_path).stdout)["layers"]
    dead = {unit["unit"]: unit["since"] for unit in layer["histories"] if unit["state"] == "dead"}
    assert dead[5] == 96
    assert 3 not in dead
    (tmp_path / "program.py").write_text(PROGRAM.replace("nn.ReLU()", "nn.GELU()"))
    assert rectified("run", "--append", "program.py", folder=tmp_path).returncode == 0
    (run,) = read(tmp_path / ".rectified")
    assert run.layers["1"].histories["train"].total.samples == 5 * 150
    assert "its function changed" in run.layers["1"].note
    ran = rectified("run", "--append", "--parallel", "program.py", folder=tmp_path)
    assert (ran.returncode, ran.stderr.startswith("rectified: --append goes on with a data file")) == (2, True)


def test_what_can_not_be_written_goes_to_a_file_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, run = tmp_path / ".rectified", Run("new")
    Writer(path).write([Run("old")])
    saver = Saver(path, run)
    monkeypatch.setattr(store, "_PATIENCE", 0)
    busy = sqlite3.connect(path, isolation_level=None)
    busy.execute("BEGIN IMMEDIATE")
    assert all(saver.save() for _ in range(3))
    busy.close()
    (beside,) = store.parts(path)
    line = f"cannot use {path}: database is locked; what was seen is in {beside.name}, for rectified combine"
    assert capsys.readouterr().err == f"rectified: {line}\n"
    assert [[run.command for run in read(each)] for each in (path, beside)] == [["old"], ["new"]]


def test_a_disk_that_is_full_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def write(writer: Writer, _: object) -> None:
        raise DataError("cannot use .rectified: database or disk is full")

    saver = Saver(tmp_path / ".rectified", Run())
    monkeypatch.setattr(Writer, "write", write)
    assert not any(saver.save() for _ in range(3))
    assert capsys.readouterr().err == "rectified: cannot use .rectified: database or disk is full\n"
    assert list(tmp_path.iterdir()) == []


def test_ranks_that_were_combined_go_on(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)

    def job(size: int) -> list[str]:
        ranks = [{"RANK": str(rank), "WORLD_SIZE": str(size)} for rank in range(size)]
        return [rectified("run", "--append", "program.py", folder=tmp_path, **rank).stderr for rank in ranks]

    assert job(3) == ["", "", ""]
    assert rectified("combine", folder=tmp_path).returncode == 0
    assert job(2) == ["", ""]
    assert rectified("combine", folder=tmp_path).returncode == 0

    def last_steps() -> dict[str, int]:
        runs = read(tmp_path / ".rectified")
        return {run.command: run.layers["1"].histories["train"].total.steps[1] for run in runs}

    names = [f"program.py (rank {rank})" for rank in range(3)]
    assert last_steps() == dict(zip(names, (39, 39, 19), strict=True))
    assert len(read(tmp_path / ".rectified")) == 3
    said = job(4)
    assert said == ["", "", "", "rectified: .rectified holds no run of rank 3, so its steps are counted from 0\n"]
    assert rectified("combine", "--append", folder=tmp_path).returncode == 0
    assert last_steps() == dict(zip([*names, "program.py (rank 3)"], (59, 59, 39, 19), strict=True))


def test_a_program_that_starts_processes_goes_on_with_its_own_run(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    own, child = (Run(command, started) for command, started in (("program.py", "1"), ("program.py (process 1)", "2")))
    for run, samples in ((own, 1), (child, 2)):
        run.layer("1", "relu", 8).add(Evidence.of(rf.relu, np.ones((samples, 8))))
    Writer(tmp_path / ".rectified").write([own, child])
    assert rectified("run", "--append", "program.py", folder=tmp_path).returncode == 0
    samples = {run.id: run.layers["1"].histories["train"].total.samples for run in read(tmp_path / ".rectified")}
    assert samples == {own.id: 101, child.id: 2}


def test_a_program_that_goes_elsewhere_leaves_its_data_where_it_began(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "program.py").write_text(PROGRAM + "os.chdir('elsewhere')")
    assert rectified("run", "program.py", folder=tmp_path).returncode == 0
    assert read(tmp_path / ".rectified")[0].layers["1"].units == 8
    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_program_that_does_not_compile(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("a = (\n")
    plain = python("program.py", folder=tmp_path)
    ran = rectified("run", "program.py", folder=tmp_path)
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.splitlines()[-3:] == plain.stderr.splitlines()[-3:]


def test_without_torch_it_says_that_nothing_was_seen(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import sys; print('torch' in sys.modules)")
    ran = rectified("run", "program.py", folder=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "False\n", "rectified: no activation was seen\n")


def test_what_was_seen_and_not_counted_is_said(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM.replace("(4, 8), nn.ReLU()", "(4, 8), torch.jit.script(nn.ReLU())"))
    ran = rectified("run", "program.py", folder=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "rectified: no activation was counted; rectified report has a note\n")


def test_a_program_imports_as_with_python(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "rich.py").write_text("import random\nrandom.random()")  # the real one draws, too
    seeds = "import random, sys\nrandom.seed(1)\nprint('typer' in sys.modules)\n"
    (folder / "program.py").write_text(f"{seeds}import rich\nprint(rich.__file__, random.random())")
    plain = python("folder/program.py", folder=tmp_path)
    ran = rectified("run", "folder/program.py", folder=tmp_path)
    assert (ran.returncode, ran.stdout) == (0, plain.stdout)


FORKS = """
for end in (int, os._exit):
    if os.fork() == 0:
        network(torch.randn(5, 4))
        end(0)
        break
    os.wait()
"""


def test_children_do_not_write(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM + FORKS)
    assert rectified("run", "program.py", folder=tmp_path).returncode == 0
    (run,) = read(tmp_path / ".rectified")
    assert run.layers["1"].histories["train"].total.samples == 100


def test_what_was_written_before_a_kill_stays(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM + "\nos.kill(os.getpid(), 9)")
    often = "import rectified.torch.saving as saving; saving._SECONDS_BETWEEN_WRITES = 0; "
    for setting, steps in (("", 8), (often, 16)):
        program = setting + "from rectified.cli import main; main(['run', 'program.py'])"
        assert python("-c", program, folder=tmp_path).returncode == -9
        (run,) = read(tmp_path / ".rectified")
        assert run.layers["1"].histories["train"].total.samples == 5 * steps


def test_a_network_without_steps_is_written_too(tmp_path: Path) -> None:
    used = "\nwith torch.no_grad():\n    for _ in range(300):\n        network(torch.randn(5, 4))\nos.kill(os.getpid(), 9)"
    (tmp_path / "program.py").write_text(PROGRAM.replace("range(20)", "range(0)") + used)
    assert rectified("run", "program.py", folder=tmp_path).returncode == -9
    (run,) = read(tmp_path / ".rectified")
    assert run.layers["1"].histories["train"].total.samples == 5 * 255


def test_a_second_interrupt_waits_for_what_is_being_written(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM + "\nos.kill(os.getpid(), 2); time.sleep(5)")
    program = (
        "import os, rectified.torch.saving as saving; from rectified.__main__ import main; write = saving.Writer.write; "
        "saving.Writer.write = lambda *arguments: (os.kill(os.getpid(), 2), write(*arguments)); main(['run', 'program.py'])"
    )
    assert python("-c", program, folder=tmp_path).returncode == -2
    (run,) = read(tmp_path / ".rectified")
    assert run.layers["1"].histories["train"].total.samples >= 40


RANKS = """
import os, torch
import torch.distributed as distributed
from torch import nn

distributed.init_process_group("gloo")
torch.manual_seed(0)
network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
with torch.no_grad():
    network[0].weight.fill_(1)
    network[0].bias.copy_(torch.tensor([-99.0, -9, 9, 0, 0, 0, 0, 0]))
network = nn.parallel.DistributedDataParallel(network)
optimizer = torch.optim.SGD(network.parameters(), lr=1e-6)
for _ in range(10):
    optimizer.zero_grad()
    x = torch.rand(16, 4) + (10 if distributed.get_rank() else -1)  # unit 1 fires on one rank, unit 2 on both
    network(x).sum().backward()
    optimizer.step()
distributed.destroy_process_group()
"""


def test_two_ranks_are_a_union(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(RANKS)
    larger = Run()  # an earlier job, in which no unit was dead
    larger.layer("1", "relu", 8).add(Evidence.of(rf.relu, np.tile([[1.0], [-1.0]], 8)))
    for rank in (1, 2, 10):
        Writer(tmp_path / f".rectified.rank{rank}").write([larger])
    (tmp_path / ".rectified.rank11").write_text("not ours")
    command = ["-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29571", "-m", "rectified", "run"]
    ran = python(*command, "program.py", folder=tmp_path, OMP_NUM_THREADS="1", MASTER_ADDR="127.0.0.1")
    assert ran.returncode == 0, ran.stderr
    dead = []
    for rank in (0, 1):
        reported = rectified("report", "--data-file", f".rectified.rank{rank}", "--format", "json", folder=tmp_path)
        dead.append(json.loads(reported.stdout)["layers"][0]["dead"])
    assert dead[0][:2] == [0, 1]
    assert dead[1] == [0]
    (tmp_path / ".rectified.rank11").unlink()
    assert rectified("combine", folder=tmp_path).returncode == 0
    layer = json.loads(rectified("report", "--format", "json", folder=tmp_path).stdout)["layers"][0]
    assert (layer["name"], layer["dead"], layer["samples"]) == ("1", [0], 320)


DIGITS = """
import sys
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
torch.set_num_threads(1)
data = load_digits()
images = torch.tensor(data.images, dtype=torch.float32)[:, None] / 16
labels = torch.tensor(data.target)
network = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(512, 64), nn.ReLU(), nn.Linear(64, 10),
)
rectifiers = [module for module in network if isinstance(module, nn.ReLU)]
fired = [[] for _ in rectifiers]
if "--by-hand" in sys.argv:
    for steps, module in zip(fired, rectifiers):
        module.register_forward_hook(
            lambda module, inputs, y, steps=steps: steps.append((y.movedim(1, -1).flatten(0, -2) > 0).sum(0))
        )
optimizer = torch.optim.SGD(network.parameters(), lr=RATE, momentum=0.9)
for _ in range(EPOCHS):
    for batch in torch.randperm(len(images)).split(64):
        optimizer.zero_grad()
        F.cross_entropy(network(images[batch]), labels[batch]).backward()
        optimizer.step()
torch.save([*network.state_dict().values(), *(torch.stack(steps) for steps in fired if steps)], "learned.pt")
with torch.no_grad():
    x = images
    for module in network:
        x = module(x)
        if isinstance(module, nn.ReLU):
            print((x.movedim(1, -1).flatten(0, -2) > 0).any(0).logical_not().nonzero().flatten().tolist())
"""


@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="the digits come with scikit-learn")
@pytest.mark.parametrize("rate", [0.001, 0.3])
def test_real_digits(rate: float, tmp_path: Path) -> None:
    (tmp_path / "digits.py").write_text(DIGITS.replace("RATE", str(rate)).replace("EPOCHS", "4"))
    by_hand = python("digits.py", "--by-hand", folder=tmp_path)
    assert by_hand.returncode == 0, by_hand.stderr
    *learned, first, second, third = torch.load(tmp_path / "learned.pt")
    ran = rectified("run", "digits.py", folder=tmp_path)
    assert (ran.returncode, ran.stdout) == (0, by_hand.stdout), ran.stderr
    assert all(torch.equal(a, b) for a, b in zip(learned, torch.load(tmp_path / "learned.pt"), strict=True))  # bit by bit
    report: dict[str, Any] = json.loads(rectified("report", "--format", "json", folder=tmp_path).stdout)
    trained, evaluated = report["layers"][:3], report["layers"][3:]
    assert [layer["dead"] for layer in evaluated] == [json.loads(line) for line in ran.stdout.splitlines()]
    assert [layer["units"] for layer in trained] == [16, 32, 64]
    assert [layer["samples"] for layer in trained] == [1797 * 64 * 4, 1797 * 64 * 4, 1797 * 4]
    assert [layer["steps"] for layer in trained] == [[0, 115]] * 3
    (run,) = read(tmp_path / ".rectified")
    lost = 0
    truth = zip(run.layers.values(), trained, (64, 64, 1), (first, second, third), strict=False)
    for layer, told, positions, fired in truth:
        windows = layer.histories["train"].windows
        begins = np.array([window.steps[0] for window in windows])
        firings = np.add.reduceat(fired.numpy(), begins)
        assert (np.array([window.fired for window in windows]) == firings).all()
        silent_from = np.array([np.flatnonzero(row).max(initial=-1) + 1 for row in firings.T])  # this window on
        dead = {unit["unit"]: unit for unit in told["histories"] if unit["state"] == "dead"}
        for number, unit in dead.items():
            assert silent_from[number] < len(windows)
            assert (unit["since"], unit["from_start"]) == (begins[silent_from[number]], silent_from[number] == 0)
        # Before the last window in which they fired are two or more, in each of which they did so five times or more often.
        steady = ((firings >= 5 * positions) | (np.arange(len(windows))[:, None] >= silent_from - 1)).all(axis=0)
        surely = np.flatnonzero(steady & (silent_from >= 3) & (silent_from <= len(windows) // 2))
        assert dead.keys() >= {*surely, *np.flatnonzero(silent_from == 0)}
        lost += len(surely)
    assert bool(lost) == (rate == 0.3)
