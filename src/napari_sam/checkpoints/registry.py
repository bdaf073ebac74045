"""The table of checkpoints that this plugin knows: new weights of a known architecture are one row here.

The dock, the command line and the documents read this table. Sizes and checksums are those that the publishers, or
well-kept registries of the same files, state; what is not published is None, never guessed. Weights under a
non-commercial licence are not listed.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from napari_sam.errors import WeightsError
from napari_sam.files import format_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable

Algorithm = Literal["sha256", "md5", "xxh128"]

CHECKPOINT_SUFFIXES = (".safetensors", ".pth", ".pt")

# How the tensors of a checkpoint are to be read, with the bytes of its float32 parameters: what a file of that kind
# weighs where its publisher does not say.
_APPROXIMATE_SIZES: dict[str, int] = {
    "compact": 20_000_000,
    "sam_vit_b": 375_000_000,
    "sam_vit_l": 1_250_000_000,
    "sam_vit_h": 2_565_000_000,
    "mobile_sam": 41_000_000,
    "medsam_vit_b": 375_000_000,
    "sam_hq_vit_b": 379_000_000,
    "sam_hq_vit_l": 1_255_000_000,
    "sam_hq_vit_h": 2_571_000_000,
    "sam_hq_vit_tiny": 42_500_000,
}

_EXTRAS = 100_000_000  # bytes of other networks in the same file, such as micro-sam's decoder of instances

ARCHITECTURES = tuple(_APPROXIMATE_SIZES)
"""Every architecture that `napari_sam.checkpoints.loading` can build."""


@dataclass(frozen=True, slots=True)
class DecoderFile:
    """micro-sam's decoder of instances, where it is a file of its own.

    Attributes
    ----------
    urls : tuple of str
        Where the file is.
    xxh128 : str
        Published checksum, lower-case hexadecimal.
    """

    urls: tuple[str, ...]
    xxh128: str


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What is known of one checkpoint before it is on this machine.

    Parameters
    ----------
    name : str
        What a person types; the stem of the file in the weights folder.
    title : str
        What a person reads in a list.
    architecture : str or None
        One of `ARCHITECTURES`; None for a file that a person imported, whose layout is recognised when it is loaded.
    urls : tuple of str
        Where the file is; the first is the publisher's, the others are tried when it fails. Empty: not downloadable.
    size : int or None
        Bytes; None where the publisher does not say.
    sha256, md5, xxh128 : str or None
        Published checksums, lower-case hexadecimal.
    licence : str
        SPDX name where there is one.
    domain : str
        The kind of images that the weights were trained on.
    use_for : str
        One line that helps to choose.
    project : str
        Address of the people who made it: what to read, and what to cite. Empty for the bundled model: it is ours.
    decoder : DecoderFile, optional
        A second file, without which the model answers prompts all the same.
    """

    name: str
    title: str
    architecture: str | None
    urls: tuple[str, ...]
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    xxh128: str | None = None
    licence: str = ""
    domain: str = ""
    use_for: str = ""
    project: str = ""
    decoder: DecoderFile | None = None

    @property
    def bundled(self) -> bool:
        """Whether the file comes inside the package."""
        return self.name == BUNDLED

    @property
    def approximate_size(self) -> int | None:
        """Bytes: `size` where it is published, else what the architecture's parameters weigh."""
        return self.size or _APPROXIMATE_SIZES.get(self.architecture or "")

    @property
    def largest_size(self) -> int:
        """Bytes that its file can have at most: twice what the parameters weigh leaves room for what trainers add."""
        if self.size:
            return self.size
        return 2 * _APPROXIMATE_SIZES.get(self.architecture or "", max(_APPROXIMATE_SIZES.values())) + _EXTRAS

    @property
    def checksum(self) -> tuple[Algorithm, str] | None:
        """The strongest published checksum, as (algorithm, hexadecimal digest); None if there is none."""
        if self.sha256:
            return "sha256", self.sha256
        if self.xxh128:
            return "xxh128", self.xxh128
        return ("md5", self.md5) if self.md5 else None

    @property
    def size_text(self) -> str:
        """The size as a person reads it; with a tilde where it is not published."""
        if self.bundled:
            return "in the package"
        if self.approximate_size is None:
            return ""
        return ("" if self.size else "~") + format_bytes(self.approximate_size)

    @property
    def filename(self) -> str:
        """Name of the file in the weights folder."""
        suffixes = (PurePosixPath(urlsplit(url).path).suffix for url in self.urls)
        return self.name + next((s for s in suffixes if s in CHECKPOINT_SUFFIXES), ".pt")


