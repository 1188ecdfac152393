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
# # 4. BERT fine-tuned on IMDB
#
# A pre-trained transformer was asked whether film reviews praise or blame. A method from the last
# century, which counts words, was asked too. **The transformer lost.** Here you find out why, and
# mend it with a training step of your own. Then you ask what an accuracy does not answer: does it
# *read*?
#
# **You will learn to** turn texts into batches, and see what is cut off · run the two tasks that
# BERT was pre-trained on · write a step of fine-tuning, and know why each line is there · compare
# two classifiers on the same texts · test a classifier with pairs of sentences, and repair it with
# such pairs · fine-tune with one weight in a hundred.
#
# **You need** lesson 1's loss from logits, the softmax, and the idea of an embedding: a vector of
# learned numbers for each word. Attention may stay a black box until lesson 5.
#
# **Time** about {{minutes}} minutes to read and solve. This table says how long the computer works;
# the line under the settings says how long yours does.
#
# {{tiers}}

# %% [markdown]
# ## Set-up

# %%
import copy
import math
import tempfile

# before torch: waiting threads sleep
from course_utils import checks, progress_bars, results, runtime
import torch
from IPython.display import Markdown
from torch import nn

from course_utils.datasets import contrast_pairs, reviews
from course_utils.display import bert_diagram, bert_plots, plots, text_plots
from course_utils.display.widgets import review_meter

# %%
from course_utils.evaluation.bag_of_words import bag_of_words
from course_utils.evaluation.intervals import wilson_interval
from course_utils.datasets.near_duplicates import without_copies
from course_utils.models import bert, lora, masked_lm, next_sentence
from course_utils.models.pretrained import load_encoder
from course_utils.training.recipes.bert import checkpointed

# %%
run = runtime.setup(seed=0)

# %% [markdown]
# What you may want to change, with the values of the three tiers side by side:

# %%
from course_utils.machine import minutes_here

# fmt: off
#                     smoke  laptop     gpu
n_train    = run.pick(   64,  2_000, 25_000)  # training reviews
n_test     = run.pick(  100,  1_000, 25_000)  # test reviews
max_tokens = run.pick(   32,    128,    256)  # tokens that are read of each review
batch_size = run.pick(   16,     16,     32)  # reviews per step
epochs     = run.pick(    1,      2,      3)  # passes over the training reviews
peak_rate  = run.pick( 1e-4,   1e-4,   2e-5)  # the largest learning rate of the schedule
task_steps = run.pick(   10,    200,    400)  # steps of the pre-training in miniature
source     = None   # None: IMDB if it is here, else critics' sentences; or your folder
encoder_is = None   # None: the tier's; "small", "base" or "standin"
fresh      = False  # True: forget an earlier run and train again
# fmt: on
minutes_here.tell(run, "04_bert_imdb", n_train)

# %% [markdown]
# ## The case
#
# The accused is a small BERT, trained beforehand on about a billion pairs of sentences. It was
# fine-tuned on {{result:bert_laptop.json:imdb_head.train:,d}} film reviews of
# {{result:bert_laptop.json:imdb.data}}: a copy, not the authors' own file. As in many tutorials,
# each was cut at {{result:bert_laptop.json:settings.max_tokens}} tokens. The witness counts words.
# Both were tested on the same {{result:bert_laptop.json:settings.test:,d}} reviews:
#
# | classifier | accuracy | 95 % interval |
# | --- | --- | --- |
# | counting words | {{result:bert_laptop.json:imdb_head.words.value:.1%}} | {{result:bert_laptop.json:imdb_head.words.low:.1%}} to {{result:bert_laptop.json:imdb_head.words.high:.1%}} (other reviews) |
# | the transformer, three seeds | {{result:bert_laptop.json:imdb_head.bf16.value:.1%}} | {{result:bert_laptop.json:imdb_head.bf16.low:.1%}} to {{result:bert_laptop.json:imdb_head.bf16.high:.1%}} (other seeds) |
#
# (A **seed** sets the random numbers of a training.) It lost in each of its three runs, by about
# one point. Other test reviews might turn that round. But nobody fine-tunes 22 million weights to
# be level with counting. Why did all that pre-training not show? Three suspects: *it did not see
# the evidence*; *long texts suit the counter*; *with enough labels, pre-training no longer
# matters*.
#
# ## The idea in miniature: counting words is not reading
#
# Take two sentences made of the same words, and ask a **bag of words** about them: a classifier
# that sees which words occur, and how often, but not where.

# %%
praise, blame = contrast_pairs.OPENING
print(praise, "|", blame)

# %%
toy_texts = ["funny and good", "so funny", "funny, not sad", "boring and bad", "so bad"]
toy = bag_of_words(rarest=1)  # count words that occur in one text only, too
toy.fit(toy_texts, [1, 1, 1, 0, 0])
p = toy.predict_proba([praise, blame])[:, 1]
print(f"P(positive): {p[0]:.3f} and {p[1]:.3f}")
assert math.isclose(p[0], p[1])

# %% [markdown]
# The same number twice, so one of the two answers is wrong: no bag of words can tell them apart. To
# read, a model has to let each word's meaning depend on the words around it, on both sides. That is
# what an **encoder** does: it takes T **tokens** (words or pieces of words) and gives back T
# vectors, each of which has looked at all tokens. Here we take such a network ready-made: BERT
# ([Devlin et al. 2019](https://arxiv.org/abs/1810.04805), "the paper" from here on). So it *can*
# read. Whether it *does*, we ask at the end, with this pair.
#
# ## The reviews
#
# Three parts: one to train on, *validation* to choose settings on, and *test* to measure on.

