"""The shipped architectures as torch modules. Importing this module imports torch.

Names and shapes of the parameters are those of `flchain.protocol.policy.ARCHITECTURES`.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional


class MnistCnn(nn.Module):
    """Two 3x3 convolutions with pooling and two dense layers; 105,866 parameters."""

    def __init__(self) -> None:
        """Build with torch's own initial values; version 0 replaces them."""
        super().__init__()
        self.conv1 = nn.Conv2d(1, 16, 3, padding=1)
        self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * 7 * 7, 64)
        self.fc2 = nn.Linear(64, 10)
        # On a CPU, pooling is several times faster with the channels innermost.
        for layer in (self.conv1, self.conv2):
            layer.weight.data = layer.weight.to(memory_format=torch.channels_last)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (n, 1, 28, 28) to scores (n, 10)."""
        # Pooling first gives the same maxima and leaves a quarter of the work to ReLU.
        hidden = functional.relu(functional.max_pool2d(self.conv1(images), 2))
        hidden = functional.relu(functional.max_pool2d(self.conv2(hidden), 2))
        scores: Tensor = self.fc2(functional.relu(self.fc1(hidden.flatten(1))))
        return scores


class DigitsMlp(nn.Module):
    """One hidden layer over 8x8 digits; 2,410 parameters."""

    def __init__(self) -> None:
        """Build with torch's own initial values; version 0 replaces them."""
        super().__init__()
        self.fc1 = nn.Linear(64, 32)
        self.fc2 = nn.Linear(32, 10)

    def forward(self, rows: Tensor) -> Tensor:
        """Map rows (n, 64) to scores (n, 10)."""
        scores: Tensor = self.fc2(functional.relu(self.fc1(rows.flatten(1))))
        return scores


MODELS: dict[str, Callable[[], nn.Module]] = {
    "cnn-mnist-v1": MnistCnn,
    "mlp-digits-v1": DigitsMlp,
}
