"""What every test of this folder may rely on."""

from __future__ import annotations

import signal

# A script's background jobs, and so some CI runs, start with SIGINT ignored, and their children inherit that: tests of
# Ctrl-C would wait for ever. With a handler here, children start with the default action, as under a terminal.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
