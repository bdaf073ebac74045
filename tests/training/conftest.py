from __future__ import annotations

from loopback import answers as answers
from loopback import no_proxy as no_proxy
from loopback import server as server
