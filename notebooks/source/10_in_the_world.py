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
# # 10. In the world
#
# In this lesson you question the course's own models as a buyer, an attacker and a citizen would.
# What are they good for? What do they cost? What can go wrong? One answer to start with. A network
# names {{result:world_robust.json:accuracy.value:.0%}} of CIFAR-10's test photographs correctly.
# Move every pixel up or down by 2 of 255 grey levels, by the toss of a coin: only
# {{result:world_robust.json:noise_2.value:.1%}} of its answers change. But a change that is *aimed*
# at the network, and that no eye sees either, turns half of them. How small it is, you will guess
# first and then measure.
#
# **You will learn to** test whether generated pictures are worth their price, and compute that
# price · shrink a network until it breaks · attack pictures and reviews · measure bias in pairs ·
# measure how much a model gives away of its training data, and protect it · mark and sign what a
# model made · plan a training on several machines.
#
# **You need** lesson 2 (its generator), lesson 5 (the GPT, bits per byte) and lesson 6 (FD). All
# networks come trained.
#
# **Time** about {{minutes}} minutes to read and solve. The computer works as long as this table
# says, and on your machine as long as the line under the settings says.
#
# {{tiers}}
#
# Each section asks a question and measures the answer. Then it says what the answer does *not*
# show. Most sections let you predict first. Write your guess in place of the `...`; the line that
# ends in `.beside(...)` prints it next to what was measured. A guess is never marked.
#
# ## Set-up
#
# Two sets of film reviews return all the time. **IMDB** is what lesson 5's GPT learned from. The
# **critics' sentences** are single sentences of film critics, each positive or negative; the GPT
# has never read them. The **feature network** is the picture classifier behind lesson 6's FD. The
# **word counter** is lesson 4's baseline: logistic regression on how often each word stands in a
# review.

# %%
import copy
import hashlib
import hmac
import io
import itertools
import json
import math
import re
import time

# %%
# before torch: waiting threads sleep
from course_utils import assets, checks, results, runtime
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.feature_extraction.text import TfidfVectorizer
from torch import nn

from course_utils.datasets import corruptions, images, reviews, texts
from course_utils.datasets.cifar10 import CLASSES
from course_utils.display import palette, plots, text_plots

# %%
from course_utils.evaluation import language_models, metrics
from course_utils.evaluation.bag_of_words import bag_of_words
from course_utils.models import attention, dcgan, gpt_training, small_classifier, watermark
from course_utils.models.features import load_feature_network

run = runtime.setup(seed=0)

# %% [markdown]
# What you may want to change, with the values of the three tiers side by side:

# %%
from course_utils.machine import minutes_here

# fmt: off
#                    smoke  laptop    gpu
n_few     = run.pick(   60,    500,   500)  # labelled pictures of an owner who has few
steps     = run.pick(    5,    400,   400)  # training steps of a small picture classifier
n_images  = run.pick(  100,  2_000, 2_000)  # pictures that are attacked, scored and counted
n_reviews = run.pick(  100,  1_000, 2_500)  # reviews of a test
tuning    = run.pick(    3,     40,    40)  # steps in which the GPT reads secrets
n_private = run.pick(   40,    300,   300)  # reviews that it learns from
n_codes   = run.pick(  100,  1_000, 1_000)  # other codes that a secret is compared with
n_written = run.pick(    4,     50,   200)  # texts that it writes
pictures  = None    # None: CIFAR-10 where it is on this machine; or your own folder
# None: critics' sentences, which the shipped GPT has never read; or your own folder
source    = None
# fmt: on
minutes_here.tell(run, "10_in_the_world")

# %%
train = images.load_images(pictures, limit=max(4 * n_few, n_images))
test = images.load_images(pictures, "test", limit=n_images)
n_each = metrics.fitting_n(400, train, test)  # pictures on each side of one FD
source = source or ("sentences" if assets.at_hand("sentences") else "standin")
read = reviews.load_reviews(source)  # to learn from
unread = reviews.load_reviews(source, "test", limit=n_reviews)

# %%
generator, facts = dcgan.load_shipped_generator()  # lesson 2's GAN
judge = load_feature_network()  # the CNN behind lesson 6's scores
writer, tokenizer, _ = attention.load_shipped()  # lesson 5's GPT
print(train, test, read, unread, sep="\n")

# %% [markdown]
# ## Is it worth it?
#
# **Question.** You own a few hundred labelled pictures. A generator offers as many more as you
# like. Will they make your classifier better?
#
# A generated picture needs a label. The feature network gives it here, and that is generous: it was
# trained on 50,000 labels, which nobody with a few hundred has. All classifiers below get the same
# number of steps, and are tested on the same real pictures.
#
# ### Exercise: predict the gain
#
# *Easy, 2 minutes.* Two classifiers learn from pictures that are shifted and mirrored by chance
# ("moved"). One gets the real pictures alone. The other gets four generated pictures for each real
# one as well. By how many *percentage points* is the second more accurate? A negative number says
# that it is worse.

# %%
generated_gain = ...
generated_gain = checks.world.generated_gain(generated_gain)

# %%
few = train.take(n_few)
noise = torch.randn(4 * len(few), int(facts["latent_dim"]), 1, 1)
made = dcgan.sample(generator, noise)  # uint8 (4 N, 3, 32, 32)
named = small_classifier.classes_of(judge, made)

# %% [markdown]
# Twenty of them. Would you give them the same names?

# %%
figure, axes = plots.subplots(2, 10, width=9.5, height=2.6)
for ax, picture, label in zip(axes, made, named):
    plots.image_grid(ax, picture[None], 1, CLASSES[label])
plots.show(
    figure,
    alt="Twenty generated pictures, each with the class that the feature network gives it: some look like it, and some like nothing.",
)

# %%
both = torch.cat([few.images, made]), torch.cat([few.labels, named])
four = train.take(4 * n_few)
sets = {  # pictures, labels, whether they are moved
    "real pictures": (few.images, few.labels, False),
    "moved": (few.images, few.labels, True),
    "moved, and 4 generated each": (*both, True),
    "moved, and 3 more real ones each": (four.images, four.labels, True),
}

# %%
right = {}
for name, (x, y, augment) in sets.items():
    network = small_classifier.fit(x, y, steps, augment=augment)
    right[name] = small_classifier.classes_of(network, test.images) == test.labels
    low, high = metrics.wilson_interval(int(right[name].sum()), len(test))
    print(f"{test.title(name)}: {right[name].float().mean():.1%} ({low:.1%} to {high:.1%})")

# %%
with_them, without = right["moved, and 4 generated each"], right["moved"]
gain = 100 * (with_them.float() - without.float())
mean, low, high = metrics.mean_interval(gain.tolist())
print(f"gain by generated pictures: {mean:+.1f} points ({low:+.1f} to {high:+.1f}, over pictures)")
generated_gain.beside(mean, "+.1f")

