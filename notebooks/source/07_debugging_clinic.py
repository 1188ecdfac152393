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
# # 7. The debugging clinic
#
# Twenty-three cases with faults that you will meet in your own programs: look at the symptom,
# guess the cause, mend the program. The first ones stop with an error message. The later ones run
# to the end, look healthy, and are wrong.
#
# **You will learn to** read an error message for its cause instead of its advice · recognise
# programs that run, look right and are wrong · write tests that *separate* right from wrong · doubt
# numbers and proofs in the right places · leave alone what is not broken.
#
# **You need** no other lesson for nine of the cases: begin with these. The table below names what
# the others need. Before a case, run all cells above it (in JupyterLab *Run*, *Run All Above
# Selected Cell*). The course's answers stand in for the cases that you skip.
#
# **Time** about {{minutes}} minutes for all cases. Ten of them fill an afternoon. This table says
# how long the computer works; the line under the settings says it for your machine. Nothing is
# downloaded.
#
# {{tiers}}
#
# ## Set-up

# %%
import math
import tempfile
from pathlib import Path

from course_utils import checks, runtime  # before torch: waiting threads sleep
import torch
import torch.nn.functional as F
from IPython.display import Markdown, display
from sklearn.datasets import load_digits
from torch import nn

run = runtime.setup(seed=0)

# %%
from course_utils.display import clinic_plots, plots
from course_utils.evaluation import diagnose
from course_utils.learner import clinic
from course_utils.machine import minutes_here

# fmt: off
#                       smoke laptop    gpu
n_reviews   = run.pick(   600, 3_000, 3_000)  # made-up sentences of the cases about text
slide_steps = run.pick(    30,    60,    60)  # gradient steps of the sliding divergence
# fmt: on
minutes_here.tell(run, "07_debugging_clinic")

# %% [markdown]
# ## The rules of the game
#
# 1. Run the cell that shows the **symptom**. Below it stand three or four possible causes.
# 2. **Guess**: put the letter of one in place of the dots, `"b"`, and run that cell. Only your
#    first guess counts.
# 3. **Mend**: copy the broken function into the empty one below it, and change what must be
#    changed. A few cases ask for a test or a tool instead. Hints unfold on the card.
# 4. The **check** judges what your function *does*. When it passes, it tells what the fault was and
#    how to keep it from coming back. It also counts your guesses that were *right at first sight*.
#
# Cells below a check show the mended program at work, so guess before you scroll. Stuck?
# `checks.clinic.reveal("kl")` tells the answer to one case; `kl` is the function that you mend
# there. Not every program here is ill.
#
# The faults are real, and so are the digits: 1,797 handwritten ones that come with scikit-learn.
#
# These are all cases. JupyterLab's table of contents, at its left edge, leads to each.
# %%
display(Markdown(clinic.ward()))

# %% [markdown]
# ## Loud: the program stops
#
# ### Exercise: it stops, an hour later
#
# *Medium, 8 minutes.* This epoch of training passed its trial. The real run stopped after an hour.
# Below, the program runs three times: as in the trial, with 80 pictures, and with a note every
# second step. `clinic.complaint` prints how each run ends. A third fault hides behind the second.
#
# <details><summary>Hint 1</summary>What is different about the last batch? Which lines did the
# trial never reach?</details>
# <details><summary>Hint 2</summary>Take the size of the labels from the batch.
# <code>path.parent.mkdir(parents=True, exist_ok=True)</code> makes a folder, and does not complain
# if it exists.</details>


# %%
def broken_epoch(images, batch_size, log_every, folder):
    """One epoch of a discriminator, real pictures only (backward and step are left out here). Its
    loss goes to folder/notes/STEP.txt. Returns the number of batches.
    """
    discriminator, labels = nn.Linear(images[0].numel(), 1), torch.ones(batch_size)
    for step, batch in enumerate(images.split(batch_size), start=1):
        logits = discriminator(batch.flatten(1)).squeeze(1)
        loss = F.binary_cross_entropy_with_logits(logits, labels)
        if step % log_every == 0:
            (folder / "notes" / f"{step}.txt").write_text(f"{mean_loss:.3f}")
    return step


# %%
with tempfile.TemporaryDirectory() as name:
    for count, log_every in ((64, 100), (80, 100), (64, 2)):
        print(f"{count} pictures, a note after every {log_every} steps:")
        clinic.complaint(broken_epoch, torch.rand(count, 1, 8, 8), 32, log_every, Path(name))

# %% [markdown]
# **Which is the cause?**
#
# - (a) Memory runs out as the notes pile up.
# - (b) Lines that only a long run reaches: a short last batch, the first note.
# - (c) The labels have the wrong type.
# - (d) The loss becomes NaN, and NaN cannot be written.

# %%
checks.clinic.guess("train_epoch", ...)


# %%
def train_epoch(images, batch_size, log_every, folder):
    """The same, for any number of pictures, in a folder that may not exist yet; notes hold the loss
    of their step.
    """
    ### BEGIN SOLUTION
    discriminator = nn.Linear(images[0].numel(), 1)
    for step, batch in enumerate(images.split(batch_size), start=1):
        logits = discriminator(batch.flatten(1)).squeeze(1)
        loss = F.binary_cross_entropy_with_logits(logits, torch.ones_like(logits))
        if step % log_every == 0:
            note = folder / "notes" / f"{step}.txt"
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(f"{loss.item():.3f}")
    return step
    ### END SOLUTION


train_epoch = checks.clinic.train_epoch(train_epoch)

# %% [markdown]
# ### Exercise: the wrong kind of one
#
# *Easy, 4 minutes.* In an old version of PyTorch, the first of the two calls below worked. Today
# both stop, each with a message of its own. Write one loss for both.
#
# <details><summary>Hint</summary>Print the type and the shape of <code>torch.full((3,), 1)</code>.
# One function makes a tensor that is like another one in shape, type and device.</details>


# %%
def broken_label_loss(logits, label):
    """Mean cross-entropy of logits (any shape) against one label for all."""
    return F.binary_cross_entropy_with_logits(logits, torch.full((len(logits),), label))


# %%
clinic.complaint(broken_label_loss, torch.randn(3), 1)
clinic.complaint(broken_label_loss, torch.randn(3, 1), 1.0)

# %% [markdown]
# **Which is the cause?**
#
# - (a) The logits should be rounded to whole numbers.
# - (b) `binary_cross_entropy_with_logits` wants one logit per class.
# - (c) The label tensor takes its type from the label and its shape from a length.
# - (d) The label should be -1 or 1.

# %%
checks.clinic.guess("label_loss", ...)


# %%
def label_loss(logits, label):
    """The same, for logits of any shape and any floating type."""
    ### BEGIN SOLUTION
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, label))
    ### END SOLUTION


label_loss = checks.clinic.label_loss(label_loss)

# %% [markdown]
# ### Exercise: one loss stops, the other does not
#
# *Medium, 8 minutes.* A discriminator for pictures of 32×32 pixels gets two pictures of 64×64. The
# first loss stops. The second, `label_loss` of the case before, does not: so what does it train?
# Write `make_judge`, which builds a discriminator for either size. No pooling, and no shrinking of
# pictures.
#
# <details><summary>Hint 1</summary>Print the shape of what comes out of each layer.</details>
# <details><summary>Hint 2</summary>Each layer with kernel 4, stride 2, padding 1 halves the map.
# How many of them lead from <code>size</code> to 4?</details>


