"""The orchestrator: opens rounds, proposes results, settles. Trusted for speed only."""

from dataclasses import dataclass

from flchain.roles.observation import Observation
from flchain.roles.upkeep import Upkeep


@dataclass
class Orchestrator:
    """A member without patience: it does at once what anybody may do later."""

    upkeep: Upkeep

    def tick(self, seen: Observation) -> bool:
        """Do what is due; return whether something was done."""
        return self.upkeep.tick(seen)
