# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 0. Start here
#
# Five of these ten pictures are photographs. The other five show nothing that ever was: a network
# made them out of random numbers. Which are which?
#
# ![Ten small square pictures in two rows, numbered from 1 to 10: animals, trucks, a patch of grass, some clear and some blurred.](figures/blind_ten.png)
#
# <details><summary>Answer (decide first)</summary>The photographs are 2, 3, 6, 7 and 10. None of
# the ten was picked: five photographs drawn at random, and five samples in a row. Guessing gets
# half of them right on average. How many right answers show more than luck? Lesson 6
# tells.</details>
#
# In a few minutes you will make such pictures yourself. At the end you will know whether every
# lesson runs on your machine, and you will have solved your first exercise.
#
# **You will learn to** run a notebook from top to bottom · read what this machine has and what each
# lesson needs · answer an exercise and understand its check · move a widget · see your progress and
# go on.
#
# **You need** nothing yet. The lessons after this one expect Python, some calculus, and an idea of
# what a neural network is.
#
# **Time** about {{minutes}} minutes to read and solve. The table gives the computer's share;
# nothing is trained and nothing is downloaded. A *tier* is how much a lesson computes:
# `smoke` only tests that it runs, `laptop` is for a CPU, `gpu` for a GPU.
#
# {{tiers}}

# %% [markdown]
# ## Set-up
#
# A notebook is text and *cells* of code. Click on the grey cell below and press **Shift + Enter**:
# it runs, shows its output, and selects the next cell. `[*]` beside a cell means that it is still
# working, a number means that it is done. The program behind the page that runs the cells is called
# the *kernel*; it remembers what earlier cells have made.
#
# The first cell looks for everything on this machine that could stop a later lesson, and says how
# to fix it.

# %%
from course_utils.machine import preflight

preflight.report()

# %% [markdown]
# **It says `No module named 'course_utils'`?** Then this notebook runs on another Python than the
# course's. Close JupyterLab, open a terminal in the course's folder, and start it with
# `python3 run.py lab` (on Windows `py run.py lab`).
#
# Items under *Fix this first* would stop a lesson or make it useless. With those under *Good to
# know* the lesson still runs, in a reduced form, and tells you: you may leave them for later. After
# mending, choose *Kernel > Restart Kernel* in the menu and run the cell again.
#
# The next cell loads what this lesson uses and sets the machine up. Every lesson begins like this,
# and the line that it prints is explained below.

# %%
import torch

from course_utils import checks, runtime
from course_utils.display import picture_rows, plots
from course_utils.display.widgets import latent_walk
from course_utils.learner import progress_report
from course_utils.machine import overview
from course_utils.models import cgan, dcgan

run = runtime.setup(seed=0)

# %% [markdown]
# Then come the settings, always in one cell, with a column for each tier. They are there for you to
# change; what follows a `#` is a comment for readers:

# %%
# fmt: off
#                   smoke  laptop  gpu
pictures = run.pick(   8,     10,   10)  # how many pictures to make of each kind
seed     = 7                             # another number gives other pictures
# fmt: on

# %% [markdown]
# ## A first picture
#
# This network, a *generator*, made five of the pictures above. You tell it what to show, and it
# turns 100 random numbers into a picture of 32×32 pixels, each with three numbers, for red, green
# and blue. It comes with the course, already trained, and is therefore called *shipped*. It learned
# from CIFAR-10, a set of small photographs of ten kinds of things, the *classes*. (They were stored
# as JPEG here, so titles say "JPEG copy".) In lesson 2 you will build and train a generator
# yourself, and look for copies of photographs among its pictures; lesson 8 teaches it classes.

# %%
generator, facts = cgan.load_shipped(run.device)
generator = cgan.nearer(generator)  # more typical pictures: lesson 8 tells how, and what it costs
classes = facts["classes"]  # ten names
asked = torch.arange(10).repeat_interleave(pictures)  # 0, 0, …, 1, 1, …: numbers of classes
dice = torch.Generator().manual_seed(seed)  # this "generator" draws numbers, not pictures
noise = torch.randn(len(asked), 100, 1, 1, generator=dice).to(run.device)  # 100 for each picture
made = cgan.sample(generator, asked, noise)  # (N, 3, 32, 32): colours, rows, columns; bytes

# %%
title = f"{facts['data']}: generated, none picked"
plots.show(
    picture_rows.named_rows(dict(zip(classes, made.split(pictures))), title),
    alt="Ten rows of small generated pictures, a class each, from airplane to truck. Cars, horses, ships and trucks are plain to see; cats, dogs and frogs are hard to make out.",
)

# %% [markdown]
# No camera took these. Which rows would you name without the words beside them? Look for
# horizons, wheels, the outline of a horse; look also for what is wrong, such as legs that meet no
# body. *How* good they are, in numbers with error bars, you will measure in lesson 6.
#
# The *seed* decides which random numbers are drawn. Change `seed` in the settings, run that cell
# again, and then the two cells above this text: other random numbers, other pictures. The same seed
# gives the same pictures every time. All lessons fix their seeds, so that you see what their text
# describes.
#
# ## What this machine has
#
# The line that `runtime.setup` printed, in words:

