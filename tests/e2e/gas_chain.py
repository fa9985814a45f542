"""A chain on which gas is measured: the same accounts, times and digests in every run."""

from dataclasses import dataclass, field

from eth_utils.crypto import keccak

from flchain.chain.deployment import RpcDeployer, deploy_suite
from flchain.chain.devnet import DevnetConfig, start_devnet
from flchain.chain.ethereum import EthereumLedger
from flchain.crypto.signing import LocalSigner
from flchain.protocol.eip712 import TOKEN_NAME, Domain, compute_signing_digest
from flchain.protocol.params import DAY, ETHER, MINUTE, NetworkParams
from flchain.protocol.records import Task
from flchain.protocol.types import Bps, Digest, Mode, Seconds, TaskId, Timestamp, Wei

START = 2_000_000_000
EPOCH = Seconds(1_000)
WINDOW = Seconds(20 * MINUTE)
NETWORK = NetworkParams(
    epoch_length=EPOCH,
    unbonding_period=Seconds(7 * DAY),
    agent_stake=Wei(100 * ETHER),
    validator_stake=Wei(200 * ETHER),
    proposer_stake=Wei(300 * ETHER),
)
RESERVE = Wei(10 * ETHER)
BOND = Wei(5 * ETHER)
PURSE = Wei(1_000 * ETHER)
FOR_EVER = Timestamp(2**40 - 1)
CLAIM_WINDOW = Seconds(DAY)


def hash_text(text):
    return Digest(keccak(text=text))


def make_signer(name):
    return LocalSigner(keccak(text=f"gas {name}"))


@dataclass
class GasChain:
    """A deployment, and the gas of the calls that were sent under a label.

    Of several calls under one label the dearest counts. Every block is one second after the one
    before; calls are mined one by one.
    """

    devnet: object
    ledger: EthereumLedger
    sponsor: LocalSigner
    gas: dict = field(default_factory=dict)

    def send(self, call, signer, label=None):
        receipt = self.ledger.send(call, signer)
        if label is not None:
            self.gas[label] = max(self.gas.get(label, 0), receipt.gas_used)
        return receipt

    def enrich(self, *signers):
        for signer in signers:
            self.devnet.control.set_balance(signer.address, Wei(1_000 * ETHER))

    def wait(self, seconds):
        time = self.ledger.get_head().timestamp + seconds
        self.devnet.rpc.call("evm_setNextBlockTimestamp", time)
        self.devnet.rpc.call("evm_mine")

    def wait_epochs(self, count):
        """Go to the start of a later epoch, so that every run enrols at the same place in one."""
        now = self.ledger.get_head().timestamp
        self.wait((now // EPOCH + count) * EPOCH - now)

    def sign(self, signer, struct_hash, contract=None):
        where = contract or self.ledger.addresses.round_manager
        name = TOKEN_NAME if where == self.ledger.addresses.token else "flchain"
        domain = Domain(self.ledger.chain_id, where, name)
        return signer.sign_digest(compute_signing_digest(domain, struct_hash))


def start_gas_chain(folder):
    """Return a started devnet and a deployment on it; the caller stops the devnet."""
    devnet = start_devnet(DevnetConfig(folder=folder))
    devnet.control.set_mining(is_automatic=True)
    devnet.rpc.call("anvil_setBlockTimestampInterval", 1)
    devnet.rpc.call("evm_setNextBlockTimestamp", START)
    devnet.rpc.call("evm_mine")
    sponsor = make_signer("sponsor")
    devnet.control.set_balance(sponsor.address, Wei(10_000 * ETHER))
    book = deploy_suite(RpcDeployer(devnet.rpc, sponsor), NETWORK, sponsor.address)
    return GasChain(devnet, EthereumLedger(devnet.rpc, book), sponsor)


def build_task(orchestrator, *, agents=64, validators=3, survivors=2):
    """Return a task of the demonstration's size: short lists, long windows."""
    unused = ("forced", "join", "shares", "check", "unmask", "seat")
    return Task(
        orchestrator=orchestrator,
        round_reserve=RESERVE,
        proposal_bond=BOND,
        max_agents=agents,
        min_agents=survivors,
        min_survivors=survivors,
        min_validators=validators,
        w_max=64,
        max_attempts=3,
        propose_ranks=3,
        mode=Mode.PLAIN,
        max_share_bps=Bps(5_000),
        participation_bps=Bps(1_000),
        max_rounds=1_000,
        committee=0,
        submit_window=WINDOW,
        attest_window=WINDOW,
        propose_window=WINDOW,
        vote_window=WINDOW,
        open_delay=Seconds(1),
        claim_delay=Seconds(0),
        claim_window=CLAIM_WINDOW,
        **{f"{name}_window": Seconds(0) for name in unused},
        coordinate_bound=1_000,
        policy_digest=hash_text("policy"),
        initial_state=hash_text("initial state"),
    )


FIRST_TASK = TaskId(1)
