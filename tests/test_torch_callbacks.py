"""The callbacks for trainers, with stand-ins that call them as the trainers do."""

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from rectified.health.store import read  # noqa: E402
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
