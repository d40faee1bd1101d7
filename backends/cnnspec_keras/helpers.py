"""Definitions that generated files carry, where Keras has no layer that is exact on all its backends.

Each stands alone beside ``import keras`` and ``from keras import layers, ops``.
"""

from __future__ import annotations

from textwrap import dedent

from cnnspec.codegen.functions import FUNCTIONS


def _infinity_padding(rank: int) -> str:
    pairs = "self.padding" if rank == 1 else "*self.padding"
    return dedent(
        f'''
        @keras.saving.register_keras_serializable(package="cnnspec")
        class InfinityPadding{rank}D(layers.ZeroPadding{rank}D):
            """Pads a map with minus infinity, which is never the largest value."""

            def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
                padding = ((0, 0), {pairs}, (0, 0))
                return ops.pad(x, padding, constant_values=float("-inf"))
        '''
    )


_SOURCES = [
    # ---- convolutions
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class ConvTranspose(layers.Layer):
        """Transposed convolution with groups and dilation.

        Zeros are put between the input's values, and the flipped kernel slides over them.
        """

        def __init__(
            self,
            filters: int,
            kernel_size: tuple[int, ...],
            *,
            strides: tuple[int, ...],
            cropping: tuple[int, ...],
            output_padding: tuple[int, ...],
            dilation_rate: tuple[int, ...],
            groups: int,
            use_bias: bool = True,
            kernel_initializer: str | keras.Initializer = "glorot_uniform",
            bias_initializer: str | keras.Initializer = "zeros",
            **kwargs: object,
        ) -> None:
            super().__init__(**kwargs)
            self.filters = filters
            self.kernel_size = tuple(kernel_size)
            self.strides = tuple(strides)
            self.cropping = tuple(cropping)
            self.output_padding = tuple(output_padding)
            self.dilation_rate = tuple(dilation_rate)
            self.groups = groups
            self.use_bias = use_bias
            self.kernel_initializer = keras.initializers.get(kernel_initializer)
            self.bias_initializer = keras.initializers.get(bias_initializer)

        def build(self, input_shape: tuple[int | None, ...]) -> None:
            self.kernel = self.add_weight(
                shape=(*self.kernel_size, self.filters // self.groups, input_shape[-1]),
                initializer=self.kernel_initializer,
                name="kernel",
            )
            if self.use_bias:
                self.bias = self.add_weight(
                    shape=(self.filters,), initializer=self.bias_initializer, name="bias"
                )

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            rank, channels = len(self.kernel_size), x.shape[-1]
            kernel = self.kernel
            for axis in range(rank):
                kernel = ops.flip(kernel, axis=axis)
            grouped = ops.reshape(
                kernel, (*self.kernel_size, -1, self.groups, channels // self.groups)
            )
            # (kernel..., filters / groups, groups, inputs) to (..., inputs, filters)
            order = (*range(rank), rank + 2, rank + 1, rank)
            kernel = ops.reshape(
                ops.transpose(grouped, order),
                (*self.kernel_size, channels // self.groups, self.filters),
            )
            for axis in range(rank):
                stride = self.strides[axis]
                reach = self.dilation_rate[axis] * (self.kernel_size[axis] - 1)
                spread = ops.expand_dims(x, axis + 2)
                widths = [[0, 0] for _ in spread.shape]
                widths[axis + 2][1] = stride - 1
                shape = list(ops.shape(x))
                shape[axis + 1] = shape[axis + 1] * stride
                x = ops.reshape(ops.pad(spread, widths), shape)
                # The zeros after the last value are not part of the sum.
                left = reach - self.cropping[axis]
                right = left + self.output_padding[axis] - (stride - 1)
                widths = [[0, 0] for _ in x.shape]
                widths[axis + 1] = [max(left, 0), max(right, 0)]
                cut = slice(max(-left, 0), min(right, 0) or None)
                x = ops.pad(x, widths)[(slice(None),) * (axis + 1) + (cut,)]
            x = ops.conv(x, kernel, padding="valid", dilation_rate=self.dilation_rate)
            return x + self.bias if self.use_bias else x

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {
                "filters": self.filters,
                "kernel_size": self.kernel_size,
                "strides": self.strides,
                "cropping": self.cropping,
                "output_padding": self.output_padding,
                "dilation_rate": self.dilation_rate,
                "groups": self.groups,
                "use_bias": self.use_bias,
                "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
                "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            }
    ''',
    # ---- pooling
    '''
    def window_padding(
        x: keras.KerasTensor,
        window: tuple[int, ...],
        strides: tuple[int, ...],
        padding: str | tuple[tuple[int, int], ...],
        ceil_mode: bool,
    ) -> list[tuple[int, int]]:
        """Padding before and after along each axis, for the size of the map.

        "same" is for ``ceil(size / stride)`` windows, the odd row behind.  `ceil_mode` adds
        rows that complete a last window which begins in the map.
        """
        pairs = []
        for axis, (reach, stride) in enumerate(zip(window, strides)):
            size = x.shape[axis + 1]
            if padding == "same":
                total = max((-(-size // stride) - 1) * stride + reach - size, 0)
                before, after = total // 2, total - total // 2
            else:
                before, after = padding[axis]
            if ceil_mode:
                last = -(-(size + before + after - reach) // stride) * stride
                if last >= size + before:
                    last -= stride
                after = max(last + reach - size - before, after)
            pairs.append((before, after))
        return pairs
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class WindowPadding(layers.Layer):
        """Pads a map with zeros, or the `lowest` value, as a window needs it."""

        def __init__(
            self,
            window: tuple[int, ...],
            *,
            strides: tuple[int, ...],
            padding: str | tuple[tuple[int, int], ...],
            ceil_mode: bool = False,
            lowest: bool = False,
            **kwargs: object,
        ) -> None:
            super().__init__(**kwargs)
            self.window = tuple(window)
            self.strides = tuple(strides)
            self.padding = padding
            self.ceil_mode = ceil_mode
            self.lowest = lowest

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            pairs = window_padding(
                x, self.window, self.strides, self.padding, self.ceil_mode
            )
            value = float("-inf") if self.lowest else 0.0
            return ops.pad(x, ((0, 0), *pairs, (0, 0)), constant_values=value)

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {
                "window": self.window,
                "strides": self.strides,
                "padding": self.padding,
                "ceil_mode": self.ceil_mode,
                "lowest": self.lowest,
            }
    ''',
    _infinity_padding(1),
    _infinity_padding(2),
    _infinity_padding(3),
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class DilatedMaxPooling(layers.Layer):
        """Max pooling whose window takes every `dilation_rate`-th value."""

        def __init__(
            self,
            pool_size: tuple[int, ...],
            *,
            strides: tuple[int, ...],
            padding: str | tuple[tuple[int, int], ...],
            ceil_mode: bool = False,
            dilation_rate: tuple[int, ...],
            **kwargs: object,
        ) -> None:
            super().__init__(**kwargs)
            self.pool_size = tuple(pool_size)
            self.strides = tuple(strides)
            self.padding = padding
            self.ceil_mode = ceil_mode
            self.dilation_rate = tuple(dilation_rate)

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            window = [
                rate * (size - 1) + 1
                for size, rate in zip(self.pool_size, self.dilation_rate)
            ]
            pairs = window_padding(x, window, self.strides, self.padding, self.ceil_mode)
            x = ops.pad(x, ((0, 0), *pairs, (0, 0)), constant_values=float("-inf"))
            # The last axis first, so that the first of equal values wins.
            for axis in reversed(range(len(self.pool_size))):
                reach = self.dilation_rate[axis] * (self.pool_size[axis] - 1)
                largest = None
                for start in range(0, reach + 1, self.dilation_rate[axis]):
                    rows = slice(start, start - reach or None, self.strides[axis])
                    values = x[(slice(None),) * (axis + 1) + (rows,)]
                    if largest is None:
                        largest = values
                    else:
                        largest = ops.where(values > largest, values, largest)
                x = largest
            return x

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {
                "pool_size": self.pool_size,
                "strides": self.strides,
                "padding": self.padding,
                "ceil_mode": self.ceil_mode,
                "dilation_rate": self.dilation_rate,
            }
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class BorderAveragePooling(layers.Layer):
        """Average pooling over the values inside the map.

        The zeros that `padding` adds count as values under `count_padding`; what `ceil_mode`
        adds never does.
        """

        def __init__(
            self,
            pool_size: tuple[int, ...],
            *,
            strides: tuple[int, ...],
            padding: str | tuple[tuple[int, int], ...],
            ceil_mode: bool = False,
            count_padding: bool = False,
            **kwargs: object,
        ) -> None:
            super().__init__(**kwargs)
            self.pool_size = tuple(pool_size)
            self.strides = tuple(strides)
            self.padding = padding
            self.ceil_mode = ceil_mode
            self.count_padding = count_padding

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            pairs = window_padding(
                x, self.pool_size, self.strides, self.padding, self.ceil_mode
            )
            given = window_padding(x, self.pool_size, self.strides, self.padding, False)
            added = [(0, pair[1] - own[1]) for pair, own in zip(pairs, given)]
            counts = ops.pad(
                ops.ones_like(x),
                ((0, 0), *given, (0, 0)),
                constant_values=1 if self.count_padding else 0,
            )
            counts = ops.pad(counts, ((0, 0), *added, (0, 0)))
            x = ops.pad(x, ((0, 0), *pairs, (0, 0)))
            return ops.average_pool(x, self.pool_size, self.strides) / ops.average_pool(
                counts, self.pool_size, self.strides
            )

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {
                "pool_size": self.pool_size,
                "strides": self.strides,
                "padding": self.padding,
                "ceil_mode": self.ceil_mode,
                "count_padding": self.count_padding,
            }
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class L2Pooling(layers.Layer):
        """Euclidean norm of each window; its gradient is zero where the norm is."""

        def __init__(
            self,
            pool_size: tuple[int, ...],
            *,
            strides: tuple[int, ...],
            padding: str | tuple[tuple[int, int], ...],
            ceil_mode: bool = False,
            **kwargs: object,
        ) -> None:
            super().__init__(**kwargs)
            self.pool_size = tuple(pool_size)
            self.strides = tuple(strides)
            self.padding = padding
            self.ceil_mode = ceil_mode

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            pairs = window_padding(
                x, self.pool_size, self.strides, self.padding, self.ceil_mode
            )
            x = ops.pad(ops.square(x), ((0, 0), *pairs, (0, 0)))
            total = ops.average_pool(x, self.pool_size, self.strides)
            for size in self.pool_size:
                total = total * size
            positive = total > 0
            return ops.where(positive, ops.sqrt(ops.where(positive, total, 1.0)), 0.0)

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {
                "pool_size": self.pool_size,
                "strides": self.strides,
                "padding": self.padding,
                "ceil_mode": self.ceil_mode,
            }
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class FirstMaximum(layers.Layer):
        """Largest value of each channel; the first of equal ones has the gradient."""

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            batch, channels = ops.shape(x)[0], x.shape[-1]
            values = ops.reshape(x, (batch, -1, channels))
            first = ops.argmax(values, axis=1, keepdims=True)
            ones = (1,) * (len(x.shape) - 2)
            return ops.reshape(
                ops.take_along_axis(values, first, axis=1), (batch, *ones, channels)
            )
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class AdaptiveMaximum(layers.Layer):
        """Max pooling to `output_size`; the first of equal values has the gradient."""

        def __init__(self, output_size: tuple[int, ...], **kwargs: object) -> None:
            super().__init__(**kwargs)
            self.output_size = tuple(output_size)

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            # The last axis first, so that the first of equal values wins.
            for axis in reversed(range(len(self.output_size))):
                size, count = x.shape[axis + 1], self.output_size[axis]
                starts = [i * size // count for i in range(count)]
                ends = [-(-(i + 1) * size // count) for i in range(count)]
                largest = ops.take(x, starts, axis=axis + 1)
                for step in range(1, max(e - s for s, e in zip(starts, ends))):
                    rows = [min(s + step, e - 1) for s, e in zip(starts, ends)]
                    values = ops.take(x, rows, axis=axis + 1)
                    largest = ops.where(values > largest, values, largest)
                x = largest
            return x

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {"output_size": self.output_size}
    ''',
    # ---- normalisation
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class BatchNormalization(layers.BatchNormalization):
        """Batch normalisation with a running variance as in PyTorch: of n - 1 degrees of freedom.

        The batch itself is normalised with the variance over n, as everywhere.
        """

        def call(
            self, x: keras.KerasTensor, training: bool | None = None
        ) -> keras.KerasTensor:
            kept = self.moving_variance * self.momentum
            y = super().call(x, training=training)
            if training and self.trainable:
                count = ops.cast(ops.size(x) // x.shape[self.axis], kept.dtype)
                added = self.moving_variance - kept
                self.moving_variance.assign_add(added / ops.maximum(count - 1, 1))
            return y
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class LocalResponseNormalization(layers.Layer):
        """Local response normalisation over `size` neighbouring channels."""

        def __init__(
            self, size: int, *, alpha: float, beta: float, k: float, **kwargs: object
        ) -> None:
            super().__init__(**kwargs)
            self.size = size
            self.alpha = alpha
            self.beta = beta
            self.k = k

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            widths = [(0, 0) for _ in x.shape]
            widths[-1] = (self.size // 2, (self.size - 1) // 2)
            squares = ops.pad(ops.square(x), widths)
            channels = x.shape[-1]
            total = sum(squares[..., i : i + channels] for i in range(self.size))
            return x / (self.k + self.alpha / self.size * total) ** self.beta

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {
                "size": self.size,
                "alpha": self.alpha,
                "beta": self.beta,
                "k": self.k,
            }
    ''',
    # ---- arrangement
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class EdgePadding(layers.Layer):
        """Pads a map with its own rows, mirrored (`reflect`) or repeated (`replicate`)."""

        def __init__(
            self, padding: tuple[tuple[int, int], ...], *, mode: str, **kwargs: object
        ) -> None:
            super().__init__(**kwargs)
            self.padding = tuple(tuple(pair) for pair in padding)
            self.mode = mode

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            for axis, (before, after) in enumerate(self.padding, start=1):
                last = ops.shape(x)[axis] - 1
                rows = ops.arange(-before, last + 1 + after)
                if self.mode == "reflect":
                    rows = last - ops.abs(last - ops.abs(rows))
                else:
                    rows = ops.clip(rows, 0, last)
                x = ops.take(x, rows, axis=axis)
            return x

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {"padding": self.padding, "mode": self.mode}
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class NearestResizing(layers.Layer):
        """Resizes a map; row `i` of `m` is row `i * n // m` of the `n` given."""

        def __init__(self, size: tuple[int, ...], **kwargs: object) -> None:
            super().__init__(**kwargs)
            self.size = tuple(size)

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            for axis, size in enumerate(self.size, start=1):
                rows = ops.arange(size) * ops.shape(x)[axis] // size
                x = ops.take(x, rows, axis=axis)
            return x

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {"size": self.size}
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class BilinearResizing(layers.Layer):
        """Resizes a map to `size` in straight lines between neighbours."""

        def __init__(
            self, size: tuple[int, int], *, align_corners: bool = False, **kwargs: object
        ) -> None:
            super().__init__(**kwargs)
            self.size = tuple(size)
            self.align_corners = align_corners

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            for axis, size in enumerate(self.size, start=1):
                rows = x.shape[axis]
                if self.align_corners:
                    step = (rows - 1) / max(size - 1, 1)
                    places = [i * step for i in range(size)]
                else:
                    step = rows / size
                    places = [max((i + 0.5) * step - 0.5, 0.0) for i in range(size)]
                low = [min(int(place), rows - 1) for place in places]
                high = [min(row + 1, rows - 1) for row in low]
                share = [[place - row] for place, row in zip(places, low)]
                share = ops.convert_to_tensor(share, self.compute_dtype)
                share = share if axis == 2 else share[:, None]
                x = ops.take(x, low, axis=axis) * (1 - share) + (
                    ops.take(x, high, axis=axis) * share
                )
            return x

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {
                "size": self.size,
                "align_corners": self.align_corners,
            }
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class BilinearUpsampling(layers.Layer):
        """Enlarges a map `factor` times in straight lines between neighbours."""

        def __init__(
            self, factor: tuple[int, int], *, align_corners: bool = False, **kwargs: object
        ) -> None:
            super().__init__(**kwargs)
            self.factor = tuple(factor)
            self.align_corners = align_corners

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            for axis, factor in enumerate(self.factor, start=1):
                last = ops.shape(x)[axis] - 1
                size = (last + 1) * factor
                places = ops.cast(ops.arange(size), self.compute_dtype)
                if self.align_corners:
                    places = places * ops.cast(last, self.compute_dtype)
                    places = places / ops.cast(ops.maximum(size - 1, 1), self.compute_dtype)
                else:
                    places = ops.maximum((places + 0.5) / factor - 0.5, 0.0)
                low = ops.minimum(ops.cast(ops.floor(places), "int32"), last)
                high = ops.minimum(low + 1, last)
                share = ops.reshape(
                    places - ops.cast(low, self.compute_dtype), (-1,) + (1,) * (3 - axis)
                )
                x = ops.take(x, low, axis=axis) * (1 - share) + (
                    ops.take(x, high, axis=axis) * share
                )
            return x

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {
                "factor": self.factor,
                "align_corners": self.align_corners,
            }
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class ChannelShuffle(layers.Layer):
        """Interleaves the channels of `groups` groups."""

        def __init__(self, groups: int, **kwargs: object) -> None:
            super().__init__(**kwargs)
            self.groups = groups

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            shape = ops.shape(x)
            grouped = ops.reshape(x, (*shape[:-1], self.groups, shape[-1] // self.groups))
            return ops.reshape(ops.swapaxes(grouped, -1, -2), shape)

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {"groups": self.groups}
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class PixelShuffle(layers.Layer):
        """Turns channels into a map `factor` times as high and wide."""

        def __init__(self, factor: int, **kwargs: object) -> None:
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            batch, height, width, channels = ops.shape(x)
            r = self.factor
            x = ops.reshape(x, (batch, height, width, channels // r**2, r, r))
            x = ops.transpose(x, (0, 1, 4, 2, 5, 3))
            return ops.reshape(x, (batch, height * r, width * r, channels // r**2))

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {"factor": self.factor}
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class Slice(layers.Layer):
        """The positions from `start` to before `stop` of one axis."""

        def __init__(
            self, start: int, stop: int, *, axis: int = -1, **kwargs: object
        ) -> None:
            super().__init__(**kwargs)
            self.start = start
            self.stop = stop
            self.axis = axis

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            index = [slice(None) for _ in x.shape]
            index[self.axis] = slice(self.start, self.stop)
            return x[tuple(index)]

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {
                "start": self.start,
                "stop": self.stop,
                "axis": self.axis,
            }
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class Split(layers.Layer):
        """Cuts one axis into a number of equal parts, or into parts of given sizes."""

        def __init__(
            self, parts: int | tuple[int, ...], *, axis: int = -1, **kwargs: object
        ) -> None:
            super().__init__(**kwargs)
            self.parts = parts if isinstance(parts, int) else tuple(parts)
            self.axis = axis

        def call(self, x: keras.KerasTensor) -> list[keras.KerasTensor]:
            if isinstance(self.parts, int):
                return ops.split(x, self.parts, axis=self.axis)
            ends = [sum(self.parts[: i + 1]) for i in range(len(self.parts) - 1)]
            return ops.split(x, ends, axis=self.axis)

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {"parts": self.parts, "axis": self.axis}
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class Mean(layers.Layer):
        """Mean over axes, which stay with size 1 (`keepdims`) or are left out."""

        def __init__(
            self, axes: tuple[int, ...], *, keepdims: bool, **kwargs: object
        ) -> None:
            super().__init__(**kwargs)
            self.axes = tuple(axes)
            self.keepdims = keepdims

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            return ops.mean(x, axis=self.axes, keepdims=self.keepdims)

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {"axes": self.axes, "keepdims": self.keepdims}
    ''',
    # ---- arithmetic
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class Divide(layers.Layer):
        """The first of two inputs, divided by the second."""

        def call(self, inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
            left, right = inputs
            return left / right
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class ScaleShift(layers.Layer):
        """Multiplies by one number and adds another, in the precision of what it gets."""

        def __init__(self, scale: float, shift: float = 0.0, **kwargs: object) -> None:
            super().__init__(**kwargs)
            self.scale = scale
            self.shift = shift

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            return x * self.scale + self.shift

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {"scale": self.scale, "shift": self.shift}
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class LearnedParameter(layers.Layer):
        """A learned array, the same for every sample of the batch it is called on."""

        def __init__(
            self,
            shape: tuple[int, ...],
            initializer: str | keras.Initializer,
            **kwargs: object,
        ) -> None:
            super().__init__(**kwargs)
            self.shape = tuple(shape)
            self.initializer = keras.initializers.get(initializer)

        def build(self, input_shape: tuple[int | None, ...]) -> None:
            self.value = self.add_weight(
                shape=self.shape, initializer=self.initializer, name="value"
            )

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            return ops.broadcast_to(self.value, (ops.shape(x)[0], *self.shape))

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {
                "shape": self.shape,
                "initializer": keras.initializers.serialize(self.initializer),
            }
    ''',
    # ---- activations
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class LeakyRelu(layers.Layer):
        """Leaky rectified linear unit, with derivative `slope` at zero."""

        def __init__(self, slope: float, **kwargs: object) -> None:
            super().__init__(**kwargs)
            self.slope = slope

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            return ops.where(x > 0, x, x * self.slope)

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {"slope": self.slope}
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class Prelu(layers.Layer):
        """Leaky rectified linear unit with a learned slope for each channel, or one."""

        def __init__(
            self,
            *,
            shared: bool = False,
            alpha_initializer: str | keras.Initializer,
            **kwargs: object,
        ) -> None:
            super().__init__(**kwargs)
            self.shared = shared
            self.alpha_initializer = keras.initializers.get(alpha_initializer)

        def build(self, input_shape: tuple[int | None, ...]) -> None:
            self.alpha = self.add_weight(
                shape=(1 if self.shared else input_shape[-1],),
                initializer=self.alpha_initializer,
                name="alpha",
            )

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            return ops.where(x > 0, x, x * self.alpha)

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {
                "shared": self.shared,
                "alpha_initializer": keras.initializers.serialize(self.alpha_initializer),
            }
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class Celu(layers.Layer):
        """Continuously differentiable exponential linear unit."""

        def __init__(self, alpha: float, **kwargs: object) -> None:
            super().__init__(**kwargs)
            self.alpha = alpha

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            negative = ops.where(x > 0, 0.0, x)
            return ops.where(x > 0, x, ops.expm1(negative / self.alpha) * self.alpha)

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {"alpha": self.alpha}
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class HardTanh(layers.Layer):
        """Identity between two limits, with derivative zero at both."""

        def __init__(self, low: float, high: float, **kwargs: object) -> None:
            super().__init__(**kwargs)
            self.low = low
            self.high = high

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            low, high = ops.full_like(x, self.low), ops.full_like(x, self.high)
            return ops.where(x <= low, low, ops.where(x >= high, high, x))

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {"low": self.low, "high": self.high}
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    class LogSoftmax(layers.Layer):
        """Logarithm of the softmax along one axis."""

        def __init__(self, axis: int, **kwargs: object) -> None:
            super().__init__(**kwargs)
            self.axis = axis

        def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
            return ops.log_softmax(x, axis=self.axis)

        def get_config(self) -> dict[str, object]:
            return super().get_config() | {"axis": self.axis}
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    def selu(x: keras.KerasTensor) -> keras.KerasTensor:
        """Scaled exponential linear unit, with its left derivative at zero."""
        alpha, scale = 1.6732632423543772, 1.0507009873554805
        negative = ops.where(x > 0, 0.0, x)
        return ops.where(x > 0, x, ops.expm1(negative) * alpha) * scale
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    def gelu(x: keras.KerasTensor) -> keras.KerasTensor:
        """Gaussian error linear unit."""
        return x * 0.5 * (ops.erf(x / 2**0.5) + 1.0)
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    def gelu_tanh(x: keras.KerasTensor) -> keras.KerasTensor:
        """Gaussian error linear unit, approximated with tanh."""
        scale = (2 / 3.141592653589793) ** 0.5
        return x * 0.5 * (ops.tanh((x + x * x * x * 0.044715) * scale) + 1.0)
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    def hard_sigmoid(x: keras.KerasTensor) -> keras.KerasTensor:
        """Sigmoid of three straight pieces, with derivative zero at both kinks."""
        return ops.where(x <= -3, 0.0, ops.where(x >= 3, 1.0, (x + 3) / 6))
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    def hard_swish(x: keras.KerasTensor) -> keras.KerasTensor:
        """Swish with a sigmoid of three straight pieces."""
        return x * ops.where(x <= -3, 0.0, ops.where(x >= 3, 1.0, (x + 3) / 6))
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    def softplus(x: keras.KerasTensor) -> keras.KerasTensor:
        """Smooth rectifier, without a threshold from which on it is the identity."""
        return -ops.log_sigmoid(-x)
    ''',
    '''
    @keras.saving.register_keras_serializable(package="cnnspec")
    def absolute(x: keras.KerasTensor) -> keras.KerasTensor:
        """Absolute value, with derivative zero at zero."""
        return x * ops.sign(x)
    ''',
]


def _name(source: str) -> str:
    """What a definition defines: the word after ``class`` or ``def``."""
    line = next(line for line in source.split("\n") if line.startswith(("class ", "def ")))
    return line.split()[1].partition("(")[0]


HELPERS: dict[str, str] = FUNCTIONS | {
    _name(text): text for text in (dedent(source).strip() + "\n" for source in _SOURCES)
}
"""The source of each helper by its name."""
