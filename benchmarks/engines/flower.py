"""The same job in Flower's simulation engine, one worker; runs in Flower's own environment."""

import json
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("RAY_DEDUP_LOGS", "0")
os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")
sys.path.insert(0, str(Path(__file__).parent))

import loop
import numpy as np
import torch
from flwr.client import ClientApp, NumPyClient
from flwr.common import Context, ndarrays_to_parameters
from flwr.server import ServerApp, ServerAppComponents, ServerConfig
from flwr.server.strategy import FedAvg
from flwr.simulation import run_simulation

FOLDER = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ["JOB"])
os.environ["JOB"] = str(FOLDER)
_KEPT: dict[str, object] = {}


def get_job() -> loop.Job:
    """Read the job once in each process."""
    if "job" not in _KEPT:
        torch.set_num_threads(1)
        _KEPT["job"] = loop.load_job(FOLDER)
    return _KEPT["job"]


class Client(NumPyClient):
    """One client: trains as the plain loop does."""

    def __init__(self, number: int) -> None:
        """Be client `number`."""
        self.number = number

    def fit(self, parameters: list[np.ndarray], config: dict) -> tuple:
        """Train and say how long it took."""
        job, begun = get_job(), time.perf_counter()
        module = loop.MODELS[job.settings["model"]]()
        seed = int(job.settings["seeds"][int(config["round"]) - 1][self.number])
        found = loop.train(module, parameters, job.get_rows(self.number), job.settings, seed)
        weight = job.settings["declared"][self.number]
        return found, weight, {"trained": time.perf_counter() - begun}


def build_client(context: Context) -> object:
    """Return the client of a partition."""
    return Client(int(context.node_config["partition-id"])).to_client()


def build_server(_context: Context) -> ServerAppComponents:
    """Return FedAvg over the job's clients."""
    job = get_job()
    module = loop.MODELS[job.settings["model"]]()
    state = {"begun": 0.0, "trained": 0.0, "beside": []}

    def configure(number: int) -> dict:
        state["begun"] = time.perf_counter()
        return {"round": number}

    def add_up(metrics: list) -> dict:
        state["trained"] = sum(values["trained"] for _, values in metrics)
        return {}

    def evaluate(number: int, parameters: list[np.ndarray], _config: dict) -> tuple:
        if number:
            spent = time.perf_counter() - state["begun"] - state["trained"]
            state["beside"].append(spent / job.settings["cohort"])
        accuracy = loop.evaluate(module, parameters, job)
        line = {"round": number, "accuracy": accuracy, "time": time.time()}
        if number:
            print(json.dumps(line), flush=True)
        if number == job.settings["rounds"]:
            beside = sorted(state["beside"])
            print(json.dumps({"beside": beside[len(beside) // 2]}), flush=True)
        return 0.0, {"accuracy": accuracy}

    strategy = FedAvg(
        fraction_fit=job.settings["cohort"] / job.settings["clients"],
        fraction_evaluate=0.0,
        min_fit_clients=job.settings["cohort"],
        min_available_clients=job.settings["clients"],
        initial_parameters=ndarrays_to_parameters(job.start),
        on_fit_config_fn=configure,
        fit_metrics_aggregation_fn=add_up,
        evaluate_fn=evaluate,
    )
    return ServerAppComponents(
        strategy=strategy, config=ServerConfig(num_rounds=job.settings["rounds"])
    )


def main() -> None:
    """Run the simulation."""
    run_simulation(
        server_app=ServerApp(server_fn=build_server),
        client_app=ClientApp(client_fn=build_client),
        num_supernodes=get_job().settings["clients"],
        backend_config={
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
            "init_args": {"num_cpus": 1, "log_to_driver": False, "include_dashboard": False},
        },
    )


if __name__ == "__main__":
    main()