# %%
train = reviews.load_reviews(source, "train", limit=n_train)
validation = reviews.load_reviews(source, "validation", limit=n_test // 2)
test = reviews.load_reviews(source, "test", limit=n_test)
for part in (train, validation, test):
    print(part)

# %%
Markdown(reviews.which(train))

# %% [markdown]
# Before anything else, read a few. No statistic replaces it. Reviews come from the web and
# hold HTML: whatever is shown is *escaped*, so that a review's markup is seen and never run.

# %%
few = train.take(4)
rows = [(few.classes[y], text_plots.shorten(text, 200)) for y, text in zip(few.labels, few.texts)]
rows.append(("made up", "<script>alert('you have been reviewed')</script><b>bold</b> claims"))
text_plots.table(["label", "text"], rows, train.title("four reviews, and one with markup"))

# %% [markdown]
# ### What must not leak
#
# Test reviews measure something only if the model has not met them. Three leaks are common. *The
# same film on both sides*: a model then learns that a name is praised. IMDB's authors kept films
# apart, and the course does so for the critics' sentences. *Copies*: people post a review twice.
# *Peeking*: choose settings by test accuracy and you have trained on the test set. So `test` is
# opened once, under "Results".

# %%
train, copies = without_copies(train, validation, test)
train.require(each=1)
print(
    f"removed from the training part: {copies.exact + copies.near} copies, "
    f"of which {copies.in_held} repeat a held-out review"
)

# %%
if train.films:
    assert not set(train.films) & (set(test.films) | set(validation.films))
assert not set(train.texts) & set(test.texts)

# %% [markdown]
# In {{result:bert_data.json:imdb.name}}, {{result:bert_data.json:imdb.copies.in_held}} of 25,000
# training reviews repeat a test review.
#
# ## From text to tokens
#
# BERT does not read words but **WordPieces**: frequent words are one token, rare ones are put
# together from pieces (`##` means: joined to the left). So BERT's 30,000 tokens (section 3 of the
# paper) spell nearly everything. `[CLS]` opens a text, `[SEP]` closes it.
#
# Tier `gpu` takes BERT-base. The others take a small encoder: MiniLM, of BERT's design with 6
# layers, first trained to imitate a large network ([Wang et al.
# 2020](https://arxiv.org/abs/2002.10957)) and then to compare sentences ([Reimers and Gurevych
# 2019](https://arxiv.org/abs/1908.10084)).

# %%
encoder = load_encoder(encoder_is, tier=run.tier, texts=train.texts)
tokenizer, model = encoder.tokenizer, encoder.model.to(run.device)
print(
    f"{encoder.name}, pre-trained: {encoder.pretrained}, "
    f"{len(tokenizer):,} tokens in its vocabulary"
)

# %%
for text in ("An unbelievably good film.", "DeNiro's underacting!"):
    print(tokenizer.convert_ids_to_tokens(tokenizer(text)["input_ids"]))

# %% [markdown]
# What enters the network is, for each token, the *sum* of three vectors: which token it is, at
# which **position** it stands, and which **segment** it belongs to (two for pairs of texts, here
# always the first); then a **layer norm** brings each vector to mean 0 and variance 1. Without the
# position, the encoder too would see a bag of words. The picture shows the whole machine; only its
# head, at the top left, is new.

# %%
figure, (ax,) = plots.subplots(width=8, height=4.2)
pieces = tokenizer.convert_ids_to_tokens(tokenizer("A wonderful film.")["input_ids"])[:7]
bert_diagram.draw(ax, pieces, layers=model.config.num_hidden_layers)
plots.show(
    figure,
    alt="From bottom to top: each token's three vectors (token, position, segment) are added; the sums pass through the layers, in which each looks at all; the vector of [CLS] alone goes through the pooler and the new head to two logits.",
)

# %%
ids = torch.tensor([tokenizer("A wonderful film.")["input_ids"]], device=run.device)  # (1, T)
inputs = model.eval().bert.embeddings
summed = (
    inputs.word_embeddings(ids)
    + inputs.position_embeddings(torch.arange(ids.shape[1], device=run.device))
    + inputs.token_type_embeddings(torch.zeros_like(ids))
)

# %%
ours, theirs = inputs.LayerNorm(summed), inputs(input_ids=ids)
print(f"ids {tuple(ids.shape)} -> vectors {tuple(summed.shape)}")
print(f"largest difference between ours and the library's: {(ours - theirs).abs().max():.1e}")
assert torch.allclose(ours, theirs, atol=1e-5)

# %% [markdown]
# ## First suspect: it did not see the evidence
#
# BERT reads at most 512 tokens, and more tokens take more time. So texts are cut. The median review
# of {{result:bert_data.json:imdb.name}} has {{result:bert_data.json:imdb.median_tokens:.0f}}
# tokens, and {{result:bert_data.json:imdb.longer.128:.0%}} of the reviews are longer than 128. How
# much of the text is thrown away?

# %%
figure, (ax,) = plots.subplots(width=8, height=3.2)
bert_plots.cut(ax, results.read("bert_data.json"), ("imdb", "sentences"))
ax.set_title("At 128 tokens, more than half of IMDB is never read", loc="left", fontsize=10)
plots.show(
    figure,
    alt="A bar for each limit of 64, 128, 256 and 512 tokens, split into what is read and what is thrown away: for IMDB most of the bar at 64 and a small end at 512, for the critics' sentences nearly nothing.",
)

# %% [markdown]
# And *which* tokens go? The tutorial's line keeps the beginning: `ids[:limit]`. A verdict often
# stands at the end.


# %%
def keep_head(ids, limit):
    """The tutorial's line."""
    return ids[:limit]


sample = "The first hour is slow and the hero is a bore. But stay: the end is magnificent!"
print(tokenizer.decode(keep_head(tokenizer(sample)["input_ids"], 14)))

# %% [markdown]
# ### Exercise: mend the cut
#
# *Medium, 8 minutes.* Look at what `keep_head` printed: the verdict is lost, and so is a token that
# BERT expects. Write `keep_ends`: at most `limit` tokens, half of them from the beginning and the
# rest from the end (an odd one goes to the end). A text that fits stays whole.
#
# <details><summary>Hint 1</summary>Where does <code>[SEP]</code> stand? If the end is kept, it
# needs no special case.</details>
# <details><summary>Hint 2</summary>Three cases on paper, with <code>limit</code> 5: four tokens,
# five, eight. How many come from the end?</details>


# %%
def keep_ends(ids, limit):
    """Token ids, [CLS] first, [SEP] last -> a list of at most ``limit``, from both ends."""
    ### BEGIN SOLUTION
    if len(ids) <= limit:
        return list(ids)
    first = limit // 2
    return list(ids[:first]) + list(ids[len(ids) - (limit - first) :])
    ### END SOLUTION


keep_ends = checks.bert.keep_ends(keep_ends)

# %%
print(tokenizer.decode(keep_ends(tokenizer(sample)["input_ids"], 14)))
sequences = {
    name: [keep_ends(ids, max_tokens) for ids in tokenizer(list(part.texts))["input_ids"]]
    for name, part in {"train": train, "validation": validation, "test": test}.items()
}

# %% [markdown]
# The same network, reviews and steps; only the cut is mended:
#
# | {{result:bert_laptop.json:imdb.data}}, 128 tokens, three seeds | accuracy | minus counting words |
# | --- | --- | --- |
# | the beginning | {{result:bert_laptop.json:imdb_head.bf16.value:.1%}} | {{result:bert_laptop.json:imdb_head.above.value:+.1%}} ({{result:bert_laptop.json:imdb_head.above.low:+.1%}} to {{result:bert_laptop.json:imdb_head.above.high:+.1%}} over seeds) |
# | both ends | {{result:bert_laptop.json:imdb.bf16.value:.1%}} | {{result:bert_laptop.json:imdb.above.value:+.1%}} ({{result:bert_laptop.json:imdb.above.low:+.1%}} to {{result:bert_laptop.json:imdb.above.high:+.1%}} over seeds) |
#
# (Differences are percentage points.) One line turned a defeat into a narrow lead. [Sun et al.
# 2019](https://arxiv.org/abs/1905.05583) (section 5.3.1) found the same at 512. **The
# first suspect is guilty.** But the lead is narrow, so it did not act alone.
#
# To hear the other two, you need a network of your own.
#
# ## Batches of unequal texts
#
# ### Exercise: pad and mask
#
# *Easy, 6 minutes.* A tensor is a rectangle, so shorter texts are filled up at the right with a
# padding id, and a **mask** says where real tokens are (1) and where padding is (0). Return both,
# as int64.
#
# <details><summary>Hint 1</summary>The width is the length of the longest sequence of this batch,
# no more.</details>
# <details><summary>Hint 2</summary>The mask follows from the lengths. A comparison with
# <code>pad_id</code> is not the same: what if that id occurs in a text?</details>


# %%
def pad_batch(sequences, pad_id):
    """B lists of ids -> ids (B, T) and mask (B, T), both int64, filled at the right; mask is 1 at
    tokens.
    """
    ### BEGIN SOLUTION
    T = max(len(s) for s in sequences)
    ids = torch.tensor([list(s) + [pad_id] * (T - len(s)) for s in sequences])
    mask = torch.tensor([[1] * len(s) + [0] * (T - len(s)) for s in sequences])
    return ids, mask
    ### END SOLUTION


pad_batch = checks.bert.pad_batch(pad_batch)

# %% [markdown]
# The mask must make padding invisible: a text's answer may not depend on its neighbours in the
# batch. Without the mask it does.

# %%
few = sequences["validation"][:8]
ids, mask = pad_batch(few, tokenizer.pad_token_id)

# %%
with torch.no_grad():
    alone = torch.cat([model(torch.tensor([s], device=run.device)).logits for s in few])
    together = model(ids.to(run.device), attention_mask=mask.to(run.device)).logits
    unmasked = model(ids.to(run.device)).logits

# %%
print(
    f"largest difference: {(alone - together).abs().max():.1e} with the mask, "
    f"{(alone - unmasked).abs().max():.1e} without"
)
assert torch.allclose(alone, together, atol=1e-4)

# %% [markdown]
# Padding costs time, so texts of similar length will share a batch.
#
# ## What the encoder learned before: two tasks without labels
#
# Nobody labels billions of words. BERT's training makes its own questions from plain text (section
# 3.1 of the paper):
#
# * **Masked language model**: hide some tokens, guess them from both sides. 15 % of the tokens are
#   chosen. Of these, 80 % become `[MASK]`. 10 % become a random token, so that the network cannot
#   simply trust what it sees. 10 % stay as they are, since real text holds no `[MASK]`.
# * **Next-sentence prediction**: two pieces of text, and the question whether the second really
#   followed the first.
#
# ### Exercise: hide tokens
#
# *Medium, 12 minutes.* Return the ids to show and the labels. Each ordinary token is chosen with
# probability 0.15, special ones (where `special_mask` is true) never; a random token is drawn from
# the whole vocabulary. A label is the original id where a token was chosen, and −100 elsewhere
# (PyTorch's cross-entropy skips that number). The input is not changed, and all chance comes from
# `generator`.
#
# <details><summary>Hint 1</summary>Draw one uniform number for each position: below 0.15, it is
# chosen. <code>torch.rand(ids.shape, generator=generator)</code></details>
# <details><summary>Hint 2</summary>Draw a second, independent one for what happens to it: below
# 0.8, between 0.8 and 0.9, above.</details>
# <details><summary>Hint 3</summary><code>torch.where(condition, a, b)</code> makes a new tensor;
# <code>ids[condition] = ...</code> would change the caller's.</details>


# %%
def mask_tokens(ids, special_mask, mask_id, vocab_size, generator):
    """ids (B, T), special_mask (B, T) -> ids to show, labels (original id where chosen,
    else -100).
    """
    ### BEGIN SOLUTION
    chosen = (torch.rand(ids.shape, generator=generator) < 0.15) & ~special_mask.bool()
    fate = torch.rand(ids.shape, generator=generator)
    other = torch.randint(vocab_size, ids.shape, generator=generator)
    shown = torch.where(chosen & (fate < 0.8), mask_id, ids)
    shown = torch.where(chosen & (fate >= 0.8) & (fate < 0.9), other, shown)
    return shown, torch.where(chosen, ids, -100)
    ### END SOLUTION


mask_tokens = checks.bert.mask_tokens(mask_tokens)

# %% [markdown]
# Run both tasks at once, from scratch: on the first 64 tokens of your reviews, with a network of
# two layers. A pair is the first half of a review, and then either its own second half or
# another's.

# %%
generator = torch.Generator().manual_seed(0)
beginnings = encoder.encode(train.texts, 64)  # not both ends: the halves must follow one another
ids, _, _, swapped = next_sentence.pair_batch(beginnings[:3], tokenizer, generator)
for row, other in zip(ids, swapped):
    first, second = tokenizer.decode(row).split("[SEP]")[:2]
    print(f"...{first[-40:]}|{second[:40]}...", "(another's)" if other else "(its own)")

# %%
from transformers import BertConfig, BertForPreTraining

two_layers = dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128)
beginner = BertForPreTraining(BertConfig(vocab_size=len(tokenizer), **two_layers)).to(run.device)


