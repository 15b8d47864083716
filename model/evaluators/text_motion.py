"""The published encoders of motion and sentences into one space (Guo et al. 2022, section 5.1), for evaluation only.

A motion: two convolutions over time make a token of every 4 frames, a recurrent network reads the tokens both ways. A
sentence: the vector of each word, to which that of its part of speech is added, read in the same way. Padding may stand
behind a motion or a sentence, in any order of lengths, and the order of what comes in is that of what goes out.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from utils.run.errors import DataError

UNIT = 4  # frames of a token
CONTACTS = 4  # the last features of a frame, which are not shown
PARTS = ("movement_encoder", "motion_encoder", "text_encoder")  # of a published file


class MovementEncoder(nn.Module):
    """Features without contacts [B, T, F] -> tokens [B, T / 4, D]."""

    def __init__(self, features: int, hidden: int, width: int):
        super().__init__()
        self.features = features
        self.main = nn.Sequential(
            nn.Conv1d(features, hidden, 4, 2, 1),
            nn.Dropout(0.2),
            nn.LeakyReLU(0.2),
            nn.Conv1d(hidden, width, 4, 2, 1),
            nn.Dropout(0.2),
            nn.LeakyReLU(0.2),
        )
        self.out_net = nn.Linear(width, width)

    def forward(self, motion: Tensor) -> Tensor:
        return self.out_net(self.main(motion.transpose(1, 2)).transpose(1, 2))


class Reader(nn.Module):
    """Tokens [B, L, width], of which the first `lengths` [B] count -> embeddings [B, D].

    With `tags` each token has a tag [B, L, tags], whose vector is added to it.
    """

    def __init__(self, width: int, hidden: int, out: int, tags: int = 0):
        super().__init__()
        self.pos_emb = nn.Linear(tags, width) if tags else None
        self.input_emb = nn.Linear(width, hidden)
        self.gru = nn.GRU(hidden, hidden, batch_first=True, bidirectional=True)
        self.output_net = nn.Sequential(
            nn.Linear(2 * hidden, hidden), nn.LayerNorm(hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, out)
        )
        self.hidden = nn.Parameter(torch.randn(2, 1, hidden))

    def forward(self, tokens: Tensor, lengths: Tensor, tags: Tensor | None = None) -> Tensor:
        if self.pos_emb is not None and tags is not None:
            tokens = tokens + self.pos_emb(tags)
        packed = pack_padded_sequence(self.input_emb(tokens), lengths.cpu(), batch_first=True, enforce_sorted=False)
        _, last = self.gru(packed, self.hidden.repeat(1, len(tokens), 1))
        return self.output_net(torch.cat((last[0], last[1]), dim=-1))


class TextMotion(nn.Module):
    """All three encoders, under the names of the published file.

    `features` are the numbers in a frame of motion, `word_width` those in the vector of a word.
    """

    def __init__(self, movement: MovementEncoder, motion: Reader, text: Reader):
        super().__init__()
        self.movement_encoder, self.motion_encoder, self.text_encoder = movement, motion, text
        self.features, self.word_width = movement.features + CONTACTS, text.input_emb.in_features

    def embed_motion(self, motion: Tensor, lengths: Tensor) -> Tensor:
        """Embeddings [B, D] of motions: features [B, T, F] as the evaluator normalises them, lengths [B], at least 4.

        The last token of a motion sees up to three frames after it: zeros, as the encoders were trained.
        """
        return self.motion_encoder(self.movement_encoder(motion[..., :-CONTACTS]), lengths // UNIT)

    def embed_text(self, words: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """Embeddings [B, D] of sentences: vectors of words [B, L, W], parts of speech [B, L, P], lengths [B]."""
        return self.text_encoder(words, lengths, tags)


def from_published(content: Mapping[str, Any]) -> TextMotion:
    """The encoders of a published file, in evaluation mode; their sizes are those of its weights.

    Raises DataError for a file that holds other weights.
    """
    try:
        movement, motion, text = (content[name] for name in PARTS)
        hidden, shown = movement["main.0.weight"].shape[:2]
        network = TextMotion(
            MovementEncoder(shown, hidden, len(movement["out_net.weight"])),
            Reader(*_sizes(motion)),
            Reader(*_sizes(text), tags=text["pos_emb.weight"].shape[1]),
        )
        for name in PARTS:
            getattr(network, name).load_state_dict(content[name])
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[-1].strip()[:120]
        raise DataError(f"no published evaluator ({', '.join(PARTS)}): {reason}") from error
    return network.requires_grad_(False).eval()


def _sizes(reader: Mapping[str, Tensor]) -> tuple[int, int, int]:
    """Width of a token, of the recurrence and of the embedding."""
    hidden, width = reader["input_emb.weight"].shape
    return width, hidden, len(reader["output_net.3.weight"])
