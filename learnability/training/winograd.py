"""3 x 3 convolutions with a quarter of the multiplications: Lavin and Gray 2015, 1509.09308, on the CPU in float32.

A tile of (m + 2) x (m + 2) pixels gives m x m outputs. Tiles and filters are transformed by small fixed matrices; between them there is
one matrix product over the channels for each of the (m + 2)^2 places of a tile: 36 products a channel for 16 outputs instead of 144. An
image of 2 x 2 pixels in a border of zeros takes 9 products, where tiles would take 16 and the convolution 36 (Karatsuba's three for two
by two, in both directions). The backward pass is the transpose of the same three steps. Outputs and gradients are about 2e-6 from those
of float64 (relative, of all together), where a plain float32 convolution is 5e-7.
"""

import functools
from typing import NamedTuple

import torch
from torch.nn import functional as F

_BLOCK = 1 << 24  # bytes of transformed tiles made at once: they stay in the cache
_KEPT = 1 << 27  # bytes of transformed tiles and filters that a layer may keep for its backward pass; above, they are made anew
_GAIN = 0.52  # of the plain convolution's multiplications
_TRANSFORMS = 16  # what transforms cost, in multiplications of one channel


class Matrices(NamedTuple):
    """Of both directions at once: rows times rows, columns times columns (Kronecker), for p products along a side."""

    of_tiles: torch.Tensor  # (p p, n n)
    of_filters: torch.Tensor  # (p p, 9)
    of_outputs: torch.Tensor  # (m m, p p)


class Grid(NamedTuple):
    """How tiles lie over the outputs of a convolution."""

    height: int  # of the output
    width: int
    m: int  # outputs along a side of a tile
    n: int  # pixels along a side of a tile: m + 2, or m where the tile is the whole image and zeros are around it
    down: int  # tiles
    across: int
    top: int  # zeros around the image that tiles reach into
    left: int

    @property
    def products(self) -> int:
        """Of a tile and one channel, for m x m outputs."""
        return len(_matrices(self.m, self.n).of_tiles)

    def bytes(self, images: torch.Tensor, weight: torch.Tensor) -> int:
        """Of all tiles and filters, transformed."""
        (filters, channels), tiles = weight.shape[:2], len(images) * self.down * self.across
        return 4 * self.products * channels * (tiles + filters)

    @property
    def share(self) -> float:
        """Multiplications of the products over channels, as a share of the plain convolution's."""
        return self.down * self.across * self.products / (9 * self.height * self.width)


def gains(images: torch.Tensor, weight: torch.Tensor, stride: tuple[int, int], padding: tuple[int, int], groups: int) -> bool:
    """Whether a convolution, not dilated and of one image at least, is of the kind that is faster this way."""
    dense = groups == 1 and weight.shape[2:] == (3, 3) and stride == (1, 1)
    if not dense or not len(images) or images.dtype != torch.float32:
        return False
    if min(images.shape[2] + 2 * padding[0], images.shape[3] + 2 * padding[1]) < 3:
        return False
    return _grid(images, padding).share + _TRANSFORMS / min(weight.shape[:2]) <= _GAIN


