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
# In this lesson you question the course's own models as a buyer, an attacker and a citizen would. A
# network names {{result:world_robust.json:accuracy.value:.0%}} of CIFAR-10's test photographs
# correctly. Move every pixel up or down by 8 of 255 grey levels, by the toss of a coin: only
# {{result:world_robust.json:noise_8.value:.1%}} of its answers change. But a change that is *aimed*
# at the network, and far smaller, turns half of them. How small is it? You will guess first, then
# measure.
#
# **You will learn to** test whether generated pictures are worth their price, and compute that
# price · shrink a network until it breaks · attack pictures and reviews · measure bias in pairs ·
# measure how much a model gives away of its training data, and protect it · mark and sign what a
# model made · plan a training on several machines.
#
# **You need** lesson 2 (its generator), lesson 5 (the GPT, bits per byte) and lesson 6 (FD). All
# networks come trained.
#
# **Time** about {{minutes}} minutes to read and solve. The computer's own time is in this table,
# and for your machine under the settings.
#
# {{tiers}}
#
# Each section asks a question, measures the answer, and says what the answer does *not* show. Where
# a cell holds `...`, write your guess first: it is printed beside what was measured, never marked.
#
# ## Set-up
#
# Four names return often. **IMDB** are the film reviews that lesson 5's GPT learned from.
# The **critics' sentences**, each positive or negative, it has never read. The **feature network**
# is the picture classifier behind lesson 6's FD. The **word counter** is lesson 4's baseline:
# logistic regression on how often each word stands in a review.

# %%
import copy
import itertools
import math
import time
import timeit

# before torch: waiting threads sleep
from course_utils import assets, checks, results, runtime
import torch
import torch.nn.functional as F
from torch import nn

from course_utils.datasets import corruptions, images, reviews, rewording, texts
from course_utils.datasets.cifar10 import CLASSES
from course_utils.display import plots, text_plots, world_plots

# %%
from course_utils.evaluation import language_models, metrics
from course_utils.evaluation.bag_of_words import bag_of_words
from course_utils.models import attention, cgan, dcgan, gpt_training
from course_utils.models import small_classifier, smaller, watermark
from course_utils.models.features import load_feature_network

run = runtime.setup(seed=0)

# %% [markdown]
# What you may want to change, for each of the three tiers:

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
# A *stand-in* is made up: with one, the cells print other numbers than the text, whose numbers come
# from real pictures and sentences.
#
# ## Is it worth it?
#
# **Question.** You own a few hundred labelled pictures. A generator offers as many more as you
# like. Will they make your classifier better?
#
# A generated picture needs a label. Lesson 2's GAN knows no classes, so the feature network names
# its pictures. Lesson 8's GAN is *asked* for a class, and that is the label. This is generous: all
# three learned from 50,000 pictures, which nobody with a few hundred has. The classifiers below
# take equally many steps, and are tested on the same real pictures.
#
# ### Exercise: predict the gain
#
# *Easy, 2 minutes.* Two classifiers learn from pictures that are shifted and mirrored by chance
# ("moved"). One gets the real pictures alone. The other also gets four pictures by lesson 2's GAN
# for each real one. By how many *percentage points* is the second more accurate? Below 0 means
# less.

# %%
generated_gain = ...
generated_gain = checks.world.generated_gain(generated_gain)

# %%
few = train.take(n_few)
noise = torch.randn(4 * len(few), int(facts["latent_dim"]), 1, 1)
made = dcgan.sample(generator, noise)  # uint8 (4 N, 3, 32, 32)
named = small_classifier.classes_of(judge, made)

# %%
painter, _ = cgan.load_shipped()  # lesson 8's GAN
asked = torch.arange(4 * len(few)) % len(CLASSES)
painted = cgan.sample(painter, asked, generator=torch.Generator().manual_seed(0))

# %% [markdown]
# Above ten by lesson 2's GAN, with the feature network's name; below ten by lesson 8's, with the
# class that was asked for. Would you give them the same names?

# %%
shown, labels = torch.cat([made[:10], painted[:10]]), torch.cat([named[:10], asked[:10]])
plots.show(
    world_plots.named(shown, [CLASSES[label] for label in labels]),
    alt="Ten pictures by each of two generators, each with a class above it: some look like it, and some like nothing.",
)

# %%
four = train.take(4 * n_few)
sets = {  # what is added to the few pictures, and its labels
    "moved": (made[:0], named[:0]),
    "moved, and 4 by lesson 2's GAN each": (made, named),
    "moved, and 4 by lesson 8's GAN each": (painted, asked),
    "moved, and 3 more real ones each": (four.images[n_few:], four.labels[n_few:]),
}

# %%
right = {}
for name, (x, y) in sets.items():
    x, y = torch.cat([few.images, x]), torch.cat([few.labels, y])
    network = small_classifier.fit(x, y, steps, augment=True)  # shown moved
    right[name] = small_classifier.classes_of(network, test.images) == test.labels
    low, high = metrics.wilson_interval(int(right[name].sum()), len(test))
    print(f"{test.title(name)}: {right[name].float().mean():.1%} ({low:.1%} to {high:.1%})")

# %%
with_them, without = right["moved, and 4 by lesson 2's GAN each"], right["moved"]
gain = 100 * (with_them.float() - without.float())
mean, low, high = metrics.mean_interval(gain.tolist())
print(f"gain by generated pictures: {mean:+.1f} points ({low:+.1f} to {high:+.1f}, over pictures)")
generated_gain.beside(mean, "+.1f")

