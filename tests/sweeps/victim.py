"""Processes that run a sweep until killed, forked from one that has imported it."""

import multiprocessing
import os
import signal


def run(text, directory, cache, part, fatal):
    """Run the sweep; programs compiled by an earlier victim are read from the cache."""
    import jax

    from plateaux.sweeps import SweepSpec, sweep

    if fatal is not None:
        die_at_write(fatal)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    sweep(SweepSpec.from_toml(text), directory, workers=1, part=part)


def die_at_write(fatal):
    """Be killed, for real, while that file is half written beside its place."""
    import zarr.storage._local as local

    calm, count = local._put, 0

    def put(path, value, *arguments, **named):
        nonlocal count
        count += 1
        if count == fatal:
            raw = bytes(value.as_buffer_like())
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(path.with_suffix(".killed.partial"), "wb") as file:
                file.write(raw[: len(raw) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return calm(path, value, *arguments, **named)

    local._put = put


def start(text, directory, cache, part=None, fatal=None):
    """A process that runs the sweep."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["plateaux.sweeps", "zarr", "xarray", "optax"])
    arguments = (text, str(directory), str(cache), part, fatal)
    process = context.Process(target=run, args=arguments, daemon=True)
    process.start()
    return process
