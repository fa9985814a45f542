"""Tables, mails and tumours, and the ways to split them."""

import numpy as np
import pytest

from flchain.learning.data import (
    load_breast_cancer,
    load_credit,
    load_heart,
    load_spam,
    partition_quantity,
    partition_shards,
    partition_sites,
    prepare_table,
    standardise,
)
from flchain.learning.data.credit import CREDIT
from flchain.learning.data.heart import HEART
from flchain.protocol.errors import ConfigError

HEADER = "id,age,sex,dataset,cp,trestbps,chol,fbs,restecg,thalch,exang,oldpeak,slope,ca,thal,num"
ROWS = (
    "1,63,Male,Cleveland,typical angina,145,233,TRUE,normal,150,FALSE,2.3,flat,0,normal,0",
    "2,67,Male,Hungary,asymptomatic,160,,FALSE,normal,108,TRUE,1.5,,,,2",
    "3,37,Female,Cleveland,non-anginal,130,250,FALSE,normal,187,FALSE,3.5,flat,0,normal,4",
)
LOANS = (
    "Status,Seniority,Home,Time,Age,Marital,Records,Job,Expenses,Income,Assets,Debt,Amount,Price",
    "good,9,rent,60,30,married,no,freelance,73,129.0,0.0,0.0,800,846",
    "bad,1,NA,36,26,single,yes,fixed,46,,0,0,310,910",
)


def write(folder, *lines):
    path = folder / "table.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def rng():
    return np.random.default_rng(3)


def test_heart__rows__have_their_hospital_and_every_degree_is_one_class(tmp_path):
    table = load_heart(write(tmp_path, HEADER, *ROWS))
    assert table.labels.tolist() == [0, 1, 1]
    parts = partition_sites(table.sites)
    assert {name: rows.tolist() for name, rows in parts.items()} == {
        "Cleveland": [0, 2],
        "Hungary": [1],
    }
    assert table.select(parts["Hungary"]).labels.tolist() == [1]


def test_prepare__numbers_and_categories__are_fitted_to_these_rows_alone(tmp_path):
    table = load_heart(write(tmp_path, HEADER, *ROWS))
    data = prepare_table(table)
    assert data.inputs.shape == (3, HEART.width)
    assert (data.classes, data.inputs.dtype) == (2, np.float32)
    assert np.allclose(data.inputs[:, :6].mean(axis=0), 0, atol=1e-6)
    ages = np.array([63, 67, 37])
    assert np.allclose(data.inputs[:, 0], (ages - ages.mean()) / ages.std(), atol=1e-6)
    # The unknown cholesterol is the median of the two known ones.
    cholesterol = np.array([233, 241.5, 250])
    expected = (cholesterol - cholesterol.mean()) / cholesterol.std()
    assert np.allclose(data.inputs[:, 2], expected, atol=1e-6)
    assert set(np.unique(data.inputs[:, 6:])) == {0, 1}
    assert data.inputs[1, 6:].sum() == 5
    alone = prepare_table(table.select(np.array([1])))
    assert alone.inputs.shape == (1, HEART.width)
    assert np.isfinite(alone.inputs).all()


def test_credit__unknown_cells__are_taken(tmp_path):
    table = load_credit(write(tmp_path, *LOANS))
    assert table.labels.tolist() == [0, 1]
    assert prepare_table(table).inputs.shape == (2, CREDIT.width)


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ((HEADER.replace(",chol", ""), *ROWS), "has no column 'chol'"),
        ((HEADER,), "has 0 rows"),
        ((HEADER, ROWS[0].replace("145", "high")), "line 2: trestbps is 'high', no number"),
        ((HEADER, ROWS[0].replace("145", "inf")), "trestbps is 'inf', no number"),
        ((HEADER, ROWS[0], ROWS[1][:-1] + "7"), "line 3: num is '7', not one of 0, 1"),
        ((HEADER, "1,63"), "num is '', not one of"),
        (("\x00",), "table"),
    ],
)
def test_table__wrong_content__is_refused_by_line_and_column(tmp_path, lines, error):
    with pytest.raises(ConfigError, match=error):
        load_heart(write(tmp_path, *lines))


def test_table__no_file__is_said(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_credit(tmp_path / "nothing.csv")


def test_spam__mails_of_all_folders__are_counts_of_words(tmp_path):
    for name in ("easy-ham-1", "easy-ham-2", "hard-ham-1", "spam-1", "spam-2"):
        (tmp_path / name).mkdir()
        for number in range(3):
            text = f"Subject: {name} {number}\n\ncaf\xe9 meeting money".encode("latin-1")
            (tmp_path / name / f"{number}.txt").write_bytes(text)
            (tmp_path / name / f"{number}.json").write_text("{}")
    data = load_spam(tmp_path, width=64, most=2)
    assert data.inputs.shape == (10, 64)
    assert data.labels.tolist() == [0] * 6 + [1] * 4
    assert np.allclose(np.linalg.norm(data.inputs, axis=1), 1, atol=1e-5)
    with pytest.raises(ConfigError, match=r"no mails in .*easy-ham-1"):
        load_spam(tmp_path / "elsewhere")


def test_breast_cancer__standardised__by_its_own_rows():
    data = load_breast_cancer(0, 100)
    assert (data.inputs.shape, data.classes) == ((100, 30), 2)
    scaled = standardise(data)
    assert np.allclose(scaled.inputs.mean(axis=0), 0, atol=1e-4)
    assert np.allclose(scaled.inputs.std(axis=0), 1, atol=1e-4)
    assert scaled.labels.tolist() == data.labels.tolist()


def check_split(parts, rows):
    assert sorted(np.concatenate(parts).tolist()) == list(range(rows))


def test_shards__two_each__give_few_classes():
    labels = np.repeat(np.arange(10), 20)
    parts = partition_shards(labels, 10, 2, rng())
    check_split(parts, 200)
    assert {len(part) for part in parts} == {20}
    assert max(len(np.unique(labels[part])) for part in parts) <= 2


@pytest.mark.parametrize("alpha", [0.1, 1.0, 1_000_000])
def test_quantity__any_alpha__splits_all_rows_with_the_least_each(alpha):
    parts = partition_quantity(503, 8, alpha, rng(), min_size=5)
    check_split(parts, 503)
    assert min(map(len, parts)) >= 5
    spread = max(map(len, parts)) - min(map(len, parts))
    assert spread < 10 if alpha > 1000 else spread > 20


def test_partitions__too_few_rows_or_no_alpha__are_refused():
    for split in (
        lambda: partition_shards(np.zeros(3, np.int64), 2, 2, rng()),
        lambda: partition_shards(np.zeros(30, np.int64), 2, 0, rng()),
        lambda: partition_quantity(10, 2, 1.0, rng()),
        lambda: partition_quantity(100, 2, 0.0, rng()),
        lambda: partition_quantity(100, 2, float("nan"), rng()),
    ):
        with pytest.raises(ConfigError):
            split()
