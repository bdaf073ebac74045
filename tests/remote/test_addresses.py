from __future__ import annotations

import pytest

from napari_sam.errors import InputError
from napari_sam.remote.addresses import complete_address, device_here, is_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (" lab-gpu ", "tcp://lab-gpu:8786"),
        ("lab-gpu:9000", "tcp://lab-gpu:9000"),
        ("tls://gpu.lab.org", "tls://gpu.lab.org:8786"),
        ("tcp://10.0.0.7:8786/", "tcp://10.0.0.7:8786"),
        ("[fe80::1]:8786", "tcp://[fe80::1]:8786"),
    ],
)
def test_what_is_left_out_of_an_address_is_filled_in(text, address):
    assert complete_address(text) == address and is_address(address)


@pytest.mark.parametrize("text", ["", "lab gpu", "http://lab-gpu", "lab-gpu:99999", "lab-gpu:port", "tcp://"])
def test_what_is_no_address_is_refused_with_an_example(text):
    with pytest.raises(InputError, match=r"is no address\. Write the name of the machine, or tcp://NAME:8786"):
        complete_address(text)


def test_the_best_device_of_this_machine_goes_with_another_machine():
    assert device_here("tcp://lab-gpu:8786") == "auto"
    assert device_here("cuda:1") == "cuda:1" and not is_address("cuda:1")