# %%
def broken_discriminator(size):
    """A discriminator: pictures (B, 3, size, size) -> logits (B,)."""
    layers = [
        nn.Conv2d(3, 8, 4, 2, 1),
        nn.LeakyReLU(0.2),
        nn.Conv2d(8, 16, 4, 2, 1),
        nn.LeakyReLU(0.2),
    ]
    layers += [nn.Conv2d(16, 32, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv2d(32, 1, 4), nn.Flatten(0)]
    return nn.Sequential(*layers)


# %%
logits = broken_discriminator(64)(torch.rand(2, 3, 64, 64))
clinic.complaint(F.binary_cross_entropy_with_logits, logits, torch.ones(2))
clinic.complaint(label_loss, logits, 1.0)

# %% [markdown]
# **Which is the cause?**
#
# - (a) Each picture gets one answer for every patch, 25 in all.
# - (b) The batch is read as channels.
# - (c) `Flatten(0)` mixes the two pictures before the last layer.
# - (d) Pictures of 64 pixels are cut to 32.

# %%
checks.clinic.guess("make_judge", ...)


# %%
def make_judge(size):
    """A discriminator for 32 or 64 pixels: pictures (B, 3, size, size) -> logits (B,)."""
    ### BEGIN SOLUTION
    layers, channels = [], 3
    while size > 4:
        layers += [nn.Conv2d(channels, 2 * channels + 2, 4, 2, 1), nn.LeakyReLU(0.2)]
        channels, size = 2 * channels + 2, size // 2
    return nn.Sequential(*layers, nn.Conv2d(channels, 1, 4), nn.Flatten(0))
    ### END SOLUTION


make_judge = checks.clinic.make_judge(make_judge)

# %% [markdown]
# ### Exercise: modified by an inplace operation
#
# *Hard, 12 minutes.* One step of a Wasserstein critic against its generator, as in lesson 1 (the
# bound on the critic's slope is left out). The message complains of an in-place operation. Which
# one can it mean? Write a step that works.
#
# <details><summary>Hint 1</summary>There is no <code>inplace=True</code> here. What else changes a
# tensor in place? The message gives the tensor's shape. Print the shapes of the critic's weights: a
# linear layer uses its own transposed.</details>
# <details><summary>Hint 2</summary>Ask the critic again after its step. And should
# <code>c_loss</code> reach the generator?</details>
# <details><summary>Hint 3</summary>With both steps moved to the end, the error is gone and the
# fault is not: {{exercise:is_equilibrium}} shows what becomes of such a run.</details>


# %%
def broken_critic_step(generator, critic, g_optimizer, c_optimizer, real, noise):
    """One step of both players. Returns the critic's and the generator's loss."""
    fake = generator(noise)
    c_loss = critic(fake).mean() - critic(real).mean()
    g_loss = -critic(fake).mean()
    c_optimizer.zero_grad()
    g_optimizer.zero_grad()
    c_loss.backward(retain_graph=True)
    c_optimizer.step()
    g_loss.backward()
    g_optimizer.step()
    return c_loss.item(), g_loss.item()


# %%
from course_utils.learner.clinic_toy import make_players  # both networks, and SGD for each

clinic.complaint(broken_critic_step, *make_players(), torch.randn(5, 1), torch.randn(5, 2))

# %% [markdown]
# **Which is the cause?**
#
# - (a) An activation with `inplace=True`.
# - (b) The noise is changed between the two losses.
# - (c) `zero_grad` erases a gradient that is still needed.
# - (d) `c_optimizer.step()` changes weights that the generator's loss still needs.

# %%
checks.clinic.guess("critic_step", ...)


# %%
def critic_step(generator, critic, g_optimizer, c_optimizer, real, noise):
    """The critic's half, then the generator's against the updated critic. Returns both losses as
    floats.
    """
    ### BEGIN SOLUTION
    fake = generator(noise)
    c_loss = critic(fake.detach()).mean() - critic(real).mean()
    c_optimizer.zero_grad()
    c_loss.backward()
    c_optimizer.step()
    g_loss = -critic(fake).mean()
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()
    return c_loss.item(), g_loss.item()
    ### END SOLUTION


critic_step = checks.clinic.critic_step(critic_step)

# %% [markdown]
# ## Silent: the most common faults
#
# No message from here on. Everybody makes these mistakes, and each is one line or less. The
# patients are small networks that read digits: 1,200 to train on, the other 597 to test on.

# %%
digits = load_digits()
x = torch.tensor(digits.images, dtype=torch.float32).flatten(1) / 16  # (1797, 64), in [0, 1]
y = torch.tensor(digits.target)  # (1797,), 0 to 9
train_x, train_y, test_x, test_y = x[:1_200], y[:1_200], x[1_200:], y[1_200:]


# %%
def fit(model, loss, x, y, steps=300, lr=1e-2):
    """Train with Adam on random batches of 64. Returns the loss of every step."""
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=lr), []
    for _ in range(steps):
        rows = torch.randint(len(x), (64,))
        value = loss(model(x[rows]), y[rows])
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


# %% [markdown]
# ### Exercise: three accuracies
#
# *Easy, 6 minutes.* A function measures how accurate a trained network is on digits that it has not
# seen. Called three times, it gives three answers. Write one that can be trusted.
#
# <details><summary>Hint 1</summary>Which layers behave differently in training and in use? How do
# they know?</details>
# <details><summary>Hint 2</summary>The function is also called in the middle of a training. In
# which mode must it leave the network?</details>


# %%
def broken_accuracy(model, x, y):
    """Share of the rows of x (B, 64) whose largest logit is the label's."""
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


# %%
reader = nn.Sequential(nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.5))
reader.append(nn.Linear(64, 10))
fit(reader, F.cross_entropy, train_x, train_y)
for attempt in (1, 2, 3):
    print(f"attempt {attempt}: {broken_accuracy(reader, test_x, test_y):.1%}")

# %% [markdown]
# **Which is the cause?**
#
# - (a) The digits come in a new order each time.
# - (b) The network still works as it does in training.
# - (c) Rounding: sums of floats depend on their order.
# - (d) `argmax` breaks ties at random.

# %%
checks.clinic.guess("accuracy", ...)


# %%
def accuracy(model, x, y):
    """The same, measured as the network will be used; it is left in the mode in which it came."""
    ### BEGIN SOLUTION
    training = model.training
    model.eval()
    with torch.no_grad():
        share = (model(x).argmax(1) == y).float().mean().item()
    model.train(training)
    return share
    ### END SOLUTION


accuracy = checks.clinic.accuracy(accuracy)

# %%
print("mended:", *(f"{accuracy(reader, test_x, test_y):.1%}" for attempt in (1, 2, 3)))

# %% [markdown]
# ### Exercise: no better than the mean
#
# *Easy, 5 minutes.* A linear layer has to say how much ink a picture holds, which is a *sum of its
# inputs*: nothing could be easier. Yet it ends no better than if it always answered the mean.
#
# <details><summary>Hint</summary>Print the shape of <code>prediction - target</code>.</details>


# %%
def broken_squared_error(prediction, target):
    """Mean squared error of predictions (B, 1), as a layer gives them, against targets (B,)."""
    return (prediction - target).square().mean()


# %%
ink = x.sum(1) / 10  # (1797,)
scale = nn.Linear(64, 1)
losses = fit(scale, broken_squared_error, train_x, ink[:1_200], lr=0.03)
print(f"loss {losses[0]:.3f}, at the end {sum(losses[-50:]) / 50:.3f}")
print(f"always answering the mean would cost {ink.var():.3f}")

# %% [markdown]
# **Which is the cause?**
#
# - (a) The learning rate is too low.
# - (b) A linear layer cannot fit this target.
# - (c) The gradient is lost on its way.
# - (d) The difference is a table: each prediction minus *every* target.

# %%
checks.clinic.guess("squared_error", ...)


# %%
def squared_error(prediction, target):
    """The same; predictions may also come as (B,)."""
    ### BEGIN SOLUTION
    return (prediction.reshape(-1) - target).square().mean()
    ### END SOLUTION


squared_error = checks.clinic.squared_error(squared_error)

# %%
scale = nn.Linear(64, 1)
losses = fit(scale, squared_error, train_x, ink[:1_200], lr=0.03)
print(f"mended: loss {losses[0]:.3f}, at the end {sum(losses[-50:]) / 50:.4f}")

# %% [markdown]
# ### Exercise: a loss that stops at 1.5
#
# *Easy, 5 minutes.* Nearly every digit is read correctly, and yet the loss stops near 1.5, however
# long you train.
#
# <details><summary>Hint</summary>What does <code>F.cross_entropy</code> expect, probabilities or
# logits? What should be the loss of a network that is perfectly sure and perfectly right?</details>


# %%
def broken_class_loss(logits, labels):
    """Mean cross-entropy in nats of logits (B, K) against labels (B,)."""
    return F.cross_entropy(F.softmax(logits, dim=1), labels)