# %%
def two_losses(shown, labels, mask, segments, swapped):
    """Losses of both tasks on one batch, in nats: hidden tokens, second piece."""
    states = beginner.bert(shown, attention_mask=mask, token_type_ids=segments)
    asked = labels != -100  # only these need logits over the whole vocabulary
    guesses = beginner.cls.predictions(states.last_hidden_state[asked])
    follows = beginner.cls.seq_relationship(states.pooler_output)
    cross_entropy = nn.functional.cross_entropy
    return cross_entropy(guesses, labels[asked]), cross_entropy(follows, swapped)


# %%
optimizer = torch.optim.AdamW(beginner.parameters(), lr=1e-3)
losses = {"masked": [], "next": []}
generator.manual_seed(1)  # the same pairs, should this cell run again
for _ in progress_bars.progress(range(task_steps), "both tasks"):
    chosen = torch.randint(len(train), (32,), generator=generator).tolist()
    lists = [beginnings[i] for i in chosen]
    batch = next_sentence.questions(lists, tokenizer, generator, mask_tokens)
    masked, following = two_losses(*(part.to(run.device) for part in batch))
    optimizer.zero_grad()
    (masked + following).backward()
    optimizer.step()
    losses["masked"].append(masked.item())
    losses["next"].append(following.item())

# %%
often = torch.bincount(torch.cat([torch.tensor(s[1:-1]) for s in beginnings])).double()
# the best loss without a look at the text: the entropy of the frequencies
frequencies = torch.distributions.Categorical(often).entropy().item()

# %%
figure, axes = plots.subplots(1, 2, width=9, height=2.8)
bert_plots.two_tasks(axes, losses, len(tokenizer), frequencies)
plots.show(
    figure,
    alt="Losses of both tasks by step, from scratch, with chance dotted: the masked loss starts there and falls towards the dashed line; the other stays near it.",
)

# %% [markdown]
# The dotted lines are the losses of guessing blindly: log of the number of tokens, and log 2. The
# dashed one is that of knowing only how frequent each token is. So few steps do not even reach it,
# and the second task does not move. BERT took a million steps of 256 texts (appendix A.2 of the
# paper). (Later work dropped the second task: [Liu et al. 2019](https://arxiv.org/abs/1907.11692),
# section 4.2.)
#
# What do a million steps buy? The small encoder comes without the head that guesses. So the course
# trained one for it, together with its last two layers, for {{result:masked_lm.json:steps:,d}}
# steps on {{result:masked_lm.json:data}}:


# %%
def fill_mask(guesser, text, count=4):
    """The most probable tokens for [MASK]."""
    ids = torch.tensor([tokenizer(text)["input_ids"]])
    p, best = guesser(ids).softmax(-1)[0].topk(count)
    return ", ".join(f"{tokenizer.decode([i])} {q:.0%}" for q, i in zip(p.tolist(), best.tolist()))


# %%
guesser = masked_lm.load_guesser(encoder)
hidden = (
    "The film was so [MASK] that I fell asleep.",
    "One of the [MASK] films I have ever seen.",
    "I have never [MASK] such a bad movie.",
    "The acting was [MASK], but the plot was terrible.",
)
for text in hidden if guesser else []:
    print(f"{text:50} {fill_mask(guesser, text)}")

# %% [markdown]
# On test reviews the first guess is right in {{result:masked_lm.json:first.value:.0%}} of all cases
# ({{result:masked_lm.json:first.low:.1%}} to {{result:masked_lm.json:first.high:.1%}}); always
# guessing the most frequent token gives {{result:masked_lm.json:most_frequent.value:.1%}}. To guess
# well one has to know grammar, facts and moods. (Look at the last sentence: does it understand
# "but"?) Such knowledge is what fine-tuning starts from.
#
# ## The witness: a word counter
#
# What does counting words achieve, with the *same* training reviews? The counter is a bag of words
# (TF-IDF: counts, in which rare words weigh more) with logistic regression on top (one linear
# layer, trained with lesson 1's loss). These words have the largest weights. Some make sense;
# others are chance.

# %%
counter = bag_of_words().fit(train.texts, train.labels.numpy())
weights = counter[-1].coef_[0]
names, order = counter[0].get_feature_names_out(), weights.argsort()
print("most negative:", ", ".join(names[order[:8]]))
print("most positive:", ", ".join(names[order[:-9:-1]]))