# %% [markdown]
# One run may be luck. The course measured {{result:world_worth.json:seeds}} seeds, each with other
# pictures. A dot is a seed, compared with its own "moved"; the tick is the mean, the bar its 95 %
# interval. Right of the line they help, left of it they harm:

# %%
recorded = results.read("world_worth.json")
plots.show(
    world_plots.gains(recorded),
    alt="A row for each set of pictures, with the gain of each seed over moved pictures alone, its mean and interval; the table below has the numbers.",
)

# %%
world_plots.worth(recorded)

# %% [markdown]
# Moving the pictures helps, for two lines of code. Pictures by lesson 2's GAN do harm. For lesson
# 8's GAN no gain can be told; the feature network sees the asked class in only
# {{result:world_worth.json:confirmed.cgan.value:.0%}} of its pictures. For lesson 9's flow, told
# the class and guided, it is {{result:world_worth.json:confirmed.flow.value:.0%}}. The flow helps,
# about as much as real pictures do. But it has seen all 50,000, the classifier
# {{result:world_worth.json:few}}: what a generator brings comes from *its* training pictures.
#
# **Limit.** Our generators are small. With a diffusion model for ImageNet there was a gain
# ([Azizi et al. 2023](https://arxiv.org/abs/2304.08466)). Models that learn from models, over and
# over, lose the rare cases first
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
# Try it. GPT-3 took $3.14\cdot10^{23}$ operations ([Brown et al.
# 2020](https://arxiv.org/abs/2005.14165), appendix D). [Patterson et al.
# 2021](https://arxiv.org/abs/2104.10350) report V100 GPUs of 24.6 · 10¹² operations a second and
# 330 W each, and 10 % more for cooling and the like. They arrive at 1,287 MWh. Do you?

# %%
hours, kwh, _ = training_cost(3.14e23, 24.6e12, watts=330, price_per_kwh=0)
print(f"{hours:,.0f} GPU hours, {1.1 * kwh / 1000:,.0f} MWh with cooling")
assert abs(1.1 * kwh / 1000 / 1287 - 1) < 0.02

# %% [markdown]
# Now your own sheet. Change these three lines to what holds for you:

# %%
price = 0.30  # money per kWh
watts = 45.0  # of a laptop under load; a plug-in meter tells
gpu = {"flops_per_second": 400e12, "watts": 700}  # assumed: an H100 at 40 % of its peak

# %%
a = torch.randn(1024, 1024)
_, seconds = timeit.repeat(lambda: a @ a, number=10, repeat=2)  # the first time warms up
speed = 10 * 2 * 1024**3 / seconds
print(f"this processor: {speed / 1e9:.0f} billion operations per second in a matrix product")

# %%
weights = sum(p.numel() for p in writer.parameters())  # N; the paper leaves out the tables
seen = results.read("gpt_reviews.json")["tokens_seen"]  # D, in its training
print(f"{weights:,} weights, {seen:,} tokens")

# %%
here = {"flops_per_second": speed, "watts": watts}
sheet = {
    "lesson 5's GPT, here": (6 * weights * seen, here),
    "lesson 5's GPT, one GPU": (6 * weights * seen, gpu),
    "GPT-3, one GPU": (3.14e23, gpu),
    "one of our answers, 200 tokens, here": (2 * weights * 200, here),
}

# %%
rows = {
    name: (flops, *training_cost(flops, **machine, price_per_kwh=price))
    for name, (flops, machine) in sheet.items()
}
world_plots.numbers(["what", "FLOPs", "hours", "kWh", "money"], rows, "costs at your prices")

# %%
began = time.perf_counter()
counter = bag_of_words().fit(read.texts, read.labels)
seconds = time.perf_counter() - began
print(f"lesson 4's word counter, trained in {seconds:.2g} s: {watts * seconds / 3.6e6:.0e} kWh")

# %% [markdown]
# Ask first what the cheap end can do. The word counter names {{result:world_text.json:accuracy.value:.0%}} of the critics' verdicts correctly
# ({{result:world_text.json:accuracy.low:.0%}} to {{result:world_text.json:accuracy.high:.0%}}, on
# {{result:world_text.json:reviews:,d}} sentences).
#
# **Limit.** A matrix product is the best case; real trainings reach a part of that speed. The sheet
# leaves out making the machines, failed runs, and all later answers ([Luccioni et al.
# 2023](https://arxiv.org/abs/2211.02001) count more).
#
# ## Making it small
#
# **Question.** The shipped GPT stores each weight in 16 bits. How many does it need?
#
# Give each row of a matrix its own step, and replace each entry by the nearest whole number of
# steps. The row's largest entry, in size, becomes the largest whole number that `bits` bits hold,
# when one of them is for the sign.
#
# ### Exercise: weights in few bits
#
# *Easy, 8 minutes.* Return the rounded weights themselves, not the whole numbers. A row of zeros
# stays a row of zeros.
#
# <details><summary>Hint 1</summary>Which is the largest whole number of 3 bits, one for the sign?
# Of 8?</details>
# <details><summary>Hint 2</summary>Work out one row on paper: 6, -3, 1 with 3 bits.</details>


# %%
def rounded(matrix, bits):
    """Each row of (R, C) as whole numbers of `bits` bits times one step for the row."""
    ### BEGIN SOLUTION
    most = 2 ** (bits - 1) - 1
    largest = matrix.abs().amax(dim=1, keepdim=True)
    step = (largest / most).clamp_min(1e-12)
    return (matrix / step).round() * step
    ### END SOLUTION


rounded = checks.world.rounded(rounded)