# %%
def small_network():
    """A network with one hidden layer: digits (B, 64) -> logits (B, 10)."""
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


reader = small_network()
losses = fit(reader, broken_class_loss, train_x, train_y)
print(f"loss {losses[0]:.2f}, at the end {sum(losses[-50:]) / 50:.3f}")
print(f"accuracy on digits that it has trained on: {accuracy(reader, train_x, train_y):.1%}")

# %% [markdown]
# **Which is the cause?**
#
# - (a) Softmax is applied twice.
# - (b) The network is too small for ten classes.
# - (c) The labels hold errors.
# - (d) The loss is a sum where a mean was meant.

# %%
checks.clinic.guess("class_loss", ...)


# %%
def class_loss(logits, labels):
    """The same, in which a network that is sure and right has a loss of 0."""
    ### BEGIN SOLUTION
    return F.cross_entropy(logits, labels)
    ### END SOLUTION


class_loss = checks.clinic.class_loss(class_loss)

# %%
losses = fit(small_network(), class_loss, train_x, train_y)
print(f"mended: loss {losses[0]:.2f}, at the end {sum(losses[-50:]) / 50:.3f}")

# %% [markdown]
# ### Exercise: saved, loaded, useless
#
# *Medium, 8 minutes.* Training ends well enough. The weights are saved and loaded into a second
# network of the same kind. No error, no warning, and the copy can do nothing.
#
# <details><summary>Hint 1</summary>Which names does <code>network.state_dict()</code>
# hold?</details>
# <details><summary>Hint 2</summary>A network finds a layer when it is an attribute, or an entry of
# an <code>nn.Sequential</code> or <code>nn.ModuleList</code>.</details>


# %%
class BrokenNetwork(nn.Module):
    """Digits (B, 64) -> logits (B, 10), through `depth` hidden layers with ReLU."""

    def __init__(self, depth, width):
        super().__init__()
        self.hidden = [nn.Linear(width if k else 64, width) for k in range(depth)]
        self.answers = nn.Linear(width, 10)

    def forward(self, x):
        for layer in self.hidden:
            x = layer(x).relu()
        return self.answers(x)


# %%
original, copy = BrokenNetwork(2, 64), BrokenNetwork(2, 64)
losses = fit(original, F.cross_entropy, train_x, train_y)
print("loading:", copy.load_state_dict(original.state_dict()))
print(f"loss {losses[0]:.2f}, at the end {sum(losses[-50:]) / 50:.2f}")
for name, network in (("original", original), ("copy", copy)):
    print(f"{name}: {accuracy(network, test_x, test_y):.1%}")

# %% [markdown]
# **Which is the cause?**
#
# - (a) `state_dict` rounds the weights.
# - (b) The copy was loaded in training mode.
# - (c) The network does not know of some of its layers.
# - (d) The optimiser's state was not saved.

# %%
checks.clinic.guess("make_network", ...)


# %%
def make_network(depth, width):
    """A network with `depth` hidden layers of this width, each with ReLU: (B, 64) -> (B, 10)."""
    ### BEGIN SOLUTION
    layers = []
    for k in range(depth):
        layers += [nn.Linear(width if k else 64, width), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, 10))
    ### END SOLUTION


make_network = checks.clinic.make_network(make_network)

# %%
original, copy = make_network(2, 64), make_network(2, 64)
losses = fit(original, F.cross_entropy, train_x, train_y)
copy.load_state_dict(original.state_dict())
for name, network in (("original", original), ("copy", copy)):
    print(f"mended {name}: {accuracy(network, test_x, test_y):.1%}")

# %% [markdown]
# ### Exercise: the first NaN
#
# *Hard, 15 minutes.* This time the digits come from a scanner. One loss is NaN, and so is every
# loss after it, without a message. By the time you look, every weight is NaN and every layer looks
# guilty. Write the tool that finds the *first* culprit: the first module whose output is not
# finite.
#
# The training below keeps what such a tool needs: the first bad batch, and the weights from
# *before* its step.
#
# <details><summary>Hint 1</summary><code>module.register_forward_hook(hook)</code> calls
# <code>hook(module, inputs, output)</code> after each call, in the order of the calls; it returns a
# handle with <code>remove()</code>.</details>
# <details><summary>Hint 2</summary><code>model.named_modules()</code> has the names, those of
# nested modules too.</details>
# <details><summary>Hint 3</summary>Infinity is a NaN in the making.</details>


# %%
class Standardise(nn.Module):
    """Each picture with mean 0 and deviation 1."""

    def forward(self, x):
        return (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True)


# %%
def make_reader():
    """A network whose layers have names: digits (B, 64) -> logits (B, 10)."""
    reader = nn.Sequential()
    reader.add_module("scale", Standardise())
    reader.add_module("first", nn.Linear(64, 32))
    reader.add_module("bend", nn.ReLU())
    reader.add_module("answers", nn.Linear(32, 10))
    return reader


# %%
batches, reader, losses, scene = clinic.scanned(train_x).split(64), make_reader(), [], None
optimizer = torch.optim.Adam(reader.parameters(), lr=1e-2)
for pictures, labels in zip(batches, train_y.split(64)):
    before = {name: value.clone() for name, value in reader.state_dict().items()}
    loss = F.cross_entropy(reader(pictures), labels)
    if scene is None and not loss.isfinite():
        scene = pictures, before  # the first bad batch, and the weights that met it
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

# %%
print("losses:", *(f"{loss:.2f}" for loss in losses))
lost = sum(p.isnan().sum().item() for p in reader.parameters())
print(f"weights that are NaN: {lost:,} of {sum(p.numel() for p in reader.parameters()):,}")

# %% [markdown]
# **Which is the cause?**
#
# - (a) The learning rate is too high.
# - (b) The logarithm of a probability that is 0.
# - (c) Too large a gradient in the last layer.
# - (d) One picture cannot be standardised.

# %%
checks.clinic.guess("first_nan", ...)


# %%
def first_nan(model, x):
    """Name of the first module, in the order of calls, whose output holds NaN or infinity; None
    where all is finite. Names are those of `model.named_modules()`.
    """
    ### BEGIN SOLUTION
    found = []

    def watch(name):
        def hook(module, inputs, output):
            if not output.isfinite().all():
                found.append(name)

        return hook

    handles = [module.register_forward_hook(watch(name)) for name, module in model.named_modules()]
    with torch.no_grad():
        model(x)
    for handle in handles:
        handle.remove()
    return found[0] if found else None
    ### END SOLUTION


first_nan = checks.clinic.first_nan(first_nan)

# %%
bad, weights = scene  # the batch and the weights that were kept
at_the_scene = make_reader()
at_the_scene.load_state_dict(weights)
print(f"too late, with the last batch, it blames {first_nan(reader, batches[-1])!r}")
print(f"at the scene, it blames {first_nan(at_the_scene, bad)!r}")
print("pictures of that batch in which all pixels are equal:", (bad.std(1) == 0).sum().item())

# %% [markdown]
# ### Exercise: one batch, memorised
#
# *Medium, 10 minutes.* People who train networks for a living have a habit ([Karpathy
# 2019](https://karpathy.github.io/2019/04/25/recipe/), step 2): before any training, they
# **overfit one batch**. A program that cannot bring the loss of sixteen examples near 0 is broken.
#
# Write this test. The figure below puts a healthy program and four patients through it: three from
# above, and one with random labels.
#
# <details><summary>Hint</summary>The loop of <code>fit</code>, without a choice of rows.</details>

# %%
some_x, some_y = train_x[:16], train_y[:16]
some_ink = (ink[:16] - ink[:16].mean()) / ink[:16].std()  # mean 0, deviation 1
coins = torch.randint(10, (16,))  # random labels
programs = {  # what makes the network, the loss, the targets
    "healthy": (small_network, class_loss, some_y),
    "broken_class_loss": (small_network, broken_class_loss, some_y),
    "broken_squared_error": (lambda: nn.Linear(64, 1), broken_squared_error, some_ink),
    "BrokenNetwork": (lambda: BrokenNetwork(2, 64), class_loss, some_y),
    "random labels": (small_network, class_loss, coins),
}