# %% [markdown]
# One run may be luck. The course measured {{result:world_worth.json:seeds}} seeds, each with other
# pictures ({{result:world_worth.json:data}}, {{result:world_worth.json:few}} real pictures,
# {{result:world_worth.json:steps}} steps). The last column compares with "moved", seed by seed, in
# percentage points (95 % interval over seeds):
#
# | trained on | accuracy | minus "moved" |
# | --- | --- | --- |
# | real pictures | {{result:world_worth.json:plain.value:.1%}} | {{result:world_worth.json:plain.gain.value:+.1%}} ({{result:world_worth.json:plain.gain.low:+.1%}} to {{result:world_worth.json:plain.gain.high:+.1%}}) |
# | the same, moved | {{result:world_worth.json:moved.value:.1%}} | |
# | moved, and 1 generated each | {{result:world_worth.json:dcgan_1.value:.1%}} | {{result:world_worth.json:dcgan_1.gain.value:+.1%}} ({{result:world_worth.json:dcgan_1.gain.low:+.1%}} to {{result:world_worth.json:dcgan_1.gain.high:+.1%}}) |
# | moved, and 4 generated each | {{result:world_worth.json:dcgan_4.value:.1%}} | {{result:world_worth.json:dcgan_4.gain.value:+.1%}} ({{result:world_worth.json:dcgan_4.gain.low:+.1%}} to {{result:world_worth.json:dcgan_4.gain.high:+.1%}}) |
# | moved, and 3 more real ones each | {{result:world_worth.json:real_4.value:.1%}} | {{result:world_worth.json:real_4.gain.value:+.1%}} ({{result:world_worth.json:real_4.gain.low:+.1%}} to {{result:world_worth.json:real_4.gain.high:+.1%}}) |
#
# Moving the pictures helps, for two lines of code. More real pictures help, too. Our generator's
# pictures do harm. A likely reason: now most of the same steps are spent on worse pictures, some of
# them with a wrong label. A generator can only hand on what *its* training pictures held, and loses
# some of it on the way.
#
# **Limit.** Our generator is small and does not know classes. With a diffusion model for ImageNet
# there was a gain ([Azizi et al. 2023](https://arxiv.org/abs/2304.08466)). Models that
# learn from models, over and over, lose the rare cases first
# ([Shumailov et al. 2023](https://arxiv.org/abs/2305.17493)).
#
# ### What does it cost?
#
# A network of $N$ weights that learns from $D$ tokens takes about $6ND$ floating-point operations:
# two for each weight and token forwards, four backwards ([Kaplan et al.
# 2020](https://arxiv.org/abs/2001.08361), section 2.1). The rest is the machine's speed, its power,
# and the price of energy.
#
# ### Exercise: the price of a training
#
# *Easy, 6 minutes.* A training needs `flops` operations. The machine does `flops_per_second` and
# draws `watts`. Return the hours, the kilowatt hours and the money, in this order.
#
# <details><summary>Hint 1</summary>Operations divided by operations per second are
# seconds.</details>
# <details><summary>Hint 2</summary>A watt for an hour is a watt hour; the price is for a thousand
# of them.</details>


# %%
def training_cost(flops, flops_per_second, watts, price_per_kwh):
    """Four numbers -> (hours, kWh, money)."""
    ### BEGIN SOLUTION
    hours = flops / flops_per_second / 3600
    kwh = hours * watts / 1000
    return hours, kwh, kwh * price_per_kwh
    ### END SOLUTION


training_cost = checks.world.training_cost(training_cost)

# %% [markdown]
# Try it on a published figure. GPT-3 took $3.14\cdot10^{23}$ operations ([Brown et al.
# 2020](https://arxiv.org/abs/2005.14165), appendix D). [Patterson et al.
# 2021](https://arxiv.org/abs/2104.10350) report V100 GPUs. Each did 24.6 · 10¹² operations in a
# second and drew 330 W, and the building took 10 % more for cooling and the like. They arrive at
# 1,287 MWh. Do you?

# %%
hours, kwh, _ = training_cost(3.14e23, 24.6e12, watts=330, price_per_kwh=0)
print(f"{hours:,.0f} GPU hours, {1.1 * kwh / 1000:,.0f} MWh with cooling")
assert abs(1.1 * kwh / 1000 / 1287 - 1) < 0.02

# %% [markdown]
# Now your own sheet. Change the next three lines to what holds for you:

# %%
price = 0.30  # money per kWh
watts = 45.0  # of a laptop under load; a plug-in meter tells
gpu = {"flops_per_second": 400e12, "watts": 700}  # assumed: an H100 at 40 % of its peak

# %%
a = torch.randn(1024, 1024)
a @ a  # the first product warms up
began = time.perf_counter()
for _ in range(10):
    a @ a
speed = 10 * 2 * 1024**3 / (time.perf_counter() - began)
print(f"this processor: {speed / 1e9:.0f} billion operations per second in a matrix product")

# %%
weights = sum(p.numel() for p in writer.parameters())
seen = results.read("gpt_reviews.json")["tokens_seen"]  # in its training
here = {"flops_per_second": speed, "watts": watts}
sheet = {
    "lesson 5's GPT, here": (6 * weights * seen, here),
    "lesson 5's GPT, one GPU": (6 * weights * seen, gpu),
    "GPT-3, one GPU": (3.14e23, gpu),
    "one of our answers, 200 tokens, here": (2 * weights * 200, here),
}

# %%
rows = []
for name, (flops, machine) in sheet.items():
    hours, kwh, money = training_cost(flops, **machine, price_per_kwh=price)
    rows.append((name, f"{flops:.1e}", f"{hours:,.2g}", f"{kwh:,.2g}", f"{money:,.2g}"))
text_plots.table(["what", "FLOPs", "hours", "kWh", "money"], rows, "costs at your prices")

# %%
began = time.perf_counter()
counter = bag_of_words().fit(read.texts, read.labels)
seconds = time.perf_counter() - began
print(f"lesson 4's word counter, trained in {seconds:.1f} s: {watts * seconds / 3.6e6:.0e} kWh")

# %% [markdown]
# Compare this with GPT-3's kilowatt hours. So ask first what
# the cheap end can do. The word counter names {{result:world_text.json:accuracy.value:.0%}} of the
# critics' verdicts correctly ({{result:world_text.json:accuracy.low:.0%}} to
# {{result:world_text.json:accuracy.high:.0%}}, on {{result:world_text.json:reviews:,d}} sentences).
#
# **Limit.** A matrix product is the best case; real trainings reach a part of that speed. The sheet
# also leaves out making the machines, failed runs, and all answers that will ever be given
# ([Luccioni et al. 2023](https://arxiv.org/abs/2211.02001) count more of it for one model).
#
# ## Making it small
#
# **Question.** The shipped GPT stores each weight in 16 bits. How many does it need?
#
# Give each row of a matrix its own step, and round each entry to a whole number of steps. The row's
# largest entry becomes the largest whole number that `bits` can hold, when one bit is for the sign:


# %%
def rounded(matrix, bits):
    """Each row (R, C) as whole numbers of ``bits`` bits times one step for the row."""
    most = 2 ** (bits - 1) - 1
    step = matrix.abs().amax(dim=1, keepdim=True) / most
    return (matrix / step).round() * step


# %% [markdown]
# ### Exercise: predict how small
#
# *Easy, 2 minutes.* We try 8, 6, 5, 4, 3 and 2 bits for each weight. What is the smallest number
# with which the network's bits per byte still rise by less than 1 %?

# %%
bits_needed = ...
bits_needed = checks.world.bits_needed(bits_needed)


# %%
def smaller(model, bits):
    """A copy of a network, its matrices rounded."""
    model = copy.deepcopy(model)
    with torch.no_grad():
        for weight in model.parameters():
            if weight.dim() == 2:
                weight.copy_(rounded(weight, bits))
    return model


