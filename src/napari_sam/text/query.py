"""What a person asks for in words."""

from __future__ import annotations

from dataclasses import dataclass

from napari_sam.errors import InputError

TEMPLATES = (
    "a microscopy image of {}",
    "a photo of {}",
    "a close-up photo of {}",
    "an image of {}",
)
"""Sentences that a phrase is put into: CLIP was trained on captions. Their vectors are averaged."""

BACKGROUND = ("background", "blur")
"""What an object may be instead of what is asked for."""


@dataclass(frozen=True, slots=True)
class TextQuery:
    """Phrases that are looked for, and what they compete with.

    Attributes
    ----------
    phrases : tuple of str
        What is looked for; several give a class each.
    negatives : tuple of str
        What looks like it and is not wanted.
    background : tuple of str
        Words for what is no object at all.
    templates : tuple of str
        Sentences with ``{}`` where the phrase goes.
    """

    phrases: tuple[str, ...]
    negatives: tuple[str, ...] = ()
    background: tuple[str, ...] = BACKGROUND
    templates: tuple[str, ...] = TEMPLATES

    def __post_init__(self) -> None:
        for name in ("phrases", "negatives", "background"):
            # Blanks around a phrase are slips, and would make two of one.
            object.__setattr__(self, name, tuple(" ".join(phrase.split()) for phrase in getattr(self, name)))
        if not self.phrases or not all(self.words):
            raise InputError("A phrase is empty. Say in a word or two what to look for, such as round nucleus.")
        # A word of the background that is asked for is wanted.
        object.__setattr__(self, "background", tuple(word for word in self.background if word not in self.asked))
        for number, phrase in enumerate(self.asked):
            if phrase in self.asked[:number]:
                raise InputError(f"{phrase!r} is asked for twice. Give each phrase once, as wanted or as negative.")
        if len(self.words) == 1:
            raise InputError(f"{phrase!r} has nothing to compete with. Give a negative phrase, or a background word.")
        if not self.templates or any("{}" not in template for template in self.templates):
            raise InputError("A template is a sentence with {} where the phrase goes, such as a photo of {}.")

    @property
    def asked(self) -> tuple[str, ...]:
        """What the person wrote: phrases, then negatives."""
        return (*self.phrases, *self.negatives)

    @property
    def words(self) -> tuple[str, ...]:
        """Everything that competes: phrases, negatives, background."""
        return (*self.phrases, *self.negatives, *self.background)

    def sentences(self) -> tuple[tuple[str, ...], ...]:
        """Put each of the words into every template."""
        return tuple(tuple(template.replace("{}", word) for template in self.templates) for word in self.words)