# %% [markdown]
# **Which will it catch?**
#
# - (a) All four: each of them is ill.
# - (b) The patients of `class_loss` and `squared_error`: their losses cannot reach 0.
# - (c) The patient of `make_network`: its copy was useless.
# - (d) The one with random labels: there is nothing to learn.

# %%
checks.clinic.guess("overfit_one_batch", ...)


# %%
def overfit_one_batch(model, loss, x, y, steps, lr):
    """Train `model` in place with Adam, always on this batch. Returns a list of floats: the loss of
    every step, before the weights move.
    """
    ### BEGIN SOLUTION
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=lr), []
    for _ in range(steps):
        value = loss(model(x), y)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses
    ### END SOLUTION


overfit_one_batch = checks.clinic.overfit_one_batch(overfit_one_batch)

# %%
learned = {}
for name, (make, loss, target) in programs.items():
    losses = overfit_one_batch(make(), loss, some_x, target, 200, 3e-2)
    learned[name] = [value / losses[0] for value in losses]

# %%
plots.show(
    clinic_plots.one_batch(learned),
    alt="Loss of one batch over 200 steps, as a share of the first. The healthy program, random labels and, more slowly, BrokenNetwork sink to nearly 0; broken_class_loss and broken_squared_error stay high.",
)

# %% [markdown]
# Two of the four patients stay high: caught in a second. The other two sink towards 0 as the
# healthy program does, `BrokenNetwork` more slowly. So the test shows that a program *can* learn.
# It does not show that all of its layers learn, nor that there is anything to learn.

# %% [markdown]
# ## Silent: two players, and bounds
#
# GANs and VAEs hide their faults better than classifiers do. Two losses in balance look calm, even
# in a wrong balance. A lower bound that lies *above* what it bounds is a number like any other. So
# look at the samples, and compare every quantity with a case that you can work out by hand.
#
# ### Exercise: is this the equilibrium?
#
# *Medium, 10 minutes.* Two runs of lesson 1's toy, whose data have mean 3 and deviation 0.5, are
# shown below. At the equilibrium D(x) = D(G(z)) = ½, the discriminator's loss is 2 log 2, and the
# generator's is log 2. One run followed the advice `retain_graph=True`, with both steps moved to
# the end. Five such runs ended with samples at {{result:gan_traces.json:toy.no_detach.mean:.1f}}
# instead of 3. Which one is ill? (Samples a little too narrow are no sign: five healthy runs ended
# with a deviation of {{result:gan_traces.json:toy.right.std:.2f}}.)
#
# Then write the test that tells the two apart. It gets the means over a run's last steps, also of
# D's loss, which the figure leaves out.
#
# <details><summary>Hint</summary>Demand all that the equilibrium promises: ½ for real <em>and</em>
# for fake, and both losses (D's is a sum of two means). Allow about 0.1 on each side for
# noise.</details>

# %%
runs = {
    "run A": clinic.recorded("healthy line"),
    "run B": clinic.recorded("false equilibrium: no detach"),
}

# %%
plots.show(
    clinic_plots.two_runs(runs),
    alt="Generator's loss and D(G(z)) end near log 2 and one half in both runs. D(x) ends near one half in run A and at 1 in run B; the samples of run B have no spread, where the data have 0.5. Dotted: what the equilibrium has.",
)

# %% [markdown]
# **Which is ill, and why?**
#
# - (a) Run A: its losses wobble.
# - (b) Run B: D is sure about the data and undecided about fakes.
# - (c) Both: neither generator's loss reaches 0.

# %%
checks.clinic.guess("is_equilibrium", ...)


# %%
def is_equilibrium(d_loss, g_loss, d_real, d_fake):
    """Whether mean losses (nats) and mean probabilities D(x), D(G(z)) are those of the equilibrium
    (bool).
    """
    ### BEGIN SOLUTION
    undecided = abs(d_real - 0.5) < 0.1 and abs(d_fake - 0.5) < 0.1
    return undecided and abs(d_loss - 2 * math.log(2)) < 0.2 and abs(g_loss - math.log(2)) < 0.2
    ### END SOLUTION


is_equilibrium = checks.clinic.is_equilibrium(is_equilibrium)

# %% [markdown]
# ### Exercise: success, says the loss
#
# *Medium, 6 minutes.* The toy again, with even smaller networks. `step_with` makes a sound step of
# both players from a pair of losses, and `play` plays 600 such steps. This generator's loss is
# nearly 0: look at what it makes. (Mended, it makes samples near 3, still too narrow.)
#
# <details><summary>Hint 1</summary>In which direction does a step move the logit of a
# fake?</details>
# <details><summary>Hint 2</summary>The cure is not a minus sign: compare slopes at logit −8, where
# D is sure.</details>


# %%
def broken_losses(real_logits, fake_logits):
    """The discriminator's loss (sum of two means) and the generator's, in nats."""
    real, fake = label_loss(real_logits, 1.0), label_loss(fake_logits, 0.0)
    return real + fake, label_loss(fake_logits, 0.0)


# %%
from course_utils.learner.clinic_toy import play, step_with

play(step_with(broken_losses))

# %% [markdown]
# **Which is the cause?**
#
# - (a) The generator has memorised the data.
# - (b) The discriminator has given up.
# - (c) The generator is rewarded for being recognised.
# - (d) The samples have collapsed to one point.

# %%
checks.clinic.guess("gan_losses", ...)


# %%
def gan_losses(real_logits, fake_logits):
    """The discriminator's loss (sum of two means) and the non-saturating one of the generator, in
    nats.
    """
    ### BEGIN SOLUTION
    d_loss = label_loss(real_logits, 1.0) + label_loss(fake_logits, 0.0)
    return d_loss, label_loss(fake_logits, 1.0)
    ### END SOLUTION


gan_losses = checks.clinic.gan_losses(gan_losses)

# %%
caught = torch.tensor([-8.0], requires_grad=True)  # D is sure that it is a fake
for name, losses in (("broken", broken_losses), ("mended", gan_losses)):
    (slope,) = torch.autograd.grad(losses(caught.detach(), caught)[1], caught)
    print(f"{name}: slope of the generator's loss at logit -8 is {slope.item():+.5f}")
play(step_with(gan_losses))

# %% [markdown]
# ### Exercise: all samples in one place
#
# *Hard, 10 minutes.* No message, every network has its `zero_grad`, the losses are right, and the
# toy's samples fall into one place.
#
# <details><summary>Hint 1</summary>Play one whole step, then add up <code>p.grad.abs().sum()</code>
# over the discriminator's parameters. What should the sum be?</details>
# <details><summary>Hint 2</summary>Two things need mending. Either alone is not always enough; the
# check plays three steps.</details>


# %%
def broken_gan_step(generator, discriminator, g_optimizer, d_optimizer, real, noise):
    """One step of both players on logits. Returns both losses."""
    d_loss, _ = gan_losses(discriminator(real), discriminator(generator(noise)))
    d_loss.backward()
    d_optimizer.step()
    d_optimizer.zero_grad()
    _, g_loss = gan_losses(discriminator(real), discriminator(generator(noise)))
    g_loss.backward()
    g_optimizer.step()
    g_optimizer.zero_grad()
    return d_loss.item(), g_loss.item()


# %%
play(broken_gan_step)

# %% [markdown]
# **Which is the cause?**
#
# - (a) Gradients of one player's loss are still there when the other steps.
# - (b) The two optimisers share their state.
# - (c) The generator sees the real data.
# - (d) The discriminator sees new noise in each half.

# %%
checks.clinic.guess("gan_step", ...)


# %%
def gan_step(generator, discriminator, g_optimizer, d_optimizer, real, noise):
    """The discriminator's half, then the generator's. Returns both losses as floats."""
    ### BEGIN SOLUTION
    fake = generator(noise)
    d_loss, _ = gan_losses(discriminator(real), discriminator(fake.detach()))
    d_optimizer.zero_grad()
    d_loss.backward()
    d_optimizer.step()
    g_loss = label_loss(discriminator(fake), 1.0)
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()
    return d_loss.item(), g_loss.item()
    ### END SOLUTION


gan_step = checks.clinic.gan_step(gan_step)

# %%
play(gan_step)

