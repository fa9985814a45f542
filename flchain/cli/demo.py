"""`flchain demo` and `flchain simulate`: a whole federation on one machine."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flchain.cli.failures import Terminated
from flchain.cli.files import verify_writable
from flchain.cli.numbers import (
    AGENTS,
    ALPHA,
    ATTACKERS,
    EPSILON,
    GROUPS,
    NOISE,
    ROUNDS,
    SEED,
    VALIDATORS,
)
from flchain.cli.options import read_settings, with_settings
from flchain.cli.runs import (
    RECORD,
    Run,
    create_run,
    discard_run,
    load_run,
    save_record,
    write_json,
)
from flchain.config import Settings
from flchain.protocol.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

    from flchain.cli.plans import Plan

_STRATEGIES = (
    "fedavg",
    "fedavgm",
    "fedprox",
    "scaffold",
    "fednova",
    "fedadam",
    "fedyogi",
    "fedadagrad",
    "mimelite",
    "worker-momentum",
)
_METHODS = (
    "participation",
    "cosine",
    "leave-one-out",
    "shapley",
    "probe-accuracy",
    "mutual-information",
)
_MECHANISMS = ("gaussian", "laplace", "skellam")
_DATASETS = ("mnist", "digits")


def federation_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what federation to run."""
    for option in (
        click.option(
            "--agents", type=AGENTS, default=10, show_default=True, help="Participants with data."
        ),
        click.option(
            "--validators",
            type=VALIDATORS,
            default=12,
            show_default=True,
            help="Who may be drawn.",
        ),
        click.option("--rounds", type=ROUNDS, default=10, show_default=True, help="Rounds to run."),
        click.option(
            "--seed", type=SEED, default=7, show_default=True, help="Equal seeds, equal models."
        ),
        click.option("--dataset", type=click.Choice(_DATASETS), help="Default: mnist if present."),
        click.option(
            "--alpha",
            type=ALPHA,
            default=0.5,
            show_default=True,
            help="Dirichlet skew of the data.",
        ),
        click.option("--strategy", type=click.Choice(_STRATEGIES), default="fedavg"),
        click.option(
            "--mode",
            type=click.Choice(("secure", "plain")),
            help="Masked updates, or plain ones. Default: secure in a demo, plain in a simulation.",
        ),
        click.option(
            "--groups",
            type=GROUPS,
            default=1,
            show_default=True,
            help="Masked sums of a round; --aggregator then works on their means.",
        ),
        click.option(
            "--compression",
            default="none",
            show_default=True,
            metavar="NAME",
            help="Smaller updates, such as powersgd/zlib.",
        ),
        click.option(
            "--privacy", type=click.Choice(_MECHANISMS), help="Noise on every agent's update."
        ),
        click.option(
            "--noise-multiplier", type=NOISE, help="Noise over the clip; default: 1 with noise."
        ),
        click.option(
            "--epsilon", type=EPSILON, help="Privacy budget, 0 for none; default: what it costs."
        ),
        click.option("--summary", type=click.Path(path_type=Path), help="JSON file to write too."),
    ):
        command = option(command)
    return command


@click.command()
@federation_options
@click.option("--processes", is_flag=True, help="Each role in a process of its own.")
@click.option("--memory", is_flag=True, help="A ledger in memory instead of Anvil.")
@click.option("--kill", type=ATTACKERS, default=0, help="Agents to kill in the middle of the run.")
@with_settings("devnet", "mnist")
def demo(settings: Settings, *, processes: bool, memory: bool, **options: Any) -> None:
    """Run a whole federation on real data and show what it did.

    Over Anvil and a store on disk, both in a fresh folder under the data folder, where `flchain
    verify`, `ledger`, `model` and `console` find them afterwards.
    """
    run_demo(
        settings,
        "demo",
        ledger="memory" if memory else None,
        is_multiprocess=processes,
        **options,
    )


