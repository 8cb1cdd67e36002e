"""First step: what traffic is like. Lengths are tokens, pauses seconds; all are log-normal: a median and a spread.

Prompts are cut to 32,768 tokens, a length that models are served with. What has a source follows it; the rest is said
to be chosen. "The trace" is the conversation trace published with Mooncake (github.com/kvcache-ai/Mooncake,
FAST25-release/traces, commit 3b5a594), read anew for these figures.
"""

import math
import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """A log-normal distribution: half are below `median`, and one in six above `median * exp(sigma)`."""

    median: float
    sigma: float

    def draw(self, dice: random.Random, most: float = math.inf) -> float:
        """Return one value."""
        return min(most, self.median * math.exp(dice.gauss(0.0, self.sigma)))


@dataclass(frozen=True)
class Shape:
    """Traffic of conversations. `heads` texts stand at their beginning, the most popular first by Zipf's law.

    `first`: what follows the head in a first prompt; `growth`: by how much each further prompt is longer, the answer
    before it included; `turns`: prompts of a conversation, geometric, on average; `pause`: from an answer to the next
    prompt; `requests`: how many for each prefiller; `one_user`: whether a conversation is one session.
    """

    name: str
    about: str
    heads: int
    zipf: float
    head: Spread
    first: Spread
    growth: Spread
    answer: Spread
    turns: float
    pause: Spread
    requests: int
    one_user: bool = True


SHAPES = (
    Shape(
        "conversations",
        "Long prompts with a heavy tail behind one short system prompt: the trace. All its 12,031 requests begin with "
        "the same 512 tokens; first prompts have 5,264 tokens in the middle, 10,765 on average and 89,867 at p99; "
        "1.63 requests to a conversation, 454 tokens longer each, 123 s apart in the middle; 343 tokens of answer.",
        heads=1,
        zipf=0.0,
        head=Spread(512, 0.0),
        first=Spread(4752, 1.2),
        growth=Spread(454, 1.5),
        answer=Spread(250, 0.8),
        turns=1.63,
        pause=Spread(123, 1.07),
        requests=1000,
    ),
    Shape(
        "chats",
        "Short turns behind a system prompt of 2,048 tokens that everybody has. Questions of 161 tokens and answers of "
        "338 on average are ShareGPT's (vLLM's paper, arXiv 2309.06180, figure 11); system prompt, six turns and 2 s "
        "between them are chosen.",
        heads=1,
        zipf=0.0,
        head=Spread(2048, 0.0),
        first=Spread(100, 0.98),
        growth=Spread(400, 0.7),
        answer=Spread(270, 0.67),
        turns=6.0,
        pause=Spread(2, 0.8),
        requests=1000,
    ),
    Shape(
        "agents",
        "Two hundred agents of unequal popularity, each with instructions of its own (6,000 tokens in the middle), and "
        "a few quick steps to a task. The averages are near those of Mooncake's tool and agent trace (8,596 tokens in, "
        "182 out; FAST '25, table 2); popularity, steps and pauses are chosen.",
        heads=200,
        zipf=1.0,
        head=Spread(6000, 0.5),
        first=Spread(400, 0.8),
        growth=Spread(500, 0.8),
        answer=Spread(150, 0.6),
        turns=4.0,
        pause=Spread(4, 0.8),
        requests=1000,
    ),
    Shape(
        "documents",
        "Questions of many users about long documents: lengths near those of Mooncake's synthetic trace (15,325 tokens "
        "in and 149 out on average, 11,587 in the middle); questions and pauses are chosen.",
        heads=1,
        zipf=0.0,
        head=Spread(64, 0.0),
        first=Spread(11500, 0.75),
        growth=Spread(60, 0.5),
        answer=Spread(110, 0.8),
        turns=2.6,
        pause=Spread(60, 1.0),
        requests=500,
        one_user=False,
    ),
)