# %% [markdown]
# ### Exercise: D wins before anything is learned
#
# *Medium, 6 minutes.* Pictures were read as numbers in [0, 1]. The generator ends in Tanh, and
# nobody has trained it yet. After a *single step* of training, a linear discriminator tells the
# two apart without a mistake. Return a function that prepares the pictures, and a last layer to
# match.
#
# <details><summary>Hint 1</summary>Between which numbers do the pixels of either batch
# lie?</details>
# <details><summary>Hint 2</summary>Data and last layer must fill the <em>same</em> interval.
# Stretch the pictures or change the layer, not both.</details>

# %%
from course_utils.datasets.images import load_images
from course_utils.models import dcgan

drawn = load_images("standin", limit=64)
pictures = drawn.images.float() / 255  # (64, 3, 32, 32)
generator = dcgan.make_generator(100, 16, 3)
with torch.no_grad():
    unfinished = generator[:-1](torch.randn(64, 100, 1, 1))  # all layers but Tanh


# %%
def right_after_one_step(prepare, last):
    """Accuracy of a linear discriminator, real against made, after one step of training."""
    both = torch.cat([prepare(pictures), last(unfinished)])
    labels = torch.arange(128) // 64  # 0: real, 1: made
    plain = nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 2))
    fit(plain, F.cross_entropy, both, labels, steps=1)
    return accuracy(plain, both, labels)


# %%
right = right_after_one_step(nn.Identity(), nn.Tanh())
print(f"{drawn.title('real against made')}: after one step D is right about {right:.0%}")

# %% [markdown]
# **Which is the cause?**
#
# - (a) The untrained generator makes grey pictures.
# - (b) The discriminator is too large.
# - (c) Real pictures have too much contrast.
# - (d) A single pixel gives the generator away.

# %%
checks.clinic.guess("match_ranges", ...)


# %%
def match_ranges():
    """A pair: a function that prepares pictures in [0, 1], and the generator's last layer, so that
    both fill one range.
    """
    ### BEGIN SOLUTION
    return lambda pictures: 2 * pictures - 1, nn.Tanh()
    ### END SOLUTION


match_ranges = checks.clinic.match_ranges(match_ranges)

# %%
prepare, last = match_ranges()
print(f"mended: after one step D is right about {right_after_one_step(prepare, last):.0%}")

# %%
batches = {
    "as they came": (pictures, unfinished.tanh()),
    "mended": (prepare(pictures), last(unfinished)),
}
plots.show(
    clinic_plots.pixel_values(batches),
    alt="Values of pixels. As they came, the real ones lie between 0 and 1, and half of the made ones below 0, where nothing real is. Mended, real and made values share one range.",
)

# %% [markdown]
# D still wins after some more steps: noise is no picture. But the sign of a pixel no longer tells.

# %% [markdown]
# ### Exercise: one loss for two opponents
#
# *Hard, 12 minutes.* “The loss of a GAN is $L_D + L_G$; minimise it with one optimiser.” Five such
# runs converged, with $L_D + L_G$ = {{result:gan_traces.json:toy.joint.d_loss:.2f}} +
# {{result:gan_traces.json:toy.joint.g_loss:.2f}}. That is 2 log 2, in the books the value of $L_D$
# alone. Their samples are at {{result:gan_traces.json:toy.joint.mean:.2f}} instead of 3.
#
# With one optimiser, D too makes the *sum* small. For data $p$ and generator $q$ the sum is
# $-\sum\,[(p+q)\log D + q\log(1-D)]$. Where D makes it as small as it can, the generator descends
# `broken_objective`.
#
# Write what it should descend: the value of the game, $V = \sum\,[p\log D + q\log(1-D)]$, at *D's
# own* best answer, the one that makes $V$ largest.
#
# <details><summary>Hint 1</summary>D's own best answer is p/(p + q), lesson 1.</details>
# <details><summary>Hint 2</summary>At p = q the value is −log 4, for disjoint distributions 0.
# <code>torch.xlogy</code> knows that 0 log 0 is 0.</details>


# %%
def broken_objective(p_data, p_g):
    """The least L_D + L_G that any D reaches; probabilities (N,), (N,) of data and generator."""
    best = (p_data + p_g) / (p_data + 2 * p_g)  # the D that makes the sum least
    return -(torch.xlogy(p_data + p_g, best) + torch.xlogy(p_g, 1 - best)).sum()


# %%
history = clinic.recorded("false equilibrium: joint loss")
d_loss, g_loss, spread = (history[name][-1] for name in ("d_loss", "g_loss", "diversity"))
print(
    f"one of the five runs: L_D {d_loss:.2f}, L_G {g_loss:.2f}; deviation of samples {spread:.3f}"
)

# %% [markdown]
# **Which is the cause?**
#
# - (a) One optimiser cannot train two networks.
# - (b) The data are not where this objective is smallest.
# - (c) Five runs are too few.
# - (d) D is not strong enough to help.

# %%
checks.clinic.guess("generator_objective", ...)


# %%
def generator_objective(p_data, p_g):
    """V at the best D, in nats, for probabilities (N,), (N,)."""
    ### BEGIN SOLUTION
    total = p_data + p_g
    by_data = torch.xlogy(p_data, p_data) - torch.xlogy(p_data, total)
    by_model = torch.xlogy(p_g, p_g) - torch.xlogy(p_g, total)
    return (by_data + by_model).sum()
    ### END SOLUTION


generator_objective = checks.clinic.generator_objective(generator_objective)

# %% [markdown]
# Both objectives, while the generator's distribution walks away from the data:

# %%
p_data, elsewhere = torch.tensor([0.6, 0.3, 0.1]), torch.tensor([0.1, 0.1, 0.8])
t = torch.linspace(0, 1, 21)
between = [(1 - s) * p_data + s * elsewhere for s in t]
joint = [broken_objective(p_data, p_g).item() for p_g in between]
game = [float(generator_objective(p_data, p_g)) for p_g in between]

# %%
objectives = {"joint loss, one optimiser": joint, "value of the game, two players": game}
plots.show(
    clinic_plots.from_the_data(t, objectives),
    alt="Two curves over t, with a dot at the data, t = 0: the joint loss is highest at the data and falls away from them; the value of the game is lowest there and rises.",
)

# %%
here = p_data.clone().requires_grad_()
(slope,) = torch.autograd.grad(broken_objective(p_data, here), here)
print("slope of the joint loss at the data:", *(f"{s:.4f}" for s in slope))
print(f"log 9/2: {math.log(9 / 2):.4f}")

# %% [markdown]
# The joint loss has the same slope, $\log\frac92$, at every $x$. Probabilities sum to 1: what one
# $x$ gains, another loses, and with equal slopes a small move changes nothing. So the data are a
# flat point, and the picture says of which kind: a maximum.
#
# ### Exercise: a term that nobody can move
#
# *Hard, 12 minutes.* The loss of a VAE, in the words of its author: “reconstruction, plus a term
# that ties the code to noise”. Its copies are sharp, its samples from the prior are junk.
#
# A bound must not lie above $\log p(x)$. Does this one? In the model $z \sim N(0, 1)$, $x \mid z
# \sim N(wz, s^2)$ the true $\log p(x)$ is known, so the two can be compared. The encoder below
# puts the whole posterior on the one point that gives $x$ back: that is what this loss rewards
# most.
#
# <details><summary>Hint 1</summary>Which of the arguments does each term depend on?</details>
# <details><summary>Hint 2</summary>KL(q ‖ N(0, 1)) = ½(mean² + e^log_var − 1 − log_var), one number
# for each x.</details>


# %%
def broken_elbo(x, mean, log_var, noise, w, s):
    """Bound (B,) on log p(x), for x, mean, log_var (B,) and noise (K, 1) from N(0, 1)."""
    z = mean + torch.exp(log_var / 2) * noise  # (K, B)
    log_likelihood = torch.distributions.Normal(w * z, s).log_prob(x).mean(0)  # (B,)
    return log_likelihood - (noise - torch.sigmoid(noise)).square().mean()


# %%
point, w, s = torch.tensor([3.0]), 1.0, 0.5
sure = torch.tensor([-6.0])  # log variance: the posterior is one point
bound = broken_elbo(point, point, sure, torch.randn(10_000, 1), w, s)
exact = torch.distributions.Normal(0.0, math.sqrt(w**2 + s**2)).log_prob(point)
print(f"'bound' {bound.item():.3f}, log p(x) {exact.item():.3f}")

