"""`rectified run` looks at processes that a program starts, too: their data goes into its file."""

import json
import subprocess
from pathlib import Path
from textwrap import indent

import pytest
from tests.test_torch_run import DESCENT, rectified

from rectified.health import Run
from rectified.health.store import Writer, read

pytest.importorskip("torch")

PROGRAM = f"""
import multiprocessing, os, sys, time
{DESCENT}
from torch import nn
from torch.utils.data import DataLoader

features = nn.Sequential(nn.Linear(4, 4), nn.ReLU())

class Data(torch.utils.data.Dataset):
    def __len__(self):
        return 40

    def __getitem__(self, number):
        return features(torch.randn(4)).detach()

def train(steps, firing=-99.0, width=8, end=""):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 1))
    with torch.no_grad():
        network[0].bias[:2] = torch.tensor([-99, firing])
    optimizer = Descent(network.parameters(), {{}})
    for x in DataLoader(Data(), 5, num_workers=1) if steps == 8 else torch.randn(steps, 5, 4):
        network(x).sum().backward()
        optimizer.step()
    exec(end)

def start(*arguments, **options):
    process = multiprocessing.Process(target=train, args=arguments, **options)
    process.start()
    return process

def main():
    MAIN

if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    main()
"""


def samples(folder: Path) -> dict[str, int]:
    runs = read(folder / ".rectified")
    return {run.command.partition(" (")[2]: run.layers["1"].histories["train"].total.samples for run in runs}


def run(method: str, folder: Path, main: str) -> subprocess.CompletedProcess[str]:
    (folder / "program.py").write_text(PROGRAM.replace("MAIN", indent(main, "    ").strip()))
    return rectified("run", "program.py", method, folder=folder)


@pytest.mark.parametrize("method", ["spawn", "fork", "forkserver"])
def test_the_data_of_processes_is_gathered(method: str, tmp_path: Path) -> None:
    Writer(tmp_path / ".rectified.process7").write([Run("of an earlier program")])
    ran = run(
        method,
        tmp_path,
        """
one, two = start(10), start(12, 9.0, 8, "start(20).join()")
one.join()
two.join()
start(8)
train(8)
""",
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert samples(tmp_path) == {"": 40, "process 1)": 50, "process 2)": 60, "process 2-1)": 100, "process 3)": 40}
    (layer,) = json.loads(rectified("report", "--format", "json", folder=tmp_path).stdout)["layers"]
    assert (layer["dead"], layer["samples"]) == ([0], 290)
    assert [path.name for path in tmp_path.glob(".rectified*")] == [".rectified"]


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_whatever_way_processes_end(method: str, tmp_path: Path) -> None:
    ran = run(
        method,
        tmp_path,
        """
ends = "1 / 0", "os.kill(os.getpid(), 9)", "os._exit(3)", "sys.exit(4)"
processes = [start(20, 0.0, 8, end) for end in ends]
for process in processes:
    process.join()
print([process.exitcode for process in processes])
start(20, 0.0, 8, "open('ready', 'x'); time.sleep(99)", daemon=True)
while not os.path.exists("ready"):
    time.sleep(0.1)
""",
    )
    assert (ran.returncode, ran.stdout) == (0, "[1, -9, 3, 4]\n")
    assert ran.stderr.count("Traceback") == 1
    expected = {"process 1)": 100, "process 2)": 40, "process 3)": 100, "process 4)": 100, "process 5)": 100}
    assert samples(tmp_path) == expected


def test_processes_with_networks_of_their_own_keep_their_files(tmp_path: Path) -> None:
    ran = run("fork", tmp_path, "for width in (8, 9):\n    start(10, 0.0, width).join()")
    assert ran.returncode == 0
    files = ".rectified.process1, .rectified.process2"
    assert ran.stderr.startswith(f"rectified: what other processes saw stays in files of their own, {files}: 1 has 8 units")
    assert [read(tmp_path / name)[0].layers["1"].units for name in files.split(", ")] == [8, 9]
    assert "what other processes saw" in rectified("report", folder=tmp_path).stdout


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_workers_that_load_data_are_not_looked_at(method: str, tmp_path: Path) -> None:
    ran = run(method, tmp_path, "list(DataLoader(Data(), 5, num_workers=1))")
    assert (ran.returncode, ran.stderr) == (0, "rectified: no activation was seen\n")


def test_a_program_that_starts_itself_again_is_told(tmp_path: Path) -> None:
    main = "os.environ['WORLD_SIZE'] = '2'\ntrain(10)"
    assert run("fork", tmp_path, main).returncode == 0
    assert "what they did was not seen: torchrun" in rectified("report", folder=tmp_path).stdout


@pytest.mark.parametrize("imported", ["math", "torch"])
def test_pools_end(imported: str, tmp_path: Path) -> None:
    """A worker is told to end in the moment in which it may begin to wait for another task."""
    (tmp_path / "program.py").write_text(f"""
import multiprocessing, {imported}

if __name__ == "__main__":
    for _ in range(60):
        with multiprocessing.get_context("fork").Pool(4) as pool:
            pool.map(abs, range(8))
    print("ended")
""")
    ran = rectified("run", "program.py", folder=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "ended\n", "rectified: no activation was seen\n")
