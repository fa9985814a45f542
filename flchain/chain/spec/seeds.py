"""Seeds from a chain of VRF outputs: what `ChainSeeds` does.

A beacon, the leader of the draw before, proves an output over the last seed and the hash of the
block behind the proposal's. It can withhold the output, not choose it.
"""

from eth_utils.crypto import keccak

from flchain.chain.spec.state import Config, Env, State, get_book
from flchain.crypto.vrf_hints import hash_key, verify_hinted
from flchain.protocol.calls import RevealSeed, StartSeed
from flchain.protocol.digests import encode_abi
from flchain.protocol.events import Event, SeedFixed
from flchain.protocol.records import Draw, DrawKey
from flchain.protocol.reverts import NoBlockHash, NotYourTurn, SeedIsFixed, UnknownBeacon
from flchain.protocol.sortition import draw_message
from flchain.protocol.types import ZERO_DIGEST, Digest, TaskId

BEACON_ROLE = 2
BEACONS = 3
CHAIN_LABEL = "flchain.seed.v1.chain"
START_LABEL = "flchain.seed.v1.start"


def name_draw(config: Config, task_id: TaskId, draw: Draw) -> Digest:
    """Return the digest that names one draw of one deployment on one chain."""
    types = ("uint256", "address", "uint64", "uint32", "uint8")
    manager = config.addresses.round_manager
    values = (config.chain_id, manager, task_id, draw.round, draw.attempt)
    return Digest(keccak(encode_abi(types, values)))


def get_seed(state: State, task_id: TaskId, draw: Draw) -> Digest:
    """Return the seed of a draw; zero while it is not known."""
    return state.seeds.get(name_draw(state.config, task_id, draw), ZERO_DIGEST)


def get_last_seed(state: State, task_id: TaskId) -> Digest:
    """Return the newest seed of a task; zero before the first."""
    return state.last_seeds.get(task_id, ZERO_DIGEST)


def verify_unseeded(state: State, task_id: TaskId) -> Draw:
    """Return the newest draw. Raises SeedIsFixed unless it waits for a seed."""
    draw = get_book(state, task_id).draw
    seed = get_seed(state, task_id, draw)
    if draw.proposed_at == 0 or seed != ZERO_DIGEST:
        raise SeedIsFixed(seed)
    return draw


def get_pinned_hash(env: Env, draw: Draw) -> Digest:
    """Return the hash of the draw's pinned block, or raise NoBlockHash."""
    found = env.get_block_hash(draw.pinned_block)
    if found == ZERO_DIGEST:
        raise NoBlockHash(draw.pinned_block)
    return found


def compute_beacon_message(
    config: Config, task_id: TaskId, draw: Draw, last_seed: Digest, block_hash: Digest
) -> Digest:
    """Return what a beacon proves: no field of it is its choice."""
    mixed = keccak(encode_abi(("bytes32", "bytes32"), (last_seed, block_hash)))
    return draw_message(
        config.chain_id,
        config.addresses.round_manager,
        task_id,
        draw.round,
        role=BEACON_ROLE,
        attempt=draw.attempt,
        seed=Digest(mixed),
    )


def get_beacon_message(state: State, env: Env, task_id: TaskId) -> Digest:
    """Return what the beacon of the newest draw proves. Raises NoBlockHash."""
    draw = get_book(state, task_id).draw
    last, block_hash = get_last_seed(state, task_id), get_pinned_hash(env, draw)
    return compute_beacon_message(state.config, task_id, draw, last, block_hash)


def fix_seed(state: State, task_id: TaskId, draw: Draw, rank: int, seed: bytes) -> list[Event]:
    """Record a seed."""
    fixed = Digest(seed)
    state.seeds[name_draw(state.config, task_id, draw)] = fixed
    state.last_seeds[task_id] = fixed
    return [SeedFixed(task_id, draw.round, draw.attempt, rank, fixed)]


def process_start_seed(state: State, env: Env, call: StartSeed) -> list[Event]:
    """Fix the seed of a draw that has no beacon, from a block's hash."""
    draw = verify_unseeded(state, call.task_id)
    if draw.beacons:
        raise UnknownBeacon(0)
    values = (
        START_LABEL,
        name_draw(state.config, call.task_id, draw),
        get_last_seed(state, call.task_id),
        get_pinned_hash(env, draw),
    )
    seed = keccak(encode_abi(("string", "bytes32", "bytes32", "bytes32"), values))
    return fix_seed(state, call.task_id, draw, 0, seed)


def process_reveal_seed(state: State, env: Env, call: RevealSeed) -> list[Event]:
    """Fix a seed from a beacon's output; anybody may send it, in its rank's window.

    The key must have been in force when the proposal was recorded: nobody may take another one
    once the hash that it is to prove is known.
    """
    draw = verify_unseeded(state, call.task_id)
    book = get_book(state, call.task_id)
    window = book.task.seat_window
    opens = draw.proposed_at + call.rank * window
    if call.rank >= BEACONS or not opens <= env.time < opens + window:
        raise NotYourTurn(call.rank)
    place = draw.beacons >> 8 * call.rank & 0xFF
    known = book.draw_keys.get(place - 1, DrawKey())
    is_key = any(known.key_hash) and hash_key(call.key)[:20] == known.key_hash
    is_in_force = known.active_from * state.config.epoch_length <= draw.proposed_at
    if place == 0 or not is_key or not is_in_force:
        raise UnknownBeacon(call.rank)
    message = get_beacon_message(state, env, call.task_id)
    output = verify_hinted(call.key, message, call.proof)
    name = name_draw(state.config, call.task_id, draw)
    seed = keccak(encode_abi(("string", "bytes32", "bytes32"), (CHAIN_LABEL, name, output)))
    return fix_seed(state, call.task_id, draw, call.rank, seed)
