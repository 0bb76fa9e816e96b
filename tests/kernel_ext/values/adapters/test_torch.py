"""What a description shows of a tensor."""

import pytest

from inkernel.kernel_ext.values.describe import brief


def test_a_tensor_shows_shape_dtype_and_device() -> None:
    torch = pytest.importorskip("torch")
    assert brief(torch.zeros(2, 3)).startswith("torch Tensor 2 × 3 torch.float32 on cpu: 0.0, 0.0")