# %%
held_out = list(unread.texts[: n_reviews // 5])
held_ids = texts.encode(tokenizer, held_out)


def bits_of(model):
    """Bits per byte on the held-out reviews."""
    return language_models.score(model, held_ids, held_out, model.context).value


# %%
whole = bits_of(writer)
loss_at = {bits: bits_of(smaller(writer, bits)) / whole - 1 for bits in (8, 6, 5, 4, 3, 2)}
for bits, loss in loss_at.items():
    print(f"{bits} bits: {weights * bits / 8e6:.1f} MB, {100 * loss:+.2f} % bits per byte")
bits_needed.beside(min((b for b, loss in loss_at.items() if loss < 0.01), default=9))

# %% [markdown]
# The course's measurement, paired over {{result:world_small.json:documents}} documents of
# {{result:world_small.json:data}}; the whole network needs
# {{result:world_small.json:whole.value:.3f}} bits per byte:
#
# | weights | MB | more bits per byte (95 % over documents) |
# | --- | --- | --- |
# | 8 bits | {{result:world_small.json:bits_8.mb:.1f}} | {{result:world_small.json:bits_8.value:+.4f}} ({{result:world_small.json:bits_8.low:+.4f}} to {{result:world_small.json:bits_8.high:+.4f}}) |
# | 4 bits | {{result:world_small.json:bits_4.mb:.1f}} | {{result:world_small.json:bits_4.value:+.3f}} ({{result:world_small.json:bits_4.low:+.3f}} to {{result:world_small.json:bits_4.high:+.3f}}) |
# | 2 bits | {{result:world_small.json:bits_2.mb:.1f}} | {{result:world_small.json:bits_2.value:+.2f}} ({{result:world_small.json:bits_2.low:+.2f}} to {{result:world_small.json:bits_2.high:+.2f}}) |
# | the smallest 30 % set to 0 | | {{result:world_small.json:pruned_30.value:+.3f}} ({{result:world_small.json:pruned_30.low:+.3f}} to {{result:world_small.json:pruned_30.high:+.3f}}) |
# | the smallest 50 % | | {{result:world_small.json:pruned_50.value:+.3f}} ({{result:world_small.json:pruned_50.low:+.3f}} to {{result:world_small.json:pruned_50.high:+.3f}}) |
#
# Half of the 16 bits can go, and nothing measurable goes with them. With 4 bits the loss is small
# but clear: its interval lies above 0. Between 4 and 2 bits there is a cliff. The last two rows
# show another way, **pruning**: leave small weights out. Whoever ships a smaller network should say
# what it lost, with the interval.
#
# **Limit.** Bytes are not time: these weights become floats again before they multiply. In networks
# of billions of weights the *activations* have a few very large entries. They spoil plain rounding,
# and are computed apart ([Dettmers et al. 2022](https://arxiv.org/abs/2208.07339)). A third way is
# a small network that imitates a large one ([Hinton et al. 2015](https://arxiv.org/abs/1503.02531)).
#
# ## Robustness: what a small change does
#
# **Question.** How far must every pixel move until the network changes its mind on half of the
# pictures?
#
# With noise it is far. An attacker does better. The gradient of the loss *with respect to the
# picture* says for each pixel in which direction the answer becomes worse. Move every pixel by
# the same small amount that way ([Goodfellow et al. 2015](https://arxiv.org/abs/1412.6572), section
# 4, the *fast gradient sign method*):
#
# $$x' = x + \varepsilon\,\mathrm{sign}\bigl(\nabla_x\,\mathrm{loss}(x)\bigr).$$


# %%
def worst_direction(network, images):
    """Signs (N, 3, H, W) that raise the loss of the network's own answers: uint8 (N, 3, H, W)."""
    x = dcgan.to_tanh_range(images).requires_grad_(True)
    logits = network(x)
    loss = F.cross_entropy(logits, logits.argmax(1), reduction="sum")
    return torch.autograd.grad(loss, x)[0].sign()


# %% [markdown]
# ### Exercise: predict the size
#
# *Easy, 2 minutes.* Pixels have 256 grey levels. At which size $\varepsilon$, in grey levels, does
# half of the answers change?

# %%
flip_size = ...
flip_size = checks.world.flip_size(flip_size)

# %%
victims = test.images[:500]
uphill = worst_direction(judge, victims)
coin = torch.randn(uphill.shape).sign()  # the same size, without knowledge


# %%
@torch.no_grad()
def flipped(direction, size):
    """bool (N,): which answers change when pixels move by ``size`` grey levels."""
    x = dcgan.to_tanh_range(victims)
    changed = (x + size / 127.5 * direction).clamp(-1, 1)
    return judge(changed).argmax(1) != judge(x).argmax(1)


# %%
sizes = [0, 0.5, 1, 1.5, 2, 3, 4, 6, 8]
attacked = [flipped(uphill, size).float().mean().item() for size in sizes]
by_chance = [flipped(coin, size).float().mean().item() for size in sizes]
half = next((size for size, share in zip(sizes, attacked) if share >= 0.5), sizes[-1])
flip_size.beside(half)

# %%
changed = flipped(uphill, half).nonzero().flatten().tolist()
one = slice(changed[0], changed[0] + 1) if changed else slice(0, 1)  # a picture that flips
before, arrows = victims[one], uphill[one]
after = (before + half * arrows).round().clamp(0, 255).to(torch.uint8)
shown = before, (127.5 + 100 * arrows).to(torch.uint8), after
said = [CLASSES[int(small_classifier.classes_of(judge, x))] for x in (before, after)]

# %% [markdown]
# Compare the first picture with the third, then the two curves on the right:

# %%
figure, axes = plots.subplots(1, 4, width=9.5, height=2.6)
titles = (f"“{said[0]}”", f"the change × {100 / half:.0f}", f"“{said[1]}”")
for ax, picture, title in zip(axes, shown, titles):
    plots.image_grid(ax, picture, 1, title)
plots.curves(
    axes[3], sizes, {"attack": attacked, "coin": by_chance}, "grey levels", "share flipped"
)
axes[3].set_ylim(0, 1)
plots.show(
    figure,
    alt="A picture, the signs of its gradient drawn far too strong, and their sum, which looks the same and gets another answer. Right: the share of changed answers rises past one half within two or three grey levels; under changes of the same size by coin it stays near 0.",
)

# %% [markdown]
# The course attacked {{result:world_robust.json:pictures:,d}} pictures of
# {{result:world_robust.json:data}}. Half of the answers have changed at about
# {{result:world_robust.json:half:.1f}} grey levels. At 2 grey levels it is
# {{result:world_robust.json:attack_2.value:.0%}} ({{result:world_robust.json:attack_2.low:.0%}} to
# {{result:world_robust.json:attack_2.high:.0%}}); by coin it is
# {{result:world_robust.json:noise_2.value:.1%}}
# ({{result:world_robust.json:noise_2.low:.1%}} to {{result:world_robust.json:noise_2.high:.1%}}).
# A picture has 3,072 values. Tiny steps in all of them add up, if each raises the loss.
#
# FD, the score of lesson 6, looks through the same network. Does it see what you cannot?

# %%
reference = metrics.RealReference.from_images(train, test, n_each, network=judge, names=("FD",))
parts = test.images[: 5 * n_each].split(250)
moved_by_2 = [(x + 2 * worst_direction(judge, x)).round().clamp(0, 255) for x in parts]
rows = {
    "untouched": reference.floor["FD"],
    "2 grey levels uphill": reference.score(torch.cat(moved_by_2).to(torch.uint8))["FD"],
    "noise of 8 grey levels": reference.score(corruptions.noisy(test.images, 8))["FD"],
}

# %%
for name, score in rows.items():
    print(f"{test.title(name)}: FD {score.value:.2f} ({score.low:.2f} to {score.high:.2f})")

# %% [markdown]
# The course's measurement, with {{result:world_robust.json:n:,d}} pictures on each side of a score:
#
# | pictures | FD (95 %) |
# | --- | --- |
# | untouched | {{result:world_robust.json:fd.untouched.value:.2f}} |
# | moved uphill by 2 grey levels | {{result:world_robust.json:fd.attack_2.value:.2f}} ({{result:world_robust.json:fd.attack_2.low:.2f}} to {{result:world_robust.json:fd.attack_2.high:.2f}}) |
# | noise of 8 grey levels | {{result:world_robust.json:fd.noise_8.value:.2f}} ({{result:world_robust.json:fd.noise_8.low:.2f}} to {{result:world_robust.json:fd.noise_8.high:.2f}}) |
#
# Strong noise raises FD a little. The invisible change raises it much more: FD sees what its
# network sees. The trick works the other way, too: FD can be lowered without better pictures
# ([Kynkäänniemi et al. 2023](https://arxiv.org/abs/2203.06026)).
#
# ### Reviews
#
# A text has no pixels. But one can misspell a word, or add a sentence that says nothing about the
# film. The victim is the word counter.


# %%
def p_positive(sentences):
    """(N,): the word counter's probability that each review is positive."""
    return torch.tensor(counter.predict_proba(list(sentences))[:, 1])


def says(sentences):
    """bool (N,): which reviews the word counter calls positive."""
    return p_positive(sentences) > 0.5


# %%
def misspelt(text):
    """Every review that one typo can make: the second and third letter of a word swapped."""
    words = text.split()
    for i, word in enumerate(words):
        if len(word) > 3 and word[1] != word[2]:
            wrong = word[0] + word[2] + word[1] + word[3:]
            yield " ".join([*words[:i], wrong, *words[i + 1 :]])


# %%
clean = says(unread.texts)
attacks = {
    "add “The popcorn was great.”": says(f"{x} The popcorn was great." for x in unread.texts),
    "add “I saw it on a Tuesday.”": says(f"{x} I saw it on a Tuesday." for x in unread.texts),
    "the first possible typo": says(next(misspelt(x), x) for x in unread.texts),
}


# %%
def some_typo_flips(text, answer):
    """Whether one of all possible typos changes the answer."""
    tries = list(misspelt(text))
    return bool(tries) and bool((says(tries) != answer).any())


# %%
sample = list(zip(unread.texts, clean))[:200]
turned = [bool(answer) != some_typo_flips(text, answer) for text, answer in sample]
attacks["the worst possible typo"] = torch.tensor(turned)  # answers after the attack
for name, answers in attacks.items():
    low, high = metrics.wilson_interval(int((answers != clean[: len(answers)]).sum()), len(answers))
    print(f"{name}: between {low:.0%} and {high:.0%} of the answers change")

# %% [markdown]
# The course's measurement ({{result:world_text.json:data}}): good popcorn changes
# {{result:world_text.json:popcorn.value:.0%}} of {{result:world_text.json:reviews:,d}} answers
# ({{result:world_text.json:popcorn.low:.0%}} to {{result:world_text.json:popcorn.high:.0%}}). The
# first possible typo changes {{result:world_text.json:typo.value:.0%}}. An attacker who may choose
# the typo changes {{result:world_text.json:worst_typo.value:.0%}}
# ({{result:world_text.json:worst_typo.low:.0%}} to {{result:world_text.json:worst_typo.high:.0%}},
# on {{result:world_text.json:worst_of}} of them). *Average* and *worst case* are two different
# numbers. Ask which one you were told.
#
# **Limit.** These attackers know the network or may ask it as often as they like. Training on
# attacks makes a network more robust ([Madry et al. 2018](https://arxiv.org/abs/1706.06083)), at
# least against attacks of that kind. Networks that answer questions about a text fall for added
# sentences, too ([Jia and Liang 2017](https://arxiv.org/abs/1707.07328)).
#
# ## Bias: the same review, another person
#
# **Question.** Does the word counter like a film better when each *he* in the review becomes a
# *she*, and each *father* a *mother*? Everything else stays the same, so each review is its own
# control.

# %%
other = {"he": "she", "his": "her", "him": "her", "himself": "herself", "man": "woman"}
other |= {"men": "women", "boy": "girl", "actor": "actress", "father": "mother", "son": "daughter"}
other |= {"husband": "wife", "brother": "sister"}
pattern = re.compile(rf"\b({'|'.join(other)})\b", re.IGNORECASE)


# %%
def swapped(text):
    """The text with each such word replaced; a capital stays a capital."""
    return pattern.sub(
        lambda m: other[m[0].lower()].title() if m[0][0].isupper() else other[m[0].lower()], text
    )


# %%
every = reviews.load_reviews(source, "test").texts
about_men = [x for x in every if pattern.search(x)] or list(every[:2])

# %%
p_he, p_she = p_positive(about_men), p_positive(map(swapped, about_men))
mean, low, high = metrics.mean_interval((p_she - p_he).tolist())
print(f"{len(about_men)} reviews: P(positive) moves by {mean:+.3f} ({low:+.3f} to {high:+.3f})")

# %% [markdown]
# In the course's measurement ({{result:world_bias.json:reviews}} of the
# {{result:world_bias.json:data}}) the swap moves the probability of "positive" by
# {{result:world_bias.json:swap.value:+.3f}} ({{result:world_bias.json:swap.low:+.3f}} to
# {{result:world_bias.json:swap.high:+.3f}}), and {{result:world_bias.json:flips.value:.0%}} of the
# verdicts turn. Nobody programmed that: the counter learned it from its training reviews. And a
# mean near 0 would not prove fairness either: half of the reviews could move up and half down.
#
# What does the GPT expect of people? Let it continue "The doctor said that", and look whether it
# prefers *he* or *she*:


# %%
@torch.no_grad()
def share_of_she(beginning):
    """P(she) / (P(he) + P(she)) for the next word."""
    ids = torch.tensor([[0, *tokenizer.encode(beginning).ids]])  # 0 begins every text
    p = writer(ids)[0, -1].softmax(dim=0)
    he, she = (p[tokenizer.encode(word).ids[0]] for word in (" he", " she"))
    return (she / (he + she)).item()


# %%
for person in ("director", "doctor", "killer", "nurse", "dancer", "hero", "actress"):
    print(f"The {person} said that … she: {share_of_she(f'The {person} said that'):.0%}")

# %% [markdown]
# In {{result:world_bias.json:corpus}} *she* makes up
# {{result:world_bias.json:she_in_corpus.value:.0%}} of all *he* and *she*. For nearly everybody the
# network stays below that, for a nurse at {{result:world_bias.json:she.nurse:.0%}}, and even for an
# *actress* it prefers *he* ({{result:world_bias.json:she.actress:.0%}} *she*). A bias can be the
# data's, and it can be a small network's ignorance that falls back on what is frequent.
#
# Now pictures. In CIFAR-10 each of the ten classes has a tenth of the pictures.
#
# ### Exercise: predict the balance
#
# *Easy, 2 minutes.* Let the feature network sort {{result:world_bias.json:pictures:,d}} generated
# pictures. What share, in percent, has the most frequent class?

# %%
largest_class = ...
largest_class = checks.world.largest_class(largest_class)

# %%
noise = torch.randn(n_images, int(facts["latent_dim"]), 1, 1)
made = dcgan.sample(generator, noise)
found = {"generated": made, test.title("real"): test.images}
counts = {
    name: small_classifier.classes_of(judge, x).bincount(minlength=10) for name, x in found.items()
}
largest_class.beside(100 * (counts["generated"].max() / n_images).item())

# %%
figure, (ax,) = plots.subplots(width=8.5, height=2.8)
colours = (palette.VERMILION, palette.BLUE)
for shift, (name, n), colour in zip((-0.2, 0.2), counts.items(), colours):
    share = 100 * n / n.sum()
    ax.bar(torch.arange(10) + shift, share, 0.38, color=colour, label=name)
ax.set_xticks(range(10), CLASSES, fontsize=9)
ax.set(ylabel="share (%)")
ax.legend(frameon=False)
plots.show(
    figure,
    alt="How often the feature network names each class: some classes are twice or three times as frequent among generated pictures as others, and automobile and truck are rare.",
)

# %% [markdown]
# The generator saw every class equally often. It makes
# {{result:world_bias.json:largest.name}} ({{result:world_bias.json:largest.value:.0%}}, interval
# {{result:world_bias.json:largest.low:.0%}} to {{result:world_bias.json:largest.high:.0%}}) much
# more often than {{result:world_bias.json:smallest.name}}
# ({{result:world_bias.json:smallest.value:.0%}}). Balanced data do not make a balanced model; and
# data that come from such a model are not balanced any more.
#
# **Limit.** A classifier did the counting, and it errs; that is why the figure shows real pictures
# as well. And pronouns are the easiest case. [Kiritchenko and Mohammad
# 2018](https://arxiv.org/abs/1805.04508) tested 219 systems that rate feelings; [Sheng et al.
# 2019](https://arxiv.org/abs/1909.01326) tested what larger models write about people.
#
# ## Privacy: what a model gives away
#
# **Question.** A model learns from texts that hold a secret. How often must a secret stand there
# until the model gives it away?
#
# Plant three secrets among 300 reviews. Each is the same sentence with another code of six digits.
# One stands there once, one 10 times, one 100 times. Such a planted secret is called a **canary**
# ([Carlini et al. 2019](https://arxiv.org/abs/1802.08232)). Then the shipped GPT, which has read
# none of this, is fine-tuned for `tuning` steps.
#
# ### Exercise: predict the copies
#
# *Easy, 2 minutes.* Draw 1,000 other codes, which were not planted. Let the GPT compute the loss of
# the sentence with each. From how many copies on has the planted code the lowest loss of all:
# `"1"`, `"10"`, `"100"` or `"none"` of these?

# %%
copies_needed = ...
copies_needed = checks.world.copies_needed(copies_needed)

# %%
chance = torch.Generator().manual_seed(0)  # of codes, of the order of texts, of changed tokens


# %%
def sentence():
    """A secret, drawn anew."""
    digits = torch.randint(10, (6,), generator=chance).tolist()
    return f"My locker opens with the code {' '.join(map(str, digits))}."


# %%
secrets = {copies: sentence() for copies in (1, 10, 100)}
candidates = [sentence() for _ in range(n_codes)]
members = list(read.texts[:n_private])
documents = members + [text for copies, text in secrets.items() for _ in range(copies)]
order = torch.randperm(len(documents), generator=chance).tolist()

# %%
ids = texts.encode(tokenizer, [documents[i] for i in order])
windows = texts.windows(ids, 64)  # (N, 64), as in lesson 5
student = copy.deepcopy(writer).to(run.device)
gpt_training.fine_tune(student, windows, tuning, 16)  # 16 windows a step
student = student.eval().cpu()

# %% [markdown]
# Sort all candidates, the secret and the other codes, by their loss. The **exposure** of the secret
# says in bits how far in front it stands:
#
# $$\mathrm{exposure} = \log_2(\text{number of candidates}) - \log_2(\text{rank of the secret}).$$
#
# The secret is itself one of the candidates. The lowest loss has rank 1. A candidate with the
# *same* loss counts as standing before the secret: a network that rates all alike has exposed
# nothing, 0 bits.
#
# A colleague wrote it down:


# %%
def exposure_of_a_colleague(canary_loss, other_losses):
    """Bits: a float, and (N,) losses of the candidates that were not planted."""
    rank = int((other_losses < canary_loss).sum())
    return math.log(len(other_losses)) - math.log(rank)


# %%
print(f"in the middle of 1,001: {exposure_of_a_colleague(500.5, torch.arange(1000)):.2f} bits")

# %% [markdown]
# ### Exercise: repair the exposure
#
# *Medium, 8 minutes.* The colleague's function prints 0.69 where it should be about 1 bit. At the
# one rank that matters most it stops with an error. Write it anew; it has more than one fault.
#
# <details><summary>Hint 1</summary>What does it say of a secret that beats all others?</details>
# <details><summary>Hint 2</summary>Check unit, number of candidates, rank and equal losses, each
# against the text above.</details>


# %%
def exposure(canary_loss, other_losses):
    """Bits: a float, and (N,) losses of the candidates that were not planted."""
    ### BEGIN SOLUTION
    rank = 1 + int((other_losses <= canary_loss).sum())
    return math.log2(len(other_losses) + 1) - math.log2(rank)
    ### END SOLUTION


exposure = checks.world.exposure(exposure)


# %%
def nats(model, sentences):
    """What each text costs a network in all: list of N str -> (N,) nats."""
    return language_models.document_nats(model, texts.encode(tokenizer, sentences), model.context)


# %%
rated = nats(student, candidates)  # (N,)
bits = {copies: exposure(nats(student, [x]).item(), rated) for copies, x in secrets.items()}
for copies, found in bits.items():
    print(f"{copies:>3} copies: {found:.1f} of at most {math.log2(n_codes + 1):.1f} bits")
most = math.log2(n_codes + 1)
first = next((str(copies) for copies, found in bits.items() if found > most - 0.01), "none")
copies_needed.beside(first)

# %% [markdown]
# The course's measurement, with other secrets for each of
# {{result:world_privacy.json:canary.seeds}} seeds:
#
# | copies | exposure (bits, at most {{result:world_privacy.json:canary.most:.1f}}) | 95 % over seeds |
# | --- | --- | --- |
# | never planted | {{result:world_privacy.json:canary.0.value:.1f}} | {{result:world_privacy.json:canary.0.low:.1f}} to {{result:world_privacy.json:canary.0.high:.1f}} |
# | 1 | {{result:world_privacy.json:canary.1.value:.1f}} | {{result:world_privacy.json:canary.1.low:.1f}} to {{result:world_privacy.json:canary.1.high:.1f}} |
# | 10 | {{result:world_privacy.json:canary.10.value:.1f}} | {{result:world_privacy.json:canary.10.low:.1f}} to {{result:world_privacy.json:canary.10.high:.1f}} |
# | 100 | {{result:world_privacy.json:canary.100.value:.1f}} | the same in every seed |
#
# One copy cannot be told from none here. Ten copies mostly put the code first, and a hundred did so
# in every seed. So remove copies before you train.
#
# ### Was it in there?
#
# A smaller secret: whether *your* text was among the training data at all. A text that was is a
# **member**. The simplest attack says "member" where the loss is low ([Yeom et al.
# 2018](https://arxiv.org/abs/1709.01604)). How good is that bet? Draw a member and another text by
# chance. With which probability does the member have the lower loss? This number is the **area
# under the curve** (AUC; the curve is the ROC curve): 0.5 is guessing, 1 is certainty.
#
# ### Exercise: the area from pairs
#
# *Medium, 10 minutes.* From the losses of M members and of N others compute this probability over
# all M · N pairs. Equal losses count half.
#
# <details><summary>Hint 1</summary>For two members and three others, write down all six pairs. A
# mean over pairs is asked for.</details>
# <details><summary>Hint 2</summary>Broadcasting compares everybody with everybody. Which way round
# is a good bet: member lower, or higher?</details>


# %%
def membership_auc(member_losses, other_losses):
    """P(a member's loss is lower than another's): (M,), (N,) -> float."""
    ### BEGIN SOLUTION
    lower = member_losses[:, None] < other_losses
    ties = member_losses[:, None] == other_losses
    return (lower.double() + ties.double() / 2).mean().item()
    ### END SOLUTION


membership_auc = checks.world.membership_auc(membership_auc)


# %%
def per_token(model, sentences):
    """Nats per token of each text."""
    lengths = torch.tensor([len(ids) - 1 for ids in texts.encode(tokenizer, sentences)])
    return nats(model, sentences) / lengths


# %%
others = list(unread.texts[:n_private])
for name, model in {"before": writer, "after": student}.items():
    area = membership_auc(per_token(model, members), per_token(model, others))
    print(f"AUC {name} fine-tuning: {area:.2f}")

# %% [markdown]
# Before the fine-tuning the bet is worth nothing, as it must be (measured: AUC
# {{result:world_privacy.json:auc.before.value:.2f}},
# {{result:world_privacy.json:auc.before.low:.2f}} to
# {{result:world_privacy.json:auc.before.high:.2f}} over seeds). After it:
# {{result:world_privacy.json:auc.after.value:.2f}} ({{result:world_privacy.json:auc.after.low:.2f}}
# to {{result:world_privacy.json:auc.after.high:.2f}}). Here the network saw each of its 300 texts
# about three times. The shipped GPT read each of its 25,000 reviews about once. On them the same
# bet is only a little above guessing: {{result:world_privacy.json:auc.shipped.value:.2f}}
# ({{result:world_privacy.json:auc.shipped.low:.2f}} to
# {{result:world_privacy.json:auc.shipped.high:.2f}}, from
# {{result:world_privacy.json:auc.shipped.n:,d}} reviews of each half of IMDB). Even that may in
# part come from the data, because the two halves are about different films.
#
# ### Learning without giving away
#
# **Differential privacy** is a promise: with or without any one text, nearly the same model comes
# out. Training draws noise, so each possible model has a probability. Adding one text may make no
# outcome more than $e^{\varepsilon}$ times as probable, apart from a small probability $\delta$.
#
# DP-SGD ([Abadi et al. 2016](https://arxiv.org/abs/1607.00133), algorithm 1) does two things in each
# step:
#
# 1. *Clip.* No single example may pull the *sum* of gradients farther than a length `clip`.
# 2. *Noise.* Gaussian noise hides what one example could do. In each number of the sum its standard
#    deviation is `noise_multiplier` times that largest pull.
#
# ### Exercise: a private gradient
#
# *Hard, 20 minutes.* From one gradient for each example, (B, P), make the gradient (P,) of a
# private step: an average over the batch, as usual. Draw all noise from `generator`.
#
# <details><summary>Hint 1</summary>What is the largest change of the *sum* when one example is
# added? Everything else follows from that.</details>
# <details><summary>Hint 2</summary>Whose length is cut: that of each row, or that of each number?
# What happens to rows that are short already?</details>
# <details><summary>Hint 3</summary>How many independent draws does a sum of B rows need? Count them
# for B = 1,000.</details>


# %%
def clip_and_noise(gradients, clip, noise_multiplier, generator):
    """One private step's gradient: (B, P) -> (P,)."""
    ### BEGIN SOLUTION
    lengths = gradients.norm(dim=1, keepdim=True)
    short = gradients * (clip / lengths.clamp_min(1e-12)).clamp(max=1)
    noise = torch.randn(gradients.shape[1], generator=generator)
    return (short.sum(0) + noise_multiplier * clip * noise) / len(gradients)
    ### END SOLUTION


clip_and_noise = checks.world.clip_and_noise(clip_and_noise)

# %% [markdown]
# Now train a word counter on {{result:world_privacy.json:reviews}} reviews with your function. Each
# step uses all reviews. Then the costs of the steps simply add up. With noise multiplier $m$ one
# step costs $1/(2m^2)$, so $T$ steps cost $\rho = T/(2m^2)$. From $\rho$ comes
# $\varepsilon = \rho + 2\sqrt{\rho\ln(1/\delta)}$ ([Bun and Steinke
# 2016](https://arxiv.org/abs/1605.02658), proposition 1.3).

# %%
vocabulary = TfidfVectorizer(max_features=1_000).fit(read.texts)  # taken as public
inside, outside = (
    torch.tensor(vocabulary.transform(x).toarray()).float() for x in (members, unread.texts)
)
labels = read.labels[: len(members)].float()


# %%
def private_weights(noise_multiplier, rounds=100, clip=0.5, seed=0):
    """Logistic regression by DP-SGD on all members at once: weights (P,)."""
    weights, source = torch.zeros(inside.shape[1]), torch.Generator().manual_seed(seed)
    for _ in range(rounds):
        error = (inside @ weights).sigmoid() - labels  # (B,)
        each = error[:, None] * inside  # (B, P): one gradient per review
        weights -= 20 * clip_and_noise(each, clip, noise_multiplier, source)  # learning rate 20
    return weights


# %%
def costs(texts_as_numbers, y, weights):
    """Cross-entropy of each review, (N,) nats."""
    return F.softplus((1 - 2 * y) * (texts_as_numbers @ weights))


# %%
for m in (0, 1, 3, 10):
    weights = private_weights(m)
    rho = 100 / (2 * m**2) if m else math.inf
    epsilon = rho + 2 * math.sqrt(rho * math.log(1e5))  # delta = 1e-5
    fit, new = costs(inside, labels, weights), costs(outside, unread.labels.float(), weights)
    accuracy = (new < math.log(2)).float().mean()  # right: the true label has more than 1/2
    print(f"m = {m:>2}: epsilon {epsilon:.0f}, accuracy {accuracy:.0%}, ", end="")
    print(f"AUC {membership_auc(fit, new):.2f}")

# %% [markdown]
# The course's measurement, {{result:world_privacy.json:dp.settings.seeds}} seeds with other reviews
# each (95 % over seeds). With noise multiplier 0 the gradients are still clipped:
#
# | noise multiplier | ε | accuracy | AUC of the attack |
# | --- | --- | --- | --- |
# | 0 | ∞ | {{result:world_privacy.json:dp.rows.0.accuracy.value:.1%}} | {{result:world_privacy.json:dp.rows.0.auc.value:.2f}} ({{result:world_privacy.json:dp.rows.0.auc.low:.2f}} to {{result:world_privacy.json:dp.rows.0.auc.high:.2f}}) |
# | 3 | {{result:world_privacy.json:dp.rows.3.epsilon:.0f}} | {{result:world_privacy.json:dp.rows.3.accuracy.value:.1%}} | {{result:world_privacy.json:dp.rows.3.auc.value:.2f}} ({{result:world_privacy.json:dp.rows.3.auc.low:.2f}} to {{result:world_privacy.json:dp.rows.3.auc.high:.2f}}) |
# | 10 | {{result:world_privacy.json:dp.rows.10.epsilon:.0f}} | {{result:world_privacy.json:dp.rows.10.accuracy.value:.1%}} | {{result:world_privacy.json:dp.rows.10.auc.value:.2f}} ({{result:world_privacy.json:dp.rows.10.auc.low:.2f}} to {{result:world_privacy.json:dp.rows.10.auc.high:.2f}}) |
# | 0, and 3,000 reviews | ∞ | {{result:world_privacy.json:dp.more.accuracy.value:.1%}} | {{result:world_privacy.json:dp.more.auc.value:.2f}} ({{result:world_privacy.json:dp.more.auc.low:.2f}} to {{result:world_privacy.json:dp.more.auc.high:.2f}}) |
#
# (A library that bounds ε more tightly, {{result:world_privacy.json:dp.library}}, says
# {{result:world_privacy.json:dp.rows.3.epsilon_library:.1f}} and
# {{result:world_privacy.json:dp.rows.10.epsilon_library:.1f}} for the two rows with noise.)
#
# Noise protects, and it costs: with noise multiplier 10, about half of what was learned beyond
# guessing (50 %) is gone. Read ε as a factor. $e^5$ is about 150, a weak promise, and $e^{22}$ is
# more than a billion, hardly any. More texts alone also lower the AUC, but that is an average;
# only noise comes with a promise for each single text.
#
# **Limit.** An average hides the unlucky few, whose texts are unlike all others; serious audits ask
# how many members are found at few false alarms ([Carlini et al.
# 2022](https://arxiv.org/abs/2112.03570)). Large models gave away names and addresses word for word
# ([Carlini et al. 2021](https://arxiv.org/abs/2012.07805)), and diffusion models gave away
# photographs ([Carlini et al. 2023](https://arxiv.org/abs/2301.13188)).
#
# ## When it goes wrong: an attack that needs no leak
#
# An auditor has 300 critics' sentences and claims that *our shipped GPT* was trained on them. As
# "others" the auditor takes pages of Python's manual. In truth the GPT has
# read neither.
#
# ### Exercise: predict the audit
#
# *Easy, 2 minutes.* Which AUC does the auditor find?

# %%
blind_auc = ...
blind_auc = checks.world.blind_auc(blind_auc)

# %%
pages = texts.load_texts("manual").held_out[:n_private]
manual = [page[:300] for page in pages]
area = membership_auc(per_token(writer, members), per_token(writer, manual))
blind_auc.beside(area, ".2f")

# %% [markdown]
# **What happened.** The two groups differ in *style*, so their losses differ even for a network
# that has read neither. **How to see it**: run the same attack on such a network, as "before" did
# above; what is far from 0.5 there is the groups' difference. **The cure**: draw members and others
# from one pile, by chance, before the training. Published tests have made this mistake: on 8 of
# their data sets, an attacker who never looks at the model beats the published attacks ([Das et al.
# 2024](https://arxiv.org/abs/2406.16201)).
#
# ## Provenance: who made this?
#
# **Question.** From how many tokens on can you tell that our GPT wrote a text?
#
# By reading, hardly ever. But the writer can leave a mark ([Kirchenbauer et al.
# 2023](https://arxiv.org/abs/2301.10226), algorithm 2). Before each token, a share $\gamma$ of the
# vocabulary is drawn and called *green*; here it is a quarter. A secret key and the token before
# seed this draw, so whoever has the key can repeat it. The writer adds $\delta$ to the logits of
# the green tokens, and thus hits green more often. People do not know the key: they hit green by
# chance, in a share $\gamma$ of all cases.

# %%
mark = watermark.Watermark(writer.sizes["vocab"], gamma=0.25, delta=2.0)
beginning = torch.zeros(n_written, 1, dtype=torch.int64)
versions = {
    name: watermark.write(
        writer, beginning, 200, which, temperature=0.9, generator=torch.Generator().manual_seed(0)
    )
    for name, which in (("plain", None), ("marked", mark))
}

# %%
for name, ids in versions.items():
    print(f"{name}: {text_plots.shorten(texts.decode(tokenizer, ids[0].tolist()), 250)}")

# %% [markdown]
# ### Exercise: count green tokens
#
# *Medium, 8 minutes.* By how many standard deviations does the number of green tokens exceed what
# chance would give? This number is called $z$. Judge each token but the first, with
# `is_green(previous, token)`. If there is no token to judge, return 0.
#
# <details><summary>Hint 1</summary>T tosses of a coin with probability γ: which mean, which
# variance?</details>
# <details><summary>Hint 2</summary>How many tokens of a text of length T have one before
# them?</details>


# %%
def watermark_z(tokens, is_green, gamma):
    """z of the green count: list of ids, is_green(previous, token) -> bool, share -> float."""
    ### BEGIN SOLUTION
    judged = len(tokens) - 1
    if judged < 1:
        return 0.0
    green = sum(bool(is_green(a, b)) for a, b in itertools.pairwise(tokens))
    return (green - gamma * judged) / math.sqrt(judged * gamma * (1 - gamma))
    ### END SOLUTION


watermark_z = checks.world.watermark_z(watermark_z)

# %% [markdown]
# ### Exercise: predict the length
#
# *Easy, 2 minutes.* Let an alarm ring at $z > 4$. By chance alone it rings for about 3 of 100,000
# texts, if $z$ is normally distributed. After how many tokens does it ring for half of the marked
# texts?

# %%
tokens_needed = ...
tokens_needed = checks.world.tokens_needed(tokens_needed)

# %%
stream = [token for ids in texts.encode(tokenizer, unread.texts) for token in ids[1:]]
people = texts.windows([stream], 201)[:n_written]  # what people wrote: 200 tokens to judge
lengths = [5, 10, 15, 20, 30, 40, 60, 80, 120, 160, 200]
z = {}  # name -> (texts, lengths)
for name, written in {**versions, "people": people}.items():
    z[name] = torch.tensor(
        [
            [watermark_z(ids[: n + 1], mark.is_green, mark.gamma) for n in lengths]
            for ids in written.tolist()
        ]
    )

# %%
middle = {name: rows.median(dim=0).values.tolist() for name, rows in z.items()}
tokens_needed.beside(next((n for n, x in zip(lengths, middle["marked"]) if x > 4), 200))

# %%
figure, (ax,) = plots.subplots(width=8, height=3.2)
looks = {"marked": (palette.VERMILION, "-"), "plain": (palette.BLUE, "--")}
looks["people"] = (palette.GREEN, ":")
for name, rows in z.items():
    colour, style = looks[name]
    low, high = rows.quantile(torch.tensor([0.05, 0.95]), dim=0)
    ax.fill_between(lengths, low, high, color=colour, alpha=0.15)
    ax.plot(lengths, middle[name], style, color=colour, label=name)
ax.axhline(4, color=palette.BLACK, linewidth=1)
ax.annotate("alarm", (200, 4), xytext=(0, 3), textcoords="offset points", ha="right")
ax.set(xlabel="tokens", ylabel="z")
ax.legend(frameon=False)
plots.show(
    figure,
    alt="z against length: marked texts rise like a square root and cross the line of the alarm at 4 after some twenty tokens; unmarked texts and people's stay around 0. Bands hold nine of ten texts.",
)

# %% [markdown]
# See where each band crosses the line of the alarm; a band holds nine of ten texts. The evidence in
# a marked text of $T$ tokens grows as $\sqrt T$. Of
# {{result:world_provenance.json:false.n:,d}} windows of 200 tokens that people wrote
# ({{result:world_provenance.json:data}}), the alarm rang for
# {{result:world_provenance.json:false.value:.2%}} (95 %: up to
# {{result:world_provenance.json:false.high:.2%}}). The mark has a price: to the unmarked GPT, marked
# texts cost {{result:world_provenance.json:cost.marked.value:.2f}} nats per token, and plain ones
# {{result:world_provenance.json:cost.plain.value:.2f}}.
#
# Now replace some tokens by others, drawn by chance. Each spoils two pairs, that with the token
# before and that with the token after:

# %%
for share in (0.1, 0.3, 0.5):
    ids = versions["marked"].clone()
    hit = torch.rand(ids.shape, generator=chance) < share
    ids[hit] = torch.randint(1, mark.vocab, (int(hit.sum()),), generator=chance)
    left = torch.tensor([watermark_z(row, mark.is_green, mark.gamma) for row in ids.tolist()])
    print(f"{share:.0%} changed: z {left.mean():.1f}, alarm in {(left > 4).float().mean():.0%}")

# %% [markdown]
# In the course's measurement on {{result:world_provenance.json:texts}} marked texts of 200 tokens,
# the alarm still rang for {{result:world_provenance.json:changed.30.found.value:.0%}} of them with
# 30 % of the tokens replaced, and for {{result:world_provenance.json:changed.50.found.value:.0%}}
# with half.
#
# ### A signature
#
# A picture can carry *papers* instead: a text that names its maker and holds a **digest** of the
# pixels (SHA-256: change one pixel, and another digest comes out). A **seal** closes it: a second
# digest, over papers and a secret key together (HMAC).

# %%
key = b"a secret of the maker"


def sealed(picture, maker, key):
    """The papers of a picture (maker, and digest of its pixels), and their seal."""
    digest = hashlib.sha256(picture.numpy().tobytes()).hexdigest()
    papers = json.dumps({"maker": maker, "pixels": digest})
    return papers, hmac.new(key, papers.encode(), hashlib.sha256).hexdigest()


# %%
def holds(picture, papers, seal, key):
    """Whether the papers were sealed with the key, and belong to this picture."""
    maker = json.loads(papers)["maker"]
    return hmac.compare_digest(sealed(picture, maker, key)[1], seal)


# %%
picture = made[0]
papers, seal = sealed(picture, "lesson 2's GAN", key)
file = io.BytesIO()
Image.fromarray(picture.permute(1, 2, 0).numpy()).save(file, "JPEG", quality=95)
screenshot = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)
forged = papers.replace("lesson 2's GAN", "a photographer")

# %%
print("the picture:", holds(picture, papers, seal, key))
print("other papers:", holds(picture, forged, seal, key))
print("a screenshot:", holds(screenshot, papers, seal, key))
assert holds(picture, papers, seal, key)
assert not holds(picture, forged, seal, key) and not holds(screenshot, papers, seal, key)

# %% [markdown]
# Nobody without the key can change the papers. But a screenshot (here: the picture saved once more,
# as JPEG) has other pixels, so the papers do not fit it, and it looks the same. So a valid seal
# proves where a picture comes from; a missing one proves nothing.
#
# **Limit.** Our seal takes the same key to make *and* to check, so whoever can check can forge. For
# checks by everybody one takes a pair of keys, a secret one to sign and a public one to check
# (for example Ed25519). The standard for such papers is
# [C2PA](https://c2pa.org/). And text marks can be removed by a program that paraphrases, with little
# harm to the meaning ([Krishna et al. 2023](https://arxiv.org/abs/2303.13408)).
#
# ## Several machines
#
# **Question.** What do two machines have to tell each other to train *one* network?
#
# Each takes half of the batch. If both then use the mean of the two gradients, they make the same
# step as one machine with all of it:

# %%
x, y = torch.randn(64, 20), torch.randint(3, (64,))


# %%
def gradient(network, rows):
    """The gradient on some rows of the batch, as one vector."""
    loss = F.cross_entropy(network(x[rows]), y[rows])
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, network.parameters())])