# %% [markdown]
# **Which is the cause?**
#
# - (a) The second term holds nothing that is trained.
# - (b) The likelihood has the wrong variance.
# - (c) Too few draws of the noise.
# - (d) The encoder's variance is too small to matter.

# %%
checks.clinic.guess("elbo", ...)


# %%
def elbo(x, mean, log_var, noise, w, s):
    """Bound (B,) on log p(x) in nats, never above it on average."""
    ### BEGIN SOLUTION
    z = mean + torch.exp(log_var / 2) * noise  # (K, B)
    log_likelihood = torch.distributions.Normal(w * z, s).log_prob(x).mean(0)  # (B,)
    return log_likelihood - 0.5 * (mean**2 + log_var.exp() - 1 - log_var)
    ### END SOLUTION


elbo = checks.clinic.elbo(elbo)

# %%
draws = torch.randn(10_000, 1)
bound = float(elbo(point, point, sure, draws, w, s))
mean, log_var = w * point / (w**2 + s**2), torch.tensor([s**2 / (w**2 + s**2)]).log()
best = float(elbo(point, mean, log_var, draws, w, s))  # the exact posterior
print(f"mended: bound {bound:.1f}, exact posterior {best:.1f}, log p(x) {exact.item():.1f}")

# %% [markdown]
# ### Exercise: a divergence below zero
#
# *Medium, 6 minutes.* “We minimise the divergence of our model p from the data q.” The loss falls,
# and falls. Look at its sign.
#
# <details><summary>Hint</summary>KL(p ‖ q) weighs with its <em>first</em> argument. 0 log 0 is 0;
# where q is 0 and p is not, the answer is infinite, and that is right.</details>


# %%
def broken_kl(p, q):
    """KL(p || q) in nats, for probabilities (N,), (N,)."""
    return (q * torch.log(p / q)).sum()


# %%
q = torch.tensor([0.5, 0.3, 0.2])
logits = torch.zeros(3, requires_grad=True)
for _ in range(slide_steps):
    (slope,) = torch.autograd.grad(broken_kl(logits.softmax(0), q), logits)
    logits = (logits - slope).detach().requires_grad_()

# %%
model = logits.softmax(0).detach()
print(f"'divergence' {broken_kl(model, q).item():.2f}")
print("model", [round(v, 3) for v in model.tolist()], "data", [round(v, 3) for v in q.tolist()])

# %% [markdown]
# **Which is the cause?**
#
# - (a) Rounding, near a divergence of 0.
# - (b) Probabilities that do not sum to 1.
# - (c) The mean is taken over the other distribution.
# - (d) The logarithm has the wrong base.

# %%
checks.clinic.guess("kl", ...)


# %%
def kl(p, q):
    """KL(p || q) in nats, for probabilities (N,), (N,)."""
    ### BEGIN SOLUTION
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum()
    ### END SOLUTION


kl = checks.clinic.kl(kl)

# %%
print(f"mended: {float(kl(model, q)):.2f} nats for that model; for the data {float(kl(q, q)):.2f}")

# %% [markdown]
# ## Silent: text
#
# The reviews are made-up sentences (a stand-in), and the encoder is tiny and random.

# %%
from sklearn.linear_model import SGDClassifier

from course_utils.datasets.reviews import load_reviews
from course_utils.models.pretrained import load_encoder

reviews = load_reviews("standin", limit=n_reviews)
held = load_reviews("standin", split="test", limit=n_reviews // 3)
encoder = load_encoder("standin", tier=run.tier, texts=reviews.texts)

# %% [markdown]
# ### Exercise: one hundred per cent
#
# *Medium, 8 minutes.* Rows are pairs (text, "pos" or "neg"), and the tokenizer takes a list of them
# without complaint. To test the whole program, the rows get **random labels**: on rows that it has
# not seen, nobody can then beat 50 %. A linear model that counts the ids of each row can.
#
# <details><summary>Hint 1</summary>Decode one row of <code>input_ids</code>, and read it.</details>
# <details><summary>Hint 2</summary><code>zip(*rows)</code> separates texts and labels. Labels are
# whole numbers from 0.</details>


# %%
def broken_encode(tokenizer, rows):
    """Rows (text, "pos" or "neg") -> ids, mask and labels."""
    batch = tokenizer(rows, padding=True, return_tensors="pt")
    return {**batch, "labels": torch.tensor([int(label == "pos") for _, label in rows])}


# %%
def accuracy_on_random_labels(encode):
    """Accuracy on unseen rows when all labels are random: a linear model that counts ids."""
    names = ["pos" if coin else "neg" for coin in torch.rand(400) < 0.5]
    batch = encode(encoder.tokenizer, list(zip(reviews.texts[:400], names)))
    counts = torch.stack([ids.bincount(minlength=2_000) for ids in batch["input_ids"]]).numpy()
    model = SGDClassifier(loss="log_loss", random_state=0).fit(counts[:200], batch["labels"][:200])
    return model.score(counts[200:], batch["labels"][200:])


# %%
print(f"accuracy on random labels: {accuracy_on_random_labels(broken_encode):.0%}")

# %% [markdown]
# **Which is the cause?**
#
# - (a) The test reviews were trained on.
# - (b) The label can be read in the input.
# - (c) The random labels are not random.
# - (d) Padding tells long reviews from short ones.

# %%
checks.clinic.guess("encode_batch", ...)


# %%
def encode_batch(tokenizer, rows):
    """Rows (text, "pos" or "neg") -> dict with input_ids, attention_mask (B, T) and labels (B,)
    int64, 1 for pos.
    """
    ### BEGIN SOLUTION
    texts, names = zip(*rows)
    batch = tokenizer(list(texts), padding=True, return_tensors="pt")
    return {**batch, "labels": torch.tensor([int(name == "pos") for name in names])}
    ### END SOLUTION


encode_batch = checks.clinic.encode_batch(encode_batch)

# %%
print(f"accuracy on random labels, mended: {accuracy_on_random_labels(encode_batch):.0%}")

# %% [markdown]
# ### Exercise: a loss that is too good
#
# *Easy, 5 minutes.* An untrained BERT for two classes reads 64 reviews. Below it stands a run of
# this kind, recorded on IMDB. The loss is below log 2 from the start and goes on falling, while
# the accuracy stays at one half.
#
# <details><summary>Hint 1</summary>With cross-entropy, what does a wrong answer between two classes
# cost at least?</details>
# <details><summary>Hint 2</summary>Print the shape of the logits. Two classes, two logits; labels
# are 0 and 1.</details>

# %%
from transformers import BertConfig, BertForSequenceClassification

sizes = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
}


# %%
def broken_classifier(vocab_size):
    """A small BERT that says how positive a review is, with the loss that the library chooses."""
    config = BertConfig(vocab_size=vocab_size, num_labels=1, **sizes)
    return BertForSequenceClassification(config)


# %%
rows = [(reviews.texts[i], ("neg", "pos")[reviews.labels[i]]) for i in range(64)]
batch = encode_batch(encoder.tokenizer, rows)
with torch.no_grad():
    out = broken_classifier(2_000).eval()(**batch)
print(f"untrained: loss {out.loss:.3f}; log 2 is {math.log(2):.3f}")

# %%
history = clinic.recorded("loss is not cross-entropy")
mean_accuracy = sum(history["accuracy"]) / len(history["accuracy"])
print(f"recorded: loss {history['loss'][0]:.2f}, at the end {history['loss'][-1]:.2f}; ", end="")
print(f"accuracy of all batches {mean_accuracy:.0%}")

# %% [markdown]
# **Which is the cause?**
#
# - (a) The learning rate is too high.
# - (b) The classes are not balanced.
# - (c) The labels are exchanged.
# - (d) The loss is not the one that you think.

# %%
checks.clinic.guess("make_classifier", ...)


# %%
def make_classifier(vocab_size):
    """A small BERT for two classes, whose own loss is cross-entropy; sizes as above."""
    ### BEGIN SOLUTION
    return BertForSequenceClassification(BertConfig(vocab_size=vocab_size, num_labels=2, **sizes))
    ### END SOLUTION