# %%
overview.show_machine(run)

# %% [markdown]
# The course chose the tier by what it found: `gpu` where PyTorch can use a GPU, else `laptop`. To
# choose yourself, put this into the first cell of a lesson, above the imports, and restart the
# kernel: `import os; os.environ["COURSE_TIER"] = "smoke"`. For all lessons at once, set the
# variable `COURSE_TIER` before JupyterLab starts. The code is the same at every tier; only numbers
# in the settings differ.
#
# ## What each lesson needs
#
# *You* is the time to read and solve. *The computer* is the time that the cells take: *here* on
# your machine, guessed from a test of two seconds; *where measured* on the machine in each lesson's
# own table. *Memory* was measured on that machine, too. Every lesson repeats the time *here* under
# its settings; where it would take more than ten minutes it offers a setting that takes five, and
# tells what that costs.

# %%
overview.show_lessons(run)

# %% [markdown]
# **Stand-in** means that the real data are not on this machine, and that the course draws pictures
# or writes sentences of its own instead. The lesson runs, and every figure says so.
#
# <details><summary>How to get the real data</summary>
#
# Run one of these lines in a new cell, once:
#
# | real data | line | size |
# | --- | --- | --- |
# | CIFAR-10, photographs | `from course_utils import assets; assets.fetch("cifar10")` | 162 MiB, from a slow host |
# | IMDB, film reviews | `from course_utils import assets; assets.fetch("imdb")` | 80 MiB |
# | short sentences of film critics | `from course_utils import assets; assets.fetch("sentences")` | 9 MiB |
# | pre-trained encoder, a language network for lesson 4 | `from course_utils import assets; assets.fetch("encoder")` | 80 MiB |
#
# (If this machine was busy when its speed was measured, measure again:
# `from course_utils.machine import speed; speed.here(run, again=True)`.)
#
# </details>
#
# ## How an exercise works
#
# An exercise is a function that you finish: replace its line `raise NotImplementedError(...)` by
# your own. The line under it calls the check, which has three outcomes.
#
# | your function | what the check does | how the lesson goes on |
# | --- | --- | --- |
# | is as it was | says "not attempted yet" | with the course's own function, the *reference* |
# | is wrong | says what it expected, what came, and what may be behind it; the notebook stops there | when you have mended it, or put the `raise` line back |
# | is right | says "correct" | with *your* function |
#
# So you can read first and solve later, in any order, and run a whole lesson with all exercises
# unsolved.

# %% [markdown]
# ### Exercise: from the network's range to the screen's
#
# *Easy, 3 minutes.* The generator outputs numbers from −1 (black) to 1 (white). Many programs that
# show pictures want them from 0 to 1. Write the function: −1 becomes 0, 0 becomes ½, 1 stays
# 1.
#
# <details><summary>Hint 1</summary>A straight line. First move the lower end to where it belongs;
# how wide is the range then?</details>
# <details><summary>Hint 2</summary>PyTorch's arithmetic works on all numbers of a tensor at the
# same time: <code>images * 3</code> triples each.</details>


# %%
def to_unit_range(images):
    """Numbers in [-1, 1], any shape -> numbers in [0, 1], same shape."""
    ### BEGIN SOLUTION
    return (images + 1) / 2
    ### END SOLUTION


to_unit_range = checks.start.to_unit_range(to_unit_range)

# %% [markdown]
# And this is what a check says about somebody else's answers. Read the second and the third message
# to the end; the last line is the one that helps. (With `try_out` nothing stops, and nothing is
# counted.)


# %%
def not_written(images):
    raise NotImplementedError("Exercise 0.1")


for answer in (not_written, lambda images: images / 2, lambda images: images.clamp(0, 1)):
    checks.start.try_out(answer)

# %% [markdown]
# What the third answer would do to the pictures (`clamp` replaces everything below 0 by 0):

# %%
with torch.no_grad():
    horses = asked == 7  # class 7: the eighth row above
    raw = generator(noise[horses], asked[horses].to(run.device)).cpu()  # (N, 3, 32, 32)
unit = to_unit_range(raw)
print(f"before: from {raw.min():.2f} to {raw.max():.2f}")
print(f"after:  from {unit.min():.2f} to {unit.max():.2f}")
assert unit.min() >= 0 and unit.max() <= 1

# %%
figure, axes = plots.subplots(2, 1, width=8, height=2.4)
for ax, name, shown in (
    (axes[0], "to_unit_range", unit),
    (axes[1], "clamp(0, 1)", raw.clamp(0, 1)),
):
    plots.image_grid(ax, (255 * shown).round().to(torch.uint8), columns=pictures, title=name)
plots.show(
    figure,
    alt="The generated horses twice: as they are above; below the same ones too dark, with their shadows black.",
)