BUNDLED = "bundled"

_META = "https://dl.fbaipublicfiles.com/segment_anything/"
_META_MIRROR = "https://huggingface.co/ybelkada/segment-anything/resolve/main/checkpoints/"
_GWDG = "https://owncloud.gwdg.de/index.php/s/"
_EBI = "https://uk1s3.embassy.ebi.ac.uk/public-datasets/bioimage.io/"
_HQ = "https://huggingface.co/lkeab/hq-sam/resolve/main/"

_SAM_PROJECT = "https://github.com/facebookresearch/segment-anything"
_MICRO_SAM_PROJECT = "https://github.com/computational-cell-analytics/micro-sam"
_PATHO_SAM_PROJECT = "https://github.com/computational-cell-analytics/patho-sam"
_MEDICO_SAM_PROJECT = "https://github.com/computational-cell-analytics/medico-sam"
_HQ_PROJECT = "https://github.com/SysCV/sam-hq"

_CC_BY = "CC-BY-4.0"  # what micro-sam's own export to the BioImage.IO model zoo states
_UNSTATED = "not stated"  # by the authors; their code is MIT


def _sam(
    letter: Literal["b", "l", "h"], size: int, suffix: str, sha256: str, md5: str, xxh128: str, use_for: str
) -> ModelSpec:
    """Return the row of one of the three checkpoints of Kirillov et al. 2023."""
    file = f"sam_vit_{letter}_{suffix}.pth"
    return ModelSpec(
        name=f"sam_vit_{letter}",
        title=f"SAM ViT-{letter.upper()}",
        architecture=f"sam_vit_{letter}",
        urls=(_META + file, _META_MIRROR + file),
        size=size,
        sha256=sha256,
        md5=md5,
        xxh128=xxh128,
        licence="Apache-2.0",
        domain="natural images",
        use_for=use_for,
        project=_SAM_PROJECT,
    )


def _micro_sam(
    letter: Literal["t", "b", "l", "h"],
    training: str,
    url: str,
    xxh128: str,
    decoder: DecoderFile,
    *,
    title: str,
    licence: str,
    domain: str,
    use_for: str,
    project: str = _MICRO_SAM_PROJECT,
) -> ModelSpec:
    """Return the row of a checkpoint fine-tuned with micro-sam; names are those that micro-sam's users know."""
    architectures = {
        "t": "mobile_sam",
        "b": "sam_vit_b",
        "l": "sam_vit_l",
        "h": "sam_vit_h",
    }
    return ModelSpec(
        name=f"vit_{letter}_{training}",
        title=f"{title} (ViT-{letter.upper()})",
        architecture=architectures[letter],
        urls=(url,),
        xxh128=xxh128,
        decoder=decoder,
        licence=licence,
        domain=domain,
        use_for=use_for,
        project=project,
    )


def _light(letter: Literal["t", "b", "l"], path: str, xxh128: str, decoder: str, use_for: str) -> ModelSpec:
    return _micro_sam(
        letter,
        "lm",
        _EBI + path,
        xxh128,
        _decoder_beside(path, decoder),
        title="micro-sam light microscopy",
        licence=_CC_BY,
        domain="light microscopy",
        use_for=use_for,
    )


def _electron(letter: Literal["t", "b", "l"], path: str, xxh128: str, decoder: str, use_for: str) -> ModelSpec:
    return _micro_sam(
        letter,
        "em_organelles",
        _EBI + path,
        xxh128,
        _decoder_beside(path, decoder),
        title="micro-sam EM organelles",
        licence=_CC_BY,
        domain="electron microscopy",
        use_for=use_for,
    )


def _decoder_beside(path: str, xxh128: str) -> DecoderFile:
    """Return the decoder that micro-sam's authors put beside a checkpoint."""
    return DecoderFile((_EBI + path.removesuffix(".pt") + "_decoder.pt",), xxh128)


def _histopathology(
    letter: Literal["b", "l", "h"], share: str, xxh128: str, decoder: DecoderFile, use_for: str
) -> ModelSpec:
    return _micro_sam(
        letter,
        "histopathology",
        f"{_GWDG}{share}/download",
        xxh128,
        decoder,
        title="PathoSAM histopathology",
        licence=_UNSTATED,
        domain="histopathology",
        use_for=use_for,
        project=_PATHO_SAM_PROJECT,
    )


