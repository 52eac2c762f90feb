"""The callbacks for trainers: with stand-ins that call them as the trainers do, and with the real ones where installed."""

import pickle
import signal
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from rectified.health.store import DataError, parts, read  # noqa: E402
from rectified.health.verdict import DEAD  # noqa: E402
from rectified.torch import hugging_face_callback, lightning_callback  # noqa: E402


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer, self.act = nn.Linear(3, 4), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.layer(x)).sum()

    def training_step(self, batch: torch.Tensor) -> torch.Tensor:
        return self(batch)


class LightningTrainer:
    """Calls by name what a callback has; the step of the module's own is inside of no forward pass."""

    def __init__(self, callbacks: list[Any]) -> None:
        self.callbacks = callbacks

    def call(self, hook: str, *arguments: Any) -> None:
        for callback in self.callbacks:
            getattr(callback, hook, lambda *_: None)(self, *arguments)

    def fit(self, model: Model, batches: list[torch.Tensor]) -> None:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        self.call("setup", model, "fit")
        self.call("on_fit_start", model)
        try:
            for batch in batches:
                model.training_step(batch).backward()
                optimizer.step()
        except BaseException as error:
            self.call("on_exception", model, error)
            raise
        self.call("on_fit_end", model)
        self.call("teardown", model, "fit")


class HuggingFaceTrainer:
    """Calls with what it knows as keywords."""

    def __init__(self, model: Model, callbacks: list[Any]) -> None:
        self.model, self.callbacks = model, callbacks

    def call(self, event: str) -> None:
        for callback in self.callbacks:
            getattr(callback, event)(None, None, None, model=self.model, optimizer=None)

    def train(self, batches: list[torch.Tensor]) -> None:
        optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        self.call("on_train_begin")
        for batch in batches:
            self.model(batch).backward()
            optimizer.step()
        self.call("on_train_end")


BATCHES = [torch.ones(2, 3)] * 10


def test_lightning(tmp_path: Path) -> None:
    callback = lightning_callback(tmp_path / "data")
    assert callback.health is None
    LightningTrainer([callback]).fit(Model(), BATCHES)
    assert callback.health.layers["act"].histories["train"].total.samples == 20
    assert read(tmp_path / "data")[0].layers["act"].units == 4


def test_lightning_with_an_error(tmp_path: Path) -> None:
    callback = lightning_callback(tmp_path / "data")
    with pytest.raises(RuntimeError):
        LightningTrainer([callback]).fit(Model(), [*BATCHES, torch.ones(2, 5)])
    assert read(tmp_path / "data")[0].layers["act"].histories["train"].total.samples == 20
    assert torch._C._len_torch_function_stack() == 0


def test_hugging_face(tmp_path: Path) -> None:
    callback = hugging_face_callback(tmp_path / "data", every=2)
    trainer = HuggingFaceTrainer(Model(), [callback])
    for _ in range(2):
        trainer.train(BATCHES)
    assert callback.health.layers["act"].histories["train"].total.samples == 10
    assert read(tmp_path / "data")[0].layers["act"].units == 4


def test_a_step_that_calls_parts_of_the_network(tmp_path: Path) -> None:
    class Parts(Model):
        def __init__(self) -> None:
            super().__init__()
            self.encoder = nn.Sequential(nn.Linear(3, 5), nn.ReLU())

        def training_step(self, batch: torch.Tensor) -> torch.Tensor:
            return torch.relu(self.layer(batch)).sum() + self.act(self.layer(batch)).sum() + self.encoder(batch).sum()

    callback = lightning_callback(tmp_path / "data")
    LightningTrainer([callback]).fit(Parts(), BATCHES)
    units = {name.rpartition(".")[2]: layer.units for name, layer in callback.health.layers.items()}
    assert units == {"training_step": 4, "act": 4, "1": 5}
    assert "encoder.1" in callback.health.layers
    assert {layer.histories["train"].total.samples for layer in callback.health.layers.values()} == {20}


