"""Measure lesson 09: three families of generators beside each other, and what a walk costs and gives.

``python -m measuring.measure_flow train FAMILY SEED --data FOLDER --work DIR`` trains lesson 02's GAN (``gan``), lesson
03's VAE (``vae``) or lesson 09's flow (``flow``) at the lesson's ``laptop`` settings and scores it on the way; what is
found lies in DIR, and so do the weights.
``... speed --data FOLDER --work DIR`` times a step of each family, in turn, on this machine: only on quiet cores.
``... families --work DIR`` joins both to ``flow_families.json`` and ``flow_laptop.json``.
``... calls``, ``guidance`` and ``seconds`` ask the flow of the first seed: scores against network calls
(``flow_calls.json``), against guidance (``flow_guidance.json``), and the seconds of 1,000 pictures (quiet cores;
``flow_seconds.json``). ``... ship`` ships the flow of the run in ``--run-dir`` (``flow_cifar10.json``; with
``--data standin`` the one of 64 pixels, ``flow_standin64.json``).
``... pilot --data FOLDER --work DIR`` trains variants of the flow's network, ten minutes of one core each (as many
steps as each one's measured speed allows), and writes their scores to ``flow_pilot.json``. Finished variants are kept
in DIR, a cut one goes on.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from course_utils import results, runtime
from course_utils.datasets.images import ImageSet, load_images
from course_utils.evaluation.class_scores import ClassReference, fitting_n
from course_utils.evaluation.metrics import RealReference, copied, extract_features
from course_utils.models import dcgan, flow, shipped, vae
from course_utils.models.features import load_feature_network
from course_utils.training.checkpoints import newest_generation
from course_utils.training.recipes.dcgan import train_dcgan
from course_utils.training.recipes.flow import train_flow
from course_utils.training.recipes.vae import train_vae
from course_utils.training.run import TrainingRun
from course_utils.training.settings import SETTINGS
from measuring.measure_dcgan import fixed_sampler
from measuring.measure_vae import sampler as vae_sampler
from measuring.speeds import in_turns
from measuring.whole_runs import whole
from measuring.with_intervals import by_class, numbers, over_seeds, share

N = 1_000
DRAWS = 5
ON_THE_WAY = 2
"""Draws of a score before the end."""
ONE_NETWORK = 3
"""Draws of a score where one network is asked in many ways."""
SEEDS = (0, 1, 2)
FAMILIES = {"gan": "dcgan", "vae": "vae", "flow": "flow"}
"""Family -> the name of its settings."""
SHARES = (1 / 8, 1 / 4, 1 / 2, 3 / 4, 1)
"""Of a run's steps, after which it is scored."""
CALLS = 16
"""Steps of Euler's method with which the flow is scored."""
NAMES = ("FD", "KD", "precision", "recall")
CALL_COUNTS = {"euler": (1, 2, 4, 8, 16, 32), "heun": (4, 8, 16, 32)}
SCALES = (0.0, 1.0, 1.5, 2.0, 3.0, 5.0)
GUIDED = 3.0
"""The scale of guidance with which the shipped flow is scored once more."""
COPY_LEVEL = 0.01
"""Share of real test pictures that lie as near to a training picture as what counts for a copy."""
PROBE = 512
"""Pictures on which the loss is followed, always with the same noise and times."""
BINS = 10


@dataclass(frozen=True)
class Variant:
    """The lesson's network, but for what is given."""

    width: int = SETTINGS["flow"]["laptop"]["width"]
    fold: int = 2
    bf16: bool = True
    channels_last: bool = True

    def make(self, size: int, width: int, classes: int) -> flow.Velocity:
        """The network; as `flow.Velocity`."""
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        return flow.Velocity(size, width, classes, self.fold, layout)

    def on(self, machine: runtime.Runtime) -> runtime.Runtime:
        """The machine, without bf16 where the variant has none."""
        return machine if self.bf16 else replace(machine, autocast_dtype=None)