@click.command()
@federation_options
@click.option("--aggregator", default="weighted-mean", show_default=True, help="A robust rule.")
@click.option("--byzantine", type=ATTACKERS, help="Bad updates to withstand; default: attackers.")
@click.option("--attack", default="", metavar="NAME", help="What the attackers do.")
@click.option("--attackers", type=ATTACKERS, default=0, help="How many of the agents attack.")
@click.option(
    "--contribution",
    type=click.Choice(_METHODS),
    default=_METHODS[0],
    show_default=True,
    help="What rewards, and an aggregator scores/..., go by.",
)
@click.option("--task", metavar="MODULE:OBJECT", help="Your own model and data, in Python.")
@click.option(
    "--batched", "is_batched", is_flag=True, help="Train all agents at once; small dense models."
)
@click.option("--ray", "is_ray", is_flag=True, help="Train the agents on Ray's processors.")
@with_settings("mnist")
def simulate(settings: Settings, **options: Any) -> None:
    """Run a whole federation in memory, chain and store included.

    With --attack some agents are malicious; --aggregator names the rule that is to withstand
    them, such as median, or nnm/trimmed-mean. With --ray the agents train in other processes, or
    on the cluster that RAY_ADDRESS names.
    """
    run_demo(settings, "simulate", ledger="memory", is_multiprocess=False, **options)


def run_demo(
    settings: Settings,
    command: str,
    *,
    ledger: str | None,
    is_multiprocess: bool,
    summary: Path | None,
    is_ray: bool = False,
    **options: Any,
) -> None:
    """Choose, run and show a federation; write its summary."""
    # A second of imports that no other command needs.
    from rich.console import Console  # noqa: PLC0415

    from flchain.cli.plans import Choice, build_plan, choose  # noqa: PLC0415
    from flchain.cli.tables import print_summary  # noqa: PLC0415
    from flchain.learning.budgets import explain_budget  # noqa: PLC0415

    if summary is not None:
        verify_writable(summary)
    console = Console()
    choice = Choice(ledger=ledger, is_multiprocess=is_multiprocess, **options)
    outline, missing = choose(choice, settings, command)
    if missing:
        click.echo(f"note: {'; '.join(missing)}")
    plan = build_plan(outline, settings, is_batched=choice.is_batched)
    if outline.noise.is_wanted:
        click.echo(f"note: {explain_budget(plan.scenario.policy)}")
    run = create_run(settings.data_dir, time.strftime("%Y%m%d-%H%M%S", time.gmtime()))
    try:
        with _place(plan, is_ray=is_ray) as placed:
            document = _play(placed, run, console)
    except (KeyboardInterrupt, Terminated):
        _say_what_is_left(settings, run)
        raise
    finally:
        discard_run(run)
    write_json(run.summary, document)
    if summary is not None:
        write_json(summary, document)
    print_summary(console, document, _list_hints(settings, run))


@contextmanager
def _place(plan: "Plan", *, is_ray: bool) -> Iterator["Plan"]:
    """Yield the plan with the processes in which agents train. Raises ConfigError."""
    if not is_ray:
        yield plan
        return
    from flchain.cli.ray_pool import open_ray  # noqa: PLC0415 - seconds, and optional

    if plan.scenario.is_batched:
        raise ConfigError("agents are trained together or on Ray: leave out --batched or --ray")
    with open_ray() as pool:
        yield replace(plan, scenario=replace(plan.scenario, pool=pool))


def _play(plan: "Plan", run: Run, console: "Console") -> dict[str, Any]:
    """Run a plan at its venue; the run's record is written as soon as there is a task."""
    from flchain.cli.apart import RoundsApart  # noqa: PLC0415
    from flchain.cli.federation import Progress, found, play, run_here  # noqa: PLC0415
    from flchain.cli.screen import Screen  # noqa: PLC0415
    from flchain.cli.venues import build_record, open_venue  # noqa: PLC0415

    outline = plan.outline
    with Screen(console, outline.rounds) as screen:
        progress = Progress(screen)
        with open_venue(plan, run, progress) as venue:
            task_id = found(plan, venue, progress)
            save_record(run, build_record(plan, venue, task_id))
            is_apart = outline.is_multiprocess
            run_rounds = RoundsApart(run, venue.rpc_url) if is_apart else run_here
            return play(plan, venue, task_id, progress, run_rounds)


def _say_what_is_left(settings: Settings, run: Run) -> None:
    """Say where an interrupted run can be looked at."""
    if (run.folder / RECORD).is_file():
        hints = _list_hints(settings, run)
        click.echo("\n".join(["what was done so far is saved:", *hints[1:]]))


def _list_hints(settings: Settings, run: Run) -> list[str]:
    """Return where the results are and the commands that look further into them."""
    where = "" if settings == read_settings({}) else f" --data-dir {settings.data_dir}"
    hints = [f"summary in {run.summary}"]
    if load_run(run.folder).is_resumable:
        hints += [
            f"flchain verify --all{where}",
            f"flchain ledger rounds{where}",
            f"flchain model get --out model.safetensors{where}",
            f"flchain console{where}",
        ]
    return hints
