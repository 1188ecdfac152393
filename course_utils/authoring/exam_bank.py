"""Questions for an examination: faults of lesson 07 in other code, each with its cure and a separating test."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Question:
    """One patient of the second bank.

    Attributes:
        function: what it defines, broken and mended.
        like: the case of lesson 07 with the same fault.
        title: of the question.
        symptom: what was seen, in words.
        causes: what the symptom may come from, the right one first; the examination shuffles them.
        broken: the code that students get.
        mended: the code of the key.
        test: code that raises where the fault is left, in terms of the function.
    """

    function: str
    like: str
    title: str
    symptom: str
    causes: tuple[str, ...]
    broken: str
    mended: str
    test: str


SET_UP = """import math

import torch
import torch.nn.functional as F
from torch import nn"""

BANK = (
    Question(
        "validation_loss",
        "accuracy",
        "Two validations",
        "The validation loss of one network on the same batches is different at each call. Once this was cured in"
        " haste, training loss fell faster than before, and the final model was worse.",
        (
            "Dropout works during the validation; after the hasty cure, no longer in training.",
            "The mean of means weighs a short last batch too much.",
            "The loss is computed in another precision.",
            "The batches are shuffled between calls.",
        ),
        '''
def validation_loss(model, batches):
    """Mean cross-entropy over all examples of the batches (x, y); the training goes on afterwards."""
    total, count = 0.0, 0
    with torch.no_grad():
        for x, y in batches:
            total += F.cross_entropy(model(x), y, reduction="sum").item()
            count += len(y)
    return total / count
''',
        '''
def validation_loss(model, batches):
    """Mean cross-entropy over all examples of the batches (x, y); the training goes on afterwards."""
    training, total, count = model.training, 0.0, 0
    model.eval()
    with torch.no_grad():
        for x, y in batches:
            total += F.cross_entropy(model(x), y, reduction="sum").item()
            count += len(y)
    model.train(training)
    return total / count
''',
        """
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(4, 32), nn.Dropout(0.8), nn.Linear(32, 3))
batches = [(torch.randn(n, 4), torch.randint(3, (n,))) for n in (8, 3)]
first = validation_loss(model, batches)
assert model.training, "the mode was not given back"
assert first == validation_loss(model, batches), "dropout was at work"
model.eval()
assert validation_loss(model, batches) == first and not model.training, "the mode was not kept"
""",
    ),
    Question(
        "weighted_error",
        "squared_error",
        "Prices",
        "A network predicts the prices of houses, one output each. It ends with nearly one price for all of them,"
        " however long it is trained; the weights of the examples seem to make no difference.",
        (
            "Predictions and prices have different shapes, and every pair of houses is compared.",
            "Prices should be divided by a thousand.",
            "The weights do not sum to 1.",
            "Absolute errors have no gradient.",
        ),
        '''
def weighted_error(predicted, price, weight):
    """Weighted mean of absolute errors: predicted (B, 1) by a layer, price and weight (B,)."""
    return (weight * (predicted - price).abs()).sum() / weight.expand_as(predicted - price).sum()
''',
        '''
def weighted_error(predicted, price, weight):
    """Weighted mean of absolute errors: predicted (B, 1) by a layer, price and weight (B,)."""
    return (weight * (predicted.squeeze(1) - price).abs()).sum() / weight.sum()
''',
        """
predicted = torch.tensor([[1.0], [2.0], [4.0]], requires_grad=True)
price, weight = torch.tensor([1.0, 3.0, 2.0]), torch.tensor([5.0, 1.0, 2.0])
loss = weighted_error(predicted, price, weight)
assert math.isclose(loss.item(), (0 * 5 + 1 * 1 + 2 * 2) / 8), "not the weighted mean of three errors"
loss.backward()
expected = torch.tensor([-1.0, 2.0]) / 8
assert torch.allclose(predicted.grad[1:, 0], expected), "another gradient"
""",
    ),
    Question(
        "next_token_loss",
        "class_loss",
        "A language model that hardly learns",
        "A language model with a vocabulary of 50 starts near log 50 and never gets below 2.9, not even on one "
        "sentence that it reads a thousand times.",
        (
            "The loss gets probabilities, and makes probabilities of them a second time.",
            "One sentence is too little to learn from.",
            "The targets are not shifted by one token.",
            "The mean over tokens hides the first one.",
        ),
        '''
def next_token_loss(logits, ids):
    """Mean cross-entropy in nats: logits (B, T, V) at place t are about the token at t + 1 of ids (B, T)."""
    predicted = logits[:, :-1].softmax(dim=-1)
    return F.cross_entropy(predicted.flatten(0, 1), ids[:, 1:].flatten())
''',
        '''
def next_token_loss(logits, ids):
    """Mean cross-entropy in nats: logits (B, T, V) at place t are about the token at t + 1 of ids (B, T)."""
    return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
''',
        """