VARIANTS = {
    "as in the lesson": Variant(),
    "width 24": Variant(width=24),
    "width 48": Variant(width=48),
    "single pixels": Variant(fold=1),
    "float32": Variant(bf16=False),
    "channels first": Variant(channels_last=False),
}
"""Each differs from the first in one thing."""
MINUTES, TURNS, STEPS_OF_A_TURN = 10, 3, 32
"""What a variant may take of one core; and how its speed is found beforehand."""


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.measure_flow",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = {
        "train": _train,
        "speed": _speed,
        "families": _families,
        "calls": _calls,
        "guidance": _guidance,
        "seconds": _seconds,
        "ship": _ship,
        "pilot": _pilot,
    }
    parser.add_argument("what", choices=commands)
    parser.add_argument("family", nargs="?", choices=FAMILIES)
    parser.add_argument("seed", nargs="?", type=int, choices=SEEDS)
    parser.add_argument("--data", help="CIFAR-10 as an archive or a folder of class folders")
    parser.add_argument("--work", type=Path, required=True, help="folder of what was trained")
    parser.add_argument("--run-dir", type=Path, help="folder of the checkpoints (ship)")
    options = parser.parse_args(argv)
    options.work.mkdir(parents=True, exist_ok=True)
    commands[options.what](options)
    return 0


def _sets(options: argparse.Namespace, draws: int = DRAWS) -> tuple[ImageSet, RealReference]:
    train, test = load_images(options.data, "train"), load_images(options.data, "test")
    return train, RealReference.from_images(train, test, n=N, draws=draws, names=NAMES)


def classes_in_turn(
    network: flow.Velocity, machine: runtime.Runtime, **how: Any
) -> Callable[[int], Tensor]:
    """A sampler of a flow: each class as often as the others, from fixed noise, in the machine's number format."""
    noise = torch.Generator().manual_seed(99)
    return lambda count: flow.sample(
        network,
        torch.arange(count) % network.classes,
        generator=noise,
        autocast=machine.autocast,
        **how,
    )


def _train(options: argparse.Namespace) -> None:
    made_with, machine = results.provenance(), runtime.setup(options.seed)
    train, reference = _sets(options)
    _, rough = _sets(options, ON_THE_WAY)
    settings = SETTINGS[FAMILIES[options.family]]["laptop"]
    at = [round(share * settings["steps"]) for share in SHARES]
    folder = options.work / f"{options.family}-{options.seed}"
    rows: list[dict[str, Any]] = []

    def score(step: int, draw: Callable[[int], Tensor], **more: Any) -> None:
        judge = reference if step == at[-1] else rough
        rows.append({"step": step, **more, **numbers(judge.score(draw))})
        print(options.family, options.seed, rows[-1], flush=True)

    if options.family == "flow":
        last = _flow_in_parts(machine, train, folder, settings, at, score)
    else:
        last = _in_parts(options.family, machine, train, folder, settings, at, score)
    torch.save(last.state_dict(), _weights(options.work, options.family, options.seed))
    record = {
        **_about(train, reference, options.seed),
        "draws_on_the_way": ON_THE_WAY,
        "settings": dict(settings),
        "rows": rows,
        **made_with,
    }
    _record(options.work, options.family, options.seed).write_text(json.dumps(record))


def _in_parts(
    family: str,
    machine: runtime.Runtime,
    train: ImageSet,
    folder: Path,
    settings: Mapping[str, Any],
    at: Sequence[int],
    score: Callable[..., None],
) -> nn.Module:
    """A run that is stopped, scored and resumed; neither the GAN's nor the VAE's steps depend on how many there are."""
    network: nn.Module = nn.Identity()
    for step in at:
        part = {**settings, "steps": step}
        if family == "gan":
            training, _ = whole(train_dcgan(machine, train, folder, part))
            network = training.state["averaged"].module  # type: ignore[union-attr, assignment]
            score(step, fixed_sampler(network))
        else:
            training, _ = whole(train_vae(machine, train, folder, part))
            network = training.state["vae"]  # type: ignore[assignment]
            score(step, vae_sampler(network))  # type: ignore[arg-type]
    return network