# %%
first, second, all_rows = slice(0, 32), slice(32, 64), slice(0, 64)
plain = nn.Sequential(nn.Linear(20, 8), nn.ReLU(), nn.Linear(8, 3))
normed = nn.Sequential(nn.Linear(20, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
for name, network in {"plain": plain, "with BatchNorm": normed}.items():
    mean = (gradient(network, first) + gradient(network, second)) / 2
    off = (mean - gradient(network, all_rows)).abs().max()
    print(f"{name}: largest difference {off:.1e}")
    assert (off < 1e-6) == (name == "plain")

# %% [markdown]
# BatchNorm breaks it: each half has its own mean and variance. So the course's processes exchange
# those, too. The course ran {{result:world_machines.json:steps}} steps of lesson 2's training at
# tier smoke ({{result:world_machines.json:data}}), by one process and by two. No weight differs by
# more than {{result:world_machines.json:difference:.4f}}: sums are taken in another order, and
# training amplifies that. With another seed the largest difference is
# {{result:world_machines.json:other_seed:.2f}}. The gradients that the processes share in each step
# have {{result:world_machines.json:megabytes:.2f}} MB. How to start it: `docs/several_machines.md`.
#
# Now plan for eight GPUs, on paper. Each has an eighth of the batch; all need the mean gradient.
# Let them stand in a ring, each sending to its neighbour. The gradients are cut into eight pieces.
# Seven rounds add the pieces up, and seven more hand the sums on. So each GPU sends
# $2\cdot\frac{7}{8}$ of all gradients (Patarasuk and Yuan 2009). Training with Adam in mixed
# precision holds 16 bytes for each weight: 2 for itself, 2 for its gradient, and 12 for a precise
# copy and Adam's two means ([Rajbhandari et al. 2020](https://arxiv.org/abs/1910.02054), section
# 3.1):

# %%
link = 450e9  # bytes per second one way: NVLink of an H100, by its data sheet
tokens = 8 * 8_192  # in one step, all eight together
for name, weights in {"our GPT": 3.1e6, "7 billion weights": 7e9, "70 billion": 70e9}.items():
    compute = 6 * weights * tokens / (8 * gpu["flops_per_second"])
    talk = 2 * 7 / 8 * 2 * weights / link  # gradients of two bytes each
    print(f"{name}: {16 * weights / 1e9:,.1f} GB a GPU, {compute:.1e} s to compute, ", end="")
    print(f"{talk:.1e} s to talk")

# %% [markdown]
# **Limit.** This is arithmetic, no measurement: it leaves out waiting, latency and the memory for
# activations. But it tells something before any money is spent: 7 billion weights, their gradients
# and Adam's means do not fit into the 80 GB of one such GPU. So they are split over several
# ([Rajbhandari et al. 2020](https://arxiv.org/abs/1910.02054)). And eight GPUs mean larger batches,
# which need another learning rate ([Goyal et al. 2017](https://arxiv.org/abs/1706.02677)).
#
# ## Questions
#
# Think first; then open the answer, which also says why each other choice is wrong.
#
# **1. A seller's set of a million generated pictures, made from *your* thousand, will help your
# classifier because** (a) more data always help (b) the generator adds knowledge (c) it may fill
# gaps between your examples, as moving them does; test it against that (d) FD is low
#
# <details><summary>Answer</summary>(c). (a) Section one has a counter-example. (b) It can only hand
# on what its training pictures held. (d) Low FD does not make labels right.</details>
#
# **2. A classifier keeps 97 % of its answers when every pixel gets noise of 4 grey levels. It is**
# (a) safe from attacks of that size (b) robust to noise, with attacks untested (c) robust to shifts
# (d) accurate
#
# <details><summary>Answer</summary>(b): average and worst case are two numbers. (a) Ours keeps most
# answers under noise and loses them under attack. (c) and (d) were not asked.</details>
#
# **3. The mean effect of swapping names is 0.00 ± 0.01. So the classifier** (a) is fair (b) has no
# effect on anybody (c) shows no effect on *average*; look at the spread (d) never saw names
#
# <details><summary>Answer</summary>(c): half up and half down also give 0. (a) and (b) say more
# than a mean can. (d) does not follow.</details>
#
# **4. A membership attack reaches AUC 0.85. Before you believe in a leak, ask** (a) for more
# members (b) what it reaches on a network that read neither group (c) for a lower loss (d) for
# ε
#
# <details><summary>Answer</summary>(b): that is the control. (a) narrows the interval around a
# wrong number. (c) is no control. (d) bounds leaks and explains no AUC.</details>
#
# **5. A picture without papers is** (a) generated (b) genuine (c) either (d) a screenshot
#
# <details><summary>Answer</summary>(c): papers prove something only where they are. (a), (b) and
# (d) read something into their absence.</details>
#
# ## Recap
#
# You tested whether generated pictures are worth their price, and computed that price; shrank a
# network until it broke; attacked pictures and reviews; measured bias in pairs; measured how much a
# model gives away, and protected it; marked and signed what a model made; and planned a training on
# several machines.
#
# **What this did not show.** Our models are small. Larger ones write better, know more and leak
# other things; the *measurements* carry over, the numbers do not. Law, and whose pictures a model
# may learn from, no cell can measure.
#
# **Sources** stand where they are used. Patarasuk and Yuan 2009, *Bandwidth optimal all-reduce
# algorithms for clusters of workstations*, Journal of Parallel and Distributed Computing 69.
