"""Real data that installs offline, and ways to split it among agents."""

from flchain.learning.data.cancer import load_breast_cancer, standardise
from flchain.learning.data.credit import load_credit
from flchain.learning.data.dataset import Dataset
from flchain.learning.data.digits import load_digits
from flchain.learning.data.heart import load_heart
from flchain.learning.data.mnist import load_mnist
from flchain.learning.data.partition import (
    partition_dirichlet,
    partition_iid,
    partition_quantity,
    partition_shards,
    partition_sites,
)
from flchain.learning.data.spam import load_spam
from flchain.learning.data.tables import Table, TableSchema, load_table, prepare_table

__all__ = [
    "Dataset",
    "Table",
    "TableSchema",
    "load_breast_cancer",
    "load_credit",
    "load_digits",
    "load_heart",
    "load_mnist",
    "load_spam",
    "load_table",
    "partition_dirichlet",
    "partition_iid",
    "partition_quantity",
    "partition_shards",
    "partition_sites",
    "prepare_table",
    "standardise",
]