def _flow_in_parts(
    machine: runtime.Runtime,
    train: ImageSet,
    folder: Path,
    settings: Mapping[str, Any],
    at: Sequence[int],
    score: Callable[..., None],
) -> nn.Module:
    """One run, scored on the way: its learning rate depends on how many steps there will be."""

    def watch(training: TrainingRun) -> None:
        if training.step + 1 in at:
            generators = torch.get_rng_state()
            network = training.state["averaged"].module  # type: ignore[union-attr]
            loss, by_time = losses_by_time(network, train)
            score(
                training.step + 1,
                classes_in_turn(network, machine, steps=CALLS),
                loss=loss,
                by_time=by_time,
            )
            torch.set_rng_state(generators)

    training, _ = whole(train_flow(machine, train, folder, settings, watch=watch))
    return training.state["averaged"].module  # type: ignore[union-attr, return-value]


@torch.no_grad()
def losses_by_time(network: nn.Module, train: ImageSet) -> tuple[float, list[float]]:
    """The loss on fixed pictures, noise and times, uniform on [0, 1]: the mean, and the mean in each tenth."""
    random = torch.Generator().manual_seed(7)
    index = torch.randperm(len(train), generator=random)[:PROBE]
    x, label = dcgan.to_tanh_range(train.images[index]), train.labels[index]
    noise = torch.randn(x.shape, generator=random)
    t = torch.linspace(0, 1, PROBE + 1)[:-1] + 0.5 / PROBE
    at = t[:, None, None, None]
    velocity = network((1 - at) * noise + at * x, t, label)
    error = (velocity - (x - noise)).square().flatten(1).mean(dim=1)  # (PROBE,)
    parts = error.tensor_split(BINS)
    return error.mean().item(), [part.mean().item() for part in parts]


def _speed(options: argparse.Namespace) -> None:
    made_with, machine = results.provenance(), runtime.setup(0)
    train = load_images(options.data, "train")
    steps = {"gan": 64, "vae": 64, "flow": 48}
    trainers = {"gan": train_dcgan, "vae": train_vae, "flow": train_flow}
    seconds: dict[str, list[float]] = {family: [] for family in FAMILIES}
    for turn in range(4):  # the first warms up
        for family, trainer in trainers.items():
            settings = {**SETTINGS[FAMILIES[family]]["laptop"], "steps": steps[family]}
            training, _ = trainer(
                machine, train, options.work / f"speed-{family}", settings, fresh=True
            )
            if turn:
                seconds[family].append(training.seconds / steps[family])
    print(seconds)
    found = {family: over_seeds(values) for family, values in seconds.items()}
    (options.work / "speed.json").write_text(json.dumps({"seconds_per_step": found, **made_with}))


def _families(options: argparse.Namespace) -> None:
    speed = json.loads((options.work / "speed.json").read_text())
    curves: dict[str, list[dict[str, Any]]] = {}
    end, settings, records = {}, {}, {}
    for family in FAMILIES:
        found = [
            json.loads(_record(options.work, family, seed).read_text())
            for seed in SEEDS
            if _record(options.work, family, seed).is_file()
        ]
        records[family], settings[family] = found, found[0]["settings"]
        pace = speed["seconds_per_step"][family]["value"]
        curves[family] = [
            {
                "step": rows[0]["step"],
                "minutes": rows[0]["step"] * pace / 60,
                "seeds": len(rows),
                **{name: over_seeds([row[name]["value"] for row in rows]) for name in NAMES},
            }
            for rows in zip(*(record["rows"] for record in found), strict=True)
        ]
        end[family] = curves[family][-1]
    first = records["flow"][0]
    made_with = {name: first[name] for name in ("commit", "machine", "versions")}
    common = {
        name: first[name]
        for name in ("data", "n", "draws", "draws_on_the_way", "features", "real_set", "floor")
    }
    families = {
        **common,
        "settings": settings,
        "calls": CALLS,
        "seconds_per_step": speed["seconds_per_step"],
        "speed_machine": speed["machine"],
        "curves": curves,
        "end": end,
    }
    print(results.write("flow_families.json", families, made_with))
    rows = zip(*(record["rows"] for record in records["flow"]), strict=True)
    curve = [
        {**point, "loss": over_seeds([row["loss"] for row in found])}
        for point, found in zip(curves["flow"], rows, strict=True)
    ]
    last = [record["rows"][-1]["by_time"] for record in records["flow"]]
    laptop = {
        **common,
        "settings": {**settings["flow"], "calls": CALLS, "guidance": 1.0},
        "laptop": end["flow"],
        "curve": curve,
        "loss_by_t": [
            {"t": (k + 0.5) / BINS, "loss": over_seeds([row[k] for row in last])}
            for k in range(BINS)
        ],
    }
    print(results.write("flow_laptop.json", laptop, made_with))


