"""One answer to the question which device computes."""
import pytest
import torch

from utils.common.devices import choose_device
from utils.common.errors import InputError


def test_auto_and_cpu_name_a_device_of_this_machine():
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type in ("cpu", "cuda", "mps")


@pytest.mark.parametrize("name", ["tpu", "cuda0", ""])
def test_an_unknown_device_is_refused(name):
    with pytest.raises(InputError, match="unknown device"):
        choose_device(name)


def test_a_missing_device_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match="--device cpu"):
        choose_device("cuda:1")
