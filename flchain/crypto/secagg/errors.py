"""What can be wrong with secure aggregation, one class for each remedy.

EncodingError
├── MalformedMessage      bytes that no honest sender makes
├── ForeignRound          bytes of another round
└── ForeignSender         bytes of another sender
ProofError
├── UnprovenKeys          keys whose holder does not know their secrets
├── KeyReused             a public key that was used before, or twice
├── BadShare              a share that cannot be read or is not its dealer's
├── WrongRelease          a release of other shares than the survivor set asks for
├── DoubleRelease         one holder, two releases, or both shares of one owner
├── TooFewShares          fewer than t valid shares of a secret that is needed
├── TooFewSurvivors       a set in which somebody has fewer than t neighbours left
└── WeightSumMismatch     the weights do not add up to what was committed to
ConfigError
├── NoParameters          no graph and threshold keep the promised bounds
└── CapacityExceeded      a sum could overflow 32 bits
"""

from flchain.protocol.errors import ConfigError, EncodingError, ProofError


class MalformedMessage(EncodingError):
    """The bytes are no message of this kind."""


class ForeignRound(EncodingError):
    """The bytes belong to another round."""


class ForeignSender(EncodingError):
    """The bytes belong to another sender."""


class UnprovenKeys(ProofError):
    """The keys come without a proof, for this round and agent, that their secrets are known."""


class KeyReused(ProofError):
    """A public key was used before, or stands twice in this round."""


class BadShare(ProofError):
    """A share cannot be decrypted, or is not the value its dealer committed to."""


class WrongRelease(ProofError):
    """A release has other shares than the survivor set asks its holder for."""


class DoubleRelease(ProofError):
    """A holder released twice, or both shares of one owner."""


class TooFewShares(ProofError):
    """A secret that is needed has fewer valid shares than the threshold."""


class TooFewSurvivors(ProofError):
    """A release for this survivor set would reveal something, or unmask nothing."""


class WeightSumMismatch(ProofError):
    """The summed weight and blinding do not open the product of the commitments."""


class NoParameters(ConfigError):
    """No graph and threshold keep the promised bounds."""


class CapacityExceeded(ConfigError):
    """A sum of the largest vectors allowed would overflow 32 bits."""