def _flow(options: argparse.Namespace) -> flow.Velocity:
    """The trained flow of the first seed."""
    network = flow.Velocity(width=SETTINGS["flow"]["laptop"]["width"])
    network.load_state_dict(torch.load(_weights(options.work, "flow", SEEDS[0]), weights_only=True))
    return network.to(memory_format=torch.channels_last).eval()


def _calls(options: argparse.Namespace) -> None:
    made_with, machine = results.provenance(), runtime.setup(0)
    train, reference = _sets(options, ONE_NETWORK)
    network, found = _flow(options), {}
    for method, counts in CALL_COUNTS.items():
        found[method] = {}
        for count in counts:
            steps = count if method == "euler" else count // 2
            draw = classes_in_turn(network, machine, steps=steps, method=method)
            found[method][str(count)] = numbers(reference.score(draw))
            print(method, count, found[method][str(count)], flush=True)
    result = _about(train, reference) | found
    print(results.write("flow_calls.json", result, made_with))


def _guidance(options: argparse.Namespace) -> None:
    made_with, machine = results.provenance(), runtime.setup(0)
    train, reference = _sets(options, ONE_NETWORK)
    network, rows = _flow(options), []
    for scale in SCALES:
        draw = classes_in_turn(network, machine, steps=CALLS, guidance=scale)
        images = draw(N * ONE_NETWORK)
        seen = _seen(images) == torch.arange(len(images)) % network.classes
        rows.append({"scale": scale, **numbers(reference.score(images)), "accuracy": share(seen)})
        print(rows[-1], flush=True)
    test = load_images(options.data, "test")
    result = _about(train, reference) | {
        "calls": CALLS,
        "accuracy_real": share(_seen(test.images) == test.labels),
        "rows": rows,
    }
    print(results.write("flow_guidance.json", result, made_with))


def _about(train: ImageSet, reference: RealReference, seed: int = SEEDS[0]) -> dict[str, Any]:
    """What the scores of a network depend on; their intervals are over the draws."""
    return {
        "data": train.name,
        "n": N,
        "draws": len(reference.blocks),
        "features": reference.network.description,
        "real_set": reference.real_set,
        "floor": numbers(reference.floor),
        "seed": seed,
    }


def _seen(images: Tensor) -> Tensor:
    """The classes (N,) that the feature network takes images for."""
    network = load_feature_network()
    return network.head(extract_features(images, network)).argmax(dim=1)


