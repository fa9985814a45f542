import numpy as np
import pytest

from flchain.learning.data import (
    Dataset,
    load_digits,
    load_mnist,
    partition_dirichlet,
    partition_iid,
)
from flchain.protocol.errors import ConfigError

IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def generator(seed=0):
    return np.random.default_rng(seed)


def write_idx(path, values):
    header = bytes([0, 0, 8, values.ndim])
    shape = b"".join(length.to_bytes(4, "big") for length in values.shape)
    path.write_bytes(header + shape + values.tobytes())


@pytest.fixture
def folder(tmp_path):
    images = np.arange(5 * 28 * 28, dtype=np.uint8).reshape(5, 28, 28)
    write_idx(tmp_path / IMAGES, images)
    write_idx(tmp_path / LABELS, np.array([3, 1, 4, 1, 5], np.uint8))
    return tmp_path


def test_mnist__rows_of_the_files__are_scaled_and_labelled(folder):
    data = load_mnist(folder, "train", 1, 4)
    assert data.inputs.shape == (3, 1, 28, 28)
    assert data.inputs.dtype == np.float32
    assert data.labels.tolist() == [1, 4, 1]
    assert data.inputs[0, 0, 0, 0] == np.float32(784 % 256 / 255)
    assert data.inputs.max() == 1


def test_mnist__missing_files__say_how_to_get_them(tmp_path):
    with pytest.raises(ConfigError, match=r"`npm ci`.*`make demo`") as caught:
        load_mnist(tmp_path, "test")
    assert "t10k-images-idx3-ubyte" in str(caught.value)


def test_mnist__unknown_part__is_refused(folder):
    with pytest.raises(ConfigError, match="train and test"):
        load_mnist(folder, "validation")


@pytest.mark.parametrize(
    "content",
    [b"", b"\x1f\x8b\x08\x08", b"\0\0\x0d\x03" + bytes(12), b"\0\0\x08\0", b"<html></html>"],
)
def test_mnist__no_idx_file__is_refused(folder, content):
    (folder / IMAGES).write_bytes(content)
    with pytest.raises(ConfigError, match="not an IDX file"):
        load_mnist(folder, "train")


@pytest.mark.parametrize("end", [7, 15, 16, 3000])
def test_mnist__file_cut_short__is_refused(folder, end):
    content = (folder / IMAGES).read_bytes()
    (folder / IMAGES).write_bytes(content[:end])
    with pytest.raises(ConfigError, match=r"cut short|not an IDX"):
        load_mnist(folder, "train")


def test_mnist__images_without_their_labels__are_refused(folder):
    write_idx(folder / LABELS, np.zeros(4, np.uint8))
    with pytest.raises(ConfigError, match="5 inputs, 4 labels"):
        load_mnist(folder, "train")


def test_digits__package_data__is_complete_and_scaled():
    data = load_digits()
    assert data.inputs.shape == (1797, 64)
    assert (data.inputs.min(), data.inputs.max()) == (0, 1)
    assert len(load_digits(10, 30)) == 20


def test_dataset__label_out_of_range__is_refused():
    with pytest.raises(ConfigError, match="not below 3"):
        Dataset("own", np.zeros((1, 2), np.float32), np.array([3]), classes=3)


def test_dataset__selected_rows__keep_their_order():
    data = Dataset("own", np.arange(4, dtype=np.float32)[:, None], np.array([0, 1, 2, 3]), 4)
    assert data.select([3, 1]).labels.tolist() == [3, 1]
    assert data.select(slice(1, 3)).inputs.ravel().tolist() == [1, 2]


@pytest.mark.parametrize("rows", [10, 11, 97])
def test_iid__any_size__covers_each_row_once_in_even_parts(rows):
    parts = partition_iid(rows, 5, generator())
    assert sorted(np.concatenate(parts).tolist()) == list(range(rows))
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("alpha", [0.01, 0.5, 100])
def test_dirichlet__any_alpha__covers_each_row_once_and_leaves_nobody_short(alpha):
    labels = np.repeat(np.arange(10), 50)
    parts = partition_dirichlet(labels, 8, alpha, generator(), min_size=20)
    assert sorted(np.concatenate(parts).tolist()) == list(range(500))
    assert min(len(part) for part in parts) >= 20


def test_dirichlet__small_alpha__makes_parts_less_alike():
    labels = np.repeat(np.arange(10), 200)

    def largest_share(alpha):
        parts = partition_dirichlet(labels, 5, alpha, generator(), min_size=1)
        return np.mean(
            [np.bincount(labels[part], minlength=10).max() / len(part) for part in parts]
        )

    assert largest_share(0.1) > 2 * largest_share(100)


def test_dirichlet__same_seed__gives_the_same_parts():
    labels = np.repeat(np.arange(10), 30)
    first, second, other = (
        [part.tolist() for part in partition_dirichlet(labels, 3, 0.5, generator(seed))]
        for seed in (1, 1, 2)
    )
    assert first == second != other


def test_partition__too_few_rows__is_a_config_error():
    with pytest.raises(ConfigError, match="do not suffice for 3 agents"):
        partition_dirichlet(np.zeros(29, np.int64), 3, 0.5, generator(), min_size=10)
    with pytest.raises(ConfigError, match="do not suffice for 0 agents"):
        partition_iid(5, 0, generator())
    with pytest.raises(ConfigError, match="must be positive"):
        partition_dirichlet(np.zeros(30, np.int64), 3, 0.0, generator())
