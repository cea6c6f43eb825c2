# The stubs of the extension module, one file for each of its submodules; checked by mypy.stubtest.