# %% [markdown]
# It runs, it makes pictures, and they are wrong. Most mistakes with generative models are of this
# kind; that is why every exercise has a check, and why lesson 7 is a clinic.
#
# ## How a widget works
#
# Some figures have sliders. This one walks between two horses: step by step, the random numbers of
# the first (its *latent vector*; lesson 2 has more) turn into those of the second. Where no program
# runs behind the page (on GitHub, or printed) a strip of still pictures shows such a walk, here
# from horse 4 to horse 7 of the row above (the first has the number 0).


# %%
def decode(z):
    """Latent vectors (N, 100) -> pictures uint8 (N, 3, 32, 32)."""
    return cgan.sample(generator, torch.full((len(z),), 7), z)


# %%
latents = noise[horses].flatten(1).cpu()  # (N, 100)
figure, (ax,) = plots.subplots(width=8, height=1.1)
latent_walk.latent_walk_static(ax, decode, latents, 4, 7, dcgan.slerp, "from horse 4 to horse 7")
plots.show(figure, alt="Eleven pictures; the first horse turns into the last step by step.")

# %%
latent_walk.latent_walk(decode, latents, {"along the arc": dcgan.slerp})

# %% [markdown]
# Drag the slider *t* from 0, the first picture, to 1, the second. Or press Tab until the slider has
# a frame, and use the arrow keys. **You see a line such as `HBox(children=...)` instead of
# sliders?** Then JupyterLab's widget extension is missing: start it with `python3 run.py lab`, and
# reload the page.
#
# ## Your progress
#
# Each check writes its outcome into one small file on this machine: number of the exercise,
# outcome, time. Nothing that you wrote, no account, no network. It lies in `data/runs` of the
# course's folder, where updates of the course do not touch it (`COURSE_RUNS` moves that folder;
# `COURSE_PROGRESS=0` switches recording off).

# %%
progress_report.show()

# %% [markdown]
# <details><summary>The same in a terminal, and how to take it to another machine</summary>
#
# In the course's folder:
#
# | in a terminal | in a cell, after `from course_utils.learner import progress` | what it does |
# | --- | --- | --- |
# | `python3 run.py progress` | `progress_report.show()` | shows what is solved, what is open and what comes next |
# | `python3 run.py progress --export FILE` | `progress.export_to("FILE")` | writes a file to take to another machine |
# | `python3 run.py progress --import FILE` | `progress.import_from("FILE")` | adds such a file to what is there |
# | `python3 run.py progress --reset` | `progress.reset()` | begins anew (the old file is kept beside it) |
#
# </details>
#
# ## When it goes wrong
#
# Errors that the course foresees say what happened, why it matters, and what to do; the fix can be
# copied as it is. Here is one, made on purpose:

# %%
from course_utils.errors import CourseError

try:
    runtime.setup(seed=-1)
except CourseError as error:
    print(error)

# %% [markdown]
# <details><summary>Problems without a message of their own</summary>
#
# | you see | what it is | what to do |
# | --- | --- | --- |
# | `NameError: name '...' is not defined` | a cell further up has not run, or the kernel was restarted | *Run > Run All Above Selected Cell* |
# | "The kernel appears to have died" | the memory was full | *Kernel > Shut Down All Kernels*, then this lesson alone; see the table above |
# | `[*]` for longer than the lesson's table says | the CPU is busy with something else, or with another notebook | *Kernel > Interrupt*: trainings save themselves, and go on when the cell runs again |
# | a figure that differs from the text | a cell ran twice, or in another order | *Kernel > Restart Kernel and Run All Cells* |
# | results or errors that nobody else has | a cell was changed, and you do not know which | the notebook as it was: `git checkout -- notebooks`, after you have copied your answers |
#
# </details>
#
# ## Questions
#
# Think first; then open the answer.
#
# **1. An exercise says "not attempted yet". What does the rest of the lesson use?** (a) nothing, it
# stops (b) the course's own function (c) your unfinished function
#
# <details><summary>Answer</summary>(b). (a) happens when an answer is <em>wrong</em>. (c) would
# raise an error at its first use.</details>
#
# **2. A figure's title says "stand-in". May you compare its numbers with those of a paper?** (a)
# yes (b) no (c) yes, if the seed is the same
#
# <details><summary>Answer</summary>(b). Drawn pictures and made-up sentences are much easier than
# real ones. (a) and (c) compare different tasks; no seed changes that.</details>
#
# ## Recap
#
# You ran a notebook from top to bottom, read what this machine has and what each lesson needs,
# answered an exercise and understood its check, moved a widget, and saw your progress.
#
# **What this did not show:** how any of it works. A network that had learned from photographs made
# pictures; what "learned" means, and against whom, is the next lesson.
#
# You will see how. Here is where lesson 9 ends: noise becomes drawings of ten kinds of things, none
# of which anybody drew.
#
# ![A film of twenty small squares in two rows. Noise turns into blots, and blots into a ball, a boat, a car, a fish, a flower, a heart, a house, a mushroom, a star and a tree.](figures/flow_drawings.gif)
#
# **Next:** [lesson 1, the two-player game](01_gan_theory.ipynb). Solved versions of all lessons are
# in the folder `solutions`; they are worth a look *after* your own attempt.