def _seconds(options: argparse.Namespace) -> None:
    made_with, machine = results.provenance(), runtime.setup(0)
    network = _flow(options)
    generator, facts = dcgan.load_shipped_generator()
    decoder = vae.VAE(64, 32)
    decoder.load_state_dict(torch.load(_weights(options.work, "vae", 0), weights_only=True))
    labels, latent_dim = torch.arange(1_000) % 10, int(facts["latent_dim"])
    makers: dict[str, Callable[[], object]] = {
        "gan": lambda: dcgan.sample(generator, torch.randn(1_000, latent_dim, 1, 1)),
        "vae": lambda: vae.decode_bytes(decoder.eval(), torch.randn(1_000, decoder.latent_dim)),
        **{
            f"flow_{steps}": lambda steps=steps: flow.sample(
                network, labels, steps, autocast=machine.autocast
            )
            for steps in (1, 8, 25)
        },
    }
    seconds: dict[str, list[float]] = {name: [] for name in makers}
    for turn in range(4):
        for name, make in makers.items():
            start = time.perf_counter()
            make()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    result = {"per_1000": {name: over_seeds(values) for name, values in seconds.items()}}
    print(results.write("flow_seconds.json", result, made_with))


def _ship(options: argparse.Namespace) -> None:
    machine = runtime.setup(0)
    made_with = results.provenance()  # before weights are written that are not committed
    found = newest_generation(options.run_dir)
    assert found is not None, f"{options.run_dir} holds no checkpoint"
    config, prefix = found.record["config"], "averaged.module."
    weights = {k.removeprefix(prefix): v for k, v in found.tensors.items() if k.startswith(prefix)}
    epochs = round(found.step * config["batch_size"] / config["examples"], 1)
    keys = ("data", "seed", "size", "width", "classes")
    facts = {**{key: config[key] for key in keys}, "steps": found.step, "epochs": epochs}
    name, scores_of = (
        (flow.SHIPPED_64, _of_drawings)
        if options.data == "standin"
        else (flow.SHIPPED, _of_photographs)
    )
    content = shipped.write(name, weights, facts).read_bytes()
    network, _ = flow.load_shipped(name=name)
    result = {
        **facts,
        "seconds": round(found.record["seconds"]),
        "calls": CALLS,
        **scores_of(network, machine, options),
        "bytes": len(content),
    }
    print(results.write(f"{name}.json", result, made_with))


def _of_photographs(
    network: flow.Velocity, machine: runtime.Runtime, options: argparse.Namespace
) -> dict[str, Any]:
    """Scores of the network that ships for CIFAR-10, without guidance and with it."""
    _, reference = _sets(options)

    def scored(guidance: float) -> dict[str, Any]:
        draw = classes_in_turn(network, machine, steps=CALLS, guidance=guidance)
        images = draw(N * DRAWS)
        seen = _seen(images) == torch.arange(len(images)) % network.classes
        return {"score": numbers(reference.score(images)), "accuracy": share(seen)}

    return {
        "n": N,
        "draws": DRAWS,
        "features": reference.network.description,
        "real_set": reference.real_set,
        "floor": numbers(reference.floor),
        **scored(1.0),
        "guided": {"scale": GUIDED, **scored(GUIDED)},
    }


