"""``python -m bench.traceable MODULE ...`` runs a module that py-spy can read.

With Yama, Linux lets only parents of a process read its memory, and py-spy is not a parent.
"""

import ctypes
import runpy
import sys

_PR_SET_PTRACER = 0x59616D61
_PR_SET_PTRACER_ANY = ctypes.c_ulong(-1)

if __name__ == "__main__":
    # Without Yama the call fails, and is not needed.
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, _PR_SET_PTRACER_ANY, 0, 0, 0)
    del sys.argv[0]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
