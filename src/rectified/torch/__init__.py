"""Which units of a PyTorch network can still learn, seen while it runs.

>>> import torch
>>> import rectified.torch
>>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU())
>>> with rectified.torch.watch(model) as health:
...     _ = model(torch.ones(2, 4))
>>> list(health.layers)
['1']
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rectified.torch.callbacks import hugging_face_callback as hugging_face_callback
    from rectified.torch.callbacks import lightning_callback as lightning_callback
    from rectified.torch.watching import Health as Health
    from rectified.torch.watching import watch as watch

_PLACES = {
    "watch": "watching",
    "Health": "watching",
    "lightning_callback": "callbacks",
    "hugging_face_callback": "callbacks",
}


def __getattr__(name: str) -> Any:
    if name in _PLACES:  # loads PyTorch only when it is used: a script that runs may want to prepare for it
        return getattr(import_module(f"rectified.torch.{_PLACES[name]}"), name)
    raise AttributeError(f"module 'rectified.torch' has no attribute {name!r}")