# %% [markdown]
# Another test set would give another accuracy. How far a share $p$ of $n$ texts strays by chance is
# its **standard error**, $\sqrt{p(1-p)/n}$. So each accuracy comes with Wilson's interval: all $p$
# from which the measured share is at most 1.96 standard errors away. Validation comes first:


# %%
def accuracy(right):
    """Share of true values, with its interval, in words."""
    low, high = wilson_interval(int(right.sum()), len(right))
    return f"{right.float().mean():.1%} ({low:.1%} to {high:.1%})"


# %%
guessed = torch.from_numpy(counter.predict(validation.texts))
print(validation.title(f"bag of words on validation: {accuracy(guessed == validation.labels)}"))

# %% [markdown]
# ## Fine-tuning
#
# Fine-tuning means: put a new head on the pre-trained network and train all of it further, gently.
# On top of the layers come a **pooler** (a linear layer and tanh on the state of `[CLS]`), dropout
# (in training, some random values become 0), and a linear head with two logits.

# %%
few_ids, few_mask = pad_batch(sequences["train"][:4], tokenizer.pad_token_id)
few_ids, few_mask = few_ids.to(run.device), few_mask.to(run.device)
with torch.no_grad():
    states = model.bert(few_ids, attention_mask=few_mask)
    logits = model.classifier(states.pooler_output)  # dropout does nothing in eval mode
    assert torch.allclose(logits, model(few_ids, attention_mask=few_mask).logits, atol=1e-4)

# %%
shapes = [tuple(s.shape) for s in (states.last_hidden_state, states.pooler_output, logits)]
print("states {} -> pooled {} -> logits {}; weights:".format(*shapes))
for name, part in (("encoder with pooler", model.bert), ("head", model.classifier)):
    print(f"  {name:<20}{sum(p.numel() for p in part.parameters()):>12,}")

# %% [markdown]
# Three customs of fine-tuning. The first regularises; the other two protect what was learned.
#
# **Weight decay, but not everywhere.** AdamW pulls each weight towards 0 a little at every step,
# which keeps matrices small. A bias or a layer norm's scale has no reason to be near 0, and BERT's
# code leaves them out.
#
# **Warm-up.** The learning rate rises linearly from 0 to its peak, and then falls linearly to 0
# (appendix A.2 of the paper). Adam's first steps have full length in every coordinate, but their
# direction comes from one noisy batch: a small rate limits the damage. Whether that is the whole
# reason is disputed ([Liu et al. 2020](https://arxiv.org/abs/1908.03265); [Ma and Yarats
# 2019](https://arxiv.org/abs/1910.04209)).
#
# **Clipping.** If the gradient of all weights together is longer than 1, it is scaled to length 1:
# a single odd batch cannot do much harm.