make_classifier = checks.clinic.make_classifier(make_classifier)

# %%
with torch.no_grad():
    out = make_classifier(2_000).eval()(**batch)
print(f"mended, untrained: loss {out.loss:.3f}; log 2 is {math.log(2):.3f}")

# %% [markdown]
# ### Exercise: one epoch, one half
#
# *Medium, 6 minutes.* A classifier that counts words gets one epoch, in batches of 16. On IMDB its
# training loss ended at {{result:clinic_imdb.json:sorted_last_loss:.3f}}, and it was right about
# {{result:clinic_imdb.json:sorted.value:.1%}} of the test reviews (three seeds). Here the same
# happens with the made-up sentences.
#
# <details><summary>Hint 1</summary>What does the classifier see in the first half of its epoch, and
# what in the second?</details>
# <details><summary>Hint 2</summary>One permutation for both lists, from a generator of its own
# with this seed.</details>


# %%
def broken_shuffle(texts, labels, seed):
    """Texts and labels in the order of an epoch."""
    pairs = sorted(zip(texts, labels), key=lambda pair: -pair[1])
    return [text for text, _ in pairs], [label for _, label in pairs]


# %%
from course_utils.learner.clinic_text import one_epoch


def score_order(order):
    """Test accuracy of a classifier that counts words, after one epoch in this order."""
    texts, labels = order(reviews.texts, reviews.labels.tolist(), 0)
    return one_epoch(texts, labels, held, batch_size=16)


# %%
print(held.title("test accuracy"), f"{score_order(broken_shuffle):.0%}")

# %% [markdown]
# **Which is the cause?**
#
# - (a) What came last is what it believes.
# - (b) It has memorised the training reviews.
# - (c) The test reviews are of another kind.
# - (d) One epoch is too short.

# %%
checks.clinic.guess("shuffled", ...)


# %%
def shuffled(texts, labels, seed):
    """Texts and labels in a random order that is a function of the seed; each review once, with its
    label.
    """
    ### BEGIN SOLUTION
    order = torch.randperm(len(texts), generator=torch.Generator().manual_seed(seed)).tolist()
    return [texts[i] for i in order], [labels[i] for i in order]
    ### END SOLUTION


shuffled = checks.clinic.shuffled(shuffled)

# %%
print(held.title("test accuracy, mended"), f"{score_order(shuffled):.0%}")

# %% [markdown]
# On IMDB the mended order gives {{result:clinic_imdb.json:shuffled.value:.1%}}
# ({{result:clinic_imdb.json:shuffled.low:.1%}} to {{result:clinic_imdb.json:shuffled.high:.1%}}).
#
# ## On paper
#
# ### Exercise: the first line that does not follow
#
# *Medium, 10 minutes.* “The value of the game at its solution is 0.” Lesson 1 says −log 4. Here is
# the proof, for probabilities $p$ and $q$, with $m = (p+q)/2$. A derivation is a program: *run it*.
# Write the tool that finds the first line that does not equal the one above, for any chain of
# lines.
#
# | line | what it says |
# | --- | --- |
# | 0 | $V = \sum p\log\frac{p}{p+q} + \sum q\log\frac{q}{p+q}$ |
# | 1 | $V = \sum p\log\frac{p}{m} + \sum q\log\frac{q}{m} - 2\log 2$ |
# | 2 | $V = \log\sum\frac{p^2}{m} + \log\sum\frac{q^2}{m} - 2\log 2$ |
# | 3 | $V = \log\left(\sum p \cdot \sum q\right) = \log 1 = 0$ |
#
# <details><summary>Hint</summary>Compare with the line <em>above</em>, at <em>every</em> point,
# with <code>math.isclose(..., rel_tol=1e-6, abs_tol=1e-9)</code>.</details>


# %%
def inside(p, m):
    """Mean over p of log(p / m)."""
    return (p * torch.log(p / m)).sum().item()


def outside(p, m):
    """Logarithm of the mean over p of p / m."""
    return (p * p / m).sum().log().item()


# %%
PROOF = [
    lambda p, q: inside(p, p + q) + inside(q, p + q),
    lambda p, q: inside(p, (p + q) / 2) + inside(q, (p + q) / 2) - 2 * math.log(2),
    lambda p, q: outside(p, (p + q) / 2) + outside(q, (p + q) / 2) - 2 * math.log(2),
    lambda p, q: math.log(p.sum() * q.sum()),
]

# %% [markdown]
# **Which line is wrong?**
#
# - (a) Line 1: p/(p + q) is not p/2m.
# - (b) Line 2: the logarithm of a mean is not the mean of logarithms.
# - (c) Line 3: the probabilities do not sum to 1.
# - (d) None: lesson 1 is about another game.

# %%
checks.clinic.guess("first_break", ...)


# %%
def first_break(lines, points):
    """Index of the first line (function of a point's entries) that differs from the one above at
    any point, or None.
    """
    ### BEGIN SOLUTION
    for k in range(1, len(lines)):
        for point in points:
            here, above = lines[k](*point), lines[k - 1](*point)
            if not math.isclose(here, above, rel_tol=1e-6, abs_tol=1e-9):
                return k
    return None
    ### END SOLUTION


first_break = checks.clinic.first_break(first_break)

# %%
same, other = (p_data.double(), p_data.double()), (p_data.double(), elsewhere.double())
print("asked at p = q alone: line", first_break(PROOF, [same]))
print("asked at two unequal distributions: line", first_break(PROOF, [same, other]))

# %% [markdown]
# ## Healthy?
#
# ### Exercise: first prove that it is broken
#
# *Hard, 12 minutes.* The next step fills one label tensor in place, makes the fakes a second time,
# and takes more noise than data: three complaints that you will hear in code reviews. Is it ill?
# Write the test that tells whether two steps *train alike*.
#
# <details><summary>Hint 1</summary>Give each step its own players: <code>make_players()</code> of
# {{exercise:critic_step}} always makes the same ones. Play <em>all</em> batches.</details>
# <details><summary>Hint 2</summary>Compare all weights of <em>both</em> networks at the end, up to
# rounding: <code>torch.allclose(a, b, atol=1e-6)</code>.</details>


# %%
def suspicious_step(generator, discriminator, g_optimizer, d_optimizer, real, noise):
    """One step of both players on logits. Returns both losses."""
    labels, bce = torch.empty(len(real), 1), F.binary_cross_entropy_with_logits
    d_optimizer.zero_grad()
    real_loss = bce(discriminator(real), labels.fill_(1.0))
    real_loss.backward()
    labels = torch.empty(len(noise), 1)
    fake_loss = bce(discriminator(generator(noise).detach()), labels.fill_(0.0))
    fake_loss.backward()
    d_optimizer.step()
    g_loss = bce(discriminator(generator(noise)), labels.fill_(1.0))
    g_optimizer.zero_grad()
    g_loss.backward()
    g_optimizer.step()
    return (real_loss + fake_loss).item(), g_loss.item()


# %% [markdown]
# **What is wrong with it?**
#
# - (a) The labels are overwritten before they are used.
# - (b) The fakes of the two halves differ.
# - (c) It is not ill.
# - (d) Means over 5 and over 8 examples may not be added.

# %%
checks.clinic.guess("same_training", ...)


# %%
def same_training(step, other, make_players, batches):
    """Whether two training steps lead to the same weights (bool).

    make_players() gives generator, discriminator and their optimisers; batches: list of (real,
    noise).
    """
    ### BEGIN SOLUTION
    ends = []
    for one in (step, other):
        players = make_players()
        for real, noise in batches:
            one(*players, real, noise)
        weights = [p.detach().flatten() for net in players[:2] for p in net.parameters()]
        ends.append(torch.cat(weights))
    return torch.allclose(ends[0], ends[1], atol=1e-6)
    ### END SOLUTION


same_training = checks.clinic.same_training(same_training)

# %%
trials = [(torch.randn(n, 1), torch.randn(8, 2)) for n in (8, 5, 1)]
for name, step in (("suspicious_step", suspicious_step), ("broken_gan_step", broken_gan_step)):
    print(f"{name} trains like yours: {same_training(step, gan_step, make_players, trials)}")

