"""Products by two routines: the same numbers, and the faster one is chosen."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from napari_sam.model.encoders import products
from napari_sam.model.encoders.products import Linear, few_by_many, linear


@pytest.fixture
def by_convolution(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Say that convolutions are faster; gives the number of rows of each that is made."""
    convolved, rows = products._convolved, []

    def counted(tensor, weight, bias):
        rows.append(tensor.numel() // tensor.shape[-1])
        return convolved(tensor, weight, bias)

    monkeypatch.setattr(products, "_convolved", counted)
    monkeypatch.setattr(products, "faster_by_convolution", lambda: True)
    return rows


@pytest.mark.parametrize("shape", [(300, 24), (2, 20, 20, 24), (1, 4096, 24)])
@pytest.mark.parametrize("with_bias", [False, True])
def test_a_convolution_gives_what_a_linear_layer_gives(shape, with_bias, by_convolution):
    generator = torch.Generator().manual_seed(0)
    rows, weight = torch.randn(shape, generator=generator), torch.randn(40, 24, generator=generator)
    bias = torch.randn(40, generator=generator) if with_bias else None
    with torch.inference_mode():
        answer = linear(rows, weight, bias)
    assert by_convolution == [rows.numel() // 24]
    torch.testing.assert_close(answer, F.linear(rows, weight, bias), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("count", [300, 20])
@pytest.mark.parametrize("with_bias", [False, True])
@torch.inference_mode()
def test_few_by_many_are_products_of_each_with_each(count, with_bias, by_convolution):
    few, many, bias = torch.randn(2, 5, 24), torch.randn(2, count, 24), torch.randn(2, 5) if with_bias else None
    answer = few_by_many(few, many, bias)
    expected = torch.einsum("bnc,bmc->bnm", few, many) + (0 if bias is None else bias[..., None])
    torch.testing.assert_close(answer, expected, rtol=1e-5, atol=1e-5)
    assert answer.is_contiguous()
    assert by_convolution == ([count] * 2 if count >= products._FEWEST_ROWS else [])


def test_rows_and_matrix_may_lie_in_memory_as_they_like(by_convolution):
    rows, weight = torch.randn(24, 400).mT, torch.randn(24, 40).mT
    with torch.no_grad():
        torch.testing.assert_close(linear(rows, weight), rows @ weight.mT, rtol=1e-5, atol=1e-5)
        some = torch.randn(400, 3, 24)[:, 1]
        torch.testing.assert_close(linear(some, weight), some @ weight.mT, rtol=1e-5, atol=1e-5)
    assert by_convolution == [400, 400]


def test_few_rows_other_types_and_what_learns_go_the_usual_way(by_convolution):
    layer = Linear(24, 40)
    with torch.no_grad():
        layer(torch.randn(products._FEWEST_ROWS - 1, 24))
        linear(torch.randn(400, 24, dtype=torch.float64), torch.randn(40, 24, dtype=torch.float64))
        with torch.autocast("cpu", torch.bfloat16):
            assert layer(torch.randn(400, 24)).dtype == torch.bfloat16
    layer(torch.randn(400, 24)).sum().backward()
    assert layer.weight.grad is not None
    assert not by_convolution


@pytest.mark.parametrize(
    ("plain", "convolved", "amd", "chosen"),
    [(2.0, 1.0, False, True), (1.0, 2.0, True, False), (1.0, 1.0, False, False), (1.0, 1.0, True, True)],
    ids=["clearly faster", "clearly slower", "alike", "alike, on a processor that the BLAS neglects"],
)
def test_the_faster_routine_is_chosen_by_its_best_time(plain, convolved, amd, chosen, monkeypatch):
    # The first round warms up, and one in which the machine did something else is no one's fault.
    times = iter([9.0, 9.0] + [plain, convolved, plain + 5, convolved + 9] * 4)
    monkeypatch.setattr(products, "_seconds", lambda _work: next(times))
    monkeypatch.setattr(products, "_neglected_by_mkl", lambda: amd)
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    assert products.faster_by_convolution.__wrapped__() is chosen


def test_without_onednn_nothing_is_tried(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    monkeypatch.setattr(products, "_seconds", lambda _work: pytest.fail("tried"))
    assert not products.faster_by_convolution.__wrapped__()


@pytest.mark.parametrize(
    ("told", "neglected"),
    [
        ({"cpu_name": "AMD EPYC", "avx512_f": True}, True),
        ({"cpu_name": "AMD Ryzen 5", "avx512_f": False}, False),
        ({"cpu_name": "Intel Xeon", "avx512_f": True}, False),
        ({}, False),
    ],
)
def test_amd_with_avx_512_is_neglected(told, neglected, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    assert products._neglected_by_mkl() is neglected