class Winograd(torch.autograd.Function):
    """conv2d with a 3 x 3 kernel, stride 1, one group."""

    @staticmethod
    def forward(ctx, images, weight, bias, padding):
        """images (B, C, H, W), weight (O, C, 3, 3), bias (O,) or None, all float32; padding (down, across)."""
        ctx.padding = padding
        grid = _grid(images, padding)
        matrices, filters = _matrices(grid.m, grid.n), _filters(weight, grid)
        keeps, kept = ctx.needs_input_grad[1] and grid.bytes(images, weight) <= _KEPT, []
        shape = len(images), len(weight), grid.height, grid.width
        made = torch.empty(shape, dtype=images.dtype, memory_format=torch.channels_last)  # no view: what follows may work in place
        made_BHWO = made.permute(0, 2, 3, 1)
        for part in _parts(images, weight, grid):
            tiles = _tiles(images[part], grid)
            products = torch.bmm(tiles, filters.permute(1, 2, 0))
            kept += [tiles] * keeps
            _put(_each(matrices.of_outputs, products.transpose(0, 1)), made_BHWO[part], grid)
        if bias is not None:
            made_BHWO += bias
        ctx.save_for_backward(images, weight, *[filters] * keeps, *kept)
        return made

    @staticmethod
    def backward(ctx, upstream):
        (images, weight, *kept), padding = ctx.saved_tensors, ctx.padding
        grid = _grid(images, padding)
        matrices = _matrices(grid.m, grid.n)
        to_images = to_weight = to_bias = to_filters = None
        if ctx.needs_input_grad[0]:
            filters = (kept[0] if kept else _filters(weight, grid)).transpose(0, 1)
            to_images = torch.empty_like(images, memory_format=torch.channels_last)
        for number, part in enumerate(_parts(images, weight, grid), 1):
            products = _each(matrices.of_outputs.t(), _taken(upstream[part], grid)).transpose(0, 1)
            if ctx.needs_input_grad[1]:
                of_part = products.transpose(1, 2), kept[number] if kept else _tiles(images[part], grid)
                to_filters = torch.bmm(*of_part) if to_filters is None else to_filters.baddbmm_(*of_part)
            if ctx.needs_input_grad[0]:
                tiles = _each(matrices.of_tiles.t(), torch.bmm(products, filters).transpose(0, 1))
                to_images[part] = _summed(tiles, grid, images.shape[2:]).permute(0, 3, 1, 2)
        if ctx.needs_input_grad[1]:
            found = _each(matrices.of_filters.t(), to_filters.transpose(0, 1))
            to_weight = found.view(len(weight), 3, 3, -1).permute(0, 3, 1, 2)
        if ctx.needs_input_grad[2]:
            to_bias = upstream.sum((0, 2, 3))
        return to_images, to_weight, to_bias, None