def _of_drawings(
    network: flow.Velocity, machine: runtime.Runtime, options: argparse.Namespace
) -> dict[str, Any]:
    """Scores of the network that ships for the stand-in; its pictures are shrunk to the size that features know."""
    train, test = (
        replace(images, images=_shrunk(images.images))
        for images in (
            load_images(options.data, split, network.size) for split in ("train", "test")
        )
    )
    reference = ClassReference.from_images(train, test, fitting_n(N // 10, train, test), DRAWS)
    known, unseen = (_thumbnails(images.images) for images in (train, test))

    def scored(guidance: float) -> dict[str, Any]:
        noise, drawn = torch.Generator().manual_seed(99), []

        def draw(labels: Tensor) -> Tensor:
            pictures = flow.sample(
                network,
                labels,
                CALLS,
                guidance=guidance,
                generator=noise,
                autocast=machine.autocast,
            )
            drawn.append(_shrunk(pictures))
            return drawn[-1]

        scores = reference.score(draw)
        copies = copied(_thumbnails(torch.cat(drawn)), known, unseen, level=COPY_LEVEL)
        return {**by_class(scores), "copied": share(copies)}

    return {
        "n": reference.total.blocks.shape[1],
        "draws": DRAWS,
        "features": reference.total.network.description,
        "reader": reference.reader_name,
        "real": by_class(reference.real),
        "copy_level": COPY_LEVEL,
        **scored(1.0),
        "guided": {"scale": GUIDED, **scored(GUIDED)},
    }


def _shrunk(images: Tensor, size: int = 32) -> Tensor:
    """uint8 (N, 3, H, W) -> uint8 (N, 3, size, size): each new pixel the mean of those that it covers."""
    parts = [adaptive_avg_pool2d(part.float(), size).round().byte() for part in images.split(1_000)]
    return torch.cat(parts)


def _thumbnails(images: Tensor) -> Tensor:
    """uint8 (N, 3, H, W) -> (N, 192), as lesson 09 looks for copies."""
    return adaptive_avg_pool2d(images.float(), 8).flatten(1)


def _pilot(options: argparse.Namespace) -> None:
    made_with = results.provenance()
    torch.set_num_threads(1)
    train, reference = _sets(options, ONE_NETWORK)

    def seconds(variant: Variant) -> float:
        training = _train_variant(
            variant, STEPS_OF_A_TURN, train, options.work / "pilot-speed", True
        )
        return training.seconds / STEPS_OF_A_TURN

    has_bf16 = runtime.setup(SEEDS[0], quiet=True).autocast_dtype is not None
    variants = {name: variant for name, variant in VARIANTS.items() if has_bf16 or variant.bf16}
    timed = {name: partial(seconds, variant) for name, variant in variants.items()}
    speeds = in_turns(timed, TURNS, options.work / "pilot-speeds.json")
    found: dict[str, Any] = {}
    for name, variant in variants.items():
        record = options.work / f"pilot-{name.replace(' ', '-')}.json"
        if not record.is_file():
            steps = max(1, round(60 * MINUTES / speeds[name]["value"]))
            training = _train_variant(variant, steps, train, record.with_suffix(""))
            row = _scored(variant, training, train, reference)
            record.write_text(json.dumps(row), encoding="utf-8")
            print(name, row, flush=True)
        found[name] = json.loads(record.read_text(encoding="utf-8"))
    result = _about(train, reference) | {
        "minutes": MINUTES,
        "calls": CALLS,
        "seconds_per_step": speeds,
        "variants": found,
    }
    print(results.write("flow_pilot.json", result, made_with))


def _train_variant(
    variant: Variant, steps: int, train: ImageSet, folder: Path, fresh: bool = False
) -> TrainingRun:
    """A training on one thread at the lesson's settings, but for the variant's."""
    machine = variant.on(runtime.setup(SEEDS[0]))
    settings = {**SETTINGS["flow"]["laptop"], "width": variant.width, "steps": steps}
    return whole(train_flow(machine, train, folder, settings, fresh, make_network=variant.make))[0]


def _scored(
    variant: Variant, training: TrainingRun, train: ImageSet, reference: RealReference
) -> dict[str, Any]:
    """What a variant is and what its averaged network scores."""
    machine = variant.on(runtime.setup(SEEDS[0], quiet=True))
    network = training.state["averaged"].module  # type: ignore[union-attr]
    draw = classes_in_turn(network, machine, steps=CALLS)  # type: ignore[arg-type]
    number_format = machine.autocast_dtype or torch.float32
    return {
        "width": variant.width,
        "fold": variant.fold,
        "number_format": str(number_format).removeprefix("torch."),
        "channels_last": variant.channels_last,
        "parameters": sum(p.numel() for p in network.parameters()),
        "steps": training.step,
        "seconds": training.seconds,
        "loss": losses_by_time(network, train)[0],  # type: ignore[arg-type]
        **numbers(reference.score(draw)),
    }


def _weights(work: Path, family: str, seed: int) -> Path:
    return work / f"{family}-{seed}.pt"


def _record(work: Path, family: str, seed: int) -> Path:
    return work / f"{family}-{seed}.json"


if __name__ == "__main__":
    raise SystemExit(main())