def test_a_training_that_ends_with_the_program(tmp_path: Path) -> None:
    program = (
        f"import sys; sys.path.append({str(Path(__file__).parent)!r}); from test_torch_callbacks import *\n"
        "HuggingFaceTrainer(Model(), [hugging_face_callback('data')]).train([*BATCHES, torch.ones(2, 5)])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "RuntimeError" in ran.stderr
    assert read(tmp_path / "data")[0].layers["act"].histories["train"].total.samples == 20


@pytest.mark.parametrize(("handler", "code"), [("signal.SIG_DFL", -15), ("lambda *_: os._exit(3)", 3)])
def test_a_training_that_a_scheduler_ends(handler: str, code: int, tmp_path: Path) -> None:
    program = (
        f"import os, signal, sys; sys.path.append({str(Path(__file__).parent)!r})\n"
        f"signal.signal(15, {handler})\n"
        "from test_torch_callbacks import *\n"
        "class Ended(HuggingFaceTrainer):\n"
        "    def call(self, event):\n"
        "        if event == 'on_train_end': os.kill(os.getpid(), 15)\n"
        "        super().call(event)\n"
        "Ended(Model(), [hugging_face_callback('data')]).train(BATCHES)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ran.returncode == code, ran.stderr
    written = read(tmp_path / "data")[0].layers["act"].histories["train"].total.samples
    assert written == (20 if code == -15 else 16)  # what the program does with the signal itself is its own
    before = signal.getsignal(signal.SIGTERM)
    HuggingFaceTrainer(Model(), [hugging_face_callback(tmp_path / "other")]).train(BATCHES)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_file_of_another_program_stays_and_training_does_not_begin(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("mine")
    with pytest.raises(DataError, match="not a data file"):
        HuggingFaceTrainer(Model(), [hugging_face_callback(tmp_path / "data")]).train(BATCHES)
    assert (tmp_path / "data").read_text() == "mine"
    assert torch._C._len_torch_function_stack() == 0


def test_another_process_gets_a_callback_of_its_own(tmp_path: Path) -> None:
    callback = lightning_callback(tmp_path / "data", every=2)
    LightningTrainer([callback]).fit(Model(), BATCHES[:4])
    copy = pickle.loads(pickle.dumps(callback))
    assert copy.health is None
    LightningTrainer([copy]).fit(Model(), BATCHES)
    assert read(tmp_path / "data")[0].layers["act"].histories["train"].total.samples == 10
    assert pickle.loads(pickle.dumps(hugging_face_callback())).health is None


def test_each_of_several_processes_has_a_file_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("is_initialized", True), ("get_world_size", 2), ("get_rank", 1)):
        monkeypatch.setattr(torch.distributed, name, lambda value=value: value)
    LightningTrainer([lightning_callback(tmp_path / "data")]).fit(Model(), BATCHES)
    (file,) = parts(tmp_path / "data")
    assert file.name == "data.rank1"
    file.rename(tmp_path / "data.rank2")  # of an earlier job that had more processes
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 0)
    LightningTrainer([lightning_callback(tmp_path / "data")]).fit(Model(), BATCHES)
    assert [file.name for file in parts(tmp_path / "data")] == ["data.rank0"]


# ---- the real ones ---------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("fails", [False, True])
def test_a_real_lightning(fails: bool, tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning.pytorch")

    class Net(lightning.LightningModule):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.first, self.act = nn.Linear(8, 16), nn.ReLU()
            self.second, self.out = nn.Linear(16, 16), nn.Linear(16, 4)
            self.fired = torch.zeros(16, dtype=torch.bool)
            with torch.no_grad():
                self.first.bias[3] = -99.0
                self.second.bias[[1, 5]] = -99.0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            hidden = torch.relu(self.second(self.act(self.first(x))))
            self.fired |= (hidden.detach() > 0).any(0) & self.training
            return self.out(hidden)

        def training_step(self, batch: list[torch.Tensor], index: int) -> torch.Tensor:
            if fails and index == 10:
                raise ArithmeticError
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def validation_step(self, batch: list[torch.Tensor], index: int) -> None:
            self(batch[0])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.01)

    def train(*callbacks: Any) -> Any:
        torch.manual_seed(0)
        data = torch.utils.data.TensorDataset(torch.randn(256, 8), torch.randint(0, 4, (256,)))
        batches, network = torch.utils.data.DataLoader(data, batch_size=16), Net()
        quiet = dict.fromkeys(("logger", "enable_progress_bar", "enable_model_summary"), False)
        options = {"max_epochs": 2, "accelerator": "cpu", "default_root_dir": tmp_path, **quiet}
        with pytest.raises(ArithmeticError) if fails else nullcontext():
            lightning.Trainer(callbacks=list(callbacks), **options).fit(network, batches, batches)
        return network

    callback = lightning_callback(tmp_path / "data")
    network = train(callback)
    assert all(map(torch.equal, network.parameters(), train().parameters()))
    (run,) = read(tmp_path / "data")
    assert [layer.histories["train"].total.samples for layer in run.layers.values()] == 2 * [160 if fails else 512]
    assert [verdict.of(DEAD).tolist() for verdict in callback.health.report().layers] == [
        [3],
        torch.nonzero(~network.fired).flatten().tolist(),
    ]
    assert torch._C._len_torch_function_stack() == 0


@pytest.mark.filterwarnings("ignore")
def test_a_real_trainer_of_hugging_face(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    sizes = {"hidden_size": 16, "ffn_dim": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "word_embed_proj_dim": 16}

    def train(*callbacks: Any) -> list[torch.Tensor]:
        torch.manual_seed(0)
        network = transformers.OPTForCausalLM(transformers.OPTConfig(vocab_size=50, max_position_embeddings=16, **sizes))
        with torch.no_grad():
            network.model.decoder.layers[0].fc1.bias[[2, 7]] = -99.0
        data = [{"input_ids": tokens, "labels": tokens} for tokens in torch.randint(2, 50, (64, 12))]
        options = {"num_train_epochs": 2, "gradient_accumulation_steps": 2, "report_to": [], "use_cpu": True}
        arguments = transformers.TrainingArguments(str(tmp_path), save_strategy="no", disable_tqdm=True, **options)
        transformers.Trainer(network, arguments, train_dataset=data, callbacks=list(callbacks)).train()
        return list(network.parameters())

    callback = hugging_face_callback(tmp_path / "data")
    assert all(map(torch.equal, train(callback), train()))
    (run,) = read(tmp_path / "data")
    totals = [layer.histories["train"].total for layer in run.layers.values()]
    assert [(total.samples, total.steps) for total in totals] == 2 * [(64 * 12 * 2, (0, 7))]
    assert [verdict.of(DEAD).tolist() for verdict in callback.health.report().layers] == [[2, 7], []]