def _hq(letter: Literal["b", "l", "h", "tiny"], size: int | None, sha256: str, use_for: str) -> ModelSpec:
    name = f"sam_hq_vit_{letter}"
    return ModelSpec(
        name=name,
        title=f"SAM-HQ ViT-{letter.capitalize()}",
        architecture=name,
        urls=(f"{_HQ}{name}.pth",),
        size=size,
        sha256=sha256,
        licence="Apache-2.0",
        domain="natural images",
        use_for=use_for,
        project=_HQ_PROJECT,
    )


MODELS: tuple[ModelSpec, ...] = (
    ModelSpec(
        name=BUNDLED,
        title="Bundled compact",
        architecture="compact",
        urls=(),
        licence="BSD-3-Clause",
        domain="nuclei, other kinds, synthetic scenes",
        use_for="Start here: fast on a CPU, nothing to download.",
    ),
    _sam(
        "b",
        375_042_383,
        "01ec64",
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        "01ec64d29a2fca3f0661936605ae66f8",
        "6923c33df3637b6a922d7682bfc9a86b",
        "Photographs and anything with clear edges; the smallest SAM.",
    ),
    _sam(
        "l",
        1_249_524_607,
        "0b3195",
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
        "0b3195507c641ddb6910d2bb5adee89c",
        "a82beb3c660661e3dd38d999cc860e9a",
        "As ViT-B, with better edges; wants a GPU.",
    ),
    _sam(
        "h",
        2_564_550_879,
        "4b8939",
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
        "4b8939a88964f0f4ff5f5b2642c598a6",
        "97698fac30bd929c2e6d8d8cc15933c2",
        "The largest SAM; wants a GPU with 8 GB.",
    ),
    ModelSpec(
        name="mobile_sam",
        title="MobileSAM",
        architecture="mobile_sam",
        urls=(
            "https://github.com/ChaoningZhang/MobileSAM/raw/f706ad9c4eb7f219c00d9050e46328518ffb65d2/weights/mobile_sam.pt",
            f"{_GWDG}TuDzuwVDHd1ZDnQ/download",
        ),
        size=40_728_226,
        sha256="6dbb90523a35330fedd7f1d3dfc66f995213d81b29a5ca8108dbcdd4e37d6c2f",
        xxh128="8eadbc88aeb9d8c7e0b4b60c3db48bd0",
        licence="Apache-2.0",
        domain="natural images",
        use_for="SAM's answers on a CPU: nearly as good as ViT-B, eight times as fast.",
        project="https://github.com/ChaoningZhang/MobileSAM",
    ),
    ModelSpec(
        name="tinysam",
        title="TinySAM",
        architecture="mobile_sam",
        urls=("https://github.com/xinghaochen/TinySAM/releases/download/3.0/tinysam_42.3.pth",),
        licence="Apache-2.0",
        domain="natural images",
        use_for="MobileSAM's size, somewhat better masks from boxes.",
        project="https://github.com/xinghaochen/TinySAM",
    ),
    _light(
        "b",
        "diplomatic-bug/1.2/files/vit_b.pt",
        "fe9252a29f3f4ea53c15a06de471e186",
        "708b15ac620e235f90bb38612c4929ba",
        "Cells and nuclei in fluorescence, phase contrast and DIC: the usual choice.",
    ),
    _light(
        "t",
        "faithful-chicken/1.1/files/vit_t.pt",
        "72ec5074774761a6e5c05a08942f981e",
        "3e914a5f397b0312cdd36813031f8823",
        "Cells and nuclei in light microscopy, on a CPU.",
    ),
    _light(
        "l",
        "idealistic-rat/1.2/files/vit_l.pt",
        "017f20677997d628426dec80a8018f9d",
        "2faeafa03819dfe03e7c46a44aaac64a",
        "Cells and nuclei in light microscopy, at its best; wants a GPU.",
    ),
    _electron(
        "b",
        "noisy-ox/1.2/files/vit_b.pt",
        "f3bf2ed83d691456bae2c3f9a05fb438",
        "bb6398956a6b0132c26b631c14f95ce2",
        "Mitochondria and nuclei in electron microscopy: the usual choice.",
    ),
    _electron(
        "t",
        "greedy-whale/1/files/vit_t.pt",
        "253474720c497cce605e57c9b1d18fd9",
        "8f897c7bb93174a4d1638827c4dd6f44",
        "Mitochondria and nuclei in electron microscopy, on a CPU.",
    ),
    _electron(
        "l",
        "humorous-crab/1.2/files/vit_l.pt",
        "810b084b6e51acdbf760a993d8619f2d",
        "334877640bfdaaabce533e3252a17294",
        "Mitochondria and nuclei in electron microscopy, at its best; wants a GPU.",
    ),
    _histopathology(
        "b",
        "sBB4H8CTmIoBZsQ",
        "ffd1a2cd84570458b257bd95fdd8f974",
        DecoderFile((_GWDG + "KO9AWqynI7SFOBj/download",), "6a66194dcb6e36199cbee2214ecf7213"),
        "Nuclei in H&E-stained tissue: the usual choice.",
    ),
    _histopathology(
        "l",
        "IZgnn1cpBq2PHod",
        "b591833c89754271023e901281dee3f2",
        DecoderFile((_GWDG + "oIs6VSmkOp7XrKF/download",), "46aab7765d4400e039772d5a50b55c04"),
        "Nuclei in H&E-stained tissue; wants a GPU.",
    ),
    _histopathology(
        "h",
        "L7AcvVz7DoWJ2RZ",
        "bd1856dafc156a43fb3aa705f1a6e92e",
        DecoderFile((_GWDG + "1qAKxy5H0jgwZvM/download",), "3ed9f87e46ad5e16935bd8d722c8dc47"),
        "Nuclei in H&E-stained tissue, the largest; wants a GPU with 8 GB.",
    ),
    _micro_sam(
        "b",
        "medical_imaging",
        f"{_GWDG}f5Ol4FrjPQWfjUF/download",
        "40169f1e3c03a4b67bff58249c176d92",
        DecoderFile((f"{_GWDG}ahd3ZhZl2e0RIwz/download",), "9e498b12f526f119b96c88be76e3b2ed"),
        title="MedicoSAM medical imaging",
        licence=_UNSTATED,
        domain="medical",
        use_for="CT, MR, ultrasound and other medical images, with points or boxes.",
        project=_MEDICO_SAM_PROJECT,
    ),
    ModelSpec(
        name="medsam_vit_b",
        title="MedSAM ViT-B",
        architecture="medsam_vit_b",
        urls=("https://zenodo.org/records/10689643/files/medsam_vit_b.pth",),
        size=375_049_145,
        sha256="34b34b78c1d18cb8c6bf84cf9c00e135d6d6c965699f3c0e31ef1bc9dcb5be74",
        md5="3bb6db55bd0c9ca30b61248bca72f8d6",
        licence="Apache-2.0",
        domain="medical",
        use_for="Organs and lesions in CT, MR and other medical images; boxes only.",
        project="https://github.com/bowang-lab/MedSAM",
    ),
    _hq(
        "tiny",
        None,
        "0f32c075ccdd870ae54db2f7630e7a0878ede5a2b06d05d6fe02c65a82fb7196",
        "Thin and intricate objects, on a CPU.",
    ),
    _hq(
        "b",
        379_335_069,
        "14a9d662cd6f5a9c2dba6d40ab0058d88d287e4a18fd6fdc6ad5fb1a3fdeaa57",
        "Thin and intricate objects: vessels, fibres, antennae.",
    ),
    _hq(
        "l",
        1_254_865_805,
        "e1a6c385d62bf005ded91a54d5ec55c985cfc4103ef89c08d90f39f04934c343",
        "Thin and intricate objects; wants a GPU.",
    ),
    _hq(
        "h",
        2_570_940_653,
        "a7ac14a085326d9fa6199c8c698c4f0e7280afdbb974d2c4660ec60877b45e35",
        "Thin and intricate objects, the largest; wants a GPU with 8 GB.",
    ),
)


def list_models() -> tuple[ModelSpec, ...]:
    """Return every checkpoint of the table, the bundled one first."""
    return MODELS


def get_model(name: str, among: Iterable[ModelSpec] | None = None) -> ModelSpec:
    """Return the row called `name`.

    Parameters
    ----------
    name : str
        As in the table.
    among : iterable of ModelSpec, optional
        Where to look; default: the table.

    Raises
    ------
    WeightsError
        If there is none; the message names the nearest.
    """
    known = {spec.name: spec for spec in (list_models() if among is None else among)}
    if name not in known:
        raise WeightsError(f"There is no model called {name!r}.{_did_you_mean(name, known)}")
    return known[name]


def _did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence, with a leading blank, that helps who mistyped `name`."""
    close = difflib.get_close_matches(name.lower().replace("-", "_"), list(known), n=3, cutoff=0.5)
    if close:
        return f" Did you mean {' or '.join(close)}?"
    return " `napari-sam models list` shows those there are."