# %%
steps = epochs * math.ceil(len(train) / batch_size)
warmup_steps = round(0.1 * steps)
for step in (1, warmup_steps, steps // 2, steps):
    print(f"step {step}: {bert.warmup_linear(step, warmup_steps, steps):.0%} of the peak rate")

# %% [markdown]
# ### Exercise: the training step
#
# *Medium, 15 minutes.* The optimiser holds two groups of weights, decayed and not. Each is a
# dictionary: `initial_lr` is its peak rate, `lr` the rate of this step. `factor` is what the
# schedule gives, as printed above.
#
# 1. In each of `optimizer.param_groups`, set `lr` to `factor` times `initial_lr`.
# 2. Switch dropout on.
# 3. Compute the logits within `with autocast():`, where the machine may multiply in bf16, numbers
#    of 16 bits.
# 4. Outside of it, compute the loss from the logits in 32 bits.
# 5. Get fresh gradients, clip them to length 1, step.
#
# Return `{"loss": ..., "accuracy": ...}`, the loss in nats and the share of right answers, as plain
# numbers.
#
# <details><summary>Hint 1</summary>The model is called as <code>model(input_ids=…,
# attention_mask=…)</code>; its answer has <code>.logits</code>, (B, 2). <code>.float()</code>
# gives 32 bits.</details>
# <details><summary>Hint 2</summary>PyTorch <em>adds</em> each backward pass to the gradients that
# are there. Which call has to come before it, and which two after it?</details>
# <details><summary>Hint 3</summary><code>nn.utils.clip_grad_norm_</code> looks at all parameters
# together. What is there to clip before the backward pass?</details>


# %%
def train_step(model, optimizer, ids, mask, labels, factor, autocast):
    """One step on ids, mask (B, T) and labels (B,); returns the loss in nats and the accuracy."""
    ### BEGIN SOLUTION
    for group in optimizer.param_groups:
        group["lr"] = factor * group["initial_lr"]
    model.train()
    with autocast():
        logits = model(input_ids=ids, attention_mask=mask).logits  # (B, 2)
    loss = nn.functional.cross_entropy(logits.float(), labels)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return {"loss": loss.item(), "accuracy": (logits.argmax(1) == labels).float().mean().item()}
    ### END SOLUTION


train_step = checks.bert.train_step(train_step)

# %%
before = copy.deepcopy(model)  # for later: what the new head says without any training
optimizer = bert.make_optimizer(model, peak_rate)

# %% [markdown]
# `checkpointed` gives the batches and saves now and then: stop the loop when you like; it goes on
# where it was.

# %%
settings = {"max_tokens": max_tokens, "keep": "ends", "batch_size": batch_size}
seldom = math.ceil(steps / run.pick(1, 3, 10))  # steps between two checkpoints
training = checkpointed(
    encoder, optimizer, train, sequences["train"], settings,
    steps=steps, save_every=seldom, fresh=fresh,
)  # fmt: skip

# %%
pad = tokenizer.pad_token_id
title = train.title("training batches")
live = plots.LiveFigure(
    lambda: bert_plots.training(training.history, title),
    alt="Loss and accuracy on training batches by step, chance dotted.",
)
for index in training.batches():  # (B,) the reviews of this step
    ids, mask = pad_batch([sequences["train"][i] for i in index.tolist()], pad)
    batch = [t.to(run.device) for t in (ids, mask, train.labels[index])]
    factor = bert.warmup_linear(training.step + 1, warmup_steps, steps)
    training.log(**train_step(model, optimizer, *batch, factor, run.autocast))
    live.update()
live.close()

# %% [markdown]
# The loss starts near log 2 (dotted): a new head finds both answers about equally likely. With a
# pre-trained encoder it falls once the learning rate has grown. Training accuracy says little
# about new reviews, so:

# %%
val_logits = bert.predict(model, sequences["validation"], pad, run.autocast)
share = accuracy(val_logits.argmax(1) == validation.labels)
print(validation.title(f"{encoder.title('fine-tuned')} on validation: {share}"))

# %% [markdown]
# ## Results
#
# Nothing will be changed any more, so the test part may be opened. Four classifiers answer the
# *same* reviews:

# %%
test_logits = bert.predict(model, sequences["test"], pad, run.autocast)  # (N, 2)

# %%
answers = {
    "always positive": torch.ones_like(test.labels),
    "new head, not trained": bert.predict(before, sequences["test"], pad, run.autocast).argmax(1),
    "bag of words": torch.from_numpy(counter.predict(test.texts)),
    "fine-tuned": test_logits.argmax(1),
}

# %%
right = {name: answer == test.labels for name, answer in answers.items()}
text_plots.table(
    ["classifier", "accuracy (95 % interval)"],
    [(n, accuracy(r)) for n, r in right.items()],
    test.title(f"{encoder.name}: {len(test):,} test texts; trained on {len(train):,}"),
)

# %% [markdown]
# Two overlapping intervals do not mean "no difference", since both classifiers met the same easy
# and hard texts. Compare them text by text (a **paired** comparison): they differ only where
# exactly one of them is right.

# %%
ours, counted = right["fine-tuned"], right["bag of words"]
names = ("fine-tuned", "counter")
text_plots.right_or_wrong(names, ours, counted, test.title("the same texts"))

# %% [markdown]
# ### Exercise: the interval of a difference
#
# *Medium, 10 minutes.* `first` and `second` say which of the same N texts two classifiers got
# right. On each text they differ by 1, 0 or −1. Write `paired_gap`: the mean of these N numbers,
# which is the difference of the accuracies, and both ends of its 95 % interval. The standard error
# of a mean is the standard deviation over $\sqrt{N}$.
#
# <details><summary>Hint 1</summary><code>.double()</code> makes numbers of truth values.</details>
# <details><summary>Hint 2</summary>The two accuracies are not needed. How many standard errors did
# Wilson's interval take?</details>


# %%
def paired_gap(first, second):
    """Which texts two classifiers got right, bool (N,) each -> mean difference, low, high."""
    ### BEGIN SOLUTION
    differences = first.double() - second.double()  # 1, 0 or -1 for each text
    mean = differences.mean().item()
    error = differences.std().item() / math.sqrt(len(differences))
    return mean, mean - 1.96 * error, mean + 1.96 * error
    ### END SOLUTION


paired_gap = checks.bert.paired_gap(paired_gap)

# %%
gap, low, high = (100 * share for share in paired_gap(ours, counted))
print(f"fine-tuned minus bag of words: {gap:+.1f} points ({low:+.1f} to {high:+.1f})")

# %% [markdown]
# ## Second suspect: long texts suit the counter
#
# The course measured both data sets at tier `laptop` (three seeds, intervals over seeds; the
# difference in percentage points):
#
# | {{result:bert_laptop.json:settings.reviews:,d}} training and {{result:bert_laptop.json:settings.test:,d}} test texts | bag of words | fine-tuned | difference |
# | --- | --- | --- | --- |
# | critics' sentences | {{result:bert_laptop.json:sentences.words.value:.1%}} | {{result:bert_laptop.json:sentences.bf16.value:.1%}} ({{result:bert_laptop.json:sentences.bf16.low:.1%}} to {{result:bert_laptop.json:sentences.bf16.high:.1%}}) | {{result:bert_laptop.json:sentences.above.value:+.1%}} |
# | {{result:bert_laptop.json:imdb.data}}, 128 tokens, both ends | {{result:bert_laptop.json:imdb.words.value:.1%}} | {{result:bert_laptop.json:imdb.bf16.value:.1%}} ({{result:bert_laptop.json:imdb.bf16.low:.1%}} to {{result:bert_laptop.json:imdb.bf16.high:.1%}}) | {{result:bert_laptop.json:imdb.above.value:+.1%}} |
#
# On single sentences the transformer wins by far. Both find IMDB easier, but the counter gains
# most: a long review says many times over what it thinks.
#
# **Guilty, too.**
#
# ## Third suspect: so many labels
#
# First, *all* of {{result:bert_long.json:data}}: 25,000 reviews to train on and 25,000 to test on
# (one run; intervals over the test reviews):
#
# | classifier | accuracy |
# | --- | --- |
# | bag of words | {{result:bert_baseline.json:words.value:.1%}} ({{result:bert_baseline.json:words.low:.1%}} to {{result:bert_baseline.json:words.high:.1%}}) |
# | the same, with pairs of neighbouring words | {{result:bert_baseline.json:pairs.value:.1%}} ({{result:bert_baseline.json:pairs.low:.1%}} to {{result:bert_baseline.json:pairs.high:.1%}}) |
# | {{result:bert_long.json:encoder}}, one epoch on the first {{result:bert_long.json:settings.max_tokens}} tokens | {{result:bert_long.json:accuracy.value:.1%}} ({{result:bert_long.json:accuracy.low:.1%}} to {{result:bert_long.json:accuracy.high:.1%}}) |
#
# The network beats counted words: {{result:bert_long.json:above.words.value:+.1%}}
# ({{result:bert_long.json:above.words.low:+.1%}} to
# {{result:bert_long.json:above.words.high:+.1%}}). It does **not** beat counted words *and pairs*:
# {{result:bert_long.json:above.pairs.value:+.1%}} ({{result:bert_long.json:above.pairs.low:+.1%}} to
# {{result:bert_long.json:above.pairs.high:+.1%}}). With much text to learn from, "not good" is one
# more thing to count. A network without a baseline proves little.
#
# And what if only a few texts have labels? Compare three ways to train: words counted, all of the
# encoder trained, or the encoder **frozen** and only pooler and head trained. Each learns from 100
# to 3,000 of the {{result:bert_curve.json:data}}, others for each of three seeds.

# %%
figure, (ax,) = plots.subplots(width=9, height=3.8)
bert_plots.few_labels(ax, results.read("bert_curve.json"))
plots.show(
    figure,
    alt="Accuracy against the number of labelled sentences, three curves with 95 % intervals over three seeds; the fully trained encoder lies highest at every size, and at 100 sentences where the bag of words is at 1,000.",
)

# %% [markdown]
# **The case is solved: all three are guilty.** With 100 sentences the encoder is right in
# {{result:bert_curve.json:100.full.value:.0%}} of all cases, where counting needs ten times as many
# ({{result:bert_curve.json:1000.words.value:.0%}} with 1,000). What pre-training brings is
# knowledge of words that your labels never mention. Give the counter thousands of long reviews, and
# it meets those words by itself. So the transformer lost where it could not see the verdict, where
# texts were long, and where labels were many.
#
# Frozen, it is no better than counting. A likely reason: it was trained to compare what sentences
# are *about*, and praise and blame of one film are about the same thing.
#
# ## Does it read now?
#
# Your network beats the counter on sentences. Is that because it reads? Ask with pairs that only a
# reader gets right: the opening pair, and ten in which the word that is negated differs, *"This is
# not a bad film."*, *"This is not a good film."* A classifier that goes by single words gets both
# wrong. A pair counts if *both* answers are right; a coin would get a quarter of the pairs.
#
# ### Exercise: a prediction
#
# *Easy, 2 minutes.* How many of the ten negation pairs will your fine-tuned encoder get right?
# Write a number from 0 to 10 before you run on.

# %%
negations_right = ...  # your guess: a number
negations_right = checks.bert.negations_right(negations_right)


# %%
def says(classifier, texts):
    """Whether a classifier calls each text positive: N texts -> (N,) of 0 and 1."""
    ids = encoder.encode(texts, max_tokens)
    return bert.predict(classifier, ids, pad, run.autocast, batch_size=64).argmax(1)


def pairs_right(answers):
    """Answers (2 N,), each pair's positive sentence first -> whether both are right: bool (N,)."""
    return (answers.reshape(-1, 2) == torch.tensor([1, 0])).all(1)


# %%
texts, truth = contrast_pairs.flat([contrast_pairs.OPENING, *contrast_pairs.NEGATIONS])
counter_says = torch.from_numpy(counter.predict(texts))
encoder_says = says(model, texts)
answers = {"fine-tuned": encoder_says, "bag of words": counter_says}
text_plots.answers_table(texts, truth, answers, encoder.title("11 pairs"))

# %%
read = pairs_right(encoder_says)
negations_right.beside(int(read[1:].sum()))
print("opening pair:", "right" if read[0] else "wrong")
print(f"negation pairs: fine-tuned {accuracy(read[1:])}")
print(f"              bag of words {accuracy(pairs_right(counter_says)[1:])}")

# %% [markdown]
# Recorded, three seeds: {{result:bert_pairs.json:before.negations.value:.0%}} of the negation pairs
# are right ({{result:bert_pairs.json:before.negations.low:.0%}} to
# {{result:bert_pairs.json:before.negations.high:.0%}}). That is *less* than the coin's quarter. So
# the network does not guess: it follows a wrong rule. Look down its column. Does a negation count
# as blame, whatever is negated? Its accuracy hid this.
#
# ## Repair it: contrast pairs
#
# A test set shows only the mistakes that its texts provoke. [Gardner et al.
# 2020](https://arxiv.org/abs/2004.02709) proposed to write **contrast sets**: change a text a
# little so that its label turns, and score pairs. The course has sixty such pairs: half of them are
# for training, the others are kept for testing.

# %%
trained, kept = contrast_pairs.halves()
rows = [(kind, *pairs[1]) for kind, pairs in contrast_pairs.PAIRS.items()]
text_plots.table(["what turns it", "positive", "negative"], rows, "five pairs that are kept")

# %% [markdown]
# Train a copy of your network for four more short epochs: on the pairs, mixed with 180 texts that
# it knows, so that it forgets nothing. Beside it runs a **control**: as many steps, with ordinary
# texts in the place of the pairs. Else nobody could tell the pairs from more training.


# %%
def train_on(start, ids, labels, batches, rate):
    """A copy of ``start``, fine-tuned with your step, and the loss of each step."""
    network = copy.deepcopy(start)
    losses = bert.train_on(network, ids, labels, batches, rate, pad, run.autocast, train_step)
    return network, losses


# %%
networks = {"before": model}
for way, (texts, labels) in contrast_pairs.mixtures(train, trained).items():
    chances = torch.Generator().manual_seed(0)
    orders = [torch.randperm(len(texts), generator=chances) for _ in range(run.pick(1, 4, 4))]
    batches = [batch for order in orders for batch in order.split(16)]
    ids = encoder.encode(texts, max_tokens, "ends")
    networks[way], _ = train_on(model, ids, labels, batches, peak_rate)


# %%
def score(network, pairs):
    """For each pair, whether both of its sentences are right: bool (N,)."""
    return pairs_right(says(network, contrast_pairs.flat(pairs)[0]))


rows = [
    (way, accuracy(score(network, kept)), accuracy(score(network, contrast_pairs.NEGATIONS)),
     "right" if score(network, [contrast_pairs.OPENING]).all() else "wrong")
    for way, network in networks.items()
]  # fmt: skip
headers = ["network", "kept pairs, both right", "negation pairs", "opening pair"]
text_plots.table(headers, rows, encoder.title("before and after"))

# %% [markdown]
# Recorded, three seeds together (critics' sentences):
#
# | network | kept pairs, both right | negation pairs |
# | --- | --- | --- |
# | before | {{result:bert_pairs.json:before.kept.value:.0%}} ({{result:bert_pairs.json:before.kept.low:.0%}} to {{result:bert_pairs.json:before.kept.high:.0%}}) | {{result:bert_pairs.json:before.negations.value:.0%}} ({{result:bert_pairs.json:before.negations.low:.0%}} to {{result:bert_pairs.json:before.negations.high:.0%}}) |
# | control | {{result:bert_pairs.json:control.kept.value:.0%}} ({{result:bert_pairs.json:control.kept.low:.0%}} to {{result:bert_pairs.json:control.kept.high:.0%}}) | {{result:bert_pairs.json:control.negations.value:.0%}} ({{result:bert_pairs.json:control.negations.low:.0%}} to {{result:bert_pairs.json:control.negations.high:.0%}}) |
# | repaired | {{result:bert_pairs.json:repaired.kept.value:.0%}} ({{result:bert_pairs.json:repaired.kept.low:.0%}} to {{result:bert_pairs.json:repaired.kept.high:.0%}}) | {{result:bert_pairs.json:repaired.negations.value:.0%}} ({{result:bert_pairs.json:repaired.negations.low:.0%}} to {{result:bert_pairs.json:repaired.negations.high:.0%}}) |
#
# More training changes little, and thirty pairs repair much of the negation. Of the kept pairs,
# most of which turn on something else, hardly more come out right, and the intervals overlap. (They
# count a pair once per seed, so they are narrower than they should be.)

# %% [markdown]
# ## Fine-tune one weight in a hundred: LoRA
#
# Fine-tuning changes all weights, so ten tasks need ten copies of the network. [Hu et al.
# 2021](https://arxiv.org/abs/2106.09685) keep the pre-trained matrix and learn only a *change* of
# it, a product of two thin matrices. Its **rank** is low: at most $r$, the width of the thin ones.
#
# ### Exercise: a layer with a low-rank change
#
# *Hard, 35 minutes for both parts.* Write `lora_linear`: given a linear layer $D_\text{in} \to
# D_\text{out}$, return a module that is called in its place. Three demands. The layer's own weights
# are frozen, and the only trained ones are two matrices with together $r\,(D_\text{in} +
# D_\text{out})$ numbers. Before training, it answers exactly as the layer does. And from there it
# must be able to learn. The change is multiplied by $\alpha/r$, so that another rank hardly needs
# another learning rate. On paper first: what is the output, and what is the gradient of each of the
# two matrices at the start?
#
# <details><summary>Hint 1</summary>The full change need never be built: send x down to r numbers
# and up again.</details>
# <details><summary>Hint 2</summary>A product is 0 if one factor is. Its derivative with respect to
# one factor contains the other.</details>
# <details><summary>Hint 3</summary>A class inside the function, derived from
# <code>nn.Module</code>; <code>nn.Parameter</code> makes a tensor trainable, and random rows must
# differ.</details>


# %%
def lora_linear(linear, rank, alpha):
    """In the place of a linear layer: the layer, frozen, and a trained change of low rank."""

    ### BEGIN SOLUTION
    class WithChange(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = linear.requires_grad_(False)
            self.A = nn.Parameter(torch.randn(rank, linear.in_features) / rank)
            self.B = nn.Parameter(torch.zeros(linear.out_features, rank))

        def forward(self, x):
            return self.linear(x) + alpha / rank * (x @ self.A.T @ self.B.T)

    return WithChange()
    ### END SOLUTION


lora_linear = checks.bert.lora_linear(lora_linear)

# %%
thin = copy.deepcopy(before).cpu()  # the encoder with a new head, as before any fine-tuning
share = lora.add(thin, 8, 16.0, lora_linear)  # at all queries and values; pooler and head train
print(f"{lora.trainable(thin):,} weights are trained: {share:.1%} of all")

# %%
order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
batches = order.split(batch_size)  # one epoch
rate = 20 * peak_rate  # much larger: LoRA's matrices begin at 0 and at chance
thin, _ = train_on(thin.to(run.device), sequences["train"], train.labels, batches, rate)

# %%
thin_says = bert.predict(thin, sequences["validation"], pad, run.autocast).argmax(1)
print(f"LoRA, one epoch, on validation: {accuracy(thin_says == validation.labels)}")

# %% [markdown]
# Recorded (critics' sentences, two epochs, three seeds):
#
# | trained | weights | accuracy |
# | --- | --- | --- |
# | all | 100 % | {{result:bert_lora.json:full.value:.1%}} ({{result:bert_lora.json:full.low:.1%}} to {{result:bert_lora.json:full.high:.1%}}) |
# | LoRA, pooler, head | {{result:bert_lora.json:share_lora:.1%}} | {{result:bert_lora.json:lora.value:.1%}} ({{result:bert_lora.json:lora.low:.1%}} to {{result:bert_lora.json:lora.high:.1%}}) |
# | pooler, head | {{result:bert_lora.json:share_head:.1%}} | {{result:bert_lora.json:head.value:.1%}} ({{result:bert_lora.json:head.low:.1%}} to {{result:bert_lora.json:head.high:.1%}}) |
#
# LoRA minus all: {{result:bert_lora.json:below_full.value:+.1%}}
# ({{result:bert_lora.json:below_full.low:+.1%}} to {{result:bert_lora.json:below_full.high:+.1%}}).
#
# Only these weights are kept per task. Do two more products make the network slower? They need not:
# the layer is still *linear*, $Wx+b$ with another $W$.
#
# **The second part.** Write `merged`: given a trained layer, which you can only call, and its
# number of inputs, return one `nn.Linear` that gives the same answers.
#
# <details><summary>Hint 1</summary>What does the layer answer to a row of zeros?</details>
# <details><summary>Hint 2</summary>And to (1, 0, …, 0)? All such rows make a well-known
# matrix.</details>
# <details><summary>Hint 3</summary><code>nn.Linear</code> keeps its weight as (D_out, D_in).
# <code>copy_</code> fills it, within <code>torch.no_grad()</code>.</details>


# %%
def merged(layer, width):
    """One nn.Linear, ``width`` numbers in, that answers as ``layer`` does."""
    ### BEGIN SOLUTION
    with torch.no_grad():
        bias = layer(torch.zeros(width))  # (D_out,)
        columns = layer(torch.eye(width)) - bias  # (width, D_out): row i is column i of W
        plain = nn.Linear(width, len(bias))
        plain.weight.copy_(columns.T)
        plain.bias.copy_(bias)
    return plain
    ### END SOLUTION


merged = checks.bert.merged(merged)

# %%
thin.eval()
plain = copy.deepcopy(thin).cpu()
weights = lora.merge(plain, merged)
with torch.no_grad():
    with_lora = thin(few_ids, attention_mask=few_mask).logits
    without = plain.to(run.device)(few_ids, attention_mask=few_mask).logits

# %%
assert torch.allclose(with_lora, without, atol=1e-3)
assert weights == sum(p.numel() for p in before.parameters())
print(f"{weights:,} weights, as many as before LoRA; ", end="")
print(f"largest difference of the logits {(with_lora - without).abs().max():.0e}")

# %% [markdown]
# ## When it goes wrong: data in the order of the files
#
# IMDB's files come sorted: first all negative reviews, then all positive ones. Train on that order
# and on a shuffled one, with the same step, rate and examples (their first 64 tokens):

# %%
n_lab = min(len(train), run.pick(32, 960, 960))
first_tokens = [ids[:64] for ids in sequences["train"]]
orders = {
    "sorted by label": train.labels[:n_lab].argsort(stable=True),
    "shuffled": torch.randperm(n_lab, generator=torch.Generator().manual_seed(2)),
}
lab = {
    name: train_on(before, first_tokens, train.labels, order.split(batch_size), peak_rate)
    for name, order in orders.items()
}

# %%
figure, (ax,) = plots.subplots(width=9, height=2.8)
turn = int((train.labels[orders["sorted by label"]] == 0).sum()) / batch_size
title = train.title("the same data in two orders")
bert_plots.two_orders(ax, {name: history for name, (_, history) in lab.items()}, turn, title)
plots.show(
    figure,
    alt="Training loss by step in two orders, chance dotted. Given enough steps, the sorted one falls to nearly 0, jumps where the label changes and falls again; the shuffled one falls slowly.",
)

# %%
for name, (broken, _) in lab.items():
    said = bert.predict(broken, sequences["validation"], pad, run.autocast).argmax(1)
    shown = accuracy(said == validation.labels)
    mixed = [0 < train.labels[b].float().mean() < 1 for b in orders[name].split(batch_size)]
    print(f"{name:>16}: says positive {said.float().mean():.0%}, right {shown};", end=" ")
    print(f"{sum(mixed)} of {len(mixed)} batches hold both labels")

# %% [markdown]
# Apart from the jump, the sorted run has the *lower* loss: always giving the same answer is easy to
# learn. Then the label changes, the loss jumps, and the first half is unlearned. In the end it
# gives nearly every text the last label. One number warns before any training: in how many batches
# both labels occur.
#
# ## Reading the errors
#
# Look where the model was most sure and still wrong: is it irony, was the verdict cut off, or is
# the label wrong?

# %%
confidence, answer = test_logits.softmax(1).max(1)  # of the answer that was given
wrong = (answer != test.labels).nonzero().flatten()
worst = wrong[confidence[wrong].argsort(descending=True)][:5].tolist()

# %%
seen = tokenizer.batch_decode([sequences["test"][i] for i in worst], skip_special_tokens=True)
labels = [test.classes[test.labels[i]] for i in worst]
sure = [f"{test_logits[i].softmax(0)[1]:.0%}" for i in worst]
rows = list(zip(labels, sure, [text_plots.shorten(text, 260) for text in seen]))
headers = ["label", "P(positive)", "what the model read"]
text_plots.table(headers, rows, test.title("sure and wrong"))

# %% [markdown]
# ## Which words did it?
#
# A first answer without any theory: leave a word out and see how far the **margin**, the difference
# of the two logits, moves. This is called **occlusion**.


# %%
@torch.inference_mode()
def margin(texts):
    """Positive logit minus negative logit: N texts -> (N,)."""
    ids = encoder.encode(texts, max_tokens, "ends")
    logits = bert.predict(model, ids, pad, run.autocast, batch_size=64)
    return logits[:, 1] - logits[:, 0]


# %% [markdown]
# ### Exercise: leave a word out
#
# *Medium, 10 minutes.* Write `occlusion`: return the list of a text's W words (what white space
# separates), and the effect of each, (W,): the margin of the whole text minus the margin without
# that word. `margin` takes a list of texts. A word that stands there twice is left out at one place
# at a time.
#
# <details><summary>Hint 1</summary>How many texts does the network read for W words?</details>
# <details><summary>Hint 2</summary>Leave words out of the list, by their places, and not out of the
# string.</details>


# %%
def occlusion(margin, text):
    """The words of a text, and how much of the margin is lost without each: (W,)."""
    ### BEGIN SOLUTION
    words = text.split()
    shorter = [" ".join(words[:i] + words[i + 1 :]) for i in range(len(words))]
    margins = margin([text, *shorter])  # (1 + W,)
    return words, margins[0] - margins[1:]
    ### END SOLUTION


occlusion = checks.bert.occlusion(occlusion)

# %% [markdown]
# For a linear classifier on plain counts, each effect must be exactly the word's weight:

# %%
known = {"good": 1.5, "bad": -2.0, "film": 0.25}


def linear(texts):
    """The sum of the weights of a text's words."""
    return torch.tensor([sum(known.get(word, 0.0) for word in text.split()) for text in texts])


words, effects = occlusion(linear, "a good film not bad")
print({word: round(effect, 6) for word, effect in zip(words, effects.tolist())})
assert torch.allclose(effects, linear(words), atol=1e-6)

# %% [markdown]
# Beside it, what many take for an explanation: **attention**. In each layer a token's new vector is
# a weighted mean over all tokens, and a row of the map holds its weights (sum 1). Several such
# maps stand side by side in a layer; here is their mean.

# %%
text = "The start is dull, but in the end the film is not bad at all."
words, effects = occlusion(margin, text)
model.eval()
seen = torch.tensor(encoder.encode([text], max_tokens), device=run.device)

# %%
with torch.no_grad():
    attention = model.bert(seen, output_attentions=True).attentions[-1][0].cpu()  # (heads, T, T)
assert torch.allclose(attention.sum(-1), torch.ones(attention.shape[:2]), atol=1e-4)
attention, tokens = attention.mean(0), tokenizer.convert_ids_to_tokens(seen[0])

# %%
figure, (ax,) = plots.subplots(width=7, height=3.9)
text_plots.word_bars(
    ax, words, effects, "effect on the margin (logits)", encoder.title("occlusion"), bold="not"
)
plots.show(
    figure,
    alt="A bar for each word's effect on the margin: to the right it speaks for praise, to the left for blame; the word not is in bold.",
)

# %%
figure, (ax,) = plots.subplots(width=6, height=5)
text_plots.attention_map(ax, attention, tokens, "attention in the last layer, mean of its maps")
plots.show(
    figure,
    alt="A grid of attention weights, token by token; each row is a token that looks, each column one that is looked at; a bright column is a token that nearly all look at.",
)

# %%
print(text_plots.beside_attention("not", words, effects, tokens, attention))

# %% [markdown]
# Look at *not* in both pictures: how far does the margin move without it, and how much is it looked
# at? The two need not agree. An effect holds *in this context*, effects need not add up, and a
# sentence with a word left out may be one that nobody would write. And attention shows where
# vectors were mixed, not what decided: they had already seen the whole sentence. [Jain and Wallace
# 2019](https://arxiv.org/abs/1902.10186) called their paper "Attention is not Explanation";
# [Wiegreffe and Pinter 2019](https://arxiv.org/abs/1908.04626) answered "Attention is not not
# Explanation". Use maps to ask questions, and interventions, such as the pairs above, to answer
# them.
#
# ## Write a review
#
# With a running kernel: change the text and watch the bar. Below it, the same for readers; a
# diamond shows what the word counter says.

# %%
review_meter.review_meter(margin, "The start is dull, but in the end the film is not bad at all.")

# %%
figure, (ax,) = plots.subplots(width=9, height=2.6)
examples = (
    "A masterpiece.",
    "A masterpiece of boredom.",
    "I have seen worse.",
    "Not a single dull moment.",
    "<b>Great</b> <script>alert(1)</script>",
)
beside = ("bag of words", counter.predict_proba(examples)[:, 1])
title = encoder.title("P(positive) of five texts")
review_meter.review_meter_static(ax, margin, examples, title, beside)
plots.show(
    figure,
    alt="Five short texts, among them one with markup that is shown as text, each with a bar for the probability of positive, and a diamond for that of the bag of words.",
)

# %% [markdown]
# ## The same in the library's words
#
# At work most people call a library. Its `Auto` classes find in a folder, or on the Hugging Face
# hub, which class, vocabulary and weights belong together. Save the network as it was before
# fine-tuning, and load it:

# %%
from transformers import AutoModelForSequenceClassification, AutoTokenizer

with tempfile.TemporaryDirectory() as folder:
    before.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    theirs = AutoModelForSequenceClassification.from_pretrained(folder).to(run.device).eval()
    their_tokenizer = AutoTokenizer.from_pretrained(folder)

# %%
few = list(test.texts[:20])
batch = their_tokenizer(
    few, truncation=True, max_length=max_tokens, padding=True, return_tensors="pt"
)
with torch.no_grad():
    loaded = theirs(**batch.to(run.device)).logits.argmax(1).cpu()
print(f"the same answers to {int((loaded == says(before, few)).sum())} of 20 texts")

# %% [markdown]
# A `Trainer` holds the rest; each line of your step is one of its settings. The next cell is folded
# (a click on its bar opens it): it fine-tunes that network on the same texts for as many steps.

# %% tags=["folded"]
from transformers import DataCollatorWithPadding, Trainer, TrainingArguments


def as_rows(name, labels):
    """A part of the data as the library takes it: one dict for each text."""
    return [{"input_ids": i, "labels": y} for i, y in zip(sequences[name], labels.tolist())]


with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng():
    arguments = TrainingArguments(
        folder, num_train_epochs=epochs, per_device_train_batch_size=batch_size,
        learning_rate=peak_rate, warmup_steps=warmup_steps,  # rises, then falls linearly to 0
        weight_decay=0.01, max_grad_norm=1.0,  # of matrices only, as yours; clipping
        bf16=run.autocast_dtype is not None, use_cpu=run.device.type == "cpu", seed=0,
        save_strategy="no", logging_strategy="no", report_to="none", dataloader_pin_memory=False,
    )  # fmt: skip
    padding = DataCollatorWithPadding(their_tokenizer)
    trainer = Trainer(theirs, arguments, padding, as_rows("train", train.labels))
    trainer.train()
    found = trainer.predict(as_rows("test", test.labels))
their_right = torch.from_numpy(found.predictions.argmax(1) == found.label_ids)
assert trainer.state.global_step == steps

# %%
ways = {"your step": right["fine-tuned"], "Trainer": their_right}
rows = [(name, accuracy(hits)) for name, hits in ways.items()]
text_plots.table(["fine-tuned by", "accuracy (95 % interval)"], rows, test.title(encoder.name))

# %%
gap, low, high = (100 * share for share in paired_gap(*ways.values()))
print(f"your step minus Trainer: {gap:+.1f} points ({low:+.1f} to {high:+.1f})")

# %% [markdown]
# The two differ by chance: which texts share a batch, and what dropout hides.
#
# ## Questions
#
# Think first, then open the answer.
#
# **1. Texts and labels go to the tokenizer as pairs, <code>(text, "pos")</code>. No error. Test
# accuracy: nearly 100 %. What happened?** (a) BERT is that good (b) the label was encoded as the
# second segment (c) the labels were ignored (d) the test part was trained on
#
# <details><summary>Answer</summary>(b): a pair means two segments, so the answer stands in the
# input. (a) The best that we know of BERT-base is 95.6 % (Sun et al., table 6). (c) Then it would
# be at chance. (d) Possible; flip all labels: do the ids change?</details>
#
# **2. On the same 1,000 test reviews one model has 91.0 %, another 90.0 %. Is the first one
# better?** (a) yes (b) no (c) the intervals overlap, so nobody can say (d) look at where they
# differ
#
# <details><summary>Answer</summary>(d): with 12 reviews won and 2 lost chance is unlikely (2.7
# standard errors), with 60 and 50 it may be all there is (1.0). (a) and (b) need these numbers. (c)
# Overlap says little about the same reviews.</details>
#
# **3. The tokenizer's segment ids are never passed to the model. What has to be repaired?** (a)
# nothing (b) accuracy will be at chance (c) the model cannot know where a text ends (d) pass ones
#
# <details><summary>Answer</summary>(a): with one text they are all 0, the default. (b) So nothing
# changes. (c) Mask and [SEP] tell where it ends. (d) Ones mean "second text".</details>
#
# **4. A new method has 97.4 % on IMDB's 25,000 test reviews, where the best transformers have about
# 96 %. What do you think first?** (a) a discovery (b) chance (c) look for what leaked into the test
# (d) too little to matter
#
# <details><summary>Answer</summary>(c): the best accuracy published from 2019 to 2022, 97.42 %,
# fell to 93.68 % when an error in its evaluation was found
# (<a href="https://arxiv.org/abs/2205.13357">arXiv 2205.13357</a>, abstract). (a) Possible, once no
# leak is found. (b) Chance moves it by 0.2 points (95 %). (d) A third fewer errors is a great
# deal.</details>
#
# ## Recap
#
# You turned texts into batches, ran BERT's two tasks, wrote a step of fine-tuning, compared two
# classifiers, tested and repaired one with pairs of sentences, and fine-tuned with one weight in a
# hundred.
#
# **What this did not show.** One language, one kind of text, two labels.
#
# **Sources.** Devlin et al. 2019, section 3, appendix A · Sun et al. 2019, section 5.3.1, table 6 ·
# Hu et al. 2021, section 4.1 (all linked above) · Maas et al. 2011,
# *Learning Word Vectors for Sentiment Analysis* (IMDB) · Pang and Lee 2004, [*A Sentimental
# Education*](https://aclanthology.org/P04-1035/) · Wilson 1927, *Probable inference*, JASA 22.
#
# **Next:** lesson 5 opens the black box: attention, built by hand, and a model that writes.