def _grid(images: torch.Tensor, padding: tuple[int, int]) -> Grid:
    """Tiles of 4 x 4 outputs, or of 2 x 2 where there are no more."""
    height, width = (size + 2 * around - 2 for size, around in zip(images.shape[2:], padding, strict=True))
    m = 2 if max(height, width) <= 2 else 4
    if height == width == m and padding == (1, 1):
        return Grid(height, width, m, m, 1, 1, 0, 0)
    return Grid(height, width, m, m + 2, -(-height // m), -(-width // m), *padding)


def _parts(images: torch.Tensor, weight: torch.Tensor, grid: Grid) -> list[slice]:
    """The batch in parts of at most _BLOCK bytes of tiles, at least one image each."""
    one = 4 * grid.down * grid.across * grid.products * max(weight.shape[:2])
    several = max(1, _BLOCK // one)
    return [slice(first, first + several) for first in range(0, len(images), several)]


def _filters(weight: torch.Tensor, grid: Grid) -> torch.Tensor:
    """(O, p p, C), transformed."""
    filters, channels = weight.shape[:2]
    return _each(_matrices(grid.m, grid.n).of_filters, weight.permute(0, 2, 3, 1).reshape(filters, 9, channels))


def _tiles(images: torch.Tensor, grid: Grid) -> torch.Tensor:
    """(p p, T, C), transformed: T tiles that overlap by n - m pixels, zeros around the images."""
    (_, C, H, W), (m, n, down, across, top, left) = images.shape, grid[2:]
    lapped, images_BHWC = n - m, images.permute(0, 2, 3, 1)
    if not lapped:
        return _each(_matrices(m, n).of_tiles, images_BHWC.reshape(-1, n * n, C)).transpose(0, 1)
    around = (0, 0, left, across * m + lapped - W - left, top, down * m + lapped - H - top)
    padded_BHWC = F.pad(images_BHWC, around).contiguous()
    of_image, of_row, of_pixel, _ = padded_BHWC.stride()
    strides = (of_image, of_row * m, of_pixel * m, of_row, of_pixel, 1)
    tiles = padded_BHWC.as_strided((len(images), down, across, n, n, C), strides).reshape(-1, n * n, C)
    return _each(_matrices(m, n).of_tiles, tiles).transpose(0, 1)


def _put(outputs: torch.Tensor, made_BHWO: torch.Tensor, grid: Grid) -> None:
    """The outputs (T, m m, O) of all tiles to their places in the image."""
    m, (_, height, width, filters) = grid.m, made_BHWO.shape
    laid_out = outputs.view(-1, grid.down, grid.across, m, m, filters).transpose(2, 3)
    if (height, width) == (grid.down * m, grid.across * m):
        made_BHWO.view(laid_out.shape).copy_(laid_out)
    else:
        made_BHWO.copy_(laid_out.reshape(-1, grid.down * m, grid.across * m, filters)[:, :height, :width])


def _taken(upstream: torch.Tensor, grid: Grid) -> torch.Tensor:
    """(T, m m, O): the transpose of `_put`."""
    m, upstream_BHWO = grid.m, upstream.permute(0, 2, 3, 1)
    if (grid.height, grid.width) != (grid.down * m, grid.across * m):
        upstream_BHWO = F.pad(upstream_BHWO, (0, 0, 0, grid.across * m - grid.width, 0, grid.down * m - grid.height))
    filters = upstream_BHWO.shape[3]
    return upstream_BHWO.reshape(-1, grid.down, m, grid.across, m, filters).transpose(2, 3).reshape(-1, m * m, filters)


def _summed(tiles: torch.Tensor, grid: Grid, size: tuple[int, int]) -> torch.Tensor:
    """(B, H, W, C) without the padding: the sum of tiles (T, n n, C) that overlap by n - m pixels."""
    (m, n, down, across, top, left), (H, W), C = grid[2:], size, tiles.shape[2]
    lapped = n - m
    if not lapped:
        return tiles.view(-1, H, W, C)
    of_rows = tiles.view(-1, down, across, n, n, C).transpose(2, 3)
    summed = tiles.new_zeros((len(of_rows), down + 1, m, across + 1, m, C))
    summed[:, :-1, :, :-1] = of_rows[:, :, :m, :, :m]
    summed[:, :-1, :, 1:, :lapped] += of_rows[:, :, :m, :, m:]
    summed[:, 1:, :lapped, :-1] += of_rows[:, :, m:, :, :m]
    summed[:, 1:, :lapped, 1:, :lapped] += of_rows[:, :, m:, :, m:]
    return summed.view(-1, (down + 1) * m, (across + 1) * m, C)[:, top : top + H, left : left + W]


def _each(matrix: torch.Tensor, stacks: torch.Tensor) -> torch.Tensor:
    """(T, a, C): the matrix (a, b) times each of T stacks (b, C)."""
    return torch.bmm(matrix.expand(len(stacks), *matrix.shape), stacks)


@functools.cache
def _matrices(m: int, n: int) -> Matrices:
    """Sections 4.1 and 4.3 of the paper, with the points 0, 1, -1 (m = 2) and 0, 1, -1, 2, -2 (m = 4); Karatsuba's for m = n = 2."""
    of_tiles, of_filters, of_outputs = {
        (2, 2): (
            [[1, 1], [0, 1], [1, 0]],
            [[0, 1, 0], [0, -1, 1], [1, -1, 0]],
            [[1, 1, 0], [1, 0, 1]],
        ),
        (2, 4): (
            [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
            [[1, 0, 0], [1 / 2, 1 / 2, 1 / 2], [1 / 2, -1 / 2, 1 / 2], [0, 0, 1]],
            [[1, 1, 1, 0], [0, 1, -1, -1]],
        ),
        (4, 6): (
            [
                [4, 0, -5, 0, 1, 0],
                [0, -4, -4, 1, 1, 0],
                [0, 4, -4, -1, 1, 0],
                [0, -2, -1, 2, 1, 0],
                [0, 2, -1, -2, 1, 0],
                [0, 4, 0, -5, 0, 1],
            ],
            [
                [1 / 4, 0, 0],
                [-1 / 6, -1 / 6, -1 / 6],
                [-1 / 6, 1 / 6, -1 / 6],
                [1 / 24, 1 / 12, 1 / 6],
                [1 / 24, -1 / 12, 1 / 6],
                [0, 0, 1],
            ],
            [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
        ),
    }[(m, m + 2) if n > 2 else (2, 2)]
    if n == m > 2:  # the outermost pixels of every tile are zeros
        of_tiles = [row[1:-1] for row in of_tiles]
    return Matrices(*(torch.kron(one, one).float() for one in map(_exact, (of_tiles, of_filters, of_outputs))))


def _exact(rows: list[list[float]]) -> torch.Tensor:
    return torch.tensor(rows, dtype=torch.float64)
