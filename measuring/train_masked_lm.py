"""Train and ship the model of lesson 04's fill-mask.

``python -m measuring.train_masked_lm --data IMDB --run-dir DIR``

The 6-layer encoder comes without the head that guesses hidden tokens, and was then trained to compare sentences. So
this trains a head and the encoder's last layers on IMDB's training part. How often a hidden token is guessed is then
measured on the test part (``data/results/masked_lm.json``), beside always guessing the most frequent token.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from course_utils import results, runtime
from course_utils.datasets.reviews import load_reviews
from course_utils.models import bert, shipped
from course_utils.models.masked_lm import SHIPPED, MaskedLM, contents, masked_loss
from course_utils.models.pretrained import Encoder, load_encoder
from course_utils.training.run import TrainingRun
from measuring.whole_runs import require_finished
from measuring.with_intervals import share

STEPS, BATCH, TOKENS, RATE = 1_500, 32, 64, 5e-4


def main(argv: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m measuring.train_masked_lm",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", required=True, help="IMDB: its authors' folder or archive")
    parser.add_argument("--run-dir", type=Path, required=True, help="folder of the checkpoints")
    options = parser.parse_args(argv)
    run, encoder = runtime.setup(0), load_encoder("small", tier="laptop", texts=[])
    train, test = load_reviews(options.data), load_reviews(options.data, "test", limit=2_000)
    model = MaskedLM(encoder.model.bert.eval())
    optimizer = bert.make_optimizer(model, RATE)
    sequences = encoder.encode(train.texts, TOKENS)
    training = TrainingRun(
        options.run_dir,
        state={"model": model, "optimizer": optimizer},
        config={"lesson": "masked_lm", "data": train.name, "steps": STEPS},
        steps=STEPS,
        examples=len(train),
        batch_size=BATCH,
    )
    for index in training.batches():
        for group in optimizer.param_groups:
            group["lr"] = RATE * bert.warmup_linear(training.step + 1, STEPS // 10, STEPS)
        shown, mask, labels = masked_batch(encoder, [sequences[i] for i in index.tolist()])
        with run.autocast():
            loss = masked_loss(model, shown, mask, labels)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        training.log(loss=loss.item())
    require_finished(training)
    result = {"data": train.name, "encoder": encoder.name, "steps": STEPS, "seed": 0}
    made_with = results.provenance()  # before weights are written that are not committed
    content = shipped.write(SHIPPED, *contents(model, result)).read_bytes()
    counts = torch.bincount(
        torch.cat([torch.tensor(s) for s in sequences]), minlength=len(encoder.tokenizer)
    )
    for special in encoder.tokenizer.all_special_ids:
        counts[special] = 0
    result |= guesses(encoder, model, encoder.encode(test.texts, TOKENS), int(counts.argmax()))
    result |= {
        "bytes": len(content),
        "last_loss": sum(training.history["loss"][-100:]) / 100,
    }
    print(result)
    results.write(f"{SHIPPED}.json", result, made_with)
    return 0


def masked_batch(
    encoder: Encoder, sequences: list[list[int]], generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Masked ids, attention mask and labels of a batch of sequences."""
    ids, mask = bert.pad_batch(sequences, encoder.tokenizer.pad_token_id)
    shown, labels = bert.hide_tokens(ids, encoder.tokenizer, generator)
    return shown, mask, labels


@torch.inference_mode()
def guesses(
    encoder: Encoder, model: MaskedLM, sequences: list[list[int]], most_frequent: int
) -> dict[str, object]:
    """How often the hidden token is the first guess, or among five; and how often it is the most frequent token."""
    random = torch.Generator().manual_seed(0)
    first, five, frequent = [], [], []
    for start in range(0, len(sequences), 50):
        shown, mask, labels = masked_batch(encoder, sequences[start : start + 50], random)
        asked = labels != bert.IGNORED
        best = model(shown, mask, asked).topk(5).indices
        hits = best == labels[asked][:, None]
        first.append(hits[:, 0])
        five.append(hits.any(1))
        frequent.append(labels[asked] == most_frequent)
    parts = {"first": first, "in_five": five, "most_frequent": frequent}
    return {name: share(torch.cat(values)) for name, values in parts.items()}


if __name__ == "__main__":
    raise SystemExit(main())
