"""Agents that a demo kills in the middle of a round, to show that it goes on without them."""

from collections.abc import Sequence
from dataclasses import dataclass

from flchain.cli.summary import Outline
from flchain.protocol.types import Phase
from flchain.roles.agent import Agent
from flchain.roles.daemon import Role
from flchain.roles.observation import Observation
from flchain.roles.simulation import Federation


@dataclass
class Mortal:
    """A role that does nothing once it is dead."""

    role: Agent
    is_dead: bool = False

    def tick(self, seen: Observation) -> bool:
        """Do what is due, while alive."""
        return not self.is_dead and self.role.tick(seen)


@dataclass
class Victims:
    """Every role of a federation, of which some can be killed, once."""

    roles: Sequence[Role]
    mortal: Sequence[Mortal]

    @property
    def are_dead(self) -> bool:
        """Whether it has happened; true from the start if nobody is to be killed."""
        return all(each.is_dead for each in self.mortal)

    @are_dead.setter
    def are_dead(self, value: bool) -> None:
        for each in self.mortal:
            each.is_dead = value


def build_victims(federation: Federation, killed: int) -> Victims:
    """Return the roles; the last agents are those who can be killed."""
    doomed = federation.agents[len(federation.agents) - killed :]
    mortal = [Mortal(agent) for agent in doomed]
    others = [role for role in federation.roles if role not in doomed]
    return Victims([*mortal, *others], mortal)


def is_killing_time(seen: Observation, outline: Outline) -> bool:
    """Return whether the middle round has come to SUBMIT: shares are dealt, no vector is sent."""
    middle = outline.rounds // 2 + 1
    return bool(outline.killed) and seen.round.round >= middle and seen.phase is Phase.SUBMIT
