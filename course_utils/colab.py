"""What a notebook on Google Colab needs and others do not: a word about the GPU, and a place that outlives the runtime.

The first cell of every notebook, which the build writes, installs the course there and calls `start`.
"""

import os
from pathlib import Path

FOLDER = "generative-ai-course"
"""The course's folder, beside the notebook and in Google Drive."""

_NO_GPU = """No GPU in this runtime: the course goes on at tier laptop, which takes minutes and shows everything.
For tier gpu: menu Runtime > Change runtime type > choose a GPU > Save, then Runtime > Run all."""
_HERE_ONLY = """Training is kept in this runtime, and is lost with it. To go on after a disconnect, set
`use_drive = True` above and run this cell again before you train: checkpoints are then copied to your Google Drive."""


def start(use_drive: bool = False) -> None:
    """Make a Colab runtime ready for a lesson; it may be called again at any time.

    Runs and fetched files get a folder beside the notebook. What belongs to the course's environment (reviews and a
    pre-trained encoder, 90 MB) is fetched when a lesson first needs it, which run.py does beforehand elsewhere.

    Args:
        use_drive: copy the checkpoints of training runs to the user's Google Drive, and go on from there.
    """
    import torch  # Colab's own

    home = Path.cwd() / FOLDER
    for name in ("cache", "runs"):
        os.environ.setdefault(f"COURSE_{name.upper()}", str(home / name))
    os.environ["COURSE_FETCH_SETUP"] = "1"
    if not torch.cuda.is_available():
        print(_NO_GPU)
    print(_keep_on_drive() if use_drive else _HERE_ONLY)


def _keep_on_drive() -> str:
    """Connect the user's Drive (Colab asks for leave), name it as the second place for runs, and tell what was done."""
    mount = Path.cwd() / "drive"
    place = mount / "MyDrive" / FOLDER / "runs"
    try:
        from google.colab import drive  # in Colab's runtime only

        drive.mount(str(mount))
        place.mkdir(parents=True, exist_ok=True)
    except (
        Exception
    ) as error:  # Colab raises its own kinds: leave refused, a time-out, a full Drive
        os.environ.pop("COURSE_RUNS_COPY", None)
        return f"Google Drive cannot be used ({type(error).__name__}: {error}). {_HERE_ONLY}"
    os.environ["COURSE_RUNS_COPY"] = str(place)
    kept = sum(1 for path in place.iterdir() if path.is_dir())
    return (
        f"Checkpoints are copied to MyDrive/{FOLDER}/runs in your Google Drive (runs there now: {kept}).\n"
        "After a disconnect: menu Runtime > Run all, and training goes on from the last copy."
    )
