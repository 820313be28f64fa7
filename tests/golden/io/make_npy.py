#!/usr/bin/env python3
"""Writes the NumPy files of this folder (NumPy 2.4): the truth for reading and writing .npy and .npz."""
import io
import pathlib
import zipfile

import numpy as np

here = pathlib.Path(__file__).resolve().parent

# Stored members, all of which sinew must reproduce byte for byte.
np.savez(
    here / "native.npz",
    f4=(np.arange(80, dtype=np.float32) / 8).reshape(1, 16, 5),
    f2=np.array([0.5, -65504, 6e-8], np.float16),
    f8=np.array(0.1),
    i1=np.array([[-128], [127]], np.int8),
    i2=np.array([-32768, 32767], np.int16),
    i4=np.zeros((0, 3), np.int32),
    i8=np.array([-(2**63), 2**63 - 1]),
    u1=np.arange(300, dtype=np.uint16).astype(np.uint8),
    b1=np.array([True, False, True]),
    deep=np.arange(32, dtype=np.float32).reshape(2, 2, 2, 2, 2),
)


def member(archive, name, array, version=None):
    data = io.BytesIO()
    np.lib.format.write_array(data, array, version=version, allow_pickle=False)
    archive.writestr(name + ".npy", data.getvalue())


# What is converted on reading: every member but the texts holds 0..23 as [2, 3, 4].
numbers = np.arange(24).reshape(2, 3, 4)
with zipfile.ZipFile(here / "foreign.npz", "w", zipfile.ZIP_DEFLATED) as archive:
    for descr in "<u2 >u2 <u4 >u4 <u8 >u8 >i2 >i4 >i8 >f2 >f4 >f8".split():
        member(archive, "big_" + descr[1:] if descr[0] == ">" else descr[1:], numbers.astype(descr))
    member(archive, "fortran", np.asfortranarray(numbers.astype("<f4")))
    member(archive, "fortran_big", np.asfortranarray(numbers.astype(">i2")))
    member(archive, "version2", numbers.astype("<i4"), (2, 0))
    member(archive, "version3", numbers.astype("|u1"), (3, 0))
    member(archive, "language", np.array("pick up the réd cube 🦾"))
    member(archive, "language_big", np.array("réd", ">U3"))
    member(archive, "metadata", np.array("{}".encode()))
