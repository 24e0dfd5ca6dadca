import os
import shutil
import subprocess
import sys

import pytest

from plateaux.sweeps import open_sweep, status, sweep

from .conftest import tiny

# In a name space of its own, where it may mount a disk of a few hundred kilobytes.
RUN = """
mount -t tmpfs -o size={size}k tmpfs {disk} || exit 77
{python} -m plateaux sweep run {spec} --out {disk}/out --quiet
code=$?
cp -r {disk}/out {saved} 2>/dev/null
exit $code
"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("unshare") is None, reason="Linux with unshare only")
@pytest.mark.parametrize("size", [1, 60, 600])
def test_a_disk_that_is_really_full(tmp_path, size):
    spec = tiny(initialiser={"name": "he"}, sweep={"lanes": 200})
    (tmp_path / "disk").mkdir()
    (tmp_path / "spec.toml").write_text(spec.to_toml())
    places = {"disk": tmp_path / "disk", "saved": tmp_path / "saved"}
    script = RUN.format(
        size=size, python=sys.executable, spec=tmp_path / "spec.toml", **places
    )
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        env=os.environ | {"PYTHONPATH": os.getcwd()},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode in (1, 77):
        pytest.skip(f"no disk could be mounted: {done.stderr}")
    assert done.returncode == 2, done.stderr
    assert "The disk must have room for the sweep" in done.stderr
    assert "chunks stored so far are safe" in done.stderr
    assert done.stderr.count("\n") == 1
    saved = tmp_path / "saved"
    if (saved / "store.zarr" / "done" / "c").exists():
        assert 0 < status(saved).chunks_done < 100
        open_sweep(saved)  # nothing damaged
    assert sweep(spec, saved).load().identical(sweep(spec))
