"""A learner's own files beside a notebook, with names that the course uses too, take nobody's place."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

from course_utils.authoring.source import find_sources, read_source

ROOT = Path(__file__).resolve().parents[2]
FILES = ("checks", "metrics", "plots", "runtime", "train", "run", "utils", "evaluate", "models", "vae", "dcgan", "bert",
         "tests", "errors", "progress", "images", "colab")  # fmt: skip
FOLDERS = (
    "data",
    "datasets",
    "results",
    "images",
    "runs",
    "cache",
    "accelerate",
    "sentencepiece",
    "tiktoken",
    "peft",
)
WORK = """
from course_utils import runtime
from course_utils.datasets.images import load_images
from course_utils.datasets.reviews import load_reviews
from course_utils.datasets.texts import load_texts, train_tokenizer
from course_utils.evaluation.bag_of_words import bag_of_words
from course_utils.models import attention, dcgan, gpt_pipeline
from course_utils.models.pretrained import load_encoder

run = runtime.setup(quiet=True)
reviews = load_reviews("standin", limit=40)
encoder = load_encoder("standin", tier="smoke", texts=reviews.texts)
assert encoder.encode(reviews.texts[:2], 16)
bag_of_words().fit(reviews.texts, reviews.labels.tolist())
assert len(load_images("standin", limit=20)) == 20
tokenizer = train_tokenizer(load_texts("manual", 10).train, 300)
gpt = attention.GPT(vocab=tokenizer.get_vocab_size(), dim=8, layers=1, heads=1, context=8)
gpt_pipeline.text_pipeline(gpt, tokenizer)
dcgan.load_shipped_generator()
"""


@pytest.fixture(scope="module")
def beside(tmp_path_factory) -> Path:
    """A notebook's folder with a learner's own files, none of which survives being imported."""
    folder = tmp_path_factory.mktemp("own files")
    for name in FILES:
        (folder / f"{name}.py").write_text(
            f"raise SystemExit('{name}.py of the learner was imported')\n"
        )
    for name in FOLDERS:
        (folder / name).mkdir(exist_ok=True)
        (folder / name / "notes.txt").write_text("mine")
    return folder


def imports(path: Path) -> str:
    """All import statements of a lesson, wherever they stand."""
    source, _ = read_source(path, ROOT)
    nodes = (
        node
        for cell in source.cells
        if cell.kind == "code"
        for node in ast.walk(ast.parse(cell.text))
    )
    return "\n".join(ast.unparse(n) for n in nodes if isinstance(n, ast.Import | ast.ImportFrom))


def test_lessons_import_the_courses_and_the_libraries_own(beside, tmp_path):
    code = "\n".join([*map(imports, find_sources(ROOT)), WORK])
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            code,
        ],  # with the working folder first on the path, as a kernel has it
        cwd=beside,
        env=os.environ
        | {
            "PYTHONPATH": str(ROOT),
            "COURSE_TIER": "smoke",
            "COURSE_RUNS": str(tmp_path),
            "MPLBACKEND": "agg",
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