# %% [markdown]
# ## The last mystery
#
# ### Exercise: one script, three faults
#
# *Hard, 30 minutes.* The script below trains a reader of digits and measures it. A sound one
# misreads fewer than one test digit in ten; this one hardly does better than chance. It has
# **three faults**, none of them a case from above. Your budget is **ten runs** of a whole script,
# and the cell below the script spends the first. Looking at tensors costs nothing.
#
# *Make the case small*: cut the program in halves, and give each half an input for which you know
# the answer: a picture that you have drawn yourself, labels that you have looked at, one batch, a
# test set that is the training set. If the answer is the one that you expected, that half is
# innocent: go on with the other.
#
# Write down what you expect *before* each run. Change one thing at a time, and change it back when
# nothing came of it.
#
# <details><summary>Hint 1</summary>Three questions: what enters the network (a picture, and its
# label), what moves (rate, weights), what is measured?</details>
# <details><summary>Hint 2</summary>Give the training digits as test digits. Print the learning
# rate after each epoch. Draw the first and the last picture that enter, with their
# labels.</details>


# %%
def broken_script(train, test):
    """Train a reader of digits and measure it.

    train, test: pairs of pictures (N, 64), numbers from 0 to 16, and labels (N,), 0 to 9.
    Returns {"train": accuracy, "test": accuracy}.
    """
    epochs, batch_size, width = 10, 64, 64
    rate, decay = 1e-2, 0.8  # after each epoch, rate times decay

    # hardly any ink: left out
    pictures, labels = train
    ink = pictures.sum(dim=1)
    enough = ink > ink.quantile(0.01)
    pictures, labels = pictures[enough], labels[: enough.sum()]

    # mean 0, deviation 1
    pictures = pictures.float() / 16
    mean, deviation = pictures.mean(), pictures.std()
    pictures = (pictures - mean) / deviation

    model = nn.Sequential(
        nn.Linear(64, width),
        nn.ReLU(),
        nn.Dropout(0.1),
        nn.Linear(width, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, decay)

    # training
    for _ in range(epochs):
        model.train()
        order = torch.randperm(len(pictures))
        for rows in order.split(batch_size):
            logits = model(pictures[rows])
            loss = F.cross_entropy(logits, labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()

    # measuring
    model.eval()
    test_pictures, test_labels = test
    test_pictures = test_pictures.float() / 255
    test_pictures = (test_pictures - mean) / deviation
    with torch.no_grad():
        train_right = model(pictures).argmax(dim=1) == labels
        test_right = model(test_pictures).argmax(dim=1) == test_labels
    return {
        "train": train_right.float().mean().item(),
        "test": test_right.float().mean().item(),
    }


# %%
raw = torch.tensor(digits.images).flatten(1)  # (1797, 64), 0 to 16
train, test = (raw[:1_200], y[:1_200]), (raw[1_200:], y[1_200:])
runs_left = clinic.Budget(10)
result = runs_left(broken_script, train, test)

# %% [markdown]
# In a cell of your own, `runs_left(script, train, test)` runs any version and counts. (Running the
# cell above again starts a new count.)


# %%
def mystery(train, test):
    """The script, mended in three places. Returns {"train": accuracy, "test": accuracy}."""
    ### BEGIN SOLUTION
    pictures, labels = train
    ink = pictures.sum(dim=1)
    enough = ink > ink.quantile(0.01)
    pictures, labels = pictures[enough], labels[enough]
    pictures = pictures.float() / 16
    mean, deviation = pictures.mean(), pictures.std()
    pictures = (pictures - mean) / deviation
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 10))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.8)
    for _ in range(10):
        for rows in torch.randperm(len(pictures)).split(64):
            loss = F.cross_entropy(model(pictures[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
    model.eval()
    test_pictures = (test[0].float() / 16 - mean) / deviation
    with torch.no_grad():
        scores = [
            (model(inputs).argmax(dim=1) == labels).float().mean().item()
            for inputs, labels in ((pictures, labels), (test_pictures, test[1]))
        ]
    return {"train": scores[0], "test": scores[1]}
    ### END SOLUTION


mystery = checks.clinic.mystery(mystery)

# %%
result = mystery(train, test)
print(f"mended: {result['test']:.1%} of the test digits; runs spent: {runs_left.spent} of 10")

# %% [markdown]
# ## What a trace can tell, and when it goes wrong
#
# A *trace* is what a training writes down step by step: its losses, and what else it measured.
# Lesson 1's `diagnose` reads traces of GANs, VAEs and classifiers. These are its rules; a state
# counts when it lasts for a fifth of the run. Below the table stands what it says about run B of
# {{exercise:is_equilibrium}}.

# %%
display(Markdown(diagnose.rules("GAN", "VAE", "classifier")))
for finding in diagnose.diagnose(runs["run B"]):
    print(finding)

# %% [markdown]
# Two of its rules are theorems, the others habits of healthy runs. But most cases of this lesson
# leave **no** trace in any curve: a leaked label, a layer that is never trained, a wrong line on
# paper. Those need a test, or a doubt.
#
# ## Your checklist
#
# The cell prints your score, and one habit for each case that you mended yourself. Add notes of
# your own, run it again, and keep the page.

# %%
checks.clinic.first_sight()
notes = {"7.4": "The message names the victim, not the culprit."}  # your own lines, by exercise
page = clinic.checklist(globals(), notes)
display(Markdown(page))
print("saved in the folder of your runs as", clinic.save_checklist(page).name)

# %% [markdown]
# ## Questions
#
# **1. A network of yours stops with “… modified by an inplace operation”. First thing to do?** (a)
# `retain_graph=True` (b) `inplace=False` in all activations (c) look for an optimiser's step
# between a forward pass and its backward (d) `detach()` everywhere
#
# <details><summary>Answer</summary>(c): a step changes weights in place. (a) keeps graphs, not
# weights. (b) helps only where an activation overwrites what is needed. (d) cuts gradients that
# you may want.</details>
#
# **2. Which test separates right from wrong?** (a) the loss is finite (b) both networks' weights
# change (c) a KL is 0 at p = q (d) three SGD steps equal those of an independent implementation
#
# <details><summary>Answer</summary>(d). (a) and (b) hold for most patients of this lesson. (c)
# holds for every wrong direction and factor: never test at a symmetric point only.</details>
#
# **3. Training accuracy is 100 % after two batches.** (a) celebrate (b) train again on random
# labels (c) lower the learning rate (d) train longer
#
# <details><summary>Answer</summary>(b): if held-out accuracy stays, the label is in the input. (a)
# may be premature. (c) and (d) change how fast, not what, is learned.</details>
#
# **4. Your program memorises one batch, and learns nothing from the whole set.** (a) the loss has
# a floor (b) look at what differs between one batch and many: the order, the labels, the rate (c)
# the network is too large (d) the test is useless
#
# <details><summary>Answer</summary>(b): a small case that works is half of the search. (a) would
# have shown on one batch. (c) Large networks learn whole sets as well. (d) It has just ruled out
# half of your program.</details>
#
# ## Recap
#
# You read messages for their causes instead of their advice, recognised programs that run, look
# right and are wrong, wrote tests that separate right from wrong, doubted numbers and proofs in the
# right places, and left alone what was not broken.
#
# **What this did not show.** Faults of hardware, memory and parallel runs; faults that need a
# full-size model to appear; and your own, next week.
#
# **Sources.** Goodfellow et al. 2014, [arXiv 1406.2661](https://arxiv.org/abs/1406.2661), equation
# 1, algorithm 1, theorem 1 · Radford et al. 2016, [arXiv
# 1511.06434](https://arxiv.org/abs/1511.06434), sections 3 and 4 · Kingma and Welling 2014, [arXiv
# 1312.6114](https://arxiv.org/abs/1312.6114), equation 3, appendix B · Devlin et al. 2019, [arXiv
# 1810.04805](https://arxiv.org/abs/1810.04805), section 3 · Karpathy 2019, [A Recipe for Training
# Neural Networks](https://karpathy.github.io/2019/04/25/recipe/) · digits: Alpaydin and Kaynak
# 1998, [Optical Recognition of Handwritten Digits](https://archive.ics.uci.edu/dataset/80), as in
# scikit-learn.
#
# **Next:** your own program. Take the checklist along.