# %% [markdown]
# ### Exercise: predict how small
#
# *Easy, 2 minutes.* We try 8, 6, 5, 4, 3 and 2 bits for each weight. What is the smallest number
# with which the network's bits per byte still rise by less than 1 %?

# %%
bits_needed = ...
bits_needed = checks.world.bits_needed(bits_needed)


# %%
def in_bits(bits):
    """A copy of the GPT, each of its matrices rounded."""
    return smaller.with_matrices(writer, lambda matrix: rounded(matrix, bits))


# %%
held_out = list(unread.texts[: n_reviews // 5])
held_ids = texts.encode(tokenizer, held_out)


def bits_of(model):
    """Bits per byte on the held-out reviews."""
    return language_models.score(model, held_ids, held_out, model.context).value


# %%
whole = bits_of(writer)
loss_at = {bits: bits_of(in_bits(bits)) / whole - 1 for bits in (8, 6, 5, 4, 3, 2)}
for bits, loss in loss_at.items():
    print(f"{bits} bits: {weights * bits / 8e6:.1f} MB, {100 * loss:+.2f} % bits per byte")
bits_needed.beside(min((b for b, loss in loss_at.items() if loss < 0.01), default=9))

# %% [markdown]
# What is left of its language? The same GPT writes with the same random numbers:

# %%
start = torch.zeros(1, 1, dtype=torch.int64)
for bits in (8, 4, 3, 2):
    dice = torch.Generator().manual_seed(1)
    ids = watermark.write(in_bits(bits), start, 40, temperature=0.8, generator=dice)
    print(f"{bits} bits: {text_plots.shorten(texts.decode(tokenizer, ids[0].tolist()), 150)}")

# %% [markdown]
# Measured by the course; the whole network needs {{result:world_small.json:whole.value:.3f}} bits per
# byte:

# %%
world_plots.smaller(results.read("world_small.json"))

# %% [markdown]
# Down to 6 bits nothing measurable is lost. With 5 the loss is small but clear: its interval lies
# above 0. Between 4 and 2 bits there is a cliff. To set small weights to 0 is called **pruning**.
# In **distillation** a small network learns to give the probabilities of a large one ([Hinton et
# al. 2015](https://arxiv.org/abs/1503.02531)). Half a network, trained on the sentences
# themselves, even beats the whole, which never read any.
#
# **Limit.** Bytes are not time: these weights become floats again before they multiply. In networks
# of billions of weights the *activations* have a few very large entries. They spoil plain rounding,
# and are computed apart ([Dettmers et al. 2022](https://arxiv.org/abs/2208.07339)).
#
# ## Robustness: what a small change does
#
# **Question.** How far must every pixel move until the network changes its mind on half of the
# pictures?
#
# With noise it is far. An attacker does better. The gradient of the loss *with respect to the
# picture* says for each pixel which way the answer becomes worse. Move every pixel by the same
# small amount that way ([Goodfellow et al. 2015](https://arxiv.org/abs/1412.6572), section 4):
#
# $$x' = x + \varepsilon\,\mathrm{sign}\bigl(\nabla_x\,\mathrm{loss}(x)\bigr).$$
#
# ### Exercise: the worst direction
#
# *Medium, 18 minutes.* For a batch of pictures return the signs in this formula. The attacker has
# no labels: take the cross-entropy of the network's *own* answers. Then attack: move each pixel
# by `size` grey levels along its sign, within what a picture can hold. Which answers change?
#
# <details><summary>Hint 1</summary>In training, weights need a gradient. What needs one
# here?</details>
# <details><summary>Hint 2</summary>The network reads pictures in [-1, 1]: `dcgan.to_tanh_range`
# makes them from bytes. How wide is one grey level there?</details>
# <details><summary>Hint 3</summary>`torch.autograd.grad(loss, x)` returns a tuple, with one
# gradient for each input.</details>


# %%
def worst_direction(network, images):
    """Signs (N, 3, H, W) that raise the loss of the network's own answers: uint8 (N, 3, H, W)."""
    ### BEGIN SOLUTION
    x = dcgan.to_tanh_range(images).requires_grad_(True)
    logits = network(x)
    own = logits.argmax(dim=1)
    loss = F.cross_entropy(logits, own, reduction="sum")
    (slope,) = torch.autograd.grad(loss, x)
    return slope.sign()
    ### END SOLUTION


worst_direction = checks.world.worst_direction(worst_direction)


# %%
@torch.no_grad()
def flips(network, images, direction, size):
    """bool (N,): uint8 (N, 3, H, W) moved by `size` grey levels along signs get another answer."""
    ### BEGIN SOLUTION
    x = dcgan.to_tanh_range(images)
    moved = (x + size / 127.5 * direction).clamp(-1, 1)
    return network(moved).argmax(dim=1) != network(x).argmax(dim=1)
    ### END SOLUTION


flips = checks.world.flips(flips)

# %% [markdown]
# ### Exercise: predict the size
#
# *Easy, 2 minutes.* At which size $\varepsilon$, in grey levels, do half of the answers change?

# %%
flip_size = ...
flip_size = checks.world.flip_size(flip_size)

# %%
victims = test.images[:500]
uphill = worst_direction(judge, victims)
coin = torch.randn(uphill.shape).sign()  # the same size, without knowledge
sizes = [0, 0.5, 1, 1.5, 2, 3, 4, 6, 8]


# %%
def shares(direction):
    """The share of answers that change, for each of the sizes."""
    return [flips(judge, victims, direction, size).float().mean().item() for size in sizes]


# %%
attacked, by_chance = shares(uphill), shares(coin)
half = next((size for size, share in zip(sizes, attacked) if share >= 0.5), sizes[-1])
flip_size.beside(half)

# %% [markdown]
# Here is the picture of which the network was surest among those that flip:

# %%
sure = judge(dcgan.to_tanh_range(victims)).softmax(dim=1).amax(dim=1)
one = (sure * flips(judge, victims, uphill, half)).argmax()
after = (victims[one] + half * uphill[one]).round().clamp(0, 255).to(torch.uint8)
pair = torch.stack([victims[one], after])
said = [CLASSES[label] for label in small_classifier.classes_of(judge, pair)]

# %%
curves = {"attack": attacked, "coin": by_chance}
plots.show(
    world_plots.attack(pair, uphill[one], half, said, sizes, curves),
    alt="A picture, the signs of its gradient drawn far too strong, and their sum, which looks the same and gets another answer. Right: the share of changed answers rises past one half before two grey levels; under changes of the same size by coin it stays near 0.",
)

# %% [markdown]
# The course attacked {{result:world_robust.json:pictures:,d}} pictures of
# {{result:world_robust.json:data}} by this *fast gradient sign method*. Half of the answers have
# changed at about {{result:world_robust.json:half:.1f}} grey levels. At 2 grey levels it is
# {{result:world_robust.json:attack_2.value:.0%}} ({{result:world_robust.json:attack_2.low:.0%}} to
# {{result:world_robust.json:attack_2.high:.0%}}); by coin it is
# {{result:world_robust.json:noise_2.value:.1%}}
# ({{result:world_robust.json:noise_2.low:.1%}} to {{result:world_robust.json:noise_2.high:.1%}}).
# A picture has 3,072 values. Tiny steps in all of them add up, if each raises the loss.
#
# Lesson 6's FD looks through the same network. Does it see what you cannot?

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
# The course's measurement:

# %%
world_plots.fooled(results.read("world_robust.json"))

# %% [markdown]
# Far stronger noise moves FD much less. The invisible change lifts it clear of both: FD sees what
# its network sees. The trick works backwards, too: FD can be lowered without better pictures
# ([Kynkäänniemi et al. 2023](https://arxiv.org/abs/2203.06026)).
#
# ### Reviews
#
# In a text one can misspell a word, or add a sentence that says nothing about the film. Victim is
# the word counter. A typo here swaps the second and third letter of a word:


# %%
def p_positive(sentences):
    """(N,): the word counter's probability that each review is positive."""
    return torch.tensor(counter.predict_proba(list(sentences))[:, 1])


def says(sentences):
    """bool (N,): which reviews the word counter calls positive."""
    return p_positive(sentences) > 0.5


# %%
print(*itertools.islice(rewording.misspelt("A good, moving film."), 3), sep="\n")

# %%
answers = says(unread.texts)
changed = {
    "add “The popcorn was great.”": says(f"{x} The popcorn was great." for x in unread.texts),
    "add “I saw it on a Tuesday.”": says(f"{x} I saw it on a Tuesday." for x in unread.texts),
    "the first possible typo": says(next(rewording.misspelt(x), x) for x in unread.texts),
}
changed = {name: said != answers for name, said in changed.items()}  # bool (N,) each


# %%
def some_typo_flips(text):
    """Whether one of all possible typos changes the answer."""
    return len(says([text, *rewording.misspelt(text)]).unique()) > 1


# %%
turned = [some_typo_flips(text) for text in unread.texts[:200]]
changed["the worst possible typo"] = torch.tensor(turned)
for name, which in changed.items():
    low, high = metrics.wilson_interval(int(which.sum()), len(which))
    print(f"{unread.title(name)}: between {low:.0%} and {high:.0%} of the answers change")

# %% [markdown]
# Measured on {{result:world_text.json:data}}: the first possible typo changes
# {{result:world_text.json:typo.value:.0%}} of the answers. An attacker who may choose the typo
# changes {{result:world_text.json:worst_typo.value:.0%}}. *Average* and *worst case* are two
# numbers. Ask which one you were told.
#
# **Limit.** These attackers know the network or may ask it as often as they like. Training on
# attacks helps ([Madry et al. 2018](https://arxiv.org/abs/1706.06083)), at least against that kind.
# Networks that answer questions fall for added sentences, too ([Jia and Liang
# 2017](https://arxiv.org/abs/1707.07328)).
#
# ## Bias: the same review, another person
#
# **Question.** Does the word counter like a film better when each *he* in the review becomes a
# *she*, and each *father* a *mother*? Everything else stays the same, so each review is its own
# control:

# %%
every = reviews.load_reviews(source, "test").texts
about_men = [x for x in every if rewording.about_men(x)]
compared = about_men or list(every)  # a stand-in holds no people: there nothing can move
print(rewording.about_women("He plays an actor who looks for his father."))

# %%
p_he = p_positive(compared)
p_she = p_positive(rewording.about_women(x) for x in compared)
mean, low, high = metrics.mean_interval((p_she - p_he).tolist())
moved = f"P(positive) moves by {mean:+.3f} ({low:+.3f} to {high:+.3f})"
print(f"{len(about_men)} reviews about men: {moved}")

# %% [markdown]
# Measured on {{result:world_bias.json:reviews}} of the {{result:world_bias.json:data}}, the swap moves
# the probability of "positive" by
# {{result:world_bias.json:swap.value:+.3f}} ({{result:world_bias.json:swap.low:+.3f}} to
# {{result:world_bias.json:swap.high:+.3f}}), and {{result:world_bias.json:flips.value:.0%}} of the
# verdicts turn. Nobody programmed that: the counter learned it from its training reviews.
#
# What does the GPT expect of people? After "The doctor said that", does it prefer *he* or *she*?

# %%
for person in ("director", "doctor", "killer", "nurse", "dancer", "hero", "actress"):
    beginning = f"The {person} said that"
    she = language_models.preference(writer, tokenizer, beginning, " she", " he")
    print(f"{beginning} … she: {she:.0%}")

# %% [markdown]
# For comparison: in {{result:world_bias.json:corpus}} *she* makes up
# {{result:world_bias.json:she_in_corpus.value:.0%}} of all *he* and *she*. Most of the shares above
# lie below that: the data alone do not explain them.
#
# In CIFAR-10 each of the ten classes has a tenth of the pictures.
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
plots.show(
    world_plots.balance(counts, CLASSES),
    alt="How often the feature network names each class: airplane comes four or five times as often as automobile among generated pictures; truck is rare, too. A dotted line marks a tenth.",
)

# %% [markdown]
# The generator saw every class equally often, and makes
# {{result:world_bias.json:largest.name}} ({{result:world_bias.json:largest.value:.0%}}, interval
# {{result:world_bias.json:largest.low:.0%}} to {{result:world_bias.json:largest.high:.0%}}) much
# more often than {{result:world_bias.json:smallest.name}}
# ({{result:world_bias.json:smallest.value:.0%}}). Balanced data do not make a balanced model; and
# data that come from such a model are not balanced any more.
#
# **Limit.** A classifier did the counting, and it errs: hence the real pictures in the figure. And
# pronouns are the easiest case. [Kiritchenko and Mohammad
# 2018](https://arxiv.org/abs/1805.04508) tested 219 systems that rate feelings; [Sheng et al.
# 2019](https://arxiv.org/abs/1909.01326) tested what larger models write about people.
#
# ## Privacy: what a model gives away
#
# **Question.** How often must a secret stand in the training texts until a model gives it away?
#
# Plant three secrets among 300 reviews, alike except for a code of six digits. One stands there
# once, one 10 times, one 100 times. Such a secret is called a **canary** ([Carlini et al.
# 2019](https://arxiv.org/abs/1802.08232)). Then the shipped GPT, which has read none of this, is
# fine-tuned for `tuning` steps.
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
# *same* loss stands before the secret: a network that rates all alike has exposed nothing, 0 bits.
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
# The course's measurement, with other secrets for each seed:

# %%
recorded = results.read("world_privacy.json")
world_plots.canaries(recorded["canary"])

# %% [markdown]
# One copy cannot be told from none here. Ten copies put the code first in most seeds, a hundred in
# every seed. So remove copies before you train.
#
# ### Was it in there?
#
# A smaller secret: whether *your* text was among the training data at all. A text that was is a
# **member**. The simplest attack says "member" where the loss is low ([Yeom et al.
# 2018](https://arxiv.org/abs/1709.01604)). How good is that bet? Draw a member and another text by
# chance. With which probability does the member have the lower loss? This number is the **area
# under the curve** (AUC; the curve is the ROC curve): 0.5 is guessing, 1 is certainty.
#
# ### Exercise: how good is the attack?
#
# *Medium, 18 minutes.* From the losses of M members and of N others compute this probability over
# all M · N pairs. Equal losses count half. Serious audits ask more ([Carlini et al.
# 2022](https://arxiv.org/abs/2112.03570)): whoever lies *below* a border is called a member; at
# most a share `alarms` of the others may lie there. Which share of the members is found at best?
#
# <details><summary>Hint 1</summary>For two members and three others, write down all six pairs. A
# mean over pairs is asked for.</details>
# <details><summary>Hint 2</summary>Broadcasting compares everybody with everybody. Which way round
# is a good bet: member lower, or higher?</details>
# <details><summary>Hint 3</summary>Sort eight others; a quarter may lie below. Which is the first
# that may not? And if all may?</details>


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
def members_found(member_losses, other_losses, alarms):
    """Share of the members found, (M,), with at most a share `alarms` of others, (N,), below."""
    ### BEGIN SOLUTION
    never = torch.tensor([math.inf])  # where all others may lie below
    borders = torch.cat([other_losses, never]).sort().values
    border = borders[int(alarms * len(other_losses))]
    return (member_losses < border).double().mean().item()
    ### END SOLUTION


members_found = checks.world.members_found(members_found)


# %%
def per_token(model, sentences):
    """Nats per token of each text."""
    lengths = torch.tensor([len(ids) - 1 for ids in texts.encode(tokenizer, sentences)])
    return nats(model, sentences) / lengths


# %%
others = list(unread.texts[:n_private])
for name, model in {"before": writer, "after": student}.items():
    losses = per_token(model, members), per_token(model, others)
    found = f"{members_found(*losses, 0.01):.0%} of the members at 1 % false alarms"
    print(f"{name} fine-tuning: AUC {membership_auc(*losses):.2f}, {found}")

# %% [markdown]
# Before the fine-tuning the bet is worth nothing, as it must be (measured: AUC
# {{result:world_privacy.json:auc.before.value:.2f}},
# {{result:world_privacy.json:auc.before.low:.2f}} to
# {{result:world_privacy.json:auc.before.high:.2f}} over seeds). After it:
# {{result:world_privacy.json:auc.after.value:.2f}}
# ({{result:world_privacy.json:auc.after.low:.2f}} to
# {{result:world_privacy.json:auc.after.high:.2f}}). Here the network saw each text about three
# times. The shipped GPT read each of its 25,000 reviews about once. On them the bet is only a
# little above guessing: {{result:world_privacy.json:auc.shipped.value:.2f}}
# ({{result:world_privacy.json:auc.shipped.low:.2f}} to
# {{result:world_privacy.json:auc.shipped.high:.2f}}).
#
# ### Learning without giving away
#
# **Differential privacy** is a promise: with or without any one text, nearly the same model comes
# out. Training draws noise, so each model has a probability. One text more makes no model more than
# $e^{\varepsilon}$ times as probable, apart from a small probability $\delta$.
#
# DP-SGD ([Abadi et al. 2016](https://arxiv.org/abs/1607.00133), algorithm 1) does two things in each
# step:
#
# 1. *Clip.* No single example may pull the *sum* of gradients farther than a length `clip`.
# 2. *Noise.* Gaussian noise hides what one example could do. In each number of the sum its standard
#    deviation is `noise_multiplier` times that largest pull.
#
# ### Exercise: a private step
#
# *Hard, 28 minutes.* From one gradient for each example, (B, P), make the gradient (P,) of a
# private step: an average over the batch, as usual. Draw all noise from `generator`. Then take the
# whole step for logistic regression: logits `x @ weights`, labels `y` 0 or 1, the loss is the
# cross-entropy. Return the weights after a step with learning rate `rate`.
#
# <details><summary>Hint 1</summary>What is the largest change of the *sum* when one example is
# added? Everything else follows from that.</details>
# <details><summary>Hint 2</summary>Whose length is cut: that of each row, or that of each number?
# What happens to rows that are short already?</details>
# <details><summary>Hint 3</summary>How many independent draws does a sum of B rows need? Count them
# for B = 1,000.</details>
# <details><summary>Hint 4</summary>On paper, for one review: the slope of the loss in the logit,
# times that of the logit in each weight.</details>


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


# %%
def private_step(weights, x, y, clip, noise_multiplier, rate, generator):
    """New weights (P,) of a logistic regression: weights (P,), reviews (B, P), labels (B,)."""
    ### BEGIN SOLUTION
    error = (x @ weights).sigmoid() - y  # (B,)
    each = error[:, None] * x  # (B, P): one gradient per review
    return weights - rate * clip_and_noise(each, clip, noise_multiplier, generator)
    ### END SOLUTION


private_step = checks.world.private_step(private_step)

# %% [markdown]
# Now train a word counter on {{result:world_privacy.json:reviews}} reviews with your step. Each
# step uses all. Then the steps' privacy costs simply add up. With noise multiplier $m$ one step
# costs $1/(2m^2)$, so $T$ steps cost $\rho = T/(2m^2)$. From $\rho$ comes $\varepsilon = \rho +
# 2\sqrt{\rho\ln(1/\delta)}$ ([Bun and Steinke 2016](https://arxiv.org/abs/1605.02658), proposition
# 1.3).

# %%
from sklearn.feature_extraction.text import TfidfVectorizer

vocabulary = TfidfVectorizer(max_features=1_000).fit(read.texts)  # taken as public
inside, outside = (
    torch.tensor(vocabulary.transform(x).toarray()).float() for x in (members, unread.texts)
)
labels = read.labels[: len(members)].float()


# %%
def private_weights(noise_multiplier, rounds=100):
    """Logistic regression by DP-SGD on all members at once: weights (P,)."""
    weights, dice = torch.zeros(inside.shape[1]), torch.Generator().manual_seed(0)
    for _ in range(rounds):
        weights = private_step(weights, inside, labels, 0.5, noise_multiplier, 20, dice)
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
    gained = f"accuracy {accuracy:.0%}, AUC {membership_auc(fit, new):.2f}"
    print(f"m = {m:>2}: epsilon {epsilon:.0f}, {gained}")

# %% [markdown]
# The course measured (noise multiplier 0 still clips):

# %%
world_plots.private_words(recorded["dp"])

# %% [markdown]
# (A tighter bound on ε, by {{result:world_privacy.json:dp.library}}, is
# {{result:world_privacy.json:dp.rows.3.epsilon_library:.1f}} and
# {{result:world_privacy.json:dp.rows.10.epsilon_library:.1f}} for multipliers 3 and 10.)
#
# Noise protects, and it costs: with noise multiplier 10, the accuracy is that of always saying
# “positive” (55 %). Read ε as a factor: $e^5$ is about 150, a weak promise, $e^{22}$ more than a
# billion, hardly any. More texts also lower the AUC, but only on average; noise protects each
# single text. The GPT with its canaries, three seeds (the promise covers one window of 64 tokens,
# not all copies of a secret):

# %%
world_plots.private_gpt(recorded)

# %% [markdown]
# Clipping alone does not help. With noise, exposures and AUC are as before fine-tuning. New text
# costs this network {{result:world_privacy.json:dp.gpt.noise.nats.value:.2f}} nats per token, the
# untouched {{result:world_privacy.json:nats.before.value:.2f}}, the plainly fine-tuned
# {{result:world_privacy.json:nats.after.value:.2f}}. On so little text plain fine-tuning memorises;
# private training keeps the secrets and learns next to nothing.
#
# **Limit.** An average over texts hides the unlucky few that are unlike all others. Large models
# gave away names and addresses word for word ([Carlini et al.
# 2021](https://arxiv.org/abs/2012.07805)), and diffusion models gave away photographs ([Carlini et al. 2023](https://arxiv.org/abs/2301.13188)).
#
# ## When it goes wrong: an attack that needs no leak
#
# An auditor has 300 critics' sentences and claims that *our shipped GPT* was trained on them. As
# "others" the auditor takes pages of Python's manual. In truth the GPT has read neither.
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
# **What happened.** The groups differ in *style*, so their losses differ even for a network that
# has read neither. **How to see it**: run the same attack on such a network, as "before" did above;
# what is far from 0.5 there is the groups' difference. **The cure**: draw members and others from
# one pile, by chance, before the training. Published tests made this mistake: on 8 of their data
# sets, an attacker blind to the model beats theirs ([Das et al.
# 2024](https://arxiv.org/abs/2406.16201)).
#
# ## Provenance: who made this?
#
# **Question.** From how many tokens on can you tell that our GPT wrote a text?
#
# Nonsense names no author. But the writer can leave a mark ([Kirchenbauer et al.
# 2023](https://arxiv.org/abs/2301.10226), algorithm 2). Before each token, a share $\gamma$ of the
# vocabulary, here a quarter, is drawn and called *green*. A secret key and the token before seed
# this draw, so whoever has the key can repeat it. The writer adds 2 to the logits of green tokens,
# and hits green more often. People, who do not know the key, hit it in a share $\gamma$ of all
# cases.
#
# ### Exercise: leave a mark, and find it
#
# *Medium, 18 minutes.* Which tokens are green after the token `previous`? Exactly the share `gamma`
# of them, rounded to whole tokens, by a draw that depends on `key` and `previous` alone. Each pair
# (`key`, `previous`) has its own list. Then, further down, find the mark: by how many standard
# deviations does the number of green tokens exceed what chance would give? This number is called
# $z$. Judge each token but the first, with `is_green(previous, token)`. If there is none to judge,
# return 0.
#
# <details><summary>Hint 1</summary>A generator takes *one* number as its seed. Number all pairs
# of a key and a token.</details>
# <details><summary>Hint 2</summary>T tosses of a coin with probability γ: which mean, which
# variance?</details>
# <details><summary>Hint 3</summary>How many tokens of a text of length T have one before
# them?</details>


# %%
def green_list(previous, vocab, gamma, key):
    """The tokens that are green after one token: bool (vocab,)."""
    ### BEGIN SOLUTION
    source = torch.Generator().manual_seed(key * vocab + previous)
    order = torch.randperm(vocab, generator=source)
    green = torch.zeros(vocab, dtype=torch.bool)
    green[order[: round(gamma * vocab)]] = True
    return green
    ### END SOLUTION


green_list = checks.world.green_list(green_list)

# %%
mark = watermark.Watermark(writer.sizes["vocab"], gamma=0.25, delta=2.0, lists=green_list)
beginning = torch.zeros(n_written, 1, dtype=torch.int64)


# %%
def written(which):
    """Texts of 200 tokens by the GPT, with or without a mark: ids (n_written, 201)."""
    dice = torch.Generator().manual_seed(0)
    return watermark.write(writer, beginning, 200, which, temperature=0.9, generator=dice)


# %%
versions = {"plain": written(None), "marked": written(mark)}
for name, ids in versions.items():
    print(f"{name}: {text_plots.shorten(texts.decode(tokenizer, ids[0].tolist()), 250)}")

# %% [markdown]
# Could you tell them apart? Now count:


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
lengths = [5, 10, 15, 20, 25, 30, 40, 60, 80, 120, 160, 200]


# %%
def z_by_length(ids):
    """z of the first tokens of a text, for each of the lengths."""
    return [watermark_z(ids[: n + 1], mark.is_green, mark.gamma) for n in lengths]


# %%
kinds = {**versions, "people": people}
z = {name: torch.tensor([z_by_length(ids) for ids in x.tolist()]) for name, x in kinds.items()}
middle = z["marked"].median(dim=0).values.tolist()
tokens_needed.beside(next((n for n, x in zip(lengths, middle) if x > 4), 200))

# %%
plots.show(
    world_plots.evidence(lengths, z),
    alt="z against length: marked texts rise like a square root and cross the line of the alarm at 4 after some twenty tokens; unmarked texts and people's stay around 0. Bands hold nine of ten texts.",
)

# %% [markdown]
# See where the marked texts' band crosses the alarm. The evidence in a marked text of $T$ tokens
# grows as $\sqrt T$. Of {{result:world_provenance.json:false.n:,d}} windows of 200 tokens that
# people wrote ({{result:world_provenance.json:data}}), the alarm rang for
# {{result:world_provenance.json:false.value:.2%}} (95 %: up to
# {{result:world_provenance.json:false.high:.2%}}). The mark has a price: to the unmarked GPT,
# marked texts cost {{result:world_provenance.json:cost.marked.value:.2f}} nats per token, and plain
# ones {{result:world_provenance.json:cost.plain.value:.2f}}.
#
# Now replace some tokens by others, drawn by chance. Each spoils two pairs, with the token before
# and with the token after:

# %%
for share in (0.1, 0.3, 0.5):
    ids = versions["marked"].clone()
    hit = torch.rand(ids.shape, generator=chance) < share
    ids[hit] = torch.randint(1, mark.vocab, (int(hit.sum()),), generator=chance)
    left = torch.tensor([watermark_z(row, mark.is_green, mark.gamma) for row in ids.tolist()])
    print(f"{share:.0%} changed: z {left.mean():.1f}, alarm in {(left > 4).float().mean():.0%}")

# %% [markdown]
# ### A signature
#
# A picture can carry *papers* instead: a text that names its maker and holds a **digest** of the
# pixels (SHA-256: change one byte, and another digest comes out). A **signature** closes the
# papers. With one shared secret, whoever can check could also forge. So the maker has a *pair* of
# keys (Ed25519): the secret one signs; the public one, which everybody may have, can only check.

# %%
import hashlib
import json

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def papers_of(picture, maker):
    """The papers of a picture: its maker, and the digest of its pixels, as bytes."""
    digest = hashlib.sha256(picture.numpy().tobytes()).hexdigest()
    return json.dumps({"maker": maker, "pixels": digest}).encode()


# %%
def holds(picture, papers, signature, public):
    """Whether the owner of the key signed these papers, and they belong to this picture."""
    try:
        public.verify(signature, papers)
    except InvalidSignature:
        return False
    return papers == papers_of(picture, json.loads(papers)["maker"])


# %%
secret, stranger = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
public, picture = secret.public_key(), made[0]
papers = papers_of(picture, "lesson 2's GAN")
signature = secret.sign(papers)
edited = picture.clone()
edited[0, 0, 0] ^= 1  # one bit of one byte

# %%
forged = papers_of(picture, "a photographer")
cases = {
    "the picture": holds(picture, papers, signature, public),
    "one byte changed": holds(edited, papers, signature, public),
    "another maker in the papers": holds(picture, forged, signature, public),
    "signed by a stranger": holds(picture, forged, stranger.sign(forged), public),
}
print(cases)
assert list(cases.values()) == [True, False, False, False]

# %%
with_their_key = holds(picture, forged, stranger.sign(forged), stranger.public_key())
print("the stranger's papers, checked with the stranger's own key:", with_their_key)

# %% [markdown]
# The last line is no fault. A signature proves that the owner of *this* key signed *these* bytes,
# not whose key it is, nor that the papers are true. A screenshot looks the same and has other
# pixels, so no papers fit it: a missing signature proves nothing.
#
# **Limit.** Whose key it is you have to learn elsewhere; in the standard for such papers,
# [C2PA](https://c2pa.org/), authorities say so. And a program that paraphrases removes text marks,
# with little harm to the meaning ([Krishna et al. 2023](https://arxiv.org/abs/2303.13408)).
#
# ## Several machines
#
# **Question.** What do two machines have to tell each other to train *one* network?
#
# Each takes half of the batch. If both use the mean of the two gradients, they make the same step
# as one machine with all of it:

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
# those, too. After {{result:world_machines.json:steps}} steps of lesson 2's training
# ({{result:world_machines.json:data}}) by one process and by two, no weight differs by more than
# {{result:world_machines.json:difference:.4f}}: sums are taken in another order, and training
# amplifies that. Another seed moves one by {{result:world_machines.json:other_seed:.2f}}. In each
# step the processes share {{result:world_machines.json:megabytes:.2f}} MB of gradients. How to
# start it: `docs/several_machines.md`.
#
# Now plan for eight GPUs, on paper. Each has an eighth of the batch; all need the mean gradient.
# They stand in a ring, each sending to its neighbour one of eight pieces of the gradients. Seven
# rounds add the pieces up, and seven more hand the sums on. So each GPU sends
# $2\cdot\frac{7}{8}$ of all gradients (Patarasuk and Yuan 2009). Adam in mixed precision holds 16
# bytes for each weight: 2 for itself, 2 for its gradient, and 12 for a precise copy and Adam's two
# means ([Rajbhandari et al. 2020](https://arxiv.org/abs/1910.02054), section
# 3.1):

# %%
link = 450e9  # bytes per second one way: NVLink of an H100, by its data sheet
tokens = 8 * 8_192  # in one step, all eight together
plan = {}
for name, n in {"our GPT": 3.1e6, "7 billion weights": 7e9, "70 billion": 70e9}.items():
    compute = 6 * n * tokens / (8 * gpu["flops_per_second"])
    talk = 2 * 7 / 8 * 2 * n / link  # gradients of two bytes each
    plan[name] = (16 * n / 1e9, compute, talk)
world_plots.numbers(["", "GB a GPU", "s to compute", "s to talk"], plan, "a step on eight GPUs")

# %% [markdown]
# **Limit.** This is arithmetic, no measurement: it leaves out latency and the memory for
# activations. But before money is spent it tells that 7 billion weights do not fit into the 80 GB
# of one such GPU, with all that belongs to them. So they are split over several
# ([Rajbhandari et al. 2020](https://arxiv.org/abs/1910.02054)). Larger batches need another
# learning rate ([Goyal et al. 2017](https://arxiv.org/abs/1706.02677)).
#
# ## Questions
#
# Think first; the answer also says why each other choice is wrong.
#
# **1. A seller's set of a million generated pictures, made from *your* thousand, will help your
# classifier because** (a) more data always help (b) the generator adds knowledge (c) it may fill
# gaps between your examples, as moving them does; test it against that (d) FD is low
#
# <details><summary>Answer</summary>(c). (a) Section one has a counter-example. (b) It can only hand
# on what its training pictures held. (d) Low FD does not make labels right.</details>
#
# **2. A classifier keeps 97 % of its answers under noise of 4 grey levels. It is**
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
# ## Recap
#
# You tested whether generated pictures are worth their price, and computed that price; shrank a
# network until it broke; attacked pictures and reviews; measured bias in pairs and what a model
# gives away, and protected it; marked and signed what a model made; and planned a training on
# several machines.
#
# **What this did not show.** Our models are small. Larger ones write better, know more and leak
# other things; the *measurements* carry over, the numbers do not. Law, and whose pictures a model
# may learn from, no cell can measure.
#
# **Sources** stand where they are used. Patarasuk and Yuan 2009, *Bandwidth optimal all-reduce
# algorithms for clusters of workstations*, Journal of Parallel and Distributed Computing 69.