ids = torch.tensor([[3, 1, 4, 1], [5, 9, 2, 6]])
sure = 50 * F.one_hot(ids.roll(-1, 1), 50).float()
assert next_token_loss(sure, ids) < 1e-6, "a perfect answer has a loss"
assert math.isclose(next_token_loss(0 * sure, ids).item(), math.log(50), rel_tol=1e-5)
logits = torch.randn(2, 4, 50, generator=torch.Generator().manual_seed(0))
by_hand = -logits.log_softmax(-1)[:, :-1].gather(2, ids[:, 1:, None]).mean()
assert torch.allclose(next_token_loss(logits, ids), by_hand), "not the cross-entropy"
""",
    ),
    Question(
        "TwoHeads",
        "make_network",
        "Two heads",
        "One network answers two questions. It is trained on a GPU: there it stops with a message about two "
        "devices. On a CPU it trains, and the file of weights is suspiciously small.",
        (
            "The heads stand where the network does not look for layers.",
            "Both heads share one set of weights.",
            "The trunk is saved without its bias.",
            "Two losses cannot go backward through one trunk.",
        ),
        '''
class TwoHeads(nn.Module):
    """(B, 8) -> two sets of logits, (B, 3) and (B, 5), by name."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Linear(8, 16)
        self.heads = {"colour": nn.Linear(16, 3), "shape": nn.Linear(16, 5)}

    def forward(self, x):
        hidden = self.trunk(x).relu()
        return {name: head(hidden) for name, head in self.heads.items()}
''',
        '''
class TwoHeads(nn.Module):
    """(B, 8) -> two sets of logits, (B, 3) and (B, 5), by name."""

    def __init__(self):
        super().__init__()
        self.trunk = nn.Linear(8, 16)
        self.heads = nn.ModuleDict({"colour": nn.Linear(16, 3), "shape": nn.Linear(16, 5)})

    def forward(self, x):
        hidden = self.trunk(x).relu()
        return {name: head(hidden) for name, head in self.heads.items()}
''',
        """
network, copy, x = TwoHeads(), TwoHeads(), torch.randn(2, 8)
assert sum(p.numel() for p in network.parameters()) == 8 * 16 + 16 + 17 * 3 + 17 * 5, "layers are missing"
copy.load_state_dict(network.state_dict())
assert {name: out.shape[1] for name, out in network(x).items()} == {"colour": 3, "shape": 5}
assert all(torch.equal(copy(x)[name], out) for name, out in network(x).items()), "the copy differs"
""",
    ),
    Question(
        "alternate",
        "gan_step",
        "Taking turns",
        "An encoder and a decoder are trained in turn, each with its own optimiser. The first step is right to "
        "the last digit; after some hundred steps the encoder's weights have run away.",
        (
            "The decoder's turn leaves a gradient in the encoder, which is added to that of the encoder's next turn.",
            "The encoder's rate is too high.",
            "The decoder is trained on an old code.",
            "Both optimisers hold the encoder's weights.",
        ),
        '''
def alternate(encoder, decoder, e_optimizer, d_optimizer, x):
    """The encoder's turn, then the decoder's, each on the squared error of the copy."""
    (decoder(encoder(x)) - x).square().mean().backward()
    e_optimizer.step()
    e_optimizer.zero_grad()
    d_optimizer.zero_grad()
    (decoder(encoder(x)) - x).square().mean().backward()
    d_optimizer.step()
    d_optimizer.zero_grad()
''',
        '''
def alternate(encoder, decoder, e_optimizer, d_optimizer, x):
    """The encoder's turn, then the decoder's, each on the squared error of the copy."""
    for optimizer in (e_optimizer, d_optimizer):
        loss = (decoder(encoder(x)) - x).square().mean()
        e_optimizer.zero_grad()
        d_optimizer.zero_grad()
        loss.backward()
        optimizer.step()
''',
        """
def turns(step):
    torch.manual_seed(0)
    nets = nn.Linear(4, 2), nn.Linear(2, 4)
    optimizers = [torch.optim.SGD(net.parameters(), lr=0.1) for net in nets]
    for _ in range(3):
        step(*nets, *optimizers, torch.randn(6, 4))
    return torch.cat([p.detach().flatten() for net in nets for p in net.parameters()])


def by_grad(encoder, decoder, e_optimizer, d_optimizer, x):
    for net in (encoder, decoder):
        loss = (decoder(encoder(x)) - x).square().mean()
        slopes = torch.autograd.grad(loss, list(net.parameters()))
        with torch.no_grad():
            for p, slope in zip(net.parameters(), slopes):
                p -= 0.1 * slope


assert torch.allclose(turns(alternate), turns(by_grad), atol=1e-6), "three turns end elsewhere"
""",
    ),
    Question(
        "distillation",
        "kl",
        "A small network learns from a large one",
        "The student is trained to have the teacher's distribution over classes. The loss falls below 0, and the "
        "student ends sure of a class that the teacher finds unlikely.",
        (
            "The mean runs over the student's classes, and the ratio is turned: minus a divergence.",
            "The teacher's logits need a temperature.",
            "Log-probabilities are negative, so that the loss is, too.",
            "The teacher is not frozen.",
        ),
        '''
