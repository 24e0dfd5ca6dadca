"""Lanes spread over devices: each runs the same program on its own lanes."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

AXIS = "lane"


def over_devices(
    function: Callable, *, in_axes: Any = 0, devices: Sequence[Any] | None = None
) -> Callable:
    """A function of lanes, run on several devices at once.

    D devices get B / D lanes each, in order, and run the same program on them, without
    a word between them (`jax.shard_map` over a mesh with the one axis "lane"). So a
    lane is, to the bit, what one device of this kind gives it in a batch of B / D.

    Args:
        function: A function of arrays (or pytrees of them) with a leading lane axis
            that gives arrays with a leading lane axis, lane by lane; say
            `jax.vmap(one_lane)`.
        in_axes: As in `jax.vmap`, for each argument or for all: 0 if it has a lane
            axis, None if all lanes share it.
        devices: The devices; all, those of other processes included, if None.

    Returns:
        The function of the same arguments. What it returns lies on the devices. With
        several processes (`jax.distributed`) every process calls it with the same
        arguments, and holds the lanes of its own devices.

    Raises:
        ValueError: If an entry of `in_axes` is neither 0 nor None; when called, if
            the number of lanes is no multiple of the number of devices.

    Example:
        >>> import plateaux as px
        >>> x = jnp.linspace(-1, 1, 20)[:, None]
        >>> problem = px.Problem(x, jnp.abs(x[:, 0]))
        >>> keys = jax.random.split(jax.random.key(0), 4)
        >>> one = lambda key: px.networks.he(key, width=3, in_dim=1)
        >>> train = jax.vmap(lambda network: px.descend(
        ...     problem, network, px.gradient_descent(0.1), num_steps=50
        ... ).losses)
        >>> over_devices(train)(jax.vmap(one)(keys)).shape
        (4, 51)
    """
    chosen = np.array(jax.devices() if devices is None else devices, object)
    mesh = Mesh(chosen, (AXIS,), axis_types=(AxisType.Auto,))

    def spread(*arguments: Any) -> Any:
        arrays, static = eqx.partition(arguments, eqx.is_array)
        rest = []

        def own_lanes(arrays: Any) -> Any:
            result = function(*eqx.combine(arrays, static))
            result, other = eqx.partition(result, eqx.is_array)
            rest.append(other)
            return result

        specs = tuple(_spec(axis) for axis in _axes(in_axes, len(arguments)))
        on_mesh = jax.shard_map(
            own_lanes,
            mesh=mesh,
            in_specs=(specs,),
            out_specs=PartitionSpec(AXIS),
            check_vma=False,
        )
        return eqx.combine(on_mesh(arrays), rest[-1])

    program = eqx.filter_jit(spread)

    def call(*arguments: Any) -> Any:
        axes = _axes(in_axes, len(arguments))
        placed = [
            jax.tree.map(lambda leaf, a=axis: _placed(leaf, a, mesh), argument)
            for argument, axis in zip(arguments, axes, strict=True)
        ]
        return program(*placed)

    _axes(in_axes, 0)
    return call


def _axes(in_axes: Any, count: int) -> tuple[int | None, ...]:
    """One entry an argument, each 0 or None."""
    axes = tuple(in_axes) if isinstance(in_axes, tuple | list) else (in_axes,) * count
    for axis in axes if axes else (in_axes,):
        if axis is not None and axis != 0:
            raise ValueError(
                "Argument `in_axes` must be 0 (lanes) or None (shared) for every "
                f"argument, but has {axis!r}."
            )
    if count and len(axes) != count:
        raise ValueError(
            f"Argument `in_axes` must have one entry an argument, but has {len(axes)} "
            f"for {count} arguments."
        )
    return axes


def _spec(axis: int | None) -> PartitionSpec:
    return PartitionSpec() if axis is None else PartitionSpec(AXIS)


def _placed(leaf: Any, axis: int | None, mesh: Mesh) -> Any:
    """The array on its devices; what is traced or no array stays as it is."""
    if isinstance(leaf, np.ndarray):
        leaf = jnp.asarray(leaf)
    if not eqx.is_array(leaf):
        return leaf
    if axis == 0 and (leaf.ndim == 0 or leaf.shape[0] % mesh.size):
        raise ValueError(
            f"The number of lanes must be a multiple of the {mesh.size} devices, but "
            f"an array has shape {leaf.shape}; add lanes, or pass fewer `devices`."
        )
    if isinstance(leaf, Tracer):
        return leaf
    sharding = NamedSharding(mesh, _spec(axis))
    if leaf.is_fully_addressable and not sharding.is_fully_addressable:
        return jax.make_array_from_callback(leaf.shape, sharding, lambda at: leaf[at])
    return jax.device_put(leaf, sharding)
