"""Accuracy of model versions on test rows: for the reader alone, no role sees it."""

from flchain.learning.data import Dataset
from flchain.learning.evaluation import Evaluation
from flchain.learning.export import get_model_arrays
from flchain.learning.personalisation import evaluate_shared
from flchain.learning.training import Trainer
from flchain.protocol.types import Version
from flchain.roles.archive import Archive
from flchain.roles.assembly import fetch_state
from flchain.roles.history import TaskPast
from flchain.roles.terms import Terms
from flchain.storage.base import ContentStore


class Scoreboard:
    """Evaluates each version once."""

    def __init__(self, store: ContentStore, terms: Terms, test: Dataset, trainer: Trainer) -> None:
        """Evaluate versions that are in `store` on `test`."""
        self._archive = Archive(store)
        self._terms = terms
        self._test = test
        self._trainer = trainer
        self.scores: dict[Version, Evaluation] = {}

    def evaluate(self, past: TaskPast) -> list[Version]:
        """Evaluate versions that are new; return them."""
        new = sorted(set(past.versions) - set(self.scores))
        for version in new:
            state = fetch_state(self._archive, past.versions[version].state_digest, self._terms)
            arrays = get_model_arrays(state, self._terms.policy)
            self.scores[version] = evaluate_shared(
                self._trainer, arrays, self._test, self._terms.policy, version
            )
        return new