def distillation(student, teacher):
    """KL(teacher || student) in nats, mean over the batch, for logits (B, K), (B, K)."""
    p, q = teacher.log_softmax(1), student.log_softmax(1)
    return (q.exp() * (p - q)).sum(1).mean()
''',
        '''
def distillation(student, teacher):
    """KL(teacher || student) in nats, mean over the batch, for logits (B, K), (B, K)."""
    p, q = teacher.log_softmax(1), student.log_softmax(1)
    return (p.exp() * (p - q)).sum(1).mean()
''',
        """
student, teacher = torch.tensor([[0.0, 0.0]]), torch.tensor([[math.log(3.0), 0.0]])
right = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
assert math.isclose(distillation(student, teacher).item(), right, rel_tol=1e-5), "another divergence"
other = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
assert math.isclose(distillation(teacher, student).item(), other, rel_tol=1e-5), "not in this direction"
""",
    ),
    Question(
        "split",
        "shuffled",
        "Classes that nobody has seen",
        "A file holds 100 pictures of each of 10 classes, one class after the other. The classifier is right "
        "about all training pictures, and wrong about every single validation picture.",
        (
            "The last fifth of the file holds two classes that the training set does not.",
            "It has memorised the training pictures.",
            "The validation labels are shifted by one.",
            "Ten classes need more than 100 pictures each.",
        ),
        '''
def split(pictures, labels, seed):
    """The first 80 % to train on and the rest to validate: two pairs (pictures, labels)."""
    cut = 4 * len(labels) // 5
    order = torch.randperm(cut, generator=torch.Generator().manual_seed(seed))
    return (pictures[order], labels[order]), (pictures[cut:], labels[cut:])
''',
        '''
def split(pictures, labels, seed):
    """80 % to train on and the rest to validate, drawn at random: two pairs (pictures, labels)."""
    cut = 4 * len(labels) // 5
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    train, rest = order[:cut], order[cut:]
    return (pictures[train], labels[train]), (pictures[rest], labels[rest])
''',
        """
labels = torch.arange(10).repeat_interleave(100)
numbers = torch.arange(1_000)
train, rest = split(numbers, labels, 0)
assert len(train[0]) == 800 and len(rest[0]) == 200
assert torch.equal(torch.cat([train[0], rest[0]]).sort().values, numbers), "each picture once"
assert all(torch.equal(labels[pictures], own) for pictures, own in (train, rest)), "other labels"
assert set(rest[1].tolist()) == set(range(10)), "classes are missing"
assert torch.equal(train[0], split(numbers, labels, 0)[0][0]), "not a function of the seed"
assert not torch.equal(train[0], split(numbers, labels, 1)[0][0]), "the seed does nothing"
""",
    ),
    Question(
        "similarity",
        "first_nan",
        "NaN after an hour",
        "Sentences are compared by the cosine of their mean word vectors. After an hour of training the loss is "
        "NaN at one step, and at every step from then on. The batch of that step holds an empty sentence.",
        (
            "A vector of zeros has no direction: its length is divided by.",
            "The learning rate is too high.",
            "A cosine lies outside of -1 to 1 by rounding.",
            "Too long a sentence overflows.",
        ),
        '''
def similarity(a, b):
    """Cosine of the rows of a and b, (B, D) and (B, D) -> (B,); 0 where a row is zero."""
    return (a * b).sum(1) / (a.norm(dim=1) * b.norm(dim=1))
''',
        '''
def similarity(a, b):
    """Cosine of the rows of a and b, (B, D) and (B, D) -> (B,); 0 where a row is zero."""
    return F.cosine_similarity(a, b, dim=1, eps=1e-8)
''',
        """
a = torch.tensor([[3.0, 4.0], [0.0, 0.0], [1.0, 0.0]], requires_grad=True)
b = torch.tensor([[4.0, 3.0], [1.0, 2.0], [0.0, 2.0]])
came = similarity(a, b)
assert torch.allclose(came, torch.tensor([0.96, 0.0, 0.0])), "not the cosine, or not 0 for zeros"
came.sum().backward()
assert a.grad.isfinite().all(), "a gradient that is not finite"
""",
    ),
)
"""The second bank."""
