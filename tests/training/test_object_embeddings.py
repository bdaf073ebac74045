"""What CLIP makes of objects: which are shown, how, and that it is kept; then how training asks by it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from colour_clip import ColourClip, two_discs
from tiny import SHORT, tiny_model

from napari_sam.errors import Cancelled
from napari_sam.evaluation.dataset import LabelledImage
from napari_sam.model.protocol import PromptTensors
from napari_sam.model.text_projection import ClipSpace
from napari_sam.training.data.batches import CropSource
from napari_sam.training.data.loader import BatchPart, _pack, _unpack
from napari_sam.training.data.object_texts import ObjectTexts
from napari_sam.training.data.pools import ObjectPool, TypicalPool
from napari_sam.training.data.simulated_prompts import ask_by_text, correct
from napari_sam.training.loop import Trainer
from napari_sam.training.networks.sam import TrainableSam
from napari_sam.training.objective import objective
from napari_sam.training.text.embeddings import ClipModelToUse, ObjectCrops, embed_objects
from napari_sam.training.text.trainable import learns
from sam_reference import tiny_sam

IMAGES = [two_discs(seed) for seed in range(4)]


class Watching(ColourClip):
    """Keeps what it is shown."""

    def __init__(self):
        super().__init__()
        self.pictures = []

    def encode_images(self, images, count=None, progress=None):
        shown = list(images)
        self.pictures += shown
        return super().encode_images(shown)


@pytest.fixture
def clip():
    return Watching()


@pytest.fixture
def embed(clip, tmp_path):
    def call(images=IMAGES, name="colours", **settings):
        model = ClipModelToUse(name, "", lambda: clip)
        return embed_objects(images, model, ObjectCrops(**settings), tmp_path / "clip")

    return call


class TestEmbedding:
    def test_each_object_has_its_own(self, embed):
        seen = embed()
        assert seen.space == ClipSpace("colours", "", 8)
        named = ColourClip().encode_text(["red", "blue"])
        for known in seen.vectors:
            assert {label: vectors.shape for label, vectors in known.items()} == {1: (4, 8), 2: (4, 8)}
            for label, vectors in known.items():
                assert (vectors @ named[label - 1] > 0.95).all()
                assert (vectors @ named[2 - label] < 0.5).all()

    def test_squares_are_once_to_twice_the_box_with_the_rest_black_half_of_the_time(self, embed, clip):
        embed(IMAGES[:1], views=6)
        sides = np.array([picture.shape[0] for picture in clip.pictures]).reshape(2, 6, 2)
        assert (sides[..., 0] == sides[..., 1]).all()
        for label, of_object in enumerate(sides[..., 0], 1):
            rows, columns = np.nonzero(IMAGES[0].labels == label)
            longer = max(np.ptp(rows), np.ptp(columns)) + 1
            assert (of_object >= longer).all()
            assert (of_object <= 2 * longer + 1).all()
            assert len(set(of_object.tolist())) > 3
        alone, in_place = clip.pictures[::2], clip.pictures[1::2]
        assert all((picture[0, 0] == 0).all() for picture in alone)
        assert all((picture[0, 0] > 60).all() for picture in in_place)

    def test_small_ones_are_left_out_and_some_are_drawn_of_many(self, embed):
        labels = np.zeros((96, 96), np.uint16)
        labels[:4, :4], labels[10:30, 10:30], labels[40:60, 40:60], labels[70:90, 70:90] = 1, 2, 3, 5
        image = LabelledImage("a", "squares", IMAGES[0].image, labels)
        [known] = embed([image]).vectors
        assert set(known) == {2, 3, 5}
        [some] = embed([image], most_objects=2).vectors
        assert len(some) == 2
        assert set(some) < {2, 3, 5}
        nearly_all = LabelledImage("b", "squares", IMAGES[0].image, np.where(labels == 1, 0, 7).astype(np.uint16))
        [first, second] = embed([nearly_all, image]).vectors
        assert first == {}
        assert len(second) == 3

    def test_what_was_seen_is_kept_unless_something_changed(self, embed, clip):
        embed(IMAGES[:3])
        count = clip.shown
        again = embed(IMAGES[:3])
        assert clip.shown == count == 24
        assert all((again.vectors[0][label] == embed().vectors[0][label]).all() for label in (1, 2))
        assert clip.shown == count + 8  # the fourth image
        embed(IMAGES[:1], name="other")
        embed(IMAGES[:1], views=1)
        other = replace(IMAGES[0], labels=IMAGES[0].labels * 2)
        assert set(embed([other]).vectors[0]) == {2, 4}
        assert clip.shown == count + 8 + 8 + 4 + 8

    def test_a_cut_loses_no_image_that_is_done(self, clip, tmp_path):
        def cut(fraction: float) -> None:
            if fraction >= 0.5:
                raise Cancelled

        model = ClipModelToUse("colours", "", lambda: clip)
        with pytest.raises(Cancelled):
            embed_objects(IMAGES, model, ObjectCrops(), tmp_path, cut)
        embed_objects(IMAGES, model, ObjectCrops(), tmp_path)
        assert clip.shown == 8 * len(IMAGES)

    @pytest.mark.parametrize("contents", [b"", b"PK\x03\x04", b"x" * 100])
    def test_a_damaged_file_is_made_anew(self, embed, tmp_path, contents):
        before = embed(IMAGES[:1]).vectors[0]
        [file] = (tmp_path / "clip").iterdir()
        file.write_bytes(contents)
        after = embed(IMAGES[:1]).vectors[0]
        assert all((before[label] == after[label]).all() for label in (1, 2))


# In every other one, red is label 2: a label means something in its own image alone.
MIXED = [
    replace(image, labels=np.where(image.labels > 0, 3 - image.labels, 0).astype(np.uint16)) if odd % 2 else image
    for odd, image in enumerate(IMAGES)
]


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> ObjectTexts:
    clip = ColourClip()
    model = ClipModelToUse("colours", "", lambda: clip)
    return ObjectTexts(embed_objects(MIXED, model, ObjectCrops(), tmp_path_factory.mktemp("clip")).vectors, 8)


class TestBatches:
    def test_the_embedding_is_that_of_the_object_under_the_mask_in_its_own_colours(self, texts):
        batch = CropSource([(ObjectPool(MIXED), 1.0)], texts).draw(np.random.default_rng(0), 12, 2, 96)
        assert batch.texts.shape == (len(batch.masks), 8)
        red, blue = ColourClip().encode_text(["red", "blue"])
        for plane, mask, text in zip(batch.objects.tolist(), batch.masks[:, 0], batch.texts.numpy(), strict=True):
            colour = batch.images[plane][:, mask > 0].float().mean(1)
            assert (colour[0] > colour[2] + 60) == (text @ red > text @ blue)
            assert abs(float(colour[0] - colour[2])) > 60
        assert len({bool(text @ red > text @ blue) for text in batch.texts.numpy()}) == 2

    def test_some_are_pointed_at(self, texts):
        half = replace(texts, share=0.5)
        drawn = half.draw(np.random.default_rng(0), 0, [1, 2] * 200)
        assert 0.4 < np.isfinite(drawn).all(1).mean() < 0.6
        assert np.isnan(texts.draw(np.random.default_rng(0), 0, [77])).all()

    def test_they_belong_to_one_pool(self, texts):
        with pytest.raises(ValueError, match="one pool"):
            CropSource([(ObjectPool(IMAGES), 1.0), (TypicalPool(IMAGES), 1.0)], texts)

    def test_they_go_from_one_process_to_another(self, texts):
        batch = CropSource([(ObjectPool(IMAGES), 1.0)], texts).draw(np.random.default_rng(0), 2, 2, 96)
        moved = _unpack(_pack(BatchPart(batch, 3, 1)), torch.device("cpu"))
        assert torch.equal(moved.batch.texts, batch.texts)
        assert torch.equal(moved.batch.to(torch.device("cpu")).texts, batch.texts)
        assert (moved.seed, moved.extra_rounds) == (3, 1)


class TestAsking:
    def test_an_embedding_takes_the_place_of_the_first_prompt(self):
        texts = torch.ones(3, 8)
        texts[1] = torch.nan
        first = PromptTensors(
            torch.ones(3, 1, 2), torch.ones((3, 1), dtype=torch.int64), torch.ones(3, 4), torch.ones(3, 1, 2, 2)
        )
        asked = ask_by_text(first, texts)
        assert asked.labels.tolist() == [[-1], [1], [-1]]
        assert torch.isfinite(asked.boxes).all(1).tolist() == [False, True, False]
        assert asked.masks.flatten(1).any(1).tolist() == [False, True, False]
        assert asked.texts is texts

    def test_clicks_that_correct_go_with_it(self):
        texts = torch.ones(1, 8)
        first = PromptTensors(torch.zeros(1, 1, 2), -torch.ones((1, 1), dtype=torch.int64), None, None, texts)
        truth = torch.zeros(1, 1, 16, 16)
        truth[..., 4:9, 4:9] = 1
        after = correct(first, torch.full((1, 1, 8, 8), -5.0), truth, torch.Generator().manual_seed(0))
        assert after.texts is texts
        assert after.labels.tolist() == [[-1, 1]]

    def test_the_log_tells_of_words_and_of_clicks(self, texts):
        model = tiny_model()
        model.network.take_words(ClipSpace("colours", "", 8))
        for share, told in ((1.0, {"words"}), (0.0, {"click", "box"})):
            source = CropSource([(ObjectPool(IMAGES), 1.0)], replace(texts, share=share))
            batch = source.draw(np.random.default_rng(0), 8, 2, 64)
            measured = objective(model, batch, 0, 0.0, torch.Generator().manual_seed(0))[1]
            assert measured.keys() & {"words", "click", "box"} == told


class TestWhatLearns:
    def test_by_name(self):
        names = (
            "decoder.text_projection.kind.weight",
            "decoder.bias",
            "mask_decoder.iou_token.weight",
            "prompt_encoder.no_mask_embed.weight",
            "encoder.stem.0.weight",
            "image_encoder.pos_embed",
            "dense.out.weight",
            "instance_decoder.base.weight",
        )
        assert [learns(name, "projection") for name in names] == [True] + 7 * [False]
        assert [learns(name, "decoder") for name in names] == 4 * [True] + 4 * [False]
        assert [learns(name, "all") for name in names] == 7 * [True] + [False]

    def test_a_network_that_sees_no_box_is_trained_all_the_same(self, tmp_path):
        """With one object a step, some weights take no part in it."""

        class Partly:
            description = ""

            def __init__(self):
                self.network = torch.nn.ModuleDict(
                    {"used": torch.nn.Conv2d(3, 4, 4, 4), "unused": torch.nn.Linear(2, 2)}
                )
                self.network["frozen"] = torch.nn.Linear(2, 2).requires_grad_(requires_grad=False)

            saves_whole = True

            def is_pretrained(self, parameter):
                return False

            def features(self, images):
                return (images / 255,)

            def respond(self, features, objects, prompts):
                logits = self.network["used"](features[0][objects])
                return logits, logits.mean((2, 3)).sigmoid()

            def dense(self, features, windows):
                return None

        config = replace(SHORT, weight_decay=0.0)
        trainer = Trainer(Partly, config, CropSource([(ObjectPool(IMAGES), 1.0)]), tmp_path)
        before = {name: weights.clone() for name, weights in trainer.model.state_dict().items()}
        trainer.run()
        moved = {n.partition(".")[0] for n, w in trainer.model.state_dict().items() if not torch.equal(w, before[n])}
        assert moved == {"used"}


class TestSamInTraining:
    def test_objects_of_all_kinds_in_one_batch_are_answered_as_each_alone(self):
        model = tiny_sam()
        model.take_words(ClipSpace("colours", "", 8))
        trainable = TrainableSam(model)
        generator = torch.Generator().manual_seed(0)
        images = torch.randint(0, 255, (2, 3, 128, 128), generator=generator, dtype=torch.uint8)
        features = trainable.features(images)
        objects = torch.tensor([1, 0, 1, 0, 1])
        points = 128 * torch.rand(5, 2, 2, generator=generator)
        labels = torch.tensor([[-1, 1], [1, 0], [-1, 0], [-1, 1], [-1, 1]])
        boxes = torch.full((5, 4), torch.nan)
        boxes[3] = torch.tensor([10.0, 20.0, 60.0, 90.0])
        masks = torch.zeros(5, 1, 32, 32)
        masks[2] = torch.randn(1, 32, 32, generator=generator)
        texts = torch.nn.functional.normalize(torch.randn(5, 8, generator=generator), dim=1)
        texts[1] = texts[3] = torch.nan
        logits, scores = trainable.respond(features, objects, PromptTensors(points, labels, boxes, masks, texts))
        assert logits.shape == (5, 4, 32, 32)
        frame = model.frame((128, 128))
        for row in range(5):
            there = labels[row] >= 0
            told = PromptTensors(
                points[row : row + 1, there],
                labels[row : row + 1, there],
                boxes[row : row + 1] if row == 3 else None,
                masks[row : row + 1] if row == 2 else None,
                None if row in (1, 3) else texts[row : row + 1],
            )
            image = images[objects[row]].permute(1, 2, 0).numpy()
            own = model.encode(model.preprocess(image, frame))
            for part, several in ((slice(0, 1), False), (slice(1, 4), True)):
                alone = model.decode(own, told, frame, multimask=several)
                torch.testing.assert_close(logits[row, part], alone.logits[0], atol=1e-4, rtol=1e-4)
                torch.testing.assert_close(scores[row, part], alone.scores[0], atol=1e-4, rtol=1e-4)
