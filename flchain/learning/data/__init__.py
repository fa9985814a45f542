"""Real data that installs offline, and ways to split it among agents."""

from flchain.learning.data.dataset import Dataset
from flchain.learning.data.digits import load_digits
from flchain.learning.data.mnist import load_mnist
from flchain.learning.data.partition import partition_dirichlet, partition_iid

__all__ = ["Dataset", "load_digits", "load_mnist", "partition_dirichlet", "partition_iid"]
