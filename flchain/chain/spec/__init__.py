"""The executable specification: the protocol's rules as small pure functions.

Read `state` first, then the modules in the order of a task's life:

    signatures   deadlines, nonces and EIP-712 signatures of signed twins
    token        the stake and reward token (ERC-20 with EIP-2612)
    agents       registration, stake, unbonding, bonds and slashing
    keys         VRF keys: registration, rotation, recovery by a guardian
    task_rules   what a task's parameters must satisfy
    draw_keys    what a task's validators need to be drawn
    tasks        tasks, enrolment, endorsement, dismissal
    rounds       the clock, OPEN, SUBMIT and ATTEST
    seeds        the randomness of draws
    committees   the list of seats and who sits
    draws        SEAT
    proposals    PROPOSE
    votes        VOTE and what a set of votes decides
    settlement   the end of a vote and of a round
    models       model versions
    rewards      budgets, claims and sweeps
    transition   `process`: one call, dispatched by its type

`process_` functions take (state, env, call), change the state and return the events. All
checks of a call come before its first change, in the order in which the contracts make
them: a call that raises leaves the state untouched, and raises what the contracts raise.
Within a module: types, constants, accessors, predicates, checks (`verify_`), mutators.
"""
