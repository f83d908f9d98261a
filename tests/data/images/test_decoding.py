import io

import numpy as np
import pytest
from PIL import Image

from mixup_jax.data.images import decoding
from mixup_jax.data.images.decoding import Undecodable, decode, resize
from mixup_jax.errors import UsageError
from tests.data.pictures import encode, picture, ramp


@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("BMP", {}), ("WEBP", {"lossless": True}), ("PPM", {}), ("TIFF", {})],
)
def test_lossless_formats_give_back_the_pixels_in_red_green_blue(kind, options):
    pixels = picture(0, 30, 41)
    np.testing.assert_array_equal(
        decode(encode(pixels, kind, **options), channels=3), pixels
    )


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 0}])
def test_jpeg_is_decoded_as_pillow_decodes_it(options):
    content = encode(picture(1, 61, 47), quality=90, **options)
    expected = np.asarray(Image.open(io.BytesIO(content))).astype(int)
    # Both use libjpeg-turbo; its versions may round differently.
    assert abs(decode(content, channels=3) - expected).max() <= 2


def test_grey_becomes_three_channels_and_colour_one():
    grey = picture(2, 20, 20, channels=1)
    three = decode(encode(grey, "PNG"), channels=3)
    np.testing.assert_array_equal(three, np.repeat(grey, 3, axis=-1))
    np.testing.assert_array_equal(decode(encode(grey, "PNG"), channels=1), grey)
    colour = picture(3, 20, 20)
    one = decode(encode(colour, "PNG"), channels=1)
    weights = np.array([0.299, 0.587, 0.114])
    assert abs(one[..., 0] - colour @ weights).max() <= 1


@pytest.mark.parametrize(
    ("kind", "mode"), [("JPEG", "CMYK"), ("PNG", "RGBA"), ("PNG", "P"), ("GIF", "P")]
)
def test_other_colour_systems_are_converted(kind, mode):
    pixels = picture(4, 32, 32)
    got = decode(encode(pixels, kind, mode), channels=3)
    # Palettes have 256 colours; CMYK goes through JPEG.
    assert abs(got.astype(int) - pixels).mean() < 20


def test_a_rotation_that_a_camera_noted_is_not_applied():
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    content = encode(picture(5, 20, 30), exif=exif)
    assert decode(content, channels=3).shape == (20, 30, 3)


@pytest.mark.parametrize("reduce", [2, 4, 8])
def test_a_reduced_jpeg_is_the_image_in_small(reduce):
    pixels = picture(6, 160, 240)
    got = decode(encode(pixels, quality=95), channels=3, reduce=reduce).astype(int)
    blocks = pixels.reshape(160 // reduce, reduce, 240 // reduce, reduce, 3)
    assert got.shape == (160 // reduce, 240 // reduce, 3)
    assert abs(got - blocks.mean(axis=(1, 3))).mean() < 6


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello" * 50,
        encode(picture(7, 50, 50))[:400],
        encode(picture(7, 50, 50))[:-2],
        encode(picture(7, 50, 50), progressive=True)[:900],
        encode(picture(7, 50, 50), "PNG")[:-300],
    ],
    ids=["empty", "text", "half", "no end", "progressive", "png"],
)
def test_what_is_no_whole_image_is_refused(content):
    with pytest.raises(Undecodable):
        decode(content, channels=3)


def test_without_opencv_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "cv2", None)
    with pytest.raises(UsageError, match=r"pip install 'mixup-jax\[images\]'"):
        decode(b"any", channels=3)


@pytest.mark.parametrize(("height", "width"), [(16, 24), (70, 90), (33, 47)])
def test_resizing_is_pytorchs_bicubic_interpolation(height, width):
    torch = pytest.importorskip("torch")
    pixels = picture(8, 40, 60)
    tensor = torch.tensor(pixels.transpose(2, 0, 1)[None], dtype=torch.float32)
    expected = torch.nn.functional.interpolate(
        tensor, size=(height, width), mode="bicubic", align_corners=False
    )
    expected = expected[0].numpy().transpose(1, 2, 0).clip(0, 255)
    got = resize(pixels, height, width)
    # OpenCV rounds its weights to 11 bits.
    assert abs(got - expected).max() <= 1.5


def test_resizing_keeps_places_and_channels():
    got = resize(ramp(60, 90), 20, 45).astype(int)
    rows = np.linspace(20, 230, 60)
    # A pixel of the result is centred where its share of the original is.
    expected = np.interp((np.arange(20) + 0.5) * 3 - 0.5, np.arange(60), rows)
    assert abs(got[1:-1, :, 0] - expected[1:-1, None]).max() <= 2
    assert (np.diff(got[0, :, 1]) >= 0).all()
    assert (got[..., 2] == 128).all()
    one = picture(9, 8, 8, channels=1)
    assert resize(one, 4, 4).shape == (4, 4, 1)
    assert decoding.resize(one, 8, 8).tolist() == one.tolist()
