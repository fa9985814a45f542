"""Layers of the architectures that flchain ships.

Another name may stand in a policy together with its own layers; these names stand for
exactly these layers.
"""

from flchain.protocol.policy.records import Layer

ARCHITECTURES: dict[str, tuple[Layer, ...]] = {
    "cnn-mnist-v1": (
        Layer("conv1.weight", (16, 1, 3, 3)),
        Layer("conv1.bias", (16,)),
        Layer("conv2.weight", (32, 16, 3, 3)),
        Layer("conv2.bias", (32,)),
        Layer("fc1.weight", (64, 1568)),
        Layer("fc1.bias", (64,)),
        Layer("fc2.weight", (10, 64)),
        Layer("fc2.bias", (10,)),
    ),
    "mlp-digits-v1": (
        Layer("fc1.weight", (32, 64)),
        Layer("fc1.bias", (32,)),
        Layer("fc2.weight", (10, 32)),
        Layer("fc2.bias", (10,)),
    ),
    "softmax-digits-v1": (
        Layer("fc1.weight", (10, 64)),
        Layer("fc1.bias", (10,)),
    ),
}
